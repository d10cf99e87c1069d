//! One SFT of the demo: a process of this very program, whose lines are passed on under its domain's name.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{self, ChildStdin, Command};

use super::domain::DemoDomain;

/// From an unexpected end to the next start.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// How long a process may take to end before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A running SFT. Dropped, it is killed.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    config: PathBuf,
    process: process::Child,
    /// Open as long as the SFT shall run. Kept apart from `process`, whose `wait` would close it.
    lifeline: Option<ChildStdin>,
}

impl Child {
    /// Starts a domain's SFT.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(domain: &DemoDomain) -> anyhow::Result<Child> {
        let config = domain.config();
        let mut process = spawn(domain.name, &config).context("cannot start an SFT")?;
        let lifeline = process.stdin.take();
        Ok(Child {
            name: domain.name,
            config,
            process,
            lifeline,
        })
    }

    /// Starts the SFT again whenever it ends.
    ///
    /// # Errors
    /// Its end, where `no_restart` says so; or that it cannot be started.
    pub async fn keep_alive(&mut self, no_restart: bool) -> anyhow::Result<()> {
        loop {
            let status = self.process.wait().await?;
            if no_restart || is_mistaken(status) {
                bail!("{} ended unexpectedly ({status})", self.name);
            }
            say!(
                "{} | ended ({status}), starting again in {} s",
                self.name,
                RESTART_AFTER.as_secs()
            );
            tokio::time::sleep(RESTART_AFTER).await;
            self.process = spawn(self.name, &self.config).context("cannot start an SFT again")?;
            self.lifeline = self.process.stdin.take();
        }
    }

    /// Ends the SFT by closing its standard input; kills it where that is not enough.
    pub async fn end(mut self) {
        drop(self.lifeline.take());
        if tokio::time::timeout(END_TIMEOUT, self.process.wait()).await.is_err() {
            say!("{} | does not end, so it is killed", self.name);
            // Already gone is fine too.
            let _gone = self.process.kill().await;
        }
    }
}

/// Exit code 2: arguments or configuration are wrong, and will be so the next time.
fn is_mistaken(status: ExitStatus) -> bool {
    status.code() == Some(2)
}

fn spawn(name: &'static str, config: &PathBuf) -> io::Result<process::Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["run", "--end-with-stdin", "--config"])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(pid) = child.id() {
        say!("{name}: pid {pid}");
    }
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(pass_on(name, stdout));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(pass_on(name, stderr));
    }
    Ok(child)
}

async fn pass_on(name: &'static str, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        say!("{name} | {line}");
    }
}
