//! `cert init`, `cert issue`, `cert show`.

use std::path::{Path, PathBuf};

use super::Ending;
use crate::ids::Domain;

/// What can be done with certificates.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a domain's own CA: ten years, for this domain's names only
    Init {
        /// The federation domain
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Where the files go
        #[arg(long, value_name = "DIR", default_value = "certs")]
        dir: PathBuf,
        /// Write over files that are there
        #[arg(long)]
        force: bool,
    },
    /// Issue a certificate for an SFT: 90 days, for the domain's name
    Issue {
        /// The federation domain
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Another name than the domain's; peers must then set certificate_name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where the CA is and the files go
        #[arg(long, value_name = "DIR", default_value = "certs")]
        dir: PathBuf,
        /// Write over files that are there
        #[arg(long)]
        force: bool,
    },
    /// Show what certificates say, with the pins that peers can use
    Show {
        /// A PEM file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub fn run(command: Command) -> anyhow::Result<Ending> {
    let _ = command;
    anyhow::bail!("there are no certificates in this build")
}

/// The CA's certificate, for peers to trust.
pub fn ca_file(domain: &str) -> String {
    format!("{domain}-ca.pem")
}

/// The SFT's certificate.
pub fn leaf_file(domain: &str) -> String {
    format!("{domain}.pem")
}

/// The SFT's private key.
pub fn key_file(domain: &str) -> String {
    format!("{domain}.key")
}

/// Makes the CA and the certificate of a domain, unless they are there.
pub fn make_missing(_domain: &Domain, _dir: &Path) -> anyhow::Result<()> {
    anyhow::bail!("there are no certificates in this build")
}
