//! What the TOML says, before anyone asks what it means.
//!
//! Every key is optional here and an unknown one is a mistake. Keys are tried one by one, so that a file with three mistakes gives
//! three reports and not the first.

use serde::Deserialize;
use toml::{Table, Value};

use crate::config::mistake::Mistake;
use crate::config::quantity::{PerSecond, Rate, Span};

/// A configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct FileConfig {
    pub domain: Option<String>,
    pub node: Option<String>,
    pub state_dir: Option<String>,
    pub signalling: SignallingSection,
    pub media: MediaSection,
    pub metrics: MetricsSection,
    pub admin: AdminSection,
    pub federation: Option<FederationSection>,
    pub limits: LimitsSection,
    pub drain: DrainSection,
    pub log: LogSection,
    pub registry: RegistrySection,
    pub demo: DemoSection,
}

/// `[signalling]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct SignallingSection {
    pub listen: Option<OneOrMany>,
    pub public_url: Option<String>,
    pub allow_origins: Option<Vec<String>>,
    pub trusted_proxies: Option<Vec<String>>,
    pub version_blacklist: Option<Vec<String>>,
    pub tls: Option<TlsSection>,
    pub auth: AuthSection,
}

/// `signalling.tls`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct TlsSection {
    pub certificate: Option<String>,
    pub private_key: Option<String>,
}

/// `[signalling.auth]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct AuthSection {
    pub required: Option<bool>,
    pub secret_file: Option<String>,
}

/// `[media]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct MediaSection {
    pub listen: Option<OneOrMany>,
    pub advertise: Option<Vec<Advertise>>,
    pub workers: Option<u16>,
}

/// `[metrics]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct MetricsSection {
    pub listen: Option<OneOrMany>,
}

/// `[admin]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct AdminSection {
    pub socket: Option<String>,
    pub listen: Option<String>,
    pub token_file: Option<String>,
}

/// `[federation]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct FederationSection {
    pub listen: Option<OneOrMany>,
    pub certificate: Option<String>,
    pub private_key: Option<String>,
    pub peers_dir: Option<String>,
    pub exchange: Option<Exchange>,
    pub max_link_age: Option<Span>,
    pub audit_log: Option<String>,
    pub audit_on_full: Option<AuditOnFull>,
    pub peer: Vec<PeerSection>,
}

/// `[[federation.peer]]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct PeerSection {
    pub domain: Option<String>,
    pub trust: Option<String>,
    pub pins: Option<Vec<String>>,
    pub address: Option<String>,
    pub certificate_name: Option<String>,
    pub suspended: Option<bool>,
    pub audio_only: Option<bool>,
    pub expires: Option<Value>,
    pub require_post_quantum: Option<bool>,
    pub require_authenticated: Option<bool>,
    pub allow_private: Option<bool>,
    pub limits: Option<PeerLimitsSection>,
}

/// `federation.peer.limits`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct PeerLimitsSection {
    pub conferences: Option<u32>,
    pub participants: Option<u32>,
    pub streams: Option<u32>,
    pub bandwidth: Option<Rate>,
    pub joins: Option<PerSecond>,
}

/// `[limits]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct LimitsSection {
    pub half_open: Option<usize>,
    pub half_open_per_source: Option<usize>,
    pub half_open_per_conference: Option<usize>,
}

/// `[drain]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct DrainSection {
    pub deadline: Option<Span>,
}

/// `[log]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct LogSection {
    pub format: Option<LogFormat>,
    pub level: Option<LogLevel>,
}

/// `[registry]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct RegistrySection {
    pub redis_url: Option<String>,
}

/// `[demo]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/anchor-sft.toml documents every key")]
pub struct DemoSection {
    pub enabled: Option<bool>,
}

/// One address, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "an address such as \"127.0.0.1:8585\", or a list of them")]
pub enum OneOrMany {
    /// `listen = "…"`
    One(String),
    /// `listen = ["…", "…"]`
    Many(Vec<String>),
}

impl OneOrMany {
    /// The addresses in the order they were written.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

/// An entry of `media.advertise`.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an address such as \"203.0.113.20\", or { public = \"…\", local = \"…\" }"
)]
pub enum Advertise {
    /// An address of this machine.
    Own(String),
    /// An address that a NAT translates.
    Translated(Translated),
}

/// What a NAT does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Translated {
    /// What clients see.
    pub public: String,
    /// What this machine has.
    pub local: String,
}

/// `federation.exchange`
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Every stream crosses the link.
    All,
    /// Only what someone there selected.
    Demand,
}

/// `federation.audit_on_full`
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum AuditOnFull {
    /// No new federated conferences.
    RefuseNew,
    /// Go on without audit.
    Continue,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// `key=value`, for people and grep.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// What is worth a line.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// A person must act.
    Error,
    /// Something works less well than it should.
    Warn,
    /// The life of conferences, links and the process.
    #[default]
    Info,
    /// Negotiation.
    Debug,
    /// Packets.
    Trace,
}

/// Tables that are read key by key; whatever else is a table is one value.
const SECTIONS: &[&str] = &[
    "signalling",
    "signalling.tls",
    "signalling.auth",
    "media",
    "metrics",
    "admin",
    "federation",
    "federation.peer",
    "federation.peer.limits",
    "limits",
    "drain",
    "log",
    "registry",
    "demo",
];

/// The section that is a list of tables.
const LIST: &str = "federation.peer";

/// Parses a file's text.
///
/// # Errors
/// One mistake, where it is no TOML at all.
pub fn parse(file: &str, text: &str) -> Result<Table, Mistake> {
    text.parse::<Table>().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        Mistake::new(
            file,
            format!("line {line}"),
            error.message(),
            "write it as TOML 1.0 (https://toml.io)",
        )
    })
}

/// Reads a table key by key; every key that cannot be read is one mistake and counts as not written.
pub fn read(file: &str, table: &Table, mistakes: &mut Vec<Mistake>) -> FileConfig {
    let good = readable(file, &[], table, mistakes);
    good.try_into().unwrap_or_else(|error: toml::de::Error| {
        mistakes.push(Mistake::new(file, "", error.message(), "correct it"));
        FileConfig::default()
    })
}

/// The part of `table`, found under `path`, that can be read.
fn readable(file: &str, path: &[&str], table: &Table, mistakes: &mut Vec<Mistake>) -> Table {
    let mut good = Table::new();
    for (key, value) in table {
        let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
        if let Some(value) = readable_value(file, &path, value, mistakes) {
            good.insert(key.clone(), value);
        }
    }
    good
}

fn readable_value(file: &str, path: &[&str], value: &Value, mistakes: &mut Vec<Mistake>) -> Option<Value> {
    let name = path.join(".");
    if SECTIONS.contains(&name.as_str()) {
        match value {
            Value::Table(table) if name != LIST => return Some(readable(file, path, table, mistakes).into()),
            Value::Array(entries) if name == LIST && entries.iter().all(Value::is_table) => {
                let tables = entries.iter().filter_map(Value::as_table);
                return Some(Value::Array(
                    tables
                        .map(|table| readable(file, path, table, mistakes).into())
                        .collect(),
                ));
            }
            _ => {}
        }
    }
    match alone(path, value.clone()).try_into::<FileConfig>() {
        Ok(_) => Some(value.clone()),
        Err(error) => {
            mistakes.push(Mistake::new(
                file,
                name,
                error.message().trim(),
                "config/anchor-sft.toml shows every key",
            ));
            None
        }
    }
}

/// A file with this one key.
fn alone(path: &[&str], value: Value) -> Table {
    let nested = path.iter().enumerate().rev().fold(value, |inner, (depth, key)| {
        let entry = depth + 1 < path.len() && path.get(..=depth).is_some_and(|section| section.join(".") == LIST);
        let inner = if entry { Value::Array(vec![inner]) } else { inner };
        Value::Table(Table::from_iter([((*key).to_owned(), inner)]))
    });
    match nested {
        Value::Table(table) => table,
        _ => Table::new(),
    }
}
