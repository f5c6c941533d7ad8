//! A bucket that takes reports: one signed PUT for each file.
//!
//! The whole of S3's SDK for one call would double what is built, so that the request is made here
//! and only signing and credentials are AWS's own code.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_config::default_provider::region::default_provider;
use aws_config::meta::region::ProvideRegion as _;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use probe::clock::Clock;
use reports::deliver::{Again, Deliver, Delivery, DeliveryError, Parcel, S3Address};
use reqwest::StatusCode;

use crate::session::{Access, configured_endpoint, session};

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The environment names no Region, and the address neither.
    #[error("no Region for bucket {0}")]
    Region(String),
    /// The environment has no credentials.
    #[error("no AWS credentials for bucket {0}")]
    Credentials(String),
}

impl S3Error {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Region(_) => "write s3://BUCKET/PREFIX?region=REGION, or set AWS_REGION",
            Self::Credentials(_) => "log in, or set AWS_PROFILE",
        }
    }
}

/// A bucket that takes reports.
pub struct S3 {
    address: S3Address,
    region: String,
    endpoint: Option<String>,
    credentials: SharedCredentialsProvider,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl S3 {
    /// Finds Region, credentials and address of the API as any AWS tool does.
    pub async fn open(
        address: S3Address,
        access: &Access,
        client: reqwest::Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, S3Error> {
        let named = || address.bucket.clone();
        let region = if let Some(region) = &address.region {
            region.clone()
        } else {
            let found = default_provider().region().await;
            found.ok_or_else(|| S3Error::Region(named()))?.to_string()
        };
        let config = session(access, None).await;
        let credentials =
            config.credentials_provider().ok_or_else(|| S3Error::Credentials(named()))?;
        let endpoint = configured_endpoint(&config, "S3");
        Ok(Self { address, region, endpoint, credentials, client, clock })
    }

    fn url(&self, key: &str) -> String {
        let (bucket, region) = (&self.address.bucket, &self.region);
        match &self.endpoint {
            Some(endpoint) => format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/')),
            // A wildcard certificate covers one label: a bucket with points goes into the path.
            None if bucket.contains('.') => {
                format!("https://s3.{region}.amazonaws.com/{bucket}/{key}")
            }
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"),
        }
    }

    async fn put(&self, key: &str, bytes: &[u8]) -> Result<(), DeliveryError> {
        let failed = |cause: String, again| DeliveryError { cause, again };
        let credentials = self.credentials.provide_credentials().await.map_err(|_| {
            failed("there are no AWS credentials that can be used".to_owned(), Again::Later)
        })?;
        let url = self.url(&encoded(key));
        let kind = content_type(key);
        let headers = self.signed(&credentials, &url, kind, bytes).map_err(|cause| {
            failed(format!("the request cannot be signed: {cause}"), Again::Never)
        })?;
        let mut request = self.client.put(&url).header("content-type", kind).body(bytes.to_vec());
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| {
            let cause =
                if error.is_timeout() { "no answer in time" } else { "it cannot be reached" };
            failed(cause.to_owned(), Again::Later)
        })?;
        judge(response.status())
    }

    fn signed(
        &self,
        credentials: &Credentials,
        url: &str,
        kind: &str,
        bytes: &[u8],
    ) -> Result<Vec<(String, String)>, String> {
        let mut settings = SigningSettings::default();
        // S3 takes paths as they are.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = credentials.clone().into();
        let since_1970_ms = u64::try_from(self.clock.wall_ms()).unwrap_or(0);
        let now = UNIX_EPOCH + Duration::from_millis(since_1970_ms);
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(now)
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let headers = [("content-type", kind)].into_iter();
        let request = SignableRequest::new("PUT", url, headers, SignableBody::Bytes(bytes))
            .map_err(|error| error.to_string())?;
        let (instructions, _) =
            sign(request, &parameters).map_err(|error| error.to_string())?.into_parts();
        let headers = instructions.headers();
        Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Deliver for S3 {
    fn place(&self) -> String {
        format!("s3://{}/{}", self.address.bucket, self.address.prefix)
    }

    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Delivery<'a> {
        Box::pin(async move {
            for (name, bytes) in &parcel.files {
                let key = format!("{}{}/{name}", self.address.prefix, parcel.name);
                self.put(&key, bytes).await?;
            }
            Ok(())
        })
    }
}

fn judge(status: StatusCode) -> Result<(), DeliveryError> {
    if status.is_success() {
        return Ok(());
    }
    let cause = match status.as_u16() {
        301 | 307 => "the bucket is in another Region".to_owned(),
        403 => "these credentials may not write there (status 403)".to_owned(),
        404 => "there is no such bucket (status 404)".to_owned(),
        code => format!("it answered with status {code}"),
    };
    let busy = matches!(status.as_u16(), 408 | 429);
    let again = if status.is_server_error() || busy { Again::Later } else { Again::Never };
    Err(DeliveryError { cause, again })
}

fn content_type(key: &str) -> &'static str {
    match key.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("md") => "text/markdown; charset=utf-8",
        Some("json") => "application/json",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

/// A key as it stands in a path: what RFC 3986 calls unreserved stays, and so does the slash.
fn encoded(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
