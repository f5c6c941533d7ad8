variable "zone_id" {
  type        = string
  description = "The hosted zone of the service; no other can be read or written. It has no default that could be right."
}

variable "name" {
  type        = string
  description = "The service name, in lower case and without a final dot. Only it and _nearside-* below it can be written."
  default     = "api.example.com"
}

variable "namespace" {
  type        = string
  description = "The namespace of the fleet's metrics; probes can write no other."
  default     = "Nearside"
}

variable "bucket_prefix" {
  type        = string
  description = "Plans and reports are delivered to the bucket PREFIX-ACCOUNT, as the advisor's module makes it."
  default     = "nearside-reports"
}
