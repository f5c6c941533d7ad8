output "table_name" {
  description = "For the module application-region."
  value       = aws_dynamodb_table.items.name
}

output "user_pool_id" {
  description = "For the module application-region."
  value       = aws_cognito_user_pool.users.id
}

output "user_pool_client_id" {
  description = "For the module application-region."
  value       = aws_cognito_user_pool_client.site.id
}

output "site_bucket" {
  description = "Put index.html here."
  value       = aws_s3_bucket.site.id
}
