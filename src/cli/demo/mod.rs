//! `demo`: two domains on one machine, each with its own CA, certificate, configuration and process, and a call between them.
//!
//! [`domain`] is what a domain needs on disk, [`child`] runs its process, [`invitation`] makes the addresses of the two pages.

/// Prints a line. Whoever reads them may be gone, which must not end a call.
macro_rules! say {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let _gone = writeln!(std::io::stdout(), $($what)*);
    }};
}

mod child;
mod domain;
mod invitation;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use self::child::Child;
use self::domain::DemoDomain;
use self::invitation::Invitation;
use super::Ending;

/// How long a process may take to be ready: ten times what a slow machine needs.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What `demo` can be told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Folder for keys, configuration and state; what is there already is used again [default: a new temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the temporary folder afterwards
    #[arg(long)]
    keep: bool,
    /// End with 1 when an SFT ends unexpectedly, instead of starting it again
    #[arg(long)]
    no_restart: bool,
    /// Add this to every port, so that several demos fit on one machine
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..10_000))]
    port_offset: u16,
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(options: &Options) -> anyhow::Result<Ending> {
    let folder = Folder::make(options)?;
    say!("folder: {}", folder.path.display());
    let domains = DemoDomain::pair(&folder.path, options.port_offset);
    for domain in &domains {
        domain
            .write()
            .with_context(|| format!("cannot prepare {}", domain.name))?;
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(until_told(&domains, options.no_restart));
    runtime.shutdown_background();
    ended.map(|()| Ending::Ok)
}

async fn until_told([a, b]: &[DemoDomain; 2], no_restart: bool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut children = [Child::start(a)?, Child::start(b)?];
    let [child_a, child_b] = &mut children;
    let ended = tokio::select! {
        () = told => Ok(()),
        result = child_a.keep_alive(no_restart) => result,
        result = child_b.keep_alive(no_restart) => result,
        result = invite(a, b) => result,
    };
    let [child_a, child_b] = children;
    tokio::join!(child_a.end(), child_b.end());
    ended
}

/// Prints the two pages' addresses as soon as both answer; then waits for ever.
async fn invite(a: &DemoDomain, b: &DemoDomain) -> anyhow::Result<()> {
    tokio::time::timeout(START_TIMEOUT, async { tokio::join!(a.ready(), b.ready()) })
        .await
        .context("the two SFTs are not ready; their lines above say why")?;
    let invitation = Invitation::make(a)?;
    say!("\nOpen both pages, in two windows, and join:\n");
    say!("  {}\n  {}\n", invitation.anchor_page(), invitation.member_page(b));
    say!("Ctrl-C ends both SFTs.");
    std::future::pending().await
}

/// The folder of everything; a temporary one goes when the demo ends.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn make(options: &Options) -> anyhow::Result<Folder> {
        let temporary = || std::env::temp_dir().join(format!("anchor-sft-demo-{}", std::process::id()));
        let path = options.dir.clone().unwrap_or_else(temporary);
        private_folder(&path)?;
        let path = fs::canonicalize(&path)?;
        Ok(Folder {
            path,
            temporary: options.dir.is_none() && !options.keep,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // Nothing depends on it; what is left goes with the next start of the machine.
            let _left = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes a folder that others may not enter: it holds keys.
fn private_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}
