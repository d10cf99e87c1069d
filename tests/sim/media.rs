//! Media: what clients send, the path of each packet through relays and links, and what receivers make of it.

use std::time::Duration;

use anchor_sft::conference::forward::ToLink;
use anchor_sft::ids::{FlowId, Ssrc};
use anchor_sft::proto::link::message::Layer;
use anchor_sft::proto::rtp::{FramePart, Incoming};
use anchor_sft::relay::{Source as From, ToSession};
use anchor_sft::units::AudioLevel;
use rand::RngExt;

use crate::client::{Heard, Leg, Source};
use crate::world::{ACCESS, Event, World};

/// Between a client and its SFT, packets may overtake each other by this.
const ACCESS_JITTER: Duration = Duration::from_millis(4);

/// How often clients send.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub audio: Duration,
    pub frame: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            audio: Duration::from_millis(20),
            frame: Duration::from_millis(100),
        }
    }
}

/// What the checkers know of a packet, and relays do not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Tag {
    pub from: usize,
    pub attempt: u32,
    pub source: Source,
    pub number: u64,
    pub key: bool,
}

impl World {
    pub fn start_media(&mut self, client: usize, leg: Leg) {
        // Not all in the same millisecond.
        let offset = Duration::from_micros(self.dice.random_range(0..20_000));
        self.note(offset, Event::Speak { client, leg });
        self.note(offset, Event::Film { client, leg, frame: 0 });
    }

    pub fn speak(&mut self, client: usize, leg: Leg) {
        if self.clients[client].leg != Some(leg) {
            return;
        }
        let level = Some(AudioLevel(self.clients[client].level));
        let me = &mut self.clients[client];
        let number = me.next_number(Source::Audio);
        let tag = Tag {
            from: client,
            attempt: me.attempt,
            source: Source::Audio,
            number,
            key: false,
        };
        let packet = Incoming {
            ssrc: Ssrc(me.ssrcs.audio),
            sequence: wire(number, me.ssrcs.audio),
            timestamp: (number as u32).wrapping_mul(960),
            marker: false,
            payload_type: 111,
            level,
            layer: None,
            frame: FramePart::Unknown,
            padding_only: false,
        };
        self.upload(client, leg, packet, tag);
        self.note(self.pace.audio, Event::Speak { client, leg });
    }

    /// One frame of both layers, two packets each.
    pub fn film(&mut self, client: usize, leg: Leg, frame: u32) {
        if self.clients[client].leg != Some(leg) {
            return;
        }
        if self.clients[client].video {
            for source in [Source::Low, Source::High] {
                let key = self.clients[client].key_due(source);
                self.layer(client, leg, (source, frame, key), true);
                self.layer(client, leg, (source, frame, key), false);
            }
        }
        let next = frame.wrapping_add(1);
        self.note(
            self.pace.frame,
            Event::Film {
                client,
                leg,
                frame: next,
            },
        );
    }

    fn layer(&mut self, client: usize, leg: Leg, (source, frame, key): (Source, u32, bool), first: bool) {
        let me = &mut self.clients[client];
        let number = me.next_number(source);
        let (ssrc, layer) = match source {
            Source::High => (me.ssrcs.high, Layer::High),
            _ => (me.ssrcs.low, Layer::Low),
        };
        let tag = Tag {
            from: client,
            attempt: me.attempt,
            source,
            number,
            key: key && first,
        };
        let packet = Incoming {
            ssrc: Ssrc(ssrc),
            sequence: wire(number, ssrc),
            timestamp: frame.wrapping_mul(9000),
            marker: !first,
            payload_type: 100,
            level: None,
            layer: Some(layer),
            frame: match (first, key) {
                (true, true) => FramePart::KeyframeStart,
                (true, false) => FramePart::Start,
                (false, _) => FramePart::Inside,
            },
            padding_only: false,
        };
        self.upload(client, leg, packet, tag);
    }

    pub fn upload(&mut self, client: usize, leg: Leg, packet: Incoming, tag: Tag) {
        if !self.clients[client].mute_network {
            let travel = ACCESS + ACCESS_JITTER.mul_f64(self.dice.random::<f64>());
            self.note(
                travel,
                Event::Packet {
                    client,
                    leg,
                    packet,
                    tag,
                },
            );
        }
    }

    pub fn packet(&mut self, _client: usize, leg: Leg, packet: &Incoming, tag: Tag) {
        if self.sfts[leg.sft].boot == leg.boot {
            self.forward(leg.sft, From::Session(leg.session), packet, (tag, None));
        }
    }

    pub fn datagram(
        &mut self,
        (cable, end): (usize, usize),
        flow: FlowId,
        packet: &Incoming,
        (tag, via): (Tag, usize),
    ) {
        let there = &self.cables[cable].ends[end];
        let (sft, link) = (there.sft, there.link);
        if there.up && self.sfts[sft].boot == there.boot {
            self.forward(sft, From::Link(link, flow), packet, (tag, Some(via)));
        }
    }

    fn forward(&mut self, sft: usize, from: From, packet: &Incoming, (tag, via): (Tag, Option<usize>)) {
        if !self.sfts[sft].running {
            return;
        }
        let now = self.clock.now();
        let mut forwards = std::mem::take(&mut self.forwards);
        let result = self.sfts[sft].forward(now, from, packet, &mut forwards);
        if let Some(trace) = &mut self.trace {
            trace.add(&(self.clock.elapsed(), sft, &forwards));
        }
        if result.is_ok() {
            for to in &forwards.sessions {
                self.receive(sft, to, tag);
            }
            for to in &forwards.links {
                self.relay(sft, *to, packet, (tag, via));
            }
        }
        self.forwards = forwards;
        self.carry_out(sft);
    }

    fn receive(&mut self, sft: usize, to: &ToSession, tag: Tag) {
        let now = self.clock.now();
        let Some(&(client, _)) = self.sfts[sft].sessions.get(&to.session) else {
            panic!("seed {}: a packet for a session that is over", self.seed);
        };
        let leg = Leg {
            sft,
            boot: self.sfts[sft].boot,
            session: to.session,
        };
        let world = (&self.clients[..], &self.sfts[..]);
        self.checks.received(self.seed, now, (client, leg), to, tag, world);
        if self.clients[client].leg != Some(leg) || self.clients[client].mute_network {
            return;
        }
        assert!(
            self.clients[client].slots.has(to),
            "seed {}: a packet outside of all slots",
            self.seed
        );
        let loses = self.clients[client].loses;
        if tag.source != Source::Audio && loses > 0.0 && self.dice.random_bool(loses) {
            self.clients[client].lost_pictures += 1;
            return self.note(ACCESS * 3, Event::PictureLost { leg, slot: to.ssrc });
        }
        let heard = self.clients[client].heard.entry((tag.from, tag.source));
        let heard = heard.or_insert(Heard { packets: 0, last: now });
        heard.packets += 1;
        heard.last = now;
    }

    fn relay(&mut self, sft: usize, to: ToLink, packet: &Incoming, (tag, via): (Tag, Option<usize>)) {
        let boot = self.sfts[sft].boot;
        let Some((cable, end)) = self.cable_of(sft, boot, to.link) else {
            panic!("seed {}: a packet for a link that was never up", self.seed);
        };
        let now = self.clock.now();
        let there = self.cables[cable].ends[1 - end].sft;
        let world = (&self.clients[..], &self.sfts[..]);
        self.checks
            .crossed(self.seed, now, (cable, sft, there), to.flow, (tag, via), world);
        if !self.cables[cable].is_up() || self.net.is_cut(sft, there) {
            return;
        }
        // Over a link, the layer is the flow's.
        let packet = Incoming { layer: None, ..*packet };
        if let Some(travel) = self.net.datagram() {
            let (end, flow) = (1 - end, to.flow);
            self.note(
                travel,
                Event::Datagram {
                    cable,
                    end,
                    flow,
                    packet,
                    tag,
                    via: sft,
                },
            );
        }
    }
}

/// Sequence numbers begin anywhere, so that wraps are seen.
fn wire(number: u64, ssrc: u32) -> u16 {
    (number as u16).wrapping_add(ssrc as u16)
}
