//! On which terms clients of this domain are let in: their version and their token, for every CONFCONN alike.
//!
//! These are refusals about the client, so they are answered at once; what the relay has to say comes later.

use crate::config::Blacklist;
use crate::metrics::JoinRefused;
use crate::proto::client::{Connect, Status};
use crate::token::{BadToken, Secret, Standing};
use crate::units::WallTime;

/// What a client has to be.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Versions that have to update.
    pub blacklist: Blacklist,
    /// What tokens are checked with; `None`: nobody needs one.
    pub secret: Option<Secret>,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unwelcome {
    /// Its version is on the blacklist.
    Blacklisted,
    /// Its token is of no use.
    Token(BadToken),
}

impl Terms {
    /// What a client may do that says this `at` this time.
    ///
    /// # Errors
    /// [`Unwelcome`]: nothing.
    pub fn standing(&self, at: WallTime, connect: &Connect) -> Result<Standing, Unwelcome> {
        if self.blacklist.has(&connect.version) {
            return Err(Unwelcome::Blacklisted);
        }
        let Some(secret) = &self.secret else {
            return Ok(Standing::Anonymous);
        };
        let (Some(username), Some(credential)) = (&connect.username, &connect.credential) else {
            return Err(Unwelcome::Token(BadToken::Missing));
        };
        secret
            .check(at, username.expose(), credential.expose())
            .map_err(Unwelcome::Token)
    }
}

impl Unwelcome {
    /// What the client is told.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Unwelcome::Blacklisted => Status::Blacklisted,
            Unwelcome::Token(BadToken::Expired) => Status::AuthExpired,
            Unwelcome::Token(_) => Status::AuthInvalid,
        }
    }
}

impl From<Unwelcome> for JoinRefused {
    fn from(unwelcome: Unwelcome) -> JoinRefused {
        match unwelcome {
            Unwelcome::Blacklisted => JoinRefused::Blacklisted,
            Unwelcome::Token(bad) => JoinRefused::Token(bad),
        }
    }
}
