//! RTP headers and their extensions (RFC 3550 §5.1, RFC 8285), and the form in which packets are forwarded.

use crate::ids::Ssrc;
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
