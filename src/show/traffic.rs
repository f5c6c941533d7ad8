//! Counted clients as text and as JSON, and as weights for other commands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use advisor::traffic::{LogKind, Nearest, Tally};
use serde_json::{Value, json};

use super::table::{Table, percent};
use crate::cli::WeightsOf;
use crate::failure::{Exit, Failure};

/// Places that are named in the text.
const NAMED_MAX: usize = 15;

/// Where weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Logs of this kind.
    Log(LogKind),
    /// The built-in cities.
    Population,
}

/// Clients, their places and the vantages near them.
#[derive(Debug, Clone)]
pub struct TrafficView {
    /// Where weights come from.
    pub source: Source,
    /// What was counted.
    pub tally: Tally,
    /// Places with their nearest vantages.
    pub places: Vec<Nearest>,
    /// The weight of clients whose place is unknown.
    pub unplaced: f64,
    /// Up to how far a vantage stands for clients.
    pub within_km: f64,
}

impl TrafficView {
    fn total(&self) -> f64 {
        self.places.iter().map(|place| place.weight).sum::<f64>() + self.unplaced
    }

    fn share(&self, weight: f64) -> f64 {
        // An empty sum is minus zero.
        if self.total() > 0.0 { weight / self.total() + 0.0 } else { 0.0 }
    }

    fn is_near(&self, place: &Nearest) -> bool {
        place.near.first().is_some_and(|near| near.km <= self.within_km)
    }

    fn beyond(&self) -> f64 {
        self.places.iter().filter(|place| !self.is_near(place)).map(|place| place.weight).sum()
    }

    /// What each vantage, place or prefix weighs. A place too far from every vantage counts for its
    /// nearest all the same: the text says how much that is.
    pub fn weights(&self, by: WeightsOf) -> Result<Vec<(String, f64)>, Failure> {
        let empty = |what: &str, hint: &str| {
            Err(Failure::new(Exit::Failed, format!("there are no weights by {what} to write"))
                .hint(hint))
        };
        let weights: Vec<(String, f64)> = match by {
            WeightsOf::Vantage => self.vantages().into_iter().collect(),
            WeightsOf::Place => self.places.iter().map(|p| (p.place.clone(), p.weight)).collect(),
            WeightsOf::Prefix => {
                let prefixes = self.tally.prefixes().into_iter();
                prefixes.map(|(prefix, count)| (prefix.to_string(), count as f64)).collect()
            }
        };
        match by {
            _ if !weights.is_empty() => Ok(weights),
            WeightsOf::Prefix => empty("prefix", "the source names no addresses: use --by place"),
            _ => empty("place", "the source names no places: use --by prefix"),
        }
    }

    fn vantages(&self) -> BTreeMap<String, f64> {
        let mut weights = BTreeMap::new();
        for place in &self.places {
            if let Some(near) = place.near.first() {
                *weights.entry(near.vantage.clone()).or_insert(0.0) += place.weight;
            }
        }
        weights
    }

    fn heaviest(&self) -> Vec<&Nearest> {
        let mut places: Vec<&Nearest> = self.places.iter().collect();
        places.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.place.cmp(&b.place)));
        places
    }

    /// What is represented, then by whom.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.counted();
        if self.total() == 0.0 {
            text.push_str("no client was found: nothing is known of who the users are\n");
            return super::escape_lines(&text);
        }
        let _ = writeln!(
            text,
            "no vantage within {} km: {}; place unknown: {}",
            self.within_km,
            percent(self.share(self.beyond())),
            percent(self.share(self.unplaced))
        );
        if !self.places.is_empty() {
            let _ = write!(text, "\n{}", self.table());
        }
        super::escape_lines(&text)
    }

    fn counted(&self) -> String {
        let tally = &self.tally;
        let what = match self.source {
            Source::Population => {
                return "weights: where the world's internet users live, not your traffic\n".into();
            }
            Source::Log(LogKind::QueryLog) => {
                "questions that resolvers had no answer for in their cache: not traffic"
            }
            Source::Log(_) => "requests",
        };
        let mut text = format!(
            "{} {what}, from {} networks; {} of {} lines malformed\n",
            tally.counted,
            tally.prefixes().len(),
            tally.malformed,
            tally.lines
        );
        if let Some(first) = &tally.first_malformed {
            let _ = writeln!(
                text,
                "first malformed: {} line {} {}",
                first.name, first.line, first.cause
            );
        }
        if tally.other > 0 {
            let _ = writeln!(text, "{} of them from networks too many to tell apart", tally.other);
        }
        text
    }

    fn table(&self) -> String {
        let mut table = Table::new(["place", "share", "nearest vantage", "km", "then"]);
        for place in self.heaviest().into_iter().take(NAMED_MAX) {
            let near = place.near.first();
            let then: Vec<String> = place
                .near
                .iter()
                .skip(1)
                .map(|near| format!("{} {:.0} km", near.vantage, near.km))
                .collect();
            table.row([
                place.place.clone(),
                percent(self.share(place.weight)),
                near.map_or("-".into(), |near| near.vantage.clone()),
                near.map_or("-".into(), |near| format!("{:.0}", near.km)),
                then.join(", "),
            ]);
        }
        let more = self.places.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!("and {more} more places\n") } else { String::new() };
        format!("{}{more}", table.text())
    }

    /// Everything but single networks.
    #[must_use]
    pub fn json(&self) -> Value {
        let places = self.heaviest().into_iter().map(|place| {
            let near = place.near.iter();
            json!({
                "place": place.place,
                "weight": place.weight,
                "nearest": near.map(|near| json!({"vantage": near.vantage, "km": near.km}))
                    .collect::<Vec<_>>(),
            })
        });
        let first = self.tally.first_malformed.as_ref();
        json!({
            "source": source_word(self.source),
            "is_traffic": matches!(self.source, Source::Log(LogKind::CloudFront | LogKind::ApiGateway)),
            "lines": self.tally.lines,
            "counted": self.tally.counted,
            "malformed": self.tally.malformed,
            "first_malformed": first.map(|first| {
                json!({"file": first.name, "line": first.line, "cause": first.cause})
            }),
            "networks": self.tally.prefixes().len(),
            "counted_in_other_networks": self.tally.other,
            "within_km": self.within_km,
            "beyond_share": self.share(self.beyond()),
            "unplaced_share": self.share(self.unplaced),
            "vantages": self.vantages(),
            "places": places.collect::<Vec<_>>(),
        })
    }
}

fn source_word(source: Source) -> &'static str {
    match source {
        Source::Log(LogKind::CloudFront) => "cloudfront",
        Source::Log(LogKind::ApiGateway) => "apigateway",
        Source::Log(LogKind::QueryLog) => "query-log",
        Source::Population => "population",
    }
}
