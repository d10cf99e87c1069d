//! The checkers: what is true, and whether every packet and every roster agrees with it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use anchor_sft::ids::{FlowId, Ssrc};
use anchor_sft::proto::link::message::Kind;
use anchor_sft::relay::ToSession;
use serde_json::Value;

use crate::client::{Client, Leg, Source};
use crate::media::Tag;
use crate::sft::Sft;

/// How long news may be on their way between SFTs: what was allowed this long ago may still arrive.
const NEWS: Duration = Duration::from_millis(1500);
/// No slot goes further ahead at once: receivers would lose count.
const LEAP: i16 = 3100;
/// Numbers of a slot that are remembered.
const WINDOW: u64 = 4096;

/// What is true, and what was seen.
#[derive(Debug, Default)]
pub struct Checks {
    /// SFTs that lie: nothing is expected of what they are responsible for.
    pub liars: BTreeSet<usize>,
    /// The conference's anchor.
    pub anchor: usize,
    accepts: BTreeMap<(usize, usize), Period>,
    open: BTreeMap<usize, (Leg, Period)>,
    slots: BTreeMap<(Leg, Ssrc), Slot>,
    crossed: HashSet<(usize, usize, usize, u32, Source, u64)>,
    flows: BTreeMap<(usize, usize, FlowId), (usize, u32, Source)>,
    cuts: BTreeMap<(usize, usize), Instant>,
    /// Until then, SFTs may not have heard what happened elsewhere.
    unrest: Option<Instant>,
    names: BTreeMap<String, usize>,
    /// Packets that were checked, so that a test can tell that there were any.
    pub packets: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Period {
    ended: Option<Instant>,
    /// It ended because the other one came back with a new session, which is news elsewhere.
    replaced: bool,
}

impl Period {
    fn lately(self, now: Instant) -> bool {
        self.ended.is_none_or(|ended| now - ended < NEWS)
    }
}

/// What left in one slot.
#[derive(Debug)]
struct Slot {
    highest: u64,
    time: u32,
    seen: BTreeSet<u64>,
    from: (usize, u32, Source),
}

type Truth<'a> = (&'a [Client], &'a [Sft]);

impl Checks {
    pub fn opened(&mut self, now: Instant, client: usize, leg: Leg) {
        // A new session has accepted nobody, and nobody has accepted it.
        self.forget(now, |(from, _)| from == client);
        for (_, period) in self.accepts.iter_mut().filter(|((_, to), _)| *to == client) {
            period.replaced |= period.ended.is_none();
            period.ended.get_or_insert(now);
        }
        self.open.insert(client, (leg, Period::default()));
    }

    pub fn closed(&mut self, now: Instant, client: usize, leg: Leg) {
        if let Some((_, period)) = self.open.get_mut(&client).filter(|(open, _)| *open == leg) {
            period.ended.get_or_insert(now);
        }
    }

    fn forget(&mut self, now: Instant, whose: impl Fn((usize, usize)) -> bool) {
        for (pair, period) in &mut self.accepts {
            if whose(*pair) {
                period.ended.get_or_insert(now);
            }
        }
    }

    /// A client's words reach its SFT.
    pub fn heard_from(&mut self, now: Instant, client: usize, leg: Leg, text: &str) {
        if self.open.get(&client).is_none_or(|(open, _)| *open != leg) {
            return;
        }
        let message: Value = serde_json::from_str(text).expect("clients write JSON");
        match message["type"].as_str() {
            Some("HANGUP") => self.closed(now, client, leg),
            Some("CONFPART") => {
                let listed = message["participants"].as_array().expect("a list").iter();
                let names: BTreeSet<&str> = listed.filter_map(|entry| entry["userid"].as_str()).collect();
                let accepted: BTreeSet<usize> =
                    names.iter().filter_map(|name| self.names.get(*name).copied()).collect();
                self.forget(now, |(from, to)| from == client && !accepted.contains(&to));
                for to in accepted {
                    self.accepts.insert((client, to), Period::default());
                }
            }
            _ => {}
        }
    }

    /// Whether the first accepts the second, as far as an SFT must know: the home of the first, `near` to the second or not.
    fn accepts(&self, now: Instant, pair: (usize, usize), near: bool) -> bool {
        let known = self.accepts.get(&pair);
        known.is_some_and(|period| {
            period.ended.is_none() || (!near && period.replaced && (self.in_the_dark(now) || period.lately(now)))
        })
    }

    /// The same, where the first is elsewhere.
    fn accepted_lately(&self, now: Instant, pair: (usize, usize)) -> bool {
        let in_the_dark = self.in_the_dark(now);
        self.accepts
            .get(&pair)
            .is_some_and(|period| in_the_dark || period.lately(now))
    }

    /// Whether news may take longer than usual: a path is cut, or an SFT has just died.
    fn in_the_dark(&self, now: Instant) -> bool {
        !self.cuts.is_empty() || self.unrest.is_some_and(|until| now < until)
    }

    /// Something happens that SFTs notice only after a while.
    pub fn unrest(&mut self, until: Instant) {
        self.unrest = self.unrest.max(Some(until));
    }

    /// A packet leaves for a client.
    pub fn received(
        &mut self,
        seed: u64,
        now: Instant,
        (client, leg): (usize, Leg),
        to: &ToSession,
        tag: Tag,
        truth: Truth<'_>,
    ) {
        self.packets += 1;
        let (clients, _) = truth;
        let (home, there) = (clients[client].sft, clients[tag.from].sft);
        let names = (clients[client].name(), clients[tag.from].name());
        if self.is_believable(home, there) {
            let near = home == there;
            assert_eq!(
                to.kind == Kind::Audio,
                tag.source == Source::Audio,
                "seed {seed}: {tag:?} as {:?}",
                to.kind
            );
            assert_ne!(client, tag.from, "seed {seed}: {names:?} hears itself");
            assert!(
                self.accepts(now, (client, tag.from), near),
                "seed {seed}: {names:?}: the first did not accept the second"
            );
            assert!(
                near && self.accepts(now, (tag.from, client), true)
                    || !near && self.accepted_lately(now, (tag.from, client)),
                "seed {seed}: {names:?}: the second did not accept the first"
            );
            let (_, period) = self.open[&tag.from];
            let here = if near {
                period.ended.is_none()
            } else {
                self.in_the_dark(now) || period.lately(now)
            };
            assert!(here, "seed {seed}: {names:?}: the second has left");
            let ssrc = if to.kind == Kind::Audio {
                Some(clients[tag.from].ssrcs.audio)
            } else {
                None
            };
            let current = clients[tag.from].attempt == tag.attempt;
            assert!(
                !current || ssrc.is_none_or(|ssrc| to.csrc == Ssrc(ssrc)),
                "seed {seed}: {names:?}: a wrong CSRC"
            );
        }
        self.number(seed, leg, to, tag);
    }

    /// Whether what passes between clients of two SFTs is not the work of a liar.
    fn is_believable(&self, home: usize, there: usize) -> bool {
        let liar = |sft: usize| self.liars.contains(&sft);
        home == there || !(liar(home) || liar(there) || liar(self.anchor))
    }

    fn number(&mut self, seed: u64, leg: Leg, to: &ToSession, tag: Tag) {
        let from = (tag.from, tag.attempt, tag.source);
        // A liar may call audio a video, and then nothing marks its frames.
        let video = to.kind == Kind::Video && tag.source != Source::Audio;
        let Some(slot) = self.slots.get_mut(&(leg, to.ssrc)) else {
            assert!(
                !video || tag.key,
                "seed {seed}: a picture begins without a key frame: {leg:?} {to:?} {tag:?}"
            );
            let highest = u64::from(to.sequence);
            let slot = Slot {
                highest,
                time: to.timestamp,
                seen: BTreeSet::from([highest]),
                from,
            };
            self.slots.insert((leg, to.ssrc), slot);
            return;
        };
        let step = to.sequence.wrapping_sub(slot.highest as u16).cast_signed();
        let index = slot
            .highest
            .checked_add_signed(step.into())
            .expect("numbers do not run below zero");
        assert!(index + WINDOW > slot.highest, "seed {seed}: a slot's numbers jump back");
        assert!(step < LEAP, "seed {seed}: a slot's numbers leap ahead: {tag:?}");
        assert!(
            slot.seen.insert(index),
            "seed {seed}: a slot's number is used twice: {tag:?}"
        );
        if slot.from != from {
            assert_eq!(
                index,
                slot.highest + 1,
                "seed {seed}: a gap at a switch from {:?} to {from:?}",
                slot.from
            );
            assert!(
                !video || tag.key,
                "seed {seed}: a picture begins without a key frame: {tag:?}"
            );
            let later = to.timestamp.wrapping_sub(slot.time).cast_signed();
            assert!(later > 0, "seed {seed}: time runs back at a switch");
            slot.from = from;
        }
        if index > slot.highest {
            (slot.highest, slot.time) = (index, to.timestamp);
        }
        let oldest = slot.highest.saturating_sub(WINDOW);
        slot.seen = slot.seen.split_off(&oldest);
    }

    /// A packet leaves over a link.
    pub fn crossed(
        &mut self,
        seed: u64,
        now: Instant,
        (cable, here, there): (usize, usize, usize),
        flow: FlowId,
        (tag, via): (Tag, Option<usize>),
        (clients, _): Truth<'_>,
    ) {
        let fresh = self
            .crossed
            .insert((cable, here, tag.from, tag.attempt, tag.source, tag.number));
        assert!(fresh, "seed {seed}: a packet crosses a link twice: {tag:?}");
        let home = clients[tag.from].sft;
        assert!(
            Some(there) != via && there != home,
            "seed {seed}: a packet goes back where it came from"
        );
        assert!(here == self.anchor || here == home, "seed {seed}: a member relays");
        let named = (tag.from, tag.attempt, tag.source);
        let known = *self.flows.entry((cable, here, flow)).or_insert(named);
        assert_eq!(known, named, "seed {seed}: a flow is used for two streams");
        if [here, there, home, self.anchor]
            .iter()
            .any(|sft| self.liars.contains(sft))
        {
            return;
        }
        let behind = |to: usize| {
            if here == self.anchor {
                clients[to].sft == there
            } else {
                clients[to].sft != here
            }
        };
        let asked = |period: &Period| period.lately(now) || self.in_the_dark(now);
        let someone = self
            .accepts
            .iter()
            .any(|((from, to), period)| *from == tag.from && behind(*to) && asked(period));
        assert!(someone, "seed {seed}: a stream leaves home unasked");
    }

    /// A client got a roster.
    pub fn roster(&mut self, seed: u64, client: usize, clients: &[Client], sfts: &[Sft]) {
        for (at, client) in clients.iter().enumerate() {
            self.names.entry(client.name().to_owned()).or_insert(at);
        }
        let me = &clients[client];
        let roster = me.roster();
        let own = roster.entries.iter().find(|entry| entry.user == me.name());
        assert!(
            own.is_some_and(|own| own.audio == me.ssrcs.audio),
            "seed {seed}: a roster without its reader"
        );
        let mut seen = BTreeSet::new();
        for pair in roster.entries.windows(2) {
            assert!(pair[0].index < pair[1].index, "seed {seed}: a roster out of order");
        }
        for entry in &roster.entries {
            assert!(seen.insert(&entry.user), "seed {seed}: a roster names someone twice");
            if let Some(known) = self.names.get(&entry.user) {
                let home = clients[*known].sft;
                let lies = self.liars.contains(&home) || (self.liars.contains(&self.anchor) && home != me.sft);
                let domain = sfts[home].domain.as_str();
                assert!(
                    lies || entry.domain == domain,
                    "seed {seed}: {} is of {}",
                    entry.user,
                    entry.domain
                );
            }
        }
    }

    pub fn cut(&mut self, one: usize, other: usize, since: Option<Instant>) {
        let pair = (one.min(other), one.max(other));
        match since {
            Some(since) => self.cuts.insert(pair, since),
            None => self.cuts.remove(&pair),
        };
    }

    pub fn cut_since(&self, one: usize, other: usize) -> Option<Instant> {
        self.cuts.get(&(one.min(other), one.max(other))).copied()
    }
}
