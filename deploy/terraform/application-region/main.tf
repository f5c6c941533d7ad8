# The reference application in one Region: a Regional API under the name of all Regions and under one of its own.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

data "archive_file" "code" {
  type        = "zip"
  source_file = "${path.module}/../../application/index.py"
  output_path = "${path.root}/.terraform/nearside-application.zip"
}

locals {
  own_name = "${var.region}.${var.name}"
  open     = toset(["GET /health", "GET /ping"])
  signed   = var.user_pool_id == "" ? toset([]) : toset(["GET /items/{id}", "PUT /items/{id}"])
  table = join(":", [
    "arn", data.aws_partition.this.partition, "dynamodb", var.region, data.aws_caller_identity.this.account_id,
    "table/${var.table_name}",
  ])
}

resource "aws_cloudwatch_log_group" "function" {
  region            = var.region
  name_prefix       = "/nearside/application-"
  retention_in_days = 14
}

# `advisor traffic --apigateway` counts clients in it.
resource "aws_cloudwatch_log_group" "access" {
  region            = var.region
  name_prefix       = "/nearside/access-"
  retention_in_days = 14
}

resource "aws_iam_role" "function" {
  name_prefix = "nearside-application-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "work" {
  name = "work"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.function.arn}:*"
      },
      { Effect = "Allow", Action = ["dynamodb:GetItem", "dynamodb:PutItem"], Resource = local.table },
    ]
  })
}

resource "aws_lambda_function" "application" {
  region           = var.region
  function_name    = "nearside-application"
  description      = "The reference application: health, ping, items"
  runtime          = "python3.13"
  handler          = "index.handler"
  architectures    = ["arm64"]
  memory_size      = 512
  timeout          = 5
  role             = aws_iam_role.function.arn
  filename         = data.archive_file.code.output_path
  source_code_hash = data.archive_file.code.output_base64sha256

  environment {
    variables = { TABLE = var.table_name }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function.name
  }
}

resource "aws_apigatewayv2_api" "api" {
  region        = var.region
  name          = "nearside-application"
  protocol_type = "HTTP"
  # Clients come by the custom domains only.
  disable_execute_api_endpoint = true

  cors_configuration {
    allow_origins = [var.allowed_origin]
    allow_methods = ["GET", "PUT"]
    allow_headers = ["authorization", "content-type"]
    max_age       = 600
  }
}

resource "aws_apigatewayv2_stage" "default" {
  region      = var.region
  api_id      = aws_apigatewayv2_api.api.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    detailed_metrics_enabled = true
    throttling_burst_limit   = 500
    throttling_rate_limit    = 1000
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      requestId       = "$context.requestId"
      ip              = "$context.identity.sourceIp"
      requestTime     = "$context.requestTime"
      httpMethod      = "$context.httpMethod"
      routeKey        = "$context.routeKey"
      status          = "$context.status"
      responseLatency = "$context.responseLatency"
      domainName      = "$context.domainName"
    })
  }
}

resource "aws_apigatewayv2_integration" "application" {
  region                 = var.region
  api_id                 = aws_apigatewayv2_api.api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.application.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_lambda_permission" "api" {
  region        = var.region
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.application.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.api.execution_arn}/*"
}

resource "aws_apigatewayv2_route" "open" {
  for_each  = local.open
  region    = var.region
  api_id    = aws_apigatewayv2_api.api.id
  route_key = each.value
  target    = "integrations/${aws_apigatewayv2_integration.application.id}"
}

resource "aws_apigatewayv2_authorizer" "users" {
  count            = var.user_pool_id == "" ? 0 : 1
  region           = var.region
  api_id           = aws_apigatewayv2_api.api.id
  name             = "users"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = "https://cognito-idp.${var.user_pool_region}.amazonaws.com/${var.user_pool_id}"
    audience = [var.user_pool_client_id]
  }
}

resource "aws_apigatewayv2_route" "signed" {
  for_each           = local.signed
  region             = var.region
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = each.value
  target             = "integrations/${aws_apigatewayv2_integration.application.id}"
  authorization_type = "JWT"
  authorizer_id      = one(aws_apigatewayv2_authorizer.users[*].id)
}

resource "aws_acm_certificate" "api" {
  region                    = var.region
  domain_name               = var.name
  subject_alternative_names = [local.own_name]
  validation_method         = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

# The record of one name is the same in every Region.
resource "aws_route53_record" "validation" {
  for_each = {
    for option in aws_acm_certificate.api.domain_validation_options : option.domain_name => option
  }
  zone_id         = var.zone_id
  name            = each.value.resource_record_name
  type            = each.value.resource_record_type
  records         = [each.value.resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "api" {
  region                  = var.region
  certificate_arn         = aws_acm_certificate.api.arn
  validation_record_fqdns = [for record in aws_route53_record.validation : record.fqdn]
}

# The shared name in every Region, and a name of its own for health checks: only Regional domains can be both.
resource "aws_apigatewayv2_domain_name" "domain" {
  for_each    = { shared = var.name, own = local.own_name }
  region      = var.region
  domain_name = each.value

  domain_name_configuration {
    certificate_arn = aws_acm_certificate_validation.api.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "domain" {
  for_each    = aws_apigatewayv2_domain_name.domain
  region      = var.region
  api_id      = aws_apigatewayv2_api.api.id
  domain_name = each.value.id
  stage       = aws_apigatewayv2_stage.default.id
}

resource "aws_route53_record" "own" {
  zone_id = var.zone_id
  name    = local.own_name
  type    = "A"

  alias {
    name                   = aws_apigatewayv2_domain_name.domain["own"].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.domain["own"].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }
}

resource "aws_route53_health_check" "own" {
  type              = "HTTPS"
  fqdn              = local.own_name
  port              = 443
  resource_path     = "/health"
  request_interval  = 30
  failure_threshold = 3
  enable_sni        = true
}

# Nearside adopts it (guard.adopt) and replaces it: what it points at is not put back.
resource "aws_route53_record" "latency" {
  zone_id         = var.zone_id
  name            = var.name
  type            = "A"
  set_identifier  = var.region
  health_check_id = aws_route53_health_check.own.id

  latency_routing_policy {
    region = var.region
  }

  alias {
    name                   = aws_apigatewayv2_domain_name.domain["shared"].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.domain["shared"].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }

  lifecycle {
    ignore_changes = [alias, health_check_id, set_identifier, latency_routing_policy]
  }

  depends_on = [aws_apigatewayv2_api_mapping.domain]
}
