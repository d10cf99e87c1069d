//! What QUIC is to a relay: one connection between two SFTs, with ordered streams that do not wait for each other.

use std::collections::VecDeque;

use anchor_sft::ids::{LinkId, StreamId};

use crate::mischief::Mischief;

/// One connection. End 0 dialled.
#[derive(Debug)]
pub struct Cable {
    pub ends: [End; 2],
    pub streams: Vec<Stream>,
}

/// One SFT's view of a connection.
#[derive(Debug)]
pub struct End {
    pub sft: usize,
    /// Which start of that SFT: a restarted one knows nothing of the connection.
    pub boot: u64,
    pub link: LinkId,
    pub up: bool,
    accepted: u64,
}

/// A bidirectional stream.
#[derive(Debug)]
pub struct Stream {
    /// Each end's name for it.
    pub ids: [StreamId; 2],
    /// Whether an end still reads; an end that does not ignores what comes.
    pub reads: [bool; 2],
    /// Whether an end may still write.
    pub writes: [bool; 2],
    /// What is on its way to an end, in order.
    pub queues: [VecDeque<Bytes>; 2],
}

/// What travels on a stream.
#[derive(Clone, Debug)]
pub enum Bytes {
    Frame(Vec<u8>),
    Fin,
}

impl Cable {
    pub fn new(dialler: (usize, u64, LinkId), acceptor: (usize, u64, LinkId)) -> Cable {
        let end = |(sft, boot, link)| End {
            sft,
            boot,
            link,
            up: true,
            accepted: 0,
        };
        Cable {
            ends: [end(dialler), end(acceptor)],
            streams: Vec::new(),
        }
    }

    pub fn is_up(&self) -> bool {
        self.ends.iter().all(|end| end.up)
    }

    pub fn joins(&self, one: usize, other: usize) -> bool {
        let ends = [self.ends[0].sft, self.ends[1].sft];
        ends == [one, other] || ends == [other, one]
    }

    /// An end opens a stream: the dialler's first is the link stream, others get even ids at the acceptor, in order.
    pub fn open(&mut self, end: usize, id: StreamId) {
        let there = &mut self.ends[1 - end];
        let theirs = if id == StreamId::LINK {
            StreamId::LINK
        } else {
            there.accepted += 2;
            StreamId(there.accepted)
        };
        let mut ids = [id; 2];
        ids[1 - end] = theirs;
        self.streams.push(Stream {
            ids,
            reads: [true; 2],
            writes: [true; 2],
            queues: [VecDeque::new(), VecDeque::new()],
        });
    }

    /// The stream that an end calls so.
    pub fn stream(&self, end: usize, id: StreamId) -> Option<usize> {
        self.streams.iter().position(|stream| stream.ids[end] == id)
    }

    /// Puts a frame on the way; says whether it went.
    pub fn write(&mut self, end: usize, at: usize, frame: Vec<u8>) -> bool {
        let stream = &mut self.streams[at];
        if stream.writes[end] {
            stream.queues[1 - end].push_back(Bytes::Frame(frame));
        }
        stream.writes[end]
    }

    /// An end writes and reads no more; says whether that is new.
    pub fn finish(&mut self, end: usize, at: usize) -> bool {
        let stream = &mut self.streams[at];
        stream.reads[end] = false;
        let fresh = std::mem::replace(&mut stream.writes[end], false);
        if fresh {
            stream.queues[1 - end].push_back(Bytes::Fin);
        }
        fresh
    }

    /// What reaches an end next.
    pub fn arrive(&mut self, end: usize, at: usize) -> Option<Bytes> {
        let stream = &mut self.streams[at];
        let bytes = stream.queues[end].pop_front()?;
        stream.reads[end].then_some(bytes)
    }
}

/// The wire form of a message, spoilt now and then where its sender is up to mischief.
pub fn encoded(json: Vec<u8>, mischief: Option<&mut Mischief>) -> Vec<u8> {
    match mischief {
        Some(mischief) => mischief.spoil(json),
        None => json,
    }
}
