//! Tells a client when its packets arrived, so that it finds out how much it may send
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! A report goes out 100 ms after the first packet that no report has told about. It begins where the last one ended; a packet that
//! comes late, after it was told as lost, makes the next report begin there again, with the arrivals behind it as they were.

use std::time::{Duration, Instant};

use crate::ids::Ssrc;
use crate::limits::MAX_FEEDBACK_ARRIVALS;
use crate::proto::rtcp::{TICK, TransportHead, write_transport_feedback};
use crate::units::SeqNo;

/// From a packet to the report on it; senders were built for 50 to 250 ms.
const INTERVAL: Duration = Duration::from_millis(100);
/// A packet this much older than the newest is none that was late: its sender began to count anew.
const RESTART: u64 = 1000;
/// Arrivals kept after they were told: how far back a late packet can be.
const HISTORY: usize = 64;
/// Ticks in a unit of reference time, 64 ms.
const REFERENCE_TICKS: u64 = 256;

#[derive(Clone, Copy, Debug)]
struct Arrival {
    sequence: SeqNo,
    /// In [`TICK`]s since the first packet of all.
    ticks: u64,
}

/// Makes the reports of one session.
#[derive(Debug, Default)]
pub struct TransportFeedback {
    // ascending, no sequence number twice, ≤ MAX_FEEDBACK_ARRIVALS
    arrivals: Vec<Arrival>,
    /// The first that the next report tells about.
    next: Option<SeqNo>,
    /// Those below are forgotten, and too old to be told about.
    floor: SeqNo,
    origin: Option<Instant>,
    due: Option<Instant>,
    number: u8,
    // reused from report to report
    deltas: Vec<Option<i16>>,
}

impl TransportFeedback {
    /// Takes the transport-wide sequence number of a packet that arrived.
    pub fn on_packet(&mut self, now: Instant, sequence: u16) {
        let sequence = self.unwrap(sequence);
        let place = self.arrivals.partition_point(|arrival| arrival.sequence < sequence);
        let known = self
            .arrivals
            .get(place)
            .is_some_and(|arrival| arrival.sequence == sequence);
        if known || sequence < self.floor {
            return;
        }
        let origin = *self.origin.get_or_insert(now);
        let ticks = now.saturating_duration_since(origin).as_micros() / TICK.as_micros();
        let arrival = Arrival {
            sequence,
            ticks: u64::try_from(ticks).unwrap_or(u64::MAX),
        };
        self.arrivals.insert(place, arrival);
        self.next = Some(self.next.map_or(sequence, |next| next.min(sequence)));
        self.due.get_or_insert(now + INTERVAL);
        self.forget_beyond(MAX_FEEDBACK_ARRIVALS);
    }

    /// Writes the report that is due and tells its length; call it until it is `None`. `media` is any stream of the session.
    ///
    /// A report takes what fits in `out`; 1200 bytes hold at least 190 packets.
    pub fn poll(&mut self, now: Instant, sender: Ssrc, media: Ssrc, out: &mut [u8]) -> Option<usize> {
        self.due.filter(|due| *due <= now)?;
        let next = self.next?;
        let start = self.arrivals.partition_point(|arrival| arrival.sequence < next);
        let head = TransportHead {
            sender,
            media,
            base: next.wire(),
            reference: 0,
            number: self.number,
        };
        let mut told = self.arrivals.len() - start;
        let length = loop {
            let reference = self.collect(next, start, told)?;
            if let Some(length) = write_transport_feedback(&TransportHead { reference, ..head }, &self.deltas, out) {
                break length;
            }
            told /= 2;
            if told == 0 {
                // Not one packet fits: our caller's buffer is no datagram. Give up rather than ask for ever.
                self.due = None;
                return None;
            }
        };
        self.advance(next);
        Some(length)
    }

    /// When [`TransportFeedback::poll`] has a report; `None`: not before another packet comes.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    fn unwrap(&mut self, wire: u16) -> SeqNo {
        let fresh = SeqNo(0x1_0000 + u64::from(wire));
        let Some(newest) = self.arrivals.last() else {
            return fresh;
        };
        let sequence = newest.sequence.nearest(wire);
        if sequence.0 + RESTART >= newest.sequence.0 {
            return sequence;
        }
        self.arrivals.clear();
        (self.next, self.floor) = (None, SeqNo::default());
        fresh
    }

    /// Fills `deltas` with the packets from `next` to the arrival `told` places after `start`, or to the last before one whose time
    /// a delta cannot say. Gives the reference time; `None`: there is no arrival.
    fn collect(&mut self, next: SeqNo, start: usize, told: usize) -> Option<u32> {
        self.deltas.clear();
        let reference = self.arrivals.get(start)?.ticks / REFERENCE_TICKS;
        let mut before = reference * REFERENCE_TICKS;
        for arrival in self.arrivals.iter().skip(start).take(told) {
            let delta = i64::try_from(arrival.ticks).ok()?.checked_sub_unsigned(before)?;
            let Ok(delta) = i16::try_from(delta) else { break };
            let step = usize::try_from(arrival.sequence.0.checked_sub(next.0)?).ok()?;
            if step >= usize::from(u16::MAX) {
                break;
            }
            self.deltas.resize(step, None);
            self.deltas.push(Some(delta));
            before = arrival.ticks;
        }
        // The low 24 bits are written.
        Some(u32::try_from(reference & 0xff_ffff).unwrap_or(0))
    }

    fn advance(&mut self, from: SeqNo) {
        let next = SeqNo(from.0 + self.deltas.len() as u64);
        self.next = Some(next);
        self.number = self.number.wrapping_add(1);
        if self.arrivals.last().is_none_or(|newest| newest.sequence < next) {
            self.due = None;
            self.forget_beyond(HISTORY);
        }
    }

    fn forget_beyond(&mut self, kept: usize) {
        let surplus = self.arrivals.len().saturating_sub(kept);
        if let Some(last) = self.arrivals.drain(..surplus).next_back() {
            self.floor = SeqNo(last.sequence.0 + 1);
            self.next = self.next.map(|next| next.max(self.floor));
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;
    use crate::proto::rtcp::{Packet, packets};
    use rtc_rtcp::packet::unmarshal;
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;

    /// A generator and a clock.
    struct Test {
        feedback: TransportFeedback,
        start: Instant,
    }

    /// What a report says: sequence numbers, and arrivals in milliseconds since the start.
    type Told = Vec<(u16, Option<f64>)>;

    impl Test {
        fn new() -> Test {
            Test {
                feedback: TransportFeedback::default(),
                start: Instant::now(),
            }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn arrive(&mut self, ms: u64, sequences: &[u16]) {
            for sequence in sequences {
                self.feedback.on_packet(self.at(ms), *sequence);
            }
        }

        fn poll_into(&mut self, ms: u64, room: usize) -> Option<Vec<u8>> {
            let mut out = vec![0; room];
            let length = self.feedback.poll(self.at(ms), Ssrc(1), Ssrc(2), &mut out)?;
            out.truncate(length);
            Some(out)
        }

        fn poll(&mut self, ms: u64) -> Option<Told> {
            self.poll_into(ms, 1200).map(|packet| told(&packet))
        }
    }

    /// Reads a report, after another implementation found the same in it.
    fn told(packet: &[u8]) -> Told {
        let Some(Ok(Packet::TransportFeedback(feedback))) = packets(packet).next() else {
            panic!("unreadable");
        };
        let theirs = unmarshal(&mut &*packet).unwrap();
        let theirs = theirs[0].as_any().downcast_ref::<TransportLayerCc>().unwrap();
        let their_ticks: Vec<i64> = theirs.recv_deltas.iter().map(|delta| delta.delta / 250).collect();
        let our_ticks: Vec<i64> = feedback
            .statuses()
            .filter_map(|(_, delta)| delta.map(i64::from))
            .collect();
        assert_eq!(their_ticks, our_ticks);
        let mut ticks = i64::from(feedback.head.reference) * 256;
        let mut milliseconds = |delta: i16| {
            ticks += i64::from(delta);
            ticks as f64 / 4.0
        };
        feedback
            .statuses()
            .map(|(sequence, delta)| (sequence, delta.map(&mut milliseconds)))
            .collect()
    }

    #[test]
    fn reports_come_every_hundred_milliseconds_while_packets_do() {
        let mut test = Test::new();
        assert_eq!(test.feedback.next_deadline(), None);
        test.arrive(0, &[10]);
        test.arrive(50, &[11]);
        assert_eq!(test.feedback.next_deadline(), Some(test.at(100)));
        assert_eq!(test.poll(99), None);
        assert_eq!(test.poll(100), Some(vec![(10, Some(0.0)), (11, Some(50.0))]));
        assert_eq!((test.poll(100), test.feedback.next_deadline()), (None, None));
        test.arrive(1000, &[12]);
        assert_eq!(test.poll(1100), Some(vec![(12, Some(1000.0))]));
        assert_eq!(test.feedback.number, 2);
    }

    #[test]
    fn gaps_are_told_even_between_reports_and_duplicates_only_once() {
        let mut test = Test::new();
        test.arrive(0, &[1, 3, 3, 1]);
        assert_eq!(test.poll(100), Some(vec![(1, Some(0.0)), (2, None), (3, Some(0.0))]));
        test.arrive(200, &[3, 5]);
        assert_eq!(test.poll(300), Some(vec![(4, None), (5, Some(200.0))]));
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut test = Test::new();
        test.arrive(0, &[0xfffe]);
        test.arrive(10, &[1]);
        let expected = vec![(0xfffe, Some(0.0)), (0xffff, None), (0, None), (1, Some(10.0))];
        assert_eq!(test.poll(100), Some(expected));
    }

    #[test]
    fn reordered_packets_are_told_in_order_with_their_own_times() {
        let mut test = Test::new();
        test.arrive(70, &[2]);
        test.arrive(80, &[1]);
        test.arrive(90, &[3]);
        assert_eq!(
            test.poll(170),
            Some(vec![(1, Some(10.0)), (2, Some(0.0)), (3, Some(20.0))])
        );
    }

    #[test]
    fn a_late_packet_is_told_again_with_what_came_after_it() {
        let mut test = Test::new();
        test.arrive(0, &[1, 3]);
        test.poll(100).unwrap();
        test.arrive(110, &[2, 4]);
        let expected = vec![(2, Some(110.0)), (3, Some(0.0)), (4, Some(110.0))];
        assert_eq!(test.poll(210), Some(expected));
    }

    #[test]
    fn a_sender_that_counts_anew_is_followed() {
        let mut test = Test::new();
        test.arrive(0, &[30_000]);
        test.arrive(0, &[5]);
        assert_eq!(test.poll(100), Some(vec![(5, Some(0.0))]));
        test.arrive(100, &[6]);
        assert_eq!(test.poll(200), Some(vec![(6, Some(100.0))]));
    }

    #[test]
    fn a_time_that_no_delta_can_say_begins_another_report() {
        let mut test = Test::new();
        test.arrive(0, &[1]);
        test.arrive(9000, &[2]);
        assert_eq!(test.poll(9000), Some(vec![(1, Some(0.0))]));
        assert_eq!(test.poll(9000), Some(vec![(2, Some(9000.0))]));
        assert_eq!(test.poll(9000), None);
    }

    #[test]
    fn what_does_not_fit_goes_into_the_next_report() {
        let mut test = Test::new();
        let sequences: Vec<u16> = (0..900).collect();
        test.arrive(0, &sequences);
        let mut all = Told::new();
        while let Some(packet) = test.poll_into(100, 300) {
            assert!(packet.len() <= 300);
            all.extend(told(&packet));
        }
        assert_eq!(all.len(), 900);
        assert!(all.iter().all(|(_, at)| *at == Some(0.0)));
        test.arrive(200, &[900]);
        assert_eq!(test.poll_into(300, 20), None);
        assert_eq!(test.feedback.next_deadline(), None);
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut test = Test::new();
        let mut sequence = 0_u16;
        for step in 0..50_000_u64 {
            sequence = sequence.wrapping_add(u16::try_from(step * 7919 % 3000).unwrap());
            test.arrive(step / 100, &[sequence]);
            assert!(test.feedback.arrivals.len() <= MAX_FEEDBACK_ARRIVALS);
        }
        while let Some(report) = test.poll(1000) {
            assert!(report.len() < 65_536);
        }
        assert!(test.feedback.arrivals.len() <= HISTORY);
    }

    #[test]
    fn the_worst_report_still_fits_in_a_datagram() {
        let mut test = Test::new();
        for step in 0..190_u16 {
            // Every packet after a gap, and far apart: 6 bytes each.
            test.arrive(u64::from(step % 2) * 80, &[step * 20]);
        }
        let report = test.poll(100).unwrap();
        assert_eq!(report.len(), 189 * 20 + 1);
    }
}
