//! Where a packet is in its video frame, from the two header extensions that say so in the clear. Payloads are end-to-end
//! encrypted, so that nothing else tells.

use crate::proto::cursor::Reader;
use crate::proto::rtp::FramePart;

/// Generic frame descriptor: the packet begins a frame.
const BEGINS: u8 = 0x80;
/// Generic frame descriptor: the frame depends on others.
const DEPENDS: u8 = 0x08;
/// Dependency descriptor, first byte: the packet begins a frame.
const START_OF_FRAME: u8 = 0x80;
/// Dependency descriptor, fourth byte: the structure of templates follows, as it does with key frames only.
const STRUCTURE_PRESENT: u8 = 0x80;

/// Reads a generic frame descriptor, version 00 (extension 11).
///
/// ```text
///  0 1 2 3 4 5 6 7
/// +-+-+-+-+-+-+-+-+
/// |B|E|F|L|D|  T  |   B begins, E ends, F first and L last subframe, D has dependencies, T temporal layer
/// +-+-+-+-+-+-+-+-+   (frame id, size and dependencies follow on the first packet; not needed)
/// ```
/// Senders put one subframe into a frame, so F and L say nothing more. An empty descriptor says nothing.
#[must_use]
pub fn generic(value: &[u8]) -> FramePart {
    match value.first() {
        None => FramePart::Unknown,
        Some(flags) if flags & BEGINS == 0 => FramePart::Inside,
        Some(flags) if flags & DEPENDS == 0 => FramePart::KeyframeStart,
        Some(_) => FramePart::Start,
    }
}

/// Reads the mandatory fields of a dependency descriptor (extension 6; AV1 RTP specification, appendix A.8.2).
///
/// Three bytes: start, end, six bits of template, sixteen of frame number. The flags of the extended part, if there is one,
/// begin with "a template structure follows". A shorter one says nothing.
#[must_use]
pub fn dependency(value: &[u8]) -> FramePart {
    let mut reader = Reader::new(value);
    let (Some(flags), Some(_frame)) = (reader.u8(), reader.u16()) else {
        return FramePart::Unknown;
    };
    if flags & START_OF_FRAME == 0 {
        return FramePart::Inside;
    }
    match reader.u8() {
        Some(extended) if extended & STRUCTURE_PRESENT != 0 => FramePart::KeyframeStart,
        _ => FramePart::Start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generic_descriptor_tells_key_frames() {
        for (value, part) in [
            (&[][..], FramePart::Unknown),
            (&[0xb0, 0, 1, 1, 64, 0, 240], FramePart::KeyframeStart),
            (&[0x80], FramePart::KeyframeStart),
            (&[0xb8, 0, 2, 4], FramePart::Start),
            (&[0x30], FramePart::Inside),
            (&[0x70], FramePart::Inside),
        ] {
            assert_eq!(generic(value), part, "{value:x?}");
        }
    }

    #[test]
    fn a_dependency_descriptor_tells_key_frames() {
        for (value, part) in [
            (&[][..], FramePart::Unknown),
            (&[0x80, 0], FramePart::Unknown),
            (&[0x80, 0, 1], FramePart::Start),
            (&[0xc0, 0, 1, 0x80, 0, 0], FramePart::KeyframeStart),
            (&[0xc0, 0, 1, 0x40], FramePart::Start),
            (&[0x40, 0, 1, 0x80], FramePart::Inside),
        ] {
            assert_eq!(dependency(value), part, "{value:x?}");
        }
    }
}
