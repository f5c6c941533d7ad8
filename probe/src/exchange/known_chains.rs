//! Certificate chains that were found good, so that the same bytes are not checked again with each
//! handshake of a prober that opens thousands of connections to the same few servers.
//!
//! Only the chain is remembered. That the server holds the key is checked in every handshake. A chain
//! counts as known for the same server name, to the byte, and within a span of time whose both ends
//! were checked: a validity period has no holes, so it is good at each instant between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// How long a chain is known at most.
const SPAN: Duration = Duration::from_hours(1);
/// Names whose chains are remembered; all are forgotten when there would be more.
const NAMES_MAX: usize = 1_024;

/// A chain, and between which instants it is good.
#[derive(Debug)]
struct Known {
    end_entity: Vec<u8>,
    intermediates: Vec<Vec<u8>>,
    from_s: u64,
    until_s: u64,
}

impl Known {
    fn is(&self, end_entity: &[u8], intermediates: &[CertificateDer<'_>], at_s: u64) -> bool {
        (self.from_s..=self.until_s).contains(&at_s)
            && self.end_entity == end_entity
            && self.intermediates.len() == intermediates.len()
            && self.intermediates.iter().zip(intermediates).all(|(a, b)| a.as_slice() == b.as_ref())
    }
}

/// A verifier that asks another one, and remembers what it found good.
#[derive(Debug)]
pub(super) struct KnownChains {
    verifier: Arc<dyn ServerCertVerifier>,
    known: Mutex<BTreeMap<String, Known>>,
}

impl KnownChains {
    pub(super) fn over(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self { verifier, known: Mutex::default() }
    }
}

impl ServerCertVerifier for KnownChains {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (name, now_s) = (server_name.to_str(), now.as_secs());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(name.as_ref()).is_some_and(|k| k.is(end_entity, intermediates, now_s)) {
            return Ok(ServerCertVerified::assertion());
        }
        known.remove(name.as_ref());
        let verify = |at| {
            let verifier = &self.verifier;
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        };
        let verified = verify(now)?;
        let until_s = now_s.saturating_add(SPAN.as_secs());
        if verify(UnixTime::since_unix_epoch(Duration::from_secs(until_s))).is_ok() {
            if known.len() >= NAMES_MAX {
                known.clear();
            }
            let good = Known {
                end_entity: end_entity.to_vec(),
                intermediates: intermediates.iter().map(|one| one.to_vec()).collect(),
                from_s: now_s,
                until_s,
            };
            known.insert(name.into_owned(), good);
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CertificateError;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Finds every chain good until an instant, and counts how often it was asked.
    #[derive(Debug)]
    struct Until(u64, Arc<AtomicU32>);

    impl ServerCertVerifier for Until {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            self.1.fetch_add(1, Ordering::Relaxed);
            if now.as_secs() > self.0 {
                return Err(Error::InvalidCertificate(CertificateError::Expired));
            }
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("not asked here".to_owned()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.verify_tls12_signature(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            Vec::new()
        }
    }

    struct Handshakes {
        chains: KnownChains,
        asked: Arc<AtomicU32>,
    }

    impl Handshakes {
        fn good_until(end_s: u64) -> Self {
            let asked = Arc::new(AtomicU32::new(0));
            let verifier = Arc::new(Until(end_s, Arc::clone(&asked)));
            Self { chains: KnownChains::over(verifier), asked }
        }

        /// Whether the chain is good, and how often the verifier behind was asked for that.
        fn meet(&self, name: &str, chain: &[&[u8]], at_s: u64) -> (bool, u32) {
            let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
            let name = ServerName::try_from(name.to_owned()).unwrap();
            let now = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
            let good = self.chains.verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
            (good.is_ok(), self.asked.swap(0, Ordering::Relaxed))
        }
    }

    #[test]
    fn the_same_chain_is_checked_once_an_hour() {
        let seen = Handshakes::good_until(1_000_000);
        assert_eq!(seen.meet("a.test", &[b"leaf", b"middle"], 10_000), (true, 2));
        assert_eq!(seen.meet("a.test", &[b"leaf", b"middle"], 10_001), (true, 0));
        assert_eq!(seen.meet("a.test", &[b"leaf", b"middle"], 13_600), (true, 0));
        assert_eq!(seen.meet("a.test", &[b"leaf", b"middle"], 13_601), (true, 2));
    }

    #[test]
    fn another_byte_another_name_or_an_earlier_clock_is_checked_anew() {
        let seen = Handshakes::good_until(1_000_000);
        assert_eq!(seen.meet("a.test", &[b"leaf", b"middle"], 10_000), (true, 2));
        assert_eq!(seen.meet("b.test", &[b"leaf", b"middle"], 10_000), (true, 2));
        assert_eq!(seen.meet("a.test", &[b"leaf", b"middlf"], 10_000), (true, 2));
        assert_eq!(seen.meet("a.test", &[b"leaf"], 10_000), (true, 2));
        assert_eq!(seen.meet("a.test", &[b"leaf"], 9_999), (true, 2));
    }

    #[test]
    fn what_ends_within_the_hour_is_checked_each_time_and_refused_when_it_ended() {
        let seen = Handshakes::good_until(12_000);
        assert_eq!(seen.meet("a.test", &[b"leaf"], 8_000), (true, 2));
        assert_eq!(seen.meet("a.test", &[b"leaf"], 11_600), (true, 0));
        assert_eq!(seen.meet("a.test", &[b"leaf"], 11_700), (true, 2));
        assert_eq!(seen.meet("a.test", &[b"leaf"], 11_700), (true, 2));
        assert_eq!(seen.meet("a.test", &[b"leaf"], 12_001), (false, 1));
    }

    #[test]
    fn names_are_bounded() {
        let seen = Handshakes::good_until(1_000_000);
        for index in 0..=NAMES_MAX {
            seen.meet(&format!("n{index}.test"), &[b"leaf"], 10_000);
        }
        assert_eq!(seen.chains.known.lock().unwrap().len(), 1);
    }
}
