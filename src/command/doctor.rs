//! `advisor doctor`: whether everything that the advisor leans on is there, in the order to fix it.
//! It only reads.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use advisor::answers::Answers as _;
use advisor::denial::Denial;
use advisor::domains::{DomainError, DomainFinding, findings};
use advisor::journal::Journal;
use advisor::lint::{Lint, lint, lint_settings};
use advisor::matrix::MatrixSource as _;
use advisor::settings::{self, millis};
use advisor::survey::ZoneView;
use advisor::zone::ZoneError;
use aws::Route53Zone;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::fleet::budget;
use crate::setup::Setup;
use crate::terminal::Terminal;

/// The least that is left of a certificate, in ms: what the guards ask for.
const CERTIFICATE_MS: i64 = 14 * 86_400_000;

/// How far this machine's clock may be from AWS's, in ms: half a window of a minute.
const CLOCK_MS: i64 = 30_000;

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
    add("clock", clock(&setup).await);
    add("credentials", credentials(&setup).await);
    match setup.zone().await {
        Err(failure) => add("zone", Err(failure)),
        Ok(zone) => {
            let facts = advisor::zone::Zone::facts(&zone);
            add("zone", Ok(format!("{} ({}) at {}", facts.name, facts.id, facts.api)));
            checks.extend(records(&setup, &zone).await);
            checks.push(Check { what: "protections".to_owned(), found: protections(&zone).await });
            checks.extend(domains(&setup).await);
            checks.extend(proofs(&setup, &zone).await);
        }
    }
    let mut add = |what: &str, found| checks.push(Check { what: what.to_owned(), found });
    add("journal", journal(&setup));
    if config.cloudwatch.is_some() {
        add("metrics", metrics(&setup));
    }
    add("measurements", measurements(&setup).await);
    checks
}

/// This machine's clock beside Route 53's: windows are named by it, and signatures hold for minutes.
async fn clock(setup: &Setup) -> Result<String, Failure> {
    let before_ms = setup.now_ms();
    let server_ms = aws::server_time_ms(&setup.access).await?;
    let here_ms = i64::midpoint(before_ms, setup.now_ms());
    let ahead_ms = here_ms - server_ms;
    let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
    if ahead_ms.abs() <= CLOCK_MS {
        return Ok(format!("within {} s of Route 53's", CLOCK_MS / 1_000));
    }
    let message = format!("this machine's is {} s {side} Route 53's", ahead_ms.abs() / 1_000);
    Err(Failure::new(Exit::Failed, message).hint(
        "set it, by NTP if possible: windows of different machines are compared by their times, and AWS \
         refuses signatures that are minutes off",
    ))
}

async fn credentials(setup: &Setup) -> Result<String, Failure> {
    let account = aws::caller_account(&setup.access).await?;
    Ok(account.map_or_else(
        || "not asked for their account: Route 53 is at another address than AWS's".to_owned(),
        |account| format!("account {account}"),
    ))
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

/// The group at the service name, and what in it does not do what it seems to.
async fn records(setup: &Setup, zone: &Route53Zone) -> Vec<Check> {
    let check = |found| Check { what: "records".to_owned(), found };
    let view = match ZoneView::read(zone, &setup.config).await {
        Ok(view) => view,
        Err(error) => return vec![check(Err(error.into()))],
    };
    let live = view.live().map_err(|error| advisor::survey::SurveyError::from(error).into());
    let live = live.map(|live| {
        let tree = live.tree();
        let labels = tree.iter().map(|(label, shares)| format!("{label} -> {shares}"));
        labels.collect::<Vec<_>>().join(", ")
    });
    let at_service: Vec<_> =
        view.records.iter().filter(|set| set.name == view.service).cloned().collect();
    let mut notes = lint(&at_service, &BTreeSet::new(), &BTreeSet::new());
    notes.extend(lint_settings(&setup.config));
    let note = |note: &Lint| Check { what: "note".to_owned(), found: Ok(note.to_string()) };
    [check(live)].into_iter().chain(notes.iter().map(note)).collect()
}

async fn protections(zone: &Route53Zone) -> Result<String, Failure> {
    match advisor::zone::Zone::protections(zone).await {
        Ok(all) => Ok(format!("{} record sets of the zone are protected", all.len())),
        // Guards go on without.
        Err(ZoneError::Denied(denial @ Denial::Permission { .. })) => {
            Ok(format!("cannot be seen, and are not needed: {denial}"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The custom domain of each endpoint, as the guards will judge it.
async fn domains(setup: &Setup) -> Vec<Check> {
    let what = |endpoint: &str| format!("custom domain {endpoint}");
    let ids: Vec<String> = setup.config.endpoints.iter().map(|one| one.id.clone()).collect();
    let asked = match (setup.gateway().await, settings::service(&setup.config)) {
        (Ok(gateway), Ok(service)) => {
            findings(&gateway, &setup.config, &service, &ids, setup.clock.as_ref()).await
        }
        (Err(failure), _) => return vec![Check { what: what("of all"), found: Err(failure) }],
        (_, Err(error)) => return vec![Check { what: what("of all"), found: Err(error.into()) }],
    };
    let check = |(endpoint, finding): (&String, &DomainFinding)| Check {
        what: what(endpoint),
        found: domain(finding),
    };
    asked.iter().map(check).collect()
}

fn domain(finding: &DomainFinding) -> Result<String, Failure> {
    let region = &finding.region;
    let failed = |message: String, hint: &str| Err(Failure::new(Exit::Failed, message).hint(hint));
    match &finding.answer {
        Ok(Some(domain)) if domain.status != "AVAILABLE" => {
            let words = domain.status_message.clone().unwrap_or_default();
            let message = format!("it is {} in {region} {words}", domain.status);
            failed(
                message.trim_end().to_owned(),
                "wait until it is AVAILABLE, or mend its certificate",
            )
        }
        Ok(Some(domain)) if !domain.targets.contains(&finding.alias) => failed(
            format!("its target in {region} is not endpoint.alias ({})", finding.alias.dns_name),
            "copy regionalDomainName and regionalHostedZoneId into endpoint.alias",
        ),
        Ok(Some(_)) => Ok(format!("AVAILABLE in {region}, with the target of endpoint.alias")),
        Ok(None) => failed(
            format!("API Gateway in {region} has none for the service name"),
            "create it there, endpoint type REGIONAL",
        ),
        Err(cause) if finding.proves_region => Ok(format!(
            "API Gateway in {region} does not say ({cause}); what the endpoint answers over TLS has to do"
        )),
        Err(DomainError::Denied(denial)) => {
            failed(format!("API Gateway in {region}: {denial}"), denial.hint())
        }
        Err(DomainError::Failed(cause)) => {
            failed(format!("API Gateway in {region}: {cause}"), "check the network, and try again")
        }
    }
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
