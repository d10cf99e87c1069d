//! What we say to clients.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ids::{ParticipantId, Ssrc};
use crate::proto::client::Props;

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
    use crate::ids::{ClientId, UserId};

    #[test]
    fn what_we_write_has_the_shape_stock_clients_accept() {
        let id = ParticipantId {
            user: UserId::parse("u1").unwrap(),
            client: ClientId::parse("_").unwrap(),
        };
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
