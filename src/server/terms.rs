//! What clients have to be, with the secret from its file.

use std::fs;
use std::io;
use std::path::Path;

use crate::api::terms::Terms;
use crate::config::Signalling;
use crate::server::StartError;
use crate::token::{BadSecret, Secret};

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum NoSecret {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file holds none.
    #[error(transparent)]
    Bad(#[from] BadSecret),
}

/// Reads the secret, if tokens are required: without it nobody could be let in, and letting everybody in is not what was asked for.
pub fn of(signalling: &Signalling) -> Result<Terms, StartError> {
    let read = |file: &Path| {
        secret(file).map_err(|error| StartError::Secret {
            file: file.to_owned(),
            error,
        })
    };
    Ok(Terms {
        blacklist: signalling.version_blacklist.clone(),
        secret: signalling.token_secret.as_deref().map(read).transpose()?,
    })
}

fn secret(file: &Path) -> Result<Secret, NoSecret> {
    Ok(Secret::parse(&fs::read(file)?)?)
}
