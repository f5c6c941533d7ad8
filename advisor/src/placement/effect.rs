//! What a choice does to clients: what each column is worth, who gains and who loses.
//!
//! Arithmetic on a matrix and two choices; it searches only for the best single replacement.

use super::matrix::CostMatrix;
use super::objective::{rounded, sum};

/// What one chosen column is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The column.
    pub column: usize,
    /// The share of the weight that it serves.
    pub served_share: f64,
    /// By how much the mean cost rises without it, in ms; `None` where a client would be stranded.
    pub loss_ms: Option<f64>,
    /// The best column in its stead, and by how much the mean cost is then higher, in ms.
    pub instead: Option<(usize, f64)>,
}

/// What changes for one client.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The client.
    pub client: usize,
    /// Its column and cost before.
    pub before: (usize, f64),
    /// Its column and cost after.
    pub after: (usize, f64),
}

/// The effect of a choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Each chosen column, in order.
    pub members: Vec<Member>,
    /// Who gains, compared with the choice before: most weighted ms first.
    pub gains: Vec<Change>,
    /// Who loses, most weighted ms first.
    pub losses: Vec<Change>,
    /// The shares of weight that gain and lose.
    pub shares: (f64, f64),
}

/// The effect of `chosen`, compared with `before`; columns of `barred` replace nothing.
#[must_use]
pub fn effect(matrix: &CostMatrix, chosen: &[usize], before: &[usize], barred: &[usize]) -> Effect {
    let members = chosen.iter().map(|column| member(matrix, chosen, *column, barred)).collect();
    let mut changes: Vec<Change> = (0..matrix.clients.len())
        .filter_map(|client| {
            let (before, after) = (matrix.served(client, before)?, matrix.served(client, chosen)?);
            Some(Change { client, before, after })
        })
        .collect();
    let moved =
        |change: &Change| matrix.weights[change.client] * (change.after.1 - change.before.1);
    changes.sort_by(|a, b| moved(a).abs().total_cmp(&moved(b).abs()).reverse());
    let (gains, others): (Vec<Change>, Vec<Change>) =
        changes.into_iter().partition(|change| change.after.1 < change.before.1);
    let losses: Vec<Change> = others.into_iter().filter(|c| c.after.1 > c.before.1).collect();
    let share = |changes: &[Change]| {
        sum(changes.iter().map(|change| matrix.weights[change.client])) / matrix.weight()
    };
    Effect { members, shares: (share(&gains), share(&losses)), gains, losses }
}

fn member(matrix: &CostMatrix, chosen: &[usize], column: usize, barred: &[usize]) -> Member {
    let others: Vec<usize> = chosen.iter().copied().filter(|c| *c != column).collect();
    let mean = mean_ms(matrix, chosen).unwrap_or(0.0);
    let served = (0..matrix.clients.len())
        .filter(|client| matrix.served(*client, chosen).is_some_and(|(by, _)| by == column));
    let candidates = (0..matrix.columns.len())
        .filter(|candidate| !chosen.contains(candidate) && !barred.contains(candidate));
    let instead = candidates.filter_map(|candidate| {
        let mut choice = others.clone();
        choice.push(candidate);
        Some((candidate, rounded(mean_ms(matrix, &choice)? - mean)))
    });
    Member {
        column,
        served_share: sum(served.map(|client| matrix.weights[client])) / matrix.weight(),
        loss_ms: mean_ms(matrix, &others).map(|without| rounded(without - mean)),
        instead: instead.min_by(|a, b| a.1.total_cmp(&b.1)),
    }
}

/// The weighted mean cost of a choice, or `None` where it strands a client.
fn mean_ms(matrix: &CostMatrix, chosen: &[usize]) -> Option<f64> {
    let served = (0..matrix.clients.len())
        .map(|client| Some(matrix.weights[client] * matrix.served(client, chosen)?.1));
    let costs = served.collect::<Option<Vec<f64>>>()?;
    Some(sum(costs) / matrix.weight())
}
