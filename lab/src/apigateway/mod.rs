//! API Gateway's control plane: custom domains and APIs, read only, in its v1 and v2 forms.
//!
//! One address serves every Region; the Region is read from the credential scope of the request's
//! signature, which is not checked otherwise. Field names are those of botocore's models.

pub mod faults;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::clock;
use crate::route53::regions::CLOUDFRONT_ZONE;
use crate::scenario::EndpointKind;
use crate::scope::{self, ScopeError};
use crate::world::{Behavior, Distribution, Endpoint, World};
use faults::{DomainFault, DomainFaults};

/// When everything was made: 2026-01-01T00:00:00Z, as v1 (seconds) and v2 (ISO 8601) write it.
const MADE_AT: i64 = 1_767_225_600;
const MADE_AT_ISO: &str = "2026-01-01T00:00:00Z";
/// Account of every ARN: the one AWS uses in examples.
const ACCOUNT: &str = "123456789012";
/// Items of a page when none is asked for, and at most.
const PAGE: usize = 25;
const PAGE_MAX: usize = 500;

/// An error as API Gateway writes it.
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

/// The answer to one request.
pub(crate) fn answer<B>(
    world: &World,
    faults: &DomainFaults,
    request: &Request<B>,
) -> Response<Full<Bytes>> {
    match route(world, faults, request) {
        Ok(body) => respond(StatusCode::OK, &body, None),
        Err(refusal) => {
            let body = json!({ "message": refusal.message, "Message": refusal.message });
            respond(refusal.status, &body, Some(refusal.kind))
        }
    }
}

fn route<B>(world: &World, faults: &DomainFaults, request: &Request<B>) -> Result<Value, Refusal> {
    let region = region_of(request.headers())?;
    if request.method() != Method::GET {
        return Err(not_here(request.uri().path()));
    }
    let fault = faults.of(&region);
    if let Some(refusal) = refused(fault.as_ref(), request, &region) {
        return Err(refusal);
    }
    let here: Vec<&Endpoint> = world.endpoints().iter().filter(|e| e.region == region).collect();
    let query = request.uri().query().unwrap_or_default();
    let path = request.uri().path().trim_matches('/');
    let service = world.scenario().name.as_str();
    let all = |write: WriteDomain| {
        let mut listed = domains(service, &here, write);
        if let Some(fault) = &fault {
            fault.change(service, &mut listed);
        }
        listed
    };
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["domainnames"] => page_v1(query, with_edge(world, &region, all(domain_v1))),
        ["v2", "domainnames"] => page_v2(query, all(domain_v2)),
        ["domainnames", name] => one(name, with_edge(world, &region, all(domain_v1))),
        ["v2", "domainnames", name] => one(name, all(domain_v2)),
        ["restapis"] => page_v1(query, apis(&here, false)),
        ["v2", "apis"] => page_v2(query, apis(&here, true)),
        _ => Err(not_here(request.uri().path())),
    }
}

/// What a caller is told who is not let in, and nobody whose clock is off.
fn refused<B>(fault: Option<&DomainFault>, request: &Request<B>, region: &str) -> Option<Refusal> {
    let ahead_s = if let Some(DomainFault::ClockAhead(ahead_s)) = fault { *ahead_s } else { 0 };
    let now = clock::calendar();
    let now = now.checked_add(SignedDuration::from_secs(ahead_s)).unwrap_or(now);
    let path = request.uri().path();
    let (kind, message) = match fault {
        Some(DomainFault::Denied) => (
            "AccessDeniedException",
            format!(
                "User: arn:aws:iam::{ACCOUNT}:user/lab is not authorized to perform: apigateway:GET on \
                 resource: arn:aws:apigateway:{region}::{path}"
            ),
        ),
        Some(DomainFault::Expired) => (
            "ExpiredTokenException",
            "The security token included in the request is expired".to_owned(),
        ),
        Some(DomainFault::NotEnabled) => (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.".to_owned(),
        ),
        _ => ("InvalidSignatureException", scope::skewed(request.headers(), now)?),
    };
    Some(Refusal { status: StatusCode::FORBIDDEN, kind, message })
}

/// The Region that the request is signed for.
fn region_of(headers: &HeaderMap) -> Result<String, Refusal> {
    let refuse = |kind, message| Refusal { status: StatusCode::FORBIDDEN, kind, message };
    scope::region(headers, "apigateway").map_err(|error| match error {
        ScopeError::Missing => {
            refuse("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
        }
        ScopeError::Other(scope) => refuse(
            "InvalidSignatureException",
            format!("Credential should be scoped to correct service: 'apigateway'. ({scope})"),
        ),
    })
}

/// Writes a domain: the endpoint, the domain's name, its target and the target's zone.
type WriteDomain = fn(&Endpoint, &str, &str, &str) -> Value;

/// The custom domains of a Region, by name: the endpoint's own and, where it is regional, the service's.
///
/// Behind CloudFront the service's name belongs to the distribution, which forwards to the own domain.
fn domains(service: &str, here: &[&Endpoint], write: WriteDomain) -> Vec<Value> {
    let mut listed: Vec<(&str, Value)> = Vec::new();
    for endpoint in here {
        if endpoint.kind != EndpointKind::Cloudfront {
            let (dns, zone) = (&endpoint.dns_name, &endpoint.hosted_zone_id);
            listed.push((service, write(endpoint, service, dns, zone)));
        }
        let (own, dns) = (&endpoint.health_name, &endpoint.health_dns_name);
        listed.push((own, write(endpoint, own, dns, &endpoint.health_zone_id)));
    }
    listed.sort_by_key(|(name, _)| *name);
    listed.into_iter().map(|(_, domain)| domain).collect()
}

/// With the edge-optimized domain, which is known in the one Region of its API, last.
fn with_edge(world: &World, region: &str, mut listed: Vec<Value>) -> Vec<Value> {
    let app = world.app().filter(|app| app.api_region == region);
    let edge = |d: &&Distribution| d.behavior == Behavior::EdgeOptimized;
    listed.extend(app.iter().flat_map(|app| &app.distributions).filter(edge).map(edge_domain));
    listed
}

fn edge_domain(distribution: &Distribution) -> Value {
    let (name, region) = (&distribution.name, &distribution.origin);
    json!({
        "domainName": name,
        "domainNameArn": format!("arn:aws:apigateway:{region}::/domainnames/{name}"),
        "certificateUploadDate": MADE_AT,
        "distributionDomainName": distribution.dns_name,
        "distributionHostedZoneId": CLOUDFRONT_ZONE,
        "certificateArn": format!("arn:aws:acm:us-east-1:{ACCOUNT}:certificate/edge"),
        "endpointConfiguration": { "types": ["EDGE"], "ipAddressType": "ipv4" },
        "domainNameStatus": "AVAILABLE",
        "securityPolicy": "TLS_1_2",
        "routingMode": "BASE_PATH_MAPPING_ONLY",
        "tags": {},
    })
}

fn certificate_arn(endpoint: &Endpoint) -> String {
    format!("arn:aws:acm:{}:{ACCOUNT}:certificate/{}", endpoint.region, endpoint.api_id)
}

fn domain_v1(endpoint: &Endpoint, name: &str, dns_name: &str, zone: &str) -> Value {
    json!({
        "domainName": name,
        "domainNameArn": format!("arn:aws:apigateway:{}::/domainnames/{name}", endpoint.region),
        "certificateUploadDate": MADE_AT,
        "regionalDomainName": dns_name,
        "regionalHostedZoneId": zone,
        "regionalCertificateArn": certificate_arn(endpoint),
        "endpointConfiguration": { "types": ["REGIONAL"], "ipAddressType": "dualstack" },
        "domainNameStatus": "AVAILABLE",
        "securityPolicy": "TLS_1_2",
        "routingMode": "BASE_PATH_MAPPING_ONLY",
        "tags": {},
    })
}

fn domain_v2(endpoint: &Endpoint, name: &str, dns_name: &str, zone: &str) -> Value {
    json!({
        "apiMappingSelectionExpression": "$request.basepath",
        "domainName": name,
        "domainNameArn": format!("arn:aws:apigateway:{}::/domainnames/{name}", endpoint.region),
        "domainNameConfigurations": [{
            "apiGatewayDomainName": dns_name,
            "certificateArn": certificate_arn(endpoint),
            "certificateUploadDate": MADE_AT_ISO,
            "domainNameStatus": "AVAILABLE",
            "endpointType": "REGIONAL",
            "hostedZoneId": zone,
            "ipAddressType": "dualstack",
            "securityPolicy": "TLS_1_2",
        }],
        "routingMode": "API_MAPPING_ONLY",
        "tags": {},
    })
}

/// REST APIs for v1, HTTP APIs for v2.
fn apis(here: &[&Endpoint], v2: bool) -> Vec<Value> {
    let of_form = here.iter().filter(|e| (e.kind == EndpointKind::Http) == v2);
    of_form.map(|e| if v2 { http_api(e) } else { rest_api(e) }).collect()
}

fn rest_api(endpoint: &Endpoint) -> Value {
    json!({
        "id": endpoint.api_id,
        "name": "api",
        "createdDate": MADE_AT,
        "apiKeySource": "HEADER",
        "endpointConfiguration": { "types": ["REGIONAL"], "ipAddressType": "dualstack" },
        "disableExecuteApiEndpoint": true,
        "tags": {},
    })
}

fn http_api(endpoint: &Endpoint) -> Value {
    json!({
        "apiId": endpoint.api_id,
        "apiEndpoint": format!("https://{}.execute-api.{}.amazonaws.com", endpoint.api_id, endpoint.region),
        "createdDate": MADE_AT_ISO,
        "disableExecuteApiEndpoint": true,
        "ipAddressType": "dualstack",
        "name": "api",
        "protocolType": "HTTP",
        "routeSelectionExpression": "$request.method $request.path",
        "tags": {},
    })
}

fn one(name: &str, all: Vec<Value>) -> Result<Value, Refusal> {
    let name = name.to_ascii_lowercase();
    all.into_iter().find(|d| d["domainName"] == name.as_str()).ok_or_else(|| Refusal {
        status: StatusCode::NOT_FOUND,
        kind: "NotFoundException",
        message: "Invalid domain name identifier specified".to_owned(),
    })
}

fn page_v1(query: &str, all: Vec<Value>) -> Result<Value, Refusal> {
    let (items, next) = page(query, "position", "limit", all)?;
    Ok(next.map_or_else(
        || json!({ "item": items }),
        |position| json!({ "item": items, "position": position }),
    ))
}

fn page_v2(query: &str, all: Vec<Value>) -> Result<Value, Refusal> {
    let (items, next) = page(query, "nextToken", "maxResults", all)?;
    Ok(next.map_or_else(
        || json!({ "items": items }),
        |token| json!({ "items": items, "nextToken": token }),
    ))
}

/// One page, and where the next begins.
fn page(
    query: &str,
    from: &str,
    count: &str,
    all: Vec<Value>,
) -> Result<(Vec<Value>, Option<String>), Refusal> {
    let parameter = |key: &str| {
        query.split('&').filter_map(|p| p.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v)
    };
    let bad = |key: &str, value: &str| Refusal {
        status: StatusCode::BAD_REQUEST,
        kind: "BadRequestException",
        message: format!("Invalid {key} specified: {value}"),
    };
    let number = |key: &str, default: usize| match parameter(key) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| bad(key, text)),
    };
    let (start, size) = (number(from, 0)?, number(count, PAGE)?);
    if size == 0 || size > PAGE_MAX {
        return Err(bad(count, &size.to_string()));
    }
    if start > all.len() {
        return Err(bad(from, &start.to_string()));
    }
    let end = start.saturating_add(size);
    let next = (end < all.len()).then(|| end.to_string());
    Ok((all.into_iter().skip(start).take(size).collect(), next))
}

fn not_here(path: &str) -> Refusal {
    Refusal {
        status: StatusCode::NOT_FOUND,
        kind: "UnknownOperationException",
        message: format!(
            "the lab's API Gateway answers GET of domainnames, restapis and v2/apis, not {path}"
        ),
    }
}

fn respond(status: StatusCode, body: &Value, kind: Option<&'static str>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(kind) = kind {
        let name = HeaderName::from_static("x-amzn-errortype");
        headers.insert(name, HeaderValue::from_static(kind));
    }
    response
}

#[cfg(test)]
mod tests;
