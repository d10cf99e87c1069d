//! A worker and its clients in memory: they join as Wire's clients do, and trade datagrams without a socket in between.
//!
//! Include it with `#[path]`, beside `memory_peer` as `peer`.
#![allow(dead_code, reason = "each includer uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code meets only bytes of our own"
)]
#![allow(missing_docs, reason = "test code")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anchor_sft::federation::Command as LinkCommand;
use anchor_sft::ids::{ClientId, ConferenceId, Domain, NodeName, ParticipantId, Ssrc, UserId};
use anchor_sft::metrics::Metrics;
use anchor_sft::proto::client::{Connect, Props};
use anchor_sft::proto::sdp;
use anchor_sft::relay::{self, Relay};
use anchor_sft::session::{Identity, Path};
use anchor_sft::token::Standing;
use anchor_sft::units::{Epoch, WallTime};
use anchor_sft::worker::half_open::Bounds;
use anchor_sft::worker::turn::{Setup, Worker};
use anchor_sft::worker::{Answer, Command, Join, Offered, Verdict};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::peer::{PASSWORD, Peer, UFRAG};

const CONFERENCE: &str = "c0ffee";
/// Bounds that no test reaches by accident.
pub const WIDE: Bounds = Bounds {
    total: 1000,
    per_source: 1000,
    per_conference: 1000,
};

/// A worker with one conference.
pub struct Hall {
    pub now: Instant,
    pub worker: Worker,
    pub metrics: Arc<Metrics>,
    pub guests: Vec<Guest>,
    // Kept open, as if there were links.
    _links: mpsc::Receiver<LinkCommand>,
}

/// One client.
pub struct Guest {
    pub user: String,
    pub path: Path,
    pub peer: Peer,
    /// Sealed RTP and RTCP that came.
    pub media: Vec<Vec<u8>>,
    /// Users whom it wants to see, in the order of its slots.
    pub wanted: Vec<String>,
    pub offer: String,
    read: usize,
    answered: Vec<Value>,
}

impl Hall {
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do as the beginning of simulated time"
    )]
    pub fn new(bounds: Bounds) -> Hall {
        let now = Instant::now();
        let epoch = Epoch {
            instant: now,
            wall: WallTime(1_800_000_000_000),
        };
        let config = relay::Config {
            domain: Domain::parse("a.example").unwrap(),
            node: NodeName::parse("sft-0").unwrap(),
            boot: 1,
            public_url: "https://sft.a.example".to_owned(),
            capability_keys: vec![anchor_sft::federation::capability::Key::new([7; 32])],
            peers: Vec::new(),
        };
        let (links, kept) = mpsc::channel(64);
        let metrics = Arc::new(Metrics::new([]));
        let worker = Worker::new(Setup {
            relay: Relay::new(config, [1; 32], epoch),
            identity: Arc::new(Identity::generate().unwrap()),
            seed: [2; 32],
            candidates: vec![([192, 0, 2, 1], 10_000).into()],
            bounds,
            links,
            metrics: metrics.clone(),
        });
        Hall {
            now,
            worker,
            metrics,
            guests: Vec::new(),
            _links: kept,
        }
    }

    /// A conference of this many, in which all see the first.
    pub fn of(count: usize) -> Hall {
        let mut hall = Hall::new(WIDE);
        for number in 0..count {
            hall.join(&format!("u{number}"), &["u0"]);
        }
        hall
    }

    /// Posts CONFCONN.
    pub fn ask(&mut self, user: &str) -> Verdict {
        let (reply, mut verdict) = oneshot::channel();
        let connect = Connect {
            version: "10.5.8".to_owned(),
            selective_audio: true,
            selective_video: true,
            video_slots: 4,
            ..Connect::default()
        };
        let join = Join {
            conference: ConferenceId::parse(CONFERENCE).unwrap(),
            participant: participant(user),
            connect,
            standing: Standing::Anonymous,
            source: [192, 0, 2, 77].into(),
            reply,
        };
        self.worker.command(self.now, Command::Join(Box::new(join)));
        self.worker.settle(self.now);
        verdict.try_recv().unwrap()
    }

    /// Joins and waits until it is in the conference.
    pub fn join(&mut self, user: &str, wanted: &[&str]) {
        let Verdict::Offer(offered) = self.ask(user) else {
            panic!("{user} is not taken")
        };
        let guest = self.answer(user, &offered, wanted);
        self.guests.push(guest);
        self.exchange();
    }

    fn answer(&mut self, user: &str, offered: &Offered, wanted: &[&str]) -> Guest {
        let number = u16::try_from(self.guests.len()).unwrap();
        let mut peer = Peer::new(
            self.now,
            line(&offered.sdp, "a=ice-ufrag:"),
            line(&offered.sdp, "a=ice-pwd:"),
        );
        let (reply, mut done) = oneshot::channel();
        let answer = Answer {
            conference: ConferenceId::parse(CONFERENCE).unwrap(),
            participant: participant(user),
            sdp: sdp::Answer {
                ufrag: UFRAG.to_owned(),
                password: PASSWORD.to_owned(),
                fingerprint: peer.fingerprint(),
                audio: audio_of(number),
                video: None,
            },
            props: Props::new(),
            reply,
        };
        self.worker.command(self.now, Command::Answer(Box::new(answer)));
        assert_eq!(done.try_recv(), Ok(Ok(())));
        let path = Path {
            remote: ([192, 0, 2, 7], 20_000 + number).into(),
            socket: 0,
            local: None,
        };
        let mut check = peer.check(true);
        self.worker.datagram(self.now, path, &mut check);
        peer.start(self.now);
        Guest {
            user: user.to_owned(),
            path,
            peer,
            media: Vec::new(),
            wanted: wanted.iter().map(|&user| user.to_owned()).collect(),
            offer: offered.sdp.clone(),
            read: 0,
            answered: Vec::new(),
        }
    }

    /// Lets datagrams go both ways until nobody has anything to say.
    pub fn exchange(&mut self) {
        loop {
            let mut busy = false;
            for guest in &mut self.guests {
                guest.reply(self.now);
                while let Some(mut datagram) = guest.peer.poll() {
                    busy = true;
                    self.worker.datagram(self.now, guest.path, &mut datagram);
                }
            }
            self.worker.settle(self.now);
            busy |= self.deliver();
            if !busy {
                return;
            }
        }
    }

    /// Takes what the worker wants sent to the guests; whether there was anything.
    pub fn deliver(&mut self) -> bool {
        let (now, guests, mut any) = (self.now, &mut self.guests, false);
        self.worker.outbox().drain(|path, run, segment| {
            any = true;
            let guest = guests.iter_mut().find(|guest| guest.path == *path).unwrap();
            for datagram in run.chunks(segment.unwrap_or(run.len())) {
                match datagram[0] {
                    128..=191 => guest.media.push(datagram.to_vec()),
                    _ => guest.peer.receive(now, datagram),
                }
            }
        });
        any
    }

    /// Lets time pass in small steps.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += Duration::from_millis(10);
            self.worker.handle_timeout(self.now);
            for guest in &mut self.guests {
                guest.peer.handle_timeout(self.now);
            }
            self.exchange();
        }
    }

    /// Hands the worker one sealed packet of a guest.
    pub fn send(&mut self, guest: usize, sealed: &mut [u8]) {
        let path = self.guests[guest].path;
        self.worker.datagram(self.now, path, sealed);
        self.worker.settle(self.now);
    }
}

impl Guest {
    /// Answers rosters as stock clients do: everyone listed is accepted, then the selection is said again.
    fn reply(&mut self, now: Instant) {
        while let Some(text) = self.peer.texts.get(self.read).cloned() {
            self.read += 1;
            let message: Value = serde_json::from_slice(&text).unwrap();
            if message["type"] == "CONFPART" {
                let participants: Vec<Value> = message["participants"].as_array().unwrap().clone();
                let accept = |mut entry: Value| {
                    entry["authorized"] = true.into();
                    entry
                };
                let others = participants
                    .into_iter()
                    .filter(|entry| entry["userid"] != self.user.as_str());
                let others: Vec<Value> = others.map(accept).collect();
                self.say(now, "CONFPART", true, json!({ "participants": others }));
                let streams: Vec<Value> = self
                    .wanted
                    .iter()
                    .map(|user| json!({ "userid": user, "quality": 2 }))
                    .collect();
                self.say(now, "CONFSTREAMS", false, json!({ "mode": "list", "streams": streams }));
            }
            self.answered.push(message);
        }
    }

    /// Messages of a type that came.
    pub fn heard(&self, kind: &str) -> Vec<&Value> {
        self.answered.iter().filter(|message| message["type"] == kind).collect()
    }

    pub fn say(&mut self, now: Instant, kind: &str, response: bool, mut rest: Value) {
        for (key, value) in [
            ("version", json!("3.0")),
            ("type", json!(kind)),
            ("sessid", json!(CONFERENCE)),
            ("src_userid", json!(self.user)),
            ("src_clientid", json!("_")),
            ("resp", json!(response)),
        ] {
            rest[key] = value;
        }
        self.peer.send_text(now, &rest.to_string());
    }

    /// The packets that came since it was asked last, in the clear.
    pub fn opened_media(&mut self) -> Vec<Vec<u8>> {
        let sealed = std::mem::take(&mut self.media);
        let rtp = sealed.iter().filter(|packet| !matches!(packet[1], 192..=223));
        rtp.map(|packet| self.peer.unprotect_rtp(packet).unwrap()).collect()
    }

    /// The RTCP that came since it was asked last, in the clear.
    pub fn opened_reports(&mut self) -> Vec<Vec<u8>> {
        let sealed = std::mem::take(&mut self.media);
        let rtcp = sealed.iter().filter(|packet| matches!(packet[1], 192..=223));
        rtcp.map(|packet| self.peer.unprotect_rtcp(packet).unwrap()).collect()
    }
}

fn participant(user: &str) -> ParticipantId {
    ParticipantId {
        user: UserId::parse(user).unwrap(),
        client: ClientId::parse("_").unwrap(),
    }
}

/// The audio SSRC of the guest with this number.
pub fn audio_of(number: u16) -> Ssrc {
    Ssrc(1000 + u32::from(number))
}

fn line<'a>(sdp: &'a str, start: &str) -> &'a str {
    sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap()
}

/// A video packet of the upper layer: RID `h`, and a frame descriptor that says key frame or not.
pub fn video(sequence: u16, key_frame: bool) -> Vec<u8> {
    let descriptor = if key_frame { 0x80 } else { 0x88 };
    let mut packet = head(sequence, 0x80 | 100, 0xabcd);
    packet.extend([
        0xbe,
        0xde,
        0,
        2,
        0x40,
        b'h',
        0x31,
        (sequence >> 8) as u8,
        sequence as u8,
        0xb0,
        descriptor,
        0,
    ]);
    packet.resize(1150, 7);
    packet
}

/// An audio packet with a level.
pub fn audio(sequence: u16, ssrc: Ssrc) -> Vec<u8> {
    let mut packet = head(sequence, 111, ssrc.0);
    packet.extend([0xbe, 0xde, 0, 1, 0x10, 0x90, 0, 0]);
    packet.resize(120, 7);
    packet
}

fn head(sequence: u16, payload_type: u8, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x90, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 960).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet
}
