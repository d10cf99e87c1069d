//! Gives packets of changing sources the one numbering and time line of a slot.

use std::time::Instant;

use crate::units::{SeqNo, millis};

/// A source that jumps further ahead is taken as a new one (RFC 3550 appendix A.1, MAX_DROPOUT). Receivers find the roll-over
/// counter from the nearest number: half a turn at once, and an SRTP nonce would come again.
const MAX_JUMP: u64 = 3000;

/// Numbers and times of one slot.
#[derive(Debug)]
pub struct Rewriter {
    clock_hz: u32,
    last: Sent,
    line: Option<Line>,
}

/// The newest packet that left.
#[derive(Debug)]
struct Sent {
    number: u64,
    time: u32,
    at: Option<Instant>,
}

/// How the present source's numbers become the slot's.
#[derive(Debug)]
struct Line {
    from: SeqNo,
    to: u64,
    time_offset: u32,
}

/// A packet's place in its slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// For the header.
    pub sequence: u16,
    /// For the header.
    pub timestamp: u32,
}

impl Rewriter {
    /// A slot whose first packet gets the number after `first` (its low 15 bits count, so that receivers see no early wrap;
    /// RFC 3711 §3.3.1).
    #[must_use]
    pub fn new(clock_hz: u32, first: u32) -> Rewriter {
        let last = Sent {
            number: u64::from(first & 0x7fff),
            time: first,
            at: None,
        };
        Rewriter {
            clock_hz,
            last,
            line: None,
        }
    }

    /// A new source begins, or the old one comes back after a pause, with this packet.
    pub fn start(&mut self, now: Instant, number: SeqNo, timestamp: u32) {
        let elapsed = self
            .last
            .at
            .map_or(1, |at| millis(now.saturating_duration_since(at)).max(1));
        let ticks = elapsed.wrapping_mul(u64::from(self.clock_hz)) / 1000;
        #[expect(clippy::cast_possible_truncation, reason = "RTP time wraps (RFC 3550 §5.1)")]
        let resumed = self.last.time.wrapping_add(ticks as u32);
        self.line = Some(Line {
            from: number,
            to: self.last.number + 1,
            time_offset: resumed.wrapping_sub(timestamp),
        });
    }

    /// The packet's place; `None`: it is from before the source began.
    pub fn map(&mut self, now: Instant, number: SeqNo, timestamp: u32) -> Option<Place> {
        let out = self.continued(number)?;
        if out > self.last.number + MAX_JUMP {
            self.start(now, number, timestamp);
        }
        let out = self.continued(number)?;
        let line = self.line.as_ref()?;
        let time = timestamp.wrapping_add(line.time_offset);
        if out > self.last.number {
            self.last = Sent {
                number: out,
                time,
                at: Some(now),
            };
        }
        Some(Place {
            sequence: SeqNo(out).wire(),
            timestamp: time,
        })
    }

    /// The slot's number for a number of the present source; `None`: it is from before the source began.
    fn continued(&self, number: SeqNo) -> Option<u64> {
        let line = self.line.as_ref()?;
        Some(line.to + number.0.checked_sub(line.from.0)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests choose the start of time")]
    fn a_switch_continues_numbers_and_time() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut slot = Rewriter::new(90_000, 100);
        slot.start(at(0), SeqNo(70_000), 5_000);
        let first = slot.map(at(0), SeqNo(70_000), 5_000).unwrap();
        assert_eq!((first.sequence, first.timestamp), (101, 100 + 90));
        let skipped = slot.map(at(33), SeqNo(70_002), 8_000).unwrap();
        assert_eq!((skipped.sequence, skipped.timestamp), (103, 100 + 90 + 3000));
        let late = slot.map(at(34), SeqNo(70_001), 5_000).unwrap();
        assert_eq!(late.sequence, 102);
        slot.start(at(133), SeqNo(9), 1);
        let switched = slot.map(at(133), SeqNo(9), 1).unwrap();
        assert_eq!((switched.sequence, switched.timestamp), (104, 100 + 90 + 3000 + 9000));
        assert_eq!(slot.map(at(134), SeqNo(8), 1), None, "from before the switch");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests choose the start of time")]
    fn a_source_that_jumps_does_not_take_the_slot_along() {
        let now = Instant::now();
        let mut slot = Rewriter::new(48_000, 100);
        slot.start(now, SeqNo(70_000), 0);
        let mut next = 101;
        // One packet each: in order, a loss, more than a burst of loss, nearly a turn, half a turn, far more than one.
        for (number, out) in [
            (70_000, 101),
            (70_010, 111),
            (74_000, 112),
            (139_000, 113),
            (171_768, 114),
            (9_000_000, 115),
        ] {
            let place = slot.map(now, SeqNo(number), 0).unwrap();
            assert_eq!(place.sequence, out, "{number}");
            assert!(place.sequence >= next);
            next = place.sequence + 1;
        }
        assert_eq!(slot.map(now, SeqNo(171_769), 0), None, "from before the jump");
    }
}
