output "zone_role_arn" {
  description = "For aws.zone_role in nearside.toml."
  value       = aws_iam_role.zone.arn
}
