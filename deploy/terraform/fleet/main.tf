# Nearside's probe as a function in each Region, once a minute.

data "aws_partition" "this" {}
data "aws_caller_identity" "this" {}

locals {
  iam  = "${path.module}/../../iam"
  logs = "arn:${data.aws_partition.this.partition}:logs:*:${data.aws_caller_identity.this.account_id}"
}

resource "aws_iam_role" "probe" {
  name_prefix = "${var.name}-"
  description = "What Nearside's probe may do as a function"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "log" {
  name = "log"
  role = aws_iam_role.probe.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "OwnLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${local.logs}:log-group:/aws/lambda/${var.name}:*"
    }]
  })
}

resource "aws_iam_role_policy" "publish" {
  count  = var.central ? 1 : 0
  name   = "publish"
  role   = aws_iam_role.probe.id
  policy = templatefile("${local.iam}/probe.json", { namespace = var.namespace })
}

resource "aws_cloudwatch_log_group" "probe" {
  for_each          = var.regions
  region            = each.value
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "probe" {
  for_each         = var.regions
  region           = each.value
  function_name    = var.name
  description      = "Measures every target once, as the vantage of this Region"
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = var.memory_mb
  timeout          = var.timeout_s
  role             = aws_iam_role.probe.arn
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)

  environment {
    variables = { NEARSIDE_STORE = var.central ? "cloudwatch:${var.namespace}" : "" }
  }

  depends_on = [aws_cloudwatch_log_group.probe, aws_iam_role_policy.log, aws_iam_role_policy.publish]
}

# A late round measures another minute: nothing is repeated, and nothing waits.
resource "aws_lambda_function_event_invoke_config" "once" {
  for_each                     = var.regions
  region                       = each.value
  function_name                = aws_lambda_function.probe[each.value].function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

resource "aws_cloudwatch_event_rule" "minute" {
  for_each            = var.regions
  region              = each.value
  name                = var.name
  description         = "One round of the probe"
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "probe" {
  for_each  = var.regions
  region    = each.value
  rule      = aws_cloudwatch_event_rule.minute[each.value].name
  target_id = "probe"
  arn       = aws_lambda_function.probe[each.value].arn

  retry_policy {
    maximum_retry_attempts       = 0
    maximum_event_age_in_seconds = 60
  }
}

resource "aws_lambda_permission" "schedule" {
  for_each      = var.regions
  region        = each.value
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.probe[each.value].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.minute[each.value].arn
}
