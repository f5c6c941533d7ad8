# For the account that the hosted zone belongs to, where that is another one: the role that the advisor assumes
# (aws.zone_role in nearside.toml). It reads and writes one zone, and there one name.

data "aws_partition" "this" {}
data "aws_caller_identity" "this" {}

locals {
  partition = data.aws_partition.this.partition
  trusted   = var.trusted_account_id == "" ? data.aws_caller_identity.this.account_id : var.trusted_account_id
  places    = { partition = local.partition, zone_id = var.zone_id, name = var.name, bucket = "", namespace = "" }
  # What the policy files say of the zone. The rest of them concerns the advisor's own account; a health check and
  # the alarm it follows are of one account.
  statements = {
    for layer in ["read-only", "plan", "apply"] : layer =>
    jsondecode(templatefile("${path.module}/../../iam/${layer}.json", local.places)).Statement
  }
  reading = [
    for statement in concat(local.statements["read-only"], local.statements["plan"]) : statement
    if alltrue([for action in flatten([statement.Action]) : startswith(action, "route53:")])
  ]
}

resource "aws_iam_role" "zone" {
  name_prefix = "nearside-zone-"
  description = "Nearside's advisor in the account of the hosted zone"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${local.trusted}:root" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "reading" {
  name   = "read"
  role   = aws_iam_role.zone.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.reading })
}

resource "aws_iam_role_policy" "writing" {
  count  = var.may_apply ? 1 : 0
  name   = "write"
  role   = aws_iam_role.zone.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements["apply"] })
}
