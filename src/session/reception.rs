//! What arrived of one stream, for the reports that its sender gets (RFC 3550 appendices A.1, A.3 and A.8).
//!
//! Packets are authenticated before they come here, so that the first one counts at once: no probation.

use std::time::{Duration, Instant};

use crate::ids::Ssrc;
use crate::proto::rtcp::{NtpTime, ReportBlock};

/// A jump further ahead than this is a sender that counts anew (RFC 3550 §A.1).
const MAX_DROPOUT: u16 = 3000;
/// A packet older than this is one of a sender that counts anew (RFC 3550 §A.1).
const MAX_MISORDER: u16 = 100;

/// A sender report, as far as the answer to it goes.
#[derive(Clone, Copy, Debug)]
struct Reported {
    middle: u32,
    at: Instant,
}

/// Sequence numbers of a stream (RFC 3550 §A.1).
#[derive(Clone, Copy, Debug)]
struct Sequences {
    first: u32,
    highest: u16,
    /// Wraps in the upper half.
    cycles: u32,
    received: u32,
    /// The number after one that jumped: when it comes, the sender counts anew.
    restart: Option<u16>,
    expected_before: u32,
    received_before: u32,
}

impl Sequences {
    fn starting_at(sequence: u16) -> Sequences {
        Sequences {
            first: sequence.into(),
            highest: sequence,
            cycles: 0,
            received: 1,
            restart: None,
            expected_before: 0,
            received_before: 0,
        }
    }

    fn on_packet(&mut self, sequence: u16) {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < MAX_DROPOUT {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(0x1_0000);
            }
            self.highest = sequence;
        } else if ahead <= u16::MAX - MAX_MISORDER + 1 {
            if self.restart != Some(sequence) {
                self.restart = Some(sequence.wrapping_add(1));
                return;
            }
            *self = Sequences::starting_at(sequence);
            return;
        }
        self.restart = None;
        self.received = self.received.wrapping_add(1);
    }

    fn extended(&self) -> u32 {
        self.cycles.wrapping_add(self.highest.into())
    }

    fn expected(&self) -> u32 {
        self.extended().wrapping_sub(self.first).wrapping_add(1)
    }

    fn cumulative_lost(&self) -> i32 {
        self.expected()
            .wrapping_sub(self.received)
            .cast_signed()
            .clamp(-0x80_0000, 0x7f_ffff)
    }

    /// Since it was asked last, in 256ths (RFC 3550 §A.3).
    fn fraction_lost(&mut self) -> u8 {
        let expected = u64::from(self.expected().wrapping_sub(self.expected_before));
        let received = u64::from(self.received.wrapping_sub(self.received_before));
        (self.expected_before, self.received_before) = (self.expected(), self.received);
        let lost = expected.saturating_sub(received);
        let fraction = (lost * 256).checked_div(expected).unwrap_or(0);
        u8::try_from(fraction).unwrap_or(u8::MAX)
    }
}

/// The statistics of one stream.
#[derive(Debug)]
pub struct Reception {
    clock_rate: u32,
    sequences: Option<Sequences>,
    origin: Option<Instant>,
    transit: Option<u32>,
    /// In 16ths of the clock's units.
    jitter: u32,
    reported: Option<Reported>,
}

impl Reception {
    /// Of a stream whose time stamps count `clock_rate` to a second: 48 000 for Opus, 90 000 for video.
    #[must_use]
    pub const fn new(clock_rate: u32) -> Reception {
        Reception {
            clock_rate,
            sequences: None,
            origin: None,
            transit: None,
            jitter: 0,
            reported: None,
        }
    }

    /// Takes a packet that arrived.
    pub fn on_packet(&mut self, now: Instant, sequence: u16, timestamp: u32) {
        match &mut self.sequences {
            Some(sequences) => sequences.on_packet(sequence),
            None => self.sequences = Some(Sequences::starting_at(sequence)),
        }
        self.update_jitter(now, timestamp);
    }

    /// Takes the time that a sender report of the stream told.
    pub fn on_sender_report(&mut self, now: Instant, ntp: NtpTime) {
        self.reported = Some(Reported {
            middle: ntp.middle(),
            at: now,
        });
    }

    /// The block for the next report; its fraction lost counts from the one before. `None`: nothing came yet.
    pub fn report(&mut self, now: Instant, ssrc: Ssrc) -> Option<ReportBlock> {
        let sequences = self.sequences.as_mut()?;
        Some(ReportBlock {
            ssrc,
            fraction_lost: sequences.fraction_lost(),
            cumulative_lost: sequences.cumulative_lost(),
            highest: sequences.extended(),
            jitter: self.jitter >> 4,
            last_sender_report: self.reported.map_or(0, |reported| reported.middle),
            delay: self
                .reported
                .map_or(0, |reported| short(now.saturating_duration_since(reported.at))),
        })
    }

    /// RFC 3550 §A.8. Arrivals are told in the clock's units since the first; only differences matter.
    fn update_jitter(&mut self, now: Instant, timestamp: u32) {
        let origin = *self.origin.get_or_insert(now);
        let micros = now.saturating_duration_since(origin).as_micros();
        let arrival = low_bits(micros * u128::from(self.clock_rate) / 1_000_000);
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            // A jump of the time stamps would drown what follows: as much as a second is no jitter.
            let difference = transit
                .wrapping_sub(before)
                .cast_signed()
                .unsigned_abs()
                .min(self.clock_rate);
            self.jitter = self
                .jitter
                .saturating_add(difference)
                .saturating_sub((self.jitter + 8) >> 4);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "time stamps wrap")]
const fn low_bits(value: u128) -> u32 {
    value as u32
}

/// A duration in 65 536ths of a second, at most 18 hours (RFC 3550 §6.4.1).
fn short(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros() * 65_536 / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn after(packets: &[u16]) -> Reception {
        let (mut reception, now) = (Reception::new(48_000), Instant::now());
        for sequence in packets {
            reception.on_packet(now, *sequence, 0);
        }
        reception
    }

    #[test]
    fn losses_are_counted_as_the_rfc_does() {
        for (packets, highest, lost, fraction) in [
            (&[5][..], 5, 0, 0),
            (&[5, 6, 7], 7, 0, 0),
            (&[5, 8], 8, 2, 128),
            (&[5, 8, 6], 8, 1, 64),
            (&[5, 6, 6, 6], 6, -2, 0),
            (&[0xffff, 0], 0x1_0000, 0, 0),
            (&[0xffff, 1, 0], 0x1_0001, 0, 0),
            (&[5, 2004], 2004, 1998, 255),
            (&[5, 10_000], 5, 0, 0),
            (&[5, 10_000, 10_001], 10_001, 0, 0),
            (&[5, 10_000, 6], 6, 0, 0),
            (&[500, 450], 500, -1, 0),
        ] {
            let block = after(packets).report(Instant::now(), Ssrc(1)).unwrap();
            let told = (block.highest, block.cumulative_lost, block.fraction_lost);
            assert_eq!(told, (highest, lost, fraction), "{packets:?}");
        }
    }

    #[test]
    fn the_fraction_counts_from_the_last_report() {
        let now = Instant::now();
        let mut reception = after(&[1, 4]);
        assert_eq!(reception.report(now, Ssrc(1)).unwrap().fraction_lost, 128);
        assert_eq!(reception.report(now, Ssrc(1)).unwrap().fraction_lost, 0);
        reception.on_packet(now, 8, 0);
        let block = reception.report(now, Ssrc(1)).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (192, 5));
    }

    #[test]
    fn nothing_is_said_of_a_stream_that_sent_nothing() {
        assert_eq!(Reception::new(90_000).report(Instant::now(), Ssrc(1)), None);
    }

    #[test]
    fn jitter_follows_the_deviation_of_spacing() {
        let now = Instant::now();
        let at = |ms: u64| now + Duration::from_millis(ms);
        let mut steady = Reception::new(48_000);
        let mut shaky = Reception::new(48_000);
        for packet in 0..500_u16 {
            let (ms, timestamp) = (u64::from(packet) * 20, u32::from(packet) * 960);
            steady.on_packet(at(ms), packet, timestamp);
            shaky.on_packet(at(ms + u64::from(packet % 2) * 5), packet, timestamp);
        }
        assert_eq!(steady.report(now, Ssrc(1)).unwrap().jitter, 0);
        // Every spacing deviates by 5 ms, 240 units.
        let jitter = shaky.report(now, Ssrc(1)).unwrap().jitter;
        assert!((235..=241).contains(&jitter), "{jitter}");
    }

    #[test]
    fn sender_reports_are_answered_with_their_time_and_ours() {
        let now = Instant::now();
        let mut reception = after(&[1]);
        let silent = reception.report(now, Ssrc(1)).unwrap();
        assert_eq!((silent.last_sender_report, silent.delay), (0, 0));
        reception.on_sender_report(now, NtpTime(0x1234_5678_9abc_def0));
        let block = reception.report(now + Duration::from_millis(1500), Ssrc(7)).unwrap();
        assert_eq!((block.last_sender_report, block.delay), (0x5678_9abc, 98_304));
        assert_eq!(block.ssrc, Ssrc(7));
    }
}
