//! The path of a packet: who gets it, and under which numbers. Nothing here allocates in the steady state.

use std::time::{Duration, Instant};

use crate::conference::participant::{Origin, Participant, Stream, Track};
use crate::conference::seat::{Seat, SeatSet};
use crate::conference::{Conference, Context};
use crate::ids::{FlowId, LinkId, SessionId, Ssrc};
use crate::proto::link::message::Kind;
use crate::proto::rtp::{FramePart, Incoming};
use crate::select::gate::{Glance, UNMARKED_WAIT, Verdict};
use crate::select::speaker::Claim;
use crate::units::{AudioLevel, SeqNo};

/// A client that says no level is taken for speaking, or it would never be heard.
const ASSUMED_LEVEL: AudioLevel = AudioLevel(40);

/// A layer that has had packets within this time keeps its SSRC: or a sender that alternates two would make every link publish anew
/// with every packet.
const SETTLED: Duration = Duration::from_millis(300);

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
    /// Its number was there before, or is too old.
    Repeated,
}

/// One packet, with what its stream made of it.
#[derive(Clone, Copy, Debug)]
struct Packet {
    publisher: Seat,
    number: SeqNo,
    timestamp: u32,
    csrc: Ssrc,
}

impl Conference {
    /// Tells who gets a packet of a local participant.
    ///
    /// # Errors
    /// Why it goes nowhere.
    pub fn forward(
        &mut self,
        ctx: &mut Context,
        now: Instant,
        seat: Seat,
        packet: &Incoming,
        out: &mut Forwards,
    ) -> Result<(), Unforwarded> {
        let track = match self.track_of(seat, packet.ssrc) {
            Some(track) => track,
            None => self.learn(ctx, now, seat, packet)?,
        };
        self.forward_track(now, seat, track, packet, out)
    }

    fn track_of(&self, seat: Seat, ssrc: Ssrc) -> Option<Track> {
        let participant = self.seats.at(seat)?;
        let origin = Some(Origin::Session(ssrc));
        Track::all().find(|track| participant.stream(*track).map(|stream| stream.origin) == origin)
    }

    /// The first packet of a layer says which one it is (RFC 8852 §3.1); a sender that starts anew has new SSRCs.
    fn learn(&mut self, ctx: &mut Context, now: Instant, seat: Seat, packet: &Incoming) -> Result<Track, Unforwarded> {
        if packet.padding_only {
            return Err(Unforwarded::Padding);
        }
        let layer = packet.layer.ok_or(Unforwarded::UnknownSsrc)?;
        let track = Track::Video(layer);
        let known = self.seats.at(seat).and_then(|publisher| publisher.stream(track));
        let busy = known
            .and_then(|stream| stream.last)
            .is_some_and(|last| now < last + SETTLED);
        if busy {
            return Err(Unforwarded::UnknownSsrc);
        }
        self.add_local_stream(ctx, now, seat, track, packet.ssrc);
        Ok(track)
    }

    /// Tells who gets a packet of a known stream.
    ///
    /// # Errors
    /// Why it goes nowhere.
    pub fn forward_track(
        &mut self,
        now: Instant,
        seat: Seat,
        track: Track,
        packet: &Incoming,
        out: &mut Forwards,
    ) -> Result<(), Unforwarded> {
        if packet.padding_only {
            return Err(Unforwarded::Padding);
        }
        let publisher = self.seats.at_mut(seat).ok_or(Unforwarded::UnknownSource)?;
        let (audio, video) = (publisher.ssrcs.audio, publisher.ssrcs.video);
        let stream = publisher.stream_mut(track).ok_or(Unforwarded::UnknownSsrc)?;
        let number = stream.numbering.take(packet.sequence).ok_or(Unforwarded::Repeated)?;
        let resumed = !stream.live(now);
        stream.last = Some(now);
        stream.level = smoothed(stream.level, packet.level);
        if served(stream, now, packet.frame) {
            stream.keyframes.satisfied();
        }
        let kind = track.kind();
        out.links.extend(stream.flows.iter().map(|(_, link, flow)| ToLink {
            link: *link,
            flow: *flow,
            kind,
        }));
        let (level, asked) = (stream.level, stream.keyframes.last_asked());
        if resumed && kind == Kind::Video {
            self.aim_everyone(now);
        }
        let csrc = if kind == Kind::Audio { audio } else { video };
        let placed = Packet {
            publisher: seat,
            number,
            timestamp: packet.timestamp,
            csrc,
        };
        match track {
            Track::Audio => self.hear(now, placed, level, out),
            Track::Video(layer) => {
                let glance = Glance {
                    layer,
                    frame: packet.frame,
                    timestamp: packet.timestamp,
                    asked,
                };
                self.show(now, placed, glance, out);
            }
        }
        Ok(())
    }

    /// Runs over the local receivers that the publisher and that accept each other.
    fn receivers(&mut self, publisher: Seat, mut each: impl FnMut(&mut Participant)) {
        // Taken out for the loop, so that receivers can be changed meanwhile.
        let accepts = self
            .seats
            .at_mut(publisher)
            .map(|known| std::mem::take(&mut known.accepts))
            .unwrap_or_default();
        let agreed = |accepts: &SeatSet, seat: Seat| seat != publisher && accepts.has(seat);
        for at in 0..self.locals.len() {
            let Some(seat) = self.locals.get(at).copied().filter(|seat| agreed(&accepts, *seat)) else {
                continue;
            };
            if let Some(receiver) = self.seats.at_mut(seat).filter(|known| known.accepts.has(publisher)) {
                each(receiver);
            }
        }
        if let Some(known) = self.seats.at_mut(publisher) {
            known.accepts = accepts;
        }
    }

    fn hear(&mut self, now: Instant, packet: Packet, level: AudioLevel, out: &mut Forwards) {
        let reserved = self.roster.order.first() == Some(&packet.publisher);
        let claim = Claim {
            source: packet.publisher.0,
            level,
            reserved,
        };
        self.receivers(packet.publisher, |participant| {
            let Some(receiver) = participant.receiver_mut() else {
                return;
            };
            let session = receiver.session;
            let Some((ssrc, place)) = receiver.hear(now, claim, packet.number, packet.timestamp) else {
                return;
            };
            out.sessions.push(ToSession {
                session,
                ssrc,
                sequence: place.sequence,
                timestamp: place.timestamp,
                csrc: packet.csrc,
                kind: Kind::Audio,
            });
        });
    }

    fn show(&mut self, now: Instant, packet: Packet, glance: Glance, out: &mut Forwards) {
        self.receivers(packet.publisher, |participant| {
            let Some(receiver) = participant.receiver_mut() else {
                return;
            };
            let session = receiver.session;
            let slots = receiver
                .video
                .iter_mut()
                .filter(|slot| slot.source == Some(packet.publisher));
            for slot in slots {
                match slot.gate.admit(now, glance) {
                    Verdict::Hold => continue,
                    Verdict::Start => slot.rewriter.start(now, packet.number, packet.timestamp),
                    Verdict::Pass => {}
                }
                let Some(place) = slot.rewriter.map(now, packet.number, packet.timestamp) else {
                    continue;
                };
                out.sessions.push(ToSession {
                    session,
                    ssrc: slot.ssrc,
                    sequence: place.sequence,
                    timestamp: place.timestamp,
                    csrc: packet.csrc,
                    kind: Kind::Video,
                });
            }
        });
    }
}

/// Whether a packet is the key frame that was asked for, as far as it can be told.
fn served(stream: &Stream, now: Instant, frame: FramePart) -> bool {
    let late = stream
        .keyframes
        .last_asked()
        .is_some_and(|asked| now >= asked + UNMARKED_WAIT);
    frame == FramePart::KeyframeStart || (frame == FramePart::Unknown && late)
}

fn smoothed(before: AudioLevel, now: Option<AudioLevel>) -> AudioLevel {
    let now = now.unwrap_or(ASSUMED_LEVEL);
    // Up at once, so that first words are heard; down slowly.
    AudioLevel(if now < before { now.0 } else { before.0 / 2 + now.0 / 2 })
}
