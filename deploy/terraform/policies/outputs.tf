output "arns" {
  description = "The policies by their layer: read-only, plan, apply, probe."
  value       = { for layer, policy in aws_iam_policy.layer : layer => policy.arn }
}
