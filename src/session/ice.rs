//! ICE-lite (RFC 8445 §2.5): we answer checks, the client nominates, and what it checked lately is valid (RFC 7675).

use std::time::Instant;

use crate::limits::{CONSENT_TIMEOUT, MAX_PATHS};
use crate::proto::stun::{BadCheck, Check};
use crate::session::{Credentials, Drop, Path};

/// What to answer to a check.
pub(super) struct Verdict {
    /// The STUN message to send back.
    pub(super) answer: Vec<u8>,
    /// The path is valid now; otherwise the answer is an error.
    pub(super) valid: bool,
}

/// The addresses of one client.
#[derive(Default)]
pub(super) struct Ice {
    // At most MAX_PATHS; empty until the first valid check, so that a session costs nothing before.
    checked: Vec<Checked>,
    nominated: Option<Path>,
}

struct Checked {
    path: Path,
    at: Instant,
}

impl Ice {
    /// Verifies a check and remembers its path. An answer is never longer than the check.
    pub(super) fn check(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        credentials: &Credentials,
    ) -> Result<Verdict, Drop> {
        let check = Check::parse(datagram, &credentials.ufrag, &credentials.password).map_err(|bad| match bad {
            BadCheck::Malformed => Drop::BadStun,
            BadCheck::WrongUfrag => Drop::UnknownUfrag,
            BadCheck::WrongPassword => Drop::BadIntegrity,
        })?;
        let verdict = if check.controlled {
            Verdict {
                answer: check.role_conflict(&credentials.password),
                valid: false,
            }
        } else {
            Verdict {
                answer: check.success(path.remote, &credentials.password),
                valid: true,
            }
        };
        if verdict.answer.len() > datagram.len() {
            // Nobody's check is that short; whose is might want us to amplify.
            return Err(Drop::BadStun);
        }
        if verdict.valid {
            self.remember(now, path, check.nominates);
        }
        Ok(verdict)
    }

    fn remember(&mut self, now: Instant, path: Path, nominates: bool) {
        if nominates {
            self.nominated = Some(path);
        }
        if let Some(known) = self.checked.iter_mut().find(|checked| checked.path == path) {
            known.at = now;
            return;
        }
        if self.checked.len() >= MAX_PATHS {
            self.forget_oldest();
        }
        self.checked.push(Checked { path, at: now });
    }

    fn forget_oldest(&mut self) {
        let nominated = self.nominated;
        let others = self
            .checked
            .iter()
            .enumerate()
            .filter(|(_, checked)| Some(checked.path) != nominated);
        if let Some((oldest, _)) = others.min_by_key(|(_, checked)| checked.at) {
            self.checked.swap_remove(oldest);
        }
    }

    /// A valid check came over this path within the last [`CONSENT_TIMEOUT`].
    pub(super) fn is_valid(&self, now: Instant, path: Path) -> bool {
        self.checked
            .iter()
            .any(|checked| checked.path == path && fresh(checked.at, now))
    }

    /// Where media goes: the path nominated last, while it is valid.
    pub(super) fn nominated(&self, now: Instant) -> Option<Path> {
        self.nominated.filter(|path| self.is_valid(now, *path))
    }

    /// Where DTLS goes: as media, or before a nomination where the latest valid check came from.
    pub(super) fn best(&self, now: Instant) -> Option<Path> {
        let latest = || {
            self.checked
                .iter()
                .max_by_key(|checked| checked.at)
                .filter(|latest| fresh(latest.at, now))
        };
        self.nominated(now).or_else(|| latest().map(|checked| checked.path))
    }

    /// When the last consent ends; `None`: there was never any.
    pub(super) fn consent_until(&self) -> Option<Instant> {
        self.checked.iter().map(|checked| checked.at + CONSENT_TIMEOUT).max()
    }
}

fn fresh(checked_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(checked_at) < CONSENT_TIMEOUT
}
