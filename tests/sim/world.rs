//! The world: an agenda of what happens when, and the SFTs and clients that it happens to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anchor_sft::federation::Event as LinkEvent;
use anchor_sft::ids::{ConferenceId, Domain, FlowId, Ssrc};
use anchor_sft::proto::link::message::Code;
use anchor_sft::proto::rtp::Incoming;
use anchor_sft::relay::{EndReason, Forwards, Input, Refusal};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use crate::cable::Cable;
use crate::check::Checks;
use crate::client::{Client, Leg, Slots, Stage};
use crate::clock::Clock;
use crate::media::{Pace, Tag};
use crate::net::{Net, Weather};
use crate::sft::{Said, Sft};

/// Between a client and its SFT, one way.
pub const ACCESS: Duration = Duration::from_millis(10);

/// Everything there is.
pub struct World {
    pub seed: u64,
    pub clock: Clock,
    pub net: Net,
    pub sfts: Vec<Sft>,
    pub clients: Vec<Client>,
    pub cables: Vec<Cable>,
    pub checks: Checks,
    pub pace: Pace,
    /// Everything that happened, where someone wants to compare.
    pub trace: Option<Said>,
    pub conference: ConferenceId,
    /// Frames that went on streams, ever.
    pub frames: u64,
    pub(crate) forwards: Forwards,
    pub(crate) dice: ChaCha12Rng,
    agenda: BTreeMap<(Instant, u64), Event>,
    pub(crate) noted: u64,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A CONFCONN reaches the SFT.
    Post {
        client: usize,
        attempt: u32,
    },
    /// Its answer reaches the client.
    Offered {
        client: usize,
        attempt: u32,
        leg: Leg,
        slots: Slots,
        tuple: Option<String>,
    },
    Refused {
        client: usize,
        attempt: u32,
        refusal: Refusal,
    },
    /// The SETUP answer reaches the SFT; then the data channel opens.
    Answer {
        client: usize,
        leg: Leg,
    },
    Open {
        client: usize,
        leg: Leg,
    },
    /// The shell's timer for set-ups.
    Unanswered {
        leg: Leg,
    },
    ToSft {
        client: usize,
        leg: Leg,
        text: String,
    },
    ToClient {
        client: usize,
        leg: Leg,
        text: Arc<str>,
    },
    Closed {
        client: usize,
        leg: Leg,
        reason: EndReason,
    },
    Ping {
        client: usize,
        leg: Leg,
    },
    /// Did a roster come?
    Patience {
        client: usize,
        attempt: u32,
        stage: Stage,
    },
    /// A client sends audio, or a frame of video.
    Speak {
        client: usize,
        leg: Leg,
    },
    Film {
        client: usize,
        leg: Leg,
        frame: u32,
    },
    Packet {
        client: usize,
        leg: Leg,
        packet: Incoming,
        tag: Tag,
    },
    Pli {
        client: usize,
        leg: Leg,
        ssrc: Ssrc,
    },
    PictureLost {
        leg: Leg,
        slot: Ssrc,
    },
    /// A handshake between SFTs goes on.
    Dial {
        from: usize,
        to: usize,
        since: Instant,
    },
    /// The next bytes of a stream reach an end.
    Wire {
        cable: usize,
        stream: usize,
        end: usize,
    },
    Datagram {
        cable: usize,
        end: usize,
        flow: FlowId,
        packet: Incoming,
        tag: Tag,
        via: usize,
    },
    /// An end of a link is told that it is gone.
    Down {
        cable: usize,
        end: usize,
        code: Option<Code>,
    },
    /// Nothing was heard over a link since then.
    Idle {
        cable: usize,
        since: Instant,
    },
}

impl World {
    pub fn new(seed: u64, domains: &[&str], weather: Weather) -> World {
        let clock = Clock::new();
        let domains: Vec<Domain> = domains
            .iter()
            .map(|name| Domain::parse(name).expect("a good name"))
            .collect();
        let sfts = (0..domains.len())
            .map(|at| Sft::new(seed * 100 + at as u64 * 10, at, &domains, clock.now()))
            .collect();
        World {
            seed,
            clock,
            net: Net::new(seed, weather),
            sfts,
            clients: Vec::new(),
            cables: Vec::new(),
            checks: Checks::default(),
            pace: Pace::default(),
            trace: None,
            conference: ConferenceId::parse("5f1d0c7a9be24c0aa1c2d3e4f5061728").expect("a good id"),
            frames: 0,
            forwards: Forwards::default(),
            dice: ChaCha12Rng::seed_from_u64(seed ^ 0xd1ce),
            agenda: BTreeMap::new(),
            noted: 0,
        }
    }

    pub fn note(&mut self, after: Duration, event: Event) {
        self.noted += 1;
        self.agenda.insert((self.clock.now() + after, self.noted), event);
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let until = self.clock.now() + duration;
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.clock.advance_to(at);
            self.step();
        }
        self.clock.advance_to(until);
    }

    /// Runs until something is so, at most for `patience`.
    pub fn run_until(&mut self, patience: Duration, what: &str, so: impl Fn(&World) -> bool) {
        let until = self.clock.now() + patience;
        while !so(self) {
            let Some(at) = self.next().filter(|at| *at <= until) else {
                panic!("seed {}: {what} did not happen within {patience:?}", self.seed);
            };
            self.clock.advance_to(at);
            self.step();
        }
    }

    fn next(&self) -> Option<Instant> {
        let event = self.agenda.keys().next().map(|(at, _)| *at);
        let running = self.sfts.iter().filter(|sft| sft.running);
        running.filter_map(|sft| sft.relay.next_deadline()).chain(event).min()
    }

    fn step(&mut self) {
        let now = self.clock.now();
        for at in 0..self.sfts.len() {
            let sft = &mut self.sfts[at];
            if sft.running && sft.relay.next_deadline().is_some_and(|due| due <= now) {
                sft.handle_timeout(now);
                self.carry_out(at);
            }
        }
        if let Some(due) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let event = due.remove();
            if let Some(trace) = &mut self.trace {
                trace.add(&(self.clock.elapsed(), &event));
            }
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Post { client, attempt } => self.post(client, attempt),
            Event::Offered {
                client,
                attempt,
                leg,
                slots,
                tuple,
            } => self.offered(client, attempt, leg, (slots, tuple)),
            Event::Refused {
                client,
                attempt,
                refusal,
            } => self.refused(client, attempt, refusal),
            Event::Answer { client, leg } => self.answer(client, leg),
            Event::Open { client, leg } => self.open(client, leg),
            Event::Unanswered { leg } => self.setup_timeout(leg),
            Event::ToSft { client, leg, text } => self.text_to_sft(client, leg, &text),
            Event::ToClient { client, leg, text } => self.text_to_client(client, leg, &text),
            Event::Closed { client, leg, reason } => self.closed(client, leg, reason),
            Event::Ping { client, leg } => self.ping(client, leg),
            Event::Patience { client, attempt, stage } => self.patience(client, attempt, stage),
            Event::Speak { client, leg } => self.speak(client, leg),
            Event::Film { client, leg, frame } => self.film(client, leg, frame),
            Event::Packet {
                client,
                leg,
                packet,
                tag,
            } => self.packet(client, leg, &packet, tag),
            Event::Pli { client, leg, ssrc } => self.pli(client, leg, ssrc),
            Event::PictureLost { leg, slot } => {
                self.tell(leg, |session| Input::PictureLost { session, slot });
            }
            Event::Dial { from, to, since } => self.dial(from, to, since),
            Event::Wire { cable, stream, end } => self.wire(cable, stream, end),
            Event::Datagram {
                cable,
                end,
                flow,
                packet,
                tag,
                via,
            } => self.datagram((cable, end), flow, &packet, (tag, via)),
            Event::Down { cable, end, code } => self.down(cable, end, code),
            Event::Idle { cable, since } => self.idle(cable, since),
        }
    }

    /// Tells a relay something, and does what it wants.
    pub fn input(&mut self, sft: usize, input: Input) {
        if self.sfts[sft].running {
            let now = self.clock.now();
            self.sfts[sft].handle(now, input);
            self.carry_out(sft);
        }
    }

    pub fn link_input(&mut self, sft: usize, event: LinkEvent) {
        self.input(sft, Input::Link(event));
    }

    /// Tells a relay something of a session, if it is still the same process.
    pub fn tell(&mut self, leg: Leg, input: impl FnOnce(anchor_sft::ids::SessionId) -> Input) {
        if self.sfts[leg.sft].boot == leg.boot {
            self.input(leg.sft, input(leg.session));
        }
    }
}
