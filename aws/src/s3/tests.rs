//! Requests against a server on loopback that looks at what was signed.

use std::sync::Mutex;

use probe::clock::ManualClock;
use reports::deliver::{Patience, http_client as deliver_client, send};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Takes requests one by one and answers with these statuses in turn, the last one for ever.
async fn serve(statuses: Vec<u16>) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Seen = Arc::default();
    let into = Arc::clone(&seen);
    tokio::spawn(async move {
        for index in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read(&mut stream).await;
            into.lock().unwrap().push(request);
            let status = statuses.get(index).or(statuses.last()).unwrap();
            let head =
                format!("HTTP/1.1 {status} so\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    });
    (url, seen)
}

async fn read(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let n = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..n]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = header(&head, "content-length").parse::<usize>().unwrap();
        if bytes.len() >= end + 4 + length {
            return (head, bytes[end + 4..].to_vec());
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let found = head.lines().find_map(|line| {
        let (own, value) = line.split_once(": ")?;
        own.eq_ignore_ascii_case(name).then_some(value)
    });
    found.unwrap_or_else(|| panic!("no {name} in {head}"))
}

fn bucket(endpoint: &str) -> S3 {
    S3 {
        address: S3Address {
            bucket: "team-reports".into(),
            prefix: "nearside/".into(),
            region: None,
        },
        region: "eu-west-1".into(),
        endpoint: Some(endpoint.to_owned()),
        credentials: SharedCredentialsProvider::new(Credentials::new(
            "AKIDEXAMPLE",
            "s3cret",
            None,
            None,
            "test",
        )),
        client: deliver_client().unwrap(),
        // 2026-11-26T07:00:00Z
        clock: Arc::new(ManualClock::new(1_795_676_400_000)),
    }
}

fn parcel() -> Parcel {
    Parcel {
        name: "api.myapp.com-2026-11-26T070000".into(),
        files: vec![
            ("report.html".into(), b"<p>".to_vec()),
            ("report.json".into(), b"{}".to_vec()),
        ],
        service: "api.myapp.com".into(),
        period: String::new(),
        answer: Vec::new(),
        breached: false,
    }
}

const QUICK: Patience = Patience {
    tries: 3,
    timeout: Duration::from_secs(5),
    backoff: Duration::from_millis(5),
    backoff_max: Duration::from_millis(5),
};

#[tokio::test]
async fn each_file_is_put_and_signed() {
    let (url, seen) = serve(vec![503, 200]).await;
    let folder = tempfile::tempdir().unwrap();
    let sent = send(&bucket(&url), &parcel(), QUICK, folder.path()).await.unwrap();
    assert_eq!((sent.tries, &sent.failed), (2, &None), "{sent:?}");
    assert_eq!(sent.place, "s3://team-reports/nearside/");
    let seen = seen.lock().unwrap();
    let lines: Vec<&str> = seen.iter().map(|(head, _)| head.lines().next().unwrap()).collect();
    let put = |name: &str| {
        format!("PUT /team-reports/nearside/api.myapp.com-2026-11-26T070000/{name} HTTP/1.1")
    };
    assert_eq!(lines, [put("report.html"), put("report.html"), put("report.json")]);
    let (head, body) = &seen[2];
    assert_eq!(body, b"{}");
    assert_eq!(header(head, "content-type"), "application/json");
    assert_eq!(header(head, "x-amz-date"), "20261126T070000Z");
    // The SHA-256 of `{}`.
    assert_eq!(
        header(head, "x-amz-content-sha256"),
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
    let authorization = header(head, "authorization");
    assert!(
        authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/eu-west-1/s3/aws4_request, \
             SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature="
        ),
        "{authorization}"
    );
}

#[tokio::test]
async fn a_refusal_is_kept_and_names_no_secret() {
    let (url, _) = serve(vec![403]).await;
    let folder = tempfile::tempdir().unwrap();
    let sent = send(&bucket(&url), &parcel(), QUICK, folder.path()).await.unwrap();
    let (cause, kept) = sent.failed.clone().unwrap();
    assert_eq!(
        (sent.tries, cause.as_str()),
        (1, "these credentials may not write there (status 403)")
    );
    assert!(kept.join("report.html").exists());
    assert!(!format!("{sent:?}").contains("s3cret"));
}

#[test]
fn addresses() {
    let mut bucket = bucket("http://127.0.0.1:9/");
    assert_eq!(bucket.url("a/b"), "http://127.0.0.1:9/team-reports/a/b");
    bucket.endpoint = None;
    assert_eq!(bucket.url("a"), "https://team-reports.s3.eu-west-1.amazonaws.com/a");
    bucket.address.bucket = "a.b.c".into();
    assert_eq!(bucket.url("a"), "https://s3.eu-west-1.amazonaws.com/a.b.c/a");
    assert_eq!(encoded("a b/\u{e9}+c"), "a%20b/%C3%A9%2Bc");
}
