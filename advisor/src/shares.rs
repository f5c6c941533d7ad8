//! Who the users are: shares of the traffic from a file, and which of them a vantage stands for.
//!
//! Pure: text in, shares out. Where nothing is known all vantages weigh the same, which is said.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use probe::config::{Config, Vantage};
use probe::url::IpPrefix;

/// How shares are named where there is no file.
pub const EQUAL: &str = "equal weights over vantages";
/// Rows of a file: far more than there are networks with traffic worth a row.
const ROWS_MAX: usize = 1_000_000;
/// Client prefixes for which Route 53 is asked, the heaviest first.
pub const CLIENTS_MAX: usize = 500;

/// Why a traffic file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrafficError {
    /// A line that is not a client and a weight.
    #[error("traffic file {file}, line {line}: '{text}' {bound}")]
    Line {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What must stand there.
        bound: &'static str,
    },
    /// Nothing but zeros, or nothing.
    #[error("traffic file {0} holds no weight above 0")]
    Empty(String),
    /// More rows than are read.
    #[error("traffic file {0} has more than {ROWS_MAX} rows")]
    TooLong(String),
}

/// One row of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// A client prefix, or the id of a vantage.
    pub client: String,
    /// Its weight: finite and not negative.
    pub weight: f64,
}

/// What the traffic is made of. All parts are of the whole traffic; they sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// Each vantage's part: the clients that it stands for.
    pub vantages: BTreeMap<String, f64>,
    /// Client prefixes that no vantage stands for, the heaviest first; Route 53 can be asked for them.
    pub clients: Vec<(IpPrefix, f64)>,
    /// The part that is neither: beyond the heaviest prefixes, or nothing that is known.
    pub rest: f64,
    /// Where the shares come from, for people.
    pub source: String,
}

impl Shares {
    /// Every vantage the same.
    #[must_use]
    pub fn equal(config: &Config) -> Self {
        let share = 1.0 / config.vantages.len().max(1) as f64;
        let vantages = config.vantages.iter().map(|one| (one.id.clone(), share)).collect();
        Self { vantages, clients: Vec::new(), rest: 0.0, source: EQUAL.to_owned() }
    }

    /// From rows. One that names a vantage is its own; a prefix that lies within a vantage's subnet belongs
    /// to that vantage; other prefixes are clients that nothing measures.
    #[must_use]
    pub fn of(rows: &[Row], config: &Config, source: &str) -> Self {
        let total: f64 = rows.iter().map(|row| row.weight).sum();
        let mut vantages: BTreeMap<String, f64> = BTreeMap::new();
        let mut clients: BTreeMap<IpPrefix, f64> = BTreeMap::new();
        for row in rows {
            let prefix = IpPrefix::from_str(&row.client).ok();
            if let Some(vantage) = stand_in(&row.client, prefix, &config.vantages) {
                *vantages.entry(vantage.id.clone()).or_default() += row.weight / total;
            } else if let Some(prefix) = prefix {
                *clients.entry(prefix).or_default() += row.weight / total;
            }
        }
        let mut clients: Vec<(IpPrefix, f64)> = clients.into_iter().collect();
        clients.sort_by(|a, b| b.1.total_cmp(&a.1));
        clients.truncate(CLIENTS_MAX);
        let known: f64 = vantages.values().chain(clients.iter().map(|(_, share)| share)).sum();
        Self { vantages, clients, rest: (1.0 - known).max(0.0), source: source.to_owned() }
    }

    /// The part that no vantage stands for.
    #[must_use]
    pub fn rest_of_vantages(&self) -> f64 {
        (1.0 - self.vantages.values().sum::<f64>()).max(0.0)
    }

    /// The part of one vantage, 0 where it has none.
    #[must_use]
    pub fn of_vantage(&self, vantage: &str) -> f64 {
        self.vantages.get(vantage).copied().unwrap_or(0.0)
    }
}

/// The vantage that stands for a client: by its id, or by the narrowest subnet that holds the prefix.
fn stand_in<'a>(
    client: &str,
    prefix: Option<IpPrefix>,
    vantages: &'a [Vantage],
) -> Option<&'a Vantage> {
    if let Some(named) = vantages.iter().find(|vantage| vantage.id == client) {
        return Some(named);
    }
    let narrowest = |vantage: &Vantage| -> Option<u8> {
        let subnets = [vantage.subnet4, vantage.subnet6];
        let holding = subnets.into_iter().flatten().filter(|subnet| holds(*subnet, prefix));
        holding.map(|subnet| subnet.len).max()
    };
    let found = vantages.iter().filter_map(|vantage| Some((narrowest(vantage)?, vantage)));
    found.max_by_key(|(bits, _)| *bits).map(|(_, vantage)| vantage)
}

fn holds(subnet: IpPrefix, prefix: Option<IpPrefix>) -> bool {
    prefix.is_some_and(|prefix| {
        subnet.address.is_ipv4() == prefix.address.is_ipv4()
            && subnet.len <= prefix.len
            && IpPrefix::new(prefix.address, subnet.len) == Some(subnet)
    })
}

/// Reads a traffic file: CSV with a header whose first two columns are the client (`client`, `prefix` or
/// `vantage`) and `weight`; more columns are ignored. `file` is how it is named in errors.
pub fn parse(text: &str, file: &str) -> Result<Vec<Row>, TrafficError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let header = lines.next().ok_or_else(|| TrafficError::Empty(file.to_owned()))?;
    check_header(header, file)?;
    let mut rows = Vec::new();
    for (index, line) in lines {
        if rows.len() == ROWS_MAX {
            return Err(TrafficError::TooLong(file.to_owned()));
        }
        rows.push(row(index, line, file)?);
    }
    if rows.iter().any(|row| row.weight > 0.0) {
        Ok(rows)
    } else {
        Err(TrafficError::Empty(file.to_owned()))
    }
}

fn check_header((index, line): (usize, &str), file: &str) -> Result<(), TrafficError> {
    let mut columns = line.trim_start_matches('\u{feff}').split(',').map(str::trim);
    let client = columns.next().is_some_and(|one| ["client", "prefix", "vantage"].contains(&one));
    if client && columns.next() == Some("weight") {
        return Ok(());
    }
    Err(TrafficError::Line {
        file: file.to_owned(),
        line: index + 1,
        text: line.to_owned(),
        bound: "must be the header client,weight",
    })
}

fn row(index: usize, line: &str, file: &str) -> Result<Row, TrafficError> {
    let bad = |bound| TrafficError::Line {
        file: file.to_owned(),
        line: index + 1,
        text: line.to_owned(),
        bound,
    };
    let mut columns = line.split(',').map(str::trim);
    let client = columns.next().filter(|text| !text.is_empty());
    let client = client.ok_or_else(|| bad("must begin with a client prefix or a vantage"))?;
    let weight = columns.next().and_then(|text| text.parse::<f64>().ok());
    let weight = weight.filter(|weight| weight.is_finite() && *weight >= 0.0);
    let weight = weight.ok_or_else(|| bad("must have a weight: a number, finite, not negative"))?;
    Ok(Row { client: client.to_owned(), weight })
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
            subnet4 = "198.18.0.0/24"
            subnet6 = "2001:db8:1::/48"
            [[vantage]]
            id = "us-east-1"
            population = "cloud"
            subnet4 = "198.18.1.0/24"
            "#,
        )
    }

    #[test]
    fn prefixes_and_vantages_find_who_stands_for_them() {
        let text = "prefix,weight,city\n198.18.0.0/25,2,Cork\n198.18.0.0/16,1,\n\
                    2001:db8:1:2::/64,1,\nus-east-1,2,\n203.0.113.0/24,2,\nnonsense,2,\n";
        let shares = Shares::of(&parse(text, "t.csv").unwrap(), &config(), "t.csv");
        assert!((shares.of_vantage("eu-west-1") - 0.3).abs() < 1e-12, "{shares:?}");
        assert!((shares.of_vantage("us-east-1") - 0.2).abs() < 1e-12, "{shares:?}");
        let clients: Vec<String> = shares.clients.iter().map(|one| one.0.to_string()).collect();
        assert_eq!(clients, ["203.0.113.0/24", "198.18.0.0/16"], "the heaviest first");
        assert!((shares.rest - 0.2).abs() < 1e-12, "{shares:?}");
    }

    #[test]
    fn only_the_heaviest_clients_are_asked_for_and_the_rest_is_known() {
        let row = |number| format!("203.{}.{}.0/24,1\n", number / 256, number % 256);
        let rows: Vec<String> = (0..CLIENTS_MAX + 100).map(row).collect();
        let text = format!("client,weight\n{}", rows.concat());
        let shares = Shares::of(&parse(&text, "t.csv").unwrap(), &config(), "t.csv");
        assert_eq!(shares.clients.len(), CLIENTS_MAX);
        assert!((shares.rest - 100.0 / 600.0).abs() < 1e-9, "{}", shares.rest);
    }

    #[test]
    fn without_a_file_all_are_equal_and_it_is_said() {
        let shares = Shares::equal(&config());
        assert!((shares.of_vantage("eu-west-1") - 0.5).abs() < 1e-12);
        assert_eq!(shares.source, EQUAL);
    }

    #[test]
    fn files_that_cannot_be_used_say_why() {
        let cases = [
            "",
            "weight,client\n",
            "client,weight\n",
            "client,weight\na,0\n",
            "client,weight\na,x\n",
            "client,weight\n,1\n",
            "client,weight\na,-1\n",
            "client,weight\na,inf\n",
        ];
        let shown: Vec<String> =
            cases.iter().map(|text| parse(text, "t.csv").unwrap_err().to_string()).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        traffic file t.csv holds no weight above 0
        traffic file t.csv, line 1: 'weight,client' must be the header client,weight
        traffic file t.csv holds no weight above 0
        traffic file t.csv holds no weight above 0
        traffic file t.csv, line 2: 'a,x' must have a weight: a number, finite, not negative
        traffic file t.csv, line 2: ',1' must begin with a client prefix or a vantage
        traffic file t.csv, line 2: 'a,-1' must have a weight: a number, finite, not negative
        traffic file t.csv, line 2: 'a,inf' must have a weight: a number, finite, not negative
        ");
    }
}
