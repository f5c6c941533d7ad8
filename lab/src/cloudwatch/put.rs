//! PutMetricData: its rules, and the data that it publishes. Pure.

use std::collections::BTreeSet;

use super::distribution::{Distribution, StatisticSet};
use super::error::{ApiError, Kind, value};
use super::fields::{Fields, missing};
use super::limits;
use super::metric::{MetricKey, bounded, dimensions, namespace, unit};
use super::store::Datum;

/// The largest magnitude: 2^360.
const MAGNITUDE_BITS: i32 = 360;

/// Everything that one request publishes, or the first refusal; those of timestamps come together.
pub(super) fn read(request: &Fields<'_>, now_s: f64) -> Result<Vec<Datum>, ApiError> {
    let space = request.required("Namespace", "Namespace")?;
    namespace(space, "Namespace")?;
    if space.starts_with("AWS/") {
        return Err(value(format!("The value {space} for parameter Namespace is invalid.")));
    }
    if request.has("EntityMetricData") {
        let message = "the lab takes MetricData alone, not EntityMetricData";
        return Err(ApiError::new(Kind::NotImplemented, message));
    }
    let datums = request.structures("MetricData")?;
    if datums.is_empty() {
        return Err(missing("MetricData"));
    }
    if datums.len() > limits::DATUMS_MAX {
        let most = limits::DATUMS_MAX;
        return Err(value(format!(
            "The collection MetricData must not have a size greater than {most}."
        )));
    }
    let times = datums.iter().enumerate().filter_map(|(at, datum)| {
        let seconds = datum.time("Timestamp").ok().flatten()?;
        time_refusal(seconds, now_s, &member(at))
    });
    let times: Vec<String> = times.collect();
    if !times.is_empty() {
        return Err(value(times.join("\n")));
    }
    let read = |(at, datum): (usize, &Fields<'_>)| read_datum(datum, space, &member(at), now_s);
    datums.iter().enumerate().map(read).collect()
}

fn member(at: usize) -> String {
    format!("MetricData.member.{}", at + 1)
}

fn time_refusal(seconds: f64, now_s: f64, path: &str) -> Option<String> {
    if seconds.is_nan() || seconds < now_s - limits::PAST_MAX_S {
        return Some(format!(
            "The parameter {path}.Timestamp must specify a time within the past two weeks."
        ));
    }
    (seconds > now_s + limits::AHEAD_MAX_S).then(|| {
        format!("The parameter {path}.Timestamp must specify a time no more than two hours in the future.")
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a time within weeks of now")]
fn read_datum(datum: &Fields<'_>, space: &str, path: &str, now_s: f64) -> Result<Datum, ApiError> {
    let name_path = format!("{path}.MetricName");
    let name = datum.required("MetricName", &name_path)?;
    bounded(name, limits::NAME_MAX, &name_path)?;
    let dimensions = dimensions(datum, &format!("{path}."))?;
    let unit = unit(datum.text("Unit")?.unwrap_or("None"), &format!("{path}.Unit"))?;
    let fine = match datum.integer("StorageResolution")? {
        None | Some(60) => false,
        Some(1) => true,
        Some(other) => {
            return Err(value(format!(
                "The value {other} for parameter {path}.StorageResolution is invalid: it must be 1 or 60."
            )));
        }
    };
    Ok(Datum {
        key: MetricKey { namespace: space.to_owned(), name: name.to_owned(), dimensions },
        at_s: datum.time("Timestamp")?.unwrap_or(now_s).floor() as i64,
        fine,
        unit,
        data: read_data(datum, path)?,
    })
}

/// Exactly one of a value, values, and a statistic set.
fn read_data(datum: &Fields<'_>, path: &str) -> Result<Distribution, ApiError> {
    const FORMS: [&str; 3] = ["Value", "StatisticValues", "Values"];
    let given: Vec<&str> = FORMS.into_iter().filter(|name| datum.has(name)).collect();
    let combination = |message: String| ApiError::new(Kind::InvalidParameterCombination, message);
    match given.as_slice() {
        [] => Err(combination(format!(
            "At least one of the parameters {path}.Value, {path}.Values and {path}.StatisticValues must be specified."
        ))),
        [first, second, ..] => Err(combination(format!(
            "The parameters {path}.{first} and {path}.{second} are mutually exclusive and you have specified both."
        ))),
        ["Values"] => read_values(datum, path),
        _ if datum.has("Counts") => {
            Err(combination(format!("The parameter {path}.Counts needs {path}.Values.")))
        }
        ["Value"] => {
            let mut data = Distribution::default();
            let number = datum.number("Value")?.unwrap_or_default();
            data.add(checked(number, &format!("{path}.Value"))?, 1.0);
            Ok(data)
        }
        _ => read_set(datum, path),
    }
}

fn read_values(datum: &Fields<'_>, path: &str) -> Result<Distribution, ApiError> {
    let (values, counts) = (datum.numbers("Values")?, datum.numbers("Counts")?);
    let values_path = format!("{path}.Values");
    let unique: BTreeSet<u64> = values.iter().map(|value| (value + 0.0).to_bits()).collect();
    if unique.len() > limits::VALUES_MAX {
        let most = limits::VALUES_MAX;
        return Err(value(format!(
            "The collection {values_path} must not have a size greater than {most}."
        )));
    }
    if values.is_empty() {
        return Err(value(format!("The collection {values_path} must not be empty.")));
    }
    if datum.has("Counts") && counts.len() != values.len() {
        return Err(value(format!(
            "The parameters {values_path} and {path}.Counts must have the same size."
        )));
    }
    let mut data = Distribution::default();
    for (at, number) in values.iter().enumerate() {
        let count = counts.get(at).copied().unwrap_or(1.0);
        let count_path = format!("{path}.Counts.member.{}", at + 1);
        if checked(count, &count_path)? <= 0.0 {
            return Err(value(format!("The parameter {count_path} must be greater than 0.")));
        }
        data.add(checked(*number, &format!("{values_path}.member.{}", at + 1))?, count);
    }
    Ok(data)
}

fn read_set(datum: &Fields<'_>, path: &str) -> Result<Distribution, ApiError> {
    let path = format!("{path}.StatisticValues");
    let fields = datum.structure("StatisticValues")?.ok_or_else(|| missing(&path))?;
    let number = |name: &str| {
        let path = format!("{path}.{name}");
        checked(fields.number(name)?.ok_or_else(|| missing(&path))?, &path)
    };
    let set = StatisticSet {
        count: number("SampleCount")?,
        sum: number("Sum")?,
        minimum: number("Minimum")?,
        maximum: number("Maximum")?,
    };
    if set.minimum > set.maximum {
        return Err(value(format!(
            "The parameter {path}.Maximum must be greater than or equal to {path}.Minimum."
        )));
    }
    let mut data = Distribution::default();
    // A set of no samples is allowed and says nothing.
    if set.count > 0.0 {
        data.add_set(set);
    }
    Ok(data)
}

/// A number that is one, and no larger than CloudWatch's range.
fn checked(number: f64, path: &str) -> Result<f64, ApiError> {
    if number.is_finite() && number.abs() <= 2.0_f64.powi(MAGNITUDE_BITS) {
        Ok(number)
    } else {
        Err(value(format!("The value {number} for parameter {path} is invalid.")))
    }
}
