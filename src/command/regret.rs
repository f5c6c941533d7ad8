//! `advisor regret`: where Route 53 sends each vantage, and what another endpoint would give.

use advisor::matrix::SourceError;
use advisor::source::Unmeasured;
use advisor::survey::{Survey, SurveyError};
use serde_json::json;

use crate::cli::RegretArgs;
use crate::command::shadow;
use crate::failure::Failure;
use crate::setup::Setup;
use crate::show;
use crate::show::outage::OutageView;
use crate::show::weights::{weights_json, weights_text};
use crate::terminal::Terminal;

/// Prints the regret, or writes the shadow groups through a plan of their own.
pub async fn run(setup: &Setup, terminal: Terminal, args: &RegretArgs) -> Result<(), Failure> {
    if args.install_shadow {
        return shadow::install(setup, terminal, args.yes).await;
    }
    if args.remove_shadow {
        return shadow::remove(setup, terminal, args.yes).await;
    }
    let survey = survey(setup).await?;
    let advice = survey.advise(&setup.config);
    let view = show::regret::RegretView::new(&survey, &advice, &setup.config);
    let lints = show::lint::lints(&survey, &setup.config);
    let mut document = view.json();
    document["notes"] = show::lint::lint_json(&lints);
    let weighing = setup.config.stateless.then(|| survey.weigh(&setup.config, &advice));
    document["weights"] = json!(weighing.as_ref().map(weights_json));
    let outages = OutageView::new(&survey, &setup.config);
    document["outages"] = outages.json();
    let text = format!(
        "{}{}{}\n{}",
        view.text(),
        weighing.as_ref().map(weights_text).unwrap_or_default(),
        show::lint::lint_text(&lints),
        outages.text()
    );
    terminal.result(&text, &document)
}

/// Gathers everything that deciding needs.
pub async fn survey(setup: &Setup) -> Result<Survey, Failure> {
    survey_at(setup, setup.now_ms()).await
}

/// The same with the measurements up to a time, in ms since 1970.
pub async fn survey_at(setup: &Setup, now_ms: i64) -> Result<Survey, Failure> {
    let zone = setup.zone().await?;
    let observer = setup.observer(&zone).await?;
    let operations = setup.operations()?;
    let seams = (&zone, &setup.source(), &observer);
    Ok(Survey::make(seams, &setup.config, &operations, now_ms).await?)
}

/// Surveys with what was measured, or, where that cannot be read, without; then why is told too.
pub async fn survey_or_zone(setup: &Setup) -> Result<(Survey, Option<SourceError>), Failure> {
    let zone = setup.zone().await?;
    let observer = setup.observer(&zone).await?;
    let operations = setup.operations()?;
    let (config, now_ms) = (&setup.config, setup.now_ms());
    let seams = (&zone, &setup.source(), &observer);
    match Survey::make(seams, config, &operations, now_ms).await {
        Err(SurveyError::Source(error)) => {
            let seams = (&zone, &Unmeasured, &observer);
            Ok((Survey::make(seams, config, &operations, now_ms).await?, Some(error)))
        }
        made => Ok((made?, None)),
    }
}
