//! Deliveries against servers on loopback that fail, stall, recover, and refuse.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const SECRET: &str = "s3cret-token";

/// What the server does with one request.
#[derive(Debug, Clone, Copy)]
enum Act {
    Answer(u16, &'static str),
    Stall,
    Drop,
}

struct Server {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Does these things in turn, one a request; the last one for ever.
    async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/{SECRET}?key={SECRET}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        tokio::spawn(async move {
            for index in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let body = read_body(&mut stream).await;
                seen.lock().unwrap().push(body);
                let act = acts.get(index).or(acts.last()).copied().unwrap();
                tokio::spawn(answer(stream, act));
            }
        });
        Self { url, bodies }
    }

    fn webhook(&self, prefix: &str) -> Webhook {
        let address = Destination::parse(&format!("{prefix}{}", self.url), |_| None).unwrap();
        let Destination::Webhook(address) = address else { panic!("no webhook") };
        Webhook::new(address, http_client().unwrap())
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

async fn read_body(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let n = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(n > 0, "the head never ended: {text}");
            continue;
        };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse::<usize>().unwrap() {
            assert!(head.contains("content-type: application/json"), "{head}");
            return body.to_owned();
        }
    }
}

async fn answer(mut stream: TcpStream, act: Act) {
    match act {
        Act::Drop => {}
        Act::Stall => tokio::time::sleep(Duration::from_mins(1)).await,
        Act::Answer(status, headers) => {
            let head = format!(
                "HTTP/1.1 {status} so\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    }
}

fn parcel() -> Parcel {
    Parcel {
        name: "api.myapp.com-2026-11-26T0700".into(),
        files: vec![("report.json".into(), b"{\"format\":1}\n".to_vec())],
        service: "api.myapp.com".into(),
        period: "2026-11-19 07:00 to 2026-11-26 07:00 (UTC)".into(),
        answer: vec!["A <!channel> & [b](http://c).".into(), "Two.\u{202e}".into()],
        breached: true,
    }
}

const QUICK: Patience = Patience {
    tries: 5,
    timeout: Duration::from_millis(250),
    backoff: Duration::from_millis(5),
    backoff_max: Duration::from_millis(40),
};

/// Nothing that is told or kept holds the secret.
fn assert_no_secret(delivered: &Delivered, folder: &Path) {
    assert!(!format!("{delivered:?}").contains(SECRET), "{delivered:?}");
    for entry in walk(folder) {
        let text = std::fs::read_to_string(&entry).unwrap();
        assert!(!text.contains(SECRET), "{}: {text}", entry.display());
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn it_fails_stalls_and_recovers() {
    let acts = vec![
        Act::Answer(500, ""),
        Act::Stall,
        Act::Drop,
        Act::Answer(429, "retry-after: 900\r\n"),
        Act::Answer(200, ""),
    ];
    let server = Server::start(acts).await;
    let folder = tempfile::tempdir().unwrap();
    let sent = send(&server.webhook(""), &parcel(), QUICK, folder.path()).await.unwrap();
    assert_eq!((sent.tries, &sent.failed), (5, &None), "{sent:?}");
    assert_eq!(server.bodies(), ["{\"format\":1}\n"; 5]);
    assert_no_secret(&sent, folder.path());
    assert_eq!(walk(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_is_never_taken_is_kept_with_the_cause() {
    let server = Server::start(vec![Act::Stall]).await;
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { tries: 3, ..QUICK };
    let sent = send(&server.webhook(""), &parcel(), patience, folder.path()).await.unwrap();
    let (cause, kept) = sent.failed.clone().unwrap();
    assert_eq!((sent.tries, cause.as_str()), (3, "no answer within 250ms"));
    assert_eq!(std::fs::read(kept.join("report.json")).unwrap(), b"{\"format\":1}\n");
    let why = std::fs::read_to_string(kept.join("undelivered.json")).unwrap();
    assert!(why.contains("no answer within 250ms") && why.contains("http://127.0.0.1:"), "{why}");
    assert_no_secret(&sent, folder.path());
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_no_redirect_is_followed() {
    for (status, headers) in [(404, ""), (302, "location: http://127.0.0.1:9/\r\n")] {
        let server = Server::start(vec![Act::Answer(status, headers)]).await;
        let folder = tempfile::tempdir().unwrap();
        let sent = send(&server.webhook(""), &parcel(), QUICK, folder.path()).await.unwrap();
        let (cause, _) = sent.failed.clone().unwrap();
        assert_eq!((sent.tries, cause), (1, format!("it answered with status {status}")));
        assert_no_secret(&sent, folder.path());
    }
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{SECRET}", listener.local_addr().unwrap());
    drop(listener);
    let server = Server { url, bodies: Arc::default() };
    let folder = tempfile::tempdir().unwrap();
    let sent = send(&server.webhook(""), &parcel(), QUICK, folder.path()).await.unwrap();
    assert_eq!(sent.failed.clone().unwrap().0, "it cannot be reached");
    assert_no_secret(&sent, folder.path());
}

#[tokio::test]
async fn shapes() {
    let server = Server::start(vec![Act::Answer(200, "")]).await;
    let folder = tempfile::tempdir().unwrap();
    for prefix in ["slack+", "teams+"] {
        let sent = send(&server.webhook(prefix), &parcel(), QUICK, folder.path()).await.unwrap();
        assert_eq!(sent.failed, None);
    }
    let bodies: Vec<serde_json::Value> =
        server.bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(bodies[0]["blocks"][1]["text"]["type"], "plain_text");
    assert_eq!(
        bodies[0]["blocks"][1]["text"]["text"],
        "A <!channel> & [b](http://c). Two.\\u{202e}"
    );
    assert_eq!(bodies[0]["text"], "api.myapp.com: latency and routing (objective breached)");
    let card = &bodies[1]["attachments"][0]["content"];
    assert_eq!(card["body"][2]["inlines"][0]["text"], "Two.\\u{202e}");
    assert_eq!(card["body"][0]["inlines"][0]["type"], "TextRun");
}

#[tokio::test]
async fn a_folder_takes_the_same_report_once() {
    let folder = tempfile::tempdir().unwrap();
    let to = Folder::new(folder.path().join("reports"));
    for _ in 0..2 {
        let sent = send(&to, &parcel(), QUICK, &folder.path().join("no")).await.unwrap();
        assert_eq!((sent.tries, sent.failed), (1, None));
    }
    let files = walk(folder.path());
    assert_eq!(files, [folder.path().join("reports/api.myapp.com-2026-11-26T0700/report.json")]);
}
