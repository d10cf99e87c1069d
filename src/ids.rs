//! Names of things: conferences, participants, domains, sessions, links, flows.
//!
//! Every identifier that comes from outside is checked once, here, and carries its bound in its type.
//! `Debug` never prints what could identify a person or open a conference.

use std::{fmt, sync::Arc};

use crate::limits::{MAX_DOMAIN_BYTES, MAX_ID_BYTES};

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadId {
    /// Nothing was there.
    #[error("an identifier is empty")]
    Empty,
    /// Longer than [`MAX_ID_BYTES`] (domains: [`MAX_DOMAIN_BYTES`]).
    #[error("an identifier is too long")]
    TooLong,
    /// A character that no identifier has.
    #[error("an identifier has a character that is not allowed")]
    BadCharacter,
}

fn checked(text: &str) -> Result<Arc<str>, BadId> {
    if text.is_empty() {
        return Err(BadId::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(BadId::TooLong);
    }
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'"' | b'\\');
    if !text.bytes().all(plain) {
        return Err(BadId::BadCharacter);
    }
    Ok(text.into())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks length (1 to [`MAX_ID_BYTES`] bytes) and characters (visible ASCII without `/ " \`).
            ///
            /// # Errors
            /// [`BadId`] says which rule was broken.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                checked(text).map(Self)
            }

            /// The text as it came.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// One call: Wire's `convid_hash`, opaque to us. Whoever knows it can ask to join, so `Debug` shows eight characters.
    ConferenceId
}
text_id! {
    /// The anonymous per-conference id of a participant's user. Never printed.
    UserId
}
text_id! {
    /// The client part of a participant's id; Wire's clients always send `_`.
    ClientId
}
text_id! {
    /// One SFT process among those of its domain.
    NodeName
}

impl fmt::Debug for ConferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(8).collect();
        f.write_str(&shown)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(…)")
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientId(…)")
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An administrative domain: a DNS name in A-labels, lower case, without trailing dot.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Normalises a DNS name: U-labels become A-labels (IDNA 2008), capitals small, one trailing dot goes.
    ///
    /// # Errors
    /// [`BadId`] where the text is no DNS name.
    pub fn parse(text: &str) -> Result<Domain, BadId> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| BadId::BadCharacter)?;
        if ascii.is_empty() {
            return Err(BadId::Empty);
        }
        if ascii.len() > MAX_DOMAIN_BYTES {
            return Err(BadId::TooLong);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if !ascii.bytes().all(plain) || ascii.parse::<std::net::IpAddr>().is_ok() {
            return Err(BadId::BadCharacter);
        }
        Ok(Domain(ascii.into()))
    }

    /// The normalised name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one participant within a conference.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ParticipantId {
    /// The user part.
    pub user: UserId,
    /// The client part.
    pub client: ClientId,
}

/// A conference is known by its id *and* its anchor's domain, so that a foreign anchor can never name ours.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConferenceKey {
    /// The conference.
    pub conference: ConferenceId,
    /// The domain of its anchor.
    pub anchor: Domain,
}

/// One participant's transport on this SFT. Never reused within a process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub u64);

/// One QUIC connection to a peer. Never reused within a process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkId(pub u64);

/// One bidirectional stream on a link: 0 is the link stream, odd ones were opened by us, even ones by the peer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The stream that carries `hello`.
    pub const LINK: StreamId = StreamId(0);
}

/// One published layer on a link in one direction; chosen by the sender, never reused on that link.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FlowId(pub u64);

/// An SSRC or CSRC (RFC 3550 §3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ssrc(pub u32);

/// A waiting HTTP request of a client.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_normalised_and_addresses_are_none() {
        for (text, expected) in [
            ("A.Example.", Some("a.example")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("a.localhost", Some("a.localhost")),
            ("", None),
            ("127.0.0.1", None),
            ("*.example", None),
            ("a b.example", None),
        ] {
            let parsed = Domain::parse(text).ok();
            assert_eq!(parsed.as_ref().map(Domain::as_str), expected, "{text}");
        }
    }

    #[test]
    fn ids_have_bounds_and_never_print_people() {
        assert_eq!(UserId::parse(""), Err(BadId::Empty));
        assert_eq!(UserId::parse(&"x".repeat(128)), Err(BadId::TooLong));
        assert_eq!(UserId::parse("a/b"), Err(BadId::BadCharacter));
        let user = UserId::parse("9a0b1c2d").unwrap();
        assert!(!format!("{user:?}").contains("9a0b"));
    }
}
