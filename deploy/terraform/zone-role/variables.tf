variable "trusted_account_id" {
  type        = string
  description = "The account that the advisor works in; empty for this one. Who of it may assume the role, its own policies say."
  default     = ""
  validation {
    condition     = can(regex("^([0-9]{12})?$", var.trusted_account_id))
    error_message = "An account has twelve digits."
  }
}

variable "zone_id" {
  type        = string
  description = "The hosted zone of the service; no other can be read or written. It has no default that could be right."
}

variable "name" {
  type        = string
  description = "The service name, in lower case and without a final dot. Only it and _nearside-* below it can be written."
  default     = "api.example.com"
}

variable "may_apply" {
  type        = bool
  description = "Whether the role may change records, or only read them."
  default     = false
}
