//! A canary in words and in JSON: its course before it begins, and what each step came to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use advisor::apply::Outcome;
use advisor::canary::{CanaryRule, SAMPLES_MIN, STEP_TIMES_MAX};
use advisor::plan::CanaryTerms;
use serde_json::{Value, json};

use super::{escape_lines, outcome_json, outcome_text};

/// What a canary will do.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// What its steps have in common.
    pub terms: &'a CanaryTerms,
    /// Its times.
    pub rule: &'a CanaryRule,
    /// Endpoints whose Region's figures are read, each with their period in milliseconds.
    pub receiving: &'a BTreeMap<String, i64>,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepReport {
    /// Its records stand.
    Written {
        /// The new arm's share.
        percent: u8,
        /// The operation in the journal.
        operation: u64,
        /// The change, where it is known.
        change_id: Option<String>,
    },
    /// It was observed.
    Observed {
        /// The new arm's share.
        percent: u8,
        /// How long.
        seconds: i64,
        /// Samples of each arm, once old answers had expired.
        samples: u64,
        /// Slots without a pair of samples.
        missed: u64,
        /// Why it must not stand, if it must not.
        harm: Option<String>,
    },
}

impl StepReport {
    /// Of a step whose records stand.
    #[must_use]
    pub fn written(percent: u8, outcome: &Outcome) -> Self {
        let change_id = outcome.change_id.clone();
        Self::Written { percent, operation: outcome.operation, change_id }
    }

    fn text(&self) -> String {
        match self {
            Self::Written { percent: 0, operation, .. } => {
                format!("the wrapper stands (operation {operation})")
            }
            Self::Written { percent, operation, .. } => {
                format!("{percent} % stand (operation {operation})")
            }
            Self::Observed { percent, seconds, samples, missed, harm } => {
                let verdict = harm.as_deref().unwrap_or("no worse");
                format!(
                    "{percent} % observed for {seconds} s, {samples} samples an arm, {missed} missed: \
                     {verdict}"
                )
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Written { percent, operation, change_id } => {
                json!({"percent": percent, "operation": operation, "change_id": change_id})
            }
            Self::Observed { percent, seconds, samples, missed, harm } => json!({
                "percent": percent,
                "observed_s": seconds,
                "samples": samples,
                "missed": missed,
                "verdict": if harm.is_some() { "revert" } else { "promote" },
                "harm": harm,
            }),
        }
    }
}

fn minutes(ms: i64) -> String {
    format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000)
}

/// A canary before it begins, for people.
#[must_use]
pub fn course_text(course: &Course<'_>) -> String {
    let Course { terms, rule, receiving } = course;
    let shares: Vec<String> = terms.percents.iter().map(|percent| format!("{percent} %")).collect();
    let observed = terms.percents.len().saturating_sub(1);
    let least_ms = rule.least_ms();
    let mut text = format!("canary by {}\n", shares.join(", "));
    let _ = writeln!(
        text,
        "  each step before the last: at least {SAMPLES_MIN} samples an arm, one each {} ms and \
         vantage, and {} (2 x {} s until old answers expire, then {})",
        terms.every_ms,
        minutes(least_ms),
        rule.ttl_ms / 1_000,
        minutes(rule.observe_ms)
    );
    let steps = i64::try_from(observed).unwrap_or(i64::MAX);
    let _ = writeln!(
        text,
        "  {observed} such steps take {} or more; one that shows nothing in {} is taken back",
        minutes(least_ms.saturating_mul(steps)),
        minutes(least_ms.saturating_mul(STEP_TIMES_MAX))
    );
    for (endpoint, period_ms) in *receiving {
        let _ = writeln!(
            text,
            "  {endpoint} receives: its Region's own errors, throttles and concurrency are read \
             each {} s",
            period_ms / 1_000
        );
    }
    let brake = &terms.brake;
    let _ = writeln!(
        text,
        "  brake: alarm {} in {}; without the advisor's beats all answers are the old ones again \
         within 2 minutes",
        brake.alarm, brake.region
    );
    escape_lines(&text)
}

/// A canary that was promoted, for people.
#[must_use]
pub fn canary_text(reports: &[StepReport], last: Option<&Outcome>) -> String {
    let mut text = String::new();
    for report in reports {
        let _ = writeln!(text, "{}", report.text());
    }
    escape_lines(&text) + &last.map(outcome_text).unwrap_or_default()
}

/// A canary that has ended, for scripts: `last` is the newest operation, which took it back where
/// there is a `cause`.
#[must_use]
pub fn canary_json(
    course: &Course<'_>,
    reports: &[StepReport],
    last: Option<&Outcome>,
    cause: Option<&str>,
) -> Value {
    let mut document = last.map_or_else(|| json!({}), outcome_json);
    document["canary"] = json!({
        "plan": course.terms.plan,
        "percents": course.terms.percents,
        "observe_ms": course.rule.observe_ms,
        "ttl_ms": course.rule.ttl_ms,
        "samples_min": SAMPLES_MIN,
        "brake": {"alarm": course.terms.brake.alarm, "region": course.terms.brake.region},
        "steps": reports.iter().map(StepReport::json).collect::<Vec<_>>(),
        "ending": if cause.is_some() { "reverted" } else { "promoted" },
        "cause": cause,
    });
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use advisor::zone::BrakeSpec;

    #[test]
    fn a_canary_says_what_it_will_do_and_what_it_did() {
        let terms = CanaryTerms {
            plan: "0123456789ab".into(),
            percents: vec![1, 10, 50, 100],
            observe_ms: 900_000,
            every_ms: 1_000,
            brake: BrakeSpec {
                caller_reference: "nearside-brake-x-g1".into(),
                region: "us-east-1".into(),
                alarm: "nearside-brake-x".into(),
            },
        };
        let rule = CanaryRule {
            window_ms: 60_000,
            timeout_ms: 10_000,
            ttl_ms: 60_000,
            observe_ms: terms.observe_ms,
        };
        let receiving = BTreeMap::from([("eu-west-1".to_owned(), 60_000)]);
        let course = Course { terms: &terms, rule: &rule, receiving: &receiving };
        let reports = [
            StepReport::Written { percent: 0, operation: 1, change_id: None },
            StepReport::Written { percent: 1, operation: 2, change_id: Some("C1".into()) },
            StepReport::Observed {
                percent: 1,
                seconds: 1_020,
                samples: 900,
                missed: 2,
                harm: Some("the new arm is slower\u{1b}[2J".into()),
            },
        ];
        let said = course_text(&course);
        for part in [
            "canary by 1 %, 10 %, 50 %, 100 %\n",
            "at least 342 samples an arm, one each 1000 ms and vantage, and 17 min 0 s",
            "3 such steps take 51 min 0 s or more; one that shows nothing in 68 min 0 s is taken back",
            "eu-west-1 receives: ",
            "alarm nearside-brake-x in us-east-1",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let expected = "the wrapper stands (operation 1)\n1 % stand (operation 2)\n\
                        1 % observed for 1020 s, 900 samples an arm, 2 missed: \
                        the new arm is slower\\u{1b}[2J\n";
        assert_eq!(canary_text(&reports, None), expected);
        let document = canary_json(&course, &reports, None, Some("x"));
        assert_eq!(document["canary"]["ending"], "reverted");
        assert_eq!(document["canary"]["steps"][2]["verdict"], "revert");
        assert_eq!(document["canary"]["steps"][2]["observed_s"], 1_020);
    }
}
