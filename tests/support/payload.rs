//! The content of test packets: every packet says who sent it in which stream and at which place, so that a receiver can
//! tell one lost, doubled, swapped or damaged packet from thousands of good ones. The SFT never looks inside.

use std::fmt;

/// One stream of one client.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stream {
    /// Its audio.
    Audio,
    /// The lower video layer, RID `l`.
    Low,
    /// The upper video layer, RID `h`.
    High,
}

impl Stream {
    /// The RID of a video layer; `None` for audio.
    pub fn rid(self) -> Option<&'static str> {
        match self {
            Stream::Audio => None,
            Stream::Low => Some("l"),
            Stream::High => Some("h"),
        }
    }

    fn from_byte(byte: u8) -> Option<Stream> {
        [Stream::Audio, Stream::Low, Stream::High]
            .into_iter()
            .find(|stream| *stream as u8 == byte)
    }
}

/// What a packet says of itself.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mark {
    /// The user id of its sender.
    pub sender: String,
    /// In which of its streams.
    pub stream: Stream,
    /// Its place there, from 0, without gaps.
    pub counter: u32,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:?}/{}", self.sender, self.stream, self.counter)
    }
}

impl Mark {
    /// The payload of this packet, `size` bytes long where the mark leaves room for it.
    pub fn write(&self, size: usize) -> Vec<u8> {
        let mut payload = vec![self.stream as u8, u8::try_from(self.sender.len()).unwrap()];
        payload.extend_from_slice(self.sender.as_bytes());
        payload.extend_from_slice(&self.counter.to_be_bytes());
        let fill = payload.len()..size.max(payload.len());
        payload.extend(fill.map(|at| fill_byte(self.counter, at)));
        payload
    }

    /// Reads a payload; `None` where a single byte of it is not what [`Mark::write`] wrote.
    pub fn read(payload: &[u8]) -> Option<Mark> {
        let stream = Stream::from_byte(*payload.first()?)?;
        let end = 2 + usize::from(*payload.get(1)?);
        let sender = String::from_utf8(payload.get(2..end)?.to_vec()).ok()?;
        let counter = u32::from_be_bytes(payload.get(end..end + 4)?.try_into().ok()?);
        let mark = Mark {
            sender,
            stream,
            counter,
        };
        (mark.write(payload.len()) == payload).then_some(mark)
    }
}

fn fill_byte(counter: u32, at: usize) -> u8 {
    counter.to_be_bytes()[3] ^ at.to_be_bytes()[7]
}
