variable "namespace" {
  type        = string
  description = "The namespace of the fleet's metrics."
  default     = "Nearside"
}

variable "region" {
  type        = string
  description = "The Region that holds the metrics (cloudwatch.region)."
  default     = "eu-west-1"
}

variable "alarm_email" {
  type        = string
  description = "Who is told by e-mail; empty for nobody. The address must be confirmed once."
  default     = ""
}

variable "failures_most" {
  type        = number
  description = "Failed samples of the whole fleet in 5 minutes, above which the alarm is given after 15 minutes."
  default     = 20
}
