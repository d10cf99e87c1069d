//! One SFT without sockets and crypto: its conferences, and what they say to clients and peers.
//!
//! This is the core that the simulator runs: `handle` takes closed enums, `poll` gives closed enums, [`Relay::forward`] tells for
//! one RTP packet who gets it and how its header reads there. It sees parsed headers, never payloads; sessions and links are ids.

use std::time::Instant;

use crate::federation;
use crate::ids::{ConferenceId, FlowId, LinkId, ParticipantId, RequestId, SessionId, Ssrc};
use crate::proto::client::{Connect, Props, Status};
use crate::proto::link::message::{Code, Kind};
use crate::proto::rtp::Incoming;

/// What happens to an SFT.
#[derive(Debug)]
pub enum Input {
    /// A client posted CONFCONN. Answered by [`Output::Offer`] or [`Output::Refuse`].
    Connect {
        /// The waiting request.
        request: RequestId,
        /// The conference in the path.
        conference: ConferenceId,
        /// Who asks.
        participant: ParticipantId,
        /// What it says.
        connect: Box<Connect>,
        /// It showed a valid token.
        authenticated: bool,
    },
    /// A client's answer was applied to its session.
    Answered {
        /// The session.
        session: SessionId,
        /// The first `a=ssrc` of its audio.
        audio: Ssrc,
        /// The first `a=ssrc` of its video, where it has one (no simulcast).
        video: Option<Ssrc>,
        /// What it told about itself.
        props: Props,
    },
    /// A session's data channel is open.
    Opened {
        /// The session.
        session: SessionId,
    },
    /// A message came over a session's data channel.
    Text {
        /// The session.
        session: SessionId,
        /// The message, at most [`crate::limits::MAX_TEXT_BYTES`].
        text: Vec<u8>,
    },
    /// A receiver lost its picture (PLI, FIR).
    PictureLost {
        /// The session.
        session: SessionId,
        /// The slot's SSRC.
        slot: Ssrc,
    },
    /// A session's transport ended.
    Ended {
        /// The session.
        session: SessionId,
    },
    /// Something happened to a link.
    Link(federation::Event),
    /// The process drains: new conferences are refused.
    Drain,
}

/// What an SFT wants done.
#[derive(Debug)]
pub enum Output {
    /// Make a session and answer the request with its offer.
    Offer(Box<Offer>),
    /// Answer the request with a refusal.
    Refuse {
        /// The request.
        request: RequestId,
        /// For the client.
        status: Status,
        /// For people: log, metric and our own field `reason`.
        reason: Refusal,
    },
    /// Send a message over a session's data channel.
    Text {
        /// The session.
        session: SessionId,
        /// The message.
        text: std::sync::Arc<str>,
    },
    /// Ask a publisher for a key frame (PLI, RFC 4585 §6.3.1).
    Pli {
        /// The publisher's session.
        session: SessionId,
        /// The SSRC of the layer.
        ssrc: Ssrc,
    },
    /// End a session's transport; what was sent before still goes out. No [`Input::Ended`] is expected for it.
    End {
        /// The session.
        session: SessionId,
        /// Why.
        reason: EndReason,
    },
    /// Do something with a link.
    Link(federation::Command),
}

/// A session to be made.
#[derive(Debug)]
pub struct Offer {
    /// The waiting request.
    pub request: RequestId,
    /// The new session's id.
    pub session: SessionId,
    /// The conference.
    pub conference: ConferenceId,
    /// Whose session it is.
    pub participant: ParticipantId,
    /// Answer `UPDATE` rather than `SETUP`.
    pub update: bool,
    /// The client can send two layers.
    pub simulcast: bool,
    /// SSRCs of the audio slots, in order of their m-lines.
    pub audio_slots: Vec<Ssrc>,
    /// SSRCs of the video slots, in order of their m-lines.
    pub video_slots: Vec<SlotSsrcs>,
    /// The anchor's tuple.
    pub tuple: Option<String>,
}

/// The two SSRCs of a video slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SlotSsrcs {
    /// Of the video.
    pub media: Ssrc,
    /// Of its retransmissions (RFC 4588).
    pub repair: Ssrc,
}

/// Why a CONFCONN was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// `sft_tuple` is of the incumbent's form, `ip:port/cid`.
    LegacyTuple,
    /// `sft_tuple` is of no form that we know, or `sft_url` came without one.
    MalformedTuple,
    /// The tuple names our domain, but its capability does not open this conference.
    BadCapability,
    /// The tuple's domain is not among our peers.
    Unlisted,
    /// Another participant has this id.
    Conflict,
    /// A limit of this server is reached.
    Limit,
    /// The process drains.
    Draining,
    /// The anchor refused.
    Anchor(Code),
    /// The anchor could not be reached in time.
    AnchorSilent,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EndReason {
    /// The client hung up.
    Hangup,
    /// No PING for [`crate::limits::PING_TIMEOUT`].
    Silent,
    /// The same participant came back with a new session.
    Replaced,
    /// It broke the protocol.
    Protocol,
}

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    /// A client of ours.
    Session(SessionId),
    /// A peer.
    Link(LinkId, FlowId),
}

/// Where one packet goes. Reused from packet to packet, so that forwarding allocates nothing.
#[derive(Debug, Default)]
pub struct Forwards {
    /// To clients.
    pub sessions: Vec<ToSession>,
    /// To peers.
    pub links: Vec<ToLink>,
}

/// One packet's header at one receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToSession {
    /// The receiver.
    pub session: SessionId,
    /// The slot.
    pub ssrc: Ssrc,
    /// In the slot's own numbering.
    pub sequence: u16,
    /// In the slot's own time line.
    pub timestamp: u32,
    /// The roster's SSRC of the publisher.
    pub csrc: Ssrc,
    /// For the metrics.
    pub kind: Kind,
}

/// One packet on one link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToLink {
    /// The link.
    pub link: LinkId,
    /// Its flow there.
    pub flow: FlowId,
    /// For the metrics.
    pub kind: Kind,
}

/// Why a packet went nowhere.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Unforwarded {
    /// The source is no session or flow that we know.
    UnknownSource,
    /// The SSRC is none the publisher announced.
    UnknownSsrc,
    /// It carries no media (probing).
    Padding,
}

/// One SFT.
#[derive(Debug)]
pub struct Relay {}

impl Relay {
    /// Takes one input; [`Relay::poll`] afterwards until it is `None`.
    pub fn handle(&mut self, _now: Instant, _input: Input) {}

    /// Lets time pass.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }

    /// When [`Relay::handle_timeout`] is due; `None`: never, unless something happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Tells who gets a packet. `forwards` is cleared first.
    ///
    /// # Errors
    /// Why it goes nowhere; count it.
    pub fn forward(
        &mut self,
        _now: Instant,
        _source: Source,
        _packet: &Incoming,
        forwards: &mut Forwards,
    ) -> Result<(), Unforwarded> {
        forwards.sessions.clear();
        forwards.links.clear();
        Err(Unforwarded::UnknownSource)
    }

    /// The session whose SETUP answer is expected from this participant, if there is one.
    #[must_use]
    pub fn unanswered(&self, _conference: &ConferenceId, _participant: &ParticipantId) -> Option<SessionId> {
        None
    }
}
