//! Real `anchor-sft` processes with their own folders, ports and certificates.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::certificates::Leaf;
use super::metrics::Metrics;
use super::{certificates, http, ports, wait};

/// Until a process says that it is ready.
const READY: Duration = Duration::from_secs(15);

/// One domain's SFT; killed when dropped. Where a test fails, its log goes to the test's output.
pub struct Sft {
    /// Its domain.
    pub domain: String,
    address: IpAddr,
    folder: PathBuf,
    ports: Ports,
    peers: Vec<Peer>,
    // Further lines of [signalling].
    signalling: String,
    child: Option<Child>,
}

struct Ports {
    signalling: u16,
    metrics: u16,
    media: u16,
    federation: u16,
}

struct Peer {
    domain: String,
    trust: PathBuf,
    address: SocketAddr,
}

impl Sft {
    /// Its certificates and ports; nothing runs yet.
    pub fn prepare(domain: &str, address: IpAddr) -> Sft {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("anchor-sft-test-{}-{number}-{domain}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("state")).unwrap();
        certificates::write(&folder, domain);
        Sft {
            domain: domain.to_owned(),
            address,
            folder,
            ports: Ports {
                signalling: ports::free(),
                metrics: ports::free(),
                media: ports::free(),
                federation: ports::free(),
            },
            peers: Vec::new(),
            signalling: String::new(),
            child: None,
        }
    }

    /// Lists `other` as a peer that is reached at `address`.
    pub fn allow(&mut self, other: &Sft, address: SocketAddr) {
        self.peers.push(Peer {
            domain: other.domain.clone(),
            trust: other.folder.join(format!("{}-ca.pem", other.domain)),
            address,
        });
    }

    /// Asks clients for tokens that are made with this secret, and refuses versions before 9.10.14.
    pub fn require_tokens(&mut self, secret: &str) {
        let file = self.secret_file();
        fs::write(&file, secret).unwrap();
        self.signalling = format!(
            "version_blacklist = [\"<9.10.14\"]\nauth = {{ required = true, secret_file = \"{}\" }}\n",
            file.display()
        );
    }

    /// Removes the file with the secret.
    pub fn lose_secret(&self) {
        fs::remove_file(self.secret_file()).unwrap();
    }

    fn secret_file(&self) -> PathBuf {
        self.folder.join("secret")
    }

    /// Starts it and waits until it has ended by itself; gives its exit code and what it complained about.
    pub fn start_in_vain(&self) -> (Option<i32>, String) {
        let output = self.command().output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn command(&self) -> Command {
        let config = self.folder.join("anchor-sft.toml");
        fs::write(&config, self.config()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_anchor-sft"));
        command.args(["run", "--config"]).arg(config);
        command
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let child = self
            .command()
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let what = format!("{} is ready", self.domain);
        let metrics = self.metrics_url();
        wait::until(&what, READY, async || {
            let exited = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(exited.is_none(), "{} ended instead: {exited:?}", self.domain);
            http::get(&metrics, "/readyz")
                .await
                .is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }

    /// SIGKILL, as a crash or a lost machine.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only where it is dead already.
            drop(child.kill());
            child.wait().unwrap();
        }
    }

    /// The base URL of signalling.
    pub fn url(&self) -> String {
        format!("http://{}", self.at(self.ports.signalling))
    }

    /// The base URL of metrics.
    pub fn metrics_url(&self) -> String {
        format!("http://{}", self.at(self.ports.metrics))
    }

    /// Where clients send media.
    pub fn media(&self) -> SocketAddr {
        self.at(self.ports.media)
    }

    /// Where peers connect.
    pub fn federation(&self) -> SocketAddr {
        self.at(self.ports.federation)
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    /// What it measures now.
    pub async fn metrics(&self) -> Metrics {
        let answer = http::get(&self.metrics_url(), "/metrics").await.unwrap();
        Metrics::read(&answer.body)
    }

    /// Gives it another certificate, from its next start on.
    pub fn show(&self, leaf: Leaf<'_>) {
        certificates::issue(&self.folder, &self.domain, leaf);
    }

    /// How many lines it logged so far with this message and these fields.
    pub fn logged(&self, message: &str, fields: &[(&str, &str)]) -> usize {
        let message = format!("msg=\"{message}\"");
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let has = |line: &str, field: &String| line.split(' ').any(|word| word == field);
        let log = self.log();
        let matching = log
            .lines()
            .filter(|line| line.contains(&message) && fields.iter().all(|field| has(line, field)));
        matching.count()
    }

    /// What it logged so far, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn config(&self) -> String {
        let (domain, url) = (&self.domain, self.url());
        let [signalling, metrics, media, federation] = [
            self.ports.signalling,
            self.ports.metrics,
            self.ports.media,
            self.ports.federation,
        ]
        .map(|port| self.at(port));
        let path = |name: &str| self.folder.join(name).display().to_string();
        let (state, certificate, key) = (
            path("state"),
            path(&format!("{domain}.pem")),
            path(&format!("{domain}.key")),
        );
        let signalling_more = &self.signalling;
        let peers: String = self.peers.iter().map(Peer::config).collect();
        format!(
            r#"domain = "{domain}"
state_dir = "{state}"

[signalling]
listen = "{signalling}"
public_url = "{url}"
{signalling_more}
[media]
listen = ["{media}"]

[metrics]
listen = "{metrics}"

[federation]
listen = "{federation}"
certificate = "{certificate}"
private_key = "{key}"
{peers}
[log]
level = "debug"
"#
        )
    }
}

impl Peer {
    fn config(&self) -> String {
        let (domain, trust, address) = (&self.domain, self.trust.display(), self.address);
        format!("\n[[federation.peer]]\ndomain = \"{domain}\"\ntrust = \"{trust}\"\naddress = \"{address}\"\n")
    }
}

impl Drop for Sft {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(60);
            eprintln!("last words of {}:\n{}", self.domain, lines[last..].join("\n"));
        }
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    // What cannot be removed is in the temporary folder anyway.
    drop(fs::remove_dir_all(folder));
}
