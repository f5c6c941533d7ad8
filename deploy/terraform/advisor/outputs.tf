output "bucket" {
  description = "Put the program at program/advisor and the configuration at config/nearside.toml; plans come to plans/, reports to reports/."
  value       = aws_s3_bucket.reports.id
}

output "tasks" {
  description = "The task definitions for `aws ecs run-task`: plan, and apply with PLAN in its environment (a key, `rollback` or `resume`)."
  value       = { for name, task in aws_ecs_task_definition.task : name => task.arn }
}

output "network" {
  description = "For --network-configuration of `aws ecs run-task`."
  value = join("", [
    "awsvpcConfiguration={subnets=[", aws_subnet.this.id, "],securityGroups=[", aws_security_group.tasks.id,
    "],assignPublicIp=ENABLED}",
  ])
}
