//! PutMetricAlarm, DescribeAlarms, DeleteAlarms: their rules, and the alarms of one Region. Pure:
//! callers pass `now`.

use std::collections::BTreeMap;

use super::alarm::{Missing, Operator, Watch};
use super::error::{ApiError, Kind, validation};
use super::fields::Fields;
use super::limits;
use super::metric::{key, unit};
use super::statistic::Statistic;
use super::store::Store;
use super::wire::Item;
use crate::route53::health::AlarmState;

/// Account of every ARN: the one AWS uses in examples.
const ACCOUNT: &str = "123456789012";
/// Texts and lists of an alarm that are kept and given back as they are.
const KEPT: [&str; 6] = [
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "EvaluateLowSampleCountPercentile",
];

/// One alarm.
#[derive(Debug, Clone)]
struct Alarm {
    watch: Watch,
    statistic: String,
    /// What of [`KEPT`] was given.
    kept: Vec<(&'static str, Item)>,
    updated_s: f64,
    state: AlarmState,
    since_s: f64,
}

/// The alarms of a Region, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Alarms(BTreeMap<String, Alarm>);

impl Alarms {
    /// PutMetricAlarm: makes an alarm, or replaces one whole. A replaced one keeps its state.
    pub(super) fn put(&mut self, request: &Fields<'_>, now_s: f64) -> Result<(), ApiError> {
        let name = request.text("AlarmName")?.unwrap_or_default();
        length(name, "alarmName", 1, limits::NAME_MAX)?;
        for absent in ["Metrics", "ThresholdMetricId", "EvaluationCriteria"] {
            if request.has(absent) {
                let message = format!("the lab's alarms watch one metric, not {absent}");
                return Err(ApiError::new(Kind::NotImplemented, message));
            }
        }
        let (watch, statistic) = read_watch(request)?;
        let before = self.0.get(name).map(|alarm| (alarm.state, alarm.since_s));
        if before.is_none() && self.0.len() >= limits::ALARMS_MAX {
            return Err(ApiError::new(
                Kind::LimitExceeded,
                "The maximum limit for alarms is exceeded.",
            ));
        }
        let (state, since_s) = before.unwrap_or((AlarmState::InsufficientData, now_s));
        let kept = read_kept(request)?;
        let alarm = Alarm { watch, statistic, kept, updated_s: now_s, state, since_s };
        self.0.insert(name.to_owned(), alarm);
        Ok(())
    }

    /// DeleteAlarms: all, or none if one is not there.
    pub(super) fn delete(&mut self, request: &Fields<'_>) -> Result<(), ApiError> {
        let names = request.texts("AlarmNames")?;
        if names.is_empty() || names.len() > limits::DELETE_MAX {
            let most = limits::DELETE_MAX;
            return Err(validation(format!("The collection AlarmNames must have 1 to {most}.")));
        }
        if let Some(unknown) = names.iter().find(|name| !self.0.contains_key(*name)) {
            let message = format!("Alarm {unknown} does not exist.");
            return Err(ApiError::new(Kind::ResourceNotFound, message));
        }
        self.0.retain(|name, _| !names.contains(name));
        Ok(())
    }

    /// Judges every alarm anew.
    pub(super) fn advance(&mut self, store: &Store, now_s: i64) {
        for alarm in self.0.values_mut() {
            let state = alarm.watch.state(store, now_s, alarm.state);
            if state != alarm.state {
                (alarm.state, alarm.since_s) = (state, now_s as f64);
            }
        }
    }

    /// What Route 53 sees of each alarm's data.
    pub(super) fn streams(&self, store: &Store, now_s: i64) -> Vec<(String, AlarmState)> {
        let stream =
            |(name, alarm): (&String, &Alarm)| (name.clone(), alarm.watch.stream(store, now_s));
        self.0.iter().map(stream).collect()
    }

    /// DescribeAlarms: one page, by name.
    pub(super) fn describe(&self, request: &Fields<'_>, region: &str) -> Result<Item, ApiError> {
        let names = request.texts("AlarmNames")?;
        let prefix = request.text("AlarmNamePrefix")?;
        if !names.is_empty() && prefix.is_some() {
            return Err(validation(
                "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive.",
            ));
        }
        let kinds = request.texts("AlarmTypes")?;
        let here = kinds.is_empty() || kinds.iter().any(|kind| kind == "MetricAlarm");
        let state = request.text("StateValue")?;
        let after = request.text("NextToken")?;
        let most = page_size(request)?;
        let passes = |(name, alarm): &(&String, &Alarm)| {
            here && (names.is_empty() || names.contains(name))
                && prefix.is_none_or(|prefix| name.starts_with(prefix))
                && state.is_none_or(|state| state == word(alarm.state))
                && after.is_none_or(|after| name.as_str() > after)
        };
        let mut found = self.0.iter().filter(passes);
        let page: Vec<(&String, &Alarm)> = found.by_ref().take(most).collect();
        let last = page.last().map(|(name, _)| Item::text(name.as_str()));
        let next = found.next().and(last);
        let items = page.iter().map(|(name, alarm)| item(name, alarm, region)).collect();
        Ok(Item::map([
            ("CompositeAlarms", Some(Item::List(Vec::new()))),
            ("MetricAlarms", Some(Item::List(items))),
            ("NextToken", next),
        ]))
    }
}

fn page_size(request: &Fields<'_>) -> Result<usize, ApiError> {
    let Some(asked) = request.integer("MaxRecords")? else { return Ok(limits::ALARMS_PAGE) };
    let asked = usize::try_from(asked).ok();
    asked.filter(|asked| (1..=limits::ALARMS_PAGE_MAX).contains(asked)).ok_or_else(|| {
        validation(format!("MaxRecords must be between 1 and {}", limits::ALARMS_PAGE_MAX))
    })
}

/// The model's bounds of a text, in the words of the framework that checks them.
fn length(text: &str, name: &str, least: usize, most: usize) -> Result<(), ApiError> {
    let length = text.chars().count();
    let bound = if length < least {
        format!("greater than or equal to {least}")
    } else if length > most {
        format!("less than or equal to {most}")
    } else {
        return Ok(());
    };
    Err(validation(format!(
        "1 validation error detected: Value '{text}' at '{name}' failed to satisfy constraint: Member must have length {bound}"
    )))
}

fn needed<T>(value: Option<T>, name: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| validation(format!("The parameter {name} is required.")))
}

fn chosen<T>(text: &str, name: &str, found: Option<T>) -> Result<T, ApiError> {
    found.ok_or_else(|| {
        validation(format!("The value {text} for parameter {name} is not supported."))
    })
}

/// An integer of at least 1.
fn counted(request: &Fields<'_>, name: &str) -> Result<Option<i64>, ApiError> {
    match request.integer(name)? {
        Some(found) if found < 1 => {
            Err(validation(format!("The parameter {name} must be greater than or equal to 1.")))
        }
        found => Ok(found),
    }
}

fn read_statistic(request: &Fields<'_>) -> Result<(Statistic, String), ApiError> {
    let (name, text, plain) = match (request.text("Statistic")?, request.text("ExtendedStatistic")?)
    {
        (Some(text), None) => ("Statistic", text, true),
        (None, Some(text)) => ("ExtendedStatistic", text, false),
        (Some(_), Some(_)) => {
            return Err(validation(
                "The parameters Statistic and ExtendedStatistic are mutually exclusive and you have specified both.",
            ));
        }
        (None, None) => {
            return Err(validation(
                "One of the parameters Statistic and ExtendedStatistic must be specified.",
            ));
        }
    };
    let found = Statistic::parse(text).filter(|found| found.is_plain() == plain);
    Ok((chosen(text, name, found)?, text.to_owned()))
}

fn read_watch(request: &Fields<'_>) -> Result<(Watch, String), ApiError> {
    let key = key(request, "")?;
    let (statistic, text) = read_statistic(request)?;
    let period_s = needed(counted(request, "Period")?, "Period")?;
    if !matches!(period_s, 10 | 20 | 30) && period_s % 60 != 0 {
        return Err(validation("Period must be 10, 20, 30 or a multiple of 60"));
    }
    let evaluation_periods = needed(counted(request, "EvaluationPeriods")?, "EvaluationPeriods")?;
    let datapoints_to_alarm = counted(request, "DatapointsToAlarm")?;
    if datapoints_to_alarm.is_some_and(|of| of > evaluation_periods) {
        return Err(validation(
            "DatapointsToAlarm must be less than or equal to EvaluationPeriods",
        ));
    }
    let operator = needed(request.text("ComparisonOperator")?, "ComparisonOperator")?;
    let missing = request.text("TreatMissingData")?;
    let missing =
        missing.map(|text| chosen(text, "TreatMissingData", Missing::parse(text))).transpose()?;
    let threshold = needed(request.number("Threshold")?, "Threshold")?;
    if !threshold.is_finite() {
        return Err(validation(format!(
            "The value {threshold} for parameter Threshold is invalid."
        )));
    }
    let watch = Watch {
        key,
        statistic,
        period_s,
        unit: request.text("Unit")?.map(|name| unit(name, "Unit")).transpose()?,
        evaluation_periods,
        datapoints_to_alarm,
        threshold,
        operator: chosen(operator, "ComparisonOperator", Operator::parse(operator))?,
        missing,
    };
    if !watch.is_short_enough() {
        let most = limits::EVALUATION_MAX_S;
        return Err(validation(format!(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= {most})."
        )));
    }
    Ok((watch, text))
}

fn read_kept(request: &Fields<'_>) -> Result<Vec<(&'static str, Item)>, ApiError> {
    let mut kept = Vec::new();
    for name in KEPT {
        let item = match name {
            "ActionsEnabled" => Some(Item::Bool(request.bool(name)?.unwrap_or(true))),
            "OKActions" | "AlarmActions" | "InsufficientDataActions" => {
                let actions = request.texts(name)?;
                Some(Item::List(actions.into_iter().map(Item::Text).collect()))
            }
            _ => request.text(name)?.map(Item::text),
        };
        kept.extend(item.map(|item| (name, item)));
    }
    Ok(kept)
}

fn word(state: AlarmState) -> &'static str {
    match state {
        AlarmState::Ok => "OK",
        AlarmState::Alarm => "ALARM",
        AlarmState::InsufficientData => "INSUFFICIENT_DATA",
    }
}

fn item(name: &str, alarm: &Alarm, region: &str) -> Item {
    let watch = &alarm.watch;
    let of_statistic = if watch.statistic.is_plain() { "Statistic" } else { "ExtendedStatistic" };
    let arn = format!("arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}");
    let Item::Map(mut members) = Item::map([
        ("AlarmName", Some(Item::text(name))),
        ("AlarmArn", Some(Item::text(arn))),
        ("AlarmConfigurationUpdatedTimestamp", Some(Item::Time(alarm.updated_s))),
        ("StateValue", Some(Item::text(word(alarm.state)))),
        ("StateUpdatedTimestamp", Some(Item::Time(alarm.since_s))),
        ("StateTransitionedTimestamp", Some(Item::Time(alarm.since_s))),
        ("MetricName", Some(Item::text(&watch.key.name))),
        ("Namespace", Some(Item::text(&watch.key.namespace))),
        (of_statistic, Some(Item::text(&alarm.statistic))),
        ("Dimensions", Some(watch.key.dimensions_item())),
        ("Period", Some(Item::Integer(watch.period_s))),
        ("Unit", watch.unit.map(Item::text)),
        ("EvaluationPeriods", Some(Item::Integer(watch.evaluation_periods))),
        ("DatapointsToAlarm", watch.datapoints_to_alarm.map(Item::Integer)),
        ("Threshold", Some(Item::Number(watch.threshold))),
        ("ComparisonOperator", Some(Item::text(watch.operator.as_str()))),
        ("TreatMissingData", watch.missing.map(|missing| Item::text(missing.as_str()))),
    ]) else {
        return Item::Map(Vec::new());
    };
    members.extend(alarm.kept.iter().map(|(name, item)| ((*name).to_owned(), item.clone())));
    Item::Map(members)
}
