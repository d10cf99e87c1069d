//! `cert init`, `cert issue`, `cert renew`, `cert show`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Ending;
use crate::cert::{self, CertificateView, Paths};
use crate::ids::Domain;
use crate::net::files::Existing;

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
    /// Issue the certificate again for 90 more days, with the same key: pins stay valid
    Renew {
        /// The federation domain
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// The name, where it is not the domain's
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where CA and certificate are
        #[arg(long, value_name = "DIR", default_value = "certs")]
        dir: PathBuf,
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

/// Does it, and says what to do next.
pub fn run(command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::Init { domain, dir, force } => {
            let domain = parse(&domain)?;
            let paths = cert::init(&domain, &dir, existing(force))?;
            println!("give peers   {}", paths.certificate.display());
            println!(
                "keep secret  {} (not needed on the server)",
                paths.private_key.display()
            );
        }
        Command::Issue {
            domain,
            name,
            dir,
            force,
        } => {
            let domain = parse(&domain)?;
            let name = name.as_deref().map_or_else(|| Ok(domain.clone()), parse)?;
            tell_leaf(&cert::issue(&domain, &name, &dir, existing(force))?);
        }
        Command::Renew { domain, name, dir } => {
            let domain = parse(&domain)?;
            let name = name.as_deref().map_or_else(|| Ok(domain.clone()), parse)?;
            tell_leaf(&cert::renew(&domain, &name, &dir)?);
        }
        Command::Show { file, json } => show(&file, json)?,
    }
    Ok(Ending::Ok)
}

fn parse(text: &str) -> anyhow::Result<Domain> {
    Domain::parse(text).with_context(|| format!("\"{text}\" is no DNS name"))
}

fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Keep }
}

fn tell_leaf(paths: &Paths) {
    println!("[federation]");
    println!("certificate = {:?}", paths.certificate);
    println!("private_key = {:?}", paths.private_key);
}

fn show(file: &Path, json: bool) -> anyhow::Result<()> {
    let views = cert::show(file)?;
    if json {
        println!("{}", serde_json::to_string(&views)?);
        return Ok(());
    }
    for view in &views {
        println!("{}", described(view));
    }
    Ok(())
}

fn described(view: &CertificateView) -> String {
    let CertificateView {
        subject,
        names,
        issuer,
        authority,
        not_before,
        not_after,
        days_left,
        pin,
    } = view;
    let role = if *authority { "authority" } else { "certificate" };
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    format!(
        "{role}  {subject}\n  names   {names}\n  issuer  {issuer}\n  valid   {not_before} to {not_after} ({days_left} days left)\n  \
         pin     {pin}"
    )
}

/// Makes the CA and the certificate of a domain, unless they are there; a certificate that is there is renewed, so that a demo in an
/// old folder works.
pub fn make_missing(domain: &Domain, dir: &Path) -> anyhow::Result<()> {
    if !Paths::authority(domain, dir).private_key.exists() {
        cert::init(domain, dir, Existing::Keep)?;
    }
    if Paths::leaf(domain, dir).private_key.exists() {
        cert::renew(domain, domain, dir)?;
    } else {
        cert::issue(domain, domain, dir, Existing::Keep)?;
    }
    Ok(())
}
