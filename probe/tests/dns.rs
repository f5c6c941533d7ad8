//! The DNS client against servers that answer, lie, truncate and keep silent.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

#[path = "support/dns.rs"]
mod server_of;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, Record};
use probe::dns::{Client, DnsError, RecordType, ResponseCode, SystemResolver};
use server_of::{Replies, address, bytes, reply};

fn full(question: &Message) -> Message {
    let mut reply = address(question, Ipv4Addr::new(192, 0, 2, 7));
    let query = question.queries[0].clone();
    if query.query_type == RecordType::TXT {
        let texts = vec!["v=1 ".to_owned(), "label=eu-west-1".to_owned()];
        reply.add_answer(Record::from_rdata(query.name, 60, RData::TXT(TXT::new(texts))));
    }
    let asked = question.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Subnet));
    if let Some(EdnsOption::Subnet(subnet)) = asked {
        let mut edns = Edns::new();
        let (address, len) = (subnet.addr(), subnet.source_prefix());
        edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(address, len, 24)));
        reply.set_edns(edns);
    }
    reply
}

/// Over TCP it always answers in full.
async fn server(replies: Replies) -> SocketAddr {
    server_of::server(replies, |question| vec![bytes(&full(question))]).await
}

fn client(server: SocketAddr) -> Client {
    Client { timeout: Duration::from_millis(200), attempts: 2, ..Client::new(server) }
}

#[tokio::test]
async fn an_answer_with_its_scope() {
    let at = server(|question| vec![bytes(&full(question))]).await;
    let subnet = "198.18.5.77/24".parse().unwrap();
    let answer =
        client(at).query("_nearside.Example.test", RecordType::TXT, Some(subnet)).await.unwrap();
    assert_eq!(answer.rcode, ResponseCode::NoError);
    assert_eq!(answer.texts().collect::<Vec<_>>(), ["v=1 label=eu-west-1"]);
    assert_eq!((answer.scope, answer.tcp, answer.authoritative), (Some(24), false, true));
    assert_eq!(answer.records[0].ttl_s, 60);
    let without = client(at).query("a.test.", RecordType::A, None).await.unwrap();
    assert_eq!(without.scope, None);
    assert_eq!(without.addresses().next().unwrap().0, Ipv4Addr::new(192, 0, 2, 7));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let at = server(|question| {
        let mut cut = reply(question);
        cut.metadata.truncation = true;
        vec![bytes(&cut)]
    })
    .await;
    let answer = client(at).query("a.test", RecordType::A, None).await.unwrap();
    assert!(answer.tcp);
    assert_eq!(answer.records.len(), 1);
}

#[tokio::test]
async fn lies_are_ignored_and_the_truth_after_them_is_taken() {
    let at = server(|question| {
        let mut wrong_id = full(question);
        wrong_id.metadata.id = wrong_id.metadata.id.wrapping_add(1);
        let mut wrong_name = full(question);
        wrong_name.queries[0].name = Name::from_ascii("evil.test.").unwrap();
        let mut not_a_reply = full(question);
        not_a_reply.metadata.message_type = MessageType::Query;
        let all = [wrong_id, wrong_name, not_a_reply, full(question)];
        let mut packets: Vec<Vec<u8>> = all.iter().map(bytes).collect();
        packets.insert(0, b"nonsense".to_vec());
        packets
    })
    .await;
    let answer = client(at).query("a.test", RecordType::A, None).await.unwrap();
    assert_eq!(answer.records[0].name, "a.test");
}

#[tokio::test]
async fn silence_and_lies_alone_end_in_time() {
    let silent = server(|_| Vec::new()).await;
    let error = client(silent).query("a.test", RecordType::A, None).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no answer from {silent} within 200 ms, asked 2 times"));
    let liar = server(|question| {
        let mut wrong = full(question);
        wrong.metadata.id ^= 1;
        vec![bytes(&wrong)]
    })
    .await;
    let error = client(liar).query("a.test", RecordType::A, None).await.unwrap_err();
    assert!(matches!(error, DnsError::Timeout { .. }));
    let error = client(liar).query("a..test", RecordType::A, None).await.unwrap_err();
    assert!(matches!(error, DnsError::Name { .. }));
}

#[tokio::test]
async fn a_code_is_an_answer_and_no_address_is_an_error() {
    let at = server(|question| {
        let mut none = reply(question);
        none.metadata.response_code = ResponseCode::NXDomain;
        vec![bytes(&none)]
    })
    .await;
    let answer = client(at).query("a.test", RecordType::A, None).await.unwrap();
    assert_eq!(answer.rcode, ResponseCode::NXDomain);
    let error = SystemResolver::from_servers(&[at]).lookup("a.test").await.unwrap_err();
    assert!(matches!(error, DnsError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_lookup_asks_both_families() {
    let at = server(|question| vec![bytes(&full(question))]).await;
    let found = SystemResolver::from_servers(&[at]).lookup("a.test").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].address.to_string().as_str(), found[0].ttl_s), ("192.0.2.7", Some(60)));
}
