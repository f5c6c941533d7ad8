//! A recommendation as one page of text and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use advisor::placement::{
    Answer, Candidate, Change, CostMatrix, Effect, Exchange, Member, Objective, Request,
    SeriesModel,
};
use serde_json::{Value, json};

use super::table::{Table, ms, percent};
use super::tiers::Around;

/// Clients that are named one by one in the text.
const NAMED_MAX: usize = 5;
/// Why a column is the first to go.
const LEAST_LOSS: &str = "least-loss";
/// Clients that are named one by one in JSON.
const LISTED_MAX: usize = 1_000;

/// Everything that is known of a recommendation.
#[derive(Debug, Clone, Copy)]
pub struct RecommendView<'a> {
    /// The matrix.
    pub matrix: &'a CostMatrix,
    /// What was asked.
    pub request: &'a Request,
    /// One answer for each number of columns; the last is the one that was asked for.
    pub answers: &'a [Answer],
    /// The best exchange of one column that each of them refused.
    pub exchanges: &'a [Option<Exchange>],
    /// What the last does.
    pub effect: &'a Effect,
    /// What it is compared with; empty for nothing.
    pub before: &'a [usize],
    /// When proving was given up, in seconds.
    pub time_limit_s: f64,
    /// The columns whose costs are estimates.
    pub estimated: &'a BTreeSet<usize>,
    /// Those columns with their intervals.
    pub candidates: &'a [Candidate],
    /// Regions that could not be estimated.
    pub unestimated: &'a [String],
    /// The models behind them.
    pub models: &'a [SeriesModel],
    /// What stands around the endpoints, where costs come from the store.
    pub around: Option<&'a Around>,
}

impl RecommendView<'_> {
    fn names(&self, columns: &[usize]) -> Vec<&str> {
        columns.iter().map(|column| self.matrix.columns[*column].as_str()).collect()
    }

    /// The page: the answer first.
    #[must_use]
    pub fn text(&self) -> String {
        let Some(answer) = self.answers.last() else { return String::new() };
        let mut text = self.headline(answer);
        if answer.chosen.is_empty() {
            text.push_str(&self.coverage());
            return super::escape_lines(&text);
        }
        let _ = write!(text, "\n{}", self.frontier());
        let _ = write!(text, "\n{}", self.members());
        text.push_str(&self.changes());
        let _ = write!(text, "\n{}{}", self.coverage(), self.estimates());
        if let Some(around) = self.around {
            text.push_str(&around.text());
        }
        super::escape_lines(&text)
    }

    /// Which columns are estimates, and how far off such estimates are.
    fn estimates(&self) -> String {
        let mut text = self.unestimated();
        if self.estimated.is_empty() {
            return text;
        }
        text.push_str("estimates, nothing is deployed there (reason: estimate):\n");
        for candidate in self.candidates {
            let interval = candidate.interval_ms.map_or_else(
                || "no interval: fewer than three endpoints".to_owned(),
                |(low, high)| format!("{low:.1} to {high:.1}"),
            );
            let name = &self.matrix.columns[candidate.column];
            let _ = writeln!(text, "  {name}: mean {:.1} ms ({interval})", candidate.mean_ms);
        }
        for model in self.models {
            let error = |quantile| model.error_share(quantile).map_or("unknown".into(), percent);
            let _ = writeln!(
                text,
                "  {}: {:.2} round trips and {:.1} ms{}; left out in turn, endpoints are missed by {} \
                 (median) and {} (p90)",
                model.connection.as_str(),
                model.fit.multiplier,
                model.fit.service_ms,
                match model.fit.trips_to_data {
                    trips if trips > 0.0 => format!(", and {trips:.2} round trips to the data"),
                    _ => String::new(),
                },
                error(0.5),
                error(0.9)
            );
        }
        text
    }

    fn unestimated(&self) -> String {
        if self.unestimated.is_empty() {
            return String::new();
        }
        format!(
            "not estimated, no vantage there tells its way to the data (reason: hop-unknown): {}\n",
            self.unestimated.join(", ")
        )
    }

    fn headline(&self, answer: &Answer) -> String {
        if answer.chosen.is_empty() {
            let sure = if answer.optimal { "" } else { " was found that" };
            return format!(
                "no choice of {} column{}{sure} serves every client (reason: {})\n",
                answer.k,
                if answer.k == 1 { "" } else { "s" },
                reason(answer)
            );
        }
        let figure = match self.request.objective {
            Objective::Mean => format!("mean cost {} ms", ms(answer.cost_ms)),
            Objective::Slo(limit) => {
                format!("{} within {limit} ms", percent(answer.covered_share.unwrap_or(0.0)))
            }
            Objective::P95 => format!(
                "{} within {} ms",
                percent(answer.covered_share.unwrap_or(0.0)),
                ms(answer.cost_ms)
            ),
        };
        let down = if self.request.n_minus_1 { ", one of them down, each in turn" } else { "" };
        let proof = if answer.optimal {
            "nothing is better: proven".to_owned()
        } else {
            format!(
                "not proven within {} s: at most {} better is possible",
                self.time_limit_s,
                percent(answer.gap)
            )
        };
        format!("{}\n{figure}{down}; {proof}\n", self.names(&answer.chosen).join(", "))
    }

    fn frontier(&self) -> String {
        let mut headings = vec!["k", "cost, ms", "marginal gain, ms", "total"];
        let has_fixed = !self.request.fixed.is_empty();
        let has_share = self.request.objective != Objective::Mean;
        headings.extend(has_share.then_some("within"));
        headings.extend(has_fixed.then_some("fixed cost"));
        headings.extend(["gap", "reason", "columns", "refused"]);
        let mut table = Table::new(headings);
        let mut last = None;
        for (answer, exchange) in self.answers.iter().zip(self.exchanges) {
            let gain = last.zip(answer.cost_ms).map(|(before, after): (f64, f64)| before - after);
            let mut row = vec![answer.k.to_string(), ms(answer.cost_ms), ms(gain), total(answer)];
            row.extend(has_share.then(|| answer.covered_share.map_or("-".into(), percent)));
            row.extend(has_fixed.then(|| ms(Some(answer.fixed_cost))));
            let gap = if answer.optimal { "0".to_owned() } else { percent(answer.gap) };
            let chosen = self.names(&answer.chosen).join(" ");
            let chosen = if chosen.is_empty() { "-".to_owned() } else { chosen };
            row.extend([gap, reason(answer).to_owned(), chosen, self.refused(*exchange)]);
            table.row(row);
            last = answer.cost_ms;
        }
        table.text()
    }

    /// The exchange in words: who would come for whom, and what that loses.
    fn refused(&self, exchange: Option<Exchange>) -> String {
        let Some(Exchange { leaves, enters, loss }) = exchange else { return "-".to_owned() };
        let (enters, leaves) = (&self.matrix.columns[enters], &self.matrix.columns[leaves]);
        format!("{enters} for {leaves}: {}", self.loss(loss))
    }

    /// What is lost of what was asked for, fixed costs in it.
    fn loss(&self, loss: f64) -> String {
        match self.request.objective {
            Objective::Mean => format!("{loss:+.1} ms"),
            Objective::Slo(_) | Objective::P95 if loss < 0.0 => {
                format!("-{} of the weight", percent(-loss))
            }
            Objective::Slo(_) | Objective::P95 => format!("+{} of the weight", percent(loss)),
        }
    }

    fn members(&self) -> String {
        let mut table =
            Table::new(["column", "serves", "without it", "best in its stead", "then", "reason"]);
        for member in &self.effect.members {
            let instead = member.instead.map(|one| self.matrix.columns[one.enters].clone());
            table.row([
                self.matrix.columns[member.column].clone(),
                percent(member.served_share),
                member.loss.map_or("strands clients".into(), |loss| self.loss(loss)),
                instead.unwrap_or_else(|| "-".into()),
                member.instead.map_or("-".into(), |one| self.loss(one.loss)),
                self.member_reason(member).to_owned(),
            ]);
        }
        let first = self.least_missed().map_or(String::new(), |(member, loss)| {
            let name = &self.matrix.columns[member.column];
            format!("to drop first: {name} ({}; reason: {LEAST_LOSS})\n", self.loss(loss))
        });
        format!("{}{first}", table.text())
    }

    /// The column that is missed least, of those that may go.
    fn least_missed(&self) -> Option<(&Member, f64)> {
        let members = self.effect.members.iter();
        let may_go = members.filter(|member| !self.request.pinned.contains(&member.column));
        let losses = may_go.filter_map(|member| Some((member, member.loss?)));
        losses.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn member_reason(&self, member: &Member) -> &'static str {
        if self.request.pinned.contains(&member.column) {
            "pinned"
        } else if member.loss.is_none() {
            "strands-clients"
        } else if self.least_missed().is_some_and(|(least, _)| least.column == member.column) {
            LEAST_LOSS
        } else {
            "more-loss"
        }
    }

    fn changes(&self) -> String {
        if self.before.is_empty() {
            return String::new();
        }
        let (gain, lose) = self.effect.shares;
        let mut text = format!(
            "\ncompared with {}: {} of the weight gains, {} loses\n",
            self.names(self.before).join(", "),
            percent(gain),
            percent(lose)
        );
        for (word, changes) in [("gains", &self.effect.gains), ("loses", &self.effect.losses)] {
            for change in changes.iter().take(NAMED_MAX) {
                let _ = writeln!(
                    text,
                    "  {} {word} {} ms: {} {} -> {} {}",
                    self.matrix.clients[change.client],
                    ms(Some((change.after.1 - change.before.1).abs())),
                    self.matrix.columns[change.before.0],
                    ms(Some(change.before.1)),
                    self.matrix.columns[change.after.0],
                    ms(Some(change.after.1)),
                );
            }
            if changes.len() > NAMED_MAX {
                let _ = writeln!(text, "  and {} more", changes.len() - NAMED_MAX);
            }
        }
        text
    }

    fn coverage(&self) -> String {
        let served = self.matrix.weight();
        let left: f64 = self.matrix.left_out.iter().map(|(_, weight)| weight).sum();
        let mut text = format!(
            "clients with a known cost: {} ({} of the weight)\n",
            self.matrix.clients.len(),
            percent(served / (served + left))
        );
        if !self.matrix.left_out.is_empty() {
            let all = self.matrix.left_out.iter().map(|(name, _)| name.as_str());
            let first: Vec<&str> = all.take(NAMED_MAX * 2).collect();
            let more = self.matrix.left_out.len() - first.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(text, "left out, no cost is known: {}{more}", first.join(", "));
        }
        text
    }

    /// Everything.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut regions = self.answers.last().map_or(Value::Null, |answer| self.answer(answer));
        let frontier: Vec<Value> = (self.answers.iter().zip(self.exchanges))
            .map(|(answer, exchange)| {
                let mut line = self.answer(answer);
                line["refused"] = exchange.map_or(Value::Null, |one| self.exchange(one));
                line
            })
            .collect();
        regions["frontier"] = json!(frontier);
        let is_mean = self.request.objective == Objective::Mean;
        let members = self.effect.members.iter().map(|member| {
            json!({
                "column": self.matrix.columns[member.column],
                "served_share": member.served_share,
                "loss_without_ms": member.loss.filter(|_| is_mean),
                "loss_without_share": member.loss.filter(|_| !is_mean),
                "instead": member.instead.map(|one| &self.matrix.columns[one.enters]),
                "loss_instead_ms": member.instead.map(|one| one.loss).filter(|_| is_mean),
                "loss_instead_share": member.instead.map(|one| one.loss).filter(|_| !is_mean),
                "reason": self.member_reason(member),
            })
        });
        regions["members"] = json!(members.collect::<Vec<_>>());
        regions["compared_with"] = json!(self.names(self.before));
        let (gain, lose) = self.effect.shares;
        regions["gains"] = self.change_list(&self.effect.gains, gain);
        regions["losses"] = self.change_list(&self.effect.losses, lose);
        let left = self.matrix.left_out.iter();
        let estimated: Vec<usize> = self.estimated.iter().copied().collect();
        let models = self.models.iter().map(|model| {
            json!({
                "connection": model.connection.as_str(),
                "multiplier": model.fit.multiplier,
                "service_ms": model.fit.service_ms,
                "trips_to_data": model.fit.trips_to_data,
                "left_out_error_p50_share": model.error_share(0.5),
                "left_out_error_p90_share": model.error_share(0.9),
            })
        });
        let candidates = self.candidates.iter().map(|candidate| {
            json!({
                "column": self.matrix.columns[candidate.column],
                "mean_ms": candidate.mean_ms,
                "low_ms": candidate.interval_ms.map(|(low, _)| low),
                "high_ms": candidate.interval_ms.map(|(_, high)| high),
            })
        });
        let mut whole = json!({
            "regions": regions,
            "estimates": {
                "columns": self.names(&estimated),
                "candidates": candidates.collect::<Vec<_>>(),
                "unestimated": self.unestimated,
                "models": models.collect::<Vec<_>>(),
            },
            "coverage": {
                "clients": self.matrix.clients.len(),
                "weight": self.matrix.weight(),
                "left_out": left.map(|(client, weight)| json!({"client": client, "weight": weight}))
                    .collect::<Vec<_>>(),
            },
        });
        let nothing = Around::default();
        if let Some(whole) = whole.as_object_mut() {
            whole.extend(self.around.unwrap_or(&nothing).json());
        }
        whole
    }

    fn exchange(&self, Exchange { leaves, enters, loss }: Exchange) -> Value {
        let is_mean = self.request.objective == Objective::Mean;
        json!({
            "leaves": self.matrix.columns[leaves],
            "enters": self.matrix.columns[enters],
            "loss_ms": is_mean.then_some(loss),
            "loss_share": (!is_mean).then_some(loss),
        })
    }

    fn answer(&self, answer: &Answer) -> Value {
        json!({
            "k": answer.k,
            "chosen": self.names(&answer.chosen),
            "cost_ms": answer.cost_ms,
            "total": answer.total,
            "fixed_cost": answer.fixed_cost,
            "covered_share": answer.covered_share,
            "optimal": answer.optimal,
            "gap": answer.gap,
            "reason": reason(answer),
        })
    }

    fn change_list(&self, changes: &[Change], share: f64) -> Value {
        let listed = changes.iter().take(LISTED_MAX).map(|change| {
            json!({
                "client": self.matrix.clients[change.client],
                "from": self.matrix.columns[change.before.0],
                "from_ms": change.before.1,
                "to": self.matrix.columns[change.after.0],
                "to_ms": change.after.1,
            })
        });
        json!({
            "share": share,
            "clients": changes.len(),
            "listed": listed.collect::<Vec<_>>(),
        })
    }
}

fn reason(answer: &Answer) -> &'static str {
    match (answer.chosen.is_empty(), answer.optimal) {
        (false, true) => "optimal",
        (false, false) => "time-limit",
        (true, true) => "infeasible",
        (true, false) => "none-found",
    }
}

fn total(answer: &Answer) -> String {
    answer.total.map_or_else(|| "-".to_owned(), |total| format!("{total:.3}"))
}
