//! The lab's CloudWatch through its door: what it refuses, and with which words.

use http_body_util::BodyExt as _;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::*;

fn request(operation: &str, body: &Value) -> Request<bytes::Bytes> {
    let credential = "AWS4-HMAC-SHA256 Credential=k/20260101/eu-west-1/monitoring/aws4_request";
    Request::builder()
        .method("POST")
        .uri("/")
        .header("x-amz-target", format!("GraniteServiceVersion20100801.{operation}"))
        .header(AUTHORIZATION, credential)
        .body(bytes::Bytes::from(body.to_string()))
        .unwrap()
}

/// The status, the older protocol's code, and the body.
async fn ask(
    cloudwatch: &CloudWatch,
    operation: &str,
    body: &Value,
) -> (StatusCode, String, Value) {
    let response = cloudwatch.answer(&request(operation, body)).unwrap();
    let header = response.headers().get("x-amzn-query-error");
    let code = header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, code, serde_json::from_slice(&body).unwrap())
}

fn now_s() -> i64 {
    clock::calendar().as_second()
}

fn datum(more: &[(&str, Value)]) -> Value {
    let mut made = json!({ "MetricName": "m" });
    for (name, value) in more {
        made[*name] = value.clone();
    }
    made
}

async fn refused_put(request: &Value) -> (String, String) {
    let (status, code, body) = ask(&CloudWatch::new(false), "PutMetricData", request).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    (code, body["message"].as_str().unwrap().to_owned())
}

/// One datum of the namespace `N`.
fn one(more: &[(&str, Value)]) -> Value {
    json!({ "Namespace": "N", "MetricData": [datum(more)] })
}

async fn check_put(table: &[(Value, &str, &str)]) {
    for (request, code, message) in table {
        let expected = (format!("{code};Sender"), (*message).to_owned());
        assert_eq!(refused_put(request).await, expected);
    }
}

#[tokio::test]
async fn shapes_that_are_refused() {
    let many = |n: usize| (0..n).map(|at| json!(at as f64)).collect::<Vec<_>>();
    let named = |n: usize| {
        (0..n).map(|at| json!({ "Name": format!("d{at}"), "Value": "v" })).collect::<Vec<_>>()
    };
    let value = ("Value", json!(1.0));
    let table = [
        (json!({ "MetricData": [] }), "MissingParameter", "The parameter Namespace is required."),
        (json!({ "Namespace": "N" }), "MissingParameter", "The parameter MetricData is required."),
        (
            json!({ "Namespace": "AWS/Mine", "MetricData": [datum(std::slice::from_ref(&value))] }),
            "InvalidParameterValue",
            "The value AWS/Mine for parameter Namespace is invalid.",
        ),
        (
            json!({ "Namespace": "N", "MetricData": vec![datum(std::slice::from_ref(&value)); 1_001] }),
            "InvalidParameterValue",
            "The collection MetricData must not have a size greater than 1000.",
        ),
        (
            one(&[("Values", many(151).into())]),
            "InvalidParameterValue",
            "The collection MetricData.member.1.Values must not have a size greater than 150.",
        ),
        (
            one(&[value.clone(), ("Dimensions", named(31).into())]),
            "InvalidParameterValue",
            "The collection MetricData.member.1.Dimensions must not have a size greater than 30.",
        ),
        (
            one(&[value.clone(), ("Values", many(1).into())]),
            "InvalidParameterCombination",
            "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you have specified both.",
        ),
        (
            one(&[]),
            "InvalidParameterCombination",
            "At least one of the parameters MetricData.member.1.Value, MetricData.member.1.Values and MetricData.member.1.StatisticValues must be specified.",
        ),
        (
            one(&[("Values", many(2).into()), ("Counts", many(1).into())]),
            "InvalidParameterValue",
            "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must have the same size.",
        ),
    ];
    check_put(&table).await;
}

#[tokio::test]
async fn numbers_times_and_words_that_are_refused() {
    let value = ("Value", json!(1.0));
    let table = [
        (
            one(&[("Value", json!("NaN"))]),
            "InvalidParameterValue",
            "The value NaN for parameter MetricData.member.1.Value is invalid.",
        ),
        (
            one(&[("Value", json!(1e109))]),
            "InvalidParameterValue",
            "The value 10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000 for parameter MetricData.member.1.Value is invalid.",
        ),
        (
            one(&[value.clone(), ("Timestamp", json!(now_s() - 14 * 86_400 - 60))]),
            "InvalidParameterValue",
            "The parameter MetricData.member.1.Timestamp must specify a time within the past two weeks.",
        ),
        (
            one(&[value.clone(), ("Timestamp", json!(now_s() + 7_260))]),
            "InvalidParameterValue",
            "The parameter MetricData.member.1.Timestamp must specify a time no more than two hours in the future.",
        ),
        (
            one(&[value.clone(), ("StorageResolution", json!(7))]),
            "InvalidParameterValue",
            "The value 7 for parameter MetricData.member.1.StorageResolution is invalid: it must be 1 or 60.",
        ),
        (one(&[("Value", json!("x"))]), "MalformedInput", "Value is not a number"),
    ];
    check_put(&table).await;
    let (code, message) = refused_put(&one(&[value, ("Unit", json!("Furlongs"))])).await;
    assert_eq!(code, "InvalidParameterValue;Sender");
    assert!(
        message.starts_with("The parameter MetricData.member.1.Unit must be a value in the set")
    );
}

fn query(id: &str, statistic: &str) -> Value {
    json!({ "Id": id, "MetricStat": {
        "Metric": { "Namespace": "N", "MetricName": "m" }, "Period": 60, "Stat": statistic,
    } })
}

async fn with_three_minutes() -> (CloudWatch, i64) {
    let cloudwatch = CloudWatch::new(false);
    let start_s = now_s() - now_s().rem_euclid(60) - 600;
    for minute in 0..3 {
        let values = json!([10.0 * f64::from(minute) + 1.0, 100.0]);
        let at = json!(start_s + 60 * i64::from(minute));
        let put = datum(&[("Values", values), ("Counts", json!([3.0, 1.0])), ("Timestamp", at)]);
        let body = json!({ "Namespace": "N", "MetricData": [put] });
        let (status, _, body) = ask(&cloudwatch, "PutMetricData", &body).await;
        assert_eq!((status, body), (StatusCode::OK, json!({})));
    }
    (cloudwatch, start_s)
}

#[tokio::test]
async fn pages_hold_each_point_once() {
    let (cloudwatch, start_s) = with_three_minutes().await;
    let mut body = json!({
        "MetricDataQueries": [query("a", "p50"), query("b", "SampleCount")],
        "StartTime": start_s, "EndTime": start_s + 600,
        "ScanBy": "TimestampAscending", "MaxDatapoints": 2,
    });
    let mut pages = Vec::new();
    loop {
        let (status, _, answer) = ask(&cloudwatch, "GetMetricData", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        for result in answer["MetricDataResults"].as_array().unwrap() {
            let (id, code) =
                (result["Id"].as_str().unwrap(), result["StatusCode"].as_str().unwrap());
            pages.push(format!("{id} {} {code}", result["Values"]));
        }
        pages.push("-".to_owned());
        match answer.get("NextToken") {
            Some(token) => body["NextToken"] = token.clone(),
            None => break,
        }
    }
    let expected = [
        "a [1.0,11.0] PartialData",
        "-",
        "a [21.0] Complete",
        "b [4.0] PartialData",
        "-",
        "b [4.0,4.0] Complete",
        "-",
    ];
    assert_eq!(pages, expected);
    body["NextToken"] = json!("0-1");
    let (_, code, _) = ask(&cloudwatch, "GetMetricData", &body).await;
    assert_eq!(code, "InvalidNextToken;Sender");
}

#[tokio::test]
async fn questions_that_are_refused() {
    let (cloudwatch, start_s) = with_three_minutes().await;
    let ask_with = |queries: Vec<Value>, end_s: i64| json!({ "MetricDataQueries": queries, "StartTime": start_s, "EndTime": end_s });
    let mut odd = query("a", "p50");
    odd["MetricStat"]["Period"] = json!(7);
    let table = [
        (
            ask_with((0..501).map(|at| query(&format!("q{at}"), "p50")).collect(), start_s + 60),
            "The collection MetricDataQueries must not have a size greater than 500.",
        ),
        (
            ask_with(vec![query("a", "p50")], start_s),
            "The parameter StartTime must not equal parameter EndTime.",
        ),
        (
            ask_with(vec![query("a", "p50")], start_s - 60),
            "The parameter StartTime must be less than the parameter EndTime.",
        ),
        (
            ask_with(vec![query("A", "p50")], start_s + 60),
            "The value A for parameter MetricDataQueries.member.1.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
        ),
        (
            ask_with(vec![query("a", "p50"), query("a", "p90")], start_s + 60),
            "The values for parameter id a are not unique.",
        ),
        (
            ask_with(vec![query("a", "p101")], start_s + 60),
            "The value p101 for parameter MetricDataQueries.member.1.MetricStat.Stat is not supported.",
        ),
        (
            ask_with(vec![odd], start_s + 60),
            "The parameter MetricDataQueries.member.1.MetricStat.Period must be 1, 5, 10, 20, 30 or a multiple of 60, and is 7.",
        ),
    ];
    for (request, message) in table {
        let (status, code, body) = ask(&cloudwatch, "GetMetricData", &request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(code, "ValidationError;Sender");
        assert_eq!(body["message"], message);
    }
}

#[tokio::test]
async fn who_asks_and_what() {
    let cloudwatch = CloudWatch::new(false);
    let mut unsigned = request("ListMetrics", &json!({}));
    unsigned.headers_mut().remove(AUTHORIZATION);
    let code = |request| {
        let response = cloudwatch.answer(&request).unwrap();
        let code = response.headers()["x-amzn-query-error"].to_str().unwrap().to_owned();
        (response.status().as_u16(), code)
    };
    assert_eq!(code(unsigned), (403, "MissingAuthenticationToken;Sender".to_owned()));
    let mut late = request("ListMetrics", &json!({}));
    late.headers_mut().insert("x-amz-date", "20260101T000000Z".parse().unwrap());
    assert_eq!(code(late), (403, "SignatureDoesNotMatch;Sender".to_owned()));
    let unknown = request("PutDashboard", &json!({}));
    assert_eq!(code(unknown), (404, "InvalidAction;Sender".to_owned()));
}

#[tokio::test]
async fn each_region_has_data_of_its_own_and_a_rate() {
    let (cloudwatch, _) = with_three_minutes().await;
    let (_, _, here) = ask(&cloudwatch, "ListMetrics", &json!({ "Namespace": "N" })).await;
    assert_eq!(here["Metrics"].as_array().unwrap().len(), 1);
    let mut elsewhere = request("ListMetrics", &json!({}));
    let scope = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/monitoring/aws4_request";
    elsewhere.headers_mut().insert(AUTHORIZATION, scope.parse().unwrap());
    let there = cloudwatch.answer(&elsewhere).unwrap().into_body().collect().await.unwrap();
    assert_eq!(there.to_bytes(), r#"{"Metrics":[]}"#);
    let alarm = json!({ "AlarmNames": ["none"] });
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(ask(&cloudwatch, "DeleteAlarms", &alarm).await.1);
    }
    assert_eq!(codes[..3], ["ResourceNotFound;Sender"; 3]);
    assert_eq!(codes[3], "Throttling;Sender");
}

#[tokio::test]
async fn faults_come_on_request() {
    let (cloudwatch, _) = with_three_minutes().await;
    let faults = cloudwatch.faults();
    assert_eq!(faults.calls(Operation::PutMetricData), 3);
    faults.push(Operation::ListMetrics, Fault::DropBefore);
    faults.stand(Operation::ListMetrics, Fault::InternalFailure);
    let listed = request("ListMetrics", &json!({}));
    assert!(cloudwatch.answer(&listed).is_none());
    for _ in 0..2 {
        let response = cloudwatch.answer(&listed).unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["x-amzn-query-error"], "InternalServiceError;Receiver");
    }
    faults.clear();
    assert_eq!(cloudwatch.answer(&listed).unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn alarms_are_put_described_and_deleted() {
    let (cloudwatch, _) = with_three_minutes().await;
    let good = json!({
        "AlarmName": "slow", "Namespace": "N", "MetricName": "m", "ExtendedStatistic": "p90",
        "Period": 60, "EvaluationPeriods": 20, "DatapointsToAlarm": 2, "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        "AlarmDescription": "too slow", "Tags": [],
    });
    let changed = |name: &str, value: Value| {
        let mut request = good.clone();
        request[name] = value;
        request
    };
    for (request, message) in [
        (changed("Period", json!(45)), "Period must be 10, 20, 30 or a multiple of 60"),
        (
            changed("DatapointsToAlarm", json!(21)),
            "DatapointsToAlarm must be less than or equal to EvaluationPeriods",
        ),
        (
            changed("EvaluationPeriods", json!(1_441)),
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).",
        ),
    ] {
        let (_, code, body) = ask(&CloudWatch::new(false), "PutMetricAlarm", &request).await;
        assert_eq!((code.as_str(), &body["message"]), ("ValidationError;Sender", &json!(message)));
    }
    assert_eq!(ask(&cloudwatch, "PutMetricAlarm", &good).await.0, StatusCode::OK);
    let (_, _, found) = ask(&cloudwatch, "DescribeAlarms", &json!({})).await;
    let alarm = &found["MetricAlarms"][0];
    let of = |name: &str| alarm[name].clone();
    assert_eq!(of("StateValue"), "ALARM", "three of the last twenty minutes breach");
    assert_eq!(of("AlarmArn"), "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:slow");
    assert_eq!((of("ExtendedStatistic"), of("Threshold")), (json!("p90"), json!(5.0)));
    assert_eq!((of("AlarmDescription"), of("ActionsEnabled")), (json!("too slow"), json!(true)));
    assert_eq!(alarm.get("Statistic"), None);
    let both = json!({ "AlarmNames": ["slow", "other"] });
    assert_eq!(ask(&cloudwatch, "DeleteAlarms", &both).await.1, "ResourceNotFound;Sender");
    let one = json!({ "AlarmNames": ["slow"] });
    assert_eq!(ask(&cloudwatch, "DeleteAlarms", &one).await.0, StatusCode::OK);
    assert!(cloudwatch.streams().is_empty());
}

#[tokio::test]
async fn endpoints_appear_as_api_gateway_and_lambda() {
    let cloudwatch = CloudWatch::new(false);
    for status in [200, 200, 503] {
        cloudwatch.note(Served {
            region: "eu-west-1".to_owned(),
            http_api: None,
            at_s: now_s(),
            status,
            latency_ms: 30.0,
            concurrent: Some(2),
        });
    }
    let start_s = now_s() - 120;
    let stat = |id: &str, space: &str, name: &str, statistic: &str, dimensions: Value| {
        json!({ "Id": id, "MetricStat": {
            "Metric": { "Namespace": space, "MetricName": name, "Dimensions": dimensions },
            "Period": 3600, "Stat": statistic,
        } })
    };
    let api = json!([{ "Name": "ApiName", "Value": "api" }]);
    let stage =
        json!([{ "Name": "Stage", "Value": "prod" }, { "Name": "ApiName", "Value": "api" }]);
    let body = json!({
        "MetricDataQueries": [
            stat("count", "AWS/ApiGateway", "Count", "Sum", api.clone()),
            stat("errors", "AWS/ApiGateway", "5XXError", "Sum", stage),
            stat("latency", "AWS/ApiGateway", "Latency", "p90", api),
            stat("throttles", "AWS/Lambda", "Throttles", "Sum", json!([])),
            stat("concurrent", "AWS/Lambda", "ConcurrentExecutions", "Maximum", json!([])),
        ],
        "StartTime": start_s, "EndTime": start_s + 3_600,
    });
    let (_, _, answer) = ask(&cloudwatch, "GetMetricData", &body).await;
    let sum = |at: usize| {
        let values = answer["MetricDataResults"][at]["Values"].as_array().unwrap();
        values.iter().map(|value| value.as_f64().unwrap()).sum::<f64>()
    };
    assert_eq!((sum(0), sum(1), sum(3)), (3.0, 1.0, 0.0), "{answer}");
    // The two minutes of one request may lie in two hours.
    assert!(sum(2) >= 30.0 && sum(4) >= 2.0, "{answer}");
}
