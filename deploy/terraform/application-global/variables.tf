variable "zone_id" {
  type        = string
  description = "The public hosted zone of the domain. It has no default that could be right."
}

variable "site_name" {
  type        = string
  description = "The front end's name, within the domain."
  default     = "app.example.com"
}

variable "table_name" {
  type        = string
  description = "The table, in every Region under this name."
  default     = "nearside-items"
}

variable "replica_regions" {
  type        = set(string)
  description = "The Regions of the table beside us-east-1."
  default     = ["eu-west-1", "ap-southeast-1"]
}
