//! The DNS server: UDP and TCP on one port of 127.0.0.1. It carries questions to `answer` and
//! answers to the wire; it decides nothing but sizes and refusals of the protocol.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name as WireName, RData, Record as WireRecord, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::answer::{Answer, Question, Rcode, Record};
use super::model::RrType;
use super::name::Name;
use super::server::{Ending, Shared};
use super::value;
use crate::accept::{accept, stopped};

/// UDP reply size of a client without EDNS, bytes.
const PLAIN_UDP_MAX: usize = 512;
/// UDP reply size that this server allows itself, bytes.
const UDP_MAX: u16 = 4096;
/// TCP connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 128;
/// How long a TCP client may stay silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts to find a port that is free on UDP and TCP.
const BIND_ATTEMPTS: usize = 32;
/// The wait after a failed receive.
const PAUSE: Duration = Duration::from_millis(20);

/// Sockets on one address.
pub(super) struct Sockets {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
    pub(super) addr: SocketAddr,
}

/// Binds UDP and TCP to one port that the system chooses.
pub(super) async fn bind() -> io::Result<Sockets> {
    let mut last = io::Error::other("no attempt was made");
    for _ in 0..BIND_ATTEMPTS {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = tcp.local_addr()?;
        match UdpSocket::bind(addr).await {
            Ok(udp) => return Ok(Sockets { udp, tcp, addr }),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Answers datagrams until the service ends. An answer takes no waiting, so one at a time is
/// enough, and the socket's own buffer is the queue.
pub(super) async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>, ending: Ending) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let received = tokio::select! {
            () = stopped(ending.clone()) => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let Ok((length, client)) = received else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if let Some(reply) = reply(&shared, &buffer[..length], client.ip(), false)
            && let Err(error) = socket.send_to(&reply, client).await
        {
            tracing::debug!(%error, "a DNS reply could not be sent");
        }
    }
}

/// Answers on TCP until the service ends.
pub(super) async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>, ending: Ending) {
    let serving = move |stream, client: SocketAddr| {
        let shared = Arc::clone(&shared);
        async move {
            if let Err(error) = converse(stream, client.ip(), &shared).await {
                tracing::debug!(%error, "a DNS connection ended early");
            }
        }
    };
    accept(listener, CONNECTIONS_MAX, stopped(ending), serving).await;
}

async fn converse(mut stream: TcpStream, client: IpAddr, shared: &Shared) -> io::Result<()> {
    loop {
        let read = tokio::time::timeout(IDLE_TIMEOUT, async {
            let length = stream.read_u16().await?;
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await?;
            Ok::<_, io::Error>(query)
        });
        let query = match read.await {
            Ok(Ok(query)) => query,
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(()),
        };
        let Some(reply) = reply(shared, &query, client, true) else { return Ok(()) };
        let Ok(length) = u16::try_from(reply.len()) else { return Ok(()) };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend(reply);
        tokio::time::timeout(IDLE_TIMEOUT, stream.write_all(&framed)).await??;
    }
}

/// The reply to a query; `None` to what is none.
fn reply(shared: &Shared, query: &[u8], client: IpAddr, tcp: bool) -> Option<Vec<u8>> {
    let Ok(query) = Message::from_vec(query) else { return format_error(query) };
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.add_queries(query.queries.iter().cloned());
    let subnet = client_subnet(&query);
    let by_network =
        fill(&mut reply, shared, &query, subnet.map_or(client, |subnet| subnet.addr()));
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_MAX).set_version(0);
        if asked.version() != 0 {
            reply.answers.clear();
            reply.authorities.clear();
            reply.metadata.response_code = ResponseCode::BADVERS;
            edns.set_rcode_high(1);
        }
        if let Some(subnet) = subnet {
            let scope = if by_network { subnet.source_prefix() } else { 0 };
            let echo = ClientSubnet::new(subnet.addr(), subnet.source_prefix(), scope);
            edns.options_mut().insert(EdnsOption::Subnet(echo));
        }
        reply.set_edns(edns);
    }
    let limit = match (&query.edns, tcp) {
        (_, true) => usize::from(u16::MAX),
        (Some(edns), false) => usize::from(edns.max_payload().min(UDP_MAX)).max(PLAIN_UDP_MAX),
        (None, false) => PLAIN_UDP_MAX,
    };
    encode(reply, limit)
}

/// A header that says FORMERR, where there is an id to say it to.
fn format_error(query: &[u8]) -> Option<Vec<u8>> {
    let [high, low, flags, ..] = *query else { return None };
    if query.len() < 12 || flags & 0x80 != 0 {
        return None;
    }
    let id = u16::from_be_bytes([high, low]);
    Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok()
}

/// Encodes a reply; over `limit` bytes it is emptied and marked as truncated.
fn encode(mut reply: Message, limit: usize) -> Option<Vec<u8>> {
    let whole = reply.to_vec().ok()?;
    if whole.len() <= limit {
        return Some(whole);
    }
    reply.answers.clear();
    reply.authorities.clear();
    reply.additionals.clear();
    reply.metadata.truncation = true;
    reply.to_vec().ok()
}

fn client_subnet(query: &Message) -> Option<ClientSubnet> {
    match query.edns.as_ref()?.option(EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some(*subnet),
        _ => None,
    }
}

/// Puts code and records into `reply`; tells whether the client's network had a say.
fn fill(reply: &mut Message, shared: &Shared, query: &Message, client: IpAddr) -> bool {
    let asked = match query.queries.as_slice() {
        _ if query.metadata.op_code != OpCode::Query => {
            reply.metadata.response_code = ResponseCode::NotImp;
            return false;
        }
        [asked] => asked,
        _ => {
            reply.metadata.response_code = ResponseCode::FormErr;
            return false;
        }
    };
    let labels: Vec<&[u8]> = asked.name.iter().collect();
    let any = matches!(asked.query_type, RecordType::ANY | RecordType::AXFR | RecordType::IXFR);
    let Ok(name) = Name::from_labels(&labels) else {
        reply.metadata.response_code = ResponseCode::FormErr;
        return false;
    };
    if asked.query_class != DNSClass::IN || any {
        reply.metadata.response_code = ResponseCode::Refused;
        return false;
    }
    let kind = RrType::parse(&asked.query_type.to_string());
    let question = Question { name, kind, client };
    let Ok(answer) = shared.answer(&question, None) else {
        reply.metadata.response_code = ResponseCode::ServFail;
        return false;
    };
    put(reply, &answer, &asked.name)
}

/// Puts an answer into the reply. Records of the name asked for keep its spelling.
fn put(reply: &mut Message, answer: &Answer, asked: &WireName) -> bool {
    reply.metadata.authoritative = answer.authoritative;
    reply.metadata.response_code = match answer.rcode {
        Rcode::NoError => ResponseCode::NoError,
        Rcode::NxDomain => ResponseCode::NXDomain,
        Rcode::Refused => ResponseCode::Refused,
    };
    let records = |records: &[Record]| -> Option<Vec<WireRecord>> {
        records.iter().map(|record| wire_record(record, asked)).collect()
    };
    match (records(&answer.answers), records(&answer.authority)) {
        (Some(answers), Some(authority)) => {
            reply.add_answers(answers);
            reply.add_authorities(authority);
        }
        _ => reply.metadata.response_code = ResponseCode::ServFail,
    }
    answer.by_network
}

fn wire_record(record: &Record, asked: &WireName) -> Option<WireRecord> {
    let name = WireName::from_labels(record.name.raw_labels()).ok()?;
    let name = if name == *asked { asked.clone() } else { name };
    let code: RecordType = record.kind.as_str().parse().ok()?;
    let bytes = value::encode(record.kind, &record.value).ok()?;
    let rdata = RData::Unknown { code, rdata: NULL::with(bytes) };
    Some(WireRecord::from_rdata(name, record.ttl_s, rdata))
}
