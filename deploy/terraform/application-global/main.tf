# The reference application, what there is once: front end on CloudFront and S3, sign-in by Cognito, the table.
# All of it lies in us-east-1, where CloudFront takes its certificates.

data "aws_caller_identity" "this" {}

locals {
  region = "us-east-1"
}

resource "aws_acm_certificate" "site" {
  region            = local.region
  domain_name       = var.site_name
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  for_each = {
    for option in aws_acm_certificate.site.domain_validation_options : option.domain_name => option
  }
  zone_id         = var.zone_id
  name            = each.value.resource_record_name
  type            = each.value.resource_record_type
  records         = [each.value.resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "site" {
  region                  = local.region
  certificate_arn         = aws_acm_certificate.site.arn
  validation_record_fqdns = [for record in aws_route53_record.validation : record.fqdn]
}

resource "aws_s3_bucket" "site" {
  region        = local.region
  bucket_prefix = "nearside-site-"
}

resource "aws_s3_bucket_public_access_block" "site" {
  region                  = local.region
  bucket                  = aws_s3_bucket.site.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_cloudfront_origin_access_control" "site" {
  name                              = "nearside-site"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# `Pragma: server-timing` then makes CloudFront tell its own times, which the probe keeps apart.
resource "aws_cloudfront_response_headers_policy" "site" {
  name = "nearside-site"

  server_timing_headers_config {
    enabled       = true
    sampling_rate = 0
  }
}

resource "aws_cloudfront_distribution" "site" {
  enabled             = true
  aliases             = [var.site_name]
  default_root_object = "index.html"
  http_version        = "http2and3"
  is_ipv6_enabled     = true

  origin {
    origin_id                = "site"
    domain_name              = aws_s3_bucket.site.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.site.id
  }

  default_cache_behavior {
    target_origin_id           = "site"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = "658327ea-f89d-4fab-a63d-7e88639e58f6" # AWS's own: CachingOptimized
    response_headers_policy_id = aws_cloudfront_response_headers_policy.site.id
  }

  viewer_certificate {
    acm_certificate_arn      = aws_acm_certificate_validation.site.certificate_arn
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
}

resource "aws_s3_bucket_policy" "site" {
  region = local.region
  bucket = aws_s3_bucket.site.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyThisDistribution"
      Effect    = "Allow"
      Principal = { Service = "cloudfront.amazonaws.com" }
      Action    = "s3:GetObject"
      Resource  = "${aws_s3_bucket.site.arn}/*"
      Condition = { StringEquals = { "AWS:SourceArn" = aws_cloudfront_distribution.site.arn } }
    }]
  })
}

resource "aws_route53_record" "site" {
  for_each = toset(["A", "AAAA"])
  zone_id  = var.zone_id
  name     = var.site_name
  type     = each.value

  alias {
    name                   = aws_cloudfront_distribution.site.domain_name
    zone_id                = aws_cloudfront_distribution.site.hosted_zone_id
    evaluate_target_health = false
  }
}

resource "aws_cognito_user_pool" "users" {
  region                   = local.region
  name                     = "nearside-application"
  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]

  password_policy {
    minimum_length    = 12
    require_lowercase = true
    require_numbers   = true
    require_symbols   = false
    require_uppercase = true
  }
}

resource "aws_cognito_user_pool_domain" "users" {
  region       = local.region
  user_pool_id = aws_cognito_user_pool.users.id
  domain       = "nearside-${data.aws_caller_identity.this.account_id}"
}

resource "aws_cognito_user_pool_client" "site" {
  region                               = local.region
  name                                 = "site"
  user_pool_id                         = aws_cognito_user_pool.users.id
  generate_secret                      = false
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["code"]
  allowed_oauth_scopes                 = ["openid", "email"]
  supported_identity_providers         = ["COGNITO"]
  callback_urls                        = ["https://${var.site_name}/"]
  logout_urls                          = ["https://${var.site_name}/"]
  prevent_user_existence_errors        = "ENABLED"
}

resource "aws_dynamodb_table" "items" {
  region           = local.region
  name             = var.table_name
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"

  attribute {
    name = "id"
    type = "S"
  }

  dynamic "replica" {
    for_each = var.replica_regions
    content {
      region_name = replica.value
    }
  }

  point_in_time_recovery {
    enabled = true
  }
}
