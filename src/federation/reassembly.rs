//! Puts packets together that crossed a link in two pieces.
//!
//! Pieces come in any order and may be lost or doubled. A piece waits for its other half in a slot of its own; slots are few
//! ([`MAX_REASSEMBLIES`]) and keep their memory, so that nothing is allocated once a link runs.

use std::time::Instant;

use crate::ids::FlowId;
use crate::limits::{MAX_REASSEMBLIES, MAX_RTP_BYTES, REASSEMBLY_TIMEOUT};
use crate::proto::link::datagram::{Datagram, Part};

/// A half that waits for the other.
#[derive(Debug)]
struct Waiting {
    flow: FlowId,
    counter: u16,
    half: Half,
    since: Instant,
    // ≤ MAX_RTP_BYTES
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Half {
    First,
    Last,
}

/// The packets of one link that are being put together.
#[derive(Debug, Default)]
pub struct Reassembler {
    // ≤ MAX_REASSEMBLIES
    waiting: Vec<Waiting>,
    // buffers of former slots; waiting.len() + spare.len() ≤ MAX_REASSEMBLIES
    spare: Vec<Vec<u8>>,
    complete: Vec<u8>,
    incomplete: u64,
}

impl Reassembler {
    /// Takes a datagram and gives a packet where it completes one: itself where it is whole.
    ///
    /// `None`: the other half is missing, or together they are longer than [`MAX_RTP_BYTES`].
    pub fn push<'a>(&'a mut self, now: Instant, datagram: &Datagram<'a>) -> Option<&'a [u8]> {
        let (half, counter) = match datagram.part {
            Part::Whole => return Some(datagram.bytes),
            Part::First(counter) => (Half::First, counter),
            Part::Last(counter) => (Half::Last, counter),
        };
        self.drop_stale(now);
        let matches = |slot: &Waiting| slot.flow == datagram.flow && slot.counter == counter;
        match self.waiting.iter().position(matches) {
            Some(slot) if self.waiting.get(slot)?.half != half => self.join(slot, datagram.bytes),
            // The same half again: doubled on the way. The one we have is as good.
            Some(_) => None,
            None => {
                self.wait(now, datagram, half, counter);
                None
            }
        }
    }

    /// How many packets were given up because their other half did not come.
    #[must_use]
    pub const fn incomplete(&self) -> u64 {
        self.incomplete
    }

    fn join(&mut self, slot: usize, bytes: &[u8]) -> Option<&[u8]> {
        let other = self.waiting.swap_remove(slot);
        self.complete.clear();
        if other.bytes.len() + bytes.len() <= MAX_RTP_BYTES {
            let (first, last) = match other.half {
                Half::First => (&*other.bytes, bytes),
                Half::Last => (bytes, &*other.bytes),
            };
            self.complete.extend_from_slice(first);
            self.complete.extend_from_slice(last);
        }
        self.spare.push(other.bytes);
        (!self.complete.is_empty()).then_some(&*self.complete)
    }

    fn wait(&mut self, now: Instant, datagram: &Datagram, half: Half, counter: u16) {
        if datagram.bytes.len() > MAX_RTP_BYTES {
            return;
        }
        if self.waiting.len() >= MAX_REASSEMBLIES {
            self.drop_oldest();
        }
        let mut bytes = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(MAX_RTP_BYTES));
        bytes.clear();
        bytes.extend_from_slice(datagram.bytes);
        self.waiting.push(Waiting {
            flow: datagram.flow,
            counter,
            half,
            since: now,
            bytes,
        });
    }

    fn drop_oldest(&mut self) {
        let oldest = self.waiting.iter().enumerate().min_by_key(|(_, slot)| slot.since);
        if let Some((slot, _)) = oldest {
            self.give_up(slot);
        }
    }

    fn drop_stale(&mut self, now: Instant) {
        let stale = |slot: &Waiting| now.saturating_duration_since(slot.since) > REASSEMBLY_TIMEOUT;
        while let Some(slot) = self.waiting.iter().position(stale) {
            self.give_up(slot);
        }
    }

    fn give_up(&mut self, slot: usize) {
        self.spare.push(self.waiting.swap_remove(slot).bytes);
        self.incomplete += 1;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;
    use crate::proto::link::datagram::fragments;
    use std::time::Duration;

    const PACKET: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9];

    fn pieces(flow: u64, counter: u16) -> [Datagram<'static>; 2] {
        let pieces: Vec<_> = fragments(FlowId(flow), counter, PACKET, 10)
            .map(|(part, bytes)| Datagram {
                flow: FlowId(flow),
                part,
                bundle: false,
                bytes,
            })
            .collect();
        pieces.try_into().unwrap()
    }

    #[test]
    fn two_halves_make_a_packet_in_either_order() {
        let now = Instant::now();
        let [first, last] = pieces(1, 1);
        for (one, other) in [(first, last), (last, first)] {
            let mut reassembler = Reassembler::default();
            assert_eq!(reassembler.push(now, &one), None);
            assert_eq!(reassembler.push(now, &one), None, "doubled");
            assert_eq!(reassembler.push(now, &other), Some(PACKET));
            assert_eq!(reassembler.push(now, &other), None, "late double");
        }
    }

    #[test]
    fn whole_packets_pass_and_halves_of_others_never_meet() {
        let now = Instant::now();
        let mut reassembler = Reassembler::default();
        let whole = Datagram {
            flow: FlowId(1),
            part: Part::Whole,
            bundle: false,
            bytes: PACKET,
        };
        assert_eq!(reassembler.push(now, &whole), Some(PACKET));
        let ([first, _], [_, other_counter], [_, other_flow]) = (pieces(1, 1), pieces(1, 2), pieces(2, 1));
        for datagram in [first, other_counter, other_flow] {
            assert_eq!(reassembler.push(now, &datagram), None);
        }
    }

    #[test]
    fn a_half_does_not_wait_for_ever() {
        let now = Instant::now();
        let mut reassembler = Reassembler::default();
        let [first, last] = pieces(1, 1);
        reassembler.push(now, &first);
        let later = now + REASSEMBLY_TIMEOUT + Duration::from_millis(1);
        assert_eq!(reassembler.push(later, &last), None);
        assert_eq!(reassembler.incomplete(), 1);
    }

    #[test]
    fn the_oldest_go_when_too_many_wait() {
        let now = Instant::now();
        let mut reassembler = Reassembler::default();
        for counter in 0..10_000 {
            let at = now + Duration::from_micros(u64::from(counter));
            assert_eq!(reassembler.push(at, &pieces(1, counter)[0]), None);
            assert!(reassembler.waiting.len() + reassembler.spare.len() <= MAX_REASSEMBLIES);
        }
        let at = now + Duration::from_millis(10);
        assert_eq!(reassembler.push(at, &pieces(1, 0)[1]), None);
        assert_eq!(reassembler.push(at, &pieces(1, 9_999)[1]), Some(PACKET));
    }

    #[test]
    fn halves_that_are_too_long_together_are_dropped() {
        let now = Instant::now();
        let bytes = [0; MAX_RTP_BYTES];
        let half = |part, bytes| Datagram {
            flow: FlowId(1),
            part,
            bundle: false,
            bytes,
        };
        let mut reassembler = Reassembler::default();
        assert_eq!(reassembler.push(now, &half(Part::First(1), &bytes[..1000])), None);
        assert_eq!(reassembler.push(now, &half(Part::Last(1), &bytes[..501])), None);
        assert_eq!(reassembler.push(now, &half(Part::First(2), &bytes[..1000])), None);
        assert_eq!(
            reassembler.push(now, &half(Part::Last(2), &bytes[..500])),
            Some(&bytes[..])
        );
    }
}
