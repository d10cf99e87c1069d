//! The path of a packet: open it in place, parse once, ask the relay, and seal a copy for each receiver into the outbox.
//!
//! Nothing here allocates, locks, waits or formats once its buffers have grown (`tests/alloc.rs`).

use std::time::Instant;

use crate::ids::{LinkId, SessionId};
use crate::metrics::Dropped;
use crate::proto::demux::{Kind, classify};
use crate::proto::link::datagram::FEEDBACK;
use crate::proto::rtp::{self, Rewrite};
use crate::proto::stun::ufrag_of;
use crate::relay::Source;
use crate::session::{self, Path};
use crate::worker::turn::Worker;

impl Worker {
    /// Takes a datagram of the media port; what it asks for is done in [`Worker::settle`].
    pub fn datagram(&mut self, now: Instant, path: Path, bytes: &mut [u8]) {
        self.guarded(|worker| {
            if let Err(reason) = worker.take(now, path, bytes) {
                worker.counters.dropped(reason);
            }
        });
    }

    /// Takes a media datagram of a link.
    pub fn link_datagram(&mut self, now: Instant, link: LinkId, bytes: &[u8]) {
        self.guarded(|worker| {
            if let Err(reason) = worker.take_from_link(now, link, bytes) {
                worker.counters.dropped(reason);
            }
        });
    }

    fn take(&mut self, now: Instant, path: Path, bytes: &mut [u8]) -> Result<(), Dropped> {
        match classify(bytes).ok_or(Dropped::UnknownKind)? {
            Kind::Stun => self.stun(now, path, bytes),
            Kind::Dtls => self.dtls(now, path, bytes),
            Kind::Rtp => self.rtp(now, path, bytes),
            Kind::Rtcp => self.rtcp(now, path, bytes),
        }
    }

    fn stun(&mut self, now: Instant, path: Path, bytes: &[u8]) -> Result<(), Dropped> {
        let ufrag = ufrag_of(bytes).ok_or(Dropped::BadStun)?;
        let id = self.clients.by_ufrag(ufrag).ok_or(Dropped::UnknownPath)?;
        let client = self.touch(id)?;
        client.session.stun(now, path, bytes)?;
        self.clients.claim(now, path, id);
        Ok(())
    }

    fn dtls(&mut self, now: Instant, path: Path, bytes: &[u8]) -> Result<(), Dropped> {
        let id = self.owner(&path)?;
        Ok(self.touch(id)?.session.dtls(now, path, bytes)?)
    }

    fn rtp(&mut self, now: Instant, path: Path, bytes: &mut [u8]) -> Result<(), Dropped> {
        let id = self.owner(&path)?;
        let client = self.clients.by_id(id).ok_or(Dropped::UnknownPath)?;
        let length = client.session.unprotect_rtp(now, path, bytes)?;
        let packet = bytes.get(..length).ok_or(Dropped::BadRtp)?;
        let (header, incoming) = rtp::incoming(packet)?;
        client
            .reports
            .received(now, &header, rtp::transport_sequence(&header, packet));
        self.timers.arm(now, id, client.reports.next_deadline());
        self.relay
            .forward(now, Source::Session(id), &incoming, &mut self.forwards)?;
        let length = rtp::normalise(packet, &header, &mut self.normal).ok_or(Dropped::BadRtp)?;
        self.fan_out(now, length)
    }

    fn take_from_link(&mut self, now: Instant, link: LinkId, bytes: &[u8]) -> Result<(), Dropped> {
        let kind_of = |flow| self.relay.kind_of(link, flow);
        let Some((flow, packet)) = self.links.receive(now, link, bytes, kind_of)? else {
            return Ok(());
        };
        if flow == FEEDBACK {
            return Ok(());
        }
        let (header, incoming) = rtp::incoming(packet)?;
        self.relay
            .forward(now, Source::Link(link, flow), &incoming, &mut self.forwards)?;
        // Peers send the normal form, but nothing makes them.
        let length = rtp::normalise(packet, &header, &mut self.normal).ok_or(Dropped::BadRtp)?;
        self.fan_out(now, length)
    }

    /// Sends the normal packet to all that `forwards` lists.
    fn fan_out(&mut self, now: Instant, length: usize) -> Result<(), Dropped> {
        let normal = self.normal.get(..length).ok_or(Dropped::BadRtp)?;
        for to in &self.forwards.sessions {
            let Some(client) = self.clients.by_id(to.session) else {
                continue;
            };
            let Some(path) = client.session.media_path(now) else {
                self.counters.dropped(Dropped::NotReady);
                continue;
            };
            let header = Rewrite {
                ssrc: to.ssrc,
                sequence: to.sequence,
                timestamp: to.timestamp,
                csrc: to.csrc,
            };
            let sealed = self.outbox.push(to.session, path, |room| {
                let length = rtp::rewrite(normal, header, room).ok_or(session::Drop::TooLong)?;
                client.session.protect_rtp(room, length)
            });
            match sealed {
                Ok(()) => self.counters.forwarded(to.kind, normal.len()),
                Err(reason) => self.counters.dropped(reason),
            }
        }
        for to in &self.forwards.links {
            if self.links.send(to, normal) {
                self.counters.forwarded(to.kind, normal.len());
            }
        }
        Ok(())
    }

    /// The session that has a path; it answers for what happens next.
    pub(super) fn owner(&mut self, path: &Path) -> Result<SessionId, Dropped> {
        let id = self.clients.by_path(path).ok_or(Dropped::UnknownPath)?;
        self.current = Some(id);
        Ok(id)
    }

    /// A session that may have something to say afterwards.
    pub(super) fn touch(&mut self, id: SessionId) -> Result<&mut super::clients::Client, Dropped> {
        self.current = Some(id);
        self.touched.push(id);
        self.clients.by_id(id).ok_or(Dropped::UnknownPath)
    }
}
