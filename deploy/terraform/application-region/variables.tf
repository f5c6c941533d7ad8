variable "zone_id" {
  type        = string
  description = "The public hosted zone of the service. It has no default that could be right."
}

variable "region" {
  type        = string
  description = "The Region; the module is called once for each."
  default     = "eu-west-1"
}

variable "name" {
  type        = string
  description = "The one name of all Regions; REGION.NAME is that of each."
  default     = "api.example.com"
}

variable "table_name" {
  type        = string
  description = "Output table_name of application-global."
  default     = "nearside-items"
}

variable "user_pool_id" {
  type        = string
  description = "Output user_pool_id of application-global; empty for no sign-in, and so without items."
  default     = ""
}

variable "user_pool_client_id" {
  type        = string
  description = "Output user_pool_client_id of application-global."
  default     = ""
}

variable "user_pool_region" {
  type        = string
  description = "The Region of the user pool."
  default     = "us-east-1"
}

variable "allowed_origin" {
  type        = string
  description = "The front end, whose pages may call the API."
  default     = "https://app.example.com"
}
