//! TLS configurations: roots of trust, with resumption or without, and the tickets of one series.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
    WebPkiServerVerifier,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, NamedGroup, RootCertStore, SignatureScheme,
};

use super::known_chains::KnownChains;
use super::request::Request;
use crate::sample::HttpVersion;

/// Tickets kept for one series; a server sends two to four with each handshake.
const TICKETS_MAX: usize = 8;

/// The roots of trust cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of roots cannot be read as PEM.
    #[error("cannot read certificates from {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A file of roots holds none.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The TLS library refused.
    #[error("cannot set up TLS: {cause}")]
    Tls {
        /// What it said.
        cause: rustls::Error,
    },
}

/// Whom to trust.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
}

impl Trust {
    /// The system's roots, and those of `ca_file` where one is given. System roots that cannot
    /// be read are left out, as browsers do.
    pub fn system(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (_, ignored) = roots.add_parsable_certificates(native.certs);
        if ignored > 0 || !native.errors.is_empty() {
            tracing::debug!(ignored, errors = native.errors.len(), "system roots left out");
        }
        if let Some(path) = ca_file {
            add_file(&mut roots, path)?;
        }
        Ok(Self { roots: Arc::new(roots) })
    }

    /// Only the roots of this file.
    pub fn only(ca_file: &Path) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        add_file(&mut roots, ca_file)?;
        Ok(Self { roots: Arc::new(roots) })
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TrustError> {
    let fault = |cause: String| TrustError::File { path: path.to_owned(), cause };
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|cause| fault(cause.to_string()))?;
    let mut count = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|cause| fault(cause.to_string()))?;
        roots.add(certificate).map_err(|cause| fault(cause.to_string()))?;
        count += 1;
    }
    if count == 0 { Err(TrustError::Empty { path: path.to_owned() }) } else { Ok(()) }
}

/// A client certificate with its key.
pub struct Identity {
    name: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads a certificate chain and its key from two PEM files, and checks that they fit.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TrustError> {
        let fault = |path: &Path, cause: String| TrustError::File { path: path.to_owned(), cause };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|cause| fault(certificate, cause.to_string()))?;
        if chain.is_empty() {
            return Err(TrustError::Empty { path: certificate.to_owned() });
        }
        let secret =
            PrivateKeyDer::from_pem_file(key).map_err(|cause| fault(key, cause.to_string()))?;
        let name = format!("{}\0{}", certificate.display(), key.display());
        let identity = Self { name, chain, key: secret };
        let nobody = Trust { roots: Arc::new(RootCertStore::empty()) };
        config(&nobody, true, HttpVersion::Http11, Some(&identity))?;
        Ok(identity)
    }
}

type Pair = [Arc<ClientConfig>; 2];

/// The configurations of cold and warm connections, made once and shared by all series.
#[derive(Debug)]
pub(super) struct Configs {
    trust: Trust,
    strict: Pair,
    insecure: Pair,
    /// Those with a client certificate, by its name; as many as the caller has identities.
    identified: Mutex<BTreeMap<(String, bool), Pair>>,
}

fn both(trust: &Trust, insecure: bool, who: Option<&Identity>) -> Result<Pair, TrustError> {
    Ok([
        Arc::new(config(trust, insecure, HttpVersion::Http11, who)?),
        Arc::new(config(trust, insecure, HttpVersion::Http2, who)?),
    ])
}

fn pick([http11, http2]: &Pair, http: HttpVersion) -> Arc<ClientConfig> {
    Arc::clone(match http {
        HttpVersion::Http11 => http11,
        HttpVersion::Http2 => http2,
    })
}

impl Configs {
    pub(super) fn new(trust: &Trust) -> Result<Self, TrustError> {
        Ok(Self {
            trust: trust.clone(),
            strict: both(trust, false, None)?,
            insecure: both(trust, true, None)?,
            identified: Mutex::new(BTreeMap::new()),
        })
    }

    /// The configuration without resumption.
    pub(super) fn cold(&self, request: &Request) -> Arc<ClientConfig> {
        let plain = if request.insecure { &self.insecure } else { &self.strict };
        let Some(identity) = &request.identity else { return pick(plain, request.http) };
        let mut identified = self.identified.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (identity.name.clone(), request.insecure);
        if let Some(pair) = identified.get(&key) {
            return pick(pair, request.http);
        }
        // It was checked when it was loaded; without it the server refuses, which is told then.
        let Ok(pair) = both(&self.trust, request.insecure, Some(identity)) else {
            return pick(plain, request.http);
        };
        let config = pick(&pair, request.http);
        identified.insert(key, pair);
        config
    }

    /// The configuration that resumes with the tickets of one series.
    pub(super) fn resuming(&self, request: &Request, tickets: &Arc<Tickets>) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.cold(request));
        config.resumption = Resumption::store(Arc::<Tickets>::clone(tickets));
        Arc::new(config)
    }
}

/// ring, with AES-128 before AES-256, as browsers ask for it: a server that follows its client's
/// order is measured as browsers meet it.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    let short = |suite: CipherSuite| {
        matches!(
            suite,
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    };
    // The sort is stable: within a version all else stays as it was.
    provider.cipher_suites.sort_by_key(|known| (known.tls13().is_none(), !short(known.suite())));
    provider
}

fn config(
    trust: &Trust,
    insecure: bool,
    http: HttpVersion,
    identity: Option<&Identity>,
) -> Result<ClientConfig, TrustError> {
    let fault = |cause| TrustError::Tls { cause };
    let provider = Arc::new(provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(fault)?;
    let builder = if insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else if trust.roots.is_empty() {
        // Nobody is trusted, which the library's own verifier is not built for.
        builder.with_root_certificates(Arc::clone(&trust.roots))
    } else {
        let strict =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&trust.roots), provider)
                .build()
                .map_err(|cause| fault(rustls::Error::General(cause.to_string())))?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(KnownChains::over(strict)))
    };
    let mut config = match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(fault)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![match http {
        HttpVersion::Http11 => b"http/1.1".to_vec(),
        HttpVersion::Http2 => b"h2".to_vec(),
    }];
    Ok(config)
}

/// Takes any certificate, for `--insecure`; signatures are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The sessions of one series, which speaks to one server name.
#[derive(Debug, Default)]
pub(super) struct Tickets(Mutex<Sessions>);

#[derive(Debug, Default)]
struct Sessions {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Tickets {
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a session to resume.
    pub(super) fn any(&self) -> bool {
        let sessions = self.lock();
        sessions.tls12.is_some() || !sessions.tls13.is_empty()
    }

    /// Forgets all sessions.
    pub(super) fn clear(&self) {
        let mut sessions = self.lock();
        sessions.tls12 = None;
        sessions.tls13.clear();
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _server: ServerName<'static>, group: NamedGroup) {
        self.lock().group = Some(group);
    }

    fn kx_hint(&self, _server: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().group
    }

    fn set_tls12_session(&self, _server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.lock().tls12 = Some(value);
    }

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().tls12.clone()
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {
        self.lock().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _server: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut sessions = self.lock();
        while sessions.tls13.len() >= TICKETS_MAX {
            sessions.tls13.pop_front();
        }
        sessions.tls13.push_back(value);
    }

    fn take_tls13_ticket(&self, _server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The newest: it lives longest.
        self.lock().tls13.pop_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_browsers() {
        let suites = provider().cipher_suites;
        assert_eq!(suites.len(), ring::default_provider().cipher_suites.len());
        assert_eq!(suites[0].suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert!(suites[..3].iter().all(|suite| suite.tls13().is_some()));
        let first12 = suites[3].suite();
        assert_eq!(first12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    }
}
