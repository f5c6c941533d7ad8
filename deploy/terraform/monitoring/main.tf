# What Nearside measures as a dashboard, and alarms for a fleet that is silent or sees failures.

locals {
  schema = "SCHEMA(\"${var.namespace}\", connection, target, vantage)"
  series = "{\"${var.namespace}\",connection,target,vantage}"
  panels = [
    { title = "Warm, median", metric = "Response", connection = "warm", stat = "p50" },
    { title = "Cold, median", metric = "Response", connection = "cold", stat = "p50" },
    { title = "Warm, p95", metric = "Response", connection = "warm", stat = "p95" },
    { title = "Cold, connect (a round trip), median", metric = "Connect", connection = "cold", stat = "p50" },
    { title = "Warm, failures", metric = "Failures", connection = "warm", stat = "Sum" },
    { title = "Warm, of windows that are no evidence", metric = "ResponseIncomplete", connection = "warm", stat = "SampleCount" },
  ]
}

resource "aws_sns_topic" "alarms" {
  region       = var.region
  name_prefix  = "nearside-"
  display_name = "Nearside"
}

data "aws_caller_identity" "here" {}

# The alarms here, and rules of EventBridge, which may publish nowhere without being named.
resource "aws_sns_topic_policy" "alarms" {
  region = var.region
  arn    = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.here.account_id } }
      },
      {
        Sid       = "Events"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  count     = var.alarm_email == "" ? 0 : 1
  region    = var.region
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_metric_alarm" "silent" {
  region              = var.region
  alarm_name          = "nearside-silent"
  alarm_description   = "No probe has published for 15 minutes"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "samples"
    expression  = "SELECT COUNT(Response) FROM ${local.schema}"
    period      = 300
    return_data = true
  }
}

resource "aws_cloudwatch_metric_alarm" "failing" {
  region              = var.region
  alarm_name          = "nearside-failing"
  alarm_description   = "The fleet sees more failures than usual"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failures_most
  evaluation_periods  = 3
  # Failures are published only where there are some.
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "failures"
    expression  = "SELECT SUM(Failures) FROM ${local.schema}"
    period      = 300
    return_data = true
  }
}

resource "aws_cloudwatch_dashboard" "nearside" {
  region         = var.region
  dashboard_name = "Nearside"
  dashboard_body = jsonencode({
    start          = "-P1D"
    periodOverride = "inherit"
    widgets = [for at, panel in local.panels : {
      type   = "metric"
      x      = 12 * (at % 2)
      y      = 8 * floor(at / 2)
      width  = 12
      height = 8
      properties = {
        title  = panel.title
        view   = "timeSeries"
        region = var.region
        period = 300
        yAxis  = { left = { min = 0, showUnits = false } }
        metrics = [[{
          id         = "m${at}"
          label      = ""
          expression = "SEARCH('${local.series} MetricName=\"${panel.metric}\" connection=\"${panel.connection}\"', '${panel.stat}')"
        }]]
      }
    }]
  })
}
