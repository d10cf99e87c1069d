//! One SFT: a relay, and what its shell remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::time::Instant;

use anchor_sft::federation::capability::Key;
use anchor_sft::ids::{Domain, LinkId, NodeName, RequestId, SessionId};
use anchor_sft::proto::link::message::Code;
use anchor_sft::proto::rtp::Incoming;
use anchor_sft::relay::{Config, Forwards, Input, Output, Relay, Rule, Source, Unforwarded};
use anchor_sft::units::{Epoch, WallTime};

use crate::mischief::Mischief;

/// One SFT.
#[derive(Debug)]
pub struct Sft {
    pub domain: Domain,
    pub relay: Relay,
    /// Counts starts.
    pub boot: u64,
    /// `false`: the process is not there.
    pub running: bool,
    pub mischief: Option<Mischief>,
    /// Messages of this type are swallowed.
    pub unsaid: Option<&'static str>,
    /// Whose session it is, and whether its data channel is open.
    pub sessions: BTreeMap<SessionId, (usize, bool)>,
    /// Which client posted, in which attempt.
    pub requests: BTreeMap<RequestId, (usize, u32)>,
    pub dialling: BTreeSet<usize>,
    pub dials: u32,
    pub violations: BTreeMap<(Domain, Rule), u32>,
    pub refused: Vec<(Domain, Code)>,
    pub plis: u32,
    pub record: Option<Record>,
    config: Config,
    epoch: Epoch,
    seed: u64,
    next_link: u64,
}

/// What a relay was told and what it said: enough to run it again.
#[derive(Debug, Default)]
pub struct Record {
    pub told: Vec<(Instant, Told)>,
    said: Said,
}

/// One call of a relay.
#[derive(Clone, Debug)]
pub enum Told {
    Input(Input),
    Timeout,
    Packet(Source, Incoming),
}

/// Everything a relay said, as one number.
#[derive(Clone, Debug, Default)]
pub struct Said(DefaultHasher);

impl Said {
    pub fn add(&mut self, what: &impl std::fmt::Debug) {
        self.0.write(format!("{what:?}").as_bytes());
    }

    pub fn hash(&self) -> u64 {
        self.0.finish()
    }
}

impl Sft {
    pub fn new(seed: u64, at: usize, domains: &[Domain], now: Instant) -> Sft {
        let config = Config {
            domain: domains[at].clone(),
            node: NodeName::parse("sft-0").expect("a good name"),
            boot: 1,
            public_url: format!("https://sft.{}", domains[at]),
            capability_keys: vec![Key::new([at as u8 + 1; 32])],
            peers: domains.iter().filter(|peer| **peer != domains[at]).cloned().collect(),
        };
        let epoch = Epoch {
            instant: now,
            wall: WallTime(1_800_000_000_000),
        };
        Sft {
            domain: config.domain.clone(),
            relay: Relay::new(config.clone(), dice(seed + 1), epoch),
            boot: 1,
            running: true,
            mischief: None,
            unsaid: None,
            sessions: BTreeMap::new(),
            requests: BTreeMap::new(),
            dialling: BTreeSet::new(),
            dials: 0,
            violations: BTreeMap::new(),
            refused: Vec::new(),
            plis: 0,
            record: None,
            config,
            epoch,
            seed,
            next_link: 0,
        }
    }

    /// Takes a peer off the list, from the next start.
    pub fn unlist(&mut self, peer: &Domain) {
        self.config.peers.retain(|known| known != peer);
        self.relay = self.fresh();
    }

    pub fn lists(&self, peer: &Domain) -> bool {
        self.config.peers.contains(peer)
    }

    /// The process ends without a word, and forgets all but its configuration and keys.
    pub fn stop(&mut self) {
        self.running = false;
        self.boot += 1;
        self.config.boot += 1;
        self.sessions.clear();
        self.requests.clear();
        self.dialling.clear();
        self.relay = self.fresh();
    }

    /// A relay as it was at the start of the process.
    pub fn fresh(&self) -> Relay {
        Relay::new(self.config.clone(), dice(self.seed + self.boot), self.epoch)
    }

    pub fn draw_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        if let Some(record) = &mut self.record {
            record.told.push((now, Told::Input(input.clone())));
        }
        self.relay.handle(now, input);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(record) = &mut self.record {
            record.told.push((now, Told::Timeout));
        }
        self.relay.handle_timeout(now);
    }

    pub fn forward(
        &mut self,
        now: Instant,
        source: Source,
        packet: &Incoming,
        forwards: &mut Forwards,
    ) -> Result<(), Unforwarded> {
        let result = self.relay.forward(now, source, packet, forwards);
        if let Some(record) = &mut self.record {
            record.told.push((now, Told::Packet(source, *packet)));
            record.said.add(&(result, &forwards.sessions, &forwards.links));
        }
        result
    }

    pub fn poll(&mut self) -> Option<Output> {
        let output = self.relay.poll()?;
        if let Some(record) = &mut self.record {
            record.said.add(&output);
        }
        Some(output)
    }

    pub fn start_recording(&mut self) {
        self.record = Some(Record::default());
    }

    /// Everything said so far, as one number.
    pub fn said(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.said.hash())
    }

    pub fn violations(&self, peer: &Domain, rule: Rule) -> u32 {
        self.violations.get(&(peer.clone(), rule)).copied().unwrap_or(0)
    }
}

/// Runs a record through a new relay and says what it says.
pub fn replay(mut relay: Relay, told: &[(Instant, Told)]) -> u64 {
    let mut said = Said::default();
    let mut forwards = Forwards::default();
    for (now, told) in told {
        match told.clone() {
            Told::Input(input) => relay.handle(*now, input),
            Told::Timeout => relay.handle_timeout(*now),
            Told::Packet(source, packet) => {
                let result = relay.forward(*now, source, &packet, &mut forwards);
                said.add(&(result, &forwards.sessions, &forwards.links));
            }
        }
        while let Some(output) = relay.poll() {
            said.add(&output);
        }
    }
    said.hash()
}

fn dice(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}
