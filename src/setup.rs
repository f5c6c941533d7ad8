//! From the command line and the environment to what commands work with.
//!
//! The one place that reads the environment and the configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use advisor::journal::{Journal, JournalError, Operation};
use advisor::observe::Observer;
use advisor::settings;
use advisor::source::StoreSource;
use advisor::zone::{Zone, ZoneError};
use aws::{Access, ApiGateway, Route53Zone};
use probe::clock::{Clock, SystemClock};
use probe::config::{Config, DEFAULTS, Flags};

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::fleet::{Choice, Fleet, Source};

/// How long another advisor's hold of the journal is waited for: longer than an apply usually takes.
const JOURNAL_WAIT: Duration = Duration::from_mins(2);
/// Between two tries.
const JOURNAL_POLL: Duration = Duration::from_millis(200);

/// Beside which path the journal stands when the store is CloudWatch.
const JOURNAL_BESIDE: &str = "nearside.sqlite";

/// What commands work with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// The embedded store. The apply journal stands beside it, whichever store is used.
    pub store: PathBuf,
    /// CloudWatch, where it is the store.
    pub fleet: Option<Fleet>,
    /// How to reach Route 53.
    pub access: Access,
    /// The machine's clock.
    pub clock: Arc<SystemClock>,
}

impl Setup {
    /// Reads the configuration that the command line names.
    pub fn read(global: &Global) -> Result<Self, Failure> {
        let environment = environment();
        let path = config_path(global, &environment)?;
        let config = read_config(&path, &environment)?;
        let (zone_role, api_role) = (config.aws.zone_role.clone(), config.aws.api_role.clone());
        let access = Access { zone_role, api_role, ..Access::default() };
        let clock = Arc::new(SystemClock);
        let (store, fleet) = match Choice::parse(&global.store)? {
            Choice::Sqlite(path) => (path, None),
            Choice::CloudWatch(namespace) => {
                let fleet = Fleet::new(&config, &namespace, &access, &clock)?;
                (PathBuf::from(JOURNAL_BESIDE), Some(fleet))
            }
        };
        Ok(Self { config, store, fleet, access, clock })
    }

    /// Sections that are read and checked, and that no command uses yet.
    #[must_use]
    pub fn unused_sections(&self) -> Vec<&'static str> {
        let config = &self.config;
        let sections = [("[cloudwatch]", config.cloudwatch.is_some() && self.fleet.is_none())];
        sections.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
    }

    /// The store, as people call it.
    #[must_use]
    pub fn place(&self) -> String {
        match (&self.fleet, &self.config.cloudwatch) {
            (Some(_), Some(settings)) => {
                format!("CloudWatch namespace {} in {}", settings.namespace, settings.region)
            }
            _ => self.store.display().to_string(),
        }
    }

    /// Refuses CloudWatch where single windows or histograms are needed: it keeps none.
    pub fn require_histograms(&self) -> Result<(), Failure> {
        match self.fleet {
            None => Ok(()),
            Some(_) => Err(Failure::new(Exit::Usage, "CloudWatch keeps no histograms of windows")
                .hint("name a store with --store sqlite:PATH")),
        }
    }

    /// The apply journal: it stands beside the store, whichever is used.
    #[must_use]
    pub fn journal_path(&self) -> PathBuf {
        self.store.with_extension("journal")
    }

    /// The journal, locked. Another advisor that holds it is waited for, within a bound: what it did
    /// is then found as drift.
    pub async fn journal(&self) -> Result<Journal, Failure> {
        let started = self.clock.now();
        loop {
            match Journal::open(&self.journal_path()) {
                Err(JournalError::Locked(_))
                    if self.clock.now().duration_since(started) < JOURNAL_WAIT =>
                {
                    tokio::time::sleep(JOURNAL_POLL).await;
                }
                journal => return Ok(journal?),
            }
        }
    }

    /// What the journal tells.
    pub fn operations(&self) -> Result<Vec<Operation>, Failure> {
        Ok(Journal::read(&self.journal_path())?)
    }

    /// The measurements.
    #[must_use]
    pub fn source(&self) -> Source {
        match &self.fleet {
            Some(fleet) => Source::CloudWatch(Arc::clone(&fleet.source)),
            None => Source::Sqlite(StoreSource::new(&self.store)),
        }
    }

    /// The hosted zone.
    pub async fn zone(&self) -> Result<Route53Zone, Failure> {
        match Route53Zone::open(&self.config.zone, &self.access).await {
            Ok(zone) => Ok(zone),
            Err(error) => Err(zone_failure(error, &self.access).await),
        }
    }

    /// API Gateway, in every Region.
    pub async fn gateway(&self) -> Result<ApiGateway, Failure> {
        ApiGateway::open(&self.access).await.map_err(|error| {
            Failure::new(Exit::Failed, format!("API Gateway cannot be asked: {error}"))
        })
    }

    /// What clients of the zone see.
    pub async fn observer(&self, zone: &Route53Zone) -> Result<Observer, Failure> {
        let service = settings::service(&self.config)?;
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Ok(Observer::new(&self.config, service, &zone.facts().name_servers, clock).await?)
    }

    /// Wall time, milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.wall_ms()
    }
}

/// Why the zone is not to be had. Of one that is not seen, whose credentials these are: they may be of
/// another account.
pub async fn zone_failure(error: ZoneError, access: &Access) -> Failure {
    let is_missing = matches!(error, ZoneError::Missing(_));
    let failure = Failure::from(error);
    if !is_missing {
        return failure;
    }
    match aws::caller_account(access).await {
        Ok(Some(account)) => failure.hint(format!(
            "these credentials belong to account {account}: use those of the zone's account, or a role of it \
             as aws.zone_role; or check `zone`"
        )),
        _ => failure,
    }
}

/// The environment, read once. Variables that are not text are left out.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads a configuration file with the layers under and over it.
pub fn read_config(path: &Path, environment: &BTreeMap<String, String>) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Failure::new(Exit::Usage, format!("cannot read configuration {}: {cause}", path.display()))
            .hint("`advisor init` writes a nearside.toml; or name one with --config")
    })?;
    probe::config::build(DEFAULTS, &text, environment, &Flags::default()).map_err(|error| {
        Failure::new(Exit::Usage, format!("{}: {error}", path.display()))
            .hint("docs/configuration.md lists every key with its bounds")
    })
}

fn config_path(
    global: &Global,
    environment: &BTreeMap<String, String>,
) -> Result<PathBuf, Failure> {
    if let Some(path) = &global.config {
        return Ok(path.clone());
    }
    let here = PathBuf::from("nearside.toml");
    if here.exists() {
        return Ok(here);
    }
    let folder = environment
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| environment.get("HOME").map(|home| Path::new(home).join(".config")));
    let of_user = folder.map(|folder| folder.join("nearside").join("nearside.toml"));
    of_user.filter(|path| path.exists()).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "there is no nearside.toml here, nor in the user's configuration folder",
        )
        .hint("`advisor init` writes one from what AWS has; `advisor demo` needs none")
    })
}
