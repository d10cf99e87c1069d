//! Feedback about single streams: NACK and PLI (RFC 4585), FIR (RFC 5104), REMB (draft-alvestrand-rmcat-remb-03).

use crate::ids::Ssrc;
use crate::proto::cursor::Reader;
use crate::proto::rtcp::{Draft, NACK, PAYLOAD, PLI, TRANSPORT};
use crate::units::Bitrate;

/// What every feedback packet begins with: its sender, the stream it is about, and what follows (RFC 4585 §6.1).
pub(super) fn sources(body: &[u8]) -> Option<(Ssrc, Ssrc, Reader<'_>)> {
    let mut reader = Reader::new(body);
    let (sender, media) = (Ssrc(reader.u32()?), Ssrc(reader.u32()?));
    Some((sender, media, reader))
}

/// Packets to be sent again (RFC 4585 §6.2.1).
#[derive(Clone, Copy, Debug)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender: Ssrc,
    /// The stream.
    pub media: Ssrc,
    entries: Reader<'a>,
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Nack<'a>> {
        let (sender, media, entries) = sources(body)?;
        let whole = entries.rest().len().is_multiple_of(4) && !entries.rest().is_empty();
        whole.then_some(Nack { sender, media, entries })
    }

    /// The sequence numbers asked for: at most 17 for four bytes of feedback.
    pub fn sequences(self) -> impl Iterator<Item = u16> + 'a {
        let mut entries = self.entries;
        std::iter::from_fn(move || Some((entries.u16()?, entries.u16()?))).flat_map(|(first, mask)| {
            let following = (0..16_u16).filter(move |bit| mask >> bit & 1 == 1);
            std::iter::once(first).chain(following.map(move |bit| first.wrapping_add(bit + 1)))
        })
    }
}

/// A request for key frames (RFC 5104 §4.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender: Ssrc,
    entries: Reader<'a>,
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Fir<'a>> {
        let (sender, _, entries) = sources(body)?;
        let whole = entries.rest().len().is_multiple_of(8) && !entries.rest().is_empty();
        whole.then_some(Fir { sender, entries })
    }

    /// Streams, each with the number of the request: one that was seen before is a repetition.
    pub fn requests(self) -> impl Iterator<Item = (Ssrc, u8)> + 'a {
        let mut entries = self.entries;
        std::iter::from_fn(move || {
            let (stream, number) = (Ssrc(entries.u32()?), entries.u8()?);
            entries.u24()?;
            Some((stream, number))
        })
    }
}

/// How much a receiver can take of some streams together (draft-alvestrand-rmcat-remb-03 §2.2).
#[derive(Clone, Copy, Debug)]
pub struct Remb<'a> {
    /// Who says so.
    pub sender: Ssrc,
    /// That much.
    pub bitrate: Bitrate,
    streams: Reader<'a>,
}

impl<'a> Remb<'a> {
    pub(super) fn is(body: &[u8]) -> bool {
        body.get(8..12) == Some(b"REMB")
    }

    pub(super) fn parse(body: &'a [u8]) -> Option<Remb<'a>> {
        let (sender, _, mut reader) = sources(body)?;
        reader.u32()?;
        let count = reader.u8()?;
        let rate = reader.u24()?;
        let mantissa = u64::from(rate & 0x3_ffff);
        // Six bits of exponent and 18 of mantissa may say more than 64 bits hold; then it is as good as unlimited.
        let bitrate = 1_u64
            .checked_shl(rate >> 18)
            .and_then(|factor| mantissa.checked_mul(factor));
        let streams = Reader::new(reader.take(usize::from(count) * 4)?);
        Some(Remb {
            sender,
            bitrate: Bitrate(bitrate.unwrap_or(u64::MAX)),
            streams,
        })
    }

    /// The streams it is about.
    pub fn streams(self) -> impl Iterator<Item = Ssrc> + 'a {
        let mut streams = self.streams;
        std::iter::from_fn(move || streams.u32().map(Ssrc))
    }
}

/// Writes a picture loss indication and tells its length. `None`: `out` is too small.
pub fn write_pli(sender: Ssrc, media: Ssrc, out: &mut [u8]) -> Option<usize> {
    let mut draft = Draft::new(PAYLOAD, PLI, out)?;
    draft.writer.u32(sender.0)?;
    draft.writer.u32(media.0)?;
    draft.finish()
}

/// Writes a NACK for `sequences`, which ascend (and may wrap), and tells its length.
///
/// `None`: there are none, or `out` is too small: 12 bytes, and 4 for every 17 numbers or gap.
pub fn write_nack(sender: Ssrc, media: Ssrc, sequences: &[u16], out: &mut [u8]) -> Option<usize> {
    let mut draft = Draft::new(TRANSPORT, NACK, out)?;
    draft.writer.u32(sender.0)?;
    draft.writer.u32(media.0)?;
    let mut rest = sequences.iter().copied().peekable();
    let mut first = Some(rest.next()?);
    while let Some(sequence) = first {
        let mut mask = 0_u16;
        while let Some(bit) = rest.peek().and_then(|next| bit_of(sequence, *next)) {
            mask |= bit;
            rest.next();
        }
        draft.writer.u16(sequence)?;
        draft.writer.u16(mask)?;
        first = rest.next();
    }
    draft.finish()
}

/// The bit that stands for `next` in the mask of an entry; 0 for `first` itself, `None`: it needs an entry of its own.
fn bit_of(first: u16, next: u16) -> Option<u16> {
    match next.wrapping_sub(first) {
        0 => Some(0),
        step @ 1..=16 => Some(1 << (step - 1)),
        _ => None,
    }
}
