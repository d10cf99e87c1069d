//! One SFT without sockets and crypto: its conferences, and what they say to clients and peers.
//!
//! This is the core that the simulator runs: `handle` takes closed enums, `poll` gives closed enums, [`Relay::forward`] tells for
//! one RTP packet who gets it and how its header reads there. It sees parsed headers, never payloads; sessions and links are ids.

mod attach;
mod join;
mod links;
mod load;
mod refusal;
mod sessions;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use crate::conference::port::Line;
use crate::conference::{Action, Conference, ConferenceNo, Context, Flows};
use crate::federation;
use crate::federation::capability::Key;
use crate::ids::{
    ConferenceId, ConferenceKey, Domain, FlowId, LinkId, NodeName, ParticipantId, RequestId, SessionId, Ssrc,
};
use crate::proto::client::{Connect, Props, Status};
use crate::proto::link::message::{Code, Kind};
use crate::proto::rtp::Incoming;
use crate::relay::attach::Upstream;
use crate::relay::join::Waiting;
use crate::relay::links::{Link, Peer};
use crate::relay::sessions::Session;
use crate::token::Standing;
use crate::units::Epoch;

pub use crate::conference::forward::{Forwards, ToLink, ToSession, Unforwarded};
pub use crate::conference::{EndReason, Rule};
pub use crate::relay::load::Load;
pub use crate::relay::refusal::Refusal;

/// What happens to an SFT.
#[derive(Clone, Debug)]
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
        /// What its token lets it do.
        standing: Standing,
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
    /// A peer did what its domain may not: count it.
    Violation {
        /// The peer's domain.
        peer: Domain,
        /// Against which rule.
        rule: Rule,
    },
    /// A peer was refused: count it.
    PeerRefused {
        /// The domain it proved.
        peer: Domain,
        /// Why.
        code: Code,
    },
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

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    /// A client of ours.
    Session(SessionId),
    /// A peer.
    Link(LinkId, FlowId),
}

/// Who this SFT is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our domain.
    pub domain: Domain,
    /// Our node in it.
    pub node: NodeName,
    /// Grows with every start: milliseconds since the epoch.
    pub boot: u64,
    /// `SETUP.url`, `CONFPART.sfts`.
    pub public_url: String,
    /// What capabilities are made with (the first) and checked against (all).
    pub capability_keys: Vec<Key>,
    /// The domains that may federate with us. Empty: none.
    pub peers: Vec<Domain>,
}

/// Why [`Relay::handle_timeout`] has to be called.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Timer {
    /// A conference asked for it.
    Conference(ConferenceNo),
    /// A session may have fallen silent.
    Ping(SessionId),
    /// Requests wait for an anchor.
    Waiting(ConferenceNo),
    /// A member asks its anchor again.
    Ask(ConferenceNo),
    /// A member's `attach` is not answered.
    Answer(ConferenceNo, Line),
    /// A peer has not said `hello`.
    Hello(LinkId),
    /// A peer is dialled again.
    Redial(Domain),
}

/// One SFT.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    ctx: Context,
    conferences: BTreeMap<ConferenceNo, Conference>,
    by_key: BTreeMap<ConferenceKey, ConferenceNo>,
    // Looked up for every packet, never iterated (its order is not the same in every run).
    sessions: HashMap<SessionId, Session>,
    // The session whose answer is expected.
    unanswered: BTreeMap<(ConferenceId, ParticipantId), SessionId>,
    upstreams: BTreeMap<ConferenceNo, Upstream>,
    waiting: BTreeMap<ConferenceNo, Vec<Waiting>>,
    links: BTreeMap<LinkId, Link>,
    peers: BTreeMap<Domain, Peer>,
    timers: BTreeSet<(Instant, Timer)>,
    outputs: VecDeque<Output>,
    // Conferences that something happened to since the last `settle`.
    touched: BTreeSet<ConferenceNo>,
    draining: bool,
    next_conference: u64,
    next_session: u64,
}

impl Relay {
    /// An SFT without conferences.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], epoch: Epoch) -> Relay {
        let ctx = Context {
            domain: config.domain.clone(),
            url: config.public_url.clone(),
            epoch,
            rng: ChaCha12Rng::from_seed(seed),
            actions: VecDeque::new(),
            flows: Flows::default(),
        };
        let peers = config
            .peers
            .iter()
            .map(|domain| (domain.clone(), Peer::default()))
            .collect();
        Relay {
            config,
            ctx,
            conferences: BTreeMap::new(),
            by_key: BTreeMap::new(),
            sessions: HashMap::new(),
            unanswered: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            waiting: BTreeMap::new(),
            links: BTreeMap::new(),
            peers,
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            touched: BTreeSet::new(),
            draining: false,
            next_conference: 1,
            next_session: 1,
        }
    }

    /// Takes one input; [`Relay::poll`] afterwards until it is `None`.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Connect {
                request,
                conference,
                participant,
                connect,
                standing,
            } => {
                let waiting = Waiting {
                    request,
                    participant,
                    connect: *connect,
                    standing,
                    since: now,
                };
                self.connect(now, conference, waiting);
            }
            Input::Answered {
                session,
                audio,
                video,
                props,
            } => self.answered(session, (audio, video), props),
            Input::Opened { session } => self.opened(now, session),
            Input::Text { session, text } => self.text(now, session, &text),
            Input::PictureLost { session, slot } => self.picture_lost(now, session, slot),
            Input::Ended { session } => self.ended(now, session),
            Input::Link(event) => self.link_event(now, event),
            Input::Drain => self.draining = true,
        }
        self.settle();
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, timer)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer.clone()));
            match timer {
                Timer::Conference(no) => {
                    self.touched.insert(no);
                    let due = self.conferences.get_mut(&no);
                    due.into_iter()
                        .for_each(|conference| conference.handle_timeout(&mut self.ctx, now));
                }
                Timer::Ping(session) => self.ping_timeout(now, session),
                Timer::Waiting(no) => self.waiting_timeout(now, no),
                Timer::Ask(no) => self.ask_due(now, no),
                Timer::Answer(no, line) => self.answer_timeout(now, no, line),
                Timer::Hello(link) => self.hello_timeout(link),
                Timer::Redial(peer) => self.redial(&peer),
            }
        }
        self.settle();
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Relay::handle_timeout`] is due; `None`: never, unless something happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Tells who gets a packet. `forwards` is cleared first.
    ///
    /// # Errors
    /// Why it goes nowhere; count it.
    pub fn forward(
        &mut self,
        now: Instant,
        source: Source,
        packet: &Incoming,
        forwards: &mut Forwards,
    ) -> Result<(), Unforwarded> {
        forwards.sessions.clear();
        forwards.links.clear();
        let (no, result) = match source {
            Source::Session(id) => {
                let (no, seat) = self
                    .sessions
                    .get(&id)
                    .and_then(Session::seat)
                    .ok_or(Unforwarded::UnknownSource)?;
                let conference = self.conferences.get_mut(&no).ok_or(Unforwarded::UnknownSource)?;
                (no, conference.forward(&mut self.ctx, now, seat, packet, forwards))
            }
            Source::Link(link, flow) => {
                let route = *self
                    .ctx
                    .flows
                    .received
                    .get(&(link, flow))
                    .ok_or(Unforwarded::UnknownSource)?;
                let conference = self
                    .conferences
                    .get_mut(&route.conference)
                    .ok_or(Unforwarded::UnknownSource)?;
                (
                    route.conference,
                    conference.forward_track(now, route.seat, route.track, packet, forwards),
                )
            }
        };
        if !self.ctx.actions.is_empty() {
            self.settle();
        }
        self.arm(no);
        result
    }

    /// What a flow of a peer carries; `None`: it is none that we know.
    #[must_use]
    pub fn kind_of(&self, link: LinkId, flow: FlowId) -> Option<Kind> {
        let route = self.ctx.flows.received.get(&(link, flow))?;
        Some(route.track.kind())
    }

    /// The session whose SETUP answer is expected from this participant, if there is one.
    #[must_use]
    pub fn unanswered(&self, conference: &ConferenceId, participant: &ParticipantId) -> Option<SessionId> {
        self.unanswered.get(&(conference.clone(), participant.clone())).copied()
    }

    /// The conferences, for tests, metrics and the status page.
    pub fn conferences(&self) -> impl Iterator<Item = &Conference> {
        self.conferences.values()
    }

    /// Whether a link's peer has said `hello`.
    #[must_use]
    pub fn is_up(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.greeted.is_some())
    }

    /// Turns what conferences want into outputs, drops those that are over, and sets their timers.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.ctx.actions.pop_front() {
                self.act(action);
            }
            let touched = std::mem::take(&mut self.touched);
            self.drop_idle(&touched);
            touched.iter().for_each(|no| self.arm(*no));
            if self.ctx.actions.is_empty() && self.touched.is_empty() {
                break;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Text { session, text } => self.outputs.push_back(Output::Text { session, text }),
            Action::Pli { session, ssrc } => self.outputs.push_back(Output::Pli { session, ssrc }),
            Action::End { session, reason } => self.end(session, reason),
            Action::Frame { line, message } => self.command(federation::Command::Frame {
                link: line.link,
                stream: line.stream,
                message,
            }),
            Action::Finish { line } => self.finish(line),
            Action::Violation { peer, rule } => self.outputs.push_back(Output::Violation { peer, rule }),
        }
    }

    fn command(&mut self, command: federation::Command) {
        self.outputs.push_back(Output::Link(command));
    }

    /// Sets a conference's timer where it wants an earlier one than is set.
    fn arm(&mut self, no: ConferenceNo) {
        let Some(conference) = self.conferences.get_mut(&no) else {
            return;
        };
        if let Some(at) = conference.take_alarm() {
            self.timers.insert((at, Timer::Conference(no)));
        }
    }
}

#[cfg(test)]
mod tests;
