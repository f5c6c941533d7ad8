//! Findings about record sets, as text and as JSON.

use advisor::lint::{Lint, lint, lint_settings};
use advisor::survey::Survey;
use probe::config::Config;
use serde_json::{Value, json};

use super::escape_lines;

/// The findings over the records that a survey saw, and over the settings.
#[must_use]
pub fn lints(survey: &Survey, config: &Config) -> Vec<Lint> {
    use advisor::preferred::Preference;
    let installed = survey.live.labels.keys().cloned().collect();
    let was_asked = matches!(survey.preference, Preference::Asked | Preference::AskedApi);
    let preferred = if was_asked {
        survey.routing.preferred.values().chain(survey.clients.keys()).cloned().collect()
    } else {
        std::collections::BTreeSet::new()
    };
    let mut found = lint(&survey.view.records, &installed, &preferred);
    found.extend(lint_settings(config));
    found
}

/// A line each.
#[must_use]
pub fn lint_text(lints: &[Lint]) -> String {
    let told: Vec<String> = lints.iter().map(|lint| format!("note: {lint}\n")).collect();
    escape_lines(&told.concat())
}

/// For scripts.
#[must_use]
pub fn lint_json(lints: &[Lint]) -> Value {
    lints.iter().map(|lint| json!({ "code": lint.code(), "message": lint.to_string() })).collect()
}
