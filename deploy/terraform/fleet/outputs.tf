output "functions" {
  description = "The function of each Region, by its ARN."
  value       = { for region, function in aws_lambda_function.probe : region => function.arn }
}
