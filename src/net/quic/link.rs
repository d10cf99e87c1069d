//! One link: what the hub can ask of it, and the tasks that watch, read and write it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, SendDatagramError, VarInt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::federation::{Event, Side};
use crate::ids::{Domain, LinkId, StreamId};
use crate::limits::{LINK_WINDOW, MAX_LINK_STREAMS};
use crate::net::quic::hub::{Happening, chain};
use crate::net::quic::streams::{Backlog, Streams, Write, Writes};
use crate::net::quic::{LinkStats, Outlet, verdict};
use crate::net::tls::verify;
use crate::proto::link::message::Code;
use crate::units::WallTime;

/// How often the size of datagrams is looked at; discovery changes it once or twice in a link's life.
const SIZE_INTERVAL: Duration = Duration::from_millis(500);

/// A link as the hub holds it. Nothing here waits.
#[derive(Debug)]
pub(super) struct Link {
    id: LinkId,
    peer: Domain,
    side: Side,
    connection: Connection,
    // Read once: a link does not change its certificate.
    not_after: Option<WallTime>,
    backlog: Backlog,
    dropped_out: u64,
    shared: Arc<Shared>,
}

/// What the link's tasks and the hub both see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Why we closed the link, if we did.
    closing: OnceLock<Code>,
    dropped_in: AtomicU64,
}

impl Link {
    /// Takes over a connection whose peer is proven, and says so.
    pub(super) fn begin(
        id: LinkId,
        connection: Connection,
        peer: Domain,
        side: Side,
        outlet: Outlet,
        happenings: mpsc::Sender<Happening>,
    ) -> Link {
        let (backlog, writes) = Backlog::new();
        let link = Link {
            id,
            peer,
            side,
            not_after: chain(&connection).first().and_then(verify::not_after),
            connection,
            backlog,
            dropped_out: 0,
            shared: Arc::default(),
        };
        let life = Life {
            id,
            connection: link.connection.clone(),
            shared: Arc::clone(&link.shared),
            outlet,
        };
        tokio::spawn(life.run(link.peer.clone(), side, writes, happenings));
        link
    }

    pub(super) fn peer(&self) -> &Domain {
        &self.peer
    }

    pub(super) fn side(&self) -> Side {
        self.side
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn open(&mut self, stream: StreamId) {
        self.write(Write::Open(stream));
    }

    pub(super) fn frame(&mut self, stream: StreamId, frame: Bytes) {
        self.write(Write::Frame(stream, frame));
    }

    pub(super) fn finish(&mut self, stream: StreamId) {
        self.write(Write::Finish(stream));
    }

    /// A peer that reads so slowly that the backlog is full loses the link, and nobody waits for it.
    fn write(&mut self, write: Write) {
        if self.backlog.push(write).is_err() && self.connection.close_reason().is_none() {
            tracing::warn!(link = self.id.0, peer = %self.peer, "a peer is too slow, its link is closed");
            self.close(Code::Limit);
        }
    }

    /// Sends a datagram. Where too many wait, the oldest goes.
    pub(super) fn datagram(&mut self, datagram: Bytes) {
        let crowded = self.connection.datagram_send_buffer_space() < datagram.len();
        match self.connection.send_datagram(datagram) {
            Ok(()) if !crowded => {}
            Ok(()) | Err(SendDatagramError::TooLarge) => self.dropped_out += 1,
            // The link is going down, and says so itself.
            Err(SendDatagramError::ConnectionLost(_)) => {}
            Err(SendDatagramError::Disabled | SendDatagramError::UnsupportedByPeer) => self.close(Code::Protocol),
        }
    }

    /// Closes at once; what waits is dropped.
    pub(super) fn close(&mut self, code: Code) {
        let code = *self.shared.closing.get_or_init(|| code);
        self.connection.close(code.close_code().into(), b"");
    }

    pub(super) fn stats(&self) -> LinkStats {
        let stats = self.connection.stats();
        LinkStats {
            link: self.id,
            peer: self.peer.clone(),
            side: self.side,
            rtt: stats.path.rtt,
            window: stats.path.cwnd,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            lost_packets: stats.path.lost_packets,
            not_after: self.not_after,
            dropped_out: self.dropped_out,
            dropped_in: self.shared.dropped_in.load(Ordering::Relaxed),
        }
    }
}

/// After the peer's `hello`: room for conferences.
pub(super) fn open_up(connection: &Connection) {
    let streams = u32::try_from(MAX_LINK_STREAMS).unwrap_or(u32::MAX);
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(streams));
    connection.set_receive_window(VarInt::from_u32(LINK_WINDOW));
}

/// A link's tasks, from up to down.
struct Life {
    id: LinkId,
    connection: Connection,
    shared: Arc<Shared>,
    outlet: Outlet,
}

impl Life {
    async fn run(self, peer: Domain, side: Side, writes: Writes, happenings: mpsc::Sender<Happening>) {
        let up = Event::Up {
            link: self.id,
            peer,
            side,
            datagram_bytes: self.connection.max_datagram_size().unwrap_or(0),
        };
        self.tell(up).await;
        let mut tasks = JoinSet::new();
        let streams = Streams::new(self.id, self.connection.clone(), side, self.outlet.events.clone());
        tasks.spawn(streams.run(writes));
        tasks.spawn(receive(
            self.id,
            self.connection.clone(),
            Arc::clone(&self.shared),
            self.outlet.clone(),
        ));
        tasks.spawn(watch_size(self.id, self.connection.clone(), self.outlet.clone()));
        let error = self.connection.closed().await;
        // All of them end with the connection; only then nothing more can be said of the link.
        while tasks.join_next().await.is_some() {}
        let ours = self.shared.closing.get().copied();
        let code = ours.or_else(|| verdict::reason(&error));
        self.tell(Event::Down { link: self.id, code }).await;
        let _ = happenings.send(Happening::Gone(self.id)).await;
    }

    async fn tell(&self, event: Event) {
        // Fails only where nobody is left who would care.
        let _ = self.outlet.events.send(event).await;
    }
}

async fn receive(id: LinkId, connection: Connection, shared: Arc<Shared>, outlet: Outlet) {
    while let Ok(datagram) = connection.read_datagram().await {
        if !(outlet.media)(id, datagram) {
            shared.dropped_in.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn watch_size(id: LinkId, connection: Connection, outlet: Outlet) {
    let mut known = connection.max_datagram_size();
    let mut ticks = interval(SIZE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = connection.closed() => return,
            _ = ticks.tick() => {}
        }
        let now = connection.max_datagram_size();
        if let Some(bytes) = now.filter(|_| now != known) {
            known = now;
            let _ = outlet.events.send(Event::DatagramSize { link: id, bytes }).await;
        }
    }
}
