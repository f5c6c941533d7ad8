//! `advisor regret --install-shadow`: the shadow groups are written, and Route 53 is asked in rounds about
//! labels that are not installed, until nothing better is left to ask about.
//!
//! It writes the shadow groups only, which no client asks for.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use advisor::advice::LabelSet;
use advisor::apply::Outcome;
use advisor::name::Label;
use advisor::survey::{Inquiry, ROUNDS, Step, Survey, ZoneView};
use serde_json::{Value, json};

use crate::command::apply::Writer;
use crate::command::regret::survey_or_zone;
use crate::failure::Failure;
use crate::setup::Setup;
use crate::show;
use crate::show::regret::heard::{set_json, set_text};
use crate::terminal::Terminal;

/// What else whoever confirms the first change says yes to.
const MORE: &str = "  the shadow groups are written again, without a question, for each set of labels that \
                    Route 53 is asked about\n";

/// Removes both shadow groups.
pub async fn remove(setup: &Setup, terminal: Terminal, yes: bool) -> Result<(), Failure> {
    let view = ZoneView::read(&setup.zone().await?, &setup.config).await?;
    let plan = view.ground(setup.now_ms()).remove_shadow();
    if plan.is_empty() {
        return terminal.result("nothing to do\n", &json!({"applied": null}));
    }
    let outcome = Writer::open(setup, terminal).await?.write(plan, yes).await?;
    terminal.result(&show::outcome_text(&outcome), &show::outcome_json(&outcome))
}

/// Installs both shadow groups and asks. At the end the `next` shadow stands with the labels that are worth
/// most of those that were asked about, so that `advisor plan` chooses between them and the installed ones.
pub async fn install(setup: &Setup, terminal: Terminal, yes: bool) -> Result<(), Failure> {
    let mut asking = Asking { setup, terminal, yes, written: None };
    let mut survey = asking.with_live_shadow().await?;
    let mut inquiry = Inquiry::new(survey.next.clone());
    let findings = loop {
        let question = match inquiry.step(&survey, &setup.config) {
            Step::Ask(question) => question,
            Step::End(findings) => break findings,
        };
        let (round, set) = (inquiry.rounds(), set_text(&question, &installed(&survey)));
        terminal.say(&format!("round {round} of at most {ROUNDS}: asking about {set}"));
        survey = asking.ask_about(&survey, &question.labels).await?;
        if let Some(next) = survey.next.clone() {
            inquiry.hear(next);
        }
    };
    if findings.open.is_some() {
        terminal.say(&format!(
            "after {ROUNDS} rounds other labels still promise more: the best of those that were asked \
             about are kept"
        ));
    }
    if let Some(best) = &findings.best {
        asking.ask_about(&survey, best).await?;
    }
    asking.end(&survey, &findings.values)
}

/// The shadows as they are written.
struct Asking<'a> {
    setup: &'a Setup,
    terminal: Terminal,
    yes: bool,
    /// The newest change, if there was any.
    written: Option<Outcome>,
}

impl Asking<'_> {
    /// A survey that knows what Route 53 prefers of the installed labels.
    async fn with_live_shadow(&mut self) -> Result<Survey, Failure> {
        let (survey, unread) = survey_or_zone(self.setup).await?;
        if let Some(error) = unread {
            self.terminal.say(&format!(
                "note: nothing measured is known here ({error}); only the installed labels are asked about"
            ));
        }
        let next = survey.next.as_ref().map(|next| next.labels.clone());
        let next = next.unwrap_or_else(|| survey.live.labels.keys().cloned().collect());
        self.ask_about(&survey, &next).await
    }

    /// Lets the `next` shadow stand with these labels, and surveys anew where it did not yet.
    async fn ask_about(
        &mut self,
        survey: &Survey,
        labels: &BTreeSet<Label>,
    ) -> Result<Survey, Failure> {
        let ground = survey.view.ground(self.setup.now_ms());
        let plan = ground.install_shadow(&survey.live, labels.iter());
        if plan.is_empty() {
            return Ok(survey.clone());
        }
        let writer = Writer::open(self.setup, self.terminal).await?;
        self.written = Some(writer.write_with(plan, MORE, self.yes).await?);
        // Whoever said yes to the first round said yes to asking.
        self.yes = true;
        Ok(survey_or_zone(self.setup).await?.0)
    }

    fn end(self, survey: &Survey, values: &[LabelSet]) -> Result<(), Failure> {
        let installed = &installed(survey);
        let mut text = match &self.written {
            Some(outcome) => show::outcome_text(outcome),
            None => "nothing to do\n".to_owned(),
        };
        for set in values {
            let _ = writeln!(text, "asked: {}", set_text(set, installed));
        }
        let mut document = match &self.written {
            Some(outcome) => show::outcome_json(outcome),
            None => json!({"applied": null}),
        };
        document["asked"] = values.iter().map(|set| set_json(set, installed)).collect::<Value>();
        self.terminal.result(&text, &document)
    }
}

fn installed(survey: &Survey) -> BTreeSet<Label> {
    survey.live.labels.keys().cloned().collect()
}
