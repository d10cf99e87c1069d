//! Transport-wide feedback: when packets arrived, by transport-wide sequence number
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
//!
//! ```text
//! sender SSRC (4)  media SSRC (4)  base sequence (2)  status count (2)  reference time (3)  feedback number (1)
//! chunks of two bytes: which packets of `base ..` arrived, and how many bytes their deltas take
//!     0 ss nnnnnnnnnnnnn   one status ss for n packets in a row
//!     10 s…                14 statuses of one bit: lost, or arrived with a small delta
//!     11 ss…               7 statuses of two bits
//! deltas of one byte (small) or two (large, signed), in 250 µs, each against the packet before; the first against reference time
//! ```

use std::time::Duration;

use crate::ids::Ssrc;
use crate::proto::cursor::Reader;
use crate::proto::rtcp::feedback::sources;
use crate::proto::rtcp::{Draft, TRANSPORT, TRANSPORT_WIDE};

/// The unit of deltas. Reference time counts 256 of them.
pub const TICK: Duration = Duration::from_micros(250);

/// The longest run that a chunk can say.
const MAX_RUN: usize = 0x1fff;

/// The fields before the chunks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TransportHead {
    /// Who reports.
    pub sender: Ssrc,
    /// A stream of the transport that is reported on; any will do.
    pub media: Ssrc,
    /// Sequence number of the first status.
    pub base: u16,
    /// In 64 ms, the low 24 bits of any clock that does not jump.
    pub reference: u32,
    /// Counts the feedback packets of a session, modulo 256.
    pub number: u8,
}

/// Whether and how a packet's arrival is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Status {
    Lost,
    Small,
    Large,
}

impl Status {
    /// `None` is for 3, which is reserved.
    const fn from_bits(bits: u16) -> Option<Status> {
        match bits & 3 {
            0 => Some(Status::Lost),
            1 => Some(Status::Small),
            2 => Some(Status::Large),
            _ => None,
        }
    }

    const fn bits(self) -> u16 {
        match self {
            Status::Lost => 0,
            Status::Small => 1,
            Status::Large => 2,
        }
    }

    const fn of(delta: Option<i16>) -> Status {
        match delta {
            None => Status::Lost,
            Some(0..=255) => Status::Small,
            Some(_) => Status::Large,
        }
    }
}

/// A feedback packet.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedback<'a> {
    /// The fields before the chunks.
    pub head: TransportHead,
    /// How many packets it tells about.
    pub count: u16,
    // read to the end once by `parse`, so that both suffice for `count`
    chunks: Reader<'a>,
    deltas: Reader<'a>,
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<TransportFeedback<'a>> {
        let (sender, media, mut reader) = sources(body)?;
        let (base, count) = (reader.u16()?, reader.u16()?);
        let (reference, number) = (reader.u24()?, reader.u8()?);
        let head = TransportHead {
            sender,
            media,
            base,
            reference,
            number,
        };
        let (chunks, mut left) = (reader, count);
        while left > 0 {
            left = left.saturating_sub(Chunk::new(reader.u16()?)?.left);
        }
        let feedback = TransportFeedback {
            head,
            count,
            chunks,
            deltas: reader,
        };
        let complete = feedback.statuses().count() == usize::from(count);
        complete.then_some(feedback)
    }

    /// Sequence numbers from `base` on, with the delta of those that arrived, in [`TICK`]s.
    #[must_use]
    pub fn statuses(&self) -> Statuses<'a> {
        let next = self.head.base;
        Statuses {
            next,
            left: self.count,
            chunk: Chunk::EMPTY,
            chunks: self.chunks,
            deltas: self.deltas,
        }
    }
}

/// A chunk, as far as it was not read yet.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    left: u16,
    /// Bits of one status: 0 in a run, where all are the same.
    step: u16,
    /// The next status is in the highest bits; in a run, in the two highest.
    statuses: u16,
}

impl Chunk {
    const EMPTY: Chunk = Chunk {
        left: 0,
        step: 0,
        statuses: 0,
    };

    /// `None`: a run of no packets, which would let a packet say nothing for ever.
    fn new(bits: u16) -> Option<Chunk> {
        let chunk = match bits >> 14 {
            0b10 => Chunk {
                left: 14,
                step: 1,
                statuses: bits << 2,
            },
            0b11 => Chunk {
                left: 7,
                step: 2,
                statuses: bits << 2,
            },
            _ => Chunk {
                left: bits & 0x1fff,
                step: 0,
                statuses: bits << 1,
            },
        };
        (chunk.left > 0).then_some(chunk)
    }

    /// `None`: the chunk is empty, or the status reserved.
    fn next(&mut self) -> Option<Status> {
        self.left = self.left.checked_sub(1)?;
        let bits = if self.step == 1 {
            self.statuses >> 15
        } else {
            self.statuses >> 14
        };
        self.statuses <<= self.step;
        Status::from_bits(bits)
    }
}

/// What [`TransportFeedback::statuses`] gives.
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    next: u16,
    left: u16,
    chunk: Chunk,
    chunks: Reader<'a>,
    deltas: Reader<'a>,
}

impl Iterator for Statuses<'_> {
    type Item = (u16, Option<i16>);

    fn next(&mut self) -> Option<(u16, Option<i16>)> {
        self.left = self.left.checked_sub(1)?;
        if self.chunk.left == 0 {
            self.chunk = Chunk::new(self.chunks.u16()?)?;
        }
        let delta = match self.chunk.next()? {
            Status::Lost => None,
            Status::Small => Some(i16::from(self.deltas.u8()?)),
            Status::Large => Some(self.deltas.u16()?.cast_signed()),
        };
        let sequence = self.next;
        self.next = sequence.wrapping_add(1);
        Some((sequence, delta))
    }
}

/// Writes feedback on the packets from `head.base` on and tells its length. `deltas` says when each arrived, in [`TICK`]s after the
/// one that arrived before it in this list, the first after the reference time; `None`: it did not.
///
/// `None`: there are no packets, more than 65 535, or `out` is too small: 24 bytes, and at most 16 for every 7 packets.
pub fn write_transport_feedback(head: &TransportHead, deltas: &[Option<i16>], out: &mut [u8]) -> Option<usize> {
    let count = u16::try_from(deltas.len()).ok().filter(|count| *count > 0)?;
    let mut draft = Draft::new(TRANSPORT, TRANSPORT_WIDE, out)?;
    draft.writer.u32(head.sender.0)?;
    draft.writer.u32(head.media.0)?;
    draft.writer.u16(head.base)?;
    draft.writer.u16(count)?;
    draft.writer.u24(head.reference)?;
    draft.writer.u8(head.number)?;
    let mut rest = deltas;
    while !rest.is_empty() {
        let (chunk, taken) = chunk(rest);
        draft.writer.u16(chunk)?;
        rest = rest.get(taken..)?;
    }
    for delta in deltas.iter().flatten() {
        match u8::try_from(*delta) {
            Ok(small) => draft.writer.u8(small)?,
            Err(_) => draft.writer.u16(delta.cast_unsigned())?,
        }
    }
    draft.finish()
}

/// The chunk that says most about the first packets, and how many of them: a run where it is no shorter than a vector would be.
fn chunk(deltas: &[Option<i16>]) -> (u16, usize) {
    let statuses = || deltas.iter().map(|delta| Status::of(*delta));
    let first = statuses().next().unwrap_or(Status::Lost);
    let run = statuses().take(MAX_RUN).take_while(|status| *status == first).count();
    let small = statuses()
        .take(14)
        .take_while(|status| *status != Status::Large)
        .count();
    let one_bit = small == deltas.len().min(14);
    let vector = deltas.len().min(if one_bit { 14 } else { 7 });
    if run >= vector {
        // Fits: a run has at most 13 bits.
        return (first.bits() << 13 | u16::try_from(run).unwrap_or(0), run);
    }
    let (start, step) = if one_bit { (0x8000_u16, 1) } else { (0xc000, 2) };
    let places = (0..14 / step).map(|place| 14 - step * (place + 1));
    let bits = statuses()
        .zip(places)
        .fold(start, |bits, (status, place)| bits | status.bits() << place);
    (bits, vector)
}
