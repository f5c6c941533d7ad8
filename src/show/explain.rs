//! One address explained, as text and as JSON.

use advisor::advice::Advice;
use advisor::name::Label;
use advisor::preferred::Preference;
use advisor::survey::Survey;
use advisor::topology::Shares;
use probe::config::Config;
use probe::url::IpPrefix;
use serde_json::{Value, json};

use super::regret::RegretView;
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
    /// Vantages that Route 53 sends the same way.
    vantages: Vec<String>,
    why: Option<(String, Value)>,
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
        let same = |(_, other): &(&String, &Label)| Some(*other) == label;
        let vantages = survey.routing.preferred.iter().filter(same).map(|(v, _)| v.clone());
        let reasons = RegretView::new(survey, advice, config);
        let why = label.and_then(|label| reasons.label(label));
        Self { subnet, leads_to, advised, vantages: vantages.collect(), why, asked }
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
        let vantages = match self.vantages.as_slice() {
            [] => "no vantage is sent the same way: nothing was measured for them".to_owned(),
            some => format!("vantages sent the same way: {}", some.join(", ")),
        };
        let advice = match &self.advised {
            Some(advised) if Some(advised.as_str()) != self.only() => {
                format!("the advice sends them to {advised}")
            }
            Some(_) => "the advice changes nothing for them".to_owned(),
            None => "the advice installs other labels, and Route 53 was not asked about those; \
                     `advisor regret --install-shadow` makes that possible"
                .to_owned(),
        };
        let why = self.why.as_ref().map(|(text, _)| text.as_str()).unwrap_or_default();
        format!(
            "{}: preferred label {label} ({}), which points at {endpoint}\n{vantages}\n{advice}\n{why}",
            self.subnet,
            how.as_str()
        )
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
            "vantages": self.vantages,
            "advice": self.why.as_ref().map(|(_, value)| value),
        })
    }
}
