//! Watching: whether a plan that was made while nobody looked may be applied without asking anybody.
//!
//! Pure. The guards judge the plan besides; this is what a loop must not do although a person may.

use std::fmt;

use crate::journal::Operation;
use crate::plan::Intent;

/// How far back changes count towards the ceiling.
const DAY_MS: i64 = 24 * 3_600_000;

/// What the loop may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchRule {
    /// Whether it applies plans at all.
    pub applies: bool,
    /// Plans it may apply within 24 hours.
    pub changes_a_day: usize,
    /// Whether evidence from data centres alone is enough.
    pub allow_cloud_only: bool,
}

/// Why a plan is shown and not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The loop only plans.
    PlanOnly,
    /// An operation has begun and not ended: its number.
    Unfinished(u64),
    /// The advice rests on evidence from data centres alone.
    CloudOnly,
    /// The day's ceiling is reached.
    Ceiling {
        /// Changes of routing within the last 24 hours.
        made: usize,
        /// How many may be.
        limit: usize,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlanOnly => f.write_str("plan only: --apply was not given"),
            Self::Unfinished(number) => {
                write!(f, "operation {number} has begun and not ended: resume it or roll it back")
            }
            Self::CloudOnly => f.write_str(
                "the advice rests on cloud evidence alone, and guard.allow_cloud_only is false",
            ),
            Self::Ceiling { made, limit } => {
                write!(f, "{made} changes within 24 hours, and {limit} are allowed")
            }
        }
    }
}

/// Why a plan is held back at `now_ms`, if it is. `cloud_only` says that its advice rests on evidence
/// from data centres alone; `operations` are the journal's.
#[must_use]
pub fn hold(
    cloud_only: bool,
    operations: &[Operation],
    rule: &WatchRule,
    now_ms: i64,
) -> Option<Hold> {
    if !rule.applies {
        return Some(Hold::PlanOnly);
    }
    if let Some(last) = operations.last().filter(|last| last.ending.is_none()) {
        return Some(Hold::Unfinished(last.number));
    }
    if cloud_only && !rule.allow_cloud_only {
        return Some(Hold::CloudOnly);
    }
    // What was taken back was a change all the same, and whoever made it counts.
    let recent = |operation: &&Operation| {
        is_change(&operation.plan.intent)
            && operation.is_in_place()
            && now_ms.saturating_sub(operation.last_at_ms) < DAY_MS
    };
    let made = operations.iter().filter(recent).count();
    (made >= rule.changes_a_day).then_some(Hold::Ceiling { made, limit: rule.changes_a_day })
}

/// Whether it moves traffic by advice: of a canary its first percentage stands for all of it.
fn is_change(intent: &Intent) -> bool {
    match intent {
        Intent::Route => true,
        Intent::Canary { percent, terms } => terms.percents.first() == Some(percent),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::live_group;
    use crate::group::tests::{adopted, endpoint, name};
    use crate::journal::{Ending, Event, Journal};
    use crate::plan::{Effect, Ground, Plan};
    use crate::record::RecordType;
    use crate::zone::ZoneFacts;

    /// A route plan; what it changes does not matter here.
    fn plan() -> Plan {
        let zone = ZoneFacts {
            id: "Z1".into(),
            name: name("example.com"),
            name_servers: Vec::new(),
            api: String::new(),
        };
        let (service, endpoints) = (name("api.example.com"), [endpoint("eu-west-1")]);
        let records = [adopted("eu-west-1", "eu-west-1", RecordType::A)];
        let live = live_group(&service, &records, &endpoints).unwrap();
        let (service, records, endpoints) = (&service, &records, &endpoints);
        let ground = Ground { zone: &zone, service, records, endpoints, now_ms: 1_000 };
        ground.route(&live, Vec::new(), Effect::default())
    }

    /// A journal in which `plan` was applied at these times; the last one may be unfinished.
    fn operations(times_ms: &[i64], ends: bool) -> Vec<Operation> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        for (index, at_ms) in times_ms.iter().enumerate() {
            journal.begin(*at_ms, &plan()).unwrap();
            journal.note(*at_ms, Event::Accepted { change_id: None }).unwrap();
            if ends || index + 1 < times_ms.len() {
                journal.note(*at_ms, Event::Ends(Ending::Applied)).unwrap();
            }
        }
        journal.operations().to_vec()
    }

    #[test]
    fn what_holds_a_plan_back() {
        let rule = WatchRule { applies: true, changes_a_day: 2, allow_cloud_only: false };
        let now_ms = 10 * DAY_MS;
        let (old, recent) = (now_ms - DAY_MS, now_ms - DAY_MS + 1);
        let of = |times_ms: &[i64]| operations(times_ms, true);
        let cases = [
            (true, of(&[]), WatchRule { applies: false, ..rule }),
            (true, of(&[]), rule),
            (true, of(&[]), WatchRule { allow_cloud_only: true, ..rule }),
            (false, of(&[]), rule),
            (false, of(&[old, recent]), rule),
            (false, of(&[old, recent, recent]), rule),
            (false, of(&[]), WatchRule { changes_a_day: 0, ..rule }),
            (false, operations(&[old], false), rule),
        ];
        let said: Vec<String> = cases
            .iter()
            .map(|(cloud_only, operations, rule)| {
                hold(*cloud_only, operations, rule, now_ms)
                    .map_or_else(|| "applied".to_owned(), |hold| hold.to_string())
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
