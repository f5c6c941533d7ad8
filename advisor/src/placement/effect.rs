//! What a choice does to clients: what each column is worth, who gains and who loses.
//!
//! Arithmetic on a matrix and two choices; it searches only for the best single replacement.

use super::exchange::{Exchange, best_exchanges, removal_loss};
use super::matrix::CostMatrix;
use super::objective::{Answer, Request, sum};

/// What one chosen column is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The column.
    pub column: usize,
    /// The share of the weight that it serves.
    pub served_share: f64,
    /// By how much what was minimised is worse without it, in the units of [`Exchange::loss`]; `None` where
    /// a client would be stranded.
    pub loss: Option<f64>,
    /// The best column in its stead.
    pub instead: Option<Exchange>,
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

/// The effect of an answer, compared with the columns `before`.
#[must_use]
pub fn effect(matrix: &CostMatrix, request: &Request, answer: &Answer, before: &[usize]) -> Effect {
    let chosen = &answer.chosen[..];
    let instead = best_exchanges(matrix, request, answer);
    let members = chosen.iter().zip(instead).map(|(column, instead)| Member {
        column: *column,
        served_share: served_share(matrix, chosen, *column),
        loss: removal_loss(matrix, request, answer, *column),
        instead,
    });
    let members = members.collect();
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

fn served_share(matrix: &CostMatrix, chosen: &[usize], column: usize) -> f64 {
    let is_served =
        |client: &usize| matrix.served(*client, chosen).is_some_and(|(by, _)| by == column);
    let served = (0..matrix.clients.len()).filter(is_served);
    sum(served.map(|client| matrix.weights[client])) / matrix.weight()
}
