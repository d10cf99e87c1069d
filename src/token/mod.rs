//! Tokens: what a client of this domain shows to be let in (`[signalling.auth]`).
//!
//! The domain's backend gives each client a user name `d=<expiry>.v=1.k=0.s=<0|1>.r=<bearer>` and a credential, the standard base64 of
//! HMAC-SHA-512 over the whole user name with a secret that backend and SFT share. `s=1` may start conferences, `s=0` may join those
//! that there are. Nothing here is ever printed: whoever has a token is its bearer.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::limits::{MAX_SECRET_BYTES, MAX_TOKEN_BYTES};
use crate::private::Private;
use crate::units::WallTime;

/// What a client that posted CONFCONN may do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Standing {
    /// Tokens are not asked for: anything.
    #[default]
    Anonymous,
    /// Join a conference that exists.
    Joins(Bearer),
    /// Join or start one.
    Starts(Bearer),
}

impl Standing {
    /// Whether it may start a conference.
    #[must_use]
    pub const fn may_start(&self) -> bool {
        !matches!(self, Standing::Joins(_))
    }

    /// Whether a token showed who it is.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.bearer().is_some()
    }

    /// Whom the token was given to; `None` without one. Only the same bearer may take over a session.
    #[must_use]
    pub const fn bearer(&self) -> Option<&Bearer> {
        match self {
            Standing::Anonymous => None,
            Standing::Joins(bearer) | Standing::Starts(bearer) => Some(bearer),
        }
    }
}

/// Whom a token was given to: `r`, the same for all tokens of one user. Never printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bearer(Private<Arc<str>>);

impl Bearer {
    /// A bearer by its `r`.
    #[must_use]
    pub fn new(text: &str) -> Bearer {
        Bearer(Private::new(text.into()))
    }
}

/// Why a token is none. Every client is refused alike; the word is for people.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum BadToken {
    /// User name or credential is not there.
    #[error("the token is missing")]
    Missing,
    /// User name or credential has another form.
    #[error("the token is malformed")]
    Malformed,
    /// It was made with another secret, or bent.
    #[error("the token is not from our backend")]
    Forged,
    /// It was good until `d`.
    #[error("the token has expired")]
    Expired,
}

/// Why a file holds no secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadSecret {
    /// It has no word.
    #[error("there is no secret in it")]
    Empty,
    /// Its first word is longer than [`MAX_SECRET_BYTES`].
    #[error("the secret is longer than {MAX_SECRET_BYTES} bytes")]
    TooLong,
}

/// The secret that tokens are checked with.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads what is in a secret file: its first word, as the incumbent does, so that a line may end.
    ///
    /// # Errors
    /// [`BadSecret`] where that is none.
    pub fn parse(text: &[u8]) -> Result<Secret, BadSecret> {
        let mut words = text.split(u8::is_ascii_whitespace);
        let word = words.find(|word| !word.is_empty()).ok_or(BadSecret::Empty)?;
        if word.len() > MAX_SECRET_BYTES {
            return Err(BadSecret::TooLong);
        }
        Ok(Secret(hmac::Key::new(hmac::HMAC_SHA512, word)))
    }

    /// Tells what the bearer of a token may do. Takes the same time wherever a credential differs.
    ///
    /// # Errors
    /// [`BadToken`]: whoever shows it is not let in.
    pub fn check(&self, at: WallTime, username: &str, credential: &str) -> Result<Standing, BadToken> {
        let claim = Claim::parse(username).ok_or(BadToken::Malformed)?;
        if credential.len() > MAX_TOKEN_BYTES {
            return Err(BadToken::Malformed);
        }
        let mac = STANDARD.decode(credential).map_err(|_| BadToken::Malformed)?;
        hmac::verify(&self.0, username.as_bytes(), &mac).map_err(|_| BadToken::Forged)?;
        if claim.expiry < at.0 / 1000 {
            return Err(BadToken::Expired);
        }
        let bearer = Bearer::new(claim.bearer);
        Ok(if claim.may_start {
            Standing::Starts(bearer)
        } else {
            Standing::Joins(bearer)
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a user name says; nothing about it is proven.
struct Claim<'a> {
    // Seconds since the epoch; good until the end of that second.
    expiry: u64,
    may_start: bool,
    bearer: &'a str,
}

impl Claim<'_> {
    fn parse(username: &str) -> Option<Claim<'_>> {
        let rest = Some(username).filter(|text| text.len() <= MAX_TOKEN_BYTES)?;
        let (expiry, rest) = rest.strip_prefix("d=")?.split_once(".v=1.k=0.s=")?;
        let (starts, bearer) = rest.split_once(".r=")?;
        let plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        if bearer.is_empty() || !bearer.bytes().all(plain) || !expiry.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let may_start = match starts {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        Some(Claim {
            expiry: expiry.parse().ok()?,
            may_start,
            bearer,
        })
    }
}

#[cfg(test)]
mod tests;
