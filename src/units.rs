//! Numbers with a unit: rates, sequence numbers, audio levels, wall-clock time.

use std::time::{Duration, Instant};

/// A rate in bits per second.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Bitrate(pub u64);

impl Bitrate {
    /// From kilobits (1000 bits) per second.
    #[must_use]
    pub const fn kbps(kbps: u64) -> Bitrate {
        Bitrate(kbps * 1000)
    }
}

/// An RTP sequence number that never wraps; its low 16 bits are on the wire (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SeqNo(pub u64);

impl SeqNo {
    /// The sequence number nearest `self` that ends in `wire` (as RFC 3711 §3.3.1 finds the index).
    #[must_use]
    pub fn nearest(self, wire: u16) -> SeqNo {
        let step = wire.wrapping_sub(self.wire()).cast_signed();
        SeqNo(self.0.saturating_add_signed(step.into()))
    }

    /// The 16 bits that go on the wire.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    pub const fn wire(self) -> u16 {
        self.0 as u16
    }
}

/// How loud a packet is: 0 is the loudest, 127 is silence (−dBov, RFC 6464 §3).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AudioLevel(pub u8);

impl AudioLevel {
    /// Digital silence.
    pub const SILENCE: AudioLevel = AudioLevel(127);
}

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct WallTime(pub u64);

/// Ties the monotonic clock to the wall clock once, so that cores read neither.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    /// The monotonic time …
    pub instant: Instant,
    /// … at this wall time.
    pub wall: WallTime,
}

impl Epoch {
    /// The wall time at `now`.
    #[must_use]
    pub fn wall(&self, now: Instant) -> WallTime {
        let since = now.saturating_duration_since(self.instant);
        WallTime(self.wall.0.saturating_add(millis(since)))
    }
}

/// Whole milliseconds of a duration, at most `u64::MAX`.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_sequence_number_wraps_forward_and_steps_back() {
        let at = SeqNo(0x1_fffe);
        assert_eq!(at.nearest(0x0001), SeqNo(0x2_0001));
        assert_eq!(at.nearest(0xfff0), SeqNo(0x1_fff0));
        assert_eq!(SeqNo(3).nearest(0xffff), SeqNo(0));
    }
}
