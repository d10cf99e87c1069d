//! The messages of Wire's clients ("econn", version 3.0): one flat JSON object each, over HTTP and the data channel.
//!
//! Reading is tolerant (unknown fields and types are ignored, types compare without case); writing has the shape stock clients
//! were seen to accept. Numbers that are 64 bits or SSRCs travel as decimal strings. `docs/wire-compatibility.md` has the list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{BadId, ClientId, ConferenceId, ParticipantId, Ssrc, UserId};
use crate::limits::{MAX_PARTICIPANTS, MAX_PROP_BYTES, MAX_PROPS, MAX_SELECTED, MAX_VIDEO_SLOTS};

/// What a participant tells about itself: `videosend`, `screensend`, `muted`, `audiocbr`, `keysync`.
pub type Props = BTreeMap<String, String>;

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
    pub username: Option<String>,
    /// `credential` of an SFT token.
    pub credential: Option<String>,
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
            username: given(self.username),
            credential: given(self.credential),
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

/// One participant in a `CONFPART` that we send.
#[derive(Clone, Debug, Serialize)]
pub struct RosterLine<'a> {
    /// The user part of the id.
    pub userid: &'a str,
    /// The client part of the id.
    pub clientid: &'a str,
    /// Always `false` from an SFT.
    pub authorized: bool,
    /// Decimal.
    pub ssrc_audio: String,
    /// Decimal.
    pub ssrc_video: String,
    /// The order index; not a time.
    pub timestamp: u32,
    /// From the participant's props.
    pub muted: bool,
    /// Our extension: the home domain (stock clients ignore unknown keys).
    pub domain: &'a str,
}

/// A `CONFPART` that we send: the roster in its one order.
#[derive(Clone, Debug, Serialize)]
pub struct RosterMessage<'a> {
    version: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    sessid: &'static str,
    resp: bool,
    /// "You are the first, announce the call."
    should_start: bool,
    timestamp: String,
    seqno: String,
    entropy: &'a str,
    participants: Vec<RosterLine<'a>>,
    sfts: &'a [String],
}

/// What is the same for all recipients of one roster change.
#[derive(Clone, Copy, Debug)]
pub struct RosterStamp<'a> {
    /// Milliseconds since the epoch; never 0 towards a starter.
    pub timestamp_ms: u64,
    /// Counts changes.
    pub seqno: u32,
    /// 16 random bytes in base64.
    pub entropy: &'a str,
    /// URLs of SFTs that serve the conference, the anchor's first.
    pub sfts: &'a [String],
}

/// Renders `CONFPART`.
#[must_use]
pub fn roster(stamp: RosterStamp<'_>, participants: Vec<RosterLine<'_>>, start: Start) -> String {
    render(&RosterMessage {
        version: "3.0",
        kind: "CONFPART",
        sessid: "",
        resp: false,
        should_start: start == Start::Announce,
        timestamp: stamp.timestamp_ms.to_string(),
        seqno: stamp.seqno.to_string(),
        entropy: stamp.entropy,
        participants,
        sfts: stamp.sfts,
    })
}

/// Whether the recipient of a roster is the one to announce the call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// First in a new conference.
    Announce,
    /// Everyone else.
    Quiet,
}

#[derive(Serialize)]
struct Short<'a> {
    version: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    sessid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    src_userid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    src_clientid: &'a str,
    resp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    props: Option<&'a Props>,
}

/// Renders a relayed `PROPSYNC`: `from` is the participant the props are of.
#[must_use]
pub fn props(from: &ParticipantId, props: &Props) -> String {
    render(&Short {
        version: "3.0",
        kind: "PROPSYNC",
        sessid: "",
        src_userid: from.user.as_str(),
        src_clientid: from.client.as_str(),
        resp: true,
        props: Some(props),
    })
}

/// Renders the answer to a `PING`.
#[must_use]
pub fn pong(conference: &str) -> String {
    short("PING", conference, true)
}

/// Renders `HANGUP`: `response` answers the client's, otherwise we end the session.
#[must_use]
pub fn hangup(conference: &str, response: bool) -> String {
    short("HANGUP", conference, response)
}

fn short(kind: &'static str, sessid: &str, resp: bool) -> String {
    render(&Short {
        version: "3.0",
        kind,
        sessid,
        src_userid: "sft",
        src_clientid: "_",
        resp,
        props: None,
    })
}

/// Our offer, before it is rendered: `SETUP`, or `UPDATE` for a reconnect.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The conference.
    pub conference: &'a str,
    /// Whom it is for.
    pub to: &'a ParticipantId,
    /// `true` answers a CONFCONN with `update`.
    pub update: bool,
    /// The SDP offer.
    pub sdp: &'a str,
    /// Our public URL; a client that gets none cannot send its answer.
    pub url: &'a str,
    /// The anchor's tuple.
    pub tuple: Option<&'a str>,
}

#[derive(Serialize)]
struct RawOffer<'a> {
    version: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    sessid: &'a str,
    src_userid: &'static str,
    src_clientid: &'static str,
    dest_userid: &'a str,
    dest_clientid: &'a str,
    resp: bool,
    sdp: &'a str,
    props: BTreeMap<&'static str, &'static str>,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sft_tuple: Option<&'a str>,
}

/// Renders `SETUP` or `UPDATE`.
#[must_use]
pub fn offer(offer: Offer<'_>) -> String {
    render(&RawOffer {
        version: "3.0",
        kind: if offer.update { "UPDATE" } else { "SETUP" },
        sessid: offer.conference,
        src_userid: "sft",
        src_clientid: "_",
        dest_userid: offer.to.user.as_str(),
        dest_clientid: offer.to.client.as_str(),
        resp: false,
        sdp: offer.sdp,
        // Stock clients cannot decode a SETUP without props.
        props: BTreeMap::from([("videosend", "true"), ("muted", "false")]),
        url: offer.url,
        sft_tuple: offer.tuple,
    })
}

/// The `status` of a CONFCONN that we answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Status {
    /// Accepted.
    Ok = 0,
    /// The client's version is on the blacklist.
    Blacklisted = 1,
    /// Token, tuple, capability or policy say no.
    AuthInvalid = 2,
    /// The token has expired.
    AuthExpired = 3,
    /// A limit is reached.
    AuthLimit = 4,
    /// The token may only join.
    AuthCannotStart = 5,
}

#[derive(Serialize)]
struct RawStatus<'a> {
    version: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    sessid: &'a str,
    src_userid: &'static str,
    src_clientid: &'static str,
    resp: bool,
    update: bool,
    tool: &'static str,
    toolver: &'static str,
    env: u8,
    status: u8,
    selective_audio: bool,
    selective_video: bool,
    vstreams: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Renders a CONFCONN: the acknowledgement of an answer (`Status::Ok`), or a refusal with our own field `reason`.
#[must_use]
pub fn status(conference: &str, status: Status, reason: Option<&str>) -> String {
    render(&RawStatus {
        version: "3.0",
        kind: "CONFCONN",
        sessid: conference,
        src_userid: "sft",
        src_clientid: "sft",
        resp: status == Status::Ok,
        update: false,
        tool: "",
        toolver: "",
        env: 0,
        status: status as u8,
        selective_audio: false,
        selective_video: false,
        vstreams: 0,
        reason,
    })
}

/// The roster line of one participant.
#[must_use]
pub fn roster_line<'a>(id: &'a ParticipantId, ssrcs: SsrcPair, order: RosterOrder<'a>) -> RosterLine<'a> {
    RosterLine {
        userid: id.user.as_str(),
        clientid: id.client.as_str(),
        authorized: false,
        ssrc_audio: ssrcs.audio.0.to_string(),
        ssrc_video: ssrcs.video.0.to_string(),
        timestamp: order.index,
        muted: order.muted,
        domain: order.domain,
    }
}

/// A participant's two ids in the roster.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SsrcPair {
    /// The client's real audio SSRC.
    pub audio: Ssrc,
    /// An id that its SFT chose; constant over reconnects, unique in the conference.
    pub video: Ssrc,
}

/// The rest of a roster line.
#[derive(Clone, Copy, Debug)]
pub struct RosterOrder<'a> {
    /// Join order.
    pub index: u32,
    /// From its props.
    pub muted: bool,
    /// Home domain.
    pub domain: &'a str,
}

fn render(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("these types have string keys only, so they always serialize")
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

    #[test]
    fn what_we_write_has_the_shape_stock_clients_accept() {
        let id = participant("u1", "_").unwrap();
        let line = roster_line(
            &id,
            SsrcPair {
                audio: Ssrc(7),
                video: Ssrc(8),
            },
            RosterOrder {
                index: 0,
                muted: false,
                domain: "a.example",
            },
        );
        let stamp = RosterStamp {
            timestamp_ms: 5,
            seqno: 1,
            entropy: "AA==",
            sfts: &["http://a".to_owned()],
        };
        assert_eq!(
            roster(stamp, vec![line], Start::Announce),
            r#"{"version":"3.0","type":"CONFPART","sessid":"","resp":false,"should_start":true,"timestamp":"5","seqno":"1","entropy":"AA==","participants":[{"userid":"u1","clientid":"_","authorized":false,"ssrc_audio":"7","ssrc_video":"8","timestamp":0,"muted":false,"domain":"a.example"}],"sfts":["http://a"]}"#
        );
        assert_eq!(
            pong("c"),
            r#"{"version":"3.0","type":"PING","sessid":"c","src_userid":"sft","src_clientid":"_","resp":true}"#
        );
    }
}
