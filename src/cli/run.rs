//! `run` and `check-config`.

use std::io;
use std::path::Path;

use tokio::sync::oneshot;

use super::Ending;
use crate::config::{self, Config, Mistake};
use crate::log;
use crate::server;

/// Runs until the process is told to end.
pub fn run(file: &Path, end_with_stdin: bool) -> anyhow::Result<Ending> {
    match config::load(file) {
        Ok(config) => start(config, end_with_stdin),
        Err(mistakes) => {
            tell(&mistakes);
            Ok(Ending::Mistaken)
        }
    }
}

/// As [`run`], with a configuration that was read.
pub fn start(config: Config, end_with_stdin: bool) -> anyhow::Result<Ending> {
    log::start(config.log);
    let runtime = tokio::runtime::Runtime::new()?;
    let told_to_end = async {
        if end_with_stdin {
            stdin_ended().await;
        } else {
            std::future::pending().await
        }
    };
    runtime.block_on(server::run(config, told_to_end))?;
    runtime.shutdown_background();
    Ok(Ending::Ok)
}

/// Waits until the other end of standard input is closed. A parent that is killed cannot say goodbye, but its pipes close.
async fn stdin_ended() {
    let (ended, wait) = oneshot::channel();
    std::thread::spawn(move || {
        // An input that cannot be read has ended too.
        let _end = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _told = ended.send(());
    });
    let _ended = wait.await;
}

/// Tells all mistakes, or that there are none.
pub fn check(file: &Path, json: bool) -> Ending {
    let (warnings, mistakes) = match config::load(file) {
        Ok(config) => (config.warnings(), Vec::new()),
        Err(mistakes) => (Vec::new(), mistakes),
    };
    for warning in warnings.iter().filter(|_| !json) {
        eprintln!("{}: {warning}", file.display());
    }
    if json {
        println!(
            "{}",
            serde_json::json!({ "ok": mistakes.is_empty(), "mistakes": mistakes, "warnings": warnings })
        );
    } else if mistakes.is_empty() {
        println!("{}: no mistakes", file.display());
    } else {
        tell(&mistakes);
    }
    if mistakes.is_empty() {
        Ending::Ok
    } else {
        Ending::Mistaken
    }
}

/// Tells mistakes, a line each.
pub fn tell(mistakes: &[Mistake]) {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
}
