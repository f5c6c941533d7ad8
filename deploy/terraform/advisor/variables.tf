variable "policy_arns" {
  type        = map(string)
  description = "Output arns of the module policies. It has no default that could be right."
}

variable "region" {
  type        = string
  description = "The Region that holds the metrics (cloudwatch.region)."
  default     = "eu-west-1"
}

variable "bucket_prefix" {
  type        = string
  description = "The bucket is PREFIX-ACCOUNT; the same as for the module policies."
  default     = "nearside-reports"
}

variable "namespace" {
  type        = string
  description = "cloudwatch.namespace of the configuration."
  default     = "Nearside"
}

variable "schedule" {
  type        = string
  description = "When it plans, in UTC; by default 20 minutes after each block of 4 hours."
  default     = "cron(20 0/4 * * ? *)"
}

variable "report" {
  type        = string
  description = "Of which last whole day, week or month (in UTC) a report is made."
  default     = "week"
}

variable "report_schedule" {
  type        = string
  description = "When the report is made, in UTC; by default on Monday mornings."
  default     = "cron(40 6 ? * MON *)"
}

variable "image" {
  type        = string
  description = "An image with a shell and the AWS CLI; the program itself is read from the bucket."
  default     = "public.ecr.aws/aws-cli/aws-cli:latest"
}

variable "architecture" {
  type        = string
  description = "What the program in the bucket was built for: X86_64 or ARM64."
  default     = "X86_64"
}

variable "log_retention_days" {
  type        = number
  description = "How long the tasks' log is kept, days."
  default     = 30
}

variable "zone_role_arn" {
  type        = string
  description = "aws.zone_role of the configuration, where the zone is in another account; else empty."
  default     = ""
}

variable "alarm_topic_arn" {
  type        = string
  description = "A topic that is told when a task fails, like the one of the module monitoring; empty for none."
  default     = ""
}
