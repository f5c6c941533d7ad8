//! The cost matrix as people bring it: clients, columns, what is known, and weights.
//!
//! It checks and reduces; it chooses nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::read::Table;

/// Costs with fractions that all stay below this many ms are taken for seconds.
const SECONDS_BELOW: f64 = 3.0;
/// The largest cost and the largest weight: sums of products of such are far from overflow.
const NUMBER_MAX: f64 = 1e15;
/// Columns at most.
const COLUMNS_MAX: usize = 5_000;

/// Client x column, each cost in ms or unknown, and what each client weighs.
#[derive(Debug, Clone, PartialEq)]
pub struct CostMatrix {
    /// Names of the columns, sorted.
    pub columns: Vec<String>,
    /// Names of the clients that some column can serve, in the order they came.
    pub clients: Vec<String>,
    /// The weight of each client: finite, not negative, not all zero.
    pub weights: Vec<f64>,
    /// Clients without any known cost, and their weight: nothing is said about them.
    pub left_out: Vec<(String, f64)>,
    costs: Vec<Option<f64>>,
}

/// Why a matrix or its weights are unusable.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MatrixError {
    /// A cell that is no cost.
    #[error("line {line}, column {column} ({name}): {value:?} {cause}")]
    Cell {
        /// Line of the file, from 1.
        line: usize,
        /// Field of the line, from 1.
        column: usize,
        /// The heading.
        name: String,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// The same name twice.
    #[error("line {line}, column {column}: {what} {name:?} is there twice, first in line {first}")]
    Twice {
        /// Line of the file, from 1.
        line: usize,
        /// Field of the line, from 1.
        column: usize,
        /// `client` or `column`.
        what: &'static str,
        /// The name.
        name: String,
        /// Where it was first.
        first: usize,
    },
    /// A name that the matrix does not have.
    #[error("line {line}, column 1: no {what} of the matrix is called {name:?}")]
    Unknown {
        /// Line of the file, from 1.
        line: usize,
        /// `client` or `column`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A header that is not the one of such a file.
    #[error("line 1, column {column}: the header {cause}")]
    Header {
        /// Field of the line, from 1.
        column: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// Nothing to choose from, or nobody to serve.
    #[error("{0}")]
    Empty(&'static str),
    /// The costs look like seconds.
    #[error("the largest cost, {largest} in line {line}, column {column}, is below 3 ms")]
    Seconds {
        /// The largest cost.
        largest: f64,
        /// Where it stands.
        line: usize,
        /// Where it stands.
        column: usize,
    },
}

impl MatrixError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Cell { .. } => {
                "write a number, like 12.5; leave a cost empty where it is unknown"
            }
            Self::Twice { .. } => "name each client and each column once",
            Self::Unknown { .. } => "write names as the matrix has them",
            Self::Header { .. } => {
                "a matrix begins with client,COLUMN,...; weights with client,weight"
            }
            Self::Empty(_) => "a matrix is CSV: client,COLUMN,... and a line for each client",
            Self::Seconds { .. } => "costs are in ms: multiply seconds by 1000",
        }
    }
}

impl CostMatrix {
    /// From a table with a heading, every weight 1.
    pub fn from_table(table: &Table) -> Result<Self, MatrixError> {
        let (columns, order) = columns_of(table)?;
        let mut matrix = Self::empty(columns);
        let mut seen = BTreeMap::new();
        let mut largest = (f64::NEG_INFINITY, 0, 0);
        let mut has_fractions = false;
        for (line, cells) in &table.rows {
            if let Some(first) = seen.insert(&cells[0], *line) {
                let name = cells[0].clone();
                return Err(MatrixError::Twice {
                    line: *line,
                    column: 1,
                    what: "client",
                    name,
                    first,
                });
            }
            let mut costs = Vec::with_capacity(order.len());
            for field in &order {
                let cost = cost_of(table, *line, *field, &cells[*field])?;
                has_fractions |= cost.is_some_and(|cost| cost.fract() != 0.0);
                if let Some(cost) = cost.filter(|cost| *cost > largest.0) {
                    largest = (cost, *line, field + 1);
                }
                costs.push(cost);
            }
            matrix.add(cells[0].clone(), 1.0, &costs);
        }
        if matrix.clients.is_empty() {
            return Err(MatrixError::Empty("the matrix has no client with a known cost"));
        }
        if has_fractions && largest.0 < SECONDS_BELOW {
            let (largest, line, column) = largest;
            return Err(MatrixError::Seconds { largest, line, column });
        }
        Ok(matrix)
    }

    /// From names and costs by row; names of columns must be sorted and costs finite.
    #[must_use]
    pub fn from_costs(
        columns: Vec<String>,
        rows: impl IntoIterator<Item = (String, f64, Vec<Option<f64>>)>,
    ) -> Self {
        let mut matrix = Self::empty(columns);
        for (client, weight, costs) in rows {
            matrix.add(client, weight, &costs);
        }
        matrix
    }

    fn empty(columns: Vec<String>) -> Self {
        let (clients, weights) = (Vec::new(), Vec::new());
        Self { columns, clients, weights, left_out: Vec::new(), costs: Vec::new() }
    }

    fn add(&mut self, client: String, weight: f64, costs: &[Option<f64>]) {
        if costs.iter().all(Option::is_none) {
            self.left_out.push((client, weight));
            return;
        }
        self.clients.push(client);
        self.weights.push(weight);
        self.costs.extend_from_slice(costs);
    }

    /// Takes weights from a table `client,weight`; whom it does not name keeps 1.
    pub fn set_weights(&mut self, table: &Table) -> Result<(), MatrixError> {
        let weights = named_numbers(table, "weight")?;
        let mut places: BTreeMap<String, &mut f64> =
            self.clients.iter().cloned().zip(&mut self.weights).collect();
        places.extend(self.left_out.iter_mut().map(|(name, weight)| (name.clone(), weight)));
        for (line, name, weight) in weights {
            let place = places.get_mut(&name);
            **place.ok_or(MatrixError::Unknown { line, what: "client", name })? = weight;
        }
        if self.weights.iter().sum::<f64>() <= 0.0 {
            return Err(MatrixError::Empty("every weight is 0"));
        }
        Ok(())
    }

    /// Fixed costs by column from a table `column,cost`; whom it does not name has none.
    pub fn fixed_costs(&self, table: &Table) -> Result<Vec<f64>, MatrixError> {
        let mut fixed = vec![0.0; self.columns.len()];
        for (line, name, cost) in named_numbers(table, "cost")? {
            let column = self.column(&name);
            fixed[column.ok_or(MatrixError::Unknown { line, what: "column", name })?] = cost;
        }
        Ok(fixed)
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.binary_search_by(|column| column.as_str().cmp(name)).ok()
    }

    /// The costs of one client by column, in ms.
    #[must_use]
    pub fn costs(&self, client: usize) -> &[Option<f64>] {
        &self.costs[client * self.columns.len()..(client + 1) * self.columns.len()]
    }

    /// The column of `chosen` that serves a client, and its cost; of equals the first.
    #[must_use]
    pub fn served(&self, client: usize, chosen: &[usize]) -> Option<(usize, f64)> {
        let costs = self.costs(client);
        let known = chosen.iter().filter_map(|column| Some((*column, costs[*column]?)));
        known.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The weight of all clients that are served.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }
}

/// The columns, sorted, and the field of each.
fn columns_of(table: &Table) -> Result<(Vec<String>, Vec<usize>), MatrixError> {
    let header = |column, cause: String| MatrixError::Header { column, cause };
    if table.header.len() < 2 {
        return Err(header(1, "names no column beside the client".to_owned()));
    }
    if table.header.len() > COLUMNS_MAX {
        return Err(header(COLUMNS_MAX + 1, format!("names over {COLUMNS_MAX} columns")));
    }
    let mut fields: BTreeMap<&str, usize> = BTreeMap::new();
    for (field, name) in table.header.iter().enumerate().skip(1) {
        if name.is_empty() {
            return Err(header(field + 1, "has an empty name".to_owned()));
        }
        if fields.insert(name, field).is_some() {
            let name = name.clone();
            return Err(MatrixError::Twice {
                line: 1,
                column: field + 1,
                what: "column",
                name,
                first: 1,
            });
        }
    }
    Ok((fields.keys().map(|name| (*name).to_owned()).collect(), fields.into_values().collect()))
}

fn cost_of(
    table: &Table,
    line: usize,
    field: usize,
    text: &str,
) -> Result<Option<f64>, MatrixError> {
    if text.is_empty() {
        return Ok(None);
    }
    number(text).map(Some).map_err(|cause| MatrixError::Cell {
        line,
        column: field + 1,
        name: table.header[field].clone(),
        value: text.to_owned(),
        cause,
    })
}

/// Lines of a table of two fields: name and number.
fn named_numbers(
    table: &Table,
    what: &'static str,
) -> Result<Vec<(usize, String, f64)>, MatrixError> {
    if table.header.len() != 2 {
        let cause = format!("has {} fields; a name and a {what} are expected", table.header.len());
        return Err(MatrixError::Header { column: table.header.len(), cause });
    }
    if table.header[1] != what {
        let cause = format!("says {:?} where {what:?} is expected", table.header[1]);
        return Err(MatrixError::Header { column: 2, cause });
    }
    let mut seen = BTreeSet::new();
    let mut numbers = Vec::new();
    for (line, cells) in &table.rows {
        let cell = |cause| MatrixError::Cell {
            line: *line,
            column: 2,
            name: what.to_owned(),
            value: cells[1].clone(),
            cause,
        };
        if !seen.insert(&cells[0]) {
            let first = table.rows.iter().find(|(_, other)| other[0] == cells[0]);
            let first = first.map_or(0, |(line, _)| *line);
            let name = cells[0].clone();
            return Err(MatrixError::Twice { line: *line, column: 1, what: "name", name, first });
        }
        numbers.push((*line, cells[0].clone(), number(&cells[1]).map_err(cell)?));
    }
    Ok(numbers)
}

fn number(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Err(_) => Err("is not a number"),
        Ok(value) if !value.is_finite() => Err("is not finite"),
        Ok(value) if value < 0.0 => Err("is negative"),
        Ok(value) if value > NUMBER_MAX => Err("is above 1e15, where sums would not be exact"),
        // Minus zero is zero.
        Ok(value) => Ok(value + 0.0),
    }
}
