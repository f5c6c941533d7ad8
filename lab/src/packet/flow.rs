//! Finds the borders of exchanges in a capture: HTTP/1.1 over TLS 1.3, one request at a time. Pure.
//!
//! Borders as the design has them: `connect` SYN to SYN-ACK; `tls` client hello to the last handshake byte received;
//! `processing` last request byte to the first byte of the response; `transfer` to its last byte. Bytes cannot be
//! read, so they are told apart by their turns: what the client sends, what the server sends, and so on. Tickets
//! arrive one round trip after the request, the response no sooner than the server's fixed service time after
//! them: the half of it divides the two.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use super::capture::Captured;

/// A TLS 1.3 alert, which is how a side says that it is done: 5 bytes of record, 2 of alert, 1 of type, 16 of tag.
const ALERT_BYTES: usize = 24;

/// What the packets of one exchange say, ns. An absent phase is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Who asked.
    pub client: SocketAddrV4,
    /// When its first packet left, ns since 1970: the SYN, or the request on a connection that was kept.
    pub started_ns: i64,
    /// SYN to SYN-ACK.
    pub connect_ns: Option<i64>,
    /// Client hello to the last handshake byte received.
    pub tls_ns: Option<i64>,
    /// Last request byte to first response byte.
    pub processing_ns: i64,
    /// First to last response byte.
    pub transfer_ns: i64,
    /// Whether any segment of the connection was sent twice: such a one is no truth.
    pub retransmitted: bool,
}

/// Segments with payload in one direction without one in the other between them.
struct Turn {
    out: bool,
    at_ns: Vec<i64>,
}

/// The exchanges with `server` in the order they started. `rtt_ns` and `service_ns` tell a response from tickets.
#[must_use]
pub fn exchanges(
    capture: &[Captured],
    server: SocketAddrV4,
    rtt_ns: i64,
    service_ns: i64,
) -> Vec<Exchange> {
    let mut flows: BTreeMap<SocketAddrV4, Vec<Vec<&Captured>>> = BTreeMap::new();
    for captured in capture {
        let segment = &captured.segment;
        let client = match (segment.to == server, segment.from == server) {
            (true, _) => segment.from,
            (_, true) => segment.to,
            _ => continue,
        };
        let flows = flows.entry(client).or_default();
        // A port may come back later with another connection.
        let first = segment.syn && !segment.ack;
        let known = flows.last().and_then(|flow| flow.first());
        let again = known.is_some_and(|known| known.segment.seq == segment.seq);
        if first && !again {
            flows.push(Vec::new());
        }
        if let Some(flow) = flows.last_mut() {
            flow.push(captured);
        }
    }
    let after_ns = rtt_ns + service_ns / 2;
    let mut found: Vec<Exchange> = (flows.iter())
        .flat_map(|(client, flows)| flows.iter().map(move |flow| (*client, flow)))
        .flat_map(|(client, flow)| of_flow(client, flow, server, after_ns))
        .collect();
    found.sort_by_key(|exchange| exchange.started_ns);
    found
}

fn of_flow(
    client: SocketAddrV4,
    flow: &[&Captured],
    server: SocketAddrV4,
    after_ns: i64,
) -> Vec<Exchange> {
    let syn = flow.iter().find(|c| c.segment.syn && !c.segment.ack).map(|c| c.at_ns);
    let answer = flow.iter().find(|c| c.segment.syn && c.segment.ack).map(|c| c.at_ns);
    let connect_ns = syn.zip(answer).map(|(syn, answer)| answer - syn);
    let retransmitted = sent_twice(flow, server);
    let turns = turns(flow, server);
    let mut turns = turns.iter();
    let (hello, flight) = (turns.next(), turns.next());
    let tls_ns = hello.zip(flight).and_then(|(hello, flight)| {
        (hello.out && !flight.out).then_some(flight.at_ns.last()? - hello.at_ns.first()?)
    });
    let mut exchanges = Vec::new();
    while let (Some(request), Some(response)) = (turns.next(), turns.next()) {
        let Some((&sent, &last)) = request.at_ns.last().zip(response.at_ns.last()) else { break };
        let Some(&first) = response.at_ns.iter().find(|at| **at >= sent + after_ns) else { break };
        let cold = exchanges.is_empty();
        exchanges.push(Exchange {
            client,
            started_ns: syn.filter(|_| cold).unwrap_or(sent),
            connect_ns: connect_ns.filter(|_| cold),
            tls_ns: tls_ns.filter(|_| cold),
            processing_ns: first - sent,
            transfer_ns: last - first,
            retransmitted,
        });
    }
    exchanges
}

fn sent_twice(flow: &[&Captured], server: SocketAddrV4) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    flow.iter()
        .filter(|c| c.segment.payload_bytes > 0 || c.segment.syn)
        .any(|c| !seen.insert((c.segment.to == server, c.segment.seq)))
}

fn turns(flow: &[&Captured], server: SocketAddrV4) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for captured in flow {
        let (out, bytes) = (captured.segment.to == server, captured.segment.payload_bytes);
        if bytes == 0 || bytes == ALERT_BYTES {
            continue;
        }
        match turns.last_mut() {
            Some(turn) if turn.out == out => turn.at_ns.push(captured.at_ns),
            _ => turns.push(Turn { out, at_ns: vec![captured.at_ns] }),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Segment;

    const SERVER: &str = "10.53.0.2:8443";

    /// A capture from `MS >FLAGS BYTES` and `MS <FLAGS BYTES` lines; seq counts up by itself, or `=N`.
    fn capture(port: u16, text: &str) -> Vec<Captured> {
        let server: SocketAddrV4 = SERVER.parse().unwrap();
        let client = SocketAddrV4::new("10.53.0.1".parse().unwrap(), port);
        let mut seq = [100_u32, 9000];
        let line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let out = words[1].starts_with('>');
            let bytes: usize = words[2].parse().unwrap();
            let own = &mut seq[usize::from(out)];
            if let Some(given) = words.get(3) {
                *own = given.trim_start_matches('=').parse().unwrap();
            }
            let has = |flag: char| words[1].contains(flag);
            let (from, to) = if out { (client, server) } else { (server, client) };
            let segment = Segment {
                from,
                to,
                seq: *own,
                syn: has('S'),
                ack: has('A'),
                fin: has('F'),
                rst: false,
                payload_bytes: bytes,
            };
            *own += u32::try_from(bytes).unwrap() + u32::from(has('S'));
            let at = std::time::Duration::from_secs_f64(words[0].parse::<f64>().unwrap() / 1e3);
            let at_ns = i64::try_from(at.as_nanos()).unwrap();
            Captured { at_ns, segment }
        };
        text.lines().map(str::trim).filter(|l| !l.is_empty()).map(line).collect()
    }

    const COLD: &str = "
        0 >S 0
        20 <SA 0
        20.1 >A 0
        20.5 >A 517
        41 <A 1448
        41.2 <A 600
        42 >A 80
        42.3 >A 150
        62.5 <A 300
        82.4 <A 1448
        82.6 <A 1448
        102.5 <A 700
        103 >A 24
        103 >FA 0
        123 <A 24
    ";

    fn found(capture: &[Captured]) -> Vec<Exchange> {
        exchanges(capture, SERVER.parse().unwrap(), 20_000_000, 20_000_000)
    }

    #[test]
    fn a_cold_exchange_has_every_border_and_tickets_are_none() {
        let all = found(&capture(40_000, COLD));
        assert_eq!(all.len(), 1);
        let one = all[0];
        assert_eq!((one.connect_ns, one.tls_ns), (Some(20_000_000), Some(20_700_000)));
        assert_eq!((one.processing_ns, one.transfer_ns), (40_100_000, 20_100_000));
        assert!(!one.retransmitted && one.started_ns == 0);
    }

    #[test]
    fn a_kept_connection_has_later_exchanges_without_connect() {
        let more = format!(
            "{}\n500 >A 150\n540.5 <A 1448\n540.9 <A 200\n",
            COLD.split("103 >A 24").next().unwrap()
        );
        let all = found(&capture(40_000, &more));
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].connect_ns, all[1].tls_ns), (None, None));
        assert_eq!((all[1].started_ns, all[1].processing_ns), (500_000_000, 40_500_000));
        assert_eq!(all[1].transfer_ns, 400_000);
    }

    #[test]
    fn connections_are_kept_apart_and_repetition_is_seen() {
        let twice = COLD.replace("20.5 >A 517", "20.5 >A 517 =101\n20.9 >A 517 =101");
        let mut all = capture(40_001, &twice);
        all.extend(capture(40_000, COLD).into_iter().map(|c| Captured { at_ns: c.at_ns + 7, ..c }));
        // The port comes back.
        let later = capture(40_000, &COLD.replace("0 >S 0", "0 >S 0 =777"));
        all.extend(later.into_iter().map(|c| Captured { at_ns: c.at_ns + 1_000_000_000, ..c }));
        all.sort_by_key(|c| c.at_ns);
        let all = found(&all);
        assert_eq!(all.len(), 3);
        let flags: Vec<bool> = all.iter().map(|e| e.retransmitted).collect();
        assert_eq!(flags, [true, false, false]);
        assert_eq!(all[2].started_ns, 1_000_000_000);
    }

    #[test]
    fn what_is_not_whole_is_no_exchange() {
        for cut in ["82.4", "41 ", "20.5"] {
            let text = COLD.split(cut).next().unwrap();
            assert_eq!(found(&capture(40_000, text)), [], "{cut}");
        }
    }
}
