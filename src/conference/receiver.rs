//! The slots of one local participant: what it hears and sees.

use std::time::Instant;

use rand::RngExt;
use rand_chacha::ChaCha12Rng;

use crate::conference::participant::Track;
use crate::conference::seat::Seat;
use crate::ids::{SessionId, Ssrc};
use crate::proto::client::Selection;
use crate::select::gate::Gate;
use crate::select::rewrite::{Place, Rewriter};
use crate::select::speaker::{AudioSlots, Claim};
use crate::units::SeqNo;

/// Opus' RTP clock (RFC 7587 §4.1).
const AUDIO_CLOCK_HZ: u32 = 48_000;
/// The RTP clock of every video codec in use (RFC 7741 §4.1).
const VIDEO_CLOCK_HZ: u32 = 90_000;

/// The SSRCs of a session's slots, in order of their m-lines.
#[derive(Clone, Debug, Default)]
pub struct SlotPlan {
    /// Audio.
    pub audio: Vec<Ssrc>,
    /// Video, each with the SSRC of its retransmissions.
    pub video: Vec<(Ssrc, Ssrc)>,
}

impl SlotPlan {
    /// Draws SSRCs that are unique within the session.
    #[must_use]
    pub fn draw(rng: &mut ChaCha12Rng, audio: usize, video: usize) -> SlotPlan {
        let mut drawn: Vec<u32> = Vec::with_capacity(audio + 2 * video);
        while drawn.len() < audio + 2 * video {
            let ssrc = rng.random_range(1..u32::MAX);
            if !drawn.contains(&ssrc) {
                drawn.push(ssrc);
            }
        }
        let mut next = drawn.into_iter().map(Ssrc);
        let audio = next.by_ref().take(audio).collect();
        let video = std::iter::from_fn(|| Some((next.next()?, next.next()?))).collect();
        SlotPlan { audio, video }
    }
}

/// What one local participant receives.
#[derive(Debug)]
pub struct Receiver {
    /// Its session.
    pub session: SessionId,
    /// What its client asked to see.
    pub wanted: Vec<Selection>,
    /// Its video slots.
    pub video: Vec<VideoSlot>,
    speakers: AudioSlots,
    audio: Vec<AudioSlot>,
}

#[derive(Debug)]
struct AudioSlot {
    ssrc: Ssrc,
    rewriter: Rewriter,
}

/// One video slot.
#[derive(Debug)]
pub struct VideoSlot {
    /// Its SSRC.
    pub ssrc: Ssrc,
    /// Whose video it shows; `None`: nobody's.
    pub source: Option<Seat>,
    /// Which layer passes.
    pub gate: Gate,
    /// Its numbers.
    pub rewriter: Rewriter,
}

impl Receiver {
    /// Slots that show nobody yet.
    #[must_use]
    pub fn new(session: SessionId, plan: &SlotPlan, rng: &mut ChaCha12Rng) -> Receiver {
        let mut rewriter = |clock_hz| Rewriter::new(clock_hz, rng.random());
        let audio = plan
            .audio
            .iter()
            .map(|&ssrc| AudioSlot {
                ssrc,
                rewriter: rewriter(AUDIO_CLOCK_HZ),
            })
            .collect();
        let video = plan.video.iter().map(|&(ssrc, _)| VideoSlot {
            ssrc,
            source: None,
            gate: Gate::default(),
            rewriter: rewriter(VIDEO_CLOCK_HZ),
        });
        let video = video.collect();
        Receiver {
            session,
            wanted: Vec::new(),
            video,
            speakers: AudioSlots::default(),
            audio,
        }
    }

    /// Where one audio packet is heard; `None`: it is not.
    pub fn hear(&mut self, now: Instant, claim: Claim, number: SeqNo, timestamp: u32) -> Option<(Ssrc, Place)> {
        let placed = self.speakers.place(now, claim)?;
        let slot = self.audio.get_mut(placed.slot)?;
        if placed.fresh {
            slot.rewriter.start(now, number, timestamp);
        }
        Some((slot.ssrc, slot.rewriter.map(now, number, timestamp)?))
    }

    /// A source's numbers cannot be continued (it came back with a new session), or it left.
    pub fn forget(&mut self, source: Seat) {
        self.speakers.remove(source.0);
        for slot in self.video.iter_mut().filter(|slot| slot.source == Some(source)) {
            slot.source = None;
            slot.gate.clear();
        }
    }

    /// A source's stream begins with new numbers.
    pub fn restart(&mut self, source: Seat, track: Track) {
        let Track::Video(layer) = track else {
            return self.speakers.remove(source.0);
        };
        for slot in self.video.iter_mut().filter(|slot| slot.source == Some(source)) {
            slot.gate.renew(layer);
        }
    }

    /// Who is heard, by slot.
    pub fn heard(&self) -> impl Iterator<Item = Option<Seat>> + '_ {
        self.speakers.heard().map(|source| source.map(Seat))
    }
}
