//! The packet index and the replay window of each SSRC (RFC 3711 §3.3.1 and §3.3.2).

use crate::ids::Ssrc;
use crate::limits::REPLAY_WINDOW;
use crate::session::Drop;

/// Words of the window's bitmap.
const WORDS: usize = REPLAY_WINDOW as usize / 64;

/// The indexes seen per SSRC, at most `MAX` SSRCs.
pub(super) struct Streams<const MAX: usize> {
    // Sorted by SSRC; len ≤ MAX. Allocates only when an SSRC is new.
    known: Vec<(Ssrc, Window)>,
}

impl<const MAX: usize> Default for Streams<MAX> {
    fn default() -> Self {
        Streams { known: Vec::new() }
    }
}

/// An index that was not seen before, and where to remember it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slot {
    /// The packet index: for RTP, 2^16 × roll-over counter + sequence number.
    pub(super) index: u64,
    at: Result<usize, usize>,
}

impl<const MAX: usize> Streams<MAX> {
    /// The index of an RTP packet, if it is new. Nothing is remembered until the packet proved authentic.
    pub(super) fn find_rtp(&self, ssrc: Ssrc, sequence: u16) -> Result<Slot, Drop> {
        let at = self.position(ssrc)?;
        let highest = at
            .ok()
            .and_then(|at| self.known.get(at))
            .map(|(_, window)| window.highest);
        let index = highest.map_or(u64::from(sequence), |highest| nearest(highest, sequence));
        self.fresh(Slot { index, at })
    }

    /// The same where the packet carries its index.
    pub(super) fn find(&self, ssrc: Ssrc, index: u64) -> Result<Slot, Drop> {
        let at = self.position(ssrc)?;
        self.fresh(Slot { index, at })
    }

    /// Marks an index as seen; `slot` was found just before for the same SSRC.
    pub(super) fn remember(&mut self, ssrc: Ssrc, slot: Slot) {
        match slot.at {
            Ok(at) => {
                if let Some((_, window)) = self.known.get_mut(at) {
                    window.mark(slot.index);
                }
            }
            Err(at) => self.known.insert(at, (ssrc, Window::starting_at(slot.index))),
        }
    }

    fn position(&self, ssrc: Ssrc) -> Result<Result<usize, usize>, Drop> {
        let at = self.known.binary_search_by_key(&ssrc, |(ssrc, _)| *ssrc);
        if at.is_err() && self.known.len() >= MAX {
            return Err(Drop::TooManySsrcs);
        }
        Ok(at)
    }

    fn fresh(&self, slot: Slot) -> Result<Slot, Drop> {
        let window = slot.at.ok().and_then(|at| self.known.get(at));
        match window {
            Some((_, window)) if window.has(slot.index) => Err(Drop::Replayed),
            _ => Ok(slot),
        }
    }
}

/// The index nearest `highest` that ends in `sequence` (RFC 3711 §3.3.1); in the first half turn the counter is 0 and stays so.
fn nearest(highest: u64, sequence: u16) -> u64 {
    let step = sequence.wrapping_sub(low_bits(highest)).cast_signed();
    highest.checked_add_signed(step.into()).unwrap_or(sequence.into())
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
fn low_bits(index: u64) -> u16 {
    index as u16
}

/// The last [`REPLAY_WINDOW`] indexes up to the highest.
struct Window {
    highest: u64,
    // Bit index % REPLAY_WINDOW is set when that index was seen; bits of numbers beyond `highest` belong to the turn before.
    seen: [u64; WORDS],
}

impl Window {
    fn starting_at(index: u64) -> Window {
        let mut window = Window {
            highest: index,
            seen: [0; WORDS],
        };
        window.set(index);
        window
    }

    fn has(&self, index: u64) -> bool {
        if index > self.highest {
            return false;
        }
        if self.highest - index >= REPLAY_WINDOW {
            return true;
        }
        let (word, bit) = place(index);
        self.seen.get(word).is_some_and(|word| word & bit != 0)
    }

    fn mark(&mut self, index: u64) {
        if index > self.highest {
            let skipped = (index - self.highest).min(REPLAY_WINDOW);
            for old in index + 1 - skipped..index {
                self.clear(old);
            }
            self.highest = index;
        }
        self.set(index);
    }

    fn set(&mut self, index: u64) {
        let (word, bit) = place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word |= bit;
        }
    }

    fn clear(&mut self, index: u64) {
        let (word, bit) = place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word &= !bit;
        }
    }
}

/// Which word of the bitmap, and which bit in it.
fn place(index: u64) -> (usize, u64) {
    let at = index % REPLAY_WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_follows_the_nearest_turn() {
        for (highest, sequence, index, why) in [
            (5, 6, 6, "next"),
            (0xffff, 0, 0x1_0000, "wraps forward"),
            (0x1_0000, 0xffff, 0xffff, "late by one across the wrap"),
            (0x1_0005, 0xfff0, 0xfff0, "late across the wrap"),
            (0x2_8000, 0x7fff, 0x2_7fff, "late"),
            (
                0x2_1000,
                0x9000,
                0x2_9000 - 0x1_0000,
                "half a turn is late rather than early",
            ),
            (0x2_1000, 0x8fff, 0x2_8fff, "less than half a turn is early"),
            (3, 0xffff, 0xffff, "nothing is before the first turn"),
        ] {
            assert_eq!(nearest(highest, sequence), index, "{why}");
        }
    }

    #[test]
    fn each_index_is_accepted_once_while_the_window_remembers() {
        let mut streams = Streams::<2>::default();
        let mut take = |index| {
            let slot = streams.find(Ssrc(1), index)?;
            streams.remember(Ssrc(1), slot);
            Ok::<_, Drop>(())
        };
        assert_eq!(take(5000), Ok(()));
        assert_eq!(take(5000), Err(Drop::Replayed));
        assert_eq!(take(5001), Ok(()));
        assert_eq!(take(4000), Ok(()), "late but within the window");
        assert_eq!(take(4000), Err(Drop::Replayed));
        assert_eq!(take(5001 - REPLAY_WINDOW), Err(Drop::Replayed), "older than the window");
        assert_eq!(take(5002 - REPLAY_WINDOW), Ok(()), "the oldest the window knows");
        assert_eq!(take(9000), Ok(()), "a jump forgets all");
        assert_eq!(take(8999), Ok(()));
        assert_eq!(take(5001), Err(Drop::Replayed));
        assert_eq!(take(9000 + 1023), Ok(()));
        assert_eq!(take(9000), Err(Drop::Replayed), "still remembered at the far end");
        assert_eq!(take(9001), Ok(()), "and its neighbour was never seen");
    }

    #[test]
    fn every_index_once_in_any_order_against_a_set() {
        let mut streams = Streams::<1>::default();
        let mut seen = std::collections::HashSet::new();
        let mut state = 7_u64;
        let mut highest = 0;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let index = (highest + (state >> 40) % 1500).saturating_sub(1000);
            let old = highest >= REPLAY_WINDOW + index;
            let expected = !seen.is_empty() && (old || seen.contains(&index));
            let found = streams.find(Ssrc(9), index);
            assert_eq!(found == Err(Drop::Replayed), expected, "{index} after {highest}");
            if let Ok(slot) = found {
                streams.remember(Ssrc(9), slot);
                seen.insert(index);
                highest = highest.max(index);
            }
        }
        assert!(seen.len() > 1000);
    }

    #[test]
    fn one_ssrc_too_many_is_refused_and_the_known_ones_go_on() {
        let mut streams = Streams::<2>::default();
        for ssrc in [7, 3] {
            let slot = streams.find_rtp(Ssrc(ssrc), 1).unwrap();
            streams.remember(Ssrc(ssrc), slot);
        }
        assert_eq!(streams.find_rtp(Ssrc(5), 1), Err(Drop::TooManySsrcs));
        assert!(streams.find_rtp(Ssrc(3), 2).is_ok());
        assert_eq!(streams.find_rtp(Ssrc(7), 1), Err(Drop::Replayed));
    }
}
