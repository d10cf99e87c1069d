//! Lets a video layer into a slot, beginning at a key frame.

use std::time::{Duration, Instant};

use crate::proto::link::message::Layer;
use crate::proto::rtp::FramePart;

/// Where frames are not marked: a picture from this long after our request is taken as the key frame. It stands for a round trip.
pub const UNMARKED_WAIT: Duration = Duration::from_millis(200);

/// What a packet may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It goes into the slot, first of its layer.
    Start,
    /// It goes into the slot.
    Pass,
    /// It does not.
    Hold,
}

/// What the gate looks at.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// The packet's layer.
    pub layer: Layer,
    /// Where in a frame it is.
    pub frame: FramePart,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// When its publisher was last asked for a key frame of this layer.
    pub asked: Option<Instant>,
}

/// The gate of one slot. It serves one source at a time; [`Gate::clear`] when the source changes.
#[derive(Debug, Default)]
pub struct Gate {
    showing: Option<Layer>,
    wanted: Option<Layer>,
    // The timestamp last seen on the wanted layer, to tell where a frame begins when nothing marks it.
    frame: Option<u32>,
}

impl Gate {
    /// The source changed or left: nothing is shown.
    pub fn clear(&mut self) {
        *self = Gate::default();
    }

    /// A layer begins with new numbers: where it was shown or waited for, it must begin with a key frame.
    pub fn renew(&mut self, layer: Layer) {
        self.showing = self.showing.filter(|shown| *shown != layer);
        self.wanted = self.wanted.filter(|wanted| *wanted != layer);
    }

    /// Wants another layer; the present one goes on until the other's key frame. Says whether that key frame must be asked for.
    pub fn aim(&mut self, layer: Layer) -> bool {
        if self.wanted == Some(layer) {
            return false;
        }
        self.wanted = Some(layer);
        self.frame = None;
        self.showing != Some(layer)
    }

    /// The receiver lost its picture: the next one must be a key frame. Says of which layer.
    pub fn wanted(&self) -> Option<Layer> {
        self.wanted
    }

    /// The layer that is shown; `None`: no picture yet.
    #[must_use]
    pub fn showing(&self) -> Option<Layer> {
        self.showing
    }

    /// Decides about one packet of the source.
    pub fn admit(&mut self, now: Instant, glance: Glance) -> Verdict {
        let switching = self.wanted == Some(glance.layer) && self.showing != self.wanted;
        if switching && self.begins(now, glance) {
            self.showing = self.wanted;
            return Verdict::Start;
        }
        if self.showing == Some(glance.layer) {
            Verdict::Pass
        } else {
            Verdict::Hold
        }
    }

    fn begins(&mut self, now: Instant, glance: Glance) -> bool {
        let new_frame = self
            .frame
            .replace(glance.timestamp)
            .is_some_and(|last| last != glance.timestamp);
        match glance.frame {
            FramePart::KeyframeStart => true,
            FramePart::Unknown => new_frame && glance.asked.is_some_and(|at| now >= at + UNMARKED_WAIT),
            FramePart::Start | FramePart::Inside => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests choose the start of time")]
    fn a_layer_begins_at_its_key_frame_and_the_old_one_goes_on_until_then() {
        let now = Instant::now();
        let look = |layer, frame| Glance {
            layer,
            frame,
            timestamp: 0,
            asked: None,
        };
        let mut gate = Gate::default();
        assert_eq!(
            gate.admit(now, look(Layer::Low, FramePart::KeyframeStart)),
            Verdict::Hold,
            "nobody asked"
        );
        assert!(gate.aim(Layer::Low));
        for (layer, frame, verdict) in [
            (Layer::Low, FramePart::Start, Verdict::Hold),
            (Layer::High, FramePart::KeyframeStart, Verdict::Hold),
            (Layer::Low, FramePart::KeyframeStart, Verdict::Start),
            (Layer::Low, FramePart::Inside, Verdict::Pass),
        ] {
            assert_eq!(gate.admit(now, look(layer, frame)), verdict, "{layer:?} {frame:?}");
        }
        assert!(gate.aim(Layer::High));
        assert!(!gate.aim(Layer::High), "asked for once");
        for (layer, frame, verdict) in [
            (Layer::Low, FramePart::Start, Verdict::Pass),
            (Layer::High, FramePart::Inside, Verdict::Hold),
            (Layer::High, FramePart::KeyframeStart, Verdict::Start),
            (Layer::Low, FramePart::KeyframeStart, Verdict::Hold),
        ] {
            assert_eq!(gate.admit(now, look(layer, frame)), verdict, "{layer:?} {frame:?}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests choose the start of time")]
    fn without_marks_a_frame_a_round_trip_after_the_request_begins() {
        let start = Instant::now();
        let mut gate = Gate::default();
        gate.aim(Layer::Only);
        let mut look = |ms, timestamp| {
            let glance = Glance {
                layer: Layer::Only,
                frame: FramePart::Unknown,
                timestamp,
                asked: Some(start),
            };
            gate.admit(start + Duration::from_millis(ms), glance)
        };
        assert_eq!(look(150, 1), Verdict::Hold);
        assert_eq!(look(210, 1), Verdict::Hold, "the middle of a frame");
        assert_eq!(look(220, 2), Verdict::Start);
        assert_eq!(look(221, 2), Verdict::Pass);
    }
}
