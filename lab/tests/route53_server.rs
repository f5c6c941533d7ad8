//! The running Route 53 over its sockets: signed and unsigned calls, error documents, faults,
//! propagation, DNS with EDNS client subnet, truncation, and health checks on a real listener.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as the test does"
)]

mod route53;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use lab::route53::faults::Fault;
use lab::route53::health::AlarmState;
use lab::route53::operation::Operation;
use lab::route53::{Options, Route53};
use route53::{FakeInternet, batch};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const XMLNS: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";

fn fast() -> Options {
    Options {
        insync_delay: Duration::from_millis(150),
        first_observation: Duration::from_millis(200),
        health_interval: Duration::from_millis(60),
        throttling: None,
        ..Options::default()
    }
}

async fn start(options: Options) -> (Route53, String) {
    let route53 = Route53::start(options, Arc::new(FakeInternet)).await.unwrap();
    let zone = route53.create_zone("example.com").unwrap();
    (route53, zone)
}

/// Status and body; `None` if the connection ended without a reply.
async fn call(
    route53: &Route53,
    method: &str,
    path: &str,
    body: &str,
    signed: bool,
) -> Option<(u16, String)> {
    let address = route53.api_url().replace("http://", "");
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address);
    if signed {
        request = request.header("authorization", "AWS4-HMAC-SHA256 Credential=x");
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let response = sender.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    Some((status, String::from_utf8(body.to_vec()).unwrap()))
}

async fn get(route53: &Route53, path: &str) -> (u16, String) {
    call(route53, "GET", path, "", true).await.unwrap()
}

fn text<'a>(body: &'a str, element: &str) -> &'a str {
    let (_, rest) = body.split_once(&format!("<{element}>")).expect(element);
    rest.split_once("</").expect("an end").0
}

fn seed(route53: &Route53, zone: &str, text: &str) -> String {
    route53.change(zone, &batch(text, zone).unwrap()).unwrap().id
}

struct Ask<'a> {
    name: &'a str,
    kind: RecordType,
    subnet: Option<&'a str>,
    payload: Option<u16>,
}

fn encoded(ask: &Ask<'_>) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(ask.name).unwrap(), ask.kind));
    if ask.subnet.is_some() || ask.payload.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(ask.payload.unwrap_or(1232));
        if let Some(subnet) = ask.subnet {
            let address = subnet.parse().unwrap();
            edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(address, 24, 0)));
        }
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

async fn udp(server: SocketAddr, ask: &Ask<'_>) -> (Message, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&encoded(ask), server).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let received = tokio::time::timeout(Duration::from_secs(5), socket.recv_from(&mut buffer));
    let (length, _) = received.await.unwrap().unwrap();
    (Message::from_vec(&buffer[..length]).unwrap(), length)
}

async fn tcp(server: SocketAddr, ask: &Ask<'_>) -> Message {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let query = encoded(ask);
    stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
    stream.write_all(&query).await.unwrap();
    let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut reply).await.unwrap();
    Message::from_vec(&reply).unwrap()
}

fn values(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn calls_and_error_documents() {
    let (route53, zone) = start(fast()).await;
    let unsigned = call(&route53, "GET", "/2013-04-01/hostedzone", "", false).await.unwrap();
    assert_eq!(unsigned.0, 403);
    assert_eq!(text(&unsigned.1, "Code"), "MissingAuthenticationToken");
    let (status, body) =
        get(&route53, &format!("/2013-04-01/hostedzone/%2Fhostedzone%2F{zone}")).await;
    assert_eq!((status, text(&body, "Name")), (200, "example.com."));
    let check = async |method: &str, path: &str, body: &str, expect: (u16, &str)| {
        let (status, body) = call(&route53, method, path, body, true).await.unwrap();
        assert_eq!((status, text(&body, "Code")), expect, "{method} {path}: {body}");
        assert!(body.contains(XMLNS) && body.contains("<RequestId>"), "{body}");
    };
    let rrset = format!("/2013-04-01/hostedzone/{zone}/rrset");
    check("GET", "/2013-04-01/hostedzone/ZNONE", "", (404, "NoSuchHostedZone")).await;
    check("GET", "/2013-04-01/change/CNONE", "", (404, "NoSuchChange")).await;
    check("GET", "/2013-04-01/healthcheck/none", "", (404, "NoSuchHealthCheck")).await;
    check("GET", "/2013-04-01/trafficpolicies", "", (501, "NotImplemented")).await;
    check("GET", &format!("{rrset}?type=A"), "", (400, "InvalidInput")).await;
    check("POST", &rrset, "<not xml", (400, "MalformedInput")).await;
    let wrong = "<ChangeResourceRecordSetsRequest xmlns=\"https://other/\"/>";
    check("POST", &rrset, wrong, (400, "InvalidInput")).await;
    let unknown = format!(
        "<ChangeResourceRecordSetsRequest {XMLNS}><ChangeBatch><Bogus/></ChangeBatch></ChangeResourceRecordSetsRequest>"
    );
    check("POST", &rrset, &unknown, (400, "InvalidInput")).await;
    let entity =
        format!("<!DOCTYPE x [<!ENTITY a \"b\">]><ChangeResourceRecordSetsRequest {XMLNS}/>");
    check("POST", &rrset, &entity, (400, "MalformedInput")).await;
    let outside = format!(
        "<ChangeResourceRecordSetsRequest {XMLNS}><ChangeBatch><Changes><Change><Action>CREATE</Action><ResourceRecordSet><Name>a.other.org</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    );
    let (status, body) =
        call(&route53, "POST", &format!("{rrset}/"), &outside, true).await.unwrap();
    assert_eq!((status, text(&body, "Code")), (400, "InvalidChangeBatch"));
    assert_eq!(
        text(&body, "Message"),
        "[RRSet with DNS name a.other.org. is not permitted in zone example.com.]"
    );
    route53.shutdown().await;
}

#[tokio::test]
async fn names_are_octal_and_text_is_escaped() {
    let (route53, zone) = start(fast()).await;
    seed(&route53, &zone, "CREATE TXT *.Example.com ttl=60 v=\"a&<b>\"");
    let (_, body) = get(
        &route53,
        &format!("/2013-04-01/hostedzone/{zone}/rrset?maxitems=1&name=%2A.example.com"),
    )
    .await;
    assert_eq!(text(&body, "Name"), "\\052.example.com.");
    assert_eq!(text(&body, "Value"), "&quot;a&amp;&lt;b&gt;&quot;");
    route53.shutdown().await;
}

#[tokio::test]
async fn listing_is_latest_and_dns_is_insync() {
    let (route53, zone) = start(fast()).await;
    let id = seed(&route53, &zone, "CREATE A new.example.com ttl=60 v=192.0.2.1");
    let ask = Ask { name: "new.example.com.", kind: RecordType::A, subnet: None, payload: None };
    let path = format!("/2013-04-01/change/{id}");
    let (_, before) = get(&route53, &path).await;
    let (listing, list) = get(&route53, &format!("/2013-04-01/hostedzone/{zone}/rrset")).await;
    let (reply, _) = udp(route53.dns_addr(), &ask).await;
    let (_, still) = get(&route53, &path).await;
    assert_eq!(text(&before, "Status"), "PENDING");
    assert!(listing == 200 && list.contains("new.example.com."));
    if text(&still, "Status") == "PENDING" {
        assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(reply.authorities.len(), 1, "the SOA");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(text(&get(&route53, &path).await.1, "Status"), "INSYNC");
    assert_eq!(values(&udp(route53.dns_addr(), &ask).await.0), ["192.0.2.1"]);
    route53.shutdown().await;
}

#[tokio::test]
async fn dns_answers_by_client_subnet() {
    let (route53, zone) = start(fast()).await;
    seed(&route53, &zone, "
        CREATE A l.example.com id=eu region=eu-west-1 alias=ZLY8HYME6SFDD:d-eu.execute-api.eu-west-1.amazonaws.com:true
        CREATE A l.example.com id=us region=us-east-1 ttl=30 v=192.0.2.2
        CREATE CNAME c.example.com ttl=60 v=l.example.com
        CREATE TXT *.wild.example.com ttl=60 v=\"w\"
    ");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let dns = route53.dns_addr();
    let ask = |name, kind, subnet| Ask { name, kind, subnet, payload: None };
    let (eu, _) = udp(dns, &ask("L.example.com.", RecordType::A, Some("198.18.7.0"))).await;
    assert_eq!((values(&eu), eu.answers[0].ttl), (vec!["127.0.10.1".to_owned()], 60));
    let Some(EdnsOption::Subnet(echo)) = eu.edns.as_ref().unwrap().option(EdnsCode::Subnet) else {
        panic!("the subnet is not echoed");
    };
    assert_eq!((echo.source_prefix(), echo.scope_prefix()), (24, 24));
    assert!(eu.metadata.authoritative);
    let (us, _) = udp(dns, &ask("l.example.com.", RecordType::A, Some("203.0.113.0"))).await;
    assert_eq!((values(&us), us.answers[0].ttl), (vec!["192.0.2.2".to_owned()], 30));
    let (plain, _) = udp(dns, &ask("l.example.com.", RecordType::A, None)).await;
    assert_eq!(values(&plain), ["192.0.2.2"], "loopback is a resolver in us-east-1");
    let (chain, _) = udp(dns, &ask("c.example.com.", RecordType::A, Some("198.18.7.0"))).await;
    assert_eq!(values(&chain).len(), 2);
    let (none, _) = udp(dns, &ask("l.example.com.", RecordType::AAAA, None)).await;
    assert_eq!(
        (none.metadata.response_code, none.answers.len(), none.authorities.len()),
        (ResponseCode::NoError, 0, 1)
    );
    let (wild, _) = udp(dns, &ask("x.wild.example.com.", RecordType::TXT, None)).await;
    assert_eq!(wild.answers[0].name.to_ascii(), "x.wild.example.com.");
    let (foreign, _) = udp(dns, &ask("www.other.org.", RecordType::A, None)).await;
    assert_eq!(foreign.metadata.response_code, ResponseCode::Refused);
    let (resource, _) =
        udp(dns, &ask("d-eu.execute-api.eu-west-1.amazonaws.com.", RecordType::A, None)).await;
    assert_eq!(values(&resource), ["127.0.10.1"]);
    assert_eq!(values(&tcp(dns, &ask("l.example.com.", RecordType::A, None)).await), ["192.0.2.2"]);
    let path = format!(
        "/2013-04-01/testdnsanswer?hostedzoneid={zone}&recordname=l.example.com&recordtype=A&edns0clientsubnetip=198.18.7.9"
    );
    assert_eq!(text(&get(&route53, &path).await.1, "RecordDataEntry"), "127.0.10.1");
    route53.shutdown().await;
}

#[tokio::test]
async fn long_answers_are_truncated_on_udp_only() {
    let (route53, zone) = start(fast()).await;
    let many: Vec<String> = (0..60).map(|at| format!("v=192.0.2.{at}")).collect();
    let many = many.join(" ");
    seed(&route53, &zone, &format!("CREATE A big.example.com ttl=60 {many}"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let ask =
        |payload| Ask { name: "big.example.com.", kind: RecordType::A, subnet: None, payload };
    let (plain, length) = udp(route53.dns_addr(), &ask(None)).await;
    assert!(plain.metadata.truncation && length <= 512 && plain.answers.is_empty());
    let (wide, _) = udp(route53.dns_addr(), &ask(Some(4096))).await;
    assert_eq!((wide.metadata.truncation, wide.answers.len()), (false, 60));
    assert_eq!(tcp(route53.dns_addr(), &ask(None)).await.answers.len(), 60);
    route53.shutdown().await;
}

#[tokio::test]
async fn faults_are_met_in_order_and_calls_counted() {
    let (route53, _) = start(fast()).await;
    let (faults, count) = (route53.faults(), Operation::GetHostedZoneCount);
    let path = "/2013-04-01/hostedzonecount";
    for fault in [
        Fault::Throttling,
        Fault::PriorRequestNotComplete,
        Fault::InternalFailure,
        Fault::ServiceUnavailable,
    ] {
        faults.push(count, fault);
    }
    for expect in [
        (400, "Throttling"),
        (400, "PriorRequestNotComplete"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
    ] {
        let (status, body) = get(&route53, path).await;
        assert_eq!((status, text(&body, "Code")), expect);
    }
    let create = Operation::CreateHostedZone;
    let body = |reference: &str| {
        format!(
            "<CreateHostedZoneRequest {XMLNS}><Name>two.example</Name><CallerReference>{reference}</CallerReference></CreateHostedZoneRequest>"
        )
    };
    let zones = async || text(&get(&route53, path).await.1, "HostedZoneCount").to_owned();
    faults.push(create, Fault::DropBefore);
    assert!(call(&route53, "POST", "/2013-04-01/hostedzone", &body("a"), true).await.is_none());
    assert_eq!(zones().await, "1");
    faults.push(create, Fault::DropAfter);
    assert!(call(&route53, "POST", "/2013-04-01/hostedzone", &body("b"), true).await.is_none());
    assert_eq!(zones().await, "2");
    let again = call(&route53, "POST", "/2013-04-01/hostedzone", &body("b"), true).await.unwrap();
    assert_eq!((again.0, text(&again.1, "Code")), (409, "HostedZoneAlreadyExists"));
    assert_eq!((faults.calls(create), faults.calls(count)), (3, 6));
    route53.shutdown().await;
}

#[tokio::test]
async fn throttling_and_prior_requests() {
    let options = Options {
        throttling: Some(lab::route53::limits::Throttling::default()),
        processing: Duration::from_mins(1),
        ..fast()
    };
    let (route53, zone) = start(options).await;
    seed(&route53, &zone, "CREATE A a.example.com ttl=60 v=192.0.2.1");
    let error = route53
        .change(&zone, &batch("CREATE A b.example.com ttl=60 v=192.0.2.1", &zone).unwrap())
        .unwrap_err();
    assert_eq!(error.code.wire().0, "PriorRequestNotComplete");
    let mut refused = None;
    for _ in 0..200 {
        let (status, body) = get(&route53, "/2013-04-01/hostedzonecount").await;
        if status != 200 {
            refused =
                Some((status, text(&body, "Code").to_owned(), text(&body, "Message").to_owned()));
            break;
        }
    }
    assert_eq!(refused, Some((400, "Throttling".to_owned(), "Rate exceeded".to_owned())));
    route53.shutdown().await;
}

/// A health check of an HTTP listener, through its whole life, with the answers that follow.
#[tokio::test]
async fn health_checks_observe_and_decide() {
    let (route53, zone) = start(fast()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    let body = |threshold: u8| {
        format!(
            "<CreateHealthCheckRequest {XMLNS}><CallerReference>h</CallerReference><HealthCheckConfig><IPAddress>127.0.0.1</IPAddress><Port>{port}</Port><Type>HTTP</Type><FailureThreshold>{threshold}</FailureThreshold></HealthCheckConfig></CreateHealthCheckRequest>"
        )
    };
    let create = async |threshold| {
        call(&route53, "POST", "/2013-04-01/healthcheck", &body(threshold), true).await.unwrap()
    };
    let (status, made) = create(1).await;
    assert_eq!(status, 201);
    let id = text(&made, "Id").to_owned();
    let observed = async || get(&route53, &format!("/2013-04-01/healthcheck/{id}/status")).await.1;
    assert!(!observed().await.contains("<HealthCheckObservation>"), "none before the delay");
    assert_eq!(text(&create(1).await.1, "Id"), id, "the same reference and settings");
    assert_eq!(text(&create(2).await.1, "Code"), "HealthCheckAlreadyExists");
    seed(
        &route53,
        &zone,
        &format!(
            "
        CREATE A f.example.com id=p failover=PRIMARY ttl=60 v=192.0.2.1 hc={id}
        CREATE A f.example.com id=s failover=SECONDARY ttl=60 v=192.0.2.2
    "
        ),
    );
    let ask = Ask { name: "f.example.com.", kind: RecordType::A, subnet: None, payload: None };
    tokio::time::sleep(Duration::from_millis(500)).await;
    let reports = observed().await;
    assert_eq!(reports.matches("<HealthCheckObservation>").count(), 8);
    assert_eq!(text(&reports, "Status"), "Success: HTTP Status Code 200, OK");
    assert_eq!(values(&udp(route53.dns_addr(), &ask).await.0), ["192.0.2.1"]);
    server.abort();
    let mut failed_over = false;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        failed_over = values(&udp(route53.dns_addr(), &ask).await.0) == ["192.0.2.2"];
        if failed_over {
            break;
        }
    }
    assert!(failed_over && !route53.is_healthy(&id));
    let deleted =
        call(&route53, "DELETE", &format!("/2013-04-01/healthcheck/{id}"), "", true).await.unwrap();
    assert_eq!(deleted.0, 200);
    assert_eq!(
        text(&create(1).await.1, "Code"),
        "HealthCheckAlreadyExists",
        "its reference stays taken"
    );
    route53.shutdown().await;
}

#[tokio::test]
async fn an_alarm_turns_a_check_on_a_metric() {
    let (route53, _) = start(fast()).await;
    let body = format!(
        "<CreateHealthCheckRequest {XMLNS}><CallerReference>m</CallerReference><HealthCheckConfig><Type>CLOUDWATCH_METRIC</Type><AlarmIdentifier><Region>us-east-1</Region><Name>green</Name></AlarmIdentifier><InsufficientDataHealthStatus>Healthy</InsufficientDataHealthStatus></HealthCheckConfig></CreateHealthCheckRequest>"
    );
    let (_, made) = call(&route53, "POST", "/2013-04-01/healthcheck", &body, true).await.unwrap();
    let id = text(&made, "Id");
    assert!(route53.is_healthy(id));
    route53.set_alarm_state("us-east-1", "green", AlarmState::Alarm);
    assert!(!route53.is_healthy(id));
    route53.shutdown().await;
}

/// Follows `NextMarker` from page to page; the ids in order, and how many pages there were.
async fn all_pages(route53: &Route53, path: &str, limit: usize) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut marker) = (Vec::new(), 0, String::new());
    loop {
        let (status, body) = get(route53, &format!("{path}?maxitems={limit}{marker}")).await;
        assert_eq!((status, text(&body, "MaxItems")), (200, limit.to_string().as_str()));
        let page: Vec<String> = body.split("<Id>").skip(1).map(id_in).collect();
        assert!(page.len() <= limit);
        ids.extend(page);
        pages += 1;
        if text(&body, "IsTruncated") == "false" {
            assert!(!body.contains("<NextMarker>"));
            return (ids, pages);
        }
        marker = format!("&marker={}", text(&body, "NextMarker"));
    }
}

fn id_in(part: &str) -> String {
    let id = part.split_once('<').unwrap().0;
    id.trim_start_matches("/hostedzone/").to_owned()
}

#[tokio::test]
async fn zones_and_health_checks_are_paged() {
    let (route53, first) = start(fast()).await;
    let mut zones = vec![first];
    for number in 0..6 {
        zones.push(route53.create_zone(&format!("z{number}.example")).unwrap());
    }
    zones.sort();
    let zones_path = "/2013-04-01/hostedzone";
    for (limit, pages) in [(1, 7), (3, 3), (7, 1), (100, 1)] {
        assert_eq!(all_pages(&route53, zones_path, limit).await, (zones.clone(), pages), "{limit}");
    }
    let mut checks = Vec::new();
    for number in 0..5 {
        let body = format!(
            "<CreateHealthCheckRequest {XMLNS}><CallerReference>{number}</CallerReference><HealthCheckConfig><IPAddress>127.0.0.1</IPAddress><Port>9</Port><Type>TCP</Type></HealthCheckConfig></CreateHealthCheckRequest>"
        );
        let made = call(&route53, "POST", "/2013-04-01/healthcheck", &body, true).await.unwrap();
        checks.push(text(&made.1, "Id").to_owned());
    }
    checks.sort();
    let path = "/2013-04-01/healthcheck";
    for (limit, pages) in [(1, 5), (2, 3), (5, 1), (100, 1)] {
        assert_eq!(all_pages(&route53, path, limit).await, (checks.clone(), pages), "{limit}");
    }
    for bad in ["maxitems=0", "maxitems=x"] {
        for path in [zones_path, path] {
            let (status, body) = get(&route53, &format!("{path}?{bad}")).await;
            assert_eq!((status, text(&body, "Code")), (400, "InvalidInput"), "{path} {bad}");
        }
    }
    route53.shutdown().await;
}

#[tokio::test]
async fn tags_of_several_resources_come_together() {
    let (route53, one) = start(fast()).await;
    let two = route53.create_zone("two.example").unwrap();
    let tag = |key: &str, value: &str| {
        format!(
            "<ChangeTagsForResourceRequest {XMLNS}><AddTags><Tag><Key>{key}</Key><Value>{value}</Value></Tag></AddTags></ChangeTagsForResourceRequest>"
        )
    };
    for (id, key, value) in [(&one, "owner", "a"), (&one, "stage", "b"), (&two, "owner", "c")] {
        let path = format!("/2013-04-01/tags/hostedzone/{id}");
        let set = call(&route53, "POST", &path, &tag(key, value), true).await.unwrap();
        assert_eq!(set.0, 200, "{}", set.1);
    }
    let ask = |ids: &[&str]| {
        let ids: Vec<String> =
            ids.iter().map(|id| format!("<ResourceId>{id}</ResourceId>")).collect();
        let ids = ids.concat();
        format!(
            "<ListTagsForResourcesRequest {XMLNS}><ResourceIds>{ids}</ResourceIds></ListTagsForResourcesRequest>"
        )
    };
    let list = async |ids: &[&str]| {
        call(&route53, "POST", "/2013-04-01/tags/hostedzone", &ask(ids), true).await.unwrap()
    };
    let (status, body) = list(&[&two, &one]).await;
    assert_eq!(status, 200, "{body}");
    let sets: Vec<&str> = body.split("<ResourceTagSet>").skip(1).collect();
    assert_eq!(sets.len(), 2);
    assert_eq!(
        (text(sets[0], "ResourceId"), text(sets[0], "ResourceType")),
        (two.as_str(), "hostedzone")
    );
    assert_eq!(text(sets[1], "ResourceId"), one);
    assert_eq!((sets[0].matches("<Tag>").count(), sets[1].matches("<Tag>").count()), (1, 2));
    assert_eq!((text(sets[0], "Key"), text(sets[0], "Value")), ("owner", "c"));
    let (status, body) = list(&[&one, "ZNOTHERE"]).await;
    assert_eq!((status, text(&body, "Code")), (404, "NoSuchHostedZone"));
    let eleven = vec![one.as_str(); 11];
    let (status, body) = list(&eleven).await;
    assert_eq!((status, text(&body, "Code")), (400, "InvalidInput"));
    route53.shutdown().await;
}
