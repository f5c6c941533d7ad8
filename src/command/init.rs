//! `advisor init`: a first nearside.toml from what API Gateway, Route 53 and the endpoints themselves say,
//! and what is missing. It writes that one file and, only where asked to, one throwaway record.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use advisor::discover::{self, Draft, Findings, Gap, Listings, Wishes, trial};
use advisor::domains::{DomainTarget, list_all};
use advisor::name::Name;
use advisor::settings;
use advisor::zone::Zone as _;
use aws::{Access, ApiGateway, Route53Zone};
use probe::clock::SystemClock;
use probe::config::{DEFAULTS, Flags};
use serde_json::{Value, json};

use crate::cli::{Global, InitArgs};
use crate::failure::{Exit, Failure};
use crate::setup::{self, Setup};
use crate::show;
use crate::terminal::Terminal;

/// Where the configuration goes when nothing names a place.
const HERE: &str = "nearside.toml";

/// Writes the configuration, or only tries the record where there is one already.
pub async fn run(global: &Global, terminal: Terminal, args: &InitArgs) -> Result<(), Failure> {
    let path = global.config.clone().unwrap_or_else(|| PathBuf::from(HERE));
    if path.exists() && !args.force {
        if args.prove_alias {
            let global = Global { config: Some(path), ..global.clone() };
            let (text, document) = prove(&Setup::read(&global)?, terminal, args.yes).await?;
            return terminal.result(&text, &document);
        }
        let message = format!("{} is there already", path.display());
        return Err(Failure::new(Exit::Usage, message)
            .hint("--force replaces it, --config names another; `advisor doctor` checks it"));
    }
    let access = Access {
        zone_role: args.zone_role.clone(),
        api_role: args.api_role.clone(),
        ..Access::default()
    };
    let (found, zone) = find(&access, terminal, args).await?;
    let wishes = wishes(args);
    let mut draft = discover::draft(&found);
    if draft.endpoints.is_empty() {
        return Err(nothing(&found, &draft, &wishes));
    }
    let (setup, unproven) = ask(&found, &mut draft, &wishes, (&access, &zone)).await?;
    let text = discover::text(&found, &draft, &wishes);
    write(&path, &text, args.force)?;
    let gaps = discover::gaps(&found, &draft, &wishes, &unproven);
    let mut shown = show::init::text(&found, &draft, &gaps, &path);
    let mut document = show::init::json(&found, &draft, &gaps, &path);
    let mut tried = Ok(());
    if args.prove_alias {
        match prove(&setup, terminal, args.yes).await {
            Ok((text, proven)) => {
                shown.push_str(&text);
                document["alias"] = proven["alias"].clone();
            }
            Err(failure) => tried = Err(failure),
        }
    }
    terminal.result(&shown, &document)?;
    tried
}

fn wishes(args: &InitArgs) -> Wishes {
    Wishes {
        port: args.port,
        path: args.path.clone(),
        health_path: args.health_path.clone(),
        servers: args.server.clone(),
        ca_file: args.cacert.as_ref().map(|path| path.display().to_string()),
        zone_role: args.zone_role.clone(),
        api_role: args.api_role.clone(),
        fleet: args.fleet.clone(),
    }
}

/// Asks API Gateway in every Region, and Route 53.
async fn find(
    access: &Access,
    terminal: Terminal,
    args: &InitArgs,
) -> Result<(Findings, Route53Zone), Failure> {
    let listings = listings(access, terminal, args).await?;
    let service = match &args.name {
        Some(text) => Name::parse(text)
            .map_err(|cause| Failure::new(Exit::Usage, format!("--name: {cause}")))?,
        None => discover::service(&listings)
            .map_err(|error| Failure::new(Exit::Failed, &error).hint(error.hint()))?,
    };
    terminal.say(&format!("reading the zone of {service}"));
    let opened = match &args.zone {
        Some(zone) => Route53Zone::open(zone, access).await,
        None => Route53Zone::holding(&service, access).await,
    };
    let zone = match opened {
        Ok(zone) => zone,
        Err(error) => return Err(setup::zone_failure(error, access).await),
    };
    let facts = zone.facts().clone();
    if !service.is_within(&facts.name) {
        let message = format!("{service} does not lie within the zone {}", facts.name);
        return Err(Failure::new(Exit::Usage, message).hint("check --name and --zone"));
    }
    let records = zone.record_sets(&facts.name).await?;
    let health_checks = zone.health_checks("").await;
    Ok((Findings { service, zone: facts, listings, records, health_checks }, zone))
}

async fn listings(
    access: &Access,
    terminal: Terminal,
    args: &InitArgs,
) -> Result<Listings, Failure> {
    let regions: Vec<String> = match args.region.as_slice() {
        [] => probe::place::commercial_regions().map(|place| place.region.to_owned()).collect(),
        named => named.to_vec(),
    };
    let named = args.fleet.iter().map(|region| ("--fleet", region));
    for (flag, region) in regions.iter().map(|region| ("--region", region)).chain(named) {
        if probe::place::region(region).is_none() {
            let message = format!("{flag} {region}: there is no such Region");
            return Err(Failure::new(Exit::Usage, message).hint("write it like eu-west-1"));
        }
    }
    terminal.say(&format!("asking API Gateway in {} Regions", regions.len()));
    let gateway = ApiGateway::open(access).await.map_err(|error| {
        Failure::new(Exit::Failed, format!("API Gateway cannot be asked: {error}"))
    })?;
    Ok(list_all(&gateway, regions).await)
}

/// Why there is no endpoint: the first gap, which is what to mend first.
fn nothing(found: &Findings, draft: &Draft, wishes: &Wishes) -> Failure {
    let gaps = discover::gaps(found, draft, wishes, &[]);
    match gaps.first() {
        Some(Gap { what, fix }) => Failure::new(Exit::Failed, what).hint(fix),
        None => Failure::new(Exit::Failed, format!("no Region serves {}", found.service)),
    }
}

/// Asks every endpoint, as its own clients would, how it names its Region. What does not answer is told.
async fn ask(
    found: &Findings,
    draft: &mut Draft,
    wishes: &Wishes,
    (access, zone): (&Access, &Route53Zone),
) -> Result<(Setup, Vec<(String, String)>), Failure> {
    let read = |draft: &Draft| {
        let text = discover::text(found, draft, wishes);
        probe::config::build(DEFAULTS, &text, &setup::environment(), &Flags::default()).map_err(
            |error| {
                Failure::new(Exit::Usage, error).hint(
                    "what was found cannot be written as a configuration; name another --name",
                )
            },
        )
    };
    let setup = Setup {
        config: read(draft)?,
        store: PathBuf::new(),
        fleet: None,
        access: access.clone(),
        clock: Arc::new(SystemClock),
    };
    let observer = setup.observer(zone).await?;
    let (mut answers, mut unproven) = (Vec::new(), Vec::new());
    for endpoint in &draft.endpoints {
        match observer.show(&endpoint.region).await {
            Ok(proof) => answers.push((endpoint.region.clone(), proof)),
            Err(cause) => unproven.push((endpoint.region.clone(), cause)),
        }
    }
    draft.region_proof = discover::region_proof(&answers);
    Ok((Setup { config: read(draft)?, ..setup }, unproven))
}

/// Writes the file, over nothing unless told so.
fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(force).create_new(!force);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|cause| {
        Failure::new(Exit::Failed, format!("cannot write {}: {cause}", path.display()))
            .hint("name another place with --config")
    })
}

/// One throwaway record, after a yes: what the limits of the configuration forbid is not tried.
async fn prove(setup: &Setup, terminal: Terminal, yes: bool) -> Result<(String, Value), Failure> {
    let service = settings::service(&setup.config)?;
    let rule = settings::guard_rule(&setup.config)?;
    let now_ms = setup.now_ms();
    if !rule.allow.contains(&service) {
        return Err(Failure::new(Exit::Refused, format!("{service} is not in guard.allow"))
            .hint("allow the name in nearside.toml first"));
    }
    if rule.freeze.iter().any(|(start_ms, end_ms)| (*start_ms..*end_ms).contains(&now_ms)) {
        return Err(Failure::new(Exit::Refused, "a freeze of guard.freeze is on"));
    }
    let (endpoint, target) = target(setup)?;
    let zone = setup.zone().await?;
    let observer = setup.observer(&zone).await?;
    observer.reaches_dns()?;
    let record = trial::record(&service, &target);
    if !yes {
        let what = format!("CREATE {record}\nDELETE {record}");
        let facts = zone.facts();
        let question = format!("Write and delete it in zone {} at {}?", facts.name, facts.api);
        terminal.confirm(&what, &question)?;
    }
    let tried = trial::run(&zone, &observer, &endpoint, record).await.map_err(|error| {
        let failure = Failure::new(Exit::Failed, &error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    if !tried.holds() {
        let cause = tried.taken.as_ref().err().or(tried.answered.as_ref().err());
        let cause = cause.cloned().unwrap_or_else(|| format!("it answers {:?}", tried.answered));
        let message = format!("an alias at {} does not work: {cause}", tried.record.name);
        return Err(Failure::new(Exit::Failed, message)
            .hint("the record is deleted; plain latency records work all the same"));
    }
    let text = format!(
        "proven: Route 53 takes {}, and its name servers answer it; the record is deleted\n",
        tried.record
    );
    let addresses = tried.answered.unwrap_or_default();
    let document = json!({ "alias": {
        "name": tried.record.name.without_dot(), "holds": true, "addresses": addresses,
    }});
    Ok((show::escape_lines(&text), document))
}

/// The first endpoint with an alias: all Regional ones are of one make.
fn target(setup: &Setup) -> Result<(String, DomainTarget), Failure> {
    let found = setup.config.endpoints.iter().find_map(|endpoint| {
        let alias = endpoint.alias.as_ref()?;
        let dns_name = Name::parse(&alias.dns_name).ok()?;
        let hosted_zone_id = alias.hosted_zone_id.clone();
        Some((endpoint.id.clone(), DomainTarget { dns_name, hosted_zone_id }))
    });
    found.ok_or_else(|| {
        Failure::new(Exit::Usage, "no [[endpoint]] has an alias").hint("planning needs it as well")
    })
}
