//! Answers that end badly, from a server that speaks Smithy RPC v2 CBOR by hand.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::{Patience, connect};
use super::*;
use crate::Access;

/// One text, an array of as many items as follow, and a map: all of CBOR that is needed here.
fn text(text: &str) -> Vec<u8> {
    [&[0x78, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [&[0x80 + u8::try_from(items.len()).unwrap()][..], &items.concat()].concat()
}

fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xA0 + u8::try_from(fields.len()).unwrap()];
    for (name, value) in fields {
        bytes.extend([text(name), value.clone()].concat());
    }
    bytes
}

fn result(id: &str, status: &str) -> Vec<u8> {
    map(&[("Id", text(id)), ("StatusCode", text(status))])
}

/// Reads requests of one connection and answers each with the same.
async fn answer(mut stream: TcpStream, body: Vec<u8>, calls: Arc<AtomicUsize>) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-type: application/cbor\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut seen = Vec::new();
    loop {
        let mut part = [0; 16_384];
        let Ok(read @ 1..) = stream.read(&mut part).await else { return };
        seen.extend_from_slice(&part[..read]);
        let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head_text = String::from_utf8_lossy(&seen[..end]).to_ascii_lowercase();
        let length = head_text.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        if seen.len() < end + 4 + length {
            continue;
        }
        seen.drain(..end + 4 + length);
        calls.fetch_add(1, Ordering::Relaxed);
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    }
}

/// What is made of an answer to two questions that is the same on every page, and how often it was
/// asked for.
async fn asked(body: Vec<u8>) -> (Result<Vec<Points>, AskError>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, body.clone(), Arc::clone(&counted)));
        }
    });
    let access = Access {
        cloudwatch_url: Some(url),
        credentials: Some(("test".to_owned(), "test".to_owned())),
        ..Access::default()
    };
    let patience = Patience { attempts: 1, attempt: Duration::from_secs(10) };
    let client = connect(&access, "eu-west-1", patience).await;
    let question = Question {
        metric: "Response".to_owned(),
        dimensions: Vec::new(),
        statistic: "p50".to_owned(),
        period_s: 60,
    };
    let questions = [question.clone(), question];
    let told = ask(&client, "Nearside", &questions, (0, 3_600), None).await;
    (told, calls.load(Ordering::Relaxed))
}

#[tokio::test]
async fn an_answer_without_end_is_an_error() {
    let body = map(&[("MetricDataResults", array(&[])), ("NextToken", text("more"))]);
    let (told, calls) = asked(body).await;
    assert_eq!(told.unwrap_err().to_string(), "the answer to 2 queries goes on after 128 pages");
    assert_eq!(calls, PAGES_MAX);
}

#[tokio::test]
async fn a_query_that_was_not_answered_is_no_empty_series() {
    for status in ["InternalError", "Forbidden", "PartialData"] {
        let results = array(&[result("q0", "Complete"), result("q1", status)]);
        let (told, calls) = asked(map(&[("MetricDataResults", results)])).await;
        let said = format!("1 of 2 queries were not answered in full (the first: {status})");
        assert_eq!((told.unwrap_err().to_string(), calls), (said, 1));
    }
    let (told, _) = asked(map(&[("MetricDataResults", array(&[result("q1", "Complete")]))])).await;
    let said = "1 of 2 queries were not answered in full (the first: no result)";
    assert_eq!(told.unwrap_err().to_string(), said, "there is one result for each query");
    let results = array(&[result("q0", "Complete"), result("q1", "Complete")]);
    let (told, _) = asked(map(&[("MetricDataResults", results)])).await;
    assert_eq!(
        told.unwrap(),
        vec![Points::new(); 2],
        "nothing was measured, and that is an answer"
    );
}
