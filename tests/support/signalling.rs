//! The messages that Wire's clients send, and what the tests read from those of the SFT. Written from the protocol's documents, not
//! with the library's own types: an error there must not be on both ends.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One line of a roster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The user id.
    pub user: String,
    /// The client id.
    pub client: String,
    /// The CSRC of its audio.
    pub audio: u32,
    /// The CSRC of its video.
    pub video: u32,
    /// Its home domain, our extension of the protocol; empty where absent.
    pub domain: String,
}

/// How much a client wants of somebody's video.
#[derive(Clone, Copy, Debug)]
pub enum Quality {
    /// Whatever there is.
    Any = 0,
    /// The lower layer.
    Low = 1,
    /// The upper layer.
    High = 2,
}

/// What the SFT said on the data channel.
#[derive(Clone, Debug)]
pub enum Told {
    /// `CONFPART`.
    Roster {
        /// In the order of the message.
        members: Vec<Member>,
        /// This client is to announce the call.
        should_start: bool,
        /// `sfts`.
        sfts: Vec<String>,
    },
    /// `PROPSYNC` of a user.
    Props(String, BTreeMap<String, String>),
    /// The answer to a `PING`.
    Pong,
    /// `HANGUP`; `true`: the answer to ours.
    Hangup(bool),
    /// Something else, by type.
    Other(String),
}

/// Who speaks and where.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// The conference, `sessid` of every message.
    pub conference: String,
    /// The user id; the client id is `_`, as always with Wire's clients.
    pub user: String,
}

impl Speaker {
    fn envelope(&self, kind: &str, response: bool) -> Value {
        json!({
            "version": "3.0", "type": kind, "sessid": self.conference, "resp": response,
            "src_userid": self.user, "src_clientid": "_", "dest_userid": "SFT", "dest_clientid": "_",
        })
    }

    /// `CONFCONN`; `anchor` is the anchor's URL and tuple.
    pub fn connect(&self, update: bool, video_slots: usize, anchor: Anchor<'_>) -> Value {
        let mut message = self.envelope("CONFCONN", false);
        message["update"] = json!(update);
        message["tool"] = json!("avs 10.5.8 (test)");
        message["toolver"] = json!("10.5.8");
        message["env"] = json!(0);
        message["status"] = json!(0);
        message["selective_audio"] = json!(true);
        message["selective_video"] = json!(true);
        message["vstreams"] = json!(video_slots);
        if let Some(url) = anchor.url {
            message["sft_url"] = json!(url);
        }
        if let Some(tuple) = anchor.tuple {
            message["sft_tuple"] = json!(tuple);
        }
        message
    }

    /// `SETUP` or `UPDATE` with our answer; `kind` is that of the offer.
    pub fn answer(&self, kind: &str, sdp: &str) -> Value {
        let mut message = self.envelope(kind, true);
        message["sdp"] = json!(sdp);
        message["props"] = json!({"videosend": "true", "screensend": "false", "audiocbr": "false", "muted": "false"});
        message
    }

    /// The answer to `CONFPART`: everybody else is accepted.
    pub fn authorize(&self, roster: &[Member]) -> Value {
        let others = roster.iter().filter(|member| member.user != self.user);
        let line = |member: &Member| {
            json!({
                "userid": member.user, "clientid": member.client, "authorized": true,
                "ssrc_audio": member.audio.to_string(), "ssrc_video": member.video.to_string(),
            })
        };
        let mut message = self.envelope("CONFPART", true);
        message["sessid"] = json!("");
        message["timestamp"] = json!("0");
        message["seqno"] = json!("0");
        message["entropy"] = json!("");
        message["participants"] = others.map(line).collect();
        message
    }

    /// `CONFSTREAMS`: whom to show, in the order of the video slots.
    pub fn select(&self, wanted: &[(String, Quality)]) -> Value {
        let entry = |(user, quality): &(String, Quality)| json!({"userid": user, "quality": *quality as u8});
        let mut message = self.envelope("CONFSTREAMS", false);
        message["mode"] = json!("list");
        message["streams"] = wanted.iter().map(entry).collect();
        message
    }

    /// `PROPSYNC`.
    pub fn props(&self, props: &[(&str, &str)]) -> Value {
        let mut message = self.envelope("PROPSYNC", false);
        message["props"] = props
            .iter()
            .map(|&(name, value)| (name.to_owned(), json!(value)))
            .collect();
        message
    }

    /// `PING`.
    pub fn ping(&self) -> Value {
        self.envelope("PING", false)
    }

    /// `HANGUP`.
    pub fn hangup(&self) -> Value {
        self.envelope("HANGUP", false)
    }
}

/// What a joining client knows about the anchor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anchor<'a> {
    /// `sft_url`.
    pub url: Option<&'a str>,
    /// `sft_tuple`.
    pub tuple: Option<&'a str>,
}

/// Reads a message of the data channel; `None`: not a message of the protocol.
pub fn read(text: &str) -> Option<Told> {
    let message: Value = serde_json::from_str(text).ok()?;
    let response = message["resp"].as_bool()?;
    let told = match message["type"].as_str()? {
        "CONFPART" => Told::Roster {
            members: message["participants"].as_array()?.iter().filter_map(member).collect(),
            should_start: message["should_start"].as_bool().unwrap_or(false),
            sfts: strings(&message["sfts"]),
        },
        "PROPSYNC" => {
            let props = message["props"].as_object()?.iter();
            let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
            Told::Props(
                message["src_userid"].as_str()?.to_owned(),
                props.filter_map(text).collect(),
            )
        }
        "PING" if response => Told::Pong,
        "HANGUP" => Told::Hangup(response),
        other => Told::Other(other.to_owned()),
    };
    Some(told)
}

fn member(line: &Value) -> Option<Member> {
    Some(Member {
        user: line["userid"].as_str()?.to_owned(),
        client: line["clientid"].as_str()?.to_owned(),
        audio: line["ssrc_audio"].as_str()?.parse().ok()?,
        video: line["ssrc_video"].as_str()?.parse().ok()?,
        domain: line["domain"].as_str().unwrap_or("").to_owned(),
    })
}

fn strings(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
