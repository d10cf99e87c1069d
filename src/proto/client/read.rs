//! What clients say.

use serde::Deserialize;

use crate::ids::{BadId, ClientId, ConferenceId, ParticipantId, UserId};
use crate::limits::{MAX_PARTICIPANTS, MAX_PROP_BYTES, MAX_PROPS, MAX_SELECTED, MAX_VIDEO_SLOTS};
use crate::private::Private;
use crate::proto::client::Props;

/// Why a message was not understood.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// Not JSON, or a field of the wrong type.
    #[error("not a JSON message: {0}")]
    Json(#[from] serde_json::Error),
    /// `version` is not `3.0`.
    #[error("unknown protocol version")]
    Version,
    /// A field that this type of message needs is missing.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// An id breaks the rules of [`crate::ids`].
    #[error(transparent)]
    Id(#[from] BadId),
    /// A list or object has more entries than we take.
    #[error("field {0} has too many entries")]
    TooMany(&'static str),
}

/// A message of a client.
#[derive(Clone, Debug)]
pub struct Message {
    /// `sessid`: the conference over HTTP; may be empty on a data channel.
    pub conference: String,
    /// Who says it is sending; `None` where the fields are empty.
    pub from: Option<ParticipantId>,
    /// `false`: request, `true`: response.
    pub response: bool,
    /// What is said.
    pub body: Body,
}

/// The types of messages that a client sends to us.
#[derive(Clone, Debug)]
pub enum Body {
    /// Wants to join.
    Connect(Connect),
    /// The answer to our offer. Both `SETUP` and `UPDATE` answer with the same fields.
    Answer(Answer),
    /// Which of the roster's participants it accepts; whoever is missing is not authorized.
    Authorize(Vec<ParticipantId>),
    /// Whom it wants to see, in the order of its video slots.
    Select(Vec<Selection>),
    /// What it tells about itself.
    Props(Props),
    /// Sign of life.
    Ping,
    /// Leaves.
    Hangup,
    /// A type we do not know, or one that is not for us.
    Other,
}

/// `CONFCONN`: what a joining client says.
#[derive(Clone, Debug, Default)]
pub struct Connect {
    /// A reconnect of a session that we may know.
    pub update: bool,
    /// `toolver`, as `10.5.8`.
    pub version: String,
    /// Wants us to select audio for it ([`crate::limits::AUDIO_SLOTS`] slots).
    pub selective_audio: bool,
    /// Wants us to select video for it.
    pub selective_video: bool,
    /// Video slots it can use, clamped to [`MAX_VIDEO_SLOTS`].
    pub video_slots: usize,
    /// The anchor's URL. Never resolved or contacted.
    pub sft_url: Option<String>,
    /// The anchor's tuple.
    pub sft_tuple: Option<String>,
    /// `username` of an SFT token.
    pub username: Option<Private<String>>,
    /// `credential` of an SFT token.
    pub credential: Option<Private<String>>,
}

/// `SETUP` or `UPDATE` with `resp: true`.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The SDP answer.
    pub sdp: String,
    /// What the client tells about itself so far.
    pub props: Props,
}

/// One entry of `CONFSTREAMS`; its position is the video slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selection {
    /// Whom to show.
    pub user: UserId,
    /// At which quality.
    pub quality: Quality,
}

/// What a client asks for in a video slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quality {
    /// The upper layer if there is one.
    Any,
    /// The lower layer.
    Low,
    /// The upper layer.
    High,
}

#[derive(Deserialize)]
struct Raw {
    version: String,
    #[serde(rename = "type")]
    kind: String,
    sessid: String,
    #[serde(default)]
    src_userid: String,
    #[serde(default)]
    src_clientid: String,
    resp: bool,
    #[serde(default)]
    update: bool,
    #[serde(default)]
    toolver: String,
    #[serde(default)]
    selective_audio: bool,
    #[serde(default)]
    selective_video: bool,
    #[serde(default)]
    vstreams: i64,
    sft_url: Option<String>,
    sft_tuple: Option<String>,
    username: Option<String>,
    credential: Option<String>,
    sdp: Option<String>,
    props: Option<Props>,
    participants: Option<Vec<RawParticipant>>,
    streams: Option<Vec<RawSelection>>,
}

#[derive(Deserialize)]
struct RawParticipant {
    userid: String,
    clientid: String,
    authorized: bool,
}

#[derive(Deserialize)]
struct RawSelection {
    userid: String,
    #[serde(default)]
    quality: i64,
}

impl Message {
    /// Reads one message; the caller has bounded its size.
    ///
    /// # Errors
    /// [`BadMessage`] where it is no message of protocol version 3.0 or breaks a bound.
    pub fn parse(text: &[u8]) -> Result<Message, BadMessage> {
        let raw: Raw = serde_json::from_slice(text)?;
        if raw.version != "3.0" {
            return Err(BadMessage::Version);
        }
        let from = match (raw.src_userid.as_str(), raw.src_clientid.as_str()) {
            ("", _) | (_, "") => None,
            (user, client) => Some(participant(user, client)?),
        };
        let (conference, response) = (raw.sessid.clone(), raw.resp);
        let body = raw.body()?;
        Ok(Message {
            conference,
            from,
            response,
            body,
        })
    }

    /// The conference that the message names.
    ///
    /// # Errors
    /// [`BadMessage::Id`] where it names none or none that could exist.
    pub fn conference_id(&self) -> Result<ConferenceId, BadMessage> {
        Ok(ConferenceId::parse(&self.conference)?)
    }
}

fn participant(user: &str, client: &str) -> Result<ParticipantId, BadId> {
    Ok(ParticipantId {
        user: UserId::parse(user)?,
        client: ClientId::parse(client)?,
    })
}

impl Raw {
    fn body(mut self) -> Result<Body, BadMessage> {
        let kind = self.kind.to_ascii_uppercase();
        match (kind.as_str(), self.resp) {
            ("CONFCONN", false) => Ok(Body::Connect(self.connect())),
            ("SETUP" | "UPDATE", true) => self.answer().map(Body::Answer),
            ("CONFPART", true) => self.authorize().map(Body::Authorize),
            ("CONFSTREAMS", _) => self.select().map(Body::Select),
            ("PROPSYNC", _) => self
                .checked_props()?
                .ok_or(BadMessage::Missing("props"))
                .map(Body::Props),
            ("PING", false) => Ok(Body::Ping),
            ("HANGUP", false) => Ok(Body::Hangup),
            _ => Ok(Body::Other),
        }
    }

    fn connect(self) -> Connect {
        let slots = usize::try_from(self.vstreams.max(0)).unwrap_or(0);
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Connect {
            update: self.update,
            version: self.toolver,
            selective_audio: self.selective_audio,
            selective_video: self.selective_video,
            video_slots: slots.min(MAX_VIDEO_SLOTS),
            sft_url: given(self.sft_url),
            sft_tuple: given(self.sft_tuple),
            username: given(self.username).map(Private::new),
            credential: given(self.credential).map(Private::new),
        }
    }

    fn answer(mut self) -> Result<Answer, BadMessage> {
        let sdp = self.sdp.take().ok_or(BadMessage::Missing("sdp"))?;
        Ok(Answer {
            sdp,
            props: self.checked_props()?.unwrap_or_default(),
        })
    }

    fn authorize(self) -> Result<Vec<ParticipantId>, BadMessage> {
        let listed = self.participants.ok_or(BadMessage::Missing("participants"))?;
        if listed.len() > MAX_PARTICIPANTS {
            return Err(BadMessage::TooMany("participants"));
        }
        let accepted = listed.iter().filter(|entry| entry.authorized);
        accepted
            .map(|entry| Ok(participant(&entry.userid, &entry.clientid)?))
            .collect()
    }

    fn select(self) -> Result<Vec<Selection>, BadMessage> {
        let streams = self.streams.ok_or(BadMessage::Missing("streams"))?;
        let read = streams.iter().take(MAX_SELECTED);
        read.map(|entry| {
            let quality = match entry.quality {
                1 => Quality::Low,
                2 => Quality::High,
                _ => Quality::Any,
            };
            Ok(Selection {
                user: UserId::parse(&entry.userid)?,
                quality,
            })
        })
        .collect()
    }

    fn checked_props(&mut self) -> Result<Option<Props>, BadMessage> {
        let Some(props) = self.props.take() else {
            return Ok(None);
        };
        props_fit(&props).map_err(BadMessage::TooMany)?;
        Ok(Some(props))
    }
}

/// Whether properties stay within [`MAX_PROPS`] and [`MAX_PROP_BYTES`].
///
/// # Errors
/// The name of the field that is too large.
pub fn props_fit(props: &Props) -> Result<(), &'static str> {
    let long = |text: &String| text.len() > MAX_PROP_BYTES;
    if props.len() > MAX_PROPS || props.iter().any(|(name, value)| long(name) || long(value)) {
        return Err("props");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, BadMessage> {
        Message::parse(text.as_bytes())
    }

    #[test]
    fn a_stock_confconn_is_understood() {
        let message = parse(r#"{"version":"3.0","type":"CONFCONN","sessid":"91075927c512cd359f0e2cf41b552c9a","src_userid":"c92da2a698f80214a784fa46815182ab","src_clientid":"_","dest_userid":"SFT","dest_clientid":"_","resp":false,"ice_servers":[{"urls":"turn:127.0.0.1:9?transport=udp","username":"u","credential":"p"}],"update":false,"tool":"avs 10.5.8 (?\/?)","toolver":"10.5.8","env":0,"status":0,"selective_audio":true,"selective_video":true,"vstreams":9}"#).unwrap();
        let Body::Connect(connect) = message.body else {
            panic!("a CONFCONN")
        };
        assert_eq!((connect.video_slots, connect.version.as_str()), (9, "10.5.8"));
        assert!(connect.sft_tuple.is_none() && !connect.update);
        assert_eq!(message.from.unwrap().client.as_str(), "_");
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "not a JSON message"),
            ("[]", "not a JSON message"),
            (
                r#"{"version":"2.0","type":"PING","sessid":"","resp":false}"#,
                "unknown protocol version",
            ),
            (
                r#"{"version":"3.0","type":"PROPSYNC","sessid":"","resp":false}"#,
                "field props is missing",
            ),
            (
                r#"{"version":"3.0","type":"SETUP","sessid":"","resp":true}"#,
                "field sdp is missing",
            ),
            (
                r#"{"version":"3.0","type":"CONFSTREAMS","sessid":"","resp":true,"streams":[{"userid":""}]}"#,
                "an identifier is empty",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }

    #[test]
    fn only_those_marked_authorized_are() {
        let message = parse(r#"{"version":"3.0","type":"confpart","sessid":"","resp":true,"participants":[{"userid":"a","clientid":"_","authorized":true,"ssrc_audio":"1","ssrc_video":"2"},{"userid":"b","clientid":"_","authorized":false,"ssrc_audio":"1","ssrc_video":"2"}]}"#).unwrap();
        let Body::Authorize(accepted) = message.body else {
            panic!("a CONFPART")
        };
        assert_eq!(accepted.len(), 1);
        assert_eq!(accepted[0].user.as_str(), "a");
    }
}
