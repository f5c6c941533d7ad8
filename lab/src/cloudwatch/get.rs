//! GetMetricData: its rules, and the pages of its answer. Pure.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::error::{ApiError, Kind, validation};
use super::fields::Fields;
use super::limits;
use super::metric::{MetricKey, key, unit};
use super::statistic::Statistic;
use super::store::{Question, Store};
use super::wire::Item;

/// One query.
#[derive(Debug)]
struct Query {
    id: String,
    label: String,
    key: MetricKey,
    statistic: Statistic,
    period_s: i64,
    unit: Option<&'static str>,
    returned: bool,
}

/// A whole request.
#[derive(Debug)]
pub(super) struct Request {
    queries: Vec<Query>,
    start_s: i64,
    end_s: i64,
    ascending: bool,
    datapoints: usize,
    /// Points of earlier pages.
    offset: usize,
    fingerprint: u64,
}

/// Reads a request, or says what is wrong with it.
pub(super) fn read(request: &Fields<'_>) -> Result<Request, ApiError> {
    let queries = read_queries(&request.structures("MetricDataQueries")?)?;
    let (start_s, end_s) = (time(request, "StartTime")?, time(request, "EndTime")?);
    if start_s == end_s {
        return Err(validation("The parameter StartTime must not equal parameter EndTime."));
    }
    if start_s > end_s {
        return Err(validation("The parameter StartTime must be less than the parameter EndTime."));
    }
    let ascending = match request.text("ScanBy")? {
        None | Some("TimestampDescending") => false,
        Some("TimestampAscending") => true,
        Some(other) => {
            return Err(validation(format!("The value {other} for parameter ScanBy is invalid.")));
        }
    };
    let datapoints = match request.integer("MaxDatapoints")? {
        None => limits::DATAPOINTS_MAX,
        Some(asked) => usize::try_from(asked)
            .ok()
            .filter(|asked| (1..=limits::DATAPOINTS_MAX).contains(asked))
            .ok_or_else(|| {
                let most = limits::DATAPOINTS_MAX;
                validation(format!("The parameter MaxDatapoints must be between 1 and {most}."))
            })?,
    };
    let mut hasher = DefaultHasher::new();
    format!("{queries:?} {start_s} {end_s} {ascending}").hash(&mut hasher);
    let fingerprint = hasher.finish();
    let offset = offset(request.text("NextToken")?, fingerprint)?;
    Ok(Request { queries, start_s, end_s, ascending, datapoints, offset, fingerprint })
}

/// A token names the request it belongs to, and how many points were given.
fn offset(token: Option<&str>, fingerprint: u64) -> Result<usize, ApiError> {
    let Some(token) = token else { return Ok(0) };
    let invalid = || ApiError::new(Kind::InvalidNextToken, "The next token is not valid.");
    let (request, offset) = token.split_once('-').ok_or_else(invalid)?;
    let request = u64::from_str_radix(request, 16).map_err(|_| invalid())?;
    let offset = usize::from_str_radix(offset, 16).map_err(|_| invalid())?;
    if request == fingerprint { Ok(offset) } else { Err(invalid()) }
}

#[expect(clippy::cast_possible_truncation, reason = "a saturated time is refused or empty")]
fn time(request: &Fields<'_>, name: &str) -> Result<i64, ApiError> {
    let seconds = request.time(name)?;
    let seconds = seconds.filter(|seconds| seconds.is_finite());
    let seconds =
        seconds.ok_or_else(|| validation(format!("The parameter {name} is required.")))?;
    Ok(seconds.floor() as i64)
}

fn read_queries(given: &[Fields<'_>]) -> Result<Vec<Query>, ApiError> {
    if given.is_empty() {
        return Err(validation("The parameter MetricDataQueries is required."));
    }
    if given.len() > limits::QUERIES_MAX {
        let most = limits::QUERIES_MAX;
        return Err(validation(format!(
            "The collection MetricDataQueries must not have a size greater than {most}."
        )));
    }
    let read = |(at, query): (usize, &Fields<'_>)| read_query(query, at);
    let queries: Vec<Query> = given.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let mut ids = BTreeSet::new();
    if let Some(twice) = queries.iter().find(|query| !ids.insert(query.id.as_str())) {
        let id = &twice.id;
        return Err(validation(format!("The values for parameter id {id} are not unique.")));
    }
    if !queries.iter().any(|query| query.returned) {
        return Err(validation("At least one query must return data."));
    }
    Ok(queries)
}

fn read_query(query: &Fields<'_>, at: usize) -> Result<Query, ApiError> {
    let path = format!("MetricDataQueries.member.{}", at + 1);
    let id = query.required("Id", &format!("{path}.Id"))?;
    let legal = id.len() <= limits::NAME_MAX
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !legal {
        return Err(validation(format!(
            "The value {id} for parameter {path}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )));
    }
    if query.has("Expression") && query.has("MetricStat") {
        return Err(validation(
            "The parameters MetricDataQuery Expression and MetricStat are mutually exclusive and you have specified both.",
        ));
    }
    if query.has("Expression") {
        let message = "the lab has no metric math: ask by MetricStat";
        return Err(ApiError::new(Kind::NotImplemented, message));
    }
    let path = format!("{path}.MetricStat");
    let absent = |path: String| validation(format!("The parameter {path} is required."));
    let of = query.structure("MetricStat")?.ok_or_else(|| absent(path.clone()))?;
    let metric = of.structure("Metric")?.ok_or_else(|| absent(format!("{path}.Metric")))?;
    let key = key(&metric, &format!("{path}.Metric."))?;
    let period_s = of.integer("Period")?.ok_or_else(|| absent(format!("{path}.Period")))?;
    if !is_period(period_s) {
        return Err(validation(format!(
            "The parameter {path}.Period must be 1, 5, 10, 20, 30 or a multiple of 60, and is {period_s}."
        )));
    }
    let name = of.required("Stat", &format!("{path}.Stat"))?;
    let statistic = Statistic::parse(name).ok_or_else(|| {
        validation(format!("The value {name} for parameter {path}.Stat is not supported."))
    })?;
    let asked = of.text("Unit")?;
    Ok(Query {
        id: id.to_owned(),
        label: query.text("Label")?.unwrap_or(&key.name).to_owned(),
        key,
        statistic,
        period_s,
        unit: asked.map(|name| unit(name, &format!("{path}.Unit"))).transpose()?,
        returned: query.bool("ReturnData")?.unwrap_or(true),
    })
}

/// Whether statistics can be asked with a period.
fn is_period(period_s: i64) -> bool {
    matches!(period_s, 1 | 5 | 10 | 20 | 30) || (period_s > 0 && period_s % 60 == 0)
}

/// The start as CloudWatch rounds it: to its period under a minute, else by age to a minute, five
/// minutes, or an hour.
fn rounded_start(start_s: i64, period_s: i64, now_s: i64) -> i64 {
    let age_s = now_s - start_s;
    let grain_s = match age_s {
        _ if period_s < 60 => period_s,
        _ if age_s < 15 * 86_400 => 60,
        _ if age_s < 63 * 86_400 => 300,
        _ => 3_600,
    };
    start_s - start_s.rem_euclid(grain_s)
}

/// One page of the answer. Periods are aligned to 1970; a page holds results whose points it holds,
/// and the first page those without any.
pub(super) fn answer(request: &Request, store: &Store, now_s: i64) -> Item {
    let mut skip = request.offset;
    let mut room = request.datapoints;
    let mut given = request.offset;
    let mut results = Vec::new();
    let mut cut = false;
    for query in request.queries.iter().filter(|query| query.returned) {
        let points = points(query, request, store, now_s);
        let skipped = skip.min(points.len());
        skip -= skipped;
        let rest = &points[skipped..];
        let passed = rest.is_empty() && (skipped > 0 || request.offset > 0);
        if passed || (room == 0 && !rest.is_empty()) {
            cut |= !passed;
            continue;
        }
        let page = &rest[..rest.len().min(room)];
        room -= page.len();
        given += page.len();
        cut |= page.len() < rest.len();
        results.push(result(query, page, page.len() == rest.len()));
    }
    let token = format!("{:x}-{given:x}", request.fingerprint);
    Item::map([
        ("MetricDataResults", Some(Item::List(results))),
        ("NextToken", cut.then(|| Item::text(token))),
        ("Messages", Some(Item::List(Vec::new()))),
    ])
}

fn points(query: &Query, request: &Request, store: &Store, now_s: i64) -> Vec<(i64, f64)> {
    let from = rounded_start(request.start_s, query.period_s, now_s);
    let question = Question {
        key: &query.key,
        statistic: query.statistic,
        period_s: query.period_s,
        unit: query.unit,
        range_s: (from, request.end_s),
    };
    let mut points = store.series(&question, now_s);
    if !request.ascending {
        points.reverse();
    }
    points
}

fn result(query: &Query, page: &[(i64, f64)], complete: bool) -> Item {
    let times = page.iter().map(|(at_s, _)| Item::Time(*at_s as f64)).collect();
    let values = page.iter().map(|(_, value)| Item::Number(*value)).collect();
    Item::map([
        ("Id", Some(Item::text(&query.id))),
        ("Label", Some(Item::text(&query.label))),
        ("Timestamps", Some(Item::List(times))),
        ("Values", Some(Item::List(values))),
        ("StatusCode", Some(Item::text(if complete { "Complete" } else { "PartialData" }))),
    ])
}
