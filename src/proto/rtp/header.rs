//! The header of an RTP packet and where its parts are (RFC 3550 §5.1). A view: nothing is copied.

use crate::ids::Ssrc;
use crate::limits::MAX_RTP_BYTES;
use crate::proto::cursor::Reader;
use crate::proto::rtp::extension::{Element, Elements, Form};

/// Bytes of a header without CSRCs and extension (RFC 3550 §5.1).
pub const FIXED_BYTES: usize = 12;
/// First byte: version 2.
pub(crate) const VERSION: u8 = 0x80;
/// First byte: the packet ends in padding.
pub(crate) const PADDING: u8 = 0x20;
/// First byte: a header extension follows the CSRCs.
pub(crate) const EXTENSION: u8 = 0x10;

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum BadRtp {
    /// Fewer bytes than its header says.
    #[error("an rtp packet ends within its header")]
    TooShort,
    /// More than [`MAX_RTP_BYTES`].
    #[error("an rtp packet is too long")]
    TooLong,
    /// A version other than 2.
    #[error("an rtp packet has another version")]
    Version,
    /// Padding of no bytes, or of more than there are.
    #[error("an rtp packet has impossible padding")]
    Padding,
}

/// A range of bytes in a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Span {
    // start ≤ end ≤ packet.len() of the packet that was parsed
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, packet: &[u8]) -> &[u8] {
        packet.get(self.start..self.end).unwrap_or_default()
    }
}

/// What a header says and where the parts of its packet are. Methods that take a packet want the one that was parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Last packet of a video frame; start of a talk spurt.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// On the wire.
    pub sequence: u16,
    /// On the wire.
    pub timestamp: u32,
    /// The sender's SSRC.
    pub ssrc: Ssrc,
    /// 0 to 15 contributing sources, after the first [`FIXED_BYTES`].
    pub csrc_count: u8,
    /// The profile of the header extension; `None`: it has none.
    pub profile: Option<u16>,
    block: Span,
    payload: Span,
}

impl Header {
    /// Reads the header of a packet in the clear.
    ///
    /// # Errors
    /// [`BadRtp`]: drop and count it.
    pub fn parse(packet: &[u8]) -> Result<Header, BadRtp> {
        if packet.len() > MAX_RTP_BYTES {
            return Err(BadRtp::TooLong);
        }
        let mut header = Header::parse_protected(packet)?;
        if packet.first().is_some_and(|first| first & PADDING != 0) {
            let padding = usize::from(packet.last().copied().unwrap_or_default());
            let room = header.payload.end - header.payload.start;
            if padding == 0 || padding > room {
                return Err(BadRtp::Padding);
            }
            header.payload.end -= padding;
        }
        Ok(header)
    }

    /// Reads the header of a packet under SRTP: its padding is encrypted, so that the payload reaches to the end
    /// (RFC 3711 §3.1).
    ///
    /// # Errors
    /// [`BadRtp`]: drop and count it.
    pub fn parse_protected(packet: &[u8]) -> Result<Header, BadRtp> {
        let first = *packet.first().ok_or(BadRtp::TooShort)?;
        if first & 0xc0 != VERSION {
            return Err(BadRtp::Version);
        }
        Header::read(first, packet).ok_or(BadRtp::TooShort)
    }

    /// `None`: too short.
    fn read(first: u8, packet: &[u8]) -> Option<Header> {
        let mut reader = Reader::new(packet);
        let [_, second] = *reader.take(2)?.first_chunk()?;
        let (sequence, timestamp, ssrc) = (reader.u16()?, reader.u32()?, Ssrc(reader.u32()?));
        let csrc_count = first & 0x0f;
        reader.take(usize::from(csrc_count) * 4)?;
        let mut profile = None;
        let mut block = Span { start: 0, end: 0 };
        if first & EXTENSION != 0 {
            profile = Some(reader.u16()?);
            let length = usize::from(reader.u16()?) * 4;
            block.start = packet.len() - reader.rest().len();
            block.end = block.start + reader.take(length)?.len();
        }
        let payload = Span {
            start: packet.len() - reader.rest().len(),
            end: packet.len(),
        };
        let (marker, payload_type) = (second & 0x80 != 0, second & 0x7f);
        Some(Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            csrc_count,
            profile,
            block,
            payload,
        })
    }

    /// Bytes before the payload: what SRTP authenticates but does not encrypt.
    #[must_use]
    pub const fn header_bytes(&self) -> usize {
        self.payload.start
    }

    /// The payload, without padding.
    #[must_use]
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        self.payload.of(packet)
    }

    /// The elements of the header extension (RFC 8285), in order.
    #[must_use]
    pub fn elements<'a>(&self, packet: &'a [u8]) -> Elements<'a> {
        Elements::new(Form::of(self.profile.unwrap_or(0)), self.block.of(packet))
    }

    /// The value of an extension; `None`: it is not there.
    #[must_use]
    pub fn extension<'a>(&self, packet: &'a [u8], id: u8) -> Option<&'a [u8]> {
        self.elements(packet)
            .find(|element: &Element| element.id == id)
            .map(|element| element.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] = [0x80, 0xe4, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 7, 0xaa, 0xbb];

    #[test]
    fn a_plain_header_is_read() {
        let header = Header::parse(&PLAIN).unwrap();
        assert!(header.marker);
        assert_eq!((header.payload_type, header.sequence), (100, 0x1234));
        assert_eq!((header.timestamp, header.ssrc), (9, Ssrc(7)));
        assert_eq!(header.header_bytes(), FIXED_BYTES);
        assert_eq!(header.payload(&PLAIN), [0xaa, 0xbb]);
        assert_eq!(header.extension(&PLAIN, 1), None);
    }

    #[test]
    fn csrcs_extension_and_padding_are_found() {
        let packet = [
            0xb1, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, // fixed, one CSRC, extension, padding
            0, 0, 0, 9, // CSRC
            0xbe, 0xde, 0, 1, 0x10, 0x7f, 0x00, 0x00, // audio level
            0xcc, 0, 2, // payload, padding
        ];
        let header = Header::parse(&packet).unwrap();
        assert_eq!((header.csrc_count, header.profile), (1, Some(0xbede)));
        assert_eq!(header.extension(&packet, 1), Some(&[0x7f][..]));
        assert_eq!(header.payload(&packet), [0xcc]);
        let protected = Header::parse_protected(&packet).unwrap();
        assert_eq!(protected.payload(&packet), [0xcc, 0, 2]);
    }

    #[test]
    fn broken_packets_are_named() {
        let with_first = |first: u8| {
            let mut packet = PLAIN;
            packet[0] = first;
            packet.to_vec()
        };
        for (packet, why) in [
            (vec![], BadRtp::TooShort),
            (PLAIN[..11].to_vec(), BadRtp::TooShort),
            (with_first(0x81), BadRtp::TooShort),
            (with_first(0x90), BadRtp::TooShort),
            (with_first(0x40), BadRtp::Version),
            (with_first(0xa0), BadRtp::Padding),
            (vec![0x80; MAX_RTP_BYTES + 1], BadRtp::TooLong),
        ] {
            assert_eq!(Header::parse(&packet), Err(why), "{packet:?}");
        }
    }
}
