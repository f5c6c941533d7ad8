//! How AWS is reached and who asks: the environment of any AWS tool, bounded in time.
//!
//! It makes clients and finds addresses; it decides nothing and shows no secret.

use std::time::Duration;

use advisor::zone::ZoneError;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::service_config::ServiceConfigKey;

use crate::error::{Effect, translate};

/// One attempt of a call.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// A call with its repetitions.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Where requests are signed for, when nothing says otherwise: Route 53 is one service for all Regions.
const SIGNING_REGION: &str = "us-east-1";

/// How to reach AWS, where it is not the account's own way.
#[derive(Clone, Default)]
pub struct Access {
    /// Another address of Route 53, as `AWS_ENDPOINT_URL_ROUTE_53` would give it.
    pub endpoint_url: Option<String>,
    /// Another address of API Gateway, as `AWS_ENDPOINT_URL_API_GATEWAY` would give it.
    pub apigateway_url: Option<String>,
    /// Another address of CloudWatch, as `AWS_ENDPOINT_URL_CLOUDWATCH` would give it.
    pub cloudwatch_url: Option<String>,
    /// Another address of the token service, as `AWS_ENDPOINT_URL_STS` would give it.
    pub sts_url: Option<String>,
    /// Fixed credentials (key id, secret), for servers that take any.
    pub credentials: Option<(String, String)>,
    /// The role to assume for the hosted zone.
    pub zone_role: Option<String>,
    /// The role to assume for API Gateway.
    pub api_role: Option<String>,
}

impl std::fmt::Debug for Access {
    /// Without the secret, and without what an address may hold of one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("endpoint_url", &self.endpoint_url.as_deref().map(without_user))
            .field("apigateway_url", &self.apigateway_url.as_deref().map(without_user))
            .field("cloudwatch_url", &self.cloudwatch_url.as_deref().map(without_user))
            .field("sts_url", &self.sts_url.as_deref().map(without_user))
            .field("zone_role", &self.zone_role)
            .field("api_role", &self.api_role)
            .field("credentials", &self.credentials.as_ref().map(|_| "..."))
            .finish()
    }
}

/// A URL without user name and password.
pub(crate) fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        None => url.to_owned(),
    }
}

/// The SDK's configuration: TLS by ring, every call bounded, and the credentials of `role` where one is
/// to be assumed. Nobody is asked before the first call.
pub(crate) async fn session(access: &Access, role: Option<&str>) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(SIGNING_REGION))
        .http_client(http)
        .timeout_config(timeouts);
    if let Some((key, secret)) = &access.credentials {
        let fixed = Credentials::new(key, secret, None, None, "nearside-access");
        loader = loader.credentials_provider(fixed);
    }
    let config = loader.load().await;
    let Some(role) = role else { return config };
    let assumed = AssumeRoleProvider::builder(role)
        .session_name("nearside")
        .configure(&with_sts(&config, access))
        .build()
        .await;
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(assumed)).build()
}

/// The configuration for calls of the token service.
fn with_sts(config: &SdkConfig, access: &Access) -> SdkConfig {
    let mut builder = config.to_builder();
    if let Some(url) = &access.sts_url {
        builder.set_endpoint_url(Some(url.clone()));
    }
    builder.build()
}

/// The account that these credentials belong to.
pub(crate) async fn account(config: &SdkConfig, access: &Access) -> Result<String, ZoneError> {
    let client = aws_sdk_sts::Client::new(&with_sts(config, access));
    let reply = client.get_caller_identity().send().await;
    let reply = reply.map_err(|error| translate(&error, Effect::Reads, ""))?;
    reply.account.ok_or_else(|| ZoneError::Failed("the reply names no account".to_owned()))
}

/// The address that the environment or the profile gives a service, by the SDKs' own rules: first
/// `AWS_ENDPOINT_URL_<SERVICE>`, then `AWS_ENDPOINT_URL`. `service_id` is the one of AWS's models.
pub(crate) fn configured_endpoint(config: &SdkConfig, service_id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let of_service = match (config.service_config(), key) {
        (Some(service), Ok(key)) => service.load_config(key),
        _ => None,
    };
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let access = Access {
            endpoint_url: Some("https://me:hunter2@example.com/x?y#@z".into()),
            apigateway_url: Some("https://me:hunter2@gateway.example.com/".into()),
            credentials: Some(("AKIDEXAMPLE".into(), "wJalrXUtnFEMI".into())),
            ..Access::default()
        };
        let shown = format!("{access:?}");
        for secret in ["hunter2", "me:", "AKIDEXAMPLE", "wJalrXUtnFEMI"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("https://example.com/x?y#@z"), "{shown}");
    }

    #[test]
    fn addresses_lose_only_the_user() {
        for (url, shown) in [
            ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
            ("https://a@b@route53.amazonaws.com/", "https://route53.amazonaws.com/"),
            ("https://h/p@q", "https://h/p@q"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }

    /// A token service that knows two calls, on a port of its own; it serves `calls` of them.
    async fn token_service(calls: usize) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut asked = Vec::new();
            while asked.len() < calls {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let mut buffer = [0; 4096];
                let whole = loop {
                    let n = stream.read(&mut buffer).await.unwrap();
                    bytes.extend_from_slice(&buffer[..n]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
                    let length = text
                        .to_ascii_lowercase()
                        .split_once("content-length: ")
                        .and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<usize>().ok());
                    if n == 0 || body.is_some() && body >= length {
                        break text;
                    }
                };
                let result = if whole.contains("Action=AssumeRole") {
                    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAASSUMED</AccessKeyId>\
                     <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                     <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser>\
                     <AssumedRoleId>A:n</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/dns/n</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
                } else {
                    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>\
                     </GetCallerIdentityResult></GetCallerIdentityResponse>"
                };
                let reply = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{result}",
                    result.len()
                );
                stream.write_all(reply.as_bytes()).await.unwrap();
                asked.push(whole);
            }
            asked
        });
        (url, served)
    }

    #[tokio::test]
    async fn a_role_is_assumed_and_its_account_is_told() {
        use aws_credential_types::provider::ProvideCredentials as _;
        let (url, served) = token_service(2).await;
        let access = Access {
            sts_url: Some(url),
            credentials: Some(("AKIDBASE".into(), "secret".into())),
            ..Access::default()
        };
        let role = "arn:aws:iam::123456789012:role/dns";
        let config = session(&access, Some(role)).await;
        let provider = config.credentials_provider().unwrap();
        let assumed = provider.provide_credentials().await.unwrap();
        assert_eq!(assumed.access_key_id(), "ASIAASSUMED");
        let plain = session(&access, None).await;
        assert_eq!(account(&plain, &access).await.unwrap(), "123456789012");
        let asked = served.await.unwrap();
        assert!(asked[0].contains("role%2Fdns") && asked[0].contains("AKIDBASE"), "{}", asked[0]);
        assert!(asked[1].contains("Action=GetCallerIdentity"), "{}", asked[1]);
    }
}
