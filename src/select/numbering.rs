//! Extends a stream's 16-bit sequence numbers to ones that never repeat (RFC 3550 appendix A.1).
//!
//! Everything behind this relies on "never": a repeated number in a slot would mean a repeated SRTP nonce.

use crate::units::SeqNo;

/// Numbers behind the highest that are still taken; later than this is useless to a decoder.
const WINDOW: u64 = 128;
/// Consecutive packets in order after which a jump is taken as a restarted sender (RFC 3550's MIN_SEQUENTIAL is 2).
const RESTART_AFTER: u8 = 3;

/// The numbers of one incoming stream.
#[derive(Debug, Default)]
pub struct Numbering {
    highest: Option<SeqNo>,
    // Bit n: `highest - n` has been taken.
    taken: u128,
    stray: Option<Stray>,
}

/// Packets far from the stream that follow each other.
#[derive(Debug)]
struct Stray {
    next: u16,
    count: u8,
}

impl Numbering {
    /// The packet's number; `None`: it was there before, or is too old.
    pub fn take(&mut self, wire: u16) -> Option<SeqNo> {
        let Some(highest) = self.highest else {
            // One whole cycle in, so that packets from before the first one have a number.
            return Some(self.advance(SeqNo(0x1_0000 | u64::from(wire)), u64::MAX));
        };
        let number = highest.nearest(wire);
        if number > highest {
            self.stray = None;
            return Some(self.advance(number, number.0 - highest.0));
        }
        let behind = highest.0 - number.0;
        if behind >= WINDOW {
            return self.restarted(highest, wire);
        }
        let bit = 1u128 << behind;
        let fresh = self.taken & bit == 0;
        self.taken |= bit;
        fresh.then_some(number)
    }

    fn advance(&mut self, number: SeqNo, by: u64) -> SeqNo {
        self.taken = if by < WINDOW { self.taken << by | 1 } else { 1 };
        self.highest = Some(number);
        number
    }

    fn restarted(&mut self, highest: SeqNo, wire: u16) -> Option<SeqNo> {
        let count = match &self.stray {
            Some(stray) if stray.next == wire => stray.count + 1,
            _ => 1,
        };
        if count < RESTART_AFTER {
            self.stray = Some(Stray {
                next: wire.wrapping_add(1),
                count,
            });
            return None;
        }
        self.stray = None;
        let cycle = (highest.0 >> 16) + 1;
        Some(self.advance(SeqNo(cycle << 16 | u64::from(wire)), u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(wires: &[u16]) -> Vec<Option<u64>> {
        let mut numbering = Numbering::default();
        wires
            .iter()
            .map(|&wire| numbering.take(wire).map(|number| number.0))
            .collect()
    }

    #[test]
    fn numbers_wrap_and_are_taken_once() {
        assert_eq!(
            run(&[65534, 65535, 0, 65535, 1, 0]),
            [
                Some(0x1_fffe),
                Some(0x1_ffff),
                Some(0x2_0000),
                None,
                Some(0x2_0001),
                None
            ]
        );
    }

    #[test]
    fn late_packets_are_taken_within_the_window() {
        assert_eq!(
            run(&[1000, 1010, 1005, 1005, 883, 882]),
            [
                Some(0x1_0000 | 1000),
                Some(0x1_0000 | 1010),
                Some(0x1_0000 | 1005),
                None,
                Some(0x1_0000 | 883),
                None
            ]
        );
    }

    #[test]
    fn a_restarted_sender_is_followed_after_three_packets() {
        let numbers = run(&[50000, 20000, 20001, 20002, 20003]);
        assert_eq!(numbers[1..3], [None, None]);
        assert_eq!(numbers[3], Some(0x2_0000 | 20002));
        assert_eq!(numbers[4], Some(0x2_0000 | 20003));
    }

    #[test]
    fn no_number_ever_comes_twice() {
        use rand::{RngExt, SeedableRng};
        for seed in 0..50 {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut numbering = Numbering::default();
            let mut seen = std::collections::HashSet::new();
            let mut wire = 0u16;
            for _ in 0..2000 {
                wire = match rng.random_range(0..10) {
                    0 => rng.random(),
                    1 => wire,
                    2 => wire.wrapping_sub(rng.random_range(0..200)),
                    _ => wire.wrapping_add(1),
                };
                if let Some(number) = numbering.take(wire) {
                    assert_eq!(number.wire(), wire);
                    assert!(seen.insert(number), "seed {seed}: {number:?} twice");
                }
            }
        }
    }
}
