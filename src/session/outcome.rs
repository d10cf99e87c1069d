//! What a session says: outputs, why it ended, and why it dropped a datagram.

use std::fmt;

use crate::session::Path;

/// What a session wants done.
#[derive(Clone, Eq, PartialEq)]
pub enum Output {
    /// Send a datagram.
    Transmit {
        /// To whom, from where.
        path: Path,
        /// The whole UDP payload.
        bytes: Vec<u8>,
    },
    /// A message came over the data channel, at most [`crate::limits::MAX_TEXT_BYTES`].
    Text(Vec<u8>),
    /// The data channel is open: texts can be sent. Comes once.
    Opened,
    /// The session is over; nothing comes after it.
    Ended(Reason),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Transmit { bytes, .. } => write!(f, "Transmit({} bytes)", bytes.len()),
            Output::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Output::Opened => f.write_str("Opened"),
            Output::Ended(reason) => write!(f, "Ended({reason:?})"),
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// No answer came within [`crate::limits::SETUP_TIMEOUT`].
    SetupTimeout,
    /// The data channel was not open [`crate::limits::CONNECT_TIMEOUT`] after the answer.
    ConnectTimeout,
    /// No valid check for [`crate::limits::CONSENT_TIMEOUT`] (RFC 7675 §5.1).
    ConsentExpired,
    /// The client's certificate is not the one its answer announced (RFC 8122 §6.2).
    BadFingerprint,
    /// DTLS came to no SRTP profile (RFC 5764 §4.1.2).
    NoSrtpProfile,
    /// DTLS failed: an alert, a certificate we cannot read, too many retransmissions.
    Dtls,
    /// SCTP gave up, or the client opened too many streams.
    Channel,
    /// The client closed its transport: close_notify, an SCTP abort or a reset of our stream. A message too long, or SCTP that
    /// makes no sense, looks the same from here.
    ClosedByClient,
    /// We were told to close.
    Closed,
}

impl Reason {
    /// Every reason, for metrics.
    pub const ALL: [Reason; 9] = [
        Reason::SetupTimeout,
        Reason::ConnectTimeout,
        Reason::ConsentExpired,
        Reason::BadFingerprint,
        Reason::NoSrtpProfile,
        Reason::Dtls,
        Reason::Channel,
        Reason::ClosedByClient,
        Reason::Closed,
    ];

    /// The label of this reason in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::SetupTimeout => "setup_timeout",
            Reason::ConnectTimeout => "connect_timeout",
            Reason::ConsentExpired => "consent_expired",
            Reason::BadFingerprint => "bad_fingerprint",
            Reason::NoSrtpProfile => "no_srtp_profile",
            Reason::Dtls => "dtls",
            Reason::Channel => "channel",
            Reason::ClosedByClient => "closed_by_client",
            Reason::Closed => "closed",
        }
    }
}

/// Why a datagram went no further: count it under [`Drop::as_str`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Drop {
    /// No STUN message, or one without what a check must have (RFC 8445 §7.3).
    BadStun,
    /// Its USERNAME is for another session.
    UnknownUfrag,
    /// Its MESSAGE-INTEGRITY was not made with our password.
    BadIntegrity,
    /// The client claims to be controlled; answered with 487.
    RoleConflict,
    /// No valid check came from this address.
    NotValidated,
    /// There are no keys yet.
    NotReady,
    /// The session is over.
    Ended,
    /// Shorter than its headers and its trailer.
    TooShort,
    /// Longer than [`crate::limits::MAX_DTLS_BYTES`], or the buffer has no room for the trailer.
    TooLong,
    /// No RTP or RTCP header of version 2.
    BadHeader,
    /// SRTCP with its encryption bit off (RFC 3711 §3.4).
    Unencrypted,
    /// Seen before, or older than the replay window. When sending: this number was used.
    Replayed,
    /// Its tag is wrong.
    AuthFailed,
    /// More SSRCs than a session may have.
    TooManySsrcs,
    /// [`crate::limits::MAX_HELD_DTLS`] datagrams wait for the answer already.
    HeldFull,
    /// As many packets as one key may protect (RFC 3711 §9.2).
    Exhausted,
}

impl Drop {
    /// Every reason, for metrics.
    pub const ALL: [Drop; 16] = [
        Drop::BadStun,
        Drop::UnknownUfrag,
        Drop::BadIntegrity,
        Drop::RoleConflict,
        Drop::NotValidated,
        Drop::NotReady,
        Drop::Ended,
        Drop::TooShort,
        Drop::TooLong,
        Drop::BadHeader,
        Drop::Unencrypted,
        Drop::Replayed,
        Drop::AuthFailed,
        Drop::TooManySsrcs,
        Drop::HeldFull,
        Drop::Exhausted,
    ];

    /// The label of this reason in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Drop::BadStun => "bad_stun",
            Drop::UnknownUfrag => "unknown_ufrag",
            Drop::BadIntegrity => "bad_integrity",
            Drop::RoleConflict => "role_conflict",
            Drop::NotValidated => "not_validated",
            Drop::NotReady => "not_ready",
            Drop::Ended => "ended",
            Drop::TooShort => "too_short",
            Drop::TooLong => "too_long",
            Drop::BadHeader => "bad_header",
            Drop::Unencrypted => "unencrypted",
            Drop::Replayed => "replayed",
            Drop::AuthFailed => "auth_failed",
            Drop::TooManySsrcs => "too_many_ssrcs",
            Drop::HeldFull => "held_full",
            Drop::Exhausted => "exhausted",
        }
    }
}

/// Why a text was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChannelError {
    /// The data channel is not open, or not any more.
    #[error("the data channel is not open")]
    NotOpen,
    /// The client does not read: [`crate::limits::MAX_CHANNEL_BACKLOG`] bytes wait.
    #[error("the data channel is full")]
    Full,
    /// Longer than [`crate::limits::MAX_TEXT_BYTES`].
    #[error("the text is too long for a data channel")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn labels_are_distinct() {
        let drops: HashSet<_> = Drop::ALL.iter().map(|drop| drop.as_str()).collect();
        assert_eq!(drops.len(), Drop::ALL.len());
        let reasons: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(reasons.len(), Reason::ALL.len());
    }

    #[test]
    fn outputs_do_not_print_what_people_say() {
        let text = Output::Text(b"secret".to_vec());
        assert_eq!(format!("{text:?}"), "Text(6 bytes)");
    }
}
