//! Datagrams on a link: media, in one piece or in two, and feedback.
//!
//! ```text
//! flow     varint (RFC 9000 §16)  which published layer; 0 is feedback
//! flags    1 byte                 0x01 first, 0x02 last piece of a packet; 0x04 bundle; the rest must be 0
//! counter  2 bytes, big endian    which packet of this flow a piece belongs to; absent where first and last are both set
//! bytes    the rest               an RTP packet in normal form, or a piece of one
//! ```
//! The counter is chosen by the sender and grows by one with every packet of a flow that it splits. A packet is whole or in two
//! pieces, never more: the largest has 1500 bytes, the smallest datagram of QUIC 1200. *Bundle* is reserved.

use crate::ids::FlowId;
use crate::proto::cursor::{Reader, Writer};

/// The flow that carries feedback instead of packets.
pub const FEEDBACK: FlowId = FlowId(0);
/// Bytes of the longest header: flow 8, flags 1, counter 2.
pub const MAX_HEADER_BYTES: usize = 11;
/// The largest number of a flow: what a varint can say (RFC 9000 §16).
pub const MAX_FLOW: u64 = (1 << 62) - 1;

const FIRST: u8 = 0x01;
const LAST: u8 = 0x02;
const BUNDLE: u8 = 0x04;

/// Why bytes are no datagram of ours.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum BadDatagram {
    /// It ends within its header.
    #[error("a link datagram ends within its header")]
    TooShort,
    /// Flags that no version so far has.
    #[error("a link datagram has unknown flags")]
    Flags,
    /// A piece that is neither first nor last.
    #[error("a link datagram is a middle piece")]
    MiddlePiece,
}

/// Which part of a packet a datagram carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The first piece of the packet with this counter.
    First(u16),
    /// The last piece of the packet with this counter.
    Last(u16),
}

/// What a datagram says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// Which published layer, or [`FEEDBACK`].
    pub flow: FlowId,
    /// Which part of a packet.
    pub part: Part,
    /// Reserved: several packets. This version sends none and drops those that come.
    pub bundle: bool,
    /// The packet, or a piece of it.
    pub bytes: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`BadDatagram`]: drop and count it.
    pub fn parse(datagram: &'a [u8]) -> Result<Datagram<'a>, BadDatagram> {
        let mut reader = Reader::new(datagram);
        let flow = read_varint(&mut reader).map(FlowId).ok_or(BadDatagram::TooShort)?;
        let flags = reader.u8().ok_or(BadDatagram::TooShort)?;
        if flags & !(FIRST | LAST | BUNDLE) != 0 {
            return Err(BadDatagram::Flags);
        }
        let mut counter = || reader.u16().ok_or(BadDatagram::TooShort);
        let part = match (flags & FIRST != 0, flags & LAST != 0) {
            (true, true) => Part::Whole,
            (true, false) => Part::First(counter()?),
            (false, true) => Part::Last(counter()?),
            (false, false) => return Err(BadDatagram::MiddlePiece),
        };
        Ok(Datagram {
            flow,
            part,
            bundle: flags & BUNDLE != 0,
            bytes: reader.rest(),
        })
    }

    /// Writes a datagram and tells its length. `None`: `out` is too small, or the flow above [`MAX_FLOW`].
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let start = write_header(self.flow, self.part, out)?;
        if self.bundle {
            let flags_at = start - 1 - counter_bytes(self.part);
            *out.get_mut(flags_at)? |= BUNDLE;
        }
        let end = start + self.bytes.len();
        out.get_mut(start..end)?.copy_from_slice(self.bytes);
        Some(end)
    }
}

/// Writes what comes before the bytes and tells its length, at most [`MAX_HEADER_BYTES`].
///
/// `None`: `out` is too small, or the flow above [`MAX_FLOW`].
pub fn write_header(flow: FlowId, part: Part, out: &mut [u8]) -> Option<usize> {
    let mut writer = Writer::new(out);
    write_varint(flow.0, &mut writer)?;
    match part {
        Part::Whole => writer.u8(FIRST | LAST)?,
        Part::First(counter) => {
            writer.u8(FIRST)?;
            writer.u16(counter)?;
        }
        Part::Last(counter) => {
            writer.u8(LAST)?;
            writer.u16(counter)?;
        }
    }
    Some(writer.written())
}

const fn counter_bytes(part: Part) -> usize {
    match part {
        Part::Whole => 0,
        Part::First(_) | Part::Last(_) => 2,
    }
}

/// Bytes that [`write_header`] writes.
#[must_use]
pub const fn header_bytes(flow: FlowId, part: Part) -> usize {
    varint_bytes(flow.0) + 1 + counter_bytes(part)
}

/// The pieces of one packet, in order: itself where it fits, else two of about equal length, else none.
///
/// `counter` is used where it must be split: count it up whenever two pieces came out. `max_datagram` is the link's largest
/// datagram, in bytes.
pub fn fragments(
    flow: FlowId,
    counter: u16,
    packet: &[u8],
    max_datagram: usize,
) -> impl Iterator<Item = (Part, &[u8])> {
    let room = |part| max_datagram.saturating_sub(header_bytes(flow, part));
    let (first, last) = packet.split_at(packet.len().div_ceil(2));
    let pieces = if packet.len() <= room(Part::Whole) {
        [Some((Part::Whole, packet)), None]
    } else if first.len() <= room(Part::First(counter)) {
        [Some((Part::First(counter), first)), Some((Part::Last(counter), last))]
    } else {
        [None, None]
    };
    pieces.into_iter().flatten()
}

const fn varint_bytes(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// RFC 9000 §16: the two highest bits of the first byte tell the length.
fn read_varint(reader: &mut Reader) -> Option<u64> {
    let first = reader.u8()?;
    let head = u64::from(first & 0x3f);
    let more = (1_usize << (first >> 6)) - 1;
    let rest = reader.take(more)?;
    Some(rest.iter().fold(head, |value, byte| value << 8 | u64::from(*byte)))
}

fn write_varint(value: u64, writer: &mut Writer) -> Option<()> {
    match varint_bytes(value) {
        1 => writer.u8(u8::try_from(value).ok()?),
        2 => writer.u16(u16::try_from(value).ok()? | 0x4000),
        4 => writer.u32(u32::try_from(value).ok()? | 0x8000_0000),
        _ if value <= MAX_FLOW => writer.u64(value | 0xc000_0000_0000_0000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_those_of_quic() {
        // RFC 9000, appendix A.1.
        for (bytes, value) in [
            (
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..],
                151_288_809_941_952_652,
            ),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            assert_eq!(read_varint(&mut Reader::new(bytes)), Some(value));
            let mut out = [0; 8];
            let mut writer = Writer::new(&mut out);
            write_varint(value, &mut writer).unwrap();
            let written = writer.written();
            assert_eq!(&out[..written], bytes);
        }
        assert_eq!(read_varint(&mut Reader::new(&[0x40, 0x25])), Some(37));
        assert_eq!(read_varint(&mut Reader::new(&[0x40])), None);
        assert_eq!(write_varint(MAX_FLOW + 1, &mut Writer::new(&mut [0; 8])), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (flow, part, header) in [
            (0, Part::Whole, &[0x00, 0x03][..]),
            (63, Part::First(0x0102), &[0x3f, 0x01, 1, 2]),
            (64, Part::Last(0xffff), &[0x40, 0x40, 0x02, 0xff, 0xff]),
        ] {
            let datagram = Datagram {
                flow: FlowId(flow),
                part,
                bundle: false,
                bytes: b"media",
            };
            let mut out = [0; 32];
            let length = datagram.write(&mut out).unwrap();
            assert_eq!(&out[..header.len()], header);
            assert_eq!(header_bytes(datagram.flow, part), header.len());
            assert_eq!(Datagram::parse(&out[..length]), Ok(datagram));
            let bundle = Datagram {
                bundle: true,
                ..datagram
            };
            let length = bundle.write(&mut out).unwrap();
            assert_eq!(Datagram::parse(&out[..length]), Ok(bundle));
        }
    }

    #[test]
    fn broken_datagrams_are_named() {
        for (bytes, why) in [
            (&[][..], BadDatagram::TooShort),
            (&[0x40], BadDatagram::TooShort),
            (&[0x01], BadDatagram::TooShort),
            (&[0x01, 0x01, 0x00], BadDatagram::TooShort),
            (&[0x01, 0x00, 1, 2, 3], BadDatagram::MiddlePiece),
            (&[0x01, 0x0b, 1, 2, 3], BadDatagram::Flags),
        ] {
            assert_eq!(Datagram::parse(bytes), Err(why), "{bytes:x?}");
        }
    }

    #[test]
    fn packets_are_split_only_where_they_must_be() {
        let packet = [7; 1200];
        let lengths = |max: usize| -> Vec<_> {
            fragments(FlowId(1), 9, &packet, max)
                .map(|(part, piece)| (part, piece.len()))
                .collect()
        };
        assert_eq!(lengths(1202), [(Part::Whole, 1200)]);
        assert_eq!(lengths(1201), [(Part::First(9), 600), (Part::Last(9), 600)]);
        assert_eq!(lengths(604), [(Part::First(9), 600), (Part::Last(9), 600)]);
        assert_eq!(lengths(603), []);
        assert_eq!(lengths(0), []);
        let joined: Vec<u8> = fragments(FlowId(1), 9, &packet[..1199], 700)
            .flat_map(|(_, piece)| piece.to_vec())
            .collect();
        assert_eq!(joined, packet[..1199]);
    }
}
