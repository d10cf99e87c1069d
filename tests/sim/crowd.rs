//! The clients' part of the world: joining, talking, losing patience and leaving.

use std::time::Duration;

use anchor_sft::ids::{RequestId, Ssrc};
use anchor_sft::relay::{EndReason, Input, Offer, Refusal};
use anchor_sft::token::Standing;
use rand::RngExt;

use crate::client::{CONNECT_WAIT, Client, Leg, PING_EVERY, ROSTER_WAIT, Slots, Source, Ssrcs, Stage};
use crate::world::{ACCESS, Event, World};

/// A set-up that nobody answered ends (`limits::SETUP_TIMEOUT`, kept by the shell).
const SETUP: Duration = Duration::from_secs(10);

impl World {
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

    pub fn post(&mut self, client: usize, attempt: u32) {
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
            standing: Standing::Anonymous,
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

    pub fn offered(&mut self, client: usize, attempt: u32, leg: Leg, (slots, tuple): (Slots, Option<String>)) {
        let me = &mut self.clients[client];
        if me.attempt != attempt || me.stage != Stage::Connecting || me.mute_network {
            return;
        }
        me.slots = slots;
        me.tuple = me.tuple.take().or(tuple);
        me.leg = Some(leg);
        self.note(ACCESS, Event::Answer { client, leg });
    }

    pub fn refused(&mut self, client: usize, attempt: u32, refusal: Refusal) {
        let me = &mut self.clients[client];
        if me.attempt == attempt && !me.mute_network {
            me.refusals.push((refusal.status(), refusal));
            me.leave();
        }
    }

    pub fn answer(&mut self, client: usize, leg: Leg) {
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

    pub fn open(&mut self, client: usize, leg: Leg) {
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

    pub fn setup_timeout(&mut self, leg: Leg) {
        let sft = &mut self.sfts[leg.sft];
        if sft.boot == leg.boot && sft.sessions.get(&leg.session).is_some_and(|(_, open)| !open) {
            sft.sessions.remove(&leg.session);
            self.tell(leg, |session| Input::Ended { session });
        }
    }

    pub fn text_to_sft(&mut self, client: usize, leg: Leg, text: &str) {
        if self.clients[client].mute_network || self.sfts[leg.sft].boot != leg.boot {
            return;
        }
        self.checks.heard_from(self.clock.now(), client, leg, text);
        let text = text.as_bytes().to_vec();
        self.tell(leg, |session| Input::Text { session, text });
    }

    pub fn text_to_client(&mut self, client: usize, leg: Leg, text: &str) {
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

    pub fn closed(&mut self, client: usize, leg: Leg, reason: EndReason) {
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

    pub fn ping(&mut self, client: usize, leg: Leg) {
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

    pub fn patience(&mut self, client: usize, attempt: u32, stage: Stage) {
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

    pub fn pli(&mut self, client: usize, leg: Leg, ssrc: Ssrc) {
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
