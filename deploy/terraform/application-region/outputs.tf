output "alias" {
  description = "endpoint.alias of nearside.toml; the name with :443 is endpoint.connect_to."
  value = {
    dns_name       = aws_apigatewayv2_domain_name.domain["shared"].domain_name_configuration[0].target_domain_name
    hosted_zone_id = aws_apigatewayv2_domain_name.domain["shared"].domain_name_configuration[0].hosted_zone_id
  }
}

output "health_url" {
  description = "endpoint.health_url of nearside.toml."
  value       = "https://${local.own_name}/health"
}
