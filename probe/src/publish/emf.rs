//! Embedded metric format: a log line that CloudWatch reads as metrics. For places where the log is
//! the way out, as in Lambda. Pure.

use serde_json::{Map, Value, json};

use super::{Datum, Unit};

/// Values of one metric in one line, at most.
const VALUES_MAX: usize = 100;

/// Lines for these datums: each datum is one line, and one more for each hundred values beyond.
///
/// The format knows no counts: a value is written as often as it was counted.
#[must_use]
pub fn lines(namespace: &str, datums: &[Datum]) -> Vec<String> {
    datums.iter().flat_map(|datum| of_datum(namespace, datum)).collect()
}

fn of_datum(namespace: &str, datum: &Datum) -> Vec<String> {
    let each = |(value, count): &(f64, u64)| {
        let count = usize::try_from(*count).unwrap_or(usize::MAX);
        std::iter::repeat_n(*value, count)
    };
    let values: Vec<f64> = datum.values.iter().flat_map(each).collect();
    values.chunks(VALUES_MAX).map(|values| line(namespace, datum, values)).collect()
}

fn line(namespace: &str, datum: &Datum, values: &[f64]) -> String {
    let names: Vec<&str> = datum.dimensions.iter().map(|(name, _)| name.as_str()).collect();
    let unit = match datum.unit {
        Unit::Milliseconds => "Milliseconds",
        Unit::Count => "Count",
    };
    let mut members = Map::new();
    let head = json!({
        "Timestamp": datum.at_ms,
        "CloudWatchMetrics": [{
            "Namespace": namespace,
            "Dimensions": [names],
            "Metrics": [{ "Name": datum.name, "Unit": unit, "StorageResolution": 60 }],
        }],
    });
    members.insert("_aws".to_owned(), head);
    for (name, value) in &datum.dimensions {
        members.insert(name.clone(), Value::from(value.as_str()));
    }
    let target = if let [one] = values { json!(one) } else { json!(values) };
    members.insert(datum.name.clone(), target);
    Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::dimensions;

    fn datum(values: Vec<(f64, u64)>) -> Datum {
        Datum {
            name: "Response".to_owned(),
            dimensions: dimensions("fra", "api", "cold", ""),
            at_ms: 60_000,
            unit: Unit::Milliseconds,
            values,
        }
    }

    #[test]
    fn one_line_for_each_hundred_values() {
        let lines = lines("Nearside", &[datum(vec![(1.5, 1)]), datum(vec![(2.0, 150)])]);
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            concat!(
                r#"{"Response":1.5,"_aws":{"CloudWatchMetrics":[{"Dimensions":"#,
                r#"[["connection","target","vantage"]],"Metrics":[{"Name":"Response","#,
                r#""StorageResolution":60,"Unit":"Milliseconds"}],"Namespace":"Nearside"}],"#,
                r#""Timestamp":60000},"connection":"cold","target":"api","vantage":"fra"}"#,
            )
        );
        let second: Value = serde_json::from_str(&lines[2]).unwrap();
        assert_eq!(second["Response"].as_array().unwrap().len(), 50);
    }
}
