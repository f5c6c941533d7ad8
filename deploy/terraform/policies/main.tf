# What Nearside's programs may do, from the files that CloudFormation's template repeats.

data "aws_partition" "this" {}
data "aws_caller_identity" "this" {}

locals {
  places = {
    partition = data.aws_partition.this.partition
    zone_id   = var.zone_id
    name      = var.name
    namespace = var.namespace
    bucket    = "${var.bucket_prefix}-${data.aws_caller_identity.this.account_id}"
  }
  layers = toset(["read-only", "plan", "apply", "probe"])
}

resource "aws_iam_policy" "layer" {
  for_each    = local.layers
  name_prefix = "nearside-${each.value}-"
  description = "Nearside, ${each.value}; plan goes with read-only, and apply with both"
  policy      = templatefile("${path.module}/../../iam/${each.value}.json", local.places)
}
