//! A lab whose zone is full: 10,000 record sets, Route 53's own limit, most of them below the service name.
//!
//! Run by `tests/bench/zone.sh`. It is a process of its own, so that its memory is not the advisor's; it
//! says where it is, and runs until it is killed.

#![expect(clippy::print_stdout, reason = "it says where it is")]

use anyhow::{Context as _, Result};
use lab::route53::Options;
use lab::route53::model::{Action, Change, ChangeBatch, RecordSet, RrType};
use lab::route53::name::Name;
use lab::scenario::Scenario;
use lab::{Lab, LabOptions};

/// Route 53's own limit for a zone.
const SETS: usize = 10_000;
/// Changes of one batch.
const BATCH: usize = 500;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("zone FOLDER")?;
    let options = LabOptions { scenario: Scenario::calm(), seed: 1, dir: folder.into() };
    // The API's own pace is not what is measured.
    let lab = Lab::start_with(options, Options { throttling: None, ..Options::default() }).await?;
    fill(&lab).await?;
    let facts = lab.facts();
    println!("{}", facts.route53);
    println!("{}", facts.apigateway);
    println!("{}", facts.config.display());
    std::future::pending::<()>().await;
    Ok(())
}

/// Fills the zone with what others keep there: half of it below the service name.
async fn fill(lab: &Lab) -> Result<()> {
    let (zone, name) = (&lab.facts().hosted_zone_id, &lab.facts().name);
    let standing = lab.route53().record_sets(zone)?.len();
    let set = |number: usize| -> Result<RecordSet> {
        let apex = if number.is_multiple_of(10) { &lab.facts().zone } else { name };
        let at = Name::parse(&format!("host-{number:05}.{apex}"))?;
        let address = format!("192.0.2.{}", number % 256);
        Ok(RecordSet::simple(at, RrType::A, 300, vec![address]))
    };
    let sets: Vec<RecordSet> = (standing..SETS).map(set).collect::<Result<_>>()?;
    for part in sets.chunks(BATCH) {
        let create = |set: &RecordSet| Change { action: Action::Create, set: set.clone() };
        let batch = ChangeBatch { comment: None, changes: part.iter().map(create).collect() };
        let change = lab.route53().change(zone, &batch)?;
        while !lab.route53().get_change(&change.id)?.insync {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
