//! What tells metrics of one name apart. Every label has a closed set of values, so that nobody outside can make new ones.

use std::sync::Arc;

use crate::ids::Domain;
use crate::proto::link::message::{Code, Kind};
use crate::relay::{Refusal, Rule, Unforwarded};
use crate::token::BadToken;

/// A label with a closed set of values.
pub trait Label {
    /// The label's name.
    const NAME: &'static str;

    /// This value's word.
    fn value(&self) -> &str;
}

/// The labels of a family: one to three.
pub trait Labels {
    /// Their names.
    fn names() -> Vec<&'static str>;

    /// Their values, in the same order.
    fn values(&self) -> Vec<&str>;
}

impl<A: Label> Labels for A {
    fn names() -> Vec<&'static str> {
        vec![A::NAME]
    }

    fn values(&self) -> Vec<&str> {
        vec![self.value()]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    fn names() -> Vec<&'static str> {
        vec![A::NAME, B::NAME]
    }

    fn values(&self) -> Vec<&str> {
        vec![self.0.value(), self.1.value()]
    }
}

impl<A: Label, B: Label, C: Label> Labels for (A, B, C) {
    fn names() -> Vec<&'static str> {
        vec![A::NAME, B::NAME, C::NAME]
    }

    fn values(&self) -> Vec<&str> {
        vec![self.0.value(), self.1.value(), self.2.value()]
    }
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident = $label:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),*];
        }

        impl Label for $name {
            const NAME: &'static str = $label;

            fn value(&self) -> &str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }
    };
}

label! {
    /// How far a session has come.
    SessionState = "state" {
        /// Its data channel is not open yet.
        HalfOpen = "half_open",
        /// Its data channel is open.
        Open = "open",
    }
}

label! {
    /// Why a packet went nowhere.
    Dropped = "reason" {
        /// Its first byte is that of nothing we know (RFC 7983 §7).
        UnknownKind = "unknown_kind",
        /// No session has this address or ufrag.
        UnknownPath = "unknown_path",
        /// A STUN message that is malformed or fails its integrity check.
        BadStun = "bad_stun",
        /// DTLS or SCTP that the session could not take.
        BadTransport = "bad_transport",
        /// SRTP or SRTCP that fails its authentication.
        Unauthentic = "unauthentic",
        /// SRTP or SRTCP that came before, or too late.
        Replayed = "replayed",
        /// Media before the session has keys, or after it ended.
        NotReady = "not_ready",
        /// RTP that is malformed or too large.
        BadRtp = "bad_rtp",
        /// RTCP that is malformed.
        BadRtcp = "bad_rtcp",
        /// A datagram of a link that is malformed.
        BadLinkDatagram = "bad_link_datagram",
        /// A packet whose source is no session or flow that we know.
        UnknownSource = "unknown_source",
        /// A packet whose SSRC its sender did not announce.
        UnknownSsrc = "unknown_ssrc",
        /// Padding that only measures the path.
        Padding = "padding",
        /// Its number was there before, or is too old.
        Repeated = "repeated",
        /// A queue was full.
        QueueFull = "queue_full",
        /// The kernel did not take it.
        SendFailed = "send_failed",
        /// Handling it panicked; its session ended.
        Panicked = "panicked",
    }
}

impl From<Unforwarded> for Dropped {
    fn from(reason: Unforwarded) -> Dropped {
        match reason {
            Unforwarded::UnknownSource => Dropped::UnknownSource,
            Unforwarded::UnknownSsrc => Dropped::UnknownSsrc,
            Unforwarded::Padding => Dropped::Padding,
            Unforwarded::Repeated => Dropped::Repeated,
        }
    }
}

label! {
    /// Which way bytes cross a link.
    Direction = "direction" {
        /// From the peer.
        In = "in",
        /// To the peer.
        Out = "out",
    }
}

label! {
    /// What bytes that cross a link are.
    LinkKind = "kind" {
        /// Datagrams with audio.
        Audio = "audio",
        /// Datagrams with video.
        Video = "video",
        /// Everything else: messages, QUIC's own, what is sent again, and datagrams that we had no room for.
        Other = "other",
    }
}

impl From<Kind> for LinkKind {
    fn from(kind: Kind) -> LinkKind {
        match kind {
            Kind::Audio => LinkKind::Audio,
            Kind::Video => LinkKind::Video,
        }
    }
}

label! {
    /// What was dropped on a link.
    LinkClass = "class" {
        /// A datagram that did not fit the path.
        TooLarge = "too_large",
        /// A datagram that waited while the path was full.
        Congested = "congested",
        /// A fragment whose others never came.
        Incomplete = "incomplete",
    }
}

label! {
    /// What became of a wish for a key frame.
    KeyframeOutcome = "outcome" {
        /// The publisher was asked.
        Asked = "asked",
        /// Asked again, because nothing came.
        Repeated = "repeated",
    }
}

/// Why a client's CONFCONN was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum JoinRefused {
    /// Our rules or the anchor's say no.
    Relay(Refusal),
    /// The client's version is on the blacklist.
    Blacklisted,
    /// The client's token is of no use.
    Token(BadToken),
    /// Too many sessions are being set up in all.
    HalfOpen,
    /// Too many sessions are being set up from one network.
    HalfOpenSource,
    /// Too many sessions are being set up for one conference.
    HalfOpenConference,
    /// The worker's mailbox is full.
    Overload,
    /// The worker has ended.
    ShuttingDown,
    /// The worker said nothing in time.
    Timeout,
}

impl JoinRefused {
    /// The word in logs and metrics. Words of the anchor are those that we use for the same: the counts say what clients were told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            JoinRefused::Relay(refusal) => refusal.as_str(),
            JoinRefused::Blacklisted => "version_blacklisted",
            JoinRefused::Token(BadToken::Missing) => "token_missing",
            JoinRefused::Token(BadToken::Malformed) => "token_malformed",
            JoinRefused::Token(BadToken::Forged) => "token_invalid",
            JoinRefused::Token(BadToken::Expired) => "token_expired",
            JoinRefused::HalfOpen => "half_open",
            JoinRefused::HalfOpenSource => "half_open_source",
            JoinRefused::HalfOpenConference => "half_open_conference",
            JoinRefused::Overload => "overload",
            JoinRefused::ShuttingDown => Code::ShuttingDown.as_str(),
            JoinRefused::Timeout => "timeout",
        }
    }
}

impl Label for JoinRefused {
    const NAME: &'static str = "reason";

    fn value(&self) -> &str {
        self.as_str()
    }
}

impl Label for Kind {
    const NAME: &'static str = "kind";

    fn value(&self) -> &str {
        match self {
            Kind::Audio => "audio",
            Kind::Video => "video",
        }
    }
}

impl Label for Rule {
    const NAME: &'static str = "rule";

    fn value(&self) -> &str {
        self.as_str()
    }
}

impl Label for Code {
    const NAME: &'static str = "reason";

    fn value(&self) -> &str {
        self.as_str()
    }
}

/// A configured peer, or `other`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer(Arc<str>);

impl Peer {
    /// For the metrics alone to make: whatever is not configured is [`Peer::other`].
    pub(super) fn new(configured: &Domain) -> Peer {
        Peer(configured.as_str().into())
    }

    /// Everyone who is not configured.
    pub(super) fn other() -> Peer {
        Peer("other".into())
    }
}

impl Label for Peer {
    const NAME: &'static str = "peer";

    fn value(&self) -> &str {
        &self.0
    }
}

/// A media worker by its number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Worker(String);

impl Worker {
    /// The label of the worker with this number.
    #[must_use]
    pub fn number(number: usize) -> Worker {
        Worker(number.to_string())
    }
}

impl Label for Worker {
    const NAME: &'static str = "worker";

    fn value(&self) -> &str {
        &self.0
    }
}
