//! The messages on a link's streams. Unknown types and fields are ignored, so that later versions can add some.

use serde::{Deserialize, Serialize};

use crate::proto::client::Props;

/// The version in the ALPN, `anchor-sft/1`.
pub const ALPN: &[u8] = b"anchor-sft/1";

/// One message. `hello`, `goodbye` and `peer_status` are said on the link stream, the rest on a conference's stream.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// First, from both sides.
    Hello(Hello),
    /// The link is about to close.
    Goodbye {
        /// Why.
        code: Code,
    },
    /// How the sender is.
    PeerStatus {
        /// Share of its capacity in use, 0 to 100.
        load: u8,
        /// Takes no new conferences.
        draining: bool,
    },
    /// Member to anchor, first on a conference's stream: a lease.
    Attach {
        /// The conference.
        conference: String,
        /// From the tuple, without the domain.
        capability: String,
    },
    /// The lease is granted.
    Attached {
        /// The roster's revision so far.
        revision: u64,
    },
    /// The lease is not granted; the stream ends.
    Refused {
        /// Why.
        code: Code,
        /// When asking again makes sense; `None`: not by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// With `elsewhere`: the node of the same domain that has the conference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
    },
    /// Member to anchor: its own participants, all of them.
    Announce {
        /// In the order they joined.
        participants: Vec<Announced>,
        /// The member's public URL for clients.
        sft: String,
    },
    /// Anchor to member: everyone, in the one order.
    Roster(Roster),
    /// Whom a participant accepts; changes only.
    Authorize {
        /// Roster index of the one who accepts.
        from: u32,
        /// Now accepted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        add: Vec<u32>,
        /// No longer accepted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remove: Vec<u32>,
    },
    /// What a participant tells about itself.
    Props {
        /// Its roster index.
        from: u32,
        /// All of its properties.
        props: Props,
    },
    /// A flow begins or changes state.
    Publish(Publish),
    /// A flow ends.
    Unpublish {
        /// Which.
        flow: u64,
    },
    /// Someone needs a key frame of a flow that the recipient sends.
    Keyframe {
        /// Which.
        flow: u64,
    },
    /// Which flows the sender wants (`exchange = "demand"`); reserved.
    Select {
        /// Those it wants.
        flows: Vec<u64>,
    },
    /// The sender's policy takes nothing from a home domain; reserved.
    Deny {
        /// Which domain.
        domain: String,
    },
    /// Asks why flows are in the state they are; reserved.
    Explain,
    /// The conference's stream ends in order.
    Detach {
        /// Why.
        code: Code,
    },
    /// A type of a later version.
    #[serde(other)]
    Unknown,
}

/// Who is speaking, and since when.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Hello {
    /// Must equal the domain the certificate proved.
    pub domain: String,
    /// The node's name in its domain.
    pub node: String,
    /// Drawn at start; grows with every start (milliseconds since the epoch).
    pub boot: u64,
    /// Name and version, for people.
    pub software: String,
    /// Minor versions of the protocol that the sender speaks.
    pub versions: Vec<u32>,
    /// Optional parts that the sender understands.
    #[serde(default)]
    pub features: Vec<String>,
}

/// A participant as its home SFT announces it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Announced {
    /// The user part of its id.
    pub userid: String,
    /// The client part of its id.
    pub clientid: String,
    /// Its real audio SSRC.
    pub ssrc_audio: u32,
    /// The id its SFT chose.
    pub ssrc_video: u32,
    /// From its props.
    pub muted: bool,
    /// Its client showed a valid token.
    pub authenticated: bool,
    /// Rises by one when the same participant comes back with a new session, so that it moves to the end.
    pub incarnation: u32,
    /// Reserved: a signature by the home SFT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// The merged roster.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Roster {
    /// Rises with every change.
    pub revision: u64,
    /// Milliseconds since the epoch, as in the clients' CONFPART.
    pub timestamp: u64,
    /// As in the clients' CONFPART.
    pub seqno: u32,
    /// 16 random bytes in base64, as in the clients' CONFPART.
    pub entropy: String,
    /// In order.
    pub participants: Vec<Entry>,
    /// Public URLs, the anchor's first; at most 8.
    pub sfts: Vec<String>,
}

/// A participant in the merged roster.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// The user part of its id.
    pub userid: String,
    /// The client part of its id.
    pub clientid: String,
    /// Its home domain.
    pub domain: String,
    /// Its real audio SSRC.
    pub ssrc_audio: u32,
    /// The id its SFT chose.
    pub ssrc_video: u32,
    /// Its place: never reused in a conference; what `authorize`, `props` and `publish` name it by.
    pub index: u32,
    /// From its props.
    pub muted: bool,
    /// Reserved: a signature by the home SFT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// A flow.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Publish {
    /// Chosen by the sender, never reused on the link.
    pub flow: u64,
    /// Roster index of the publisher.
    pub participant: u32,
    /// Audio or video.
    pub kind: Kind,
    /// The layer of a video.
    pub layer: Layer,
    /// Whether packets come.
    pub state: State,
}

/// Audio or video.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Opus, as a rule.
    Audio,
    /// VP8, as a rule.
    Video,
}

/// Which encoding of a source.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The lower simulcast layer (RID `l`).
    #[serde(rename = "l")]
    Low,
    /// The upper simulcast layer (RID `h`).
    #[serde(rename = "h")]
    High,
    /// The only encoding there is: audio, and video without RIDs.
    Only,
}

/// Whether a flow carries packets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    Live,
    /// It does not, for now.
    Paused,
}

/// Why something was refused or ended: in `refused`, `detach` and `goodbye`, as QUIC close codes, metric labels and audit reasons.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No configured peer has that name.
    Unlisted,
    /// The certificate does not chain to that peer's trust.
    Untrusted,
    /// The certificate's time is over, or not yet come.
    Expired,
    /// The certificate is for another name.
    WrongName,
    /// The certificate names several configured peers.
    Ambiguous,
    /// The administrator suspended the peer.
    Suspended,
    /// No common version.
    Version,
    /// The anchor has no such conference.
    UnknownConference,
    /// The capability does not open that conference.
    BadCapability,
    /// An id or SSRC belongs to someone else.
    Conflict,
    /// A limit is reached.
    Limit,
    /// Policy says no.
    Policy,
    /// Another node of the domain has it.
    Elsewhere,
    /// Another link to the same node is kept.
    DuplicateLink,
    /// The process ends or drains.
    ShuttingDown,
    /// The peer broke the protocol, or said a code that we do not know.
    #[serde(other)]
    Protocol,
}

impl Code {
    /// All of them, in the order of their QUIC close codes.
    pub const ALL: [Code; 16] = [
        Code::Unlisted,
        Code::Untrusted,
        Code::Expired,
        Code::WrongName,
        Code::Ambiguous,
        Code::Suspended,
        Code::Version,
        Code::UnknownConference,
        Code::BadCapability,
        Code::Conflict,
        Code::Limit,
        Code::Policy,
        Code::Elsewhere,
        Code::DuplicateLink,
        Code::ShuttingDown,
        Code::Protocol,
    ];

    /// The QUIC application close code: 0x100 and up.
    #[must_use]
    pub const fn close_code(self) -> u32 {
        0x100 + self as u32
    }

    /// The code behind a QUIC application close code.
    #[must_use]
    pub fn from_close_code(code: u64) -> Option<Code> {
        Code::ALL
            .into_iter()
            .find(|known| u64::from(known.close_code()) == code)
    }

    /// The word on the wire, in metrics and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Unlisted => "unlisted",
            Code::Untrusted => "untrusted",
            Code::Expired => "expired",
            Code::WrongName => "wrong_name",
            Code::Ambiguous => "ambiguous",
            Code::Suspended => "suspended",
            Code::Version => "version",
            Code::UnknownConference => "unknown_conference",
            Code::BadCapability => "bad_capability",
            Code::Conflict => "conflict",
            Code::Limit => "limit",
            Code::Policy => "policy",
            Code::Elsewhere => "elsewhere",
            Code::DuplicateLink => "duplicate_link",
            Code::ShuttingDown => "shutting_down",
            Code::Protocol => "protocol",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_on_the_wire_are_the_words_in_the_logs() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
            assert_eq!(Code::from_close_code(code.close_code().into()), Some(code));
        }
        assert_eq!(Code::from_close_code(0), None);
    }

    #[test]
    fn later_versions_may_add_types_fields_and_codes() {
        let later: Message = serde_json::from_str(r#"{"type":"teleport","to":"moon"}"#).unwrap();
        assert_eq!(later, Message::Unknown);
        let more: Message = serde_json::from_str(r#"{"type":"unpublish","flow":3,"why":"x"}"#).unwrap();
        assert_eq!(more, Message::Unpublish { flow: 3 });
        let code: Message = serde_json::from_str(r#"{"type":"goodbye","code":"bored"}"#).unwrap();
        assert_eq!(code, Message::Goodbye { code: Code::Protocol });
    }
}
