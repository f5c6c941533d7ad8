//! DNS over sockets of our own: to a named server, with EDNS client subnet, or as the system does.
//!
//! Nothing is cached, because an answer from memory measures nothing. An answer that does not
//! fit the question (id, question, sender) is ignored, as if it had never come.

mod authority;
mod system;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::url::IpPrefix;

pub use authority::{authorities, lookup_at};
pub use hickory_proto::op::ResponseCode;
pub use hickory_proto::rr::RecordType;
pub use system::SystemResolver;

/// The payload we take over UDP, in bytes: what passes everywhere without fragments.
const UDP_PAYLOAD: u16 = 1_232;
/// Most packets that are read for one question: a flood of wrong ones ends there.
const PACKETS_MAX: usize = 64;

/// A question could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name is not one.
    #[error("{name:?} is not a DNS name")]
    Name {
        /// The name.
        name: String,
    },
    /// No answer came in time.
    #[error("no answer from {server} within {timeout_ms} ms, asked {attempts} times")]
    Timeout {
        /// Who was asked.
        server: SocketAddr,
        /// How long each try waited.
        timeout_ms: u64,
        /// How often.
        attempts: u32,
    },
    /// The network refused.
    #[error("cannot ask {server}: {cause}")]
    Io {
        /// Who was asked.
        server: SocketAddr,
        /// What the system said.
        cause: String,
    },
    /// The server answers, and not with what was asked for.
    #[error("{server} answers {rcode} for {name}")]
    Refused {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked.
        name: String,
        /// The code, in words.
        rcode: String,
    },
    /// The name has no address.
    #[error("{name} has no address")]
    NoAddress {
        /// The name.
        name: String,
    },
    /// There is nobody to ask.
    #[error("/etc/resolv.conf names no server")]
    NoServer,
}

/// The data of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Text, its strings joined; bytes that are not UTF-8 are replaced.
    Txt(String),
    /// A name server, in lower case without a dot at its end.
    Ns(String),
    /// Another name, in lower case without a dot at its end.
    Cname(String),
    /// Anything else, as hickory prints it.
    Other(String),
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its owner, in lower case without a dot at its end.
    pub name: String,
    /// How long it may be kept.
    pub ttl_s: u32,
    /// What it says.
    pub data: RecordData,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The server.
    pub server: SocketAddr,
    /// Its code.
    pub rcode: ResponseCode,
    /// Whether it speaks for the zone.
    pub authoritative: bool,
    /// The answer section, in its order.
    pub records: Vec<Record>,
    /// The prefix length the answer is meant for, where the server took up the client subnet.
    pub scope: Option<u8>,
    /// Whether it came over TCP.
    pub tcp: bool,
}

impl Answer {
    /// The addresses in the answer, with their TTL in seconds.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, u32)> + '_ {
        self.records.iter().filter_map(|record| match record.data {
            RecordData::A(v4) => Some((IpAddr::V4(v4), record.ttl_s)),
            RecordData::Aaaa(v6) => Some((IpAddr::V6(v6), record.ttl_s)),
            _ => None,
        })
    }

    /// The texts in the answer.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter_map(|record| match &record.data {
            RecordData::Txt(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Asks one named server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Who is asked.
    pub server: SocketAddr,
    /// How long each try waits.
    pub timeout: Duration,
    /// How often it is asked over UDP before giving up; at least once.
    pub attempts: u32,
    /// Whether the server is asked to recurse.
    pub recurse: bool,
}

impl Client {
    /// A client of an authoritative server: 2 s a try, three tries.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self { server, timeout: Duration::from_secs(2), attempts: 3, recurse: false }
    }

    /// Asks for `name`, as if from a client in `subnet` where one is given. Over UDP first; over
    /// TCP where the answer was truncated. Codes other than NOERROR are an answer too.
    pub async fn query(
        &self,
        name: &str,
        record_type: RecordType,
        subnet: Option<IpPrefix>,
    ) -> Result<Answer, DnsError> {
        let question = self.question(name, record_type, subnet)?;
        let bytes = question.to_vec().map_err(|_| DnsError::Name { name: name.to_owned() })?;
        for _ in 0..self.attempts.clamp(1, 10) {
            let asked = tokio::time::timeout(self.timeout, self.udp(&bytes, &question)).await;
            let Ok(reply) = asked else { continue };
            let reply = reply.map_err(|cause| self.io(&cause))?;
            if !reply.metadata.truncation {
                return Ok(answer(self.server, &reply, false));
            }
            let asked = tokio::time::timeout(self.timeout, self.tcp(&bytes, &question)).await;
            let Ok(reply) = asked else { continue };
            return Ok(answer(self.server, &reply.map_err(|cause| self.io(&cause))?, true));
        }
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        Err(DnsError::Timeout { server: self.server, timeout_ms, attempts: self.attempts })
    }

    fn io(&self, cause: &std::io::Error) -> DnsError {
        DnsError::Io { server: self.server, cause: cause.to_string() }
    }

    fn question(
        &self,
        name: &str,
        record_type: RecordType,
        subnet: Option<IpPrefix>,
    ) -> Result<Message, DnsError> {
        let bad = |_| DnsError::Name { name: name.to_owned() };
        let mut owner = Name::from_ascii(name).map_err(bad)?;
        owner.set_fqdn(true);
        let mut message = Message::query();
        message.metadata.recursion_desired = self.recurse;
        message.add_query(Query::query(owner, record_type));
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        if let Some(subnet) = subnet {
            let option = ClientSubnet::new(subnet.address, subnet.len, 0);
            edns.options_mut().insert(EdnsOption::Subnet(option));
        }
        message.set_edns(edns);
        Ok(message)
    }

    async fn udp(&self, bytes: &[u8], question: &Message) -> std::io::Result<Message> {
        let any: SocketAddr = match self.server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        // A connected socket takes packets of that server only.
        socket.connect(self.server).await?;
        socket.send(bytes).await?;
        // On the heap: a future that holds it would be moved as a whole at each await.
        let mut buffer = vec![0_u8; 4_096];
        for _ in 0..PACKETS_MAX {
            let len = socket.recv(&mut buffer).await?;
            if let Some(reply) = buffer.get(..len).and_then(|bytes| fitting(bytes, question)) {
                return Ok(reply);
            }
        }
        Err(std::io::Error::other(format!("{PACKETS_MAX} packets, none of which fits")))
    }

    async fn tcp(&self, bytes: &[u8], question: &Message) -> std::io::Result<Message> {
        let mut stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        let len = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
        let mut framed = len.to_be_bytes().to_vec();
        framed.extend_from_slice(bytes);
        stream.write_all(&framed).await?;
        let len = stream.read_u16().await?;
        let mut buffer = vec![0_u8; usize::from(len)];
        stream.read_exact(&mut buffer).await?;
        fitting(&buffer, question)
            .ok_or_else(|| std::io::Error::other("the answer does not fit the question"))
    }
}

/// The message, where it answers this question.
fn fitting(bytes: &[u8], question: &Message) -> Option<Message> {
    let reply = Message::from_vec(bytes).ok()?;
    let fits = reply.metadata.id == question.metadata.id
        && reply.metadata.message_type == MessageType::Response
        && reply.queries.len() == 1
        && reply.queries.first().zip(question.queries.first()).is_some_and(|(a, b)| {
            a.query_type == b.query_type && a.query_class == b.query_class && a.name == b.name
        });
    fits.then_some(reply)
}

fn answer(server: SocketAddr, reply: &Message, tcp: bool) -> Answer {
    let option = reply.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Subnet));
    let scope = match option {
        Some(EdnsOption::Subnet(subnet)) => Some(subnet.scope_prefix()),
        _ => None,
    };
    Answer {
        server,
        rcode: reply.metadata.response_code,
        authoritative: reply.metadata.authoritative,
        records: reply.answers.iter().map(record).collect(),
        scope,
        tcp,
    }
}

fn bare(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

fn record(record: &hickory_proto::rr::Record) -> Record {
    let data = match &record.data {
        RData::A(a) => RecordData::A(a.0),
        RData::AAAA(aaaa) => RecordData::Aaaa(aaaa.0),
        RData::TXT(txt) => {
            let bytes: Vec<u8> =
                txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
            RecordData::Txt(String::from_utf8_lossy(&bytes).into_owned())
        }
        RData::NS(ns) => RecordData::Ns(bare(&ns.0)),
        RData::CNAME(cname) => RecordData::Cname(bare(&cname.0)),
        other => RecordData::Other(other.to_string()),
    };
    Record { name: bare(&record.name), ttl_s: record.ttl, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::A;
    use proptest::prelude::*;

    const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

    fn question() -> Message {
        Client::new(SERVER).question("api.example.test", RecordType::A, None).unwrap()
    }

    fn reply(question: &Message) -> Vec<u8> {
        let mut message = question.clone();
        message.metadata.message_type = MessageType::Response;
        let name = Name::from_ascii("api.example.test.").unwrap();
        let data = RData::A(A(Ipv4Addr::new(192, 0, 2, 1)));
        message.add_answer(hickory_proto::rr::Record::from_rdata(name, 60, data));
        message.to_vec().unwrap()
    }

    #[test]
    fn only_what_fits_the_question_is_an_answer() {
        let question = question();
        let found = answer(SERVER, &fitting(&reply(&question), &question).unwrap(), false);
        let want = (IpAddr::from([192, 0, 2, 1]), 60);
        assert_eq!(found.addresses().collect::<Vec<_>>(), [want]);
        assert!(fitting(&question.to_vec().unwrap(), &question).is_none(), "a question is none");
        let mut other = question.clone();
        other.metadata.id = question.metadata.id.wrapping_add(1);
        assert!(fitting(&reply(&question), &other).is_none());
    }

    proptest! {
        #[test]
        fn any_packet_is_read_or_ignored(bytes in prop::collection::vec(any::<u8>(), 0..200),
                                         at in 0_usize..80, cut in 0_usize..80) {
            let question = question();
            let _ = fitting(&bytes, &question).map(|reply| answer(SERVER, &reply, false));
            let mut broken = reply(&question);
            for (index, byte) in bytes.iter().take(4).enumerate() {
                if let Some(slot) = broken.get_mut(at + index) {
                    *slot = *byte;
                }
            }
            broken.truncate(broken.len().saturating_sub(cut % 20));
            let _ = fitting(&broken, &question).map(|reply| answer(SERVER, &reply, false));
        }
    }
}
