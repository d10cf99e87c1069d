//! The form in which packets are kept and forwarded, and their headers at a receiver.
//!
//! A *normal* packet has no CSRC, no padding, and no extension but the three that are end to end (1, 6, 11); payload and values are
//! untouched. It is what the retransmission cache holds, what crosses links, and what every receiver's packet is copied from.

use crate::ids::Ssrc;
use crate::proto::cursor::Writer;
use crate::proto::rtp::extension::is_end_to_end;
use crate::proto::rtp::header::{EXTENSION, FIXED_BYTES, Header, VERSION};

/// A packet's header at one receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rewrite {
    /// The slot.
    pub ssrc: Ssrc,
    /// In the slot's own numbering.
    pub sequence: u16,
    /// In the slot's own time line.
    pub timestamp: u32,
    /// Whose media it is, by the roster.
    pub csrc: Ssrc,
}

/// Writes a packet in normal form and tells its length. `header` was parsed from `packet` in the clear.
///
/// `None`: `out` is too small ([`crate::limits::MAX_RTP_BYTES`] always suffices).
pub fn normalise(packet: &[u8], header: &Header, out: &mut [u8]) -> Option<usize> {
    let mut writer = Writer::new(out);
    let kept = header.elements(packet).any(|element| is_end_to_end(element.id));
    let flag = if kept { EXTENSION } else { 0 };
    writer.u8(VERSION | flag)?;
    writer.bytes(packet.get(1..FIXED_BYTES)?)?;
    if kept {
        write_extension(packet, header, &mut writer)?;
    }
    writer.bytes(header.payload(packet))?;
    Some(writer.written())
}

fn write_extension(packet: &[u8], header: &Header, writer: &mut Writer) -> Option<()> {
    writer.u16(header.profile?)?;
    let length_at = writer.written();
    writer.u16(0)?;
    let start = writer.written();
    for element in header.elements(packet).filter(|element| is_end_to_end(element.id)) {
        writer.bytes(element.bytes)?;
    }
    writer.align()?;
    let words = (writer.written() - start) / 4;
    writer.patch_u16(length_at, u16::try_from(words).ok()?)
}

/// Copies a normal packet with another SSRC, sequence number and time stamp, and with one CSRC; tells its length, four bytes more.
///
/// `None`: `normal` is not in normal form, or `out` is too small.
pub fn rewrite(normal: &[u8], to: Rewrite, out: &mut [u8]) -> Option<usize> {
    let (fixed, rest) = normal.split_first_chunk::<FIXED_BYTES>()?;
    let [first, second, ..] = *fixed;
    if first & !EXTENSION != VERSION {
        return None;
    }
    let mut writer = Writer::new(out);
    writer.bytes(&[first | 1, second])?;
    writer.u16(to.sequence)?;
    writer.u32(to.timestamp)?;
    writer.u32(to.ssrc.0)?;
    writer.u32(to.csrc.0)?;
    writer.bytes(rest)?;
    Some(writer.written())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::rtp::extension::{AUDIO_LEVEL, FRAME_DESCRIPTOR, RID, TRANSPORT_SEQUENCE};

    fn packet(first: u8, extension: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, 0xe4, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 7];
        packet.extend(extension);
        packet.extend(payload);
        packet
    }

    fn normal(packet: &[u8]) -> Vec<u8> {
        let mut out = [0; 64];
        let length = normalise(packet, &Header::parse(packet).unwrap(), &mut out).unwrap();
        out[..length].to_vec()
    }

    #[test]
    fn hop_by_hop_extensions_csrcs_and_padding_go() {
        let extension = [
            0, 0, 0, 5, // CSRC
            0xbe, 0xde, 0, 3, 0x31, 1, 2, 0x40, b'h', 0xb0, 0x80, 0x10, 0x55, 0, 0, 0,
        ];
        let kept = [0xbe, 0xde, 0, 1, 0xb0, 0x80, 0x10, 0x55];
        let from = packet(0xb1, &extension, &[1, 2, 3, 0, 0, 3]);
        let to = packet(0x90, &kept, &[1, 2, 3]);
        assert_eq!(normal(&from), to);
        assert_eq!(normal(&to), to, "the normal form of a normal packet is itself");
    }

    #[test]
    fn the_two_byte_form_stays() {
        let extension = [0x10, 0x01, 0, 2, RID, 1, b'h', FRAME_DESCRIPTOR, 1, 0x80, 0, 0];
        let kept = [0x10, 0x01, 0, 1, FRAME_DESCRIPTOR, 1, 0x80, 0];
        assert_eq!(normal(&packet(0x90, &extension, &[9])), packet(0x90, &kept, &[9]));
    }

    #[test]
    fn nothing_to_keep_leaves_no_extension() {
        let extension = [0xbe, 0xde, 0, 1, TRANSPORT_SEQUENCE << 4 | 1, 1, 2, 0];
        assert_eq!(normal(&packet(0x90, &extension, &[9])), packet(0x80, &[], &[9]));
        let foreign = [0xab, 0xcd, 0, 1, AUDIO_LEVEL << 4, 1, 2, 0];
        assert_eq!(normal(&packet(0x90, &foreign, &[9])), packet(0x80, &[], &[9]));
    }

    #[test]
    fn a_rewritten_packet_differs_in_five_fields_only() {
        let from = packet(0x90, &[0xbe, 0xde, 0, 1, 0x10, 0x55, 0, 0], &[1, 2]);
        let to = Rewrite {
            ssrc: Ssrc(0x0a),
            sequence: 0x0b,
            timestamp: 0x0c,
            csrc: Ssrc(0x0d),
        };
        let mut out = [0; 64];
        let length = rewrite(&from, to, &mut out).unwrap();
        let expected = [
            0x91, 0xe4, 0, 0x0b, 0, 0, 0, 0x0c, 0, 0, 0, 0x0a, 0, 0, 0, 0x0d, 0xbe, 0xde, 0, 1, 0x10, 0x55, 0, 0, 1, 2,
        ];
        assert_eq!(out[..length], expected);
    }

    #[test]
    fn only_normal_packets_are_rewritten_and_only_where_they_fit() {
        let to = Rewrite {
            ssrc: Ssrc(1),
            sequence: 2,
            timestamp: 3,
            csrc: Ssrc(4),
        };
        let mut out = [0; 64];
        for first in [0x81, 0xa0, 0x40, 0x00] {
            assert_eq!(
                rewrite(&packet(first, &[], &[1, 1, 1, 1, 1]), to, &mut out),
                None,
                "{first:x}"
            );
        }
        assert_eq!(rewrite(&packet(0x80, &[], &[])[..11], to, &mut out), None);
        assert_eq!(rewrite(&packet(0x80, &[], &[1]), to, &mut [0; 16]), None);
        assert_eq!(rewrite(&packet(0x80, &[], &[1]), to, &mut [0; 17]), Some(17));
    }
}
