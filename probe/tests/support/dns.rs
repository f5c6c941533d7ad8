//! DNS servers for the tests, which say what each test wants.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use probe::dns::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// What a server's replies to one packet are.
pub(crate) type Replies = fn(&Message) -> Vec<Vec<u8>>;

/// An answer to this question that says nothing yet.
pub(crate) fn reply(question: &Message) -> Message {
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.authoritative = true;
    reply.add_queries(question.queries.clone());
    reply
}

/// The answer to a question for an IPv4 address; to others there is none.
pub(crate) fn address(question: &Message, address: Ipv4Addr) -> Message {
    let mut reply = reply(question);
    if let Some(query) = question.queries.first().filter(|q| q.query_type == RecordType::A) {
        let data = RData::A(A(address));
        reply.add_answer(Record::from_rdata(query.name.clone(), 60, data));
    }
    reply
}

pub(crate) fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

/// A server at one address: over UDP it says `udp`, over TCP the first of `tcp`, or hangs up.
pub(crate) async fn server(udp: Replies, tcp: Replies) -> SocketAddr {
    // A port that is free on one protocol may be taken on the other.
    let (socket, listener) = loop {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0_u8; 2_048];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(&buffer[..len]).unwrap();
            for reply in udp(&question) {
                socket.send_to(&reply, from).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let len = stream.read_u16().await.unwrap();
            let mut question = vec![0_u8; usize::from(len)];
            stream.read_exact(&mut question).await.unwrap();
            let replies = tcp(&Message::from_vec(&question).unwrap());
            let Some(reply) = replies.first() else { continue };
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
            stream.write_all(reply).await.unwrap();
        }
    });
    at
}
