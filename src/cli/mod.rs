//! The command line: `run`, `check-config`, `demo`, `cert`, `sftd`, `version`.
//!
//! Exit codes: 0 it worked, 1 it failed while doing it, 2 it was asked wrongly (arguments or configuration).

mod cert;
mod demo;
mod run;
mod sftd;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// It worked.
    Ok,
    /// The arguments or the configuration are wrong, which was told.
    Mistaken,
}

/// The conferencing media relay (SFT) that each domain of a moderated federation runs.
#[derive(Debug, Parser)]
#[command(name = "anchor-sft", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 it worked, 1 it failed, 2 wrong arguments or configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an SFT in the foreground until SIGTERM or SIGINT
    Run {
        /// The configuration file; config/anchor-sft.toml documents every key
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// End when standard input does, as when the parent process is gone
        #[arg(long, hide = true)]
        end_with_stdin: bool,
    },
    /// Tell all mistakes in a configuration file, without starting
    CheckConfig {
        /// The configuration file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Run two domains on this machine and print a page address for each
    Demo(demo::Options),
    /// Make and show certificates for links between domains
    #[command(subcommand)]
    Cert(cert::Command),
    /// Run with the incumbent's flags instead of a configuration file
    #[command(args_override_self = true)]
    Sftd(Box<sftd::Flags>),
    /// Print the version
    Version {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Does what the arguments ask for. Results go to standard output, complaints to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(as_named(arguments)) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Asking for help is no error; clap knows the difference. A closed output leaves nothing to tell.
            let _closed = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match obey(arguments.command) {
        Ok(Ending::Ok) => ExitCode::SUCCESS,
        Ok(Ending::Mistaken) => ExitCode::from(2),
        Err(error) => {
            eprintln!("anchor-sft: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A program that is called `sftd`, as by a link in its image, is told nothing but the incumbent's flags.
fn as_named(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = arguments.first().map(Path::new).and_then(Path::file_name);
    if program.is_some_and(|name| name == "sftd") {
        arguments.insert(1, "sftd".into());
    }
    arguments
}

fn obey(command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::Run { config, end_with_stdin } => run::run(&config, end_with_stdin),
        Command::CheckConfig { file, json } => Ok(run::check(&file, json)),
        Command::Demo(options) => demo::run(&options),
        Command::Cert(command) => cert::run(command),
        Command::Sftd(flags) => sftd::run(&flags),
        Command::Version { json } => {
            println!("{}", version(json));
            Ok(Ending::Ok)
        }
    }
}

fn version(json: bool) -> String {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if json {
        serde_json::json!({ "name": name, "version": version }).to_string()
    } else {
        format!("{name} {version}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn wrong_arguments_are_told_apart_from_a_wish_for_help() {
        let code = |arguments: &[&str]| {
            let arguments = ["anchor-sft"].iter().chain(arguments);
            Arguments::try_parse_from(arguments)
                .map_err(|error| error.exit_code())
                .map(|_| ())
        };
        assert_eq!(code(&["run"]), Err(2));
        assert_eq!(code(&["fly"]), Err(2));
        assert_eq!(code(&["--help"]), Err(0));
        assert_eq!(code(&["run", "--config", "x.toml"]), Ok(()));
        assert_eq!(code(&["check-config", "x.toml", "--json"]), Ok(()));
        assert_eq!(code(&["demo", "--dir", "x", "--keep"]), Ok(()));
    }

    #[test]
    fn a_program_called_sftd_takes_the_incumbents_flags() {
        let named = |arguments: &[&str]| as_named(arguments.iter().map(OsString::from)).len();
        for (arguments, length) in [
            (&["sftd", "-a"][..], 3),
            (&["/usr/bin/sftd"], 2),
            (&["/usr/bin/anchor-sft", "sftd"], 2),
            (&["anchor-sft"], 1),
            (&[], 0),
        ] {
            assert_eq!(named(arguments), length, "{arguments:?}");
        }
        let parsed = Arguments::try_parse_from(as_named(
            ["/usr/bin/sftd", "-I", "127.0.0.1", "-aq"].map(OsString::from),
        ));
        assert!(matches!(
            parsed.map(|arguments| arguments.command),
            Ok(Command::Sftd(_))
        ));
    }

    #[test]
    fn the_version_is_json_where_that_is_asked_for() {
        let parsed: serde_json::Value = serde_json::from_str(&version(true)).unwrap();
        assert_eq!(parsed["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(version(false), concat!("anchor-sft ", env!("CARGO_PKG_VERSION")));
    }
}
