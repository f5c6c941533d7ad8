//! `advisor doctor`: whether everything that the advisor leans on is there, in the order to fix it.
//! It only reads.

use std::fmt::Write as _;

use advisor::answers::Answers as _;
use advisor::journal::Journal;
use advisor::matrix::MatrixSource as _;
use advisor::settings::millis;
use advisor::survey::ZoneView;
use aws::Route53Zone;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::fleet::budget;
use crate::setup::Setup;
use crate::terminal::Terminal;

/// The least that is left of a certificate, in ms: what the guards ask for.
const CERTIFICATE_MS: i64 = 14 * 86_400_000;

/// What was looked at, and what was found: a fact, or a failure with what to try.
struct Check {
    what: String,
    found: Result<String, Failure>,
}

/// Looks at everything, and tells it line by line. It fails where one line does.
pub async fn run(global: &Global, terminal: Terminal) -> Result<(), Failure> {
    let checks = look(global).await;
    let failed = checks.iter().filter(|check| check.found.is_err()).count();
    let lines: Vec<Value> = checks.iter().map(document).collect();
    terminal.result(&text(&checks), &json!({ "checks": lines, "failed": failed }))?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Failed, format!("{failed} of {} checks failed", checks.len()))
            .hint("fix the first one first: others may follow from it")),
    }
}

async fn look(global: &Global) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |what: &str, found| checks.push(Check { what: what.to_owned(), found });
    let setup = match Setup::read(global) {
        Ok(setup) => setup,
        Err(failure) => {
            add("configuration", Err(failure));
            return checks;
        }
    };
    let config = &setup.config;
    let (vantages, endpoints) = (config.vantages.len(), config.endpoints.len());
    add("configuration", Ok(format!("{vantages} vantages, {endpoints} endpoints")));
    add("measurements", measurements(&setup).await);
    if config.cloudwatch.is_some() {
        add("metrics", metrics(&setup));
    }
    add("journal", journal(&setup));
    match setup.zone().await {
        Err(failure) => add("zone", Err(failure)),
        Ok(zone) => {
            let facts = advisor::zone::Zone::facts(&zone);
            add("zone", Ok(format!("{} ({}) at {}", facts.name, facts.id, facts.api)));
            add("records", records(&setup, &zone).await);
            let proven = proofs(&setup, &zone).await;
            checks.extend(proven);
        }
    }
    checks
}

/// The age of the newest closed block.
async fn measurements(setup: &Setup) -> Result<String, Failure> {
    let evidence = &setup.config.evidence;
    let (block_ms, now_ms) = (millis(evidence.block), setup.now_ms());
    let until_ms = now_ms.div_euclid(block_ms) * block_ms;
    let since_ms = until_ms - i64::from(evidence.blocks) * block_ms;
    let rows = setup.source().cell_blocks(evidence.quantile, since_ms, until_ms).await;
    let rows = rows.map_err(advisor::survey::SurveyError::Source)?;
    let newest = rows.iter().map(|row| row.start_ms + block_ms).max();
    let newest = newest.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("no closed block in {}", setup.place()))
            .hint("let `probe run` measure for at least one block")
    })?;
    let age_s = (now_ms - newest) / 1_000;
    if now_ms - newest > millis(evidence.stale) {
        let message = format!("the newest block in {} ended {age_s} s ago", setup.place());
        return Err(Failure::new(Exit::Failed, message).hint("start the probes again"));
    }
    Ok(format!("{} rows in {}, the newest {age_s} s old", rows.len(), setup.place()))
}

fn metrics(setup: &Setup) -> Result<String, Failure> {
    let most = setup.config.cloudwatch.as_ref().map_or(0, |settings| settings.max_metrics);
    let found = budget(&setup.config)?;
    if found.steady > u64::from(most) {
        let message = format!("{} metrics, over cloudwatch.max_metrics ({most})", found.steady);
        return Err(Failure::new(Exit::Usage, message).hint("measure less, or raise the bound"));
    }
    Ok(format!("{} metrics of at most {most}; `advisor cost` tells the price", found.steady))
}

fn journal(setup: &Setup) -> Result<String, Failure> {
    let operations = Journal::read(&setup.journal_path())?;
    match operations.last() {
        Some(last) if last.ending.is_none() => {
            let message = format!("operation {} was interrupted", last.number);
            Err(Failure::new(Exit::Failed, message).hint("`advisor apply --resume`"))
        }
        _ => Ok(format!("{} operations, none unfinished", operations.len())),
    }
}

async fn records(setup: &Setup, zone: &Route53Zone) -> Result<String, Failure> {
    let view = ZoneView::read(zone, &setup.config).await?;
    let live = view.live().map_err(advisor::survey::SurveyError::from)?;
    let labels: Vec<String> =
        live.labels.iter().map(|(label, endpoint)| format!("{label} -> {endpoint}")).collect();
    Ok(labels.join(", "))
}

/// Each endpoint as the guards will ask it before they let a change pass.
async fn proofs(setup: &Setup, zone: &Route53Zone) -> Vec<Check> {
    let observer = match setup.observer(zone).await {
        Ok(observer) => observer,
        Err(failure) => {
            return vec![Check { what: "name servers".to_owned(), found: Err(failure) }];
        }
    };
    let ids: Vec<String> = setup.config.endpoints.iter().map(|one| one.id.clone()).collect();
    let now_ms = setup.now_ms();
    let check = |proof: advisor::guard::TargetProof| {
        let hint = "ask its health URL by hand, through its alias target";
        let found = match proof.answer {
            Err(cause) => Err(Failure::new(Exit::Failed, cause).hint(hint)),
            Ok((until_ms, _)) if until_ms - now_ms < CERTIFICATE_MS => {
                let days = (until_ms - now_ms) / 86_400_000;
                Err(Failure::new(Exit::Failed, format!("its certificate ends in {days} days"))
                    .hint("renew the certificate"))
            }
            Ok((until_ms, _)) => {
                let days = (until_ms - now_ms) / 86_400_000;
                Ok(format!("answers over TLS, certificate valid for {days} days"))
            }
        };
        Check { what: format!("endpoint {}", proof.endpoint), found }
    };
    observer.prove(&ids).await.into_iter().map(check).collect()
}

fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let escape = |words: &str| probe::once::escape(words);
        let what = escape(&check.what);
        match &check.found {
            Ok(fact) => {
                let _ = writeln!(text, "ok    {what}: {}", escape(fact));
            }
            Err(failure) => {
                let _ = writeln!(text, "FAIL  {what}: {}", escape(&failure.message));
                if let Some(hint) = &failure.hint {
                    let _ = writeln!(text, "      hint: {}", escape(hint));
                }
            }
        }
    }
    text
}

fn document(check: &Check) -> Value {
    match &check.found {
        Ok(fact) => json!({ "what": check.what, "ok": true, "found": fact }),
        Err(failure) => json!({
            "what": check.what, "ok": false, "found": failure.message, "hint": failure.hint,
        }),
    }
}
