//! One conference: who is in it, who accepts whom, who gets whose media. Events in, actions out.
//!
//! It does not know how clients or peers are reached: sessions and links are ids. Whoever is here has a receiver with slots;
//! whoever is elsewhere is behind a [`port`], one link of this conference. At the anchor there is a port for each member SFT, at a
//! member only the one to the anchor. What crosses a port is derived, not remembered step by step: after every change
//! [`Conference::reconcile`] compares what a link should know with what it was told.
//!
//! Start at [`roster`] for the order of participants, at [`forward`] for the path of a packet.

mod accept;
mod attach;
mod flows;
pub mod forward;
mod merge;
pub mod participant;
mod pictures;
pub mod port;
mod props;
pub mod receiver;
mod roster;
pub mod seat;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand_chacha::ChaCha12Rng;

use crate::conference::participant::{Participant, Seats, Track, Whereabouts};
use crate::conference::port::{Line, Port};
use crate::conference::receiver::{Receiver, SlotPlan};
use crate::conference::roster::Roster;
use crate::conference::seat::{Seat, SeatSet};
use crate::ids::{ConferenceKey, Domain, FlowId, LinkId, ParticipantId, SessionId, Ssrc, StreamId};
use crate::proto::client::{self, Props, SsrcPair};
use crate::proto::link::message::{Code, Message};
use crate::units::Epoch;

pub use crate::conference::attach::Attachment;

/// Names a conference within the process; never given again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConferenceNo(pub u64);

/// What a conference wants done.
#[derive(Debug)]
pub enum Action {
    /// Send a message over a session's data channel.
    Text {
        /// The session.
        session: SessionId,
        /// The message.
        text: Arc<str>,
    },
    /// End a session.
    End {
        /// The session.
        session: SessionId,
        /// Why.
        reason: EndReason,
    },
    /// Ask a session for a key frame.
    Pli {
        /// The session.
        session: SessionId,
        /// The layer's SSRC.
        ssrc: Ssrc,
    },
    /// Send a frame on a stream of a link.
    Frame {
        /// The stream.
        line: Line,
        /// What.
        message: Message,
    },
    /// End a stream of a link.
    Finish {
        /// The stream.
        line: Line,
    },
    /// A peer did what its domain may not.
    Violation {
        /// The peer's domain.
        peer: Domain,
        /// Against which rule.
        rule: Rule,
    },
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
    /// Its id or SSRC belongs to someone else in the conference.
    Conflict,
}

/// What a peer may not do (`docs/link-protocol.md`, "Authority").
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rule {
    /// A member speaks only for its own participants.
    ForeignParticipant,
    /// An anchor relays no entry of the member's own domain that the member did not announce.
    OwnDomain,
    /// An id or SSRC belongs to whoever announced it first.
    Conflict,
    /// A flow id is used once.
    FlowReused,
    /// Only the anchor sends rosters, only members announce.
    WrongRole,
    /// A message is well formed and within its bounds.
    Malformed,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 6] = [
        Rule::ForeignParticipant,
        Rule::OwnDomain,
        Rule::Conflict,
        Rule::FlowReused,
        Rule::WrongRole,
        Rule::Malformed,
    ];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Rule::ForeignParticipant => "foreign_participant",
            Rule::OwnDomain => "own_domain",
            Rule::Conflict => "conflict",
            Rule::FlowReused => "flow_reused",
            Rule::WrongRole => "wrong_role",
            Rule::Malformed => "malformed",
        }
    }
}

/// What all conferences of a process share: identity, dice, flow ids, and the queue of what they want done.
#[derive(Debug)]
pub struct Context {
    /// Our domain.
    pub domain: Domain,
    /// Our public URL for clients.
    pub url: String,
    /// Ties the clocks.
    pub epoch: Epoch,
    /// The dice.
    pub rng: ChaCha12Rng,
    /// What is to be done.
    pub actions: VecDeque<Action>,
    /// Which flows there are.
    pub flows: Flows,
}

impl Context {
    fn say(&mut self, line: Line, message: Message) {
        self.actions.push_back(Action::Frame { line, message });
    }

    fn text(&mut self, session: SessionId, text: Arc<str>) {
        self.actions.push_back(Action::Text { session, text });
    }

    fn violation(&mut self, peer: &Domain, rule: Rule) {
        self.actions.push_back(Action::Violation {
            peer: peer.clone(),
            rule,
        });
    }
}

/// The flows of all links.
#[derive(Debug, Default)]
pub struct Flows {
    /// What comes in.
    pub received: HashMap<(LinkId, FlowId), Route>,
    /// What goes out.
    pub sent: HashMap<(LinkId, FlowId), Route>,
    next: u64,
}

impl Flows {
    /// A flow id that no link had yet; 0 is reserved for feedback.
    pub fn draw(&mut self) -> FlowId {
        self.next += 1;
        FlowId(self.next)
    }
}

/// Whose stream a flow is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route {
    /// The conference.
    pub conference: ConferenceNo,
    /// The publisher.
    pub seat: Seat,
    /// Which of its streams.
    pub track: Track,
}

/// What this SFT is in a conference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It owns the roster.
    Anchor,
    /// It follows the anchor's.
    Member,
}

/// A participant that opens its data channel.
#[derive(Debug)]
pub struct Newcomer {
    /// Who.
    pub id: ParticipantId,
    /// Its session.
    pub session: SessionId,
    /// Its ids in the roster.
    pub ssrcs: SsrcPair,
    /// Its video's SSRC where it sends no layers.
    pub video: Option<Ssrc>,
    /// Its slots.
    pub slots: SlotPlan,
    /// What it told about itself.
    pub props: Props,
    /// It showed a valid token.
    pub authenticated: bool,
}

/// One conference.
#[derive(Debug)]
pub struct Conference {
    no: ConferenceNo,
    key: ConferenceKey,
    role: Role,
    seats: Seats,
    // Who is local, by seat: the receivers that every packet is offered to.
    locals: Vec<Seat>,
    roster: Roster,
    ports: Vec<Port>,
    // At a member: whom the anchor was told of on the present stream. ≤ 2 × MAX_PARTICIPANTS
    announced: BTreeSet<ParticipantId>,
    // When there is something to do; `None`: not unless something happens.
    wake: Option<Instant>,
    // The wake that the owner was told of.
    alarm: Option<Instant>,
}

impl Conference {
    /// An empty conference.
    #[must_use]
    pub fn new(no: ConferenceNo, key: ConferenceKey, role: Role) -> Conference {
        Conference {
            no,
            key,
            role,
            seats: Seats::default(),
            locals: Vec::new(),
            roster: Roster::default(),
            ports: Vec::new(),
            announced: BTreeSet::new(),
            wake: None,
            alarm: None,
        }
    }

    /// Which conference it is.
    #[must_use]
    pub fn key(&self) -> &ConferenceKey {
        &self.key
    }

    /// What we are in it.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Who is in it.
    #[must_use]
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// The seats in the order of the roster.
    #[must_use]
    pub fn order(&self) -> &[Seat] {
        &self.roster.order
    }

    /// The call was announced before (a client came back to an SFT that does not know it): nobody is asked to do it again.
    pub fn announced(&mut self) {
        self.roster.started = true;
    }

    /// When [`Conference::handle_timeout`] is due, if that is sooner than the owner was told; `None`: nothing new.
    pub fn take_alarm(&mut self) -> Option<Instant> {
        let wake = self.wake?;
        let sooner = self.alarm.is_none_or(|alarm| wake < alarm);
        sooner.then(|| {
            self.alarm = Some(wake);
            wake
        })
    }

    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// A data channel opened: the newcomer takes its seat, at the end of the order. A session it had before is replaced.
    /// `None`: its id or its SSRC is someone else's, or there is no room; nothing has changed.
    pub fn open(&mut self, ctx: &mut Context, now: Instant, newcomer: Newcomer) -> Option<Seat> {
        if self.is_taken(&newcomer.id, newcomer.ssrcs.audio) || !self.seats.has_room_for(&newcomer.id) {
            return None;
        }
        let incarnation = self.replace(ctx, &newcomer.id)?;
        let (session, video) = (newcomer.session, newcomer.video);
        let audio = newcomer.ssrcs.audio;
        let seat = self.seats.take(Participant {
            home: ctx.domain.clone(),
            index: None,
            ssrcs: newcomer.ssrcs,
            muted: muted(&newcomer.props),
            props: newcomer.props,
            authenticated: newcomer.authenticated,
            incarnation,
            proof: None,
            place: Whereabouts::Local(Box::new(Receiver::new(session, &newcomer.slots, &mut ctx.rng))),
            accepts: SeatSet::default(),
            told: Vec::new(),
            streams: Default::default(),
            id: newcomer.id,
        });
        self.add_local_stream(ctx, now, seat, Track::Audio, audio);
        if let Some(video) = video {
            self.add_local_stream(ctx, now, seat, Track::Video(client_layer()), video);
        }
        self.locals = self.seats.local().collect();
        self.local_roster_changed(ctx, now);
        Some(seat)
    }

    /// Whether someone else has this SSRC.
    fn is_taken(&self, id: &ParticipantId, ssrc: Ssrc) -> bool {
        let mut others = self.seats.iter().filter(|(_, known)| known.id != *id);
        others.any(|(_, known)| known.ssrcs.audio == ssrc || known.ssrcs.video == ssrc)
    }

    /// Frees the seat that this participant had; `None`: someone elsewhere has the id. Says the newcomer's incarnation.
    fn replace(&mut self, ctx: &mut Context, id: &ParticipantId) -> Option<u32> {
        let Some(seat) = self.seats.of(id) else { return Some(0) };
        let participant = self.seats.at(seat)?;
        let session = participant.receiver()?.session;
        let incarnation = participant.incarnation.wrapping_add(1);
        ctx.actions.push_back(Action::End {
            session,
            reason: EndReason::Replaced,
        });
        self.vacate(ctx, seat);
        Some(incarnation)
    }

    /// A session ended: its participant leaves.
    pub fn leave(&mut self, ctx: &mut Context, now: Instant, seat: Seat) {
        self.vacate(ctx, seat);
        self.local_roster_changed(ctx, now);
    }

    /// Frees a seat and all that belongs to it; the caller tells the others.
    fn vacate(&mut self, ctx: &mut Context, seat: Seat) {
        self.drop_streams(ctx, seat);
        self.seats.free(seat);
        self.roster.order.retain(|other| *other != seat);
        self.locals = self.seats.local().collect();
    }

    /// Lets time pass: key frames, stalled layers, links that do not come back.
    pub fn handle_timeout(&mut self, ctx: &mut Context, now: Instant) {
        if self.wake.is_none_or(|wake| wake > now) {
            return;
        }
        self.wake = None;
        self.alarm = None;
        self.ports_timeout(ctx, now);
        self.pictures_timeout(ctx, now);
    }

    /// Nobody is here, and nobody is expected: the conference can go.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let waiting = match self.role {
            Role::Anchor => self.ports.iter().any(|port| port.state != port::PortState::Closed),
            Role::Member => false,
        };
        self.locals.is_empty() && !waiting
    }

    /// Ends all links of the conference in order.
    pub fn close(&mut self, ctx: &mut Context, code: Code) {
        for seat in self.seats.all() {
            self.vacate(ctx, seat);
        }
        for port in &mut self.ports {
            if let Some(line) = port.any_line() {
                ctx.say(line, Message::Detach { code });
                ctx.actions.push_back(Action::Finish { line });
            }
            port.state = port::PortState::Closed;
        }
    }

    /// The stream of a link belongs to this port.
    fn port_of(&self, link: LinkId, stream: StreamId) -> Option<port::PortNo> {
        let line = Line { link, stream };
        let at = self.ports.iter().position(|port| port.any_line() == Some(line))?;
        u16::try_from(at).ok().map(port::PortNo)
    }

    fn port(&self, no: port::PortNo) -> Option<&Port> {
        self.ports.get(usize::from(no.0))
    }

    fn port_mut(&mut self, no: port::PortNo) -> Option<&mut Port> {
        self.ports.get_mut(usize::from(no.0))
    }

    /// What a peer said on the conference's stream, after `attach`.
    pub fn frame(&mut self, ctx: &mut Context, now: Instant, line: Line, message: Message) {
        let Some(port) = self.port_of(line.link, line.stream) else {
            return;
        };
        match (self.role, message) {
            (Role::Anchor, Message::Announce { participants, sft }) => {
                self.merge(ctx, now, port, &participants, sft);
            }
            (Role::Member, Message::Roster(roster)) => self.follow(ctx, now, port, &roster),
            (_, Message::Authorize { from, add, remove }) => self.accept_elsewhere(ctx, now, port, from, &add, &remove),
            (_, Message::Props { from, props }) => self.props_elsewhere(ctx, port, from, props),
            (_, Message::Publish(publish)) => self.published(ctx, now, port, &publish),
            (_, Message::Unpublish { flow }) => self.unpublished(ctx, now, port, FlowId(flow)),
            (_, Message::Keyframe { flow }) => self.keyframe_asked(ctx, now, port, FlowId(flow)),
            (_, Message::Detach { .. }) => self.detached(ctx, now, port),
            (_, Message::Announce { .. } | Message::Roster(_)) => self.complain(ctx, port, Rule::WrongRole),
            _ => {}
        }
    }

    fn complain(&self, ctx: &mut Context, port: port::PortNo, rule: Rule) {
        if let Some(port) = self.port(port) {
            ctx.violation(&port.domain, rule);
        }
    }
}

/// A client without RIDs sends one encoding.
fn client_layer() -> crate::proto::link::message::Layer {
    crate::proto::link::message::Layer::Only
}

/// What `muted` says; absent: it is not.
fn muted(props: &Props) -> bool {
    props.get("muted").is_some_and(|value| value == "true")
}

fn line_of(seat: &Participant) -> client::RosterLine<'_> {
    client::roster_line(
        &seat.id,
        seat.ssrcs,
        client::RosterOrder {
            index: seat.index.unwrap_or(0),
            muted: seat.muted,
            domain: seat.home.as_str(),
        },
    )
}

#[cfg(test)]
mod tests;
