//! How a command fails: an exit code that scripts rely on, what failed, and what to try.

use std::fmt;

use advisor::apply::ApplyError;
use advisor::drain::DrainError;
use advisor::guard::Refusal;
use advisor::journal::JournalError;
use advisor::observe::ObserveError;
use advisor::plan::PlanFileError;
use advisor::settings::SettingsError;
use advisor::survey::SurveyError;
use advisor::zone::ZoneError;

/// The exit codes of the command contract, apart from success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something did not work.
    Failed = 1,
    /// The command line, the configuration, or a plan file is unusable.
    Usage = 2,
    /// A guard refused, or nobody confirmed.
    Refused = 3,
    /// The zone is not as it was.
    Drift = 4,
    /// Applied, found wanting, and taken back.
    Reverted = 5,
    /// An objective was breached, and that was asked about.
    Breached = 6,
}

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What failed: the value, and the cause.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    #[must_use]
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hint: None }
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    fn maybe_hint(mut self, hint: Option<&str>) -> Self {
        self.hint = hint.map(str::to_owned);
        self
    }

    /// As people see it on a terminal: escaped, the hint on a line of its own.
    #[must_use]
    pub fn render(&self) -> String {
        let lines = |text: &str| -> String {
            text.lines().map(probe::once::escape).collect::<Vec<_>>().join("\n")
        };
        match &self.hint {
            Some(hint) => format!("error: {}\nhint: {}\n", lines(&self.message), lines(hint)),
            None => format!("error: {}\n", lines(&self.message)),
        }
    }
}

impl From<ZoneError> for Failure {
    fn from(error: ZoneError) -> Self {
        let exit =
            if matches!(error, ZoneError::Refused { .. }) { Exit::Drift } else { Exit::Failed };
        Self::new(exit, &error).maybe_hint(error.hint())
    }
}

impl From<SurveyError> for Failure {
    fn from(error: SurveyError) -> Self {
        let exit = match &error {
            SurveyError::Settings(_) | SurveyError::Traffic(_) | SurveyError::TrafficFile(..) => {
                Exit::Usage
            }
            SurveyError::Group(_) => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(exit, &error).maybe_hint(error.hint())
    }
}

impl From<DrainError> for Failure {
    fn from(error: DrainError) -> Self {
        let exit = match &error {
            DrainError::NoEndpoint(_) => Exit::Usage,
            DrainError::Last(_) | DrainError::NotDrained(_) => Exit::Refused,
        };
        Self::new(exit, &error).hint(error.hint())
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::new(Exit::Usage, &error).hint(error.hint())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let exit = if refusal.is_drift() { Exit::Drift } else { Exit::Refused };
        Self::new(exit, &refusal).hint(refusal.hint())
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let exit = match &error {
            ApplyError::Drift(_) | ApplyError::Zone(ZoneError::Refused { .. }) => Exit::Drift,
            ApplyError::Unhealthy { .. }
            | ApplyError::Unfinished(..)
            | ApplyError::OtherZone { .. }
            | ApplyError::NotCleared(_) => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(exit, &error).maybe_hint(error.hint())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::new(Exit::Failed, &error).hint(error.hint())
    }
}

impl From<ObserveError> for Failure {
    fn from(error: ObserveError) -> Self {
        Self::new(Exit::Failed, &error).hint("check [dns] servers and probe.ca_file")
    }
}

impl From<PlanFileError> for Failure {
    fn from(error: PlanFileError) -> Self {
        Self::new(Exit::Usage, &error).hint("plan again; a plan is applied as it was written")
    }
}
