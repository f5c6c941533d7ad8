variable "regions" {
  type        = set(string)
  description = "The vantages: one function in each Region. The defaults are those that every account has."
  default = [
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
    "us-east-1", "us-east-2", "us-west-1", "us-west-2",
  ]
}

variable "package" {
  type        = string
  description = "The package that deploy/lambda/package.py made; here it needs no buckets."
  default     = "probe.zip"
}

variable "name" {
  type        = string
  description = "Name of the functions, their logs and schedules; one for each fleet of an account."
  default     = "nearside-probe"
}

variable "architecture" {
  type        = string
  description = "What the package was built for: x86_64 or arm64."
  default     = "x86_64"
}

variable "namespace" {
  type        = string
  description = "cloudwatch.namespace of the configuration in the package."
  default     = "Nearside"
}

variable "central" {
  type        = bool
  description = "Whether rounds are sent to the Region that the configuration names, or stay in that of the function."
  default     = true
}

variable "memory_mb" {
  type        = number
  description = "Memory, MB. 1769 is one whole processor; a slice of one makes tls look slow."
  default     = 1769
}

variable "timeout_s" {
  type        = number
  description = "Longest time of one round, seconds; under a minute."
  default     = 50
}

variable "log_retention_days" {
  type        = number
  description = "How long the functions' logs are kept, days."
  default     = 7
}
