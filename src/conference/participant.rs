//! Participants, their streams, and the table of them.

use std::time::{Duration, Instant};

use crate::conference::port::PortNo;
use crate::conference::receiver::Receiver;
use crate::conference::seat::{Seat, SeatSet};
use crate::ids::{Domain, FlowId, LinkId, ParticipantId, Ssrc};
use crate::limits::{MAX_PARTICIPANTS, MAX_ROSTER_BYTES};
use crate::proto::client::{Props, SsrcPair};
use crate::proto::link::message::{Kind, Layer};
use crate::select::keyframe::Keyframes;
use crate::select::numbering::Numbering;
use crate::units::AudioLevel;

/// A layer without packets for this long is not there: senders pause upper layers when their link is full.
const STALL: Duration = Duration::from_millis(1500);
/// Bytes of the largest entry of a roster: the longest ids, domain and proof.
const MAX_ENTRY_BYTES: usize = 2048;

/// One client device in the conference.
#[derive(Debug)]
pub struct Participant {
    /// Who.
    pub id: ParticipantId,
    /// Whose; never changes while it is in the roster.
    pub home: Domain,
    /// Its place in the merged order; `None` at a member until the anchor said.
    pub index: Option<u32>,
    /// Its ids in the roster.
    pub ssrcs: SsrcPair,
    /// From its props.
    pub muted: bool,
    /// What it tells about itself.
    pub props: Props,
    /// Its client showed a valid token.
    pub authenticated: bool,
    /// Rises with every new session of the same participant.
    pub incarnation: u32,
    /// Reserved: its home SFT's signature.
    pub proof: Option<String>,
    /// Here, or behind a link.
    pub place: Whereabouts,
    /// Whom it accepts.
    pub accepts: SeatSet,
    /// What each link was told of whom it accepts.
    pub told: Vec<(PortNo, SeatSet)>,
    /// What it sends, by [`Track`].
    pub streams: [Option<Stream>; Track::COUNT],
}

/// Where a participant is.
#[derive(Debug)]
pub enum Whereabouts {
    /// It has a session here.
    Local(Box<Receiver>),
    /// It is behind a link of the conference.
    Remote(PortNo),
}

/// Which of a participant's streams.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Track {
    /// Its audio.
    Audio,
    /// A layer of its video.
    Video(Layer),
}

impl Track {
    /// How many there can be.
    pub const COUNT: usize = 4;
    /// The layers of a video.
    pub const VIDEO: [Track; 3] = [
        Track::Video(Layer::Low),
        Track::Video(Layer::High),
        Track::Video(Layer::Only),
    ];

    /// The track of a `publish`.
    #[must_use]
    pub fn new(kind: Kind, layer: Layer) -> Track {
        match kind {
            Kind::Audio => Track::Audio,
            Kind::Video => Track::Video(layer),
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Track> {
        std::iter::once(Track::Audio).chain(Track::VIDEO)
    }

    /// Its number, below [`Track::COUNT`].
    #[must_use]
    pub fn slot(self) -> usize {
        match self {
            Track::Audio => 0,
            Track::Video(Layer::Low) => 1,
            Track::Video(Layer::High) => 2,
            Track::Video(Layer::Only) => 3,
        }
    }

    /// Audio or video.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Track::Audio => Kind::Audio,
            Track::Video(_) => Kind::Video,
        }
    }

    /// The layer that a `publish` says.
    #[must_use]
    pub fn layer(self) -> Layer {
        match self {
            Track::Audio => Layer::Only,
            Track::Video(layer) => layer,
        }
    }
}

/// Where a stream's packets come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A session here, under this SSRC.
    Session(Ssrc),
    /// A flow of a link.
    Flow(LinkId, FlowId),
}

/// One stream, as it comes in.
#[derive(Debug)]
pub struct Stream {
    /// Where from.
    pub origin: Origin,
    /// Its numbers.
    pub numbering: Numbering,
    /// Smoothed; audio only.
    pub level: AudioLevel,
    /// Requests for key frames; video only.
    pub keyframes: Keyframes,
    /// When the last packet came; `None`: none yet.
    pub last: Option<Instant>,
    /// Under which flows it leaves, by link.
    pub flows: Vec<(PortNo, LinkId, FlowId)>,
}

impl Stream {
    /// A stream that has had no packet.
    #[must_use]
    pub fn new(origin: Origin) -> Stream {
        Stream {
            origin,
            numbering: Numbering::default(),
            level: AudioLevel::SILENCE,
            keyframes: Keyframes::default(),
            last: None,
            flows: Vec::new(),
        }
    }

    /// Whether packets came lately.
    #[must_use]
    pub fn live(&self, now: Instant) -> bool {
        self.last
            .is_some_and(|last| now.saturating_duration_since(last) < STALL)
    }
}

impl Participant {
    /// Its receiver, where it is local.
    #[must_use]
    pub fn receiver(&self) -> Option<&Receiver> {
        match &self.place {
            Whereabouts::Local(receiver) => Some(receiver),
            Whereabouts::Remote(_) => None,
        }
    }

    /// Its receiver, where it is local.
    pub fn receiver_mut(&mut self) -> Option<&mut Receiver> {
        match &mut self.place {
            Whereabouts::Local(receiver) => Some(receiver),
            Whereabouts::Remote(_) => None,
        }
    }

    /// The link it is behind; `None`: it is local.
    #[must_use]
    pub fn port(&self) -> Option<PortNo> {
        match &self.place {
            Whereabouts::Local(_) => None,
            Whereabouts::Remote(port) => Some(*port),
        }
    }

    /// Bytes that it takes in a roster, at most.
    #[must_use]
    pub fn roster_bytes(&self) -> usize {
        // Names of fields, numbers and punctuation of an entry.
        const REST: usize = 192;
        let proof = self.proof.as_ref().map_or(0, String::len);
        REST + self.id.user.as_str().len() + self.id.client.as_str().len() + self.home.as_str().len() + proof
    }

    /// One of its streams.
    #[must_use]
    pub fn stream(&self, track: Track) -> Option<&Stream> {
        self.streams.get(track.slot())?.as_ref()
    }

    /// One of its streams.
    pub fn stream_mut(&mut self, track: Track) -> Option<&mut Stream> {
        self.streams.get_mut(track.slot())?.as_mut()
    }

    /// What was told to a link, to be changed.
    pub fn told_mut(&mut self, port: PortNo) -> &mut SeatSet {
        let at = self
            .told
            .iter()
            .position(|(known, _)| *known == port)
            .unwrap_or_else(|| {
                self.told.push((port, SeatSet::default()));
                self.told.len() - 1
            });
        &mut self.told.get_mut(at).expect("found or pushed just now").1
    }
}

/// The participants of one conference.
#[derive(Debug, Default)]
pub struct Seats {
    seats: Vec<Option<Participant>>,
}

impl Seats {
    /// Gives a participant a seat.
    pub fn take(&mut self, participant: Participant) -> Seat {
        let free = self.seats.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len() - 1
        });
        if let Some(place) = self.seats.get_mut(at) {
            *place = Some(participant);
        }
        Seat(u16::try_from(at).expect("limits::MAX_PARTICIPANTS is checked before and far below"))
    }

    /// Frees a seat; nobody accepts it any more, and no link was told of it.
    pub fn free(&mut self, seat: Seat) -> Option<Participant> {
        let left = self.seats.get_mut(usize::from(seat.0))?.take();
        for other in self.seats.iter_mut().flatten() {
            other.accepts.remove(seat);
            for (_, told) in &mut other.told {
                told.remove(seat);
            }
            if let Some(receiver) = other.receiver_mut() {
                receiver.forget(seat);
            }
        }
        left
    }

    /// Who sits there.
    #[must_use]
    pub fn at(&self, seat: Seat) -> Option<&Participant> {
        self.seats.get(usize::from(seat.0))?.as_ref()
    }

    /// Who sits there.
    pub fn at_mut(&mut self, seat: Seat) -> Option<&mut Participant> {
        self.seats.get_mut(usize::from(seat.0))?.as_mut()
    }

    /// Everyone, by seat.
    pub fn iter(&self) -> impl Iterator<Item = (Seat, &Participant)> {
        (0..)
            .map(Seat)
            .zip(&self.seats)
            .filter_map(|(seat, place)| Some((seat, place.as_ref()?)))
    }

    /// Everyone's seat.
    #[must_use]
    pub fn all(&self) -> Vec<Seat> {
        self.iter().map(|(seat, _)| seat).collect()
    }

    /// The seats behind a link.
    pub fn behind(&self, port: PortNo) -> impl Iterator<Item = Seat> + '_ {
        self.iter()
            .filter(move |(_, participant)| participant.port() == Some(port))
            .map(|(seat, _)| seat)
    }

    /// The seats of local participants.
    pub fn local(&self) -> impl Iterator<Item = Seat> + '_ {
        self.iter()
            .filter(|(_, participant)| participant.port().is_none())
            .map(|(seat, _)| seat)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.iter().flatten().count()
    }

    /// Whether nobody else has room: by number, or by what a roster may have in bytes.
    #[must_use]
    pub fn full(&self) -> bool {
        let bytes: usize = self.seats.iter().flatten().map(Participant::roster_bytes).sum();
        self.len() >= MAX_PARTICIPANTS || bytes + MAX_ENTRY_BYTES > MAX_ROSTER_BYTES
    }

    /// Whether this participant can come: there is room, or it has a seat already.
    #[must_use]
    pub fn has_room_for(&self, id: &ParticipantId) -> bool {
        !self.full() || self.of(id).is_some()
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seat of an id.
    #[must_use]
    pub fn of(&self, id: &ParticipantId) -> Option<Seat> {
        self.iter()
            .find(|(_, participant)| participant.id == *id)
            .map(|(seat, _)| seat)
    }

    /// The seat at a place of the merged order.
    #[must_use]
    pub fn at_index(&self, index: u32) -> Option<Seat> {
        self.iter()
            .find(|(_, participant)| participant.index == Some(index))
            .map(|(seat, _)| seat)
    }

    /// Whether an SSRC is anybody's, as audio or as video.
    #[must_use]
    pub fn uses(&self, ssrc: Ssrc) -> bool {
        self.seats
            .iter()
            .flatten()
            .any(|participant| participant.ssrcs.audio == ssrc || participant.ssrcs.video == ssrc)
    }

    /// Both accept each other: media may flow.
    #[must_use]
    pub fn agree(&self, one: Seat, other: Seat) -> bool {
        let accepts = |from, to| self.at(from).is_some_and(|participant| participant.accepts.has(to));
        accepts(one, other) && accepts(other, one)
    }
}
