//! `sftd`: takes the incumbent's flags, so that a deployment swaps the image and runs.
//!
//! [`mod@translate`] turns flags into our configuration, which is then read and checked like a file, environment included. What makes
//! no sense any more is told on standard error. Translating is pure; `interfaces` and `state` ask the machine.

mod interfaces;
mod state;
mod translate;

use std::net::IpAddr;
use std::path::Path;

use super::{Ending, run};
use crate::config;
use crate::private::Private;

/// The incumbent's flags.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "so many switches does the incumbent have")]
pub struct Flags {
    /// Where clients' signalling is listened for
    #[arg(short = 'I', value_name = "ADDRESS", default_value = "127.0.0.1")]
    signalling: IpAddr,
    /// Its port
    #[arg(short = 'p', value_name = "PORT", default_value_t = 8585)]
    signalling_port: u16,
    /// The address that clients send media to, where a NAT translates it
    #[arg(short = 'A', value_name = "ADDRESS")]
    advertise: Option<IpAddr>,
    /// Where metrics are served
    #[arg(short = 'M', value_name = "ADDRESS", default_value = "127.0.0.1")]
    metrics: IpAddr,
    /// Their port
    #[arg(short = 'r', value_name = "PORT", default_value_t = 49090)]
    metrics_port: u16,
    /// How clients reach this process [default: http://ADDRESS:PORT of signalling]
    #[arg(short = 'u', value_name = "URL")]
    url: Option<String>,
    /// Client versions that must update: 1.2.3 or <1.2.3, with commas between them
    #[arg(short = 'b', value_name = "LIST")]
    blacklist: Option<String>,
    /// Only clients with a token may call
    #[arg(short = 'a')]
    authorize: bool,
    /// The file with the secret that tokens are checked with
    #[arg(short = 's', value_name = "FILE")]
    secret: Option<String>,
    /// Less in the log
    #[arg(short = 'q')]
    quiet: bool,
    /// Names of the interfaces that clients send media to, with commas between them [default: all]
    #[arg(short = 'O', value_name = "NAMES")]
    interfaces: Option<String>,
    /// Print the version
    #[arg(short = 'v')]
    version: bool,
    /// Not used any more
    #[arg(short = 'w', value_name = "THREADS")]
    workers: Option<Private<String>>,
    /// Not used any more
    #[arg(short = 'l', value_name = "PREFIX")]
    log_prefix: Option<Private<String>>,
    /// Not used any more
    #[arg(short = 'T')]
    turn_of_clients: bool,
    /// Not used any more
    #[arg(short = 't', value_name = "URI")]
    turn: Option<Private<String>>,
    /// Not used any more
    #[arg(short = 'k', value_name = "MS")]
    key_frames: Option<Private<String>>,
    /// Not used any more
    #[arg(short = 'f', value_name = "URL")]
    federation: Option<Private<String>>,
    /// Not used any more
    #[arg(short = 'x', value_name = "NAME", allow_hyphen_values = true)]
    turn_user: Option<Private<String>>,
    /// Not used any more
    #[arg(short = 'c', value_name = "PASSWORD", allow_hyphen_values = true)]
    turn_password: Option<Private<String>>,
    /// Print what the flags mean as a configuration file for `run`, without starting
    #[arg(long)]
    print_config: bool,
}

/// Runs until the process is told to end, or prints what would run.
pub fn run(flags: &Flags) -> anyhow::Result<Ending> {
    if flags.version {
        println!("{}", super::version(false));
        return Ok(Ending::Ok);
    }
    let state = state::choose();
    let translation = translate::translate(flags, &interfaces::read(), &state.dir);
    for note in translation.notes.iter().chain(&state.note) {
        eprintln!("sftd: {note}");
    }
    if flags.print_config {
        print!("{}", toml::to_string(&translation.table)?);
        return Ok(Ending::Ok);
    }
    state.prepare()?;
    match config::load_table("sftd", translation.table, Path::new("")) {
        Ok(config) => run::start(config, false),
        Err(mistakes) => {
            run::tell(&mistakes);
            Ok(Ending::Mistaken)
        }
    }
}
