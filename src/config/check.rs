//! From what was written to what it means. Pure: what the machine knows comes in as [`Ground`].

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::config::file::{self, Advertise, Exchange, FileConfig, OneOrMany};
use crate::config::mistake::Mistake;
use crate::config::peers;
use crate::config::{
    Advertised, Blacklist, Config, FEDERATION_LISTEN, Federation, Limits, Log, MEDIA_LISTEN, METRICS_LISTEN, Media,
    Metrics, NODE, Origins, SIGNALLING_LISTEN, STATE_DIR, Signalling,
};
use crate::ids::{Domain, NodeName};

/// Bytes of a public URL: what the clients keep of it.
const MAX_URL_BYTES: usize = 255;

/// What the file stands on.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The file's name, for mistakes.
    pub file: &'a str,
    /// Where relative paths start.
    pub folder: &'a Path,
    /// Whether this machine has an address.
    pub is_local: fn(IpAddr) -> bool,
}

/// Peers from one file.
#[derive(Clone, Debug)]
pub(super) struct PeerFile {
    pub file: String,
    pub folder: PathBuf,
    pub peers: Vec<file::PeerSection>,
}

/// Tells what a file means.
///
/// # Errors
/// All mistakes, in the order of the sections in `config/anchor-sft.toml`.
pub fn check(written: &FileConfig, ground: &Ground<'_>) -> Result<Config, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let config = check_with(written, &[], ground, &mut mistakes);
    config.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

/// As [`check`], with peers from further files. `None` only where `mistakes` got some.
pub(super) fn check_with(
    written: &FileConfig,
    more_peers: &[PeerFile],
    ground: &Ground<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Config> {
    let mut reader = Reader { ground, mistakes };
    let domain = reader.domain("domain", written.domain.as_deref());
    let node = reader.node(written.node.as_deref());
    let state_dir = reader.path(written.state_dir.as_deref().unwrap_or(STATE_DIR));
    let signalling = reader.signalling(&written.signalling);
    let media = reader.media(&written.media);
    let metrics = Metrics {
        listen: reader.listen("metrics.listen", written.metrics.listen.as_ref(), METRICS_LISTEN),
    };
    reader.admin(&written.admin);
    let federation = match &written.federation {
        Some(section) => reader.federation(section, more_peers, domain.as_ref()).map(Some),
        None => Some(None),
    };
    let limits = reader.limits(&written.limits);
    reader.not_yet("drain.deadline", written.drain.deadline.is_some());
    reader.not_yet("registry.redis_url", written.registry.redis_url.is_some());
    let log = Log {
        format: written.log.format.unwrap_or_default(),
        level: written.log.level.unwrap_or_default(),
    };
    Some(Config {
        domain: domain?,
        node: node?,
        state_dir,
        signalling: signalling?,
        media: media?,
        metrics,
        federation: federation?,
        limits,
        log,
        demo: written.demo.enabled.unwrap_or(false),
    })
}

/// Collects mistakes while reading.
pub(super) struct Reader<'a> {
    pub ground: &'a Ground<'a>,
    pub mistakes: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    pub fn mistake(&mut self, key: &str, problem: impl Into<String>, fix: impl Into<String>) {
        self.mistakes.push(Mistake::new(self.ground.file, key, problem, fix));
    }

    /// Refuses a key whose part of the program does not exist: an operator must not believe that it works.
    pub fn not_yet(&mut self, key: &str, written: bool) {
        if written {
            self.mistake(key, "is not in this version", "remove it");
        }
    }

    pub fn domain(&mut self, key: &str, text: Option<&str>) -> Option<Domain> {
        let fix = "give a DNS name such as \"a.example\"";
        let Some(text) = text else {
            self.mistake(key, "is missing", fix);
            return None;
        };
        let domain = Domain::parse(text);
        domain
            .inspect_err(|error| self.mistake(key, format!("\"{text}\" is no DNS name: {error}"), fix))
            .ok()
    }

    pub fn path(&self, text: &str) -> PathBuf {
        self.ground.folder.join(text)
    }

    fn node(&mut self, text: Option<&str>) -> Option<NodeName> {
        let node = NodeName::parse(text.unwrap_or(NODE));
        node.inspect_err(|error| self.mistake("node", error.to_string(), "give a short name such as \"sft-0\""))
            .ok()
    }

    /// Reads listen addresses; those that are none are mistakes.
    fn listen(&mut self, key: &str, written: Option<&OneOrMany>, default: &[&str]) -> Vec<SocketAddr> {
        let texts: Vec<&str> = match written {
            Some(written) => written.as_slice().iter().map(String::as_str).collect(),
            None => default.to_vec(),
        };
        if texts.is_empty() {
            self.mistake(
                key,
                "is empty",
                "give at least one address, or remove the key for the default",
            );
        }
        let mut seen = HashSet::new();
        let mut addresses = Vec::new();
        for text in texts {
            match socket_address(text) {
                Some(address) if seen.insert(address) => addresses.push(address),
                Some(_) => self.mistake(key, format!("\"{text}\" is there twice"), "remove one"),
                None => self.mistake(
                    key,
                    format!("\"{text}\" is no address with a port"),
                    "write \"127.0.0.1:8585\" or \"[::1]:8585\", with a port from 1 to 65535",
                ),
            }
        }
        addresses
    }

    fn signalling(&mut self, written: &file::SignallingSection) -> Option<Signalling> {
        let listen = self.listen("signalling.listen", written.listen.as_ref(), SIGNALLING_LISTEN);
        let public_url = self.public_url(written.public_url.as_deref());
        let allow_origins = self.origins(written.allow_origins.as_deref().unwrap_or_default());
        let is_written = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        self.not_yet("signalling.trusted_proxies", is_written(&written.trusted_proxies));
        self.not_yet("signalling.tls", written.tls.is_some());
        let version_blacklist = self.blacklist(written.version_blacklist.as_deref().unwrap_or_default());
        let token_secret = self.token_secret(&written.auth);
        Some(Signalling {
            listen,
            public_url: public_url?,
            allow_origins,
            version_blacklist,
            token_secret,
        })
    }

    fn blacklist(&mut self, texts: &[String]) -> Blacklist {
        Blacklist::parse(texts).unwrap_or_else(|error| {
            let fix = "write \"1.2.3\" for one version, \"<1.2.3\" for all before it";
            self.mistake("signalling.version_blacklist", error.to_string(), fix);
            Blacklist::default()
        })
    }

    /// The secret's file, if tokens are required; a file alone does nothing.
    fn token_secret(&mut self, written: &file::AuthSection) -> Option<PathBuf> {
        if written.required != Some(true) {
            return None;
        }
        if written.secret_file.is_none() {
            let fix = "name the file with the secret that the backend makes tokens with";
            self.mistake(
                "signalling.auth.secret_file",
                "is missing, but tokens are required",
                fix,
            );
        }
        written.secret_file.as_deref().map(|file| self.path(file))
    }

    fn public_url(&mut self, text: Option<&str>) -> Option<String> {
        const KEY: &str = "signalling.public_url";
        const FIX: &str = "give what clients can reach, such as \"https://sft.a.example\"";
        let Some(text) = text else {
            self.mistake(KEY, "is missing", FIX);
            return None;
        };
        let url = text.strip_suffix('/').unwrap_or(text);
        if !is_origin(
            url.split_inclusive('/')
                .take(3)
                .collect::<String>()
                .trim_end_matches('/'),
        ) || url.len() > MAX_URL_BYTES
            || url.contains(|c: char| !c.is_ascii_graphic() || "?#\"\\".contains(c))
        {
            self.mistake(
                KEY,
                format!("\"{text}\" is no URL of the form http(s)://host[:port][/path]"),
                FIX,
            );
            return None;
        }
        Some(url.to_owned())
    }

    fn origins(&mut self, texts: &[String]) -> Origins {
        if texts.iter().any(|text| text == "*") {
            return Origins::Any;
        }
        for text in texts.iter().filter(|text| !is_origin(text)) {
            let problem = format!("\"{text}\" is no origin");
            self.mistake(
                "signalling.allow_origins",
                problem,
                "write \"https://host[:port]\" without a path, or \"*\"",
            );
        }
        Origins::Listed(texts.to_vec())
    }

    fn media(&mut self, written: &file::MediaSection) -> Option<Media> {
        let listen = self.listen("media.listen", written.listen.as_ref(), MEDIA_LISTEN);
        if written.workers.unwrap_or(0) > 1 {
            self.mistake(
                "media.workers",
                "more than one worker is not in this version",
                "write 0 or 1",
            );
        }
        let advertise = match written.advertise.as_deref() {
            Some(entries) if !entries.is_empty() => entries
                .iter()
                .filter_map(|entry| self.advertised(entry, &listen))
                .collect(),
            _ => self.own_addresses(&listen)?,
        };
        Some(Media { listen, advertise })
    }

    /// Without `advertise`, clients are told what is listened on, if that says which addresses those are.
    fn own_addresses(&mut self, listen: &[SocketAddr]) -> Option<Vec<Advertised>> {
        if listen.iter().any(|address| address.ip().is_unspecified()) {
            self.mistake(
                "media.advertise",
                "is missing, and media.listen does not say which addresses this machine has",
                "list the addresses that clients can reach, such as [\"203.0.113.20\"]",
            );
            return None;
        }
        Some(
            listen
                .iter()
                .map(|address| Advertised {
                    public: *address,
                    local: address.ip(),
                })
                .collect(),
        )
    }

    fn advertised(&mut self, entry: &Advertise, listen: &[SocketAddr]) -> Option<Advertised> {
        let (public_text, local_text) = match entry {
            Advertise::Own(own) => (own, own),
            Advertise::Translated(translated) => (&translated.public, &translated.local),
        };
        let (public, port) = self.reachable(public_text)?;
        let (local, _) = self.reachable(local_text)?;
        if !(self.ground.is_local)(local) {
            self.mistake(
                "media.advertise",
                format!("\"{local}\" is no address of this machine"),
                format!("behind NAT write {{ public = \"{public}\", local = \"<this machine's address>\" }}"),
            );
            return None;
        }
        let same_family = |address: &&SocketAddr| address.is_ipv4() == local.is_ipv4();
        let covers = |address: &&SocketAddr| address.ip() == local || address.ip().is_unspecified();
        let Some(socket) = listen.iter().filter(same_family).find(covers) else {
            self.mistake(
                "media.advertise",
                format!("nothing listens on \"{local}\""),
                "add it to media.listen",
            );
            return None;
        };
        Some(Advertised {
            public: SocketAddr::new(public, port.unwrap_or(socket.port())),
            local,
        })
    }

    /// An address that a client could send to, with its port if one is written.
    fn reachable(&mut self, text: &str) -> Option<(IpAddr, Option<u16>)> {
        let with_port = || socket_address(text).map(|address| (address.ip(), Some(address.port())));
        let plain = text.parse::<IpAddr>().ok().map(|ip| (ip.to_canonical(), None));
        let address = plain
            .or_else(with_port)
            .filter(|(ip, _)| !ip.is_unspecified() && !ip.is_multicast());
        if address.is_none() {
            let problem = format!("\"{text}\" is no address that a client could send to");
            self.mistake(
                "media.advertise",
                problem,
                "write an IPv4 or IPv6 address, with or without a port",
            );
        }
        address
    }

    fn admin(&mut self, written: &file::AdminSection) {
        self.not_yet("admin.socket", written.socket.is_some());
        self.not_yet("admin.listen", written.listen.is_some());
        self.not_yet("admin.token_file", written.token_file.is_some());
    }

    fn federation(
        &mut self,
        written: &file::FederationSection,
        more_peers: &[PeerFile],
        own: Option<&Domain>,
    ) -> Option<Federation> {
        let listen = self.listen("federation.listen", written.listen.as_ref(), FEDERATION_LISTEN);
        let certificate = self.required_path("federation.certificate", written.certificate.as_deref());
        let private_key = self.required_path("federation.private_key", written.private_key.as_deref());
        self.not_yet("federation.exchange", written.exchange == Some(Exchange::Demand));
        self.not_yet("federation.max_link_age", written.max_link_age.is_some());
        self.not_yet("federation.audit_log", written.audit_log.is_some());
        self.not_yet("federation.audit_on_full", written.audit_on_full.is_some());
        let peers = peers::check(self, &written.peer, more_peers, own);
        Some(Federation {
            listen,
            certificate: certificate?,
            private_key: private_key?,
            peers,
        })
    }

    fn required_path(&mut self, key: &str, text: Option<&str>) -> Option<PathBuf> {
        if text.is_none() {
            self.mistake(
                key,
                "is missing",
                "give a PEM file; `anchor-sft cert init` and `cert issue` make one",
            );
        }
        text.map(|text| self.path(text))
    }

    fn limits(&mut self, written: &file::LimitsSection) -> Limits {
        let most = Limits::default();
        let half_open = self.limit("limits.half_open", written.half_open, most.half_open);
        Limits {
            half_open,
            half_open_per_source: self.limit(
                "limits.half_open_per_source",
                written.half_open_per_source,
                most.half_open_per_source.min(half_open),
            ),
            half_open_per_conference: self.limit(
                "limits.half_open_per_conference",
                written.half_open_per_conference,
                most.half_open_per_conference.min(half_open),
            ),
        }
    }

    /// The defaults are what the memory was counted for, so a file may only lower them.
    fn limit(&mut self, key: &str, written: Option<usize>, most: usize) -> usize {
        let value = written.unwrap_or(most);
        if !(1..=most).contains(&value) {
            self.mistake(key, format!("{value} is out of range"), format!("write 1 to {most}"));
        }
        value
    }
}

/// An address with a port other than 0; IPv4 in IPv6's clothes becomes IPv4.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let address: SocketAddr = text.parse().ok()?;
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    (address.port() != 0).then_some(address)
}

/// `http(s)://host[:port]` and nothing more (RFC 6454 §6.2).
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(':') && host.chars().all(plain))
}
