//! What a test client sends: an audio packet each 20 ms, a frame of every layer each 40 ms. Headers are as libwebrtc's
//! (audio level in extension 1, generic frame descriptor in 11, RID in 4), payloads are marks.

use std::collections::BTreeMap;

use bytes::Bytes;
use rtc::rtp::Packet;
use rtc::rtp::header::Header;

use super::engine::{OPUS, VP8};
use super::payload::{Mark, Stream};

/// Extension ids of the offer (they are fixed).
const AUDIO_LEVEL: u8 = 1;
const RID: u8 = 4;
const FRAME: u8 = 11;
/// Voice, 20 dB below overload (RFC 6464).
const LOUD: u8 = 0x80 | 20;
/// A key frame comes at least this often, two seconds apart.
const FRAMES_PER_KEY_FRAME: u32 = 50;

/// What and how large.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Payload bytes of an audio packet.
    pub audio_bytes: usize,
    /// Payload bytes of a video packet.
    pub video_bytes: usize,
    /// Packets of a frame of the upper layer; the lower one has one.
    pub packets_per_frame: u32,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            audio_bytes: 120,
            video_bytes: 1100,
            packets_per_frame: 3,
        }
    }
}

/// One client's outgoing streams.
#[derive(Debug)]
pub struct Publisher {
    user: String,
    shape: Shape,
    simulcast: bool,
    outgoing: BTreeMap<Stream, Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    counter: u32,
    frame: u32,
    key_frame_due: bool,
}

impl Publisher {
    /// Streams with these SSRCs that go on counting at `counters` (absent: 0).
    pub fn new(user: &str, shape: Shape, ssrcs: &[(Stream, u32)], counters: &BTreeMap<Stream, u32>) -> Publisher {
        let begin = |&(stream, ssrc): &(Stream, u32)| {
            let outgoing = Outgoing {
                ssrc,
                // Near the wrap, so that every test sees one.
                sequence: 65_500,
                timestamp: u32::MAX - 100_000,
                counter: counters.get(&stream).copied().unwrap_or(0),
                frame: 0,
                key_frame_due: true,
            };
            (stream, outgoing)
        };
        let outgoing: BTreeMap<Stream, Outgoing> = ssrcs.iter().map(begin).collect();
        let simulcast = outgoing.contains_key(&Stream::Low) && outgoing.contains_key(&Stream::High);
        Publisher {
            user: user.to_owned(),
            shape,
            simulcast,
            outgoing,
        }
    }

    /// How many packets each stream has sent, over all sessions of this client.
    pub fn counters(&self) -> BTreeMap<Stream, u32> {
        let counters = self.outgoing.iter().map(|(&stream, out)| (stream, out.counter));
        counters.collect()
    }

    /// The next frame of the stream with this SSRC is a key frame.
    pub fn ask_key_frame(&mut self, ssrc: u32) {
        let asked = self.outgoing.values_mut().filter(|out| out.ssrc == ssrc);
        asked.for_each(|out| out.key_frame_due = true);
    }

    /// The next packet of the microphone.
    pub fn audio(&mut self) -> Vec<Packet> {
        let (user, bytes) = (self.user.clone(), self.shape.audio_bytes);
        let Some(out) = self.outgoing.get_mut(&Stream::Audio) else {
            return vec![];
        };
        let mut packet = out.packet(&user, Stream::Audio, bytes);
        packet.header.payload_type = OPUS;
        extend(&mut packet.header, AUDIO_LEVEL, &[LOUD]);
        out.timestamp = out.timestamp.wrapping_add(960);
        vec![packet]
    }

    /// The next frame of every layer.
    pub fn video(&mut self) -> Vec<Packet> {
        let (user, shape, simulcast) = (self.user.clone(), self.shape, self.simulcast);
        let layers = self.outgoing.iter_mut().filter(|(stream, _)| stream.rid().is_some());
        let frames = layers.flat_map(|(&stream, out)| out.frame(&user, stream, shape, simulcast));
        frames.collect()
    }
}

impl Outgoing {
    fn packet(&mut self, user: &str, stream: Stream, size: usize) -> Packet {
        let mark = Mark {
            sender: user.to_owned(),
            stream,
            counter: self.counter,
        };
        let header = Header {
            version: 2,
            ssrc: self.ssrc,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.counter += 1;
        Packet {
            header,
            payload: Bytes::from(mark.write(size)),
        }
    }

    fn frame(&mut self, user: &str, stream: Stream, shape: Shape, simulcast: bool) -> Vec<Packet> {
        let count = if stream == Stream::Low {
            1
        } else {
            shape.packets_per_frame
        };
        let key = self.key_frame_due || self.frame.is_multiple_of(FRAMES_PER_KEY_FRAME);
        let mut packets = Vec::new();
        for at in 0..count {
            let mut packet = self.packet(user, stream, shape.video_bytes);
            packet.header.payload_type = VP8;
            packet.header.marker = at + 1 == count;
            if let Some(rid) = stream.rid().filter(|_| simulcast) {
                extend(&mut packet.header, RID, rid.as_bytes());
            }
            let part = descriptor(at == 0, at + 1 == count, key, self.frame);
            extend(&mut packet.header, FRAME, &part);
            packets.push(packet);
        }
        self.key_frame_due = false;
        self.frame += 1;
        self.timestamp = self.timestamp.wrapping_add(3600);
        packets
    }
}

fn extend(header: &mut Header, id: u8, value: &[u8]) {
    header
        .set_extension(id, Bytes::copy_from_slice(value))
        .expect("ids and lengths fit the one-byte form");
}

/// The generic frame descriptor, version 00, as libwebrtc writes it: flags; on the first packet also the spatial layers, the frame
/// number (little endian), and either the size of the picture (key frame) or the distance to the frame it depends on.
fn descriptor(first: bool, last: bool, key: bool, frame: u32) -> Vec<u8> {
    let begin = if first { 0x80 | 0x20 } else { 0 };
    let end = if last { 0x40 | 0x10 } else { 0 };
    let depends = if first && !key { 0x08 } else { 0 };
    let mut bytes = vec![begin | end | depends];
    if first {
        let [low, high, ..] = frame.to_le_bytes();
        bytes.extend([0x01, low, high]);
        bytes.extend(if key {
            vec![0x02, 0x80, 0x01, 0x68]
        } else {
            vec![1 << 2]
        });
    }
    bytes
}
