//! A domain's own certificate authority, the certificates of its SFTs, and what a certificate says (`certs/README.md`).
//!
//! A peer is given the authority's certificate and nothing else; leaves are short-lived and renewed without asking anyone.
//! The command line is a thin layer over [`init`], [`issue`], [`renew`] and [`show`].

mod make;
mod show;

use std::io;
use std::path::{Path, PathBuf};

pub use make::{init, issue, renew};
pub use show::{CertificateView, show};

use crate::ids::Domain;
use crate::net::tls::files::BadFile;

/// Why no certificate was made or shown.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file is there already, and was not to be replaced.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("{} cannot be written: {}", .0.display(), .1)]
    Unwritable(PathBuf, io::Error),
    /// A file that is needed is of no use.
    #[error("{}: {}", .0.display(), .1)]
    BadFile(PathBuf, BadFile),
    /// The authority may vouch for names at or below its domain only.
    #[error("{name} is not at or below {domain}, for which alone the authority may vouch")]
    Outside {
        /// The name that was asked for.
        name: Domain,
        /// The authority's domain.
        domain: Domain,
    },
    /// Making the certificate failed.
    #[error("the certificate cannot be made: {0}")]
    Unmakeable(#[from] rcgen::Error),
}

/// A certificate and its private key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paths {
    /// The certificate; for a leaf followed by the authority's.
    pub certificate: PathBuf,
    /// The private key, mode 0600.
    pub private_key: PathBuf,
}

impl Paths {
    /// Where a domain's authority is kept: `<domain>-ca.pem` and `.key`. Peers get the former; the latter stays off the servers.
    #[must_use]
    pub fn authority(domain: &Domain, dir: &Path) -> Paths {
        Paths {
            certificate: dir.join(format!("{domain}-ca.pem")),
            private_key: dir.join(format!("{domain}-ca.key")),
        }
    }

    /// Where a leaf is kept: `<name>.pem` and `.key`.
    #[must_use]
    pub fn leaf(name: &Domain, dir: &Path) -> Paths {
        Paths {
            certificate: dir.join(format!("{name}.pem")),
            private_key: dir.join(format!("{name}.key")),
        }
    }
}
