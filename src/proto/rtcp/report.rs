//! Sender and receiver reports, and goodbye (RFC 3550 §6.4 and §6.6).

use crate::ids::Ssrc;
use crate::proto::cursor::{Reader, Writer};
use crate::proto::rtcp::{Draft, RECEIVER_REPORT, SENDER_REPORT};

/// Blocks that one report holds at most: its count has five bits.
pub const MAX_BLOCKS: usize = 31;
const BLOCK_BYTES: usize = 24;

/// Wall-clock time: seconds since 1900 in the upper half, their fraction in the lower (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The middle 32 bits, in which `last_sender_report` is told: 65 536 to a second.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the middle bits are meant")]
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// What arrived of one stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: Ssrc,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the beginning, −2²³ to 2²³ − 1; negative where more came than was sent, as duplicates do.
    pub cumulative_lost: i32,
    /// The highest sequence number: its wraps in the upper half.
    pub highest: u32,
    /// Mean deviation of packet spacing, in the stream's time units.
    pub jitter: u32,
    /// [`NtpTime::middle`] of the last sender report; 0: there was none.
    pub last_sender_report: u32,
    /// Time since that report came, 65 536 to a second.
    pub delay: u32,
}

impl ReportBlock {
    fn read(reader: &mut Reader) -> Option<ReportBlock> {
        let ssrc = Ssrc(reader.u32()?);
        let fraction_lost = reader.u8()?;
        // Sign extension of 24 bits.
        let cumulative_lost = (reader.u24()? << 8).cast_signed() >> 8;
        let (highest, jitter) = (reader.u32()?, reader.u32()?);
        let (last_sender_report, delay) = (reader.u32()?, reader.u32()?);
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost,
            highest,
            jitter,
            last_sender_report,
            delay,
        })
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.u32(self.ssrc.0)?;
        writer.u8(self.fraction_lost)?;
        writer.u24(self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned())?;
        writer.u32(self.highest)?;
        writer.u32(self.jitter)?;
        writer.u32(self.last_sender_report)?;
        writer.u32(self.delay)
    }
}

/// The blocks of a report, in order.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a>(Reader<'a>);

impl<'a> Blocks<'a> {
    fn parse(count: u8, reader: &mut Reader<'a>) -> Option<Blocks<'a>> {
        let blocks = reader.take(usize::from(count) * BLOCK_BYTES)?;
        Some(Blocks(Reader::new(blocks)))
    }
}

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        ReportBlock::read(&mut self.0)
    }
}

/// How much a sender sent, and when (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SenderTotals {
    /// The sender's stream.
    pub ssrc: Ssrc,
    /// The time of the report …
    pub ntp: NtpTime,
    /// … and the same time in the stream's units.
    pub timestamp: u32,
    /// Packets since the beginning, modulo 2³².
    pub packets: u32,
    /// Bytes of payload since the beginning, modulo 2³².
    pub octets: u32,
}

/// A sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// What it sent.
    pub totals: SenderTotals,
    /// What it received.
    pub blocks: Blocks<'a>,
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<SenderReport<'a>> {
        let mut reader = Reader::new(body);
        let (ssrc, ntp) = (Ssrc(reader.u32()?), NtpTime(reader.u64()?));
        let (timestamp, packets, octets) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let totals = SenderTotals {
            ssrc,
            ntp,
            timestamp,
            packets,
            octets,
        };
        Some(SenderReport {
            totals,
            blocks: Blocks::parse(count, &mut reader)?,
        })
    }
}

/// A receiver report.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub sender: Ssrc,
    /// What it received.
    pub blocks: Blocks<'a>,
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<ReceiverReport<'a>> {
        let mut reader = Reader::new(body);
        let sender = Ssrc(reader.u32()?);
        Some(ReceiverReport {
            sender,
            blocks: Blocks::parse(count, &mut reader)?,
        })
    }
}

/// A goodbye (RFC 3550 §6.6).
#[derive(Clone, Copy, Debug)]
pub struct Bye<'a>(Reader<'a>);

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Bye<'a>> {
        let sources = Reader::new(body).take(usize::from(count) * 4)?;
        Some(Bye(Reader::new(sources)))
    }

    /// The streams that end.
    pub fn sources(self) -> impl Iterator<Item = Ssrc> {
        let mut reader = self.0;
        std::iter::from_fn(move || reader.u32().map(Ssrc))
    }
}

/// Writes a sender report and tells its length. `None`: more than [`MAX_BLOCKS`], or `out` is too small.
pub fn write_sender_report(totals: &SenderTotals, blocks: &[ReportBlock], out: &mut [u8]) -> Option<usize> {
    let mut draft = Draft::new(SENDER_REPORT, count(blocks)?, out)?;
    draft.writer.u32(totals.ssrc.0)?;
    draft.writer.u64(totals.ntp.0)?;
    draft.writer.u32(totals.timestamp)?;
    draft.writer.u32(totals.packets)?;
    draft.writer.u32(totals.octets)?;
    blocks.iter().try_for_each(|block| block.write(&mut draft.writer))?;
    draft.finish()
}

/// Writes a receiver report and tells its length. `None`: more than [`MAX_BLOCKS`], or `out` is too small.
pub fn write_receiver_report(sender: Ssrc, blocks: &[ReportBlock], out: &mut [u8]) -> Option<usize> {
    let mut draft = Draft::new(RECEIVER_REPORT, count(blocks)?, out)?;
    draft.writer.u32(sender.0)?;
    blocks.iter().try_for_each(|block| block.write(&mut draft.writer))?;
    draft.finish()
}

fn count(blocks: &[ReportBlock]) -> Option<u8> {
    u8::try_from(blocks.len())
        .ok()
        .filter(|count| usize::from(*count) <= MAX_BLOCKS)
}
