//! RTP headers and their extensions (RFC 3550 §5.1, RFC 8285), and the form in which packets are forwarded.
//!
//! A packet is parsed once, by [`incoming`]; [`normalise`] gives the form that is kept, [`rewrite()`] the one a receiver gets.

pub mod extension;
mod header;
mod rewrite;

pub use header::{BadRtp, FIXED_BYTES, Header};
pub use rewrite::{Rewrite, normalise, rewrite};

use crate::ids::Ssrc;
use crate::proto::frame_descriptor;
use crate::proto::link::message::Layer;
use crate::units::AudioLevel;

/// What forwarding needs to know of a packet. The payload stays closed: it is end-to-end encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Incoming {
    /// The sender's SSRC.
    pub ssrc: Ssrc,
    /// On the wire.
    pub sequence: u16,
    /// On the wire.
    pub timestamp: u32,
    /// Last packet of a video frame; start of a talk spurt.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// From extension 1 (RFC 6464).
    pub level: Option<AudioLevel>,
    /// From extension 4 (RID `l` or `h`); over a link, from the flow.
    pub layer: Option<Layer>,
    /// Where in a frame the packet is.
    pub frame: FramePart,
    /// No payload but padding.
    pub padding_only: bool,
}

/// Where in a video frame a packet is, as far as its extensions tell (11: generic frame descriptor, 6: dependency descriptor).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FramePart {
    /// Neither extension is there.
    Unknown,
    /// First packet of a frame that depends on no other.
    KeyframeStart,
    /// First packet of another frame.
    Start,
    /// Any later packet of a frame.
    Inside,
}

/// Parses a packet in the clear and reads what forwarding needs.
///
/// # Errors
/// [`BadRtp`]: drop and count it.
pub fn incoming(packet: &[u8]) -> Result<(Header, Incoming), BadRtp> {
    let header = Header::parse(packet)?;
    let mut incoming = Incoming {
        ssrc: header.ssrc,
        sequence: header.sequence,
        timestamp: header.timestamp,
        marker: header.marker,
        payload_type: header.payload_type,
        level: None,
        layer: None,
        frame: FramePart::Unknown,
        padding_only: header.payload(packet).is_empty(),
    };
    for element in header.elements(packet) {
        incoming.learn(element.id, element.value);
    }
    Ok((header, incoming))
}

impl Incoming {
    fn learn(&mut self, id: u8, value: &[u8]) {
        match id {
            extension::AUDIO_LEVEL => self.level = value.first().map(|byte| AudioLevel(byte & 0x7f)),
            extension::RID => self.layer = layer(value),
            extension::FRAME_DESCRIPTOR => self.frame = frame_descriptor::generic(value),
            // Where both descriptors are there, the generic one has the word: it is the one that our offers ask for.
            extension::DEPENDENCY_DESCRIPTOR if self.frame == FramePart::Unknown => {
                self.frame = frame_descriptor::dependency(value);
            }
            _ => {}
        }
    }
}

/// The layer that a RID names in our offers.
#[must_use]
pub fn layer(rid: &[u8]) -> Option<Layer> {
    match rid {
        b"l" => Some(Layer::Low),
        b"h" => Some(Layer::High),
        _ => None,
    }
}

/// The transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2); `None`: it has none.
#[must_use]
pub fn transport_sequence(header: &Header, packet: &[u8]) -> Option<u16> {
    let value = header.extension(packet, extension::TRANSPORT_SEQUENCE)?;
    value.first_chunk().copied().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(extension: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 100, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde];
        let words = u16::try_from(extension.len().div_ceil(4)).unwrap();
        packet.extend(words.to_be_bytes());
        packet.extend(extension);
        packet.resize(16 + usize::from(words) * 4, 0);
        packet.extend(payload);
        packet
    }

    #[test]
    fn extensions_tell_level_layer_and_frame() {
        let level = |level| Some(AudioLevel(level));
        for (extension, expected) in [
            (&[][..], (None, None, FramePart::Unknown)),
            (&[0x10, 0xff], (level(127), None, FramePart::Unknown)),
            (&[0x10, 0x05], (level(5), None, FramePart::Unknown)),
            (
                &[0x40, b'l', 0xb0, 0xb0],
                (None, Some(Layer::Low), FramePart::KeyframeStart),
            ),
            (&[0x40, b'h', 0xb0, 0xb8], (None, Some(Layer::High), FramePart::Start)),
            (&[0x40, b'x', 0xb0, 0x30], (None, None, FramePart::Inside)),
            (&[0x62, 0x80, 0, 1], (None, None, FramePart::Start)),
            (&[0x62, 0x80, 0, 1, 0xb0, 0xb0], (None, None, FramePart::KeyframeStart)),
            (&[0xb0, 0xb0, 0x62, 0x80, 0, 1], (None, None, FramePart::KeyframeStart)),
        ] {
            let (_, incoming) = incoming(&packet(extension, &[1])).unwrap();
            assert_eq!(
                (incoming.level, incoming.layer, incoming.frame),
                expected,
                "{extension:x?}"
            );
        }
    }

    #[test]
    fn probing_is_told_from_media() {
        let mut probe = packet(&[], &[0, 0, 0, 4]);
        assert!(!incoming(&probe).unwrap().1.padding_only);
        probe[0] |= 0x20;
        assert!(incoming(&probe).unwrap().1.padding_only);
    }

    #[test]
    fn the_transport_sequence_needs_two_bytes() {
        for (extension, expected) in [
            (&[0x31, 1, 2][..], Some(0x0102)),
            (&[0x30, 1], None),
            (&[0x41, 1, 2], None),
        ] {
            let packet = packet(extension, &[1]);
            let header = Header::parse(&packet).unwrap();
            assert_eq!(transport_sequence(&header, &packet), expected, "{extension:x?}");
        }
    }
}
