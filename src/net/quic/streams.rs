//! The streams of one link: frames in, frames out.
//!
//! One task writes all streams of a link in the order of the commands and takes the streams that the peer opens; each stream has a
//! reader of its own, so that both sides can be busy writing without waiting for each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use quinn::{Connection, ReadError, RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::federation::{Event, Side};
use crate::ids::{LinkId, StreamId};
use crate::limits::{LINK_BACKLOG_BYTES, LINK_BACKLOG_FRAMES, MAX_EARLY_FRAMES, MAX_FRAME_BYTES};
use crate::net::quic::link::open_up;
use crate::proto::link::frame::{BadFrame, Decoder};
use crate::proto::link::message::Message;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Write {
    /// Open a stream under our own id.
    Open(StreamId),
    /// Write an encoded frame.
    Frame(StreamId, Bytes),
    /// End our side and stop reading.
    Finish(StreamId),
}

/// The queue to a link's writer is full, or the writer has ended.
#[derive(Debug)]
pub(super) struct Full;

/// The queue to a link's writer, bounded in frames and in bytes.
#[derive(Debug)]
pub(super) struct Backlog {
    queue: mpsc::Sender<Write>,
    bytes: Arc<AtomicUsize>,
}

/// The writer's end of a [`Backlog`].
#[derive(Debug)]
pub(super) struct Writes {
    queue: mpsc::Receiver<Write>,
    bytes: Arc<AtomicUsize>,
}

impl Backlog {
    pub(super) fn new() -> (Backlog, Writes) {
        let (sender, queue) = mpsc::channel(LINK_BACKLOG_FRAMES);
        let bytes = Arc::default();
        let backlog = Backlog {
            queue: sender,
            bytes: Arc::clone(&bytes),
        };
        (backlog, Writes { queue, bytes })
    }

    /// Queues without waiting.
    pub(super) fn push(&self, write: Write) -> Result<(), Full> {
        let size = write.size();
        let waiting = self.bytes.fetch_add(size, Ordering::Relaxed);
        let room = waiting + size <= LINK_BACKLOG_BYTES;
        if room && self.queue.try_send(write).is_ok() {
            return Ok(());
        }
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        Err(Full)
    }
}

impl Write {
    fn size(&self) -> usize {
        match self {
            Write::Frame(_, frame) => frame.len(),
            Write::Open(_) | Write::Finish(_) => 0,
        }
    }
}

/// Writes all streams of a link and takes those that the peer opens.
pub(super) struct Streams {
    link: LinkId,
    connection: Connection,
    events: mpsc::Sender<Event>,
    open: HashMap<StreamId, Open>,
    /// Frames for the link stream that the peer has not opened yet; `None`: it has, or we do.
    early: Option<Vec<Bytes>>,
    readers: JoinSet<()>,
    last_accepted: StreamId,
}

struct Open {
    send: SendStream,
    reader: AbortHandle,
}

impl Streams {
    pub(super) fn new(link: LinkId, connection: Connection, side: Side, events: mpsc::Sender<Event>) -> Streams {
        Streams {
            link,
            connection,
            events,
            open: HashMap::new(),
            early: (side == Side::Accepted).then(Vec::new),
            readers: JoinSet::new(),
            last_accepted: StreamId::LINK,
        }
    }

    /// Ends with the connection, after all readers.
    pub(super) async fn run(mut self, mut writes: Writes) {
        loop {
            tokio::select! {
                accepted = self.connection.accept_bi() => match accepted {
                    Ok((send, recv)) => self.accept(send, recv).await,
                    Err(_) => break,
                },
                Some(write) = writes.queue.recv() => {
                    let size = write.size();
                    self.write(write).await;
                    writes.bytes.fetch_sub(size, Ordering::Relaxed);
                }
                Some(_) = self.readers.join_next() => {}
            }
        }
        while self.readers.join_next().await.is_some() {}
    }

    /// The first stream that a dialler opens is the link stream; all others get even ids, in order.
    async fn accept(&mut self, send: SendStream, recv: RecvStream) {
        match self.early.take() {
            Some(early) => {
                self.add(StreamId::LINK, send, recv);
                for frame in early {
                    self.send(StreamId::LINK, frame).await;
                }
            }
            None => {
                self.last_accepted.0 += 2;
                self.add(self.last_accepted, send, recv);
            }
        }
    }

    fn add(&mut self, id: StreamId, send: SendStream, recv: RecvStream) {
        let reader = Reader {
            link: self.link,
            stream: id,
            recv,
            connection: self.connection.clone(),
            events: self.events.clone(),
        };
        let reader = self.readers.spawn(reader.run());
        self.open.insert(id, Open { send, reader });
    }

    async fn write(&mut self, write: Write) {
        match write {
            Write::Open(id) => {
                if let Ok((send, recv)) = self.connection.open_bi().await {
                    self.add(id, send, recv);
                }
            }
            Write::Frame(id, frame) => self.send(id, frame).await,
            Write::Finish(id) => self.finish(id),
        }
    }

    async fn send(&mut self, id: StreamId, frame: Bytes) {
        if let Some(early) = &mut self.early
            && id == StreamId::LINK
        {
            // What exceeds the bound is no loss: a link whose peer never opens the link stream ends for want of a `hello`.
            if early.len() < MAX_EARLY_FRAMES {
                early.push(frame);
            }
            return;
        }
        if let Some(open) = self.open.get_mut(&id) {
            // A peer that stopped reading is told nothing more; that it ended the stream comes from the reader.
            let _ = open.send.write_chunk(frame).await;
        }
    }

    fn finish(&mut self, id: StreamId) {
        if let Some(mut open) = self.open.remove(&id) {
            // Fails only where the peer stopped reading first.
            let _ = open.send.finish();
            // Dropping the reader tells the peer to send nothing more.
            open.reader.abort();
        }
    }
}

/// Reads one stream.
struct Reader {
    link: LinkId,
    stream: StreamId,
    recv: RecvStream,
    connection: Connection,
    events: mpsc::Sender<Event>,
}

impl Reader {
    async fn run(mut self) {
        let mut decoder = Decoder::default();
        loop {
            match self.recv.read_chunk(MAX_FRAME_BYTES, true).await {
                Ok(Some(chunk)) => decoder.push(&chunk.bytes),
                // The link says itself that it is down.
                Err(ReadError::ConnectionLost(_)) => return,
                Ok(None) | Err(_) => break,
            }
            if let Err(error) = self.hand_on(&mut decoder).await {
                tracing::debug!(link = self.link.0, stream = self.stream.0, %error, "a peer broke the framing");
                break;
            }
        }
        let closed = Event::StreamClosed {
            link: self.link,
            stream: self.stream,
        };
        let _ = self.events.send(closed).await;
    }

    async fn hand_on(&self, decoder: &mut Decoder) -> Result<(), BadFrame> {
        while let Some(message) = decoder.next()? {
            if self.stream == StreamId::LINK && matches!(message, Message::Hello(_)) {
                open_up(&self.connection);
            }
            let frame = Event::Frame {
                link: self.link,
                stream: self.stream,
                message,
            };
            // Waiting here is what makes a peer wait that says more than we can take.
            let _ = self.events.send(frame).await;
        }
        Ok(())
    }
}
