output "topic_arn" {
  description = "Where alarms are told; subscribe what else should hear them."
  value       = aws_sns_topic.alarms.arn
}
