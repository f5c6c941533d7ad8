//! The control plane as its clients read it: lists, pages, refusals, and the shapes of botocore.

use hyper::header::AUTHORIZATION;

use super::*;
use crate::scenario::Scenario;
use http_body_util::BodyExt;

fn get(region: Option<&str>, path: &str) -> (StatusCode, Value, Option<String>) {
    let mut scenario = Scenario::app();
    scenario.endpoints[1].kind = EndpointKind::Http;
    let world = World::generate(&scenario, 1).unwrap();
    let mut request = Request::get(format!("http://127.0.0.1{path}"));
    if let Some(region) = region {
        let scope = format!("Credential=AKID/20260101/{region}/apigateway/aws4_request");
        let header = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00");
        request = request.header(AUTHORIZATION, header);
    }
    let response = answer(&world, &DomainFaults::default(), &request.body(()).unwrap());
    let (head, body) = response.into_parts();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bytes = runtime.block_on(body.collect()).unwrap().to_bytes();
    let kind = head.headers.get("x-amzn-errortype").map(|v| v.to_str().unwrap().to_owned());
    (head.status, serde_json::from_slice(&bytes).unwrap(), kind)
}

#[test]
fn a_region_lists_its_own_domains_only() {
    let (status, body, _) = get(Some("us-east-1"), "/domainnames");
    assert_eq!(status, 200);
    let names: Vec<&str> = body["item"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["domainName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["api.nearside.test", "us-east-1.api.nearside.test", "edge.nearside.test"]);
    let edge = &body["item"][2];
    assert_eq!(edge["endpointConfiguration"]["types"][0], "EDGE");
    assert_eq!(edge["distributionHostedZoneId"], "Z2FDTNDATAQYW2");
    let first = &body["item"][0];
    assert_eq!(first["regionalHostedZoneId"], "Z1UJRXOUMOOFQ8");
    assert_eq!(first["endpointConfiguration"]["types"][0], "REGIONAL");
    assert_eq!(first["domainNameStatus"], "AVAILABLE");
    let dns_name = first["regionalDomainName"].as_str().unwrap();
    assert!(dns_name.ends_with(".execute-api.us-east-1.amazonaws.com"), "{dns_name}");
    assert_eq!(get(Some("sa-east-1"), "/domainnames").1, json!({ "item": [] }));
}

#[test]
fn both_forms_agree() {
    let (_, v1, _) = get(Some("ap-south-1"), "/domainnames/api.nearside.test");
    let (_, v2, _) = get(Some("ap-south-1"), "/v2/domainnames/api.nearside.test");
    let configuration = &v2["domainNameConfigurations"][0];
    assert_eq!(v1["regionalDomainName"], configuration["apiGatewayDomainName"]);
    assert_eq!(v1["regionalHostedZoneId"], configuration["hostedZoneId"]);
    let (status, _, kind) = get(Some("ap-south-1"), "/domainnames/other.nearside.test");
    assert_eq!((status.as_u16(), kind.as_deref()), (404, Some("NotFoundException")));
}

#[test]
fn apis_are_listed_in_their_own_form() {
    let count = |body: &Value, key: &str| body[key].as_array().unwrap().len();
    assert_eq!(count(&get(Some("us-east-1"), "/restapis").1, "item"), 1);
    assert_eq!(count(&get(Some("us-east-1"), "/v2/apis").1, "items"), 0);
    assert_eq!(count(&get(Some("eu-west-1"), "/restapis").1, "item"), 0);
    let (_, body, _) = get(Some("eu-west-1"), "/v2/apis");
    assert_eq!(body["items"][0]["protocolType"], "HTTP");
}

#[test]
fn pages_follow_each_other() {
    let (_, first, _) = get(Some("us-east-1"), "/domainnames?limit=1");
    assert_eq!(first["item"][0]["domainName"], "api.nearside.test");
    let position = first["position"].as_str().unwrap();
    let (_, second, _) =
        get(Some("us-east-1"), &format!("/domainnames?limit=1&position={position}"));
    assert_eq!(second["item"][0]["domainName"], "us-east-1.api.nearside.test");
    assert_eq!(second["position"], "2");
    let (_, v2, _) = get(Some("us-east-1"), "/v2/domainnames?maxResults=1");
    assert_eq!(v2["nextToken"], "1");
    for bad in ["limit=0", "limit=501", "limit=x", "position=9"] {
        assert_eq!(get(Some("us-east-1"), &format!("/domainnames?{bad}")).0, 400, "{bad}");
    }
}

#[test]
fn nobody_is_served_without_a_signature() {
    let (status, body, kind) = get(None, "/domainnames");
    assert_eq!(status, 403);
    assert_eq!(kind.as_deref(), Some("MissingAuthenticationTokenException"));
    assert_eq!(body["message"], "Missing Authentication Token");
}

/// What botocore makes of each operation's answer.
const SHAPES: &str = include_str!("../../tests/data/apigateway_shapes.json");

/// Where a value departs from a shape: an unknown member, another type, a word that is not in the enum.
fn departures(at: &str, shape: &Value, value: &Value, found: &mut Vec<String>) {
    let fits = match shape["type"].as_str().unwrap() {
        "structure" => {
            for (name, inner) in value.as_object().into_iter().flatten() {
                match &shape["members"][name] {
                    Value::Null => found.push(format!("{at}.{name} is not a member")),
                    member => departures(&format!("{at}.{name}"), member, inner, found),
                }
            }
            value.is_object()
        }
        "list" => {
            for (i, inner) in value.as_array().into_iter().flatten().enumerate() {
                departures(&format!("{at}[{i}]"), &shape["member"], inner, found);
            }
            value.is_array()
        }
        "map" => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
        "string" => value.as_str().is_some_and(|word| {
            shape["enum"].as_array().is_none_or(|all| all.iter().any(|known| known == word))
        }),
        "boolean" => value.is_boolean(),
        "integer" | "long" => value.is_i64(),
        "timestamp" if shape["format"] == "iso8601" => {
            value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
        }
        "timestamp" => value.is_number(),
        other => panic!("{at}: the test knows no {other}"),
    };
    if !fits {
        found.push(format!("{at} ({value}) is no {}", shape["type"]));
    }
}

#[test]
fn every_answer_has_the_shape_that_botocore_reads() {
    let shapes: Value = serde_json::from_str(SHAPES).unwrap();
    let domains = ["api.nearside.test", "us-east-1.api.nearside.test", "edge.nearside.test"];
    let one = domains.map(|name| ("apigateway.GetDomainName", format!("/domainnames/{name}")));
    let two = domains[..2]
        .iter()
        .map(|name| ("apigatewayv2.GetDomainName", format!("/v2/domainnames/{name}")));
    let lists = [
        ("apigateway.GetDomainNames", "/domainnames?limit=1".to_owned()),
        ("apigateway.GetRestApis", "/restapis".to_owned()),
        ("apigatewayv2.GetDomainNames", "/v2/domainnames?maxResults=1".to_owned()),
        ("apigatewayv2.GetApis", "/v2/apis".to_owned()),
    ];
    for (operation, path) in one.into_iter().chain(two).chain(lists) {
        for region in ["us-east-1", "eu-west-1"] {
            let (status, body, _) = get(Some(region), &path);
            if region == "eu-west-1" && status == 404 {
                continue;
            }
            assert_eq!(status, 200, "{operation} {path}");
            let shape = &shapes["operations"][operation];
            let mut found = Vec::new();
            departures(operation, &shape["output"], &body, &mut found);
            assert_eq!(found, Vec::<String>::new(), "{path}");
            for required in shape["output"]["required"].as_array().into_iter().flatten() {
                assert!(body.get(required.as_str().unwrap()).is_some(), "{operation} {required}");
            }
        }
    }
    // The judge itself: it sees what is wrong.
    let mut found = Vec::new();
    let shape = &shapes["operations"]["apigateway.GetDomainName"]["output"];
    let wrong = json!({ "domainNameStatus": "READY", "colour": 1, "certificateUploadDate": "x" });
    departures("wrong", shape, &wrong, &mut found);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn required_members_of_items_are_there() {
    let shapes: Value = serde_json::from_str(SHAPES).unwrap();
    let (_, apis, _) = get(Some("eu-west-1"), "/v2/apis");
    let item =
        &shapes["operations"]["apigatewayv2.GetApis"]["output"]["members"]["items"]["member"];
    for required in item["required"].as_array().unwrap() {
        let name = required.as_str().unwrap();
        let wire = format!("{}{}", name[..1].to_ascii_lowercase(), &name[1..]);
        assert!(apis["items"][0].get(&wire).is_some(), "{wire}");
    }
}
