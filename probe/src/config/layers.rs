//! Lays defaults, file, environment and flags over each other. Pure: all layers are arguments.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::raw::RawConfig;
use super::validate::validate;
use super::{Config, ConfigError};

/// The built-in defaults, with their meaning beside each.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// The environment variables that are a layer, each with its section and key.
pub const ENVIRONMENT: [(&str, &str, &str); 4] = [
    ("NEARSIDE_PROBE_INTERVAL", "probe", "interval"),
    ("NEARSIDE_PROBE_INTERVAL_WARM", "probe", "interval_warm"),
    ("NEARSIDE_PROBE_TIMEOUT", "probe", "timeout"),
    ("NEARSIDE_CA_FILE", "probe", "ca_file"),
];

/// What flags may say: the strongest layer. Values are written as in the file.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `probe.interval`
    pub interval: Option<String>,
    /// `probe.interval_warm`
    pub interval_warm: Option<String>,
    /// `probe.timeout`
    pub timeout: Option<String>,
    /// `probe.ca_file`
    pub ca_file: Option<String>,
}

/// Builds the configuration from its layers, weakest first: `defaults` (see [`DEFAULTS`]), the
/// text of the file, the environment as a map, flags.
pub fn build(
    defaults: &str,
    text: &str,
    environment: &BTreeMap<String, String>,
    flags: &Flags,
) -> Result<Config, ConfigError> {
    // The file is read by itself first, so that a complaint names the place in it.
    let _: RawConfig = toml::from_str(text).map_err(|cause| syntax("the file", &cause))?;
    let mut table = parse_table("the defaults", defaults)?;
    merge(&mut table, parse_table("the file", text)?);
    for (variable, section, key) in ENVIRONMENT {
        if let Some(value) = environment.get(variable) {
            set(&mut table, section, key, value);
        }
    }
    let over = [
        ("interval", &flags.interval),
        ("interval_warm", &flags.interval_warm),
        ("timeout", &flags.timeout),
        ("ca_file", &flags.ca_file),
    ];
    for (key, value) in over {
        if let Some(value) = value {
            set(&mut table, "probe", key, value);
        }
    }
    let raw = table.try_into().map_err(|cause| syntax("the configuration", &cause))?;
    validate(raw)
}

fn syntax(layer: &str, cause: &toml::de::Error) -> ConfigError {
    ConfigError::Syntax { layer: layer.to_owned(), cause: cause.to_string().trim_end().to_owned() }
}

fn parse_table(layer: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|cause| syntax(layer, &cause))
}

fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => merge(inner, table),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn set(table: &mut Table, section: &str, key: &str, value: &str) {
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert(key.to_owned(), Value::String(value.to_owned()));
    }
}
