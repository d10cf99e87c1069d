//! The world: an agenda of what happens when, and the SFTs and clients that it happens to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anchor_sft::federation::Event as LinkEvent;
use anchor_sft::ids::{ConferenceId, Domain, FlowId, RequestId, Ssrc};
use anchor_sft::proto::link::message::Code;
use anchor_sft::proto::rtp::Incoming;
use anchor_sft::relay::{EndReason, Forwards, Input, Offer, Refusal};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::cable::Cable;
use crate::check::Checks;
use crate::client::{CONNECT_WAIT, Client, Leg, PING_EVERY, ROSTER_WAIT, Slots, Source, Ssrcs, Stage};
use crate::clock::Clock;
use crate::media::{Pace, Tag};
use crate::net::{Net, Weather};
use crate::sft::{Said, Sft};

/// Between a client and its SFT, one way.
pub const ACCESS: Duration = Duration::from_millis(10);
/// A set-up that nobody answered ends (`limits::SETUP_TIMEOUT`, kept by the shell).
const SETUP: Duration = Duration::from_secs(10);

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
    noted: u64,
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

    // ---- clients ----

    /// A client of an SFT, not in the call yet.
    pub fn client(&mut self, name: &str, sft: usize) -> usize {
        self.clients.push(Client::new(name, sft));
        self.clients.len() - 1
    }

    /// A client posts CONFCONN. Its tuple is that of the first client that has one, as the call's messages spread it.
    pub fn join(&mut self, client: usize) {
        let tuple = self.clients.iter().find_map(|other| other.tuple.clone());
        let me = &mut self.clients[client];
        me.tuple = me.tuple.take().or(tuple);
        self.connect(client);
    }

    /// As [`World::join`], and waits until its data channel is open and the roster is there.
    pub fn joined(&mut self, name: &str, sft: usize) -> usize {
        let client = self.client(name, sft);
        self.enter(client);
        client
    }

    pub fn enter(&mut self, client: usize) {
        self.join(client);
        self.run_until(Duration::from_secs(5), "a join", |world| {
            let me = &world.clients[client];
            me.is_active() && me.sees().contains(&me.name())
        });
    }

    pub fn connect(&mut self, client: usize) {
        let mut draw = || self.dice.random_range(1..u32::MAX);
        let ssrcs = Ssrcs {
            audio: draw(),
            low: draw(),
            high: draw(),
        };
        let me = &mut self.clients[client];
        me.begin(ssrcs);
        let attempt = me.attempt;
        self.note(ACCESS, Event::Post { client, attempt });
        let stage = Stage::Connecting;
        self.note(CONNECT_WAIT, Event::Patience { client, attempt, stage });
    }

    pub fn hang_up(&mut self, client: usize) {
        if let Some(leg) = self.clients[client].leg {
            let text = self.clients[client].hangup();
            self.note(ACCESS, Event::ToSft { client, leg, text });
        }
        self.clients[client].leave();
    }

    /// A client changes what it tells, wants or accepts.
    pub fn say(&mut self, client: usize, text: impl FnOnce(&Client) -> String) {
        if let Some(leg) = self.clients[client].leg {
            let text = text(&self.clients[client]);
            self.note(ACCESS, Event::ToSft { client, leg, text });
        }
    }

    /// A client watches these, in this order.
    pub fn watch(&mut self, client: usize, wanted: &[(&str, u8)]) {
        self.clients[client].wanted = wanted
            .iter()
            .map(|(user, quality)| ((*user).to_owned(), *quality))
            .collect();
        self.say(client, Client::confstreams);
    }

    fn post(&mut self, client: usize, attempt: u32) {
        let me = &self.clients[client];
        if me.attempt != attempt || me.stage != Stage::Connecting || me.mute_network || !self.sfts[me.sft].running {
            return;
        }
        self.noted += 1;
        let request = RequestId(self.noted);
        let sft = me.sft;
        let input = Input::Connect {
            request,
            conference: self.conference.clone(),
            participant: me.id.clone(),
            connect: Box::new(me.connect()),
            authenticated: false,
        };
        self.sfts[sft].requests.insert(request, (client, attempt));
        self.input(sft, input);
    }

    /// The SFT made a session.
    pub fn offer(&mut self, sft: usize, offer: &Offer) {
        let Some((client, attempt)) = self.sfts[sft].requests.remove(&offer.request) else {
            panic!("seed {}: a request was answered twice", self.seed);
        };
        let leg = Leg {
            sft,
            boot: self.sfts[sft].boot,
            session: offer.session,
        };
        self.sfts[sft].sessions.insert(offer.session, (client, false));
        let slots = Slots {
            audio: offer.audio_slots.clone(),
            video: offer.video_slots.clone(),
        };
        let tuple = offer.tuple.clone();
        self.note(
            ACCESS,
            Event::Offered {
                client,
                attempt,
                leg,
                slots,
                tuple,
            },
        );
        self.note(SETUP, Event::Unanswered { leg });
    }

    fn offered(&mut self, client: usize, attempt: u32, leg: Leg, (slots, tuple): (Slots, Option<String>)) {
        let me = &mut self.clients[client];
        if me.attempt != attempt || me.stage != Stage::Connecting || me.mute_network {
            return;
        }
        me.slots = slots;
        me.tuple = me.tuple.take().or(tuple);
        me.leg = Some(leg);
        self.note(ACCESS, Event::Answer { client, leg });
    }

    fn refused(&mut self, client: usize, attempt: u32, refusal: Refusal) {
        let me = &mut self.clients[client];
        if me.attempt == attempt && !me.mute_network {
            me.refusals.push((refusal.status(), refusal));
            me.leave();
        }
    }

    fn answer(&mut self, client: usize, leg: Leg) {
        let me = &self.clients[client];
        if me.leg != Some(leg) {
            return;
        }
        let (audio, props) = (Ssrc(me.ssrcs.audio), me.props.clone());
        self.tell(leg, |session| Input::Answered {
            session,
            audio,
            video: None,
            props,
        });
        self.note(ACCESS * 2, Event::Open { client, leg });
    }

    fn open(&mut self, client: usize, leg: Leg) {
        if self.sfts[leg.sft].boot != leg.boot || self.clients[client].leg != Some(leg) {
            return;
        }
        let Some(session) = self.sfts[leg.sft].sessions.get_mut(&leg.session) else {
            return;
        };
        session.1 = true;
        let now = self.clock.now();
        let me = &mut self.clients[client];
        me.stage = Stage::Active;
        me.active_since = Some(now);
        let attempt = me.attempt;
        self.checks.opened(now, client, leg);
        self.tell(leg, |session| Input::Opened { session });
        self.say(client, Client::propsync);
        if !self.clients[client].wanted.is_empty() {
            self.say(client, Client::confstreams);
        }
        self.note(PING_EVERY, Event::Ping { client, leg });
        let stage = Stage::Active;
        self.note(ROSTER_WAIT, Event::Patience { client, attempt, stage });
        self.start_media(client, leg);
    }

    fn setup_timeout(&mut self, leg: Leg) {
        let sft = &mut self.sfts[leg.sft];
        if sft.boot == leg.boot && sft.sessions.get(&leg.session).is_some_and(|(_, open)| !open) {
            sft.sessions.remove(&leg.session);
            self.tell(leg, |session| Input::Ended { session });
        }
    }

    fn text_to_sft(&mut self, client: usize, leg: Leg, text: &str) {
        if self.clients[client].mute_network || self.sfts[leg.sft].boot != leg.boot {
            return;
        }
        self.checks.heard_from(self.clock.now(), client, leg, text);
        let text = text.as_bytes().to_vec();
        self.tell(leg, |session| Input::Text { session, text });
    }

    fn text_to_client(&mut self, client: usize, leg: Leg, text: &str) {
        let me = &mut self.clients[client];
        if me.leg != Some(leg) || me.mute_network {
            return;
        }
        let rosters = me.rosters.len();
        let answers = me.hear(text);
        if me.rosters.len() > rosters {
            self.checks.roster(self.seed, client, &self.clients, &self.sfts);
        }
        for text in answers {
            self.note(ACCESS, Event::ToSft { client, leg, text });
        }
    }

    fn closed(&mut self, client: usize, leg: Leg, reason: EndReason) {
        let now = self.clock.now();
        let me = &mut self.clients[client];
        me.ends.push((now, reason));
        if me.leg != Some(leg) || me.mute_network {
            return;
        }
        match reason {
            EndReason::Hangup | EndReason::Silent => me.leave(),
            // Its data channel closed under it.
            _ => self.reconnect(client),
        }
    }

    fn ping(&mut self, client: usize, leg: Leg) {
        if self.clients[client].leg != Some(leg) {
            return;
        }
        match self.clients[client].ping() {
            Some(text) => {
                self.note(ACCESS, Event::ToSft { client, leg, text });
                self.note(PING_EVERY, Event::Ping { client, leg });
            }
            None => self.reconnect(client),
        }
    }

    fn patience(&mut self, client: usize, attempt: u32, stage: Stage) {
        let me = &self.clients[client];
        if me.attempt != attempt || me.stage != stage {
            return;
        }
        let seen = me.rosters.last().is_some_and(|roster| {
            let own = roster.entries.iter().find(|entry| entry.user == me.name());
            own.is_some_and(|entry| entry.audio == me.ssrcs.audio)
        });
        if stage == Stage::Connecting || !seen {
            self.reconnect(client);
        }
    }

    /// CONFCONN with `update: true`, or the end after two tries.
    pub fn reconnect(&mut self, client: usize) {
        if self.clients[client].try_again() {
            self.connect(client);
        } else {
            self.clients[client].leave();
        }
    }

    fn pli(&mut self, client: usize, leg: Leg, ssrc: Ssrc) {
        let now = self.clock.now();
        if self.clients[client].leg == Some(leg) {
            self.clients[client].asked_for_picture(now, ssrc);
        }
    }

    /// Everyone who is in the call.
    pub fn active(&self) -> Vec<usize> {
        (0..self.clients.len())
            .filter(|at| self.clients[*at].is_active())
            .collect()
    }

    /// What `source` packets a client got of another one lately.
    pub fn hears(&self, who: usize, whom: usize, source: Source) -> bool {
        let heard = self.clients[who].heard.get(&(whom, source));
        heard.is_some_and(|heard| self.clock.now() - heard.last < Duration::from_millis(700))
    }
}
