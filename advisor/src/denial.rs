//! Why AWS would not listen to who asks, told apart by what people must do about it.
//!
//! Pure: an error code and a message in, a kind out. AWS spells one thing in several ways, service by
//! service; the texts are those of its documentation and of its SDKs' models.

use std::fmt;

use jiff::civil::DateTime;

/// How an instant stands in a signature's complaint.
const AT: &str = "%Y%m%dT%H%M%SZ";

/// Who asks may not ask, or cannot be made out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// There are no credentials to sign with.
    NoCredentials(String),
    /// They were good once.
    Expired(String),
    /// AWS does not know the key: it is wrong, or belongs to a Region that is not enabled.
    Unknown(String),
    /// They are good, and the Region is not enabled for the account, or the account not for the service.
    NotEnabled(String),
    /// The secret does not belong to the key.
    WrongSecret(String),
    /// The signature's time is too far from AWS's.
    Clock {
        /// How far this machine's clock is ahead of AWS's, in s, where the complaint says it.
        ahead_s: Option<i64>,
        /// The complaint.
        said: String,
    },
    /// They are good, and a permission lacks.
    Permission {
        /// Which, such as `route53:ListHostedZonesByName`, where the complaint says it.
        action: Option<String>,
        /// The complaint.
        said: String,
    },
}

impl Denial {
    /// Reads an error of any AWS service that is about who asks.
    #[must_use]
    pub fn of(code: &str, message: &str) -> Self {
        let said = match (code, message) {
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        if is_about_time(code, message) {
            return Self::Clock { ahead_s: ahead_s(message), said };
        }
        match code {
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                Self::Expired(said)
            }
            "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => {
                Self::Unknown(said)
            }
            "OptInRequired" | "SubscriptionRequiredException" => Self::NotEnabled(said),
            "SignatureDoesNotMatch" | "InvalidSignatureException" => Self::WrongSecret(said),
            "MissingAuthenticationToken" | "MissingAuthenticationTokenException" => {
                Self::NoCredentials(said)
            }
            _ => Self::Permission { action: action(message), said },
        }
    }

    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoCredentials(_) => {
                "give credentials as to any AWS tool: AWS_PROFILE, `aws sso login`, a role, or AWS_ACCESS_KEY_ID"
            }
            Self::Expired(_) => "log in again (`aws sso login`), or take new temporary credentials",
            Self::Unknown(_) => {
                "check the access key, and its session token where it is a temporary one"
            }
            Self::NotEnabled(_) => "enable the Region in the account, or leave it out",
            Self::WrongSecret(_) => "check the secret access key: it does not belong to the key",
            Self::Clock { .. } => {
                "set this machine's clock, by NTP if possible; the credentials are not the cause"
            }
            Self::Permission { .. } => {
                "add the named permission to the policy of whoever asks; `aws sts get-caller-identity` says who"
            }
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredentials(said) => write!(f, "there are no AWS credentials ({said})"),
            Self::Expired(said) => write!(f, "the AWS credentials have expired ({said})"),
            Self::Unknown(said) => write!(f, "AWS does not know these credentials ({said})"),
            Self::NotEnabled(said) => {
                write!(f, "the Region or the service is not enabled for this account ({said})")
            }
            Self::WrongSecret(said) => write!(f, "the signature is wrong ({said})"),
            Self::Clock { ahead_s: Some(ahead_s), said } => {
                let side = if *ahead_s < 0 { "behind" } else { "ahead of" };
                write!(f, "this machine's clock is {} {side} AWS's ({said})", span(ahead_s.abs()))
            }
            Self::Clock { ahead_s: None, said } => {
                write!(f, "this machine's clock is too far from AWS's ({said})")
            }
            Self::Permission { action: Some(action), said } => {
                write!(f, "the permission {action} is lacking ({said})")
            }
            Self::Permission { action: None, said } => write!(f, "not permitted ({said})"),
        }
    }
}

/// A length of time as people say it: minutes from two minutes on.
fn span(seconds: i64) -> String {
    if seconds < 120 {
        return format!("{seconds} s");
    }
    match (seconds / 60, seconds % 60) {
        (minutes, 0) => format!("{minutes} min"),
        (minutes, rest) => format!("{minutes} min {rest} s"),
    }
}

fn is_about_time(code: &str, message: &str) -> bool {
    matches!(code, "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture")
        || message.contains("Signature expired")
        || message.contains("Signature not yet current")
}

/// `Signature expired: SIGNED is now earlier than BOUND (NOW - 15 min.)`: SIGNED minus NOW, in s.
fn ahead_s(message: &str) -> Option<i64> {
    let instants: Vec<DateTime> = message
        .split([' ', '(', ')', ':'])
        .filter_map(|word| DateTime::strptime(AT, word).ok())
        .collect();
    let [signed, _, now] = instants.as_slice() else { return None };
    Some(signed.duration_since(*now).as_secs())
}

/// `... is not authorized to perform: SERVICE:ACTION ...`
fn action(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("to perform: ")?;
    let word = rest.split_ascii_whitespace().next()?.trim_end_matches(['.', ',']);
    let (service, name) = word.split_once(':')?;
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    (plain(service) && plain(name)).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Codes and messages as AWS's services send them.
    #[test]
    fn each_complaint_says_what_is_wrong_and_what_to_do() {
        let user = "User: arn:aws:iam::123456789012:user/reader is not authorized to perform:";
        let mut told = String::new();
        for (code, message) in [
            ("AccessDenied", format!("{user} route53:ListHostedZonesByName because no identity-based policy allows it")),
            ("AccessDeniedException", format!("{user} apigateway:GET on resource: arn:aws:apigateway:eu-west-1::/domainnames")),
            ("AccessDenied", "Access Denied".to_owned()),
            ("ExpiredToken", "The security token included in the request is expired".to_owned()),
            ("UnrecognizedClientException", "The security token included in the request is invalid.".to_owned()),
            ("OptInRequired", "The AWS Access Key Id needs a subscription for the service".to_owned()),
            ("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.".to_owned()),
            ("MissingAuthenticationToken", "Missing Authentication Token".to_owned()),
            ("SignatureDoesNotMatch", "Signature expired: 20260101T114459Z is now earlier than 20260101T114500Z (20260101T120000Z - 15 min.)".to_owned()),
            ("InvalidSignatureException", "Signature not yet current: 20260101T121501Z is still later than 20260101T120500Z (20260101T120000Z + 5 min.)".to_owned()),
            ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.".to_owned()),
        ] {
            let denial = Denial::of(code, &message);
            writeln!(told, "{denial}\n  hint: {}", denial.hint()).unwrap();
        }
        insta::assert_snapshot!(told);
    }

    #[test]
    fn what_is_no_action_is_not_named() {
        for text in ["", "to perform: ", "to perform: nothing here", "to perform: a:b:c x"] {
            assert_eq!(action(text), None, "{text}");
        }
        assert_eq!(action("not authorized to perform: s3:GetObject.").unwrap(), "s3:GetObject");
    }
}
