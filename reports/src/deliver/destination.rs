//! Where a report goes, as it is written on a command line. Pure.

use std::fmt;
use std::path::PathBuf;

/// A destination that cannot be used. The message does not repeat what may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--deliver: {0}")]
pub struct DestinationError(String);

impl DestinationError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "write a folder, s3://BUCKET/PREFIX, https://..., slack+https://..., teams+https://..., or \
         env:NAME for one that stands in the environment"
    }
}

/// What a webhook expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The report's JSON.
    Json,
    /// A message of Slack.
    Slack,
    /// An adaptive card of Teams.
    Teams,
}

/// The address of a webhook: a secret as a whole, but for its host.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookAddress {
    /// What it expects.
    pub shape: Shape,
    url: String,
    host: String,
}

impl WebhookAddress {
    /// The secret.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// For people.
    #[must_use]
    pub fn redacted(&self) -> String {
        let scheme = self.url.split("://").next().unwrap_or_default();
        format!("{scheme}://{}/...", self.host)
    }
}

impl fmt::Debug for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookAddress({:?}, {})", self.shape, self.redacted())
    }
}

/// A place in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Address {
    /// The bucket.
    pub bucket: String,
    /// What keys begin with; empty, or with a slash at its end.
    pub prefix: String,
    /// Its Region, where it is not the one of the environment.
    pub region: Option<String>,
}

/// Where a report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    S3(S3Address),
    /// A webhook.
    Webhook(WebhookAddress),
}

/// Hosts of Slack.
const SLACK: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];
/// Ends of hosts of Teams and its workflows.
const TEAMS: [&str; 3] = [".webhook.office.com", ".logic.azure.com", ".powerplatform.com"];

impl Destination {
    /// Reads a destination. `env:NAME` stands for the value of a variable, so that a secret need not
    /// stand on a command line.
    pub fn parse(
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, DestinationError> {
        if let Some(name) = text.strip_prefix("env:") {
            let value = variable(name)
                .ok_or_else(|| DestinationError(format!("variable {name} is not set")))?;
            return Self::literal(&value);
        }
        Self::literal(text)
    }

    fn literal(text: &str) -> Result<Self, DestinationError> {
        let bad = |cause: &str| DestinationError(cause.to_owned());
        if let Some(rest) = text.strip_prefix("s3://") {
            return s3(rest);
        }
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Self::Folder(PathBuf::from(path)));
        }
        let (shape, url) = match text.split_once('+') {
            Some(("slack", url)) => (Some(Shape::Slack), url),
            Some(("teams", url)) => (Some(Shape::Teams), url),
            _ => (None, text),
        };
        if let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            // Who may post can stand before the host; it is a secret as well.
            let host = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
            if host.is_empty() {
                return Err(bad("a webhook needs a host"));
            }
            let shape = shape.unwrap_or_else(|| shape_of(&host));
            return Ok(Self::Webhook(WebhookAddress { shape, url: url.to_owned(), host }));
        }
        if shape.is_some() || text.contains("://") {
            return Err(bad("an address of an unknown kind"));
        }
        if text.is_empty() {
            return Err(bad("an empty destination"));
        }
        Ok(Self::Folder(PathBuf::from(text)))
    }
}

fn shape_of(host: &str) -> Shape {
    let host = host.split(':').next().unwrap_or_default();
    if SLACK.contains(&host) {
        Shape::Slack
    } else if TEAMS.iter().any(|end| host.ends_with(end)) {
        Shape::Teams
    } else {
        Shape::Json
    }
}

fn s3(rest: &str) -> Result<Destination, DestinationError> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(plain) {
        let cause =
            format!("bucket '{bucket}': 3 to 63 lower-case letters, digits, points and hyphens");
        return Err(DestinationError(cause));
    }
    let region = match query.split_once('=') {
        Some(("region", region)) if !region.is_empty() => Some(region.to_owned()),
        _ if query.is_empty() => None,
        _ => return Err(DestinationError("an S3 address takes ?region=REGION alone".to_owned())),
    };
    let mut prefix = prefix.trim_matches('/').to_owned();
    if !prefix.is_empty() {
        prefix.push('/');
    }
    Ok(Destination::S3(S3Address { bucket: bucket.to_owned(), prefix, region }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Destination, DestinationError> {
        Destination::parse(text, |name| {
            (name == "HOOK").then(|| "https://hooks.slack.com/services/T0/B0/s3cret".to_owned())
        })
    }

    #[test]
    fn kinds() {
        let shape = |text: &str| match parse(text).unwrap() {
            Destination::Webhook(address) => address.shape,
            other => panic!("{other:?}"),
        };
        assert_eq!(shape("https://example.com/hook"), Shape::Json);
        assert_eq!(shape("env:HOOK"), Shape::Slack);
        assert_eq!(shape("slack+http://127.0.0.1:9/x"), Shape::Slack);
        assert_eq!(shape("https://prod-1.westus.logic.azure.com:443/workflows/x"), Shape::Teams);
        assert_eq!(parse("out/reports").unwrap(), Destination::Folder("out/reports".into()));
        assert_eq!(parse("file:///var/r").unwrap(), Destination::Folder("/var/r".into()));
        assert_eq!(
            parse("s3://team-reports/nearside/?region=eu-west-1").unwrap(),
            Destination::S3(S3Address {
                bucket: "team-reports".into(),
                prefix: "nearside/".into(),
                region: Some("eu-west-1".into())
            })
        );
    }

    #[test]
    fn what_is_none_is_refused_and_not_repeated() {
        for text in ["", "ftp://x/s3cret", "https://", "s3://No", "s3://abc?s3cret", "env:NONE"] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let address = parse("https://user:s3cret@example.com/s3cret?s3cret#s3cret").unwrap();
        assert!(!format!("{address:?}").contains("s3cret"), "{address:?}");
        let Destination::Webhook(address) = address else { panic!("no webhook") };
        assert_eq!(address.redacted(), "https://example.com/...");
    }
}
