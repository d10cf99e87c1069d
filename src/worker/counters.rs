//! What a worker counts: plain integers on the packet path, folded into the process's metrics once a second.

use crate::ids::Domain;
use crate::metrics::{Dropped, KeyframeOutcome, Metrics};
use crate::proto::link::message::{Code, Kind};
use crate::proto::rtp::BadRtp;
use crate::relay::Rule;
use crate::session;

impl From<session::Drop> for Dropped {
    fn from(reason: session::Drop) -> Dropped {
        use session::Drop;
        match reason {
            Drop::UnknownUfrag | Drop::NotValidated => Dropped::UnknownPath,
            Drop::BadStun | Drop::BadIntegrity | Drop::RoleConflict => Dropped::BadStun,
            Drop::HeldFull => Dropped::BadTransport,
            Drop::NotReady | Drop::Ended | Drop::Exhausted => Dropped::NotReady,
            Drop::TooShort | Drop::TooLong | Drop::BadHeader => Dropped::BadRtp,
            Drop::Unencrypted | Drop::AuthFailed => Dropped::Unauthentic,
            Drop::Replayed => Dropped::Replayed,
            Drop::TooManySsrcs => Dropped::UnknownSsrc,
        }
    }
}

impl From<BadRtp> for Dropped {
    fn from(_: BadRtp) -> Dropped {
        Dropped::BadRtp
    }
}

/// Packets and bytes of one kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// How many packets.
    pub packets: u64,
    /// How many RTP bytes they had.
    pub bytes: u64,
}

/// What happened since the last fold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Audio sent to clients and peers.
    pub audio: Tally,
    /// Video sent to clients and peers.
    pub video: Tally,
    /// Receive calls that failed.
    pub receive_errors: u64,
    /// Key frames that publishers were asked for.
    pub keyframes_asked: u64,
    // In the order of `Dropped::ALL`.
    dropped: [u64; Dropped::ALL.len()],
    // In the order of `Code::ALL`.
    refused: [u64; Code::ALL.len()],
    // At most one entry for each configured peer and rule.
    violations: Vec<(Domain, Rule, u64)>,
}

impl Counters {
    /// Counts a packet that was sent.
    pub fn forwarded(&mut self, kind: Kind, bytes: usize) {
        let tally = match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        };
        tally.packets += 1;
        tally.bytes += bytes as u64;
    }

    /// Packets that were sent since the last fold.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.audio.packets + self.video.packets
    }

    /// Counts a packet that went no further.
    pub fn dropped(&mut self, reason: impl Into<Dropped>) {
        self.dropped_many(reason, 1);
    }

    /// Counts several.
    pub fn dropped_many(&mut self, reason: impl Into<Dropped>, count: u64) {
        if let Some(counter) = self.dropped.get_mut(reason.into() as usize) {
            *counter += count;
        }
    }

    /// Counts a peer, or a lease of one, that was refused.
    pub fn refused(&mut self, code: Code) {
        if let Some(counter) = self.refused.get_mut(code as usize) {
            *counter += 1;
        }
    }

    /// Counts what a peer said and may not.
    pub fn violation(&mut self, peer: Domain, rule: Rule) {
        match self
            .violations
            .iter_mut()
            .find(|(known, broken, _)| *known == peer && *broken == rule)
        {
            Some((.., count)) => *count += 1,
            None => self.violations.push((peer, rule, 1)),
        }
    }

    /// Adds everything to the metrics and starts anew.
    pub fn fold(&mut self, metrics: &Metrics) {
        for (kind, tally) in [(Kind::Audio, self.audio), (Kind::Video, self.video)] {
            metrics.forwarded_packets.add(&kind, tally.packets);
            metrics.forwarded_bytes.add(&kind, tally.bytes);
        }
        for (reason, count) in Dropped::ALL.iter().zip(self.dropped) {
            metrics.dropped.add(reason, count);
        }
        for (code, count) in Code::ALL.iter().zip(self.refused) {
            metrics.peer_refused.add(code, count);
        }
        for (peer, rule, count) in &self.violations {
            metrics.authority_violations.add(&(metrics.peer(peer), *rule), *count);
        }
        metrics.udp_receive_errors.inc_by(self.receive_errors);
        metrics
            .keyframe_requests
            .add(&KeyframeOutcome::Asked, self.keyframes_asked);
        *self = Counters::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_folded_once() {
        let metrics = Metrics::new([]);
        let mut counters = Counters::default();
        counters.dropped(session::Drop::Replayed);
        counters.dropped_many(Dropped::Panicked, 2);
        counters.forwarded(Kind::Video, 1200);
        counters.fold(&metrics);
        counters.fold(&metrics);
        let text = metrics.render();
        for line in [
            "sft_dropped_packets_total{reason=\"replayed\"} 1",
            "sft_dropped_packets_total{reason=\"panicked\"} 2",
            "sft_forwarded_bytes_total{kind=\"video\"} 1200",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn reasons_are_counted_in_their_order() {
        for (place, reason) in Dropped::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place);
        }
    }
}
