//! Certificates and keys from PEM files.

use std::io;
use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use webpki::anchor_from_trusted_cert;

use crate::federation::allow::Trust;
use crate::ids::Domain;
use crate::net::tls::Identity;

/// Why a file holds no certificate or key of use; the caller says which file.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is damaged.
    #[error("the file is no PEM")]
    NotPem,
    /// It is PEM, but has no certificate.
    #[error("the file has no certificate")]
    NoCertificate,
    /// It is PEM, but has no private key.
    #[error("the file has no private key")]
    NoKey,
    /// A certificate in it is damaged.
    #[error("a certificate in the file is damaged")]
    BadCertificate,
    /// The key is of no usable kind, or not the certificate's.
    #[error("certificate and private key do not fit: {0}")]
    Mismatch(rustls::Error),
}

impl From<pem::Error> for BadFile {
    fn from(error: pem::Error) -> BadFile {
        match error {
            pem::Error::Io(error) => BadFile::Unreadable(error),
            _ => BadFile::NotPem,
        }
    }
}

impl Identity {
    /// Reads our own chain (leaf first) and its key.
    ///
    /// # Errors
    /// [`BadFile`] for either file.
    pub fn load(certificate: &Path, private_key: &Path) -> Result<Identity, BadFile> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(private_key).map_err(|error| match error {
            pem::Error::NoItemsFound => BadFile::NoKey,
            other => other.into(),
        })?;
        Identity::new(chain, key).map_err(BadFile::Mismatch)
    }
}

/// Reads the authorities that may vouch for a peer.
///
/// # Errors
/// [`BadFile`]; such a peer must be refused ([`Trust::Nobody`]), as [`trust_or_nobody`] does.
pub fn trust(file: &Path) -> Result<Trust, BadFile> {
    let roots = certificates(file)?;
    for root in &roots {
        anchor_from_trusted_cert(root).map_err(|_| BadFile::BadCertificate)?;
    }
    Ok(Trust::roots(roots))
}

/// Reads the authorities that may vouch for a peer. Where that fails the peer is refused, and the log says so.
#[must_use]
pub fn trust_or_nobody(peer: &Domain, file: &Path) -> Trust {
    trust(file).unwrap_or_else(|error| {
        tracing::error!(%peer, file = %file.display(), %error, "a peer is refused: its trust file is of no use");
        Trust::Nobody
    })
}

/// All certificates of a file, in its order; at least one.
///
/// # Errors
/// [`BadFile`] where there is none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)?.collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(BadFile::NoCertificate);
    }
    Ok(found)
}
