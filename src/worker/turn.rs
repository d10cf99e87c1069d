//! What a worker does when something comes in or time passes. Synchronous, told the time, and without sockets, so that tests and
//! benchmarks drive it as `run` does.
//!
//! ```text
//! datagram ─┬ STUN, DTLS ─ session ─┬─ outbox ─ sockets
//!           ├ RTCP ─ reports, relay │
//!           └ RTP ─ session ─ relay.forward ─ receivers' sessions ─ outbox
//! command ─ relay ─ outputs ─ sessions, replies, links
//! ```
//! Sessions that were touched are drained in [`Worker::settle`], after each batch.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use tokio::sync::mpsc;

use crate::federation;
use crate::ids::{RequestId, SessionId};
use crate::limits::MAX_RTP_BYTES;
use crate::metrics::{Dropped, Metrics, SessionState};
use crate::proto::link::message::Kind;
use crate::relay::{Forwards, Input, Relay};
use crate::session::Identity;
use crate::worker::clients::Clients;
use crate::worker::counters::Counters;
use crate::worker::half_open::{Bounds, HalfOpen};
use crate::worker::link_log::LinkLog;
use crate::worker::links::LinkPort;
use crate::worker::outbox::Outbox;
use crate::worker::signalling::Waiting;
use crate::worker::timers::Timers;

/// What a worker is made of.
#[derive(Debug)]
pub struct Setup {
    /// The conferences; empty.
    pub relay: Relay,
    /// Our DTLS certificate.
    pub identity: Arc<Identity>,
    /// For ICE credentials; from the system.
    pub seed: [u8; 32],
    /// Where clients reach us over UDP, best first.
    pub candidates: Vec<SocketAddr>,
    /// How many sessions may be half-open.
    pub bounds: Bounds,
    /// The queue that `net::quic` reads.
    pub links: mpsc::Sender<federation::Command>,
    /// Where counts go.
    pub metrics: Arc<Metrics>,
}

/// The synchronous half of a media worker.
#[derive(Debug)]
pub struct Worker {
    pub(super) relay: Relay,
    pub(super) clients: Clients,
    pub(super) timers: Timers,
    pub(super) budget: HalfOpen,
    pub(super) waiting: HashMap<RequestId, Waiting>,
    pub(super) requests: u64,
    pub(super) links: LinkPort,
    pub(super) link_log: LinkLog,
    pub(super) outbox: Outbox,
    pub(super) counters: Counters,
    pub(super) metrics: Arc<Metrics>,
    pub(super) identity: Arc<Identity>,
    pub(super) rng: ChaCha12Rng,
    pub(super) candidates: Vec<SocketAddr>,
    pub(super) forwards: Forwards,
    pub(super) normal: [u8; MAX_RTP_BYTES],
    // Sessions that may have something to say.
    pub(super) touched: Vec<SessionId>,
    // Sessions that are gone and of which the relay does not know yet.
    pub(super) lost: Vec<SessionId>,
    // Whose datagram is being handled; it ends if that panics.
    pub(super) current: Option<SessionId>,
}

impl Worker {
    /// A worker without sessions.
    #[must_use]
    pub fn new(setup: Setup) -> Worker {
        Worker {
            relay: setup.relay,
            clients: Clients::default(),
            timers: Timers::default(),
            budget: HalfOpen::new(setup.bounds),
            waiting: HashMap::new(),
            requests: 0,
            links: LinkPort::new(setup.links),
            link_log: LinkLog::default(),
            outbox: Outbox::default(),
            counters: Counters::default(),
            metrics: setup.metrics,
            identity: setup.identity,
            rng: ChaCha12Rng::from_seed(setup.seed),
            candidates: setup.candidates,
            forwards: Forwards::default(),
            normal: [0; MAX_RTP_BYTES],
            touched: Vec::new(),
            lost: Vec::new(),
            current: None,
        }
    }

    /// What waits to be sent to clients.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// What was counted since the last [`Worker::fold`].
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// No session is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.clients.is_empty()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.relay.next_deadline().is_some_and(|due| due <= now) {
            self.relay.handle_timeout(now);
            self.obey(now);
        }
        while let Some(id) = self.timers.due(now) {
            self.guarded(|worker| worker.session_timeout(now, id));
        }
        self.forget_overdue(now);
        self.links.close_broken();
    }

    /// When [`Worker::handle_timeout`] is due; `None`: never, unless something happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.timers.next_deadline(), self.relay.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Carries out what sessions and relay want done; to be called after each batch, before the outbox is flushed.
    pub fn settle(&mut self, now: Instant) {
        loop {
            if let Some(id) = self.lost.pop() {
                self.guarded(|worker| worker.feed(now, Input::Ended { session: id }));
            } else if let Some(id) = self.touched.pop() {
                self.guarded(|worker| worker.drain(now, id));
            } else {
                return;
            }
        }
    }

    /// Adds the counts to the metrics.
    pub fn fold(&mut self) {
        self.counters.fold(&self.metrics);
        self.links.fold(&self.metrics);
        let half_open = self.budget.taken();
        let open = self.clients.len().saturating_sub(half_open);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        for (state, count) in [(SessionState::HalfOpen, half_open), (SessionState::Open, open)] {
            self.metrics.sessions.set(&state, count as f64);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        for kind in [Kind::Audio, Kind::Video] {
            self.metrics.streams.set(&kind, self.relay.published(kind) as f64);
        }
        let calls = self.relay.conferences().count();
        self.metrics.calls.set(i64::try_from(calls).unwrap_or(i64::MAX));
        self.metrics.participants.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// Runs a step; if it panics, the session it was about ends, and only that. Tests fail instead.
    pub(super) fn guarded(&mut self, step: impl FnOnce(&mut Worker)) {
        self.current = None;
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| step(self))) else {
            return;
        };
        if cfg!(test) {
            resume_unwind(panic);
        }
        self.counters.dropped(Dropped::Panicked);
        tracing::error!("handling a datagram or a command panicked; its session ends");
        if let Some(id) = self.current.take() {
            self.discard(id);
        }
    }

    fn session_timeout(&mut self, now: Instant, id: SessionId) {
        self.current = Some(id);
        self.report(now, id);
        let Some(client) = self.clients.by_id(id) else { return };
        let deadline = client.session.next_deadline();
        if deadline.is_some_and(|due| due <= now) {
            client.session.handle_timeout(now);
            self.touched.push(id);
        } else {
            self.timers.arm(now, id, deadline);
        }
    }

    /// Drops a session without a word to its client.
    pub(super) fn discard(&mut self, id: SessionId) {
        let Some(client) = self.clients.remove(id) else { return };
        self.timers.disarm(id);
        if let Some(place) = client.place {
            self.budget.leave(place);
        }
        if !client.forgotten {
            self.lost.push(id);
        }
    }
}
