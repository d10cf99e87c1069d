//! What the configuration means: typed, checked, with every default filled in.
//!
//! [`mod@file`] holds what was written, [`check`] turns it into a [`Config`] and tells *all* mistakes at once, [`load`] adds what only the
//! machine knows: the file's text, the environment, which addresses are ours, whether the files that it names can be read.
//! `config/anchor-sft.toml` documents every key. A key whose part of the program does not exist yet is a mistake, never ignored.

mod blacklist;
mod check;
pub mod environment;
pub mod file;
mod load;
mod mistake;
mod peers;
pub mod quantity;
mod warning;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::ids::{Domain, NodeName};
use crate::limits::{MAX_HALF_OPEN, MAX_HALF_OPEN_PER_CONFERENCE, MAX_HALF_OPEN_PER_SOURCE};

pub use crate::config::blacklist::{BadBlacklist, Blacklist};
pub use crate::config::check::{Ground, check};
pub use crate::config::file::{LogFormat, LogLevel};
pub use crate::config::load::{load, load_table};
pub use crate::config::mistake::Mistake;
pub use crate::config::warning::Warning;

/// Where clients' signalling is listened for unless the file says otherwise (the incumbent's port).
pub const SIGNALLING_LISTEN: &[&str] = &["127.0.0.1:8585"];
/// Where clients' media is listened for unless the file says otherwise.
pub const MEDIA_LISTEN: &[&str] = &["[::]:10000", "0.0.0.0:10000"];
/// Where metrics are served unless the file says otherwise (the incumbent's port).
pub const METRICS_LISTEN: &[&str] = &["127.0.0.1:49090"];
/// Where peers are listened for unless the file says otherwise: the port that is open for the incumbent's federation.
pub const FEDERATION_LISTEN: &[&str] = &["[::]:9191", "0.0.0.0:9191"];
/// The name of the only node of a domain.
pub const NODE: &str = "sft-0";
/// Where keys and runtime state live unless the file says otherwise.
pub const STATE_DIR: &str = "/var/lib/anchor-sft";

/// The whole configuration of a process. Immutable once it runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// This SFT's federation domain.
    pub domain: Domain,
    /// This process among the domain's.
    pub node: NodeName,
    /// Folder of the capability key and of runtime state; made at start where it is missing.
    pub state_dir: PathBuf,
    /// What clients post to.
    pub signalling: Signalling,
    /// What clients send media to.
    pub media: Media,
    /// What the monitoring asks.
    pub metrics: Metrics,
    /// Links to other domains; `None`: every peer is refused and nothing listens.
    pub federation: Option<Federation>,
    /// How much is taken at once.
    pub limits: Limits,
    /// What is told about it all.
    pub log: Log,
    /// Serve the demo page on the signalling listener.
    pub demo: bool,
}

/// `[signalling]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signalling {
    /// TCP addresses; never empty.
    pub listen: Vec<SocketAddr>,
    /// How clients reach this process, `http(s)://…` without a slash at its end: SETUP.url and the rosters' `sfts`.
    pub public_url: String,
    /// Which web pages may post here.
    pub allow_origins: Origins,
    /// Which clients have to update.
    pub version_blacklist: Blacklist,
    /// File with the secret that tokens are checked with; `None`: nobody needs a token.
    pub token_secret: Option<PathBuf>,
}

/// Web pages (by their `Origin`) that may use an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origins {
    /// Every page.
    Any,
    /// Only these, `https://host[:port]` each; none where the list is empty.
    Listed(Vec<String>),
}

/// `[media]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Media {
    /// UDP addresses; never empty.
    pub listen: Vec<SocketAddr>,
    /// What the offers' candidates say, in order of preference; never empty.
    pub advertise: Vec<Advertised>,
}

/// An address that clients are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advertised {
    /// What clients send to.
    pub public: SocketAddr,
    /// Which address of this machine that arrives at; equals `public`'s unless a NAT stands between.
    pub local: IpAddr,
}

/// `[metrics]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Metrics {
    /// TCP addresses; never empty.
    pub listen: Vec<SocketAddr>,
}

/// `[federation]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Federation {
    /// UDP addresses; never empty.
    pub listen: Vec<SocketAddr>,
    /// PEM file with our leaf first, then what is between it and the CA.
    pub certificate: PathBuf,
    /// PEM file with the leaf's private key.
    pub private_key: PathBuf,
    /// In the order of the file, then of the files in `peers_dir`. No domain twice.
    pub peers: Vec<Peer>,
}

/// `[[federation.peer]]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Whose SFT it is.
    pub domain: Domain,
    /// The name its certificate has; `domain` unless the administrator says otherwise.
    pub certificate_name: Domain,
    /// What its certificate must chain to.
    pub trust: Trust,
    /// `host:port` to dial. Never from a client or a peer.
    pub address: String,
    /// Refused for now.
    pub suspended: bool,
}

/// What proves a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trust {
    /// A CA in this PEM file, for this peer alone.
    Ca(PathBuf),
    /// SHA-256 of the subject public key info of its leaf; never empty.
    Pins(Vec<[u8; 32]>),
}

/// `[limits]`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Sessions that have not opened their data channel, 1 to [`MAX_HALF_OPEN`].
    pub half_open: usize,
    /// Of those, per client address (/24, /56).
    pub half_open_per_source: usize,
    /// Of those, per conference.
    pub half_open_per_conference: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            half_open: MAX_HALF_OPEN,
            half_open_per_source: MAX_HALF_OPEN_PER_SOURCE,
            half_open_per_conference: MAX_HALF_OPEN_PER_CONFERENCE,
        }
    }
}

/// `[log]`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// What is worth a line.
    pub level: LogLevel,
}
