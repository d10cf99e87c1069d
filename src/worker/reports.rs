//! RTCP with clients: what we tell them about what they send, and what they tell us (RFC 3550 §6, RFC 4585).

use std::time::{Duration, Instant};

use crate::ids::{SessionId, Ssrc};
use crate::limits::{MAX_RTP_BYTES, MAX_SSRCS_PER_SESSION};
use crate::metrics::Dropped;
use crate::proto::rtcp::{self, MAX_BLOCKS, Packet, ReportBlock};
use crate::proto::rtp::Header;
use crate::relay::Input;

use crate::session::Path;
use crate::session::feedback::TransportFeedback;
use crate::session::reception::Reception;
use crate::worker::clients::Client;
use crate::worker::turn::Worker;

/// Who we are in reports. We send no stream of our own, and slots are numbered from elsewhere.
const OURS: Ssrc = Ssrc(1);
/// From report to report; stock clients send theirs at about this pace.
const INTERVAL: Duration = Duration::from_secs(1);
/// Opus in our offers; everything else that clients send is video.
const OPUS: u8 = 111;
/// Bytes of one report: what fits any path with its SRTCP trailer.
const MAX_REPORT: usize = 1180;

const _: () = assert!(MAX_REPORT < MAX_RTP_BYTES && MAX_SSRCS_PER_SESSION <= MAX_BLOCKS);

/// What a session's senders are told.
#[derive(Debug, Default)]
pub struct Reports {
    feedback: TransportFeedback,
    // At most MAX_SSRCS_PER_SESSION; the session drops packets of more.
    streams: Vec<Stream>,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Stream {
    ssrc: Ssrc,
    reception: Reception,
    // Something came since the last report.
    fresh: bool,
}

impl Reports {
    /// Learns of a packet.
    pub fn received(&mut self, now: Instant, header: &Header, transport_sequence: Option<u16>) {
        if let Some(sequence) = transport_sequence {
            self.feedback.on_packet(now, sequence);
        }
        let Some(stream) = self.stream(header) else { return };
        stream.fresh = true;
        stream.reception.on_packet(now, header.sequence, header.timestamp);
        self.due.get_or_insert(now + INTERVAL);
    }

    /// When a report is due; `None`: not before another packet comes.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.feedback.next_deadline(), self.due].into_iter().flatten().min()
    }

    fn stream(&mut self, header: &Header) -> Option<&mut Stream> {
        let known = self.streams.iter().position(|stream| stream.ssrc == header.ssrc);
        let place = known.unwrap_or(self.streams.len());
        if known.is_none() && place < MAX_SSRCS_PER_SESSION {
            let clock_rate = if header.payload_type == OPUS { 48_000 } else { 90_000 };
            self.streams.push(Stream {
                ssrc: header.ssrc,
                reception: Reception::new(clock_rate),
                fresh: false,
            });
        }
        self.streams.get_mut(place)
    }

    fn sender_report(&mut self, now: Instant, report: &rtcp::SenderReport<'_>) {
        let told = self.streams.iter_mut().find(|stream| stream.ssrc == report.totals.ssrc);
        if let Some(stream) = told {
            stream.reception.on_sender_report(now, report.totals.ntp);
        }
    }

    /// Writes the report that is due; to be called until it is `None`.
    fn write(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        // Feedback names any stream of the session; senders look at the transport-wide numbers alone.
        let media = self.streams.first().map(|stream| stream.ssrc).unwrap_or_default();
        if let Some(length) = self.feedback.poll(now, OURS, media, out) {
            return Some(length);
        }
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        let mut blocks = [ReportBlock::default(); MAX_SSRCS_PER_SESSION];
        let streams = self.streams.iter_mut();
        let told = streams.filter_map(|stream| {
            let fresh = std::mem::take(&mut stream.fresh);
            fresh.then(|| stream.reception.report(now, stream.ssrc))?
        });
        let count = blocks
            .iter_mut()
            .zip(told)
            .map(|(block, report)| *block = report)
            .count();
        rtcp::write_receiver_report(OURS, blocks.get(..count)?, out)
    }
}

impl Worker {
    /// Takes RTCP of a client. Retransmissions are not asked of us yet; what receivers can take is not used yet.
    pub(super) fn rtcp(&mut self, now: Instant, path: Path, bytes: &mut [u8]) -> Result<(), Dropped> {
        let id = self.owner(&path)?;
        let client = self.clients.by_id(id).ok_or(Dropped::UnknownPath)?;
        let length = client.session.unprotect_rtcp(now, path, bytes)?;
        for packet in rtcp::packets(bytes.get(..length).ok_or(Dropped::BadRtcp)?) {
            match packet.map_err(|_| Dropped::BadRtcp)? {
                Packet::SenderReport(report) => {
                    let client = self.clients.by_id(id).ok_or(Dropped::UnknownPath)?;
                    client.reports.sender_report(now, &report);
                }
                Packet::Pli { media, .. } => self.picture_lost(now, id, media),
                Packet::Fir(fir) => fir.requests().for_each(|(media, _)| self.picture_lost(now, id, media)),
                _ => {}
            }
        }
        Ok(())
    }

    fn picture_lost(&mut self, now: Instant, session: SessionId, slot: Ssrc) {
        self.feed(now, Input::PictureLost { session, slot });
    }

    /// Sends a session the reports that are due.
    pub(super) fn report(&mut self, now: Instant, id: SessionId) {
        while self.send_rtcp(now, id, |client, out| client.reports.write(now, out)) {}
        let Some(client) = self.clients.by_id(id) else { return };
        // Without a path nothing is written; the next packet tries again.
        if client.session.media_path(now).is_some() {
            self.timers.arm(now, id, client.reports.next_deadline());
        }
    }

    /// Asks a publisher for a key frame.
    pub(super) fn ask_keyframe(&mut self, now: Instant, id: SessionId, ssrc: Ssrc) {
        if self.send_rtcp(now, id, |_, out| rtcp::write_pli(OURS, ssrc, out)) {
            self.counters.keyframes_asked += 1;
        }
    }

    /// Sends what `write` writes, if it does; whether there was a packet.
    fn send_rtcp(
        &mut self,
        now: Instant,
        id: SessionId,
        write: impl FnOnce(&mut Client, &mut [u8]) -> Option<usize>,
    ) -> bool {
        let Some(client) = self.clients.by_id(id) else {
            return false;
        };
        let Some(path) = client.session.media_path(now) else {
            return false;
        };
        let sent = self.outbox.push(id, path, |room| {
            let length = write(client, room.get_mut(..MAX_REPORT).unwrap_or_default()).ok_or(None)?;
            client.session.protect_rtcp(room, length).map_err(Some)
        });
        if let Err(Some(reason)) = sent {
            self.counters.dropped(reason);
        }
        sent.is_ok()
    }
}
