//! What goes out to clients in a turn: one arena, sorted by receiver and sent in runs.
//!
//! Only GSO makes sending cheaper (`design.md` §3), and a run needs datagrams of one size to one address, so what is written in the
//! order of arrival is sent in the order of receivers. Memory is kept from turn to turn.

use crate::ids::SessionId;
use crate::limits::MAX_DATAGRAM_BYTES;
use crate::net::udp::{Sent, Socket};
use crate::session::Path;

/// Bytes after which a turn should flush: the arena then still fits the second-level cache.
const FLUSH_BYTES: usize = 512 * 1024;
/// Bytes of one run: what a UDP datagram may carry.
const RUN_BYTES: usize = 65_000;
/// Datagrams of one run: longer ones gain little and come out as a burst that fills small queues on the way.
const RUN_DATAGRAMS: usize = 16;

/// Datagrams that wait for the end of the turn.
#[derive(Debug, Default)]
pub struct Outbox {
    arena: Vec<u8>,
    used: usize,
    entries: Vec<Entry>,
    order: Vec<(SessionId, usize)>,
    run: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    path: Path,
    start: usize,
    len: usize,
}

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flushed {
    /// Datagrams that the kernel took.
    pub sent: u64,
    /// Datagrams dropped because its buffer was full.
    pub full: u64,
    /// Datagrams that it refused.
    pub refused: u64,
}

impl Outbox {
    /// Adds a datagram that `write` fills, into [`MAX_DATAGRAM_BYTES`] of room; it answers with the length.
    ///
    /// # Errors
    /// What `write` says; nothing is added then.
    pub fn push<E>(
        &mut self,
        session: SessionId,
        path: Path,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let (start, end) = (self.used, self.used + MAX_DATAGRAM_BYTES);
        if self.arena.len() < end {
            self.arena.resize(end, 0);
        }
        let room = self.arena.get_mut(start..end).unwrap_or_default();
        let len = write(room)?.min(MAX_DATAGRAM_BYTES);
        self.used += len;
        self.order.push((session, self.entries.len()));
        self.entries.push(Entry { path, start, len });
        Ok(())
    }

    /// Adds a datagram that exists already.
    ///
    /// # Errors
    /// [`TooLarge`]; nothing is added then.
    pub fn push_bytes(&mut self, session: SessionId, path: Path, bytes: &[u8]) -> Result<(), TooLarge> {
        self.push(session, path, |room| {
            room.get_mut(..bytes.len()).ok_or(TooLarge)?.copy_from_slice(bytes);
            Ok(bytes.len())
        })
    }

    /// The turn should flush before it goes on.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used >= FLUSH_BYTES
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sends all and forgets all.
    pub fn flush(&mut self, sockets: &[Socket]) -> Flushed {
        let mut flushed = Flushed::default();
        self.drain(|path, bytes, segment| {
            let count = segment.map_or(1, |size| bytes.len().div_ceil(size)) as u64;
            let Some(socket) = sockets.get(path.socket) else {
                flushed.refused += count;
                return;
            };
            match socket.send(path, bytes, segment) {
                Sent::Yes => flushed.sent += count,
                Sent::Full => flushed.full += count,
                Sent::Refused => one_by_one(
                    socket,
                    path,
                    bytes.chunks(segment.unwrap_or(bytes.len()).max(1)),
                    &mut flushed,
                ),
            }
        });
        flushed
    }

    /// Hands out all runs, receiver by receiver, as (path, bytes, size of a datagram), and forgets them.
    pub fn drain(&mut self, mut send: impl FnMut(&Path, &[u8], Option<usize>)) {
        self.order.sort_unstable();
        let mut rest = self.order.as_slice();
        while let Some((_, first)) = rest.first() {
            let Some(&head) = self.entries.get(*first) else { break };
            let length = run_length(&self.entries, head, rest);
            let (run, after) = rest.split_at(length);
            rest = after;
            if length == 1 {
                send(&head.path, bytes(&self.arena, head), None);
                continue;
            }
            self.run.clear();
            for (_, index) in run {
                let Some(&entry) = self.entries.get(*index) else { break };
                self.run.extend_from_slice(bytes(&self.arena, entry));
            }
            send(&head.path, &self.run, Some(head.len));
        }
        self.used = 0;
        self.entries.clear();
        self.order.clear();
    }
}

/// A datagram is larger than [`MAX_DATAGRAM_BYTES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLarge;

fn bytes(arena: &[u8], entry: Entry) -> &[u8] {
    arena.get(entry.start..entry.start + entry.len).unwrap_or_default()
}

/// How many of `rest` go out together: one receiver, one path, one size; a shorter one may end the run.
fn run_length(entries: &[Entry], head: Entry, rest: &[(SessionId, usize)]) -> usize {
    let receiver = rest.first().map(|(session, _)| *session);
    let most = RUN_DATAGRAMS.min(RUN_BYTES / head.len.max(1)).max(1);
    let mut length = 0;
    for (session, index) in rest.iter().take(most) {
        let Some(entry) = entries.get(*index) else { break };
        if Some(*session) != receiver || entry.path != head.path || entry.len > head.len || entry.len == 0 {
            break;
        }
        length += 1;
        if entry.len < head.len {
            break;
        }
    }
    length.max(1)
}

/// After a refused run: the kernel or the network card does not do GSO, so each goes alone.
fn one_by_one<'a>(socket: &Socket, path: &Path, datagrams: impl Iterator<Item = &'a [u8]>, flushed: &mut Flushed) {
    for datagram in datagrams {
        match socket.send(path, datagram, None) {
            Sent::Yes => flushed.sent += 1,
            Sent::Full => flushed.full += 1,
            Sent::Refused => flushed.refused += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path {
            remote: ([127, 0, 0, 1], port).into(),
            socket: 0,
            local: None,
        }
    }

    #[test]
    fn datagrams_leave_receiver_by_receiver_in_runs_of_one_size() {
        let mut outbox = Outbox::default();
        for (session, port, text) in [
            (2, 9, "aaaa"),
            (1, 8, "bbbb"),
            (2, 9, "cccc"),
            (1, 8, "dddddd"),
            (2, 9, "ee"),
            (2, 9, "ffff"),
            (2, 7, "gggg"),
        ] {
            outbox
                .push_bytes(SessionId(session), path(port), text.as_bytes())
                .unwrap();
        }
        let mut sent = Vec::new();
        outbox.drain(|path, bytes, segment| {
            sent.push((path.remote.port(), String::from_utf8(bytes.to_vec()).unwrap(), segment));
        });
        let expected = [
            (8, "bbbb", None),
            (8, "dddddd", None),
            (9, "aaaaccccee", Some(4)),
            (9, "ffff", None),
            (7, "gggg", None),
        ];
        assert_eq!(
            sent,
            expected.map(|(port, text, segment)| (port, text.to_owned(), segment))
        );
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_fails_to_be_written_leaves_no_trace() {
        let mut outbox = Outbox::default();
        let large = vec![0; MAX_DATAGRAM_BYTES + 1];
        assert_eq!(outbox.push_bytes(SessionId(1), path(1), &large), Err(TooLarge));
        assert!(outbox.is_empty());
        outbox.push_bytes(SessionId(1), path(1), b"x").unwrap();
        outbox.drain(|_, bytes, _| assert_eq!(bytes, b"x"));
    }

    #[test]
    fn a_run_has_a_bound() {
        let mut outbox = Outbox::default();
        for _ in 0..RUN_DATAGRAMS + 1 {
            outbox.push_bytes(SessionId(1), path(1), &[7; 1200]).unwrap();
        }
        let mut sizes = Vec::new();
        outbox.drain(|_, bytes, _| sizes.push(bytes.len()));
        assert_eq!(sizes, [RUN_DATAGRAMS * 1200, 1200]);
    }
}
