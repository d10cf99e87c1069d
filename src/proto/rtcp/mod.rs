//! RTCP: reports and feedback (RFC 3550 §6, RFC 4585, RFC 5104), read and written one packet at a time.
//!
//! [`packets`] walks a compound, which may be of reduced size (RFC 5506). Writers write one packet each into a buffer and tell its
//! length, so that a compound is several of them in a row. Nothing here allocates.

mod feedback;
mod report;
mod transport;

pub use feedback::{Fir, Nack, Remb, write_nack, write_pli};
pub use report::{
    Blocks, Bye, MAX_BLOCKS, NtpTime, ReceiverReport, ReportBlock, SenderReport, SenderTotals, write_receiver_report,
    write_sender_report,
};
pub use transport::{Statuses, TICK, TransportFeedback, TransportHead, write_transport_feedback};

use crate::ids::Ssrc;
use crate::proto::cursor::{Reader, Writer};

/// Sender report (RFC 3550 §6.4.1).
const SENDER_REPORT: u8 = 200;
/// Receiver report (RFC 3550 §6.4.2).
const RECEIVER_REPORT: u8 = 201;
/// Goodbye (RFC 3550 §6.6).
const BYE: u8 = 203;
/// Transport layer feedback (RFC 4585 §6.2).
const TRANSPORT: u8 = 205;
/// Payload-specific feedback (RFC 4585 §6.3).
const PAYLOAD: u8 = 206;

/// [`TRANSPORT`]: generic NACK (RFC 4585 §6.2.1).
const NACK: u8 = 1;
/// [`TRANSPORT`]: transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
const TRANSPORT_WIDE: u8 = 15;
/// [`PAYLOAD`]: picture loss indication (RFC 4585 §6.3.1).
const PLI: u8 = 1;
/// [`PAYLOAD`]: full intra request (RFC 5104 §4.3.1).
const FIR: u8 = 4;
/// [`PAYLOAD`]: application layer feedback (RFC 4585 §6.4), of which we know REMB.
const APPLICATION: u8 = 15;

/// Bytes of the header that all RTCP packets share.
const HEADER_BYTES: usize = 4;

/// Why the rest of a compound cannot be read.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum BadRtcp {
    /// A packet is longer than what is left.
    #[error("an rtcp packet ends too early")]
    TooShort,
    /// A version other than 2.
    #[error("an rtcp packet has another version")]
    Version,
    /// Padding of no bytes, or of more than there are.
    #[error("an rtcp packet has impossible padding")]
    Padding,
    /// A packet is too short, or contradicts itself, for what it says to be.
    #[error("an rtcp packet is malformed")]
    Malformed,
}

/// One RTCP packet.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// What a sender sent, and when on the wall clock.
    SenderReport(SenderReport<'a>),
    /// What arrived of others' packets.
    ReceiverReport(ReceiverReport<'a>),
    /// Packets to be sent again.
    Nack(Nack<'a>),
    /// A picture is lost: a key frame, please (RFC 4585 §6.3.1).
    Pli {
        /// Who asks.
        sender: Ssrc,
        /// The stream.
        media: Ssrc,
    },
    /// A key frame, please.
    Fir(Fir<'a>),
    /// When packets arrived, by their transport-wide sequence numbers.
    TransportFeedback(TransportFeedback<'a>),
    /// What a receiver can take.
    Remb(Remb<'a>),
    /// Streams that end.
    Bye(Bye<'a>),
    /// A type that we do not read.
    Other {
        /// Its packet type.
        packet_type: u8,
        /// Its format or count, 0 to 31.
        format: u8,
    },
}

/// The packets of a compound, in order. An error is the last item: what follows a malformed packet is not to be trusted.
#[must_use]
pub const fn packets(compound: &[u8]) -> Packets<'_> {
    Packets {
        rest: Reader::new(compound),
    }
}

/// What [`packets`] gives.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, BadRtcp>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.rest().is_empty() {
            return None;
        }
        let packet = read(&mut self.rest);
        if packet.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(packet)
    }
}

fn read<'a>(rest: &mut Reader<'a>) -> Result<Packet<'a>, BadRtcp> {
    let head = rest
        .take(HEADER_BYTES)
        .and_then(|head| head.first_chunk())
        .ok_or(BadRtcp::TooShort)?;
    let [first, packet_type, high, low] = *head;
    if first >> 6 != 2 {
        return Err(BadRtcp::Version);
    }
    let length = usize::from(u16::from_be_bytes([high, low])) * 4;
    let mut body = rest.take(length).ok_or(BadRtcp::TooShort)?;
    if first & 0x20 != 0 {
        body = without_padding(body).ok_or(BadRtcp::Padding)?;
    }
    parse(packet_type, first & 0x1f, body).ok_or(BadRtcp::Malformed)
}

/// RFC 3550 §6.4.1: the last byte counts the padding, itself included.
fn without_padding(body: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*body.last()?);
    let kept = body.len().checked_sub(padding)?;
    (padding > 0).then_some(body.get(..kept)?)
}

/// `None`: malformed.
fn parse(packet_type: u8, format: u8, body: &[u8]) -> Option<Packet<'_>> {
    Some(match (packet_type, format) {
        (SENDER_REPORT, count) => Packet::SenderReport(SenderReport::parse(count, body)?),
        (RECEIVER_REPORT, count) => Packet::ReceiverReport(ReceiverReport::parse(count, body)?),
        (BYE, count) => Packet::Bye(Bye::parse(count, body)?),
        (TRANSPORT, NACK) => Packet::Nack(Nack::parse(body)?),
        (TRANSPORT, TRANSPORT_WIDE) => Packet::TransportFeedback(TransportFeedback::parse(body)?),
        (PAYLOAD, PLI) => {
            let (sender, media, _) = feedback::sources(body)?;
            Packet::Pli { sender, media }
        }
        (PAYLOAD, FIR) => Packet::Fir(Fir::parse(body)?),
        (PAYLOAD, APPLICATION) if Remb::is(body) => Packet::Remb(Remb::parse(body)?),
        _ => Packet::Other { packet_type, format },
    })
}

/// A packet that is being written: the header first, its length when the rest is there.
struct Draft<'a> {
    writer: Writer<'a>,
}

impl<'a> Draft<'a> {
    fn new(packet_type: u8, format: u8, out: &'a mut [u8]) -> Option<Draft<'a>> {
        let mut writer = Writer::new(out);
        writer.bytes(&[0x80 | format & 0x1f, packet_type, 0, 0])?;
        Some(Draft { writer })
    }

    /// Pads to whole words, fills in the length, and tells the packet's length in bytes.
    fn finish(mut self) -> Option<usize> {
        let padding = self.writer.written().next_multiple_of(4) - self.writer.written();
        if let Some(zeros) = padding.checked_sub(1) {
            self.writer.bytes([0; 3].get(..zeros)?)?;
            self.writer.u8(u8::try_from(padding).ok()?)?;
            self.writer.set_bits(0, 0x20)?;
        }
        let length = self.writer.written();
        let words = u16::try_from(length / 4 - 1).ok()?;
        self.writer.patch_u16(2, words)?;
        Some(length)
    }
}

#[cfg(test)]
mod tests;
