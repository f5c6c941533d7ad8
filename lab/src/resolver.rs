//! Asks the lab's own DNS server where a name of the zone leads for a client: plain UDP with client subnet.
//!
//! Serves the WAN. No cache: an answer is as fresh as the zone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;

use crate::wan::NameLookup;

/// How long one try waits; there are [`TRIES`].
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: usize = 3;
/// Largest answer read.
const ANSWER_BYTES: usize = 4096;

/// A client of one DNS server.
#[derive(Clone, Debug)]
pub struct Resolver {
    server: SocketAddr,
}

impl Resolver {
    /// Asks `server`.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self { server }
    }

    /// The A answers for a name as a resolver would see them that passes on the subnet of `client`.
    pub async fn addresses(&self, name: &str, client: IpAddr) -> io::Result<Vec<IpAddr>> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(self.server).await?;
        // One socket a query, so an id of its own is not needed to tell answers apart.
        let query = query(name, client).map_err(io::Error::other)?;
        for _ in 0..TRIES {
            socket.send(&query).await?;
            let mut answer = vec![0; ANSWER_BYTES];
            if let Ok(read) = tokio::time::timeout(PATIENCE, socket.recv(&mut answer)).await {
                answer.truncate(read?);
                return addresses_in(&answer).map_err(io::Error::other);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl NameLookup for Resolver {
    fn lookup<'a>(
        &'a self,
        name: &'a str,
        client: IpAddr,
    ) -> Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send + 'a>> {
        Box::pin(async move {
            self.addresses(name, client).await.unwrap_or_else(|error| {
                tracing::debug!(name, %error, "the lab's DNS gave no answer");
                Vec::new()
            })
        })
    }
}

fn query(name: &str, client: IpAddr) -> Result<Vec<u8>, hickory_proto::ProtoError> {
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name)?, RecordType::A));
    let length = if client.is_ipv4() { 24 } else { 48 };
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(client, length, 0)));
    message.set_edns(edns);
    message.to_vec()
}

fn addresses_in(answer: &[u8]) -> Result<Vec<IpAddr>, hickory_proto::ProtoError> {
    let message = Message::from_vec(answer)?;
    let address = |data: &RData| match data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        _ => None,
    };
    Ok(message.answers.iter().filter_map(|record| address(&record.data)).collect())
}
