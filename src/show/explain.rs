//! One address explained, as text and as JSON.

use advisor::advice::Advice;
use advisor::name::Label;
use advisor::preferred::Preference;
use advisor::regret::RegretRow;
use advisor::survey::Survey;
use advisor::topology::Shares;
use probe::config::Config;
use probe::url::IpPrefix;
use serde_json::{Value, json};

use super::regret::RegretView;
use super::table::{Table, ms};
use super::weights::shares_json;

/// Where clients of one subnet are sent, and why.
#[derive(Debug, Clone)]
pub struct ExplainView {
    subnet: IpPrefix,
    /// The label and how it is known; `None` where nobody was asked.
    asked: Option<(Label, Preference)>,
    leads_to: Option<Shares>,
    /// Where the advice sends them; nothing where nobody asked which of the advised labels they prefer.
    advised: Option<String>,
    /// Vantages that Route 53 sends the same way, and what it costs them.
    vantages: Vec<Cost>,
    why: Option<(String, Value)>,
}

/// What one vantage pays: medians over the newest blocks, where they are known.
#[derive(Debug, Clone)]
struct Cost {
    vantage: String,
    now_ms: Option<f64>,
    /// Where the advice leads; the same where it changes nothing.
    advised_ms: Option<f64>,
}

impl Cost {
    fn of(row: &RegretRow, advised: Option<&str>) -> Self {
        let at = |endpoint: &str| {
            if endpoint == row.endpoint {
                return row.cost_ms;
            }
            row.challengers.iter().find(|other| other.endpoint == endpoint)?.cost_ms
        };
        Self { vantage: row.vantage.clone(), now_ms: row.cost_ms, advised_ms: advised.and_then(at) }
    }

    fn json(&self) -> Value {
        json!({"vantage": self.vantage, "cost_ms": self.now_ms, "advised_ms": self.advised_ms})
    }
}

impl ExplainView {
    /// From a survey, its advice and what was asked for this subnet: the label preferred now, and of the
    /// advised labels, where those are others.
    #[must_use]
    pub fn new(
        survey: &Survey,
        advice: &Advice,
        config: &Config,
        subnet: IpPrefix,
        (asked, then): (Option<(Label, Preference)>, Option<Label>),
    ) -> Self {
        let label = asked.as_ref().map(|(label, _)| label);
        let leads_to = label.and_then(|label| survey.live.tree().remove(label));
        let then = if advice.changes_the_set() { then.as_ref() } else { label };
        let advised = then.and_then(|label| advice.endpoints().get(label).cloned());
        let reasons = RegretView::new(survey, advice, config);
        let why = label.and_then(|label| reasons.label(label));
        let same = reasons.rows().iter().filter(|row| Some(&row.label) == label);
        let vantages = same.map(|row| Cost::of(row, advised.as_deref())).collect();
        Self { subnet, asked, leads_to, advised, vantages, why }
    }

    fn only(&self) -> Option<&str> {
        self.leads_to.as_ref().and_then(Shares::only)
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Some((label, how)) = &self.asked else {
            return format!(
                "{}: nobody asked Route 53 which label it prefers for these clients; \
                 `advisor regret --install-shadow` makes that possible\n",
                self.subnet
            );
        };
        let endpoint = self.leads_to.as_ref().map_or("no endpoint".to_owned(), Shares::to_string);
        let advice = match self.moved_to() {
            Some(advised) => format!("the advice sends them to {advised}"),
            None if self.advised.is_some() => "the advice changes nothing for them".to_owned(),
            None => "the advice installs other labels, and Route 53 was not asked about those; \
                     `advisor regret --install-shadow` makes that possible"
                .to_owned(),
        };
        let why = self.why.as_ref().map(|(text, _)| text.as_str()).unwrap_or_default();
        format!(
            "{}: preferred label {label} ({}), which points at {endpoint}\n{}{advice}\n{why}",
            self.subnet,
            how.as_str(),
            self.vantages_text()
        )
    }

    /// The endpoint that the advice sends them to, where that is another one.
    fn moved_to(&self) -> Option<&str> {
        let advised = self.advised.as_deref();
        advised.filter(|_| advised != self.only())
    }

    fn vantages_text(&self) -> String {
        if self.vantages.is_empty() {
            return "no vantage is sent the same way: nothing was measured for them\n".to_owned();
        }
        let mut headings = vec!["sent the same way".to_owned(), "cost, ms".to_owned()];
        headings.extend(self.moved_to().map(|endpoint| format!("at {endpoint}, ms")));
        let mut table = Table::new(headings);
        for cost in &self.vantages {
            let mut row = vec![cost.vantage.clone(), ms(cost.now_ms)];
            row.extend(self.moved_to().map(|_| ms(cost.advised_ms)));
            table.row(row);
        }
        table.text()
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "subnet": self.subnet.to_string(),
            "label": self.asked.as_ref().map(|(label, _)| label.as_str()),
            "preferred": self.asked.as_ref().map(|(_, how)| how.as_str()),
            "endpoint": self.leads_to.as_ref().map(Shares::first),
            "weights": self.leads_to.as_ref().filter(|shares| shares.only().is_none()).map(shares_json),
            "advised": self.advised,
            "vantages": self.vantages.iter().map(|cost| &cost.vantage).collect::<Vec<_>>(),
            "costs": self.vantages.iter().map(Cost::json).collect::<Vec<_>>(),
            "advice": self.why.as_ref().map(|(_, value)| value),
        })
    }
}
