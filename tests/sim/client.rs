//! A scripted client: says what Wire's stock client says, when it says it, and writes down what it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anchor_sft::ids::{ClientId, ParticipantId, SessionId, Ssrc, UserId};
use anchor_sft::proto::client::{Connect, Props, Status};
use anchor_sft::proto::link::message::Kind;
use anchor_sft::relay::{EndReason, Refusal, SlotSsrcs, ToSession};
use serde_json::{Value, json};

/// PINGs unanswered before a client reconnects.
const MISSES: u32 = 5;

/// Which of a client's encodings a packet is of.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Source {
    Audio,
    Low,
    High,
}

/// One transport of one client: a session of one run of an SFT.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Leg {
    pub sft: usize,
    pub boot: u64,
    pub session: SessionId,
}

/// Whom a client accepts.
#[derive(Clone, Debug)]
pub enum Accept {
    All,
    Except(BTreeSet<String>),
}

/// A roster as the client understood it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Roster {
    pub timestamp: String,
    pub seqno: String,
    pub entropy: String,
    pub should_start: bool,
    pub sfts: Vec<String>,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub user: String,
    pub domain: String,
    pub audio: u32,
    pub video: u32,
    pub index: u64,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Did not start yet, hung up, was refused, or gave up.
    Out,
    /// Waits for the SFT's offer or its data channel.
    Connecting,
    /// In the call.
    Active,
}

/// What arrived from one encoding of one other client.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub packets: u64,
    pub last: Instant,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    pub id: ParticipantId,
    pub sft: usize,
    pub tuple: Option<String>,
    pub stage: Stage,
    pub attempt: u32,
    pub leg: Option<Leg>,
    pub slots: Slots,
    pub ssrcs: Ssrcs,
    pub accept: Accept,
    pub video: bool,
    pub level: u8,
    pub props: Props,
    pub wanted: Vec<(String, u8)>,
    /// Says nothing any more, and hears nothing: its network is gone.
    pub mute_network: bool,
    /// Share of its incoming video packets that get lost.
    pub loses: f64,
    // What it wrote down.
    pub rosters: Vec<Roster>,
    pub told_props: BTreeMap<String, Props>,
    pub heard: BTreeMap<(usize, Source), Heard>,
    pub refusals: Vec<(Status, Refusal)>,
    pub ends: Vec<(Instant, EndReason)>,
    pub plis: BTreeMap<Source, Vec<Instant>>,
    pub active_since: Option<Instant>,
    pub lost_pictures: u32,
    unanswered: u32,
    retries: u32,
    keys_due: BTreeSet<Source>,
    pub numbers: BTreeMap<Source, u64>,
}

/// What a client sends with; new with every session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ssrcs {
    pub audio: u32,
    pub low: u32,
    pub high: u32,
}

/// What a client was offered to receive in.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    pub audio: Vec<Ssrc>,
    pub video: Vec<SlotSsrcs>,
}

impl Slots {
    /// Whether a packet is for one of these.
    pub fn has(&self, to: &ToSession) -> bool {
        match to.kind {
            Kind::Audio => self.audio.contains(&to.ssrc),
            Kind::Video => self.video.iter().any(|slot| slot.media == to.ssrc),
        }
    }
}

impl Client {
    pub fn new(name: &str, sft: usize) -> Client {
        let id = ParticipantId {
            user: UserId::parse(name).expect("a good id"),
            client: ClientId::parse("_").expect("a good id"),
        };
        Client {
            id,
            sft,
            tuple: None,
            stage: Stage::Out,
            attempt: 0,
            leg: None,
            slots: Slots::default(),
            ssrcs: Ssrcs::default(),
            accept: Accept::All,
            video: false,
            level: 20,
            props: Props::from([("videosend".to_owned(), "false".to_owned())]),
            wanted: Vec::new(),
            mute_network: false,
            loses: 0.0,
            rosters: Vec::new(),
            told_props: BTreeMap::new(),
            heard: BTreeMap::new(),
            refusals: Vec::new(),
            ends: Vec::new(),
            plis: BTreeMap::new(),
            active_since: None,
            lost_pictures: 0,
            unanswered: 0,
            retries: 0,
            keys_due: BTreeSet::new(),
            numbers: BTreeMap::new(),
        }
    }

    pub fn name(&self) -> &str {
        self.id.user.as_str()
    }

    pub fn is_active(&self) -> bool {
        self.stage == Stage::Active
    }

    pub fn roster(&self) -> &Roster {
        self.rosters.last().expect("it got a roster")
    }

    /// The names in its latest roster.
    pub fn sees(&self) -> Vec<&str> {
        let entries = self.rosters.last().map(|roster| roster.entries.as_slice());
        entries
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.user.as_str())
            .collect()
    }

    pub fn packets(&self, from: usize, source: Source) -> u64 {
        self.heard.get(&(from, source)).map_or(0, |heard| heard.packets)
    }

    /// Begins a session; with `ssrcs` of its own.
    pub fn begin(&mut self, ssrcs: Ssrcs) {
        self.attempt += 1;
        self.stage = Stage::Connecting;
        self.leg = None;
        self.ssrcs = ssrcs;
        self.unanswered = 0;
        self.keys_due = BTreeSet::from([Source::Low, Source::High]);
        self.numbers.clear();
    }

    pub fn leave(&mut self) {
        self.stage = Stage::Out;
        self.leg = None;
    }

    /// Says whether one more try is left (any answered PING gives two).
    pub fn try_again(&mut self) -> bool {
        self.retries += 1;
        self.retries <= 2
    }

    pub fn connect(&self) -> Connect {
        Connect {
            update: self.attempt > 1,
            version: "10.5.8".to_owned(),
            selective_audio: true,
            selective_video: true,
            video_slots: 9,
            sft_url: self.tuple.as_ref().map(|_| "https://elsewhere.example".to_owned()),
            sft_tuple: self.tuple.clone(),
            ..Connect::default()
        }
    }

    /// A PING, or `None`: too many were not answered.
    pub fn ping(&mut self) -> Option<String> {
        if self.unanswered >= MISSES {
            return None;
        }
        self.unanswered += 1;
        Some(self.says("PING", &json!({ "resp": false })))
    }

    /// A key frame is due: at the start, and after a PLI.
    pub fn key_due(&mut self, source: Source) -> bool {
        self.keys_due.remove(&source)
    }

    pub fn asked_for_picture(&mut self, now: Instant, ssrc: Ssrc) {
        let source = match ssrc.0 {
            ssrc if ssrc == self.ssrcs.low => Source::Low,
            ssrc if ssrc == self.ssrcs.high => Source::High,
            _ => return,
        };
        self.keys_due.insert(source);
        self.plis.entry(source).or_default().push(now);
    }

    pub fn next_number(&mut self, source: Source) -> u64 {
        let number = self.numbers.entry(source).or_insert(0);
        *number += 1;
        *number
    }

    /// Takes a message and says what it answers.
    pub fn hear(&mut self, text: &str) -> Vec<String> {
        let message: Value = serde_json::from_str(text).expect("the SFT writes JSON");
        let response = message["resp"].as_bool().unwrap_or(false);
        match message["type"].as_str().unwrap_or_default() {
            "CONFPART" => {
                self.rosters.push(roster(&message));
                vec![self.answer()]
            }
            "PROPSYNC" => {
                let from = message["src_userid"].as_str().expect("props are somebody's").to_owned();
                let props = serde_json::from_value(message["props"].clone()).expect("props are texts");
                self.told_props.insert(from, props);
                Vec::new()
            }
            "PING" if response => {
                (self.unanswered, self.retries) = (0, 0);
                Vec::new()
            }
            "HANGUP" => {
                self.leave();
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// CONFPART: whom it accepts of those it was told of.
    pub fn answer(&self) -> String {
        let listed = self.rosters.last().map(|roster| roster.entries.as_slice());
        let accepted = |entry: &&Entry| match &self.accept {
            Accept::All => true,
            Accept::Except(names) => !names.contains(&entry.user),
        };
        let others = listed
            .unwrap_or_default()
            .iter()
            .filter(|entry| entry.user != self.name());
        let participants: Vec<Value> = others
            .filter(accepted)
            .map(|entry| {
                json!({
                    "userid": entry.user, "clientid": "_", "authorized": true,
                    "ssrc_audio": entry.audio.to_string(), "ssrc_video": entry.video.to_string(),
                })
            })
            .collect();
        self.says("CONFPART", &json!({ "resp": true, "participants": participants }))
    }

    pub fn propsync(&self) -> String {
        self.says("PROPSYNC", &json!({ "resp": false, "props": self.props }))
    }

    pub fn confstreams(&self) -> String {
        let streams: Vec<Value> = self
            .wanted
            .iter()
            .map(|(user, quality)| json!({ "userid": user, "quality": quality }))
            .collect();
        self.says(
            "CONFSTREAMS",
            &json!({ "resp": false, "mode": "list", "streams": streams }),
        )
    }

    pub fn hangup(&self) -> String {
        self.says("HANGUP", &json!({ "resp": false }))
    }

    fn says(&self, kind: &str, rest: &Value) -> String {
        let mut message = json!({
            "version": "3.0", "type": kind, "sessid": "", "src_userid": self.name(), "src_clientid": "_",
            "dest_userid": "SFT", "dest_clientid": "SFT",
        });
        for (name, value) in rest.as_object().expect("an object was written above") {
            message[name] = value.clone();
        }
        message.to_string()
    }
}

fn roster(message: &Value) -> Roster {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).expect("an SSRC");
    let entries = message["participants"].as_array().expect("a list").iter();
    Roster {
        timestamp: text(&message["timestamp"]),
        seqno: text(&message["seqno"]),
        entropy: text(&message["entropy"]),
        should_start: message["should_start"].as_bool().expect("a truth value"),
        sfts: message["sfts"].as_array().expect("a list").iter().map(text).collect(),
        entries: entries
            .map(|entry| Entry {
                user: text(&entry["userid"]),
                domain: text(&entry["domain"]),
                audio: number(&entry["ssrc_audio"]),
                video: number(&entry["ssrc_video"]),
                index: entry["timestamp"].as_u64().expect("an index"),
            })
            .collect(),
    }
}

/// A client that is in the call without a roster for this long reconnects.
pub const ROSTER_WAIT: Duration = Duration::from_secs(10);
/// From CONFCONN to the data channel; then it tries again.
pub const CONNECT_WAIT: Duration = Duration::from_secs(15);
pub const PING_EVERY: Duration = Duration::from_secs(5);
