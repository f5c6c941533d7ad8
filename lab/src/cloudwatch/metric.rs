//! What a metric is known by, and its units. Pure.

use super::error::{ApiError, validation, value};
use super::fields::{Fields, missing};
use super::limits;
use super::wire::Item;

/// Every unit.
pub(super) const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// The unit of a name.
pub(super) fn unit(name: &str, path: &str) -> Result<&'static str, ApiError> {
    UNITS.into_iter().find(|unit| *unit == name).ok_or_else(|| {
        let units = UNITS.join(", ");
        value(format!("The parameter {path} must be a value in the set [ {units} ]."))
    })
}

/// A metric: namespace, name, and dimensions in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MetricKey {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) dimensions: Vec<(String, String)>,
}

impl MetricKey {
    /// A metric of AWS's own services.
    pub(super) fn new(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut dimensions: Vec<_> = dimensions.iter().map(owned).collect();
        dimensions.sort();
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }

    /// As ListMetrics and alarms write it.
    pub(super) fn dimensions_item(&self) -> Item {
        let one = |(name, value): &(String, String)| {
            Item::map([("Name", Some(Item::text(name))), ("Value", Some(Item::text(value)))])
        };
        Item::List(self.dimensions.iter().map(one).collect())
    }
}

/// A text of 1 to `most` characters of ASCII.
pub(super) fn bounded(text: &str, most: usize, path: &str) -> Result<(), ApiError> {
    if text.is_empty() {
        return Err(value(format!("The parameter {path} must not be empty.")));
    }
    if text.chars().count() > most {
        let limit = most + 1;
        return Err(value(format!(
            "The parameter {path} must be shorter than {limit} characters."
        )));
    }
    if !text.is_ascii() || text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(value(format!(
            "The parameter {path} contains non-ASCII or control characters."
        )));
    }
    Ok(())
}

/// A namespace: 1 to 255 characters, not beginning with a colon.
pub(super) fn namespace(text: &str, path: &str) -> Result<(), ApiError> {
    bounded(text, limits::NAME_MAX, path)?;
    let legal = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/#:".contains(&b));
    if text.starts_with(':') || !legal {
        return Err(value(format!("The value {text} for parameter {path} is invalid.")));
    }
    Ok(())
}

/// The dimensions of a metric, in the order of their names.
pub(super) fn dimensions(
    fields: &Fields<'_>,
    path: &str,
) -> Result<Vec<(String, String)>, ApiError> {
    let given = fields.structures("Dimensions")?;
    if given.len() > limits::DIMENSIONS_MAX {
        let most = limits::DIMENSIONS_MAX;
        let path = format!("{path}Dimensions");
        return Err(value(format!(
            "The collection {path} must not have a size greater than {most}."
        )));
    }
    let mut read = Vec::with_capacity(given.len());
    for (at, dimension) in given.iter().enumerate() {
        let path = format!("{path}Dimensions.member.{}", at + 1);
        let (name_path, value_path) = (format!("{path}.Name"), format!("{path}.Value"));
        let name = dimension.required("Name", &name_path)?;
        bounded(name, limits::NAME_MAX, &name_path)?;
        if name.starts_with(':') {
            return Err(value(format!("The parameter {name_path} must not start with a colon.")));
        }
        let found = dimension.text("Value")?.ok_or_else(|| missing(&value_path))?;
        bounded(found, limits::DIMENSION_VALUE_MAX, &value_path)?;
        if read.iter().any(|(known, _)| known == name) {
            return Err(value(format!("The dimension {name} is given twice in {path}.")));
        }
        read.push((name.to_owned(), found.to_owned()));
    }
    read.sort();
    Ok(read)
}

/// The metric that a query or an alarm names by `Namespace`, `MetricName` and `Dimensions`.
pub(super) fn key(fields: &Fields<'_>, path: &str) -> Result<MetricKey, ApiError> {
    let at = |name: &str| format!("{path}{name}");
    let of = fields.text("Namespace")?.ok_or_else(|| absent(&at("Namespace")))?;
    let name = fields.text("MetricName")?.ok_or_else(|| absent(&at("MetricName")))?;
    namespace(of, &at("Namespace"))?;
    bounded(name, limits::NAME_MAX, &at("MetricName"))?;
    let dimensions = dimensions(fields, path)?;
    Ok(MetricKey { namespace: of.to_owned(), name: name.to_owned(), dimensions })
}

fn absent(path: &str) -> ApiError {
    validation(format!("The parameter {path} is required."))
}
