//! ListMetrics: its rules and pages. Pure.

use super::error::{ApiError, Kind, value};
use super::fields::Fields;
use super::limits;
use super::metric::MetricKey;
use super::store::Store;
use super::wire::Item;

/// How long a metric without new data is listed, in seconds: two weeks.
const LISTED_S: i64 = 14 * 86_400;
/// What `RecentlyActive` can say, and its seconds.
const RECENTLY: (&str, i64) = ("PT3H", 3 * 3_600);
/// Filters of dimensions, at most.
const FILTERS_MAX: usize = 10;

/// One page of the metrics that pass the filters.
pub(super) fn answer(request: &Fields<'_>, store: &Store, now_s: i64) -> Result<Item, ApiError> {
    let since_s = match request.text("RecentlyActive")? {
        None => now_s - LISTED_S,
        Some(text) if text == RECENTLY.0 => now_s - RECENTLY.1,
        Some(text) => {
            return Err(value(format!(
                "The value {text} for parameter RecentlyActive is invalid."
            )));
        }
    };
    let (namespace, name) = (request.text("Namespace")?, request.text("MetricName")?);
    let filters = filters(request)?;
    let passes = |key: &&MetricKey| {
        namespace.is_none_or(|wanted| wanted == key.namespace)
            && name.is_none_or(|wanted| wanted == key.name)
            && filters.iter().all(|(wanted, value)| {
                let same =
                    |(n, v): &(String, String)| n == wanted && value.is_none_or(|value| value == v);
                key.dimensions.iter().any(same)
            })
    };
    let offset = match request.text("NextToken")? {
        None => 0,
        Some(token) => token
            .parse::<usize>()
            .map_err(|_| ApiError::new(Kind::InvalidNextToken, "The next token is not valid."))?,
    };
    let mut found = store.metrics_since(since_s).filter(passes).skip(offset);
    let page: Vec<Item> = found.by_ref().take(limits::METRICS_PAGE).map(item).collect();
    let next = found.next().map(|_| Item::text((offset + page.len()).to_string()));
    Ok(Item::map([("Metrics", Some(Item::List(page))), ("NextToken", next)]))
}

fn filters<'a>(request: &Fields<'a>) -> Result<Vec<(&'a str, Option<&'a str>)>, ApiError> {
    let given = request.structures("Dimensions")?;
    if given.len() > FILTERS_MAX {
        return Err(value(format!(
            "The collection Dimensions must not have a size greater than {FILTERS_MAX}."
        )));
    }
    let filter = |(at, fields): (usize, &Fields<'a>)| {
        let path = format!("Dimensions.member.{}.Name", at + 1);
        Ok((fields.required("Name", &path)?, fields.text("Value")?))
    };
    given.iter().enumerate().map(filter).collect()
}

fn item(key: &MetricKey) -> Item {
    Item::map([
        ("Namespace", Some(Item::text(&key.namespace))),
        ("MetricName", Some(Item::text(&key.name))),
        ("Dimensions", Some(key.dimensions_item())),
    ])
}
