//! Packets to and from links: cut to the size of a link's datagrams, put together again, queued for `net::quic`.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::federation::reassembly::Reassembler;
use crate::federation::{Command, Event};
use crate::ids::{Domain, FlowId, LinkId};
use crate::metrics::{Direction, Dropped, LinkClass, LinkKind, Metrics};
use crate::proto::link::datagram::{Datagram, MAX_HEADER_BYTES, Part, fragments, write_header};
use crate::proto::link::message::{Code, Kind};
use crate::relay::ToLink;

/// The share of the queue that is kept from packets, so that a burst of video cannot hold up what links must know.
const CONTROL_SHARE: usize = 4;
/// Bytes that datagrams are cut from before memory is asked for again.
const ARENA: usize = 256 * 1024;

/// What a worker has to do with links.
#[derive(Debug)]
pub struct LinkPort {
    queue: mpsc::Sender<Command>,
    links: HashMap<LinkId, Link>,
    // Links that lost a command: nothing but their end may follow.
    broken: HashSet<LinkId>,
    arena: BytesMut,
}

#[derive(Debug)]
struct Link {
    peer: Domain,
    datagram_bytes: usize,
    counter: u16,
    reassembler: Reassembler,
    counts: Counts,
}

/// What happened on a link since the last fold.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    too_large: u64,
    congested: u64,
    incomplete: u64,
    fragments: u64,
    // Bytes of datagrams, by direction and kind of media.
    bytes_out: Media,
    bytes_in: Media,
}

/// Bytes by kind.
#[derive(Clone, Copy, Debug, Default)]
struct Media {
    audio: u64,
    video: u64,
}

impl Media {
    fn add(&mut self, kind: Kind, bytes: u64) {
        match kind {
            Kind::Audio => self.audio += bytes,
            Kind::Video => self.video += bytes,
        }
    }
}

impl LinkPort {
    /// A port on the queue that `net::quic` reads.
    #[must_use]
    pub fn new(queue: mpsc::Sender<Command>) -> LinkPort {
        LinkPort {
            queue,
            links: HashMap::new(),
            broken: HashSet::new(),
            arena: BytesMut::new(),
        }
    }

    /// Learns from an event, before the relay does.
    pub fn learn(&mut self, event: &Event) {
        match event {
            Event::Up {
                link,
                peer,
                datagram_bytes,
                ..
            } => {
                let state = Link {
                    peer: peer.clone(),
                    datagram_bytes: *datagram_bytes,
                    counter: 0,
                    reassembler: Reassembler::default(),
                    counts: Counts::default(),
                };
                self.links.insert(*link, state);
            }
            Event::DatagramSize { link, bytes } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.datagram_bytes = *bytes;
                }
            }
            Event::Down { link, .. } => {
                self.links.remove(link);
                self.broken.remove(link);
            }
            Event::DialFailed { .. } | Event::Frame { .. } | Event::StreamClosed { .. } => {}
        }
    }

    /// Passes on a command of the relay. A link that misses one would disagree with us from then on, so it is closed instead.
    pub fn command(&mut self, command: Command) {
        let link = link_of(&command);
        if link.is_some_and(|link| self.broken.contains(&link)) {
            return;
        }
        if self.queue.try_send(command).is_err()
            && let Some(link) = link
        {
            tracing::warn!(link = link.0, "a link cannot keep up and is closed");
            self.broken.insert(link);
        }
    }

    /// Tries again to close the links that missed a command.
    pub fn close_broken(&mut self) {
        let queue = &self.queue;
        let close = |link: &LinkId| Command::Close {
            link: *link,
            code: Code::Limit,
        };
        for link in &self.broken {
            // Repeated until the link's end is told; closing twice does no harm.
            let _ = queue.try_send(close(link));
        }
    }

    /// Queues a packet in normal form for a link; whether any of it was taken.
    pub fn send(&mut self, to: &ToLink, packet: &[u8]) -> bool {
        let (link, flow) = (to.link, to.flow);
        let Some(state) = self.links.get_mut(&link) else {
            return false;
        };
        let (mut pieces, mut taken) = (0, 0);
        for (part, bytes) in fragments(flow, state.counter, packet, state.datagram_bytes) {
            pieces += 1;
            if self.queue.capacity() <= self.queue.max_capacity() / CONTROL_SHARE {
                continue;
            }
            let datagram = datagram(&mut self.arena, (flow, part), bytes);
            let length = datagram.as_ref().map_or(0, Bytes::len) as u64;
            let sent = |datagram| self.queue.try_send(Command::Datagram { link, datagram }).is_ok();
            if datagram.is_some_and(sent) {
                taken += 1;
                state.counts.bytes_out.add(to.kind, length);
            }
        }
        if pieces > 1 {
            state.counter = state.counter.wrapping_add(1);
            state.counts.fragments += pieces;
        }
        state.counts.too_large += u64::from(pieces == 0);
        state.counts.congested += pieces - taken;
        taken > 0
    }

    /// Adds what was counted to the metrics and starts anew.
    pub fn fold(&mut self, metrics: &Metrics) {
        for link in self.links.values_mut() {
            let peer = metrics.peer(&link.peer);
            let counts = std::mem::take(&mut link.counts);
            // The reassembler counts from the link's start.
            let incomplete = link.reassembler.incomplete();
            let news = incomplete.saturating_sub(counts.incomplete);
            link.counts.incomplete = incomplete;
            metrics.link_fragments.add(&peer, counts.fragments);
            for (direction, media) in [(Direction::Out, counts.bytes_out), (Direction::In, counts.bytes_in)] {
                for (kind, bytes) in [(LinkKind::Audio, media.audio), (LinkKind::Video, media.video)] {
                    metrics.link_bytes.add(&(peer.clone(), direction, kind), bytes);
                }
            }
            for (class, count) in [
                (LinkClass::TooLarge, counts.too_large),
                (LinkClass::Congested, counts.congested),
                (LinkClass::Incomplete, news),
            ] {
                metrics.link_dropped.add(&(peer.clone(), class), count);
            }
        }
    }

    /// Takes a datagram of a link and gives the flow and the packet that it completes. `kind_of` tells of a flow what it carries.
    ///
    /// # Errors
    /// [`Dropped::BadLinkDatagram`] where it is no datagram of ours. `None`: the other half is missing so far.
    pub fn receive<'a>(
        &'a mut self,
        now: Instant,
        link: LinkId,
        datagram: &'a [u8],
        kind_of: impl FnOnce(FlowId) -> Option<Kind>,
    ) -> Result<Option<(FlowId, &'a [u8])>, Dropped> {
        let length = datagram.len() as u64;
        let datagram = Datagram::parse(datagram).map_err(|_| Dropped::BadLinkDatagram)?;
        let link = self.links.get_mut(&link).ok_or(Dropped::UnknownSource)?;
        let flow = datagram.flow;
        if let Some(kind) = kind_of(flow) {
            link.counts.bytes_in.add(kind, length);
        }
        Ok(link.reassembler.push(now, &datagram).map(|packet| (flow, packet)))
    }
}

fn datagram(arena: &mut BytesMut, (flow, part): (FlowId, Part), bytes: &[u8]) -> Option<Bytes> {
    let mut header = [0; MAX_HEADER_BYTES];
    let length = write_header(flow, part, &mut header)?;
    if arena.capacity() < length + bytes.len() {
        arena.reserve(ARENA);
    }
    arena.put_slice(header.get(..length)?);
    arena.put_slice(bytes);
    Some(arena.split().freeze())
}

fn link_of(command: &Command) -> Option<LinkId> {
    match command {
        Command::Dial { .. } => None,
        Command::Open { link, .. }
        | Command::Frame { link, .. }
        | Command::Finish { link, .. }
        | Command::Datagram { link, .. }
        | Command::Close { link, .. } => Some(*link),
    }
}
