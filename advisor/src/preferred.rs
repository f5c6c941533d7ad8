//! The label that Route 53 prefers for each vantage: asked by DNS, asked through its API, or modelled.
//!
//! It asks and says which way was taken; what a preference is good for is decided elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use probe::config::Config;
use probe::url::IpPrefix;

use crate::answers::{Answers, AskError};
use crate::group::LiveGroup;
use crate::guard::MODELLED;
use crate::mark::{Marks, Shadow, fields};
use crate::name::{Label, Name};
use crate::record::{RecordSet, RecordType};
use crate::zone::{Zone, ZoneError};

/// Between two calls of `TestDNSAnswer`: at most two a second, because each spends the account's budget
/// of ten requests a second.
const API_PAUSE: Duration = Duration::from_millis(500);

/// How preferred labels are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// Asked of the zone's name servers, through a shadow group.
    Asked,
    /// Asked of Route 53's API, through a shadow group, because no name server could be reached.
    AskedApi,
    /// There is one label, which everybody prefers.
    Only,
    /// The installed label with the lowest network round trip.
    Modelled,
}

impl Preference {
    /// The word in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::AskedApi => "asked (TestDNSAnswer)",
            Self::Only => "the only one",
            Self::Modelled => MODELLED,
        }
    }
}

/// Why preferred labels could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreferredError {
    /// The name servers answered with something else.
    #[error("cannot ask Route 53's name servers for preferred labels: {0}")]
    NameServers(String),
    /// Neither way worked.
    #[error("no name server could be reached ({dns}), and TestDNSAnswer failed: {api}")]
    NeitherWay {
        /// Of DNS.
        dns: String,
        /// Of the API.
        api: ZoneError,
    },
}

impl PreferredError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NameServers(_) => "check [dns] servers and that port 53 is reachable",
            Self::NeitherWay { .. } => {
                "let this machine reach port 53, or add route53:TestDNSAnswer to the policy"
            }
        }
    }
}

/// Asks through the shadow group of the live labels, if it stands with exactly those. `None` where it
/// does not, so that there is nothing to ask.
pub async fn ask<Z: Zone, A: Answers>(
    (zone, answers): (&Z, &A),
    config: &Config,
    service: &Name,
    records: &[RecordSet],
    live: &LiveGroup,
) -> Result<Option<(BTreeMap<String, Label>, Preference)>, PreferredError> {
    let marks = Marks::of(service);
    let shadow = marks.shadow_labels(Shadow::Live, records);
    if shadow.is_empty() || !shadow.iter().eq(live.labels.keys()) {
        return Ok(only(config, live));
    }
    let (asked, how) = match answers.preferred(Shadow::Live).await {
        Ok(asked) => (asked, Preference::Asked),
        Err(AskError::Unusable(cause)) => return Err(PreferredError::NameServers(cause)),
        Err(AskError::Unreachable(dns)) => {
            let asked = ask_api(zone, config, &marks.shadow(Shadow::Live)).await;
            let failed = |api| PreferredError::NeitherWay { dns, api };
            (asked.map_err(failed)?, Preference::AskedApi)
        }
    };
    if let Some(other) = asked.values().find(|label| !live.labels.contains_key(label)) {
        let cause = format!("label '{other}' is preferred, and it is not installed");
        return Err(PreferredError::NameServers(cause));
    }
    Ok(Some((asked, how)))
}

/// Where one label stands alone nobody needs to be asked.
fn only(config: &Config, live: &LiveGroup) -> Option<(BTreeMap<String, Label>, Preference)> {
    let mut labels = live.labels.keys();
    let (Some(label), None) = (labels.next(), labels.next()) else { return None };
    let all = config.vantages.iter().map(|vantage| (vantage.id.clone(), label.clone())).collect();
    Some((all, Preference::Only))
}

async fn ask_api<Z: Zone>(
    zone: &Z,
    config: &Config,
    shadow: &Name,
) -> Result<BTreeMap<String, Label>, ZoneError> {
    let mut preferred = BTreeMap::new();
    for vantage in &config.vantages {
        let Some(subnet) = vantage.subnet4.or(vantage.subnet6) else { continue };
        if !preferred.is_empty() {
            tokio::time::sleep(API_PAUSE).await;
        }
        preferred.insert(vantage.id.clone(), ask_api_for(zone, shadow, subnet).await?);
    }
    Ok(preferred)
}

async fn ask_api_for<Z: Zone>(
    zone: &Z,
    shadow: &Name,
    subnet: IpPrefix,
) -> Result<Label, ZoneError> {
    let values = zone.test_dns_answer(shadow, &RecordType::Txt, subnet).await?;
    let label = values.iter().find_map(|value| {
        fields(value.trim_matches('"')).get("label").map(|label| Label::new(label))
    });
    label.ok_or_else(|| ZoneError::Failed(format!("{shadow} answers without a label")))
}

/// The label preferred for one subnet, through the shadow group of the live labels: by DNS, else by the
/// API.
pub async fn ask_for<Z: Zone, A: Answers>(
    (zone, answers): (&Z, &A),
    service: &Name,
    subnet: IpPrefix,
) -> Result<(Label, Preference), PreferredError> {
    match answers.preferred_for(Shadow::Live, subnet).await {
        Ok(label) => Ok((label, Preference::Asked)),
        Err(AskError::Unusable(cause)) => Err(PreferredError::NameServers(cause)),
        Err(AskError::Unreachable(dns)) => {
            let shadow = Marks::of(service).shadow(Shadow::Live);
            let failed = |api| PreferredError::NeitherWay { dns, api };
            let label = ask_api_for(zone, &shadow, subnet).await.map_err(failed)?;
            Ok((label, Preference::AskedApi))
        }
    }
}

/// The share of the traffic that prefers each label, of clients that no vantage stands for. They are
/// asked for by DNS only: the API's pace of two a second is not for hundreds of prefixes.
pub async fn ask_clients<A: Answers>(
    answers: &A,
    clients: &[(IpPrefix, f64)],
) -> Result<BTreeMap<Label, f64>, PreferredError> {
    let mut shares = BTreeMap::new();
    for (prefix, share) in clients {
        let label = answers.preferred_for(Shadow::Live, *prefix).await;
        let label = label.map_err(|error| PreferredError::NameServers(error.to_string()))?;
        *shares.entry(label).or_default() += share;
    }
    Ok(shares)
}

/// For each vantage the installed label whose own Region's endpoint has the lowest round trip.
#[must_use]
pub fn modelled(
    config: &Config,
    live: &LiveGroup,
    round_trips: &BTreeMap<(String, String), f64>,
) -> BTreeMap<String, Label> {
    let nearest = |vantage: &str| -> Option<Label> {
        let in_region = |label: &Label| -> Option<f64> {
            let here =
                config.endpoints.iter().find(|endpoint| endpoint.region == label.as_str())?;
            round_trips.get(&(vantage.to_owned(), here.id.clone())).copied()
        };
        live.labels
            .keys()
            .filter_map(|label| Some((in_region(label)?, label)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, label)| label.clone())
    };
    config
        .vantages
        .iter()
        .filter_map(|vantage| Some((vantage.id.clone(), nearest(&vantage.id)?)))
        .collect()
}
