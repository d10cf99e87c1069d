//! One of the demo's domains: its ports, its folder, its configuration.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::private_folder;
use crate::cli::cert;
use crate::ids::Domain;

/// How often a starting process is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// What the second domain's ports lie above the first's.
const SECOND: u16 = 100;

/// One of the two domains.
#[derive(Debug)]
pub struct DemoDomain {
    /// Its name, `a.localhost` or `b.localhost`.
    pub name: &'static str,
    /// Its folder.
    pub folder: PathBuf,
    ports: Ports,
    peer: Peer,
}

/// Who the other one is.
#[derive(Debug)]
struct Peer {
    name: &'static str,
    folder: PathBuf,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    signalling: u16,
    metrics: u16,
    media: u16,
    federation: u16,
}

impl Ports {
    const fn above_defaults(offset: u16) -> Ports {
        Ports {
            signalling: 8585 + offset,
            metrics: 49_090 + offset,
            media: 10_000 + offset,
            federation: 9191 + offset,
        }
    }
}

impl DemoDomain {
    /// Two domains below `folder`, each other's only peer. `offset`, at most 9 999, is added to every port.
    pub fn pair(folder: &Path, offset: u16) -> [DemoDomain; 2] {
        let domain = |name, offset| Peer {
            name,
            folder: folder.join(name),
            ports: Ports::above_defaults(offset),
        };
        let a = || domain("a.localhost", offset);
        let b = || domain("b.localhost", offset + SECOND);
        [DemoDomain::between(a(), b()), DemoDomain::between(b(), a())]
    }

    fn between(own: Peer, peer: Peer) -> DemoDomain {
        DemoDomain {
            name: own.name,
            folder: own.folder,
            ports: own.ports,
            peer,
        }
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("anchor-sft.toml")
    }

    /// What clients post to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.signalling)
    }

    /// Makes folder, CA, certificate and configuration; certificates that are there are used again, so that a second start with the
    /// same folder finds the same domains.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        private_folder(&self.folder)?;
        let domain = Domain::parse(self.name)?;
        cert::make_missing(&domain, &self.folder)?;
        fs::write(self.config(), self.text()).context("cannot write the configuration")
    }

    fn text(&self) -> String {
        let DemoDomain { name, ports, peer, .. } = self;
        let Ports {
            signalling,
            metrics,
            media,
            federation,
        } = ports;
        let trust = peer.folder.join(format!("{}-ca.pem", peer.name));
        let listen = |port: &u16| listen(*port, has_ipv6());
        format!(
            r#"# Written by `anchor-sft demo`; config/anchor-sft.toml documents every key.
domain = "{name}"
state_dir = "state"

[signalling]
listen = {signalling}
public_url = "{url}"
# Everything here is on loopback, so pages that a developer serves from another port may call, too.
allow_origins = ["*"]

[media]
listen = {media}

[metrics]
listen = "127.0.0.1:{metrics}"

[demo]
enabled = true

[federation]
listen = "127.0.0.1:{federation}"
certificate = "{name}.pem"
private_key = "{name}.key"

[[federation.peer]]
domain = "{peer_name}"
trust = {trust:?}
address = "127.0.0.1:{peer_port}"
"#,
            signalling = listen(signalling),
            media = listen(media),
            url = self.url(),
            peer_name = peer.name,
            peer_port = peer.ports.federation,
        )
    }

    /// Waits until the process says that it takes calls.
    pub async fn ready(&self) {
        let mut every = tokio::time::interval(ASK_EVERY);
        loop {
            every.tick().await;
            if is_ready(self.ports.metrics).await.unwrap_or(false) {
                return;
            }
        }
    }
}

fn listen(port: u16, ipv6: Ipv6) -> String {
    match ipv6 {
        Ipv6::Yes => format!("[\"127.0.0.1:{port}\", \"[::1]:{port}\"]"),
        Ipv6::No => format!("[\"127.0.0.1:{port}\"]"),
    }
}

/// Whether this machine has an IPv6 loopback; containers often have none.
#[derive(Clone, Copy, Debug)]
enum Ipv6 {
    Yes,
    No,
}

fn has_ipv6() -> Ipv6 {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        Ipv6::Yes
    } else {
        Ipv6::No
    }
}

async fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Ground, Trust, check, file};

    #[test]
    fn both_configurations_are_valid_and_name_each_other() {
        let [a, b] = DemoDomain::pair(Path::new("/demo"), 0);
        for (own, other, dialled) in [(&a, &b, "127.0.0.1:9291"), (&b, &a, "127.0.0.1:9191")] {
            let table = file::parse("demo", &own.text()).unwrap();
            let mut mistakes = Vec::new();
            let written = file::read("demo", &table, &mut mistakes);
            assert_eq!(mistakes, []);
            let ground = Ground {
                file: "demo",
                folder: &own.folder,
                is_local: |_| true,
            };
            let config = check(&written, &ground).unwrap();
            assert!(config.demo);
            assert_eq!(config.state_dir, own.folder.join("state"));
            let [peer] = <[_; 1]>::try_from(config.federation.unwrap().peers).unwrap();
            assert_eq!(peer.domain.as_str(), other.name);
            assert_eq!(peer.address, dialled);
            assert!(matches!(peer.trust, Trust::Ca(path) if path.starts_with(&other.folder)));
        }
    }

    #[test]
    fn no_port_is_used_twice() {
        for offset in [0, 9_999] {
            let [a, b] = DemoDomain::pair(Path::new("/demo"), offset);
            let all = [&a, &b].map(|domain| {
                let Ports {
                    signalling,
                    metrics,
                    media,
                    federation,
                } = domain.ports;
                [signalling, metrics, media, federation]
            });
            let mut ports = all.concat();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), 8);
        }
    }
}
