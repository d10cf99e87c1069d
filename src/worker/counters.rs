//! What a worker counts: plain integers on the packet path, folded into the process's metrics once a second.

use std::collections::BTreeMap;

use crate::proto::link::message::Kind;
use crate::proto::rtp::BadRtp;
use crate::relay::Unforwarded;
use crate::session;

/// Why a datagram went no further.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Lost {
    /// Its first bytes are those of no protocol that we speak.
    Unclassified,
    /// It came from nobody we know.
    UnknownPath,
    /// Its session dropped it, or could not send it.
    Session(session::Drop),
    /// It is no RTP packet.
    Rtp(BadRtp),
    /// The relay has nobody for it.
    Unforwarded(Unforwarded),
    /// Its receiver has no valid path, or no keys, for now.
    NoPath,
    /// The kernel's send buffer is full.
    SendFull,
    /// The kernel refused it.
    SendRefused,
    /// It is no datagram of a link, or half of one whose other half is missing.
    LinkPart,
    /// It does not fit into two datagrams of the link.
    LinkSize,
    /// The queue to the links is full.
    LinkFull,
    /// We failed over it.
    Panic,
}

impl Lost {
    /// The label in the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Lost::Unclassified => "unclassified",
            Lost::UnknownPath => "unknown_path",
            Lost::Session(drop) => drop.as_str(),
            Lost::Rtp(BadRtp::TooShort) => "rtp_too_short",
            Lost::Rtp(BadRtp::TooLong) => "rtp_too_long",
            Lost::Rtp(BadRtp::Version) => "rtp_version",
            Lost::Rtp(BadRtp::Padding) => "rtp_padding",
            Lost::Unforwarded(Unforwarded::UnknownSource) => "unknown_source",
            Lost::Unforwarded(Unforwarded::UnknownSsrc) => "unknown_ssrc",
            Lost::Unforwarded(Unforwarded::Padding) => "padding",
            Lost::NoPath => "no_path",
            Lost::SendFull => "send_full",
            Lost::SendRefused => "send_refused",
            Lost::LinkPart => "link_part",
            Lost::LinkSize => "link_size",
            Lost::LinkFull => "link_full",
            Lost::Panic => "panic",
        }
    }
}

impl From<session::Drop> for Lost {
    fn from(drop: session::Drop) -> Lost {
        Lost::Session(drop)
    }
}

/// Packets and bytes of one kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// How many packets.
    pub packets: u64,
    /// How many bytes they had as UDP payload.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// What happened since the last fold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Audio sealed for clients.
    pub audio: Tally,
    /// Video sealed for clients.
    pub video: Tally,
    /// Sessions that opened their data channel.
    pub opened: u64,
    /// Receive calls that failed.
    pub receive_errors: u64,
    /// Packets that were put into two datagrams of a link.
    pub fragmented: u64,
    lost: BTreeMap<Lost, u64>,
}

impl Counters {
    /// Counts a packet to a client.
    pub fn forwarded(&mut self, kind: Kind, bytes: usize) {
        match kind {
            Kind::Audio => self.audio.add(bytes),
            Kind::Video => self.video.add(bytes),
        }
    }

    /// Counts a datagram that went no further.
    pub fn lose(&mut self, reason: impl Into<Lost>) {
        self.lose_many(reason, 1);
    }

    /// Counts several.
    pub fn lose_many(&mut self, reason: impl Into<Lost>, count: u64) {
        if count > 0 {
            *self.lost.entry(reason.into()).or_default() += count;
        }
    }

    /// How many went no further, by reason. Entries stay when they are zero, so that counting allocates once a reason.
    pub fn lost(&self) -> impl Iterator<Item = (Lost, u64)> {
        self.lost.iter().map(|(reason, count)| (*reason, *count))
    }

    /// Starts anew.
    pub fn clear(&mut self) {
        let mut lost = std::mem::take(&mut self.lost);
        lost.values_mut().for_each(|count| *count = 0);
        *self = Counters {
            lost,
            ..Counters::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_starts_anew_after_a_fold() {
        let mut counters = Counters::default();
        counters.lose(Lost::NoPath);
        counters.lose(session::Drop::Replayed);
        counters.lose_many(Lost::NoPath, 2);
        counters.forwarded(Kind::Video, 1200);
        let lost: Vec<_> = counters.lost().map(|(reason, count)| (reason.as_str(), count)).collect();
        assert_eq!(lost, [("replayed", 1), ("no_path", 3)]);
        assert_eq!(counters.video, Tally { packets: 1, bytes: 1200 });
        counters.clear();
        assert!(counters.lost().all(|(_, count)| count == 0));
        assert_eq!(counters.video, Tally::default());
    }
}
