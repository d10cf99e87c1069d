//! Frames on a link's streams: a length of four bytes, big endian, then one JSON object.
//!
//! A peer that breaks the framing is told nothing more on that stream: [`Decoder`] stays broken once it met a bad frame.

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::{MAX_FRAME_BYTES, MAX_JSON_DEPTH};
use crate::proto::link::message::Message;

/// Bytes of the length before each frame.
const LENGTH_BYTES: usize = 4;
/// Bytes a decoder holds: the frame in hand, and as much again that came behind it in one read.
const MAX_BUFFERED: usize = 2 * (MAX_FRAME_BYTES + LENGTH_BYTES);

/// Why a frame is none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum BadFrame {
    /// Longer than [`MAX_FRAME_BYTES`].
    #[error("a frame is too long")]
    TooLong,
    /// Nested deeper than [`MAX_JSON_DEPTH`].
    #[error("a frame is nested too deep")]
    TooDeep,
    /// Not JSON, or a message whose fields are not what they should be.
    #[error("a frame is no message")]
    Malformed,
    /// Our caller pushed more than two frames' worth without taking any out.
    #[error("too many bytes wait for decoding")]
    Overflow,
}

/// Writes a message as one frame.
///
/// # Errors
/// [`BadFrame::TooLong`]: the message does not fit in a frame; a peer would close the link over it.
pub fn encode(message: &Message) -> Result<Bytes, BadFrame> {
    let mut frame = BytesMut::with_capacity(256).writer();
    frame.get_mut().put_u32(0);
    serde_json::to_writer(&mut frame, message).map_err(|_| BadFrame::Malformed)?;
    let mut frame = frame.into_inner();
    let length = frame.len() - LENGTH_BYTES;
    if length > MAX_FRAME_BYTES {
        return Err(BadFrame::TooLong);
    }
    let length = u32::try_from(length).map_err(|_| BadFrame::TooLong)?;
    for (to, from) in frame.iter_mut().zip(length.to_be_bytes()) {
        *to = from;
    }
    Ok(frame.freeze())
}

/// Puts frames together from the bytes of one stream.
#[derive(Debug, Default)]
pub struct Decoder {
    // ≤ MAX_BUFFERED bytes
    buffer: BytesMut,
    broken: Option<BadFrame>,
}

impl Decoder {
    /// Takes bytes as they come; [`Decoder::next`] afterwards until it is `None`.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > MAX_BUFFERED {
            self.broken.get_or_insert(BadFrame::Overflow);
        }
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next message; `None`: it is not complete yet.
    ///
    /// # Errors
    /// [`BadFrame`], from then on always the same: close the stream.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would end at the first incomplete frame"
    )]
    pub fn next(&mut self) -> Result<Option<Message>, BadFrame> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        self.decode().inspect_err(|bad| {
            self.broken = Some(*bad);
            self.buffer = BytesMut::new();
        })
    }

    fn decode(&mut self) -> Result<Option<Message>, BadFrame> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        // Before the frame is complete: a hostile length must not make us wait for, and hold, more than a frame.
        if length > MAX_FRAME_BYTES {
            return Err(BadFrame::TooLong);
        }
        let Some(json) = rest.get(..length) else {
            return Ok(None);
        };
        let message = parse(json);
        let _ = self.buffer.split_to(LENGTH_BYTES + length);
        message.map(Some)
    }
}

/// Reads a frame's JSON.
///
/// # Errors
/// [`BadFrame`] says which rule was broken; never what was in it.
pub fn parse(json: &[u8]) -> Result<Message, BadFrame> {
    if depth(json) > MAX_JSON_DEPTH {
        return Err(BadFrame::TooDeep);
    }
    serde_json::from_slice(json).map_err(|_| BadFrame::Malformed)
}

/// How deep objects and arrays are nested. Brackets in strings do not count.
fn depth(json: &[u8]) -> usize {
    let (mut deepest, mut open, mut in_string, mut escaped) = (0, 0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => open += 1,
            b'}' | b']' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::link::message::{Code, Entry, Roster};

    fn frame(json: &str) -> Vec<u8> {
        let mut frame = u32::try_from(json.len()).unwrap().to_be_bytes().to_vec();
        frame.extend(json.as_bytes());
        frame
    }

    #[test]
    fn messages_arrive_whatever_the_pieces() {
        let messages = [Message::Keyframe { flow: 7 }, Message::Goodbye { code: Code::Limit }];
        let bytes: Vec<u8> = messages.iter().flat_map(|message| encode(message).unwrap()).collect();
        for step in [1, 3, bytes.len()] {
            let mut decoder = Decoder::default();
            let mut decoded = Vec::new();
            for piece in bytes.chunks(step) {
                decoder.push(piece);
                while let Some(message) = decoder.next().unwrap() {
                    decoded.push(message);
                }
            }
            assert_eq!(decoded, messages, "in pieces of {step}");
        }
    }

    #[test]
    fn broken_frames_are_named_and_end_the_stream() {
        let deep = format!(r#"{{"type":"x","y":{}{}}}"#, "[".repeat(8), "]".repeat(8));
        for (bytes, why) in [
            (vec![0, 4, 0, 1], BadFrame::TooLong),
            (vec![0xff; 4], BadFrame::TooLong),
            (frame(""), BadFrame::Malformed),
            (frame("{}"), BadFrame::Malformed),
            (frame(r#"{"type":"keyframe"}"#), BadFrame::Malformed),
            (frame(&deep), BadFrame::TooDeep),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            assert_eq!(decoder.next(), Err(why), "{bytes:?}");
            decoder.push(&encode(&Message::Explain).unwrap());
            assert_eq!(decoder.next(), Err(why), "{bytes:?}");
        }
    }

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        for (json, expected) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[[1],{}]}"#, 3),
            (r#""[[[[""#, 0),
            (r#"["\"[[[",[]]"#, 2),
            (r#"["\\",[]]"#, 2),
            ("]]]][", 1),
        ] {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn a_decoder_holds_two_frames_and_no_more() {
        let mut decoder = Decoder::default();
        decoder.push(&vec![0; MAX_BUFFERED]);
        assert!(decoder.broken.is_none());
        decoder.push(&[0]);
        assert_eq!(decoder.next(), Err(BadFrame::Overflow));
    }

    #[test]
    fn a_roster_of_a_thousand_stock_clients_fits_and_one_of_monsters_does_not() {
        let roster = |id: usize, participants| {
            let entry = Entry {
                userid: "u".repeat(id),
                clientid: "_".into(),
                domain: "conferencing.example".into(),
                ssrc_audio: u32::MAX,
                ssrc_video: u32::MAX,
                index: 999,
                muted: false,
                proof: None,
            };
            Message::Roster(Roster {
                revision: 1,
                timestamp: 1,
                seqno: 1,
                entropy: "e".repeat(24),
                participants: vec![entry; participants],
                sfts: vec![],
            })
        };
        assert!(encode(&roster(32, crate::limits::MAX_PARTICIPANTS)).is_ok());
        let monsters = encode(&roster(1000, crate::limits::MAX_PARTICIPANTS));
        assert_eq!(monsters.err(), Some(BadFrame::TooLong));
    }
}
