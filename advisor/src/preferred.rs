//! The label that Route 53 prefers for each vantage: asked by DNS, asked through its API, or modelled.
//!
//! It asks and says which way was taken; what a preference is good for is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use probe::config::{Config, Endpoint, EndpointKind, Vantage};
use probe::place;
use probe::url::IpPrefix;

use crate::answers::{Answers, AskError};
use crate::group::LiveGroup;
use crate::guard::MODELLED;
use crate::mark::{Marks, Shadow, fields};
use crate::name::{Label, Name};
use crate::record::{RecordSet, RecordType};
use crate::zone::{Zone, ZoneError};

/// Before each call of `TestDNSAnswer`: at most two a second, because each spends the account's budget of
/// requests to Route 53.
const API_PAUSE: Duration = Duration::from_millis(500);
/// Client prefixes that `TestDNSAnswer` is asked for, the heaviest first: a minute for each shadow group.
pub const CLIENTS_API_MAX: usize = 120;

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
    /// Some were asked through Route 53's API, and others could not be.
    #[error("cannot ask Route 53's API for preferred labels: {0}")]
    Api(ZoneError),
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
            Self::Api(_) | Self::NeitherWay { .. } => {
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
    ask_shadow((zone, answers), config, service, (Shadow::Live, &shadow)).await.map(Some)
}

/// What Route 53 says of the labels of the `next` shadow.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// The labels that were asked about.
    pub labels: BTreeSet<Label>,
    /// The one that it prefers for each vantage.
    pub preferred: BTreeMap<String, Label>,
    /// How that is known.
    pub how: Preference,
    /// The share of the traffic that prefers one label now and another then, of clients that no
    /// vantage stands for.
    pub clients: BTreeMap<(Label, Label), f64>,
}

/// Asks about the labels of the `next` shadow. `None` where it stands with the installed ones, or not at
/// all: then there is nothing to learn.
pub async fn ask_next<Z: Zone, A: Answers>(
    (zone, answers): (&Z, &A),
    config: &Config,
    service: &Name,
    records: &[RecordSet],
    live: &LiveGroup,
) -> Result<Option<Next>, PreferredError> {
    let labels = Marks::of(service).shadow_labels(Shadow::Next, records);
    if labels.is_empty() || labels.iter().eq(live.labels.keys()) {
        return Ok(None);
    }
    let asked = (Shadow::Next, &labels);
    let (preferred, how) = ask_shadow((zone, answers), config, service, asked).await?;
    Ok(Some(Next { labels, preferred, how, clients: BTreeMap::new() }))
}

/// Asks by DNS, else by the API, through a shadow group with these labels.
async fn ask_shadow<Z: Zone, A: Answers>(
    (zone, answers): (&Z, &A),
    config: &Config,
    service: &Name,
    (shadow, labels): (Shadow, &BTreeSet<Label>),
) -> Result<(BTreeMap<String, Label>, Preference), PreferredError> {
    let (asked, how) = match answers.preferred(shadow).await {
        Ok(asked) => (asked, Preference::Asked),
        Err(AskError::Unusable(cause)) => return Err(PreferredError::NameServers(cause)),
        Err(AskError::Unreachable(dns)) => {
            let asked = ask_api(zone, config, &Marks::of(service).shadow(shadow)).await;
            let failed = |api| PreferredError::NeitherWay { dns, api };
            (asked.map_err(failed)?, Preference::AskedApi)
        }
    };
    if let Some(other) = asked.values().find(|label| !labels.contains(label)) {
        let cause = format!("label '{other}' is preferred, and it was not asked about");
        return Err(PreferredError::NameServers(cause));
    }
    Ok((asked, how))
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
    let of = |one: &Vantage| Some((one.id.clone(), one.subnet4.or(one.subnet6)?));
    let vantages: Vec<(String, IpPrefix)> = config.vantages.iter().filter_map(of).collect();
    announce(vantages.len(), "vantages");
    let mut preferred = BTreeMap::new();
    for (id, subnet) in vantages {
        preferred.insert(id, ask_api_for(zone, shadow, subnet).await?);
    }
    Ok(preferred)
}

/// Says that the slow way is taken, and how long that is.
fn announce(questions: usize, about: &str) {
    let pauses = API_PAUSE * u32::try_from(questions).unwrap_or(u32::MAX);
    tracing::warn!(
        questions,
        about,
        seconds = pauses.as_secs_f64(),
        "no name server can be reached: TestDNSAnswer is asked, at most twice a second"
    );
}

async fn ask_api_for<Z: Zone>(
    zone: &Z,
    shadow: &Name,
    subnet: IpPrefix,
) -> Result<Label, ZoneError> {
    tokio::time::sleep(API_PAUSE).await;
    let values = zone.test_dns_answer(shadow, &RecordType::Txt, subnet).await?;
    let label = values.iter().find_map(|value| {
        fields(value.trim_matches('"')).get("label").map(|label| Label::new(label))
    });
    label.ok_or_else(|| ZoneError::Failed(format!("{shadow} answers without a label")))
}

/// The label preferred for one subnet, through a shadow group: by DNS, else by the API.
pub async fn ask_for<Z: Zone, A: Answers>(
    (zone, answers): (&Z, &A),
    service: &Name,
    shadow: Shadow,
    subnet: IpPrefix,
) -> Result<(Label, Preference), PreferredError> {
    match answers.preferred_for(shadow, subnet).await {
        Ok(label) => Ok((label, Preference::Asked)),
        Err(AskError::Unusable(cause)) => Err(PreferredError::NameServers(cause)),
        Err(AskError::Unreachable(dns)) => {
            let shadow = Marks::of(service).shadow(shadow);
            let failed = |api| PreferredError::NeitherWay { dns, api };
            let label = ask_api_for(zone, &shadow, subnet).await.map_err(failed)?;
            Ok((label, Preference::AskedApi))
        }
    }
}

/// The label preferred for the heaviest clients that no vantage stands for, in their order, asked in the way
/// in which vantages were: by DNS all of them, by the API at most [`CLIENTS_API_MAX`], because of its pace. Where
/// vantages were not asked, nobody is.
pub async fn ask_clients<Z: Zone, A: Answers>(
    (zone, answers): (&Z, &A),
    service: &Name,
    (shadow, how): (Shadow, Preference),
    clients: &[(IpPrefix, f64)],
) -> Result<Vec<Label>, PreferredError> {
    let clients = askable(how, clients);
    let mut labels = Vec::with_capacity(clients.len());
    if how == Preference::AskedApi && !clients.is_empty() {
        announce(clients.len(), "clients");
    }
    let name = Marks::of(service).shadow(shadow);
    for (prefix, _) in clients {
        let label = if how == Preference::AskedApi {
            ask_api_for(zone, &name, *prefix).await.map_err(PreferredError::Api)
        } else {
            let asked = answers.preferred_for(shadow, *prefix).await;
            asked.map_err(|error| PreferredError::NameServers(error.to_string()))
        };
        labels.push(label?);
    }
    Ok(labels)
}

/// The clients that are asked for.
fn askable(how: Preference, clients: &[(IpPrefix, f64)]) -> &[(IpPrefix, f64)] {
    let most = match how {
        Preference::Asked => clients.len(),
        Preference::AskedApi => clients.len().min(CLIENTS_API_MAX),
        Preference::Only | Preference::Modelled => 0,
    };
    &clients[..most]
}

/// Labels that were asked about together, and the one preferred for each vantage.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The labels.
    pub labels: BTreeSet<&'a Label>,
    /// The preferred one.
    pub preferred: &'a BTreeMap<String, Label>,
}

impl<'a> Asked<'a> {
    /// What was said of other labels.
    #[must_use]
    pub fn of(next: &'a Next) -> Self {
        Self { labels: next.labels.iter().collect(), preferred: &next.preferred }
    }
}

/// Every label that may be installed, for each vantage, as Route 53 is taken to prefer them: the least
/// round trip to the label's Region first, corrected so that each answer holds. `asked` has the oldest
/// first; where answers contradict each other, the newest counts. A Region that was neither measured nor
/// asked about is left out.
#[must_use]
pub fn orders(
    config: &Config,
    round_trips: &BTreeMap<(String, String), f64>,
    asked: &[Asked<'_>],
) -> BTreeMap<String, Vec<Label>> {
    let order = |vantage: &Vantage| {
        let trip = |region: &str| by_region(config, round_trips, &vantage.id, region);
        let regions = place::commercial_regions().map(|one| one.region);
        let mut near: Vec<(f64, Label)> =
            regions.filter_map(|region| Some((trip(region)?, Label::new(region)))).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let modelled: Vec<Label> = near.into_iter().map(|(_, label)| label).collect();
        let answers: Vec<(&BTreeSet<&Label>, &Label)> = asked
            .iter()
            .filter_map(|one| Some((&one.labels, one.preferred.get(&vantage.id)?)))
            .collect();
        (vantage.id.clone(), fitted(&modelled, &answers))
    };
    config.vantages.iter().map(order).collect()
}

/// The round trip to a Region: of its candidate, else of the endpoint there.
fn by_region(
    config: &Config,
    round_trips: &BTreeMap<(String, String), f64>,
    vantage: &str,
    region: &str,
) -> Option<f64> {
    let trip = |target: &str| round_trips.get(&(vantage.to_owned(), target.to_owned())).copied();
    let here = |one: &&Endpoint| one.kind == EndpointKind::Regional && one.region == region;
    let endpoint = || config.endpoints.iter().find(here).and_then(|one| trip(&one.id));
    trip(&format!("candidate-{region}")).or_else(endpoint)
}

/// Those that come before each label.
type Before<'a> = BTreeMap<&'a Label, BTreeSet<&'a Label>>;

/// The modelled order, with each label that was answered before all others that were asked about with it.
/// A label is moved only as far forward as answers need.
fn fitted(modelled: &[Label], answers: &[(&BTreeSet<&Label>, &Label)]) -> Vec<Label> {
    let asked = answers.iter().flat_map(|(labels, label)| labels.iter().copied().chain([*label]));
    let unmeasured: BTreeSet<&Label> = asked.filter(|label| !modelled.contains(label)).collect();
    let labels: Vec<&Label> = modelled.iter().chain(unmeasured).collect();
    let mut before = Before::new();
    for (labels, label) in answers.iter().rev() {
        // What a newer answer says otherwise stays as it is.
        let ahead = ahead_of(label, &before);
        for other in labels.iter().filter(|other| **other != *label && !ahead.contains(*other)) {
            before.entry(other).or_default().insert(label);
        }
    }
    let mut order: Vec<&Label> = Vec::with_capacity(labels.len());
    for label in &labels {
        let ahead = ahead_of(label, &before);
        // Among those that must come first, each answered label has fewer ahead than what it precedes.
        let mut place: Vec<&Label> =
            labels.iter().copied().filter(|other| ahead.contains(other)).collect();
        place.sort_by_key(|other| ahead_of(other, &before).len());
        place.push(label);
        place.retain(|other| !order.contains(other));
        order.extend(place);
    }
    order.into_iter().cloned().collect()
}

/// All labels that come before one, directly or by others.
fn ahead_of<'a>(label: &Label, before: &Before<'a>) -> BTreeSet<&'a Label> {
    let mut ahead = BTreeSet::new();
    let mut open: Vec<&Label> = vec![label];
    while let Some(one) = open.pop() {
        for first in before.get(one).into_iter().flatten() {
            if ahead.insert(*first) {
                open.push(first);
            }
        }
    }
    ahead
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABELS: usize = 6;

    fn label(index: usize) -> Label {
        Label::new(&format!("label-{index}"))
    }

    /// The label of a set that comes first in an order.
    fn first<'a>(order: &'a [Label], set: &BTreeSet<&Label>) -> Option<&'a Label> {
        order.iter().find(|label| set.contains(label))
    }

    proptest! {
        /// Whatever was measured, and whichever labels were asked about: what was answered holds.
        #[test]
        fn answers_hold_in_any_measured_order(
            truth in Just((0..LABELS).collect::<Vec<_>>()).prop_shuffle(),
            measured in Just((0..LABELS).collect::<Vec<_>>()).prop_shuffle(),
            unmeasured in 0..3_usize,
            sets in prop::collection::vec(prop::collection::btree_set(0..LABELS, 1..LABELS), 1..6),
        ) {
            let truth: Vec<Label> = truth.into_iter().map(label).collect();
            let modelled: Vec<Label> = measured.into_iter().skip(unmeasured).map(label).collect();
            let sets: Vec<Vec<Label>> =
                sets.into_iter().map(|set| set.into_iter().map(label).collect()).collect();
            let sets: Vec<BTreeSet<&Label>> = sets.iter().map(|set| set.iter().collect()).collect();
            let answers: Vec<(&BTreeSet<&Label>, &Label)> =
                sets.iter().map(|set| (set, first(&truth, set).unwrap())).collect();
            let order = fitted(&modelled, &answers);
            for (set, answer) in &answers {
                prop_assert_eq!(first(&order, set), Some(*answer));
            }
            let known: BTreeSet<&Label> = modelled.iter().chain(sets.into_iter().flatten()).collect();
            prop_assert_eq!(order.len(), known.len());
            prop_assert!(known.iter().all(|label| order.contains(label)));
            prop_assert_eq!(fitted(&modelled, &[]), modelled);
        }

        /// The newest answer holds whatever the older ones said, and labels are neither lost nor doubled.
        #[test]
        fn of_answers_that_contradict_each_other_the_newest_holds(
            answers in prop::collection::vec(
                (prop::collection::btree_set(0..LABELS, 1..LABELS), any::<prop::sample::Index>()), 1..6
            ),
        ) {
            let modelled: Vec<Label> = (0..LABELS).map(label).collect();
            let labels: Vec<BTreeSet<&Label>> = answers
                .iter()
                .map(|(set, _)| set.iter().map(|index| &modelled[*index]).collect())
                .collect();
            let said: Vec<&Label> = answers
                .iter()
                .map(|(set, pick)| &modelled[*set.iter().nth(pick.index(set.len())).unwrap()])
                .collect();
            let answers: Vec<(&BTreeSet<&Label>, &Label)> = labels.iter().zip(said).collect();
            let order = fitted(&modelled, &answers);
            let (newest, label) = answers.last().unwrap();
            prop_assert_eq!(first(&order, newest), Some(*label));
            prop_assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), LABELS);
            prop_assert_eq!(order.len(), LABELS);
        }
    }

    #[test]
    fn of_clients_the_slow_way_is_asked_for_the_heaviest() {
        let prefix = IpPrefix::new([198, 18, 0, 0].into(), 24).unwrap();
        let clients = vec![(prefix, 0.001); CLIENTS_API_MAX + 1];
        let count = |how| askable(how, &clients).len();
        assert_eq!(count(Preference::Asked), CLIENTS_API_MAX + 1);
        assert_eq!(count(Preference::AskedApi), CLIENTS_API_MAX);
        assert_eq!((count(Preference::Only), count(Preference::Modelled)), (0, 0));
        assert_eq!(askable(Preference::AskedApi, &clients[..3]).len(), 3);
    }

    /// A label is moved forward as far as an answer needs, and no further.
    #[test]
    fn an_answer_moves_its_label_before_those_asked_about_with_it() {
        let modelled: Vec<Label> = (0..5).map(label).collect();
        let labels: BTreeSet<&Label> = [&modelled[1], &modelled[3]].into();
        let order = fitted(&modelled, &[(&labels, &modelled[3])]);
        assert_eq!(order, [0, 3, 1, 2, 4].map(label));
        let all: BTreeSet<&Label> = modelled.iter().collect();
        let newer = fitted(&modelled, &[(&labels, &modelled[3]), (&all, &modelled[1])]);
        assert_eq!(newer, [1, 0, 2, 3, 4].map(label));
    }
}
