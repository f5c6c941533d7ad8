//! The lab's certificate authority, made at each start, and the leaf certificates of endpoints.
//!
//! Keys come from the system's randomness, not from the seed, and never leave the process; only the
//! authority's certificate is written to disk.

use std::sync::Arc;

use jiff::{Span, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Days that every certificate stays valid; those who judge them want at least 14.
const VALID_DAYS: i64 = 60;

/// A certificate that could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// Making it failed.
    #[error("certificate for {name}: {cause}")]
    Make {
        /// Whose.
        name: String,
        /// Why.
        cause: rcgen::Error,
    },
    /// The server refused it.
    #[error("TLS configuration: {0}")]
    Tls(#[from] rustls::Error),
    /// The calendar ended.
    #[error("validity of certificates: {0}")]
    Date(#[from] jiff::Error),
}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    now: Timestamp,
}

impl Authority {
    /// A new authority, valid from the day before `now`.
    pub fn new(now: Timestamp) -> Result<Self, CaError> {
        let fail = |cause| CaError::Make { name: "the authority".into(), cause };
        let mut params = params(Vec::new(), "Nearside lab CA", now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(fail)?;
        let pem = params.self_signed(&key).map_err(fail)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem, now })
    }

    /// Its certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server configuration with a fresh leaf for `names`: TLS 1.2 and 1.3, `h2` and `http/1.1`, tickets.
    pub fn server_config(&self, names: &[String]) -> Result<Arc<ServerConfig>, CaError> {
        let name = names.first().map_or("nobody", String::as_str);
        let fail = |cause| CaError::Make { name: name.to_owned(), cause };
        let mut params = params(names.to_vec(), name, self.now)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(fail)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(fail)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(ring)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        Ok(Arc::new(config))
    }
}

fn params(names: Vec<String>, common: &str, now: Timestamp) -> Result<CertificateParams, CaError> {
    let fail = |cause| CaError::Make { name: common.to_owned(), cause };
    let mut params = CertificateParams::new(names).map_err(fail)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Nearside lab");
    // A common name holds at most 64 characters; clients read the alternative names.
    let common: String = common.chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, common);
    let today = now.to_zoned(TimeZone::UTC).date();
    let day = |days: i64| -> Result<_, CaError> {
        let date = today.checked_add(Span::new().try_days(days)?)?;
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        Ok(date_time_ymd(i32::from(date.year()), month, day))
    };
    params.not_before = day(-1)?;
    params.not_after = day(VALID_DAYS)?;
    Ok(params)
}
