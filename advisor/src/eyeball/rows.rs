//! The rows of rule 2, from what was asked and measured: who they are, whose traffic they carry, and
//! which traffic nothing measured stands for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use probe::config::{Config, Population};

use crate::advice::{Choice, EyeballRow, Eyeballs, NextLabels};
use crate::name::Label;
use crate::preferred::Next;
use crate::shares::Shares;

/// What the rows are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Where labels point.
    pub(crate) live: &'a BTreeMap<Label, String>,
    /// The label that Route 53 prefers for each vantage.
    pub(crate) preferred: &'a BTreeMap<String, Label>,
    /// Every label, for each vantage: see `preferred::orders`.
    pub(crate) orders: &'a BTreeMap<String, Vec<Label>>,
    /// Who the users are.
    pub(crate) traffic: &'a Shares,
    /// The traffic of clients that no vantage stands for, by the label that they prefer.
    pub(crate) clients: &'a BTreeMap<Label, f64>,
    /// Whether Route 53 was asked about the installed labels.
    pub(crate) asked: bool,
    /// What Route 53 said of other labels.
    pub(crate) next: Option<&'a Next>,
}

/// The rows. Labels are chosen from what Route 53 was asked about.
pub(crate) fn eyeballs(config: &Config, known: Known<'_>) -> Eyeballs {
    let row = |id: &String| EyeballRow {
        weight: known.traffic.of_vantage(id),
        order: known.orders.get(id).cloned().unwrap_or_default(),
    };
    let users = config.vantages.iter().filter(|one| one.population == Population::Eyeball);
    let rows = users.map(|one| (one.id.clone(), row(&one.id))).collect();
    let next = known.next.map(|next| {
        let mut clients = BTreeMap::new();
        for ((_, then), share) in &next.clients {
            *clients.entry(then.clone()).or_default() += share;
        }
        let unmeasured = unmeasured(config, known.traffic, &next.preferred, &clients);
        NextLabels { labels: next.labels.clone(), unmeasured }
    });
    Eyeballs {
        rows,
        unmeasured: unmeasured(config, known.traffic, known.preferred, known.clients),
        own_labels: own_labels(config, known.live),
        asked: known.asked,
        choice: Choice::Asked(next),
    }
}

/// The traffic of each label's catchment that no row stands for. A cloud vantage's traffic is measured by
/// nobody; traffic of which it is not known where it is sent is spread over the labels as the known
/// traffic is.
fn unmeasured(
    config: &Config,
    traffic: &Shares,
    preferred: &BTreeMap<String, Label>,
    clients: &BTreeMap<Label, f64>,
) -> BTreeMap<Label, f64> {
    let of_users = |id: &str| {
        config.vantages.iter().any(|one| one.id == id && one.population == Population::Eyeball)
    };
    let (mut sent, mut unmeasured) = (clients.clone(), clients.clone());
    for (id, share) in &traffic.vantages {
        let Some(label) = preferred.get(id) else { continue };
        *sent.entry(label.clone()).or_default() += share;
        if !of_users(id) {
            *unmeasured.entry(label.clone()).or_default() += share;
        }
    }
    let all: f64 = sent.values().sum();
    for (label, share) in &sent {
        let of_unknown = (1.0 - all).max(0.0) * share / all;
        if of_unknown > ROUNDING {
            *unmeasured.entry(label.clone()).or_default() += of_unknown;
        }
    }
    unmeasured
}

/// What shares may lack of 1 by rounding.
const ROUNDING: f64 = 1e-9;

/// The installed labels of the endpoints' own Regions.
fn own_labels(config: &Config, live: &BTreeMap<Label, String>) -> BTreeSet<Label> {
    let regions = config.endpoints.iter().map(|endpoint| Label::new(&endpoint.region));
    regions.filter(|label| live.contains_key(label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    fn config() -> Config {
        settings::tests::config(
            r#"
            [[vantage]]
            id = "eu-west-1"
            population = "cloud"
            [[vantage]]
            id = "home-lisbon"
            population = "eyeball"
            [[vantage]]
            id = "home-lost"
            population = "eyeball"
            "#,
        )
    }

    /// What nobody measured of each label, with these shares of vantages and of other clients.
    fn unmeasured(vantages: &[(&str, f64)], clients: &[(&str, f64)]) -> BTreeMap<String, f64> {
        let traffic = Shares {
            vantages: vantages.iter().map(|(id, share)| ((*id).to_owned(), *share)).collect(),
            clients: Vec::new(),
            rest: 0.0,
            source: String::new(),
        };
        let [eu, us] = ["eu-west-1", "us-east-1"].map(Label::new);
        let known = Known {
            live: &[(eu.clone(), "ireland".to_owned()), (us, "ireland".to_owned())].into(),
            preferred: &["eu-west-1", "home-lisbon"].map(|id| (id.to_owned(), eu.clone())).into(),
            orders: &BTreeMap::new(),
            traffic: &traffic,
            clients: &clients.iter().map(|(label, share)| (Label::new(label), *share)).collect(),
            asked: true,
            next: None,
        };
        let eyeballs = eyeballs(&config(), known);
        assert_eq!(eyeballs.own_labels, BTreeSet::from([eu]));
        assert_eq!(eyeballs.rows.keys().collect::<Vec<_>>(), ["home-lisbon", "home-lost"]);
        eyeballs.unmeasured.into_iter().map(|(label, of)| (label.to_string(), of)).collect()
    }

    fn near(found: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (label, share) in expected {
            assert!((found[*label] - share).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn only_users_networks_carry_traffic() {
        near(&unmeasured(&[("home-lisbon", 1.0)], &[]), &[]);
        near(&unmeasured(&[("home-lisbon", 0.9), ("eu-west-1", 0.1)], &[]), &[("eu-west-1", 0.1)]);
        let clients = [("eu-west-1", 0.1), ("us-east-1", 0.3)];
        near(&unmeasured(&[("home-lisbon", 0.6)], &clients), &clients);
    }

    #[test]
    fn traffic_that_is_sent_nobody_knows_where_counts_against_all_labels() {
        // A fifth belongs to a vantage without a preferred label, another one to nobody.
        let found = unmeasured(&[("home-lisbon", 0.3), ("home-lost", 0.2)], &[("us-east-1", 0.3)]);
        near(&found, &[("eu-west-1", 0.2), ("us-east-1", 0.5)]);
    }
}
