//! What we tell a client about what it sends, and what it tells us: RTCP (RFC 3550 §6, RFC 4585).

use std::time::Instant;

use crate::ids::{SessionId, Ssrc};
use crate::metrics::Dropped;
use crate::proto::rtp::Header;
use crate::session::Path;
use crate::worker::turn::Worker;

/// What a session's senders are told.
#[derive(Debug, Default)]
pub struct Reports {}

impl Reports {
    /// Learns of a packet.
    pub fn received(&mut self, _now: Instant, _header: &Header, _transport_sequence: Option<u16>) {}
    /// When a report is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

impl Worker {
    pub(super) fn rtcp(&mut self, now: Instant, path: Path, bytes: &mut [u8]) -> Result<(), Dropped> {
        let id = self.owner(&path)?;
        let client = self.clients.by_id(id).ok_or(Dropped::UnknownPath)?;
        let _length = client.session.unprotect_rtcp(now, path, bytes)?;
        Ok(())
    }

    pub(super) fn report(&mut self, _now: Instant, _id: SessionId) {}

    pub(super) fn ask_keyframe(&mut self, _now: Instant, _id: SessionId, _ssrc: Ssrc) {}
}
