//! Commands of the HTTP side and of links, and what relay and sessions want done.
//!
//! The relay is fed one input at a time and obeyed at once; what that changes in sessions is drained later, so nothing here recurses.

use std::time::{Duration, Instant};

use rand::Rng;
use tokio::sync::oneshot;

use crate::federation;
use crate::ids::{RequestId, SessionId};
use crate::limits::ATTACH_TIMEOUT;
use crate::metrics::JoinRefused;
use crate::proto::client::{self, Status};
use crate::proto::sdp;
use crate::relay::{self, Input};
use crate::session::{self, Credentials, Remote, Session};
use crate::worker::clients::Client;
use crate::worker::half_open::{Over, Place, Source};
use crate::worker::turn::Worker;
use crate::worker::{Answer, Command, Join, NoOffer, Offered, Verdict};

/// A request that the relay has not answered by then never will be: it gives up on the anchor before.
const OVERDUE: Duration = ATTACH_TIMEOUT.saturating_add(Duration::from_secs(10));

/// A CONFCONN without a verdict so far.
#[derive(Debug)]
pub struct Waiting {
    reply: oneshot::Sender<Verdict>,
    place: Place,
    since: Instant,
}

impl Worker {
    /// Carries out a command; what it changes in sessions is done in [`Worker::settle`].
    pub fn command(&mut self, now: Instant, command: Command) {
        self.guarded(|worker| match command {
            Command::Join(join) => worker.join(now, *join),
            Command::Answer(answer) => worker.answer(now, *answer),
            Command::Stop => worker.stop(now),
        });
    }

    /// Learns what happened to a link.
    pub fn link_event(&mut self, now: Instant, event: federation::Event) {
        self.guarded(|worker| {
            worker.links.learn(&event);
            worker.link_log.learn(now, &event);
            let link = match &event {
                federation::Event::Frame { link, .. } => Some(*link),
                _ => None,
            };
            worker.feed(now, Input::Link(event));
            if let Some(link) = link.filter(|link| worker.relay.is_up(*link)) {
                worker.link_log.up(link);
            }
        });
    }

    /// Gives the relay an input and does what it wants.
    pub(super) fn feed(&mut self, now: Instant, input: Input) {
        self.relay.handle(now, input);
        self.obey(now);
    }

    /// Does what the relay wants.
    pub(super) fn obey(&mut self, now: Instant) {
        while let Some(output) = self.relay.poll() {
            self.perform(now, output);
        }
    }

    fn join(&mut self, now: Instant, join: Join) {
        let place = match self.budget.enter(Source::of(join.source), &join.conference) {
            Ok(place) => place,
            Err(over) => return self.refuse_over(join.reply, over),
        };
        self.requests += 1;
        let request = RequestId(self.requests);
        let waiting = Waiting {
            reply: join.reply,
            place,
            since: now,
        };
        self.waiting.insert(request, waiting);
        let input = Input::Connect {
            request,
            conference: join.conference,
            participant: join.participant,
            connect: Box::new(join.connect),
            standing: join.standing,
        };
        self.feed(now, input);
    }

    fn answer(&mut self, now: Instant, answer: Answer) {
        let taken = self.take_answer(now, &answer).ok_or(NoOffer);
        if let Ok(session) = taken {
            let input = Input::Answered {
                session,
                audio: answer.sdp.audio,
                video: answer.sdp.video,
                props: answer.props,
            };
            self.feed(now, input);
        }
        // The client may have hung up; then nobody wants to know.
        let _ = answer.reply.send(taken.map(|_| ()));
    }

    fn take_answer(&mut self, now: Instant, answer: &Answer) -> Option<SessionId> {
        let id = self.relay.unanswered(&answer.conference, &answer.participant)?;
        let client = self.touch(id).ok()?;
        let remote = Remote {
            ufrag: answer.sdp.ufrag.clone(),
            password: answer.sdp.password.clone(),
            fingerprint: answer.sdp.fingerprint,
        };
        client.session.answer(now, remote);
        Some(id)
    }

    fn perform(&mut self, now: Instant, output: relay::Output) {
        match output {
            relay::Output::Offer(offer) => self.offer(now, *offer),
            relay::Output::Refuse {
                request,
                status,
                reason,
            } => self.refuse(request, status, reason),
            relay::Output::Text { session, text } => self.say(now, session, &text),
            relay::Output::Pli { session, ssrc } => self.ask_keyframe(now, session, ssrc),
            relay::Output::End { session, reason } => {
                tracing::debug!(session = session.0, ?reason, "the relay ends a session");
                self.end(now, session);
            }
            relay::Output::Link(command) => self.links.command(command),
            relay::Output::Violation { peer, rule } => {
                self.link_log.violation(now, &peer, rule);
                self.counters.violation(peer, rule);
            }
            relay::Output::PeerRefused { peer, code } => {
                self.link_log.refused(now, &peer, code);
                self.counters.refused(code);
            }
        }
    }

    fn offer(&mut self, now: Instant, offer: relay::Offer) {
        let Some(waiting) = self.waiting.remove(&offer.request) else {
            // Forgotten as overdue; the relay has to be told.
            self.lost.push(offer.session);
            return;
        };
        let credentials = self.credentials();
        let offered = Offered {
            sdp: self.describe(&offer, &credentials),
            update: offer.update,
            tuple: offer.tuple.clone(),
        };
        let ufrag = credentials.ufrag.clone();
        let session = Session::new(now, self.identity.clone(), credentials);
        let mut client = Client::new(waiting.since, session, ufrag, offer.conference);
        client.place = Some(waiting.place);
        self.timers.arm(now, offer.session, client.session.next_deadline());
        if self.clients.insert(offer.session, client) {
            self.metrics.calls_total.inc();
        }
        // Whoever stopped waiting will not answer either, and the session ends by its own time-out.
        let _ = waiting.reply.send(Verdict::Offer(offered));
    }

    fn credentials(&mut self) -> Credentials {
        loop {
            let credentials = Credentials::random(&mut self.rng);
            if !self.clients.has_ufrag(&credentials.ufrag) {
                return credentials;
            }
        }
    }

    fn describe(&mut self, offer: &relay::Offer, credentials: &Credentials) -> String {
        let slot = |slot: &relay::SlotSsrcs| sdp::VideoSlot {
            media: slot.media,
            repair: slot.repair,
        };
        let video_slots: Vec<_> = offer.video_slots.iter().map(slot).collect();
        sdp::offer(&sdp::Offer {
            session_id: self.rng.next_u64() >> 1,
            ufrag: &credentials.ufrag,
            password: &credentials.password,
            fingerprint: &self.identity.fingerprint(),
            candidates: &self.candidates,
            simulcast: offer.simulcast,
            audio_slots: &offer.audio_slots,
            video_slots: &video_slots,
            version: env!("CARGO_PKG_VERSION"),
        })
    }

    fn refuse(&mut self, request: RequestId, status: Status, refusal: relay::Refusal) {
        let Some(waiting) = self.waiting.remove(&request) else {
            return;
        };
        self.budget.leave(waiting.place);
        let reason = refusal.as_str();
        self.tell_refusal(
            waiting.reply,
            Verdict::Refused { status, reason },
            JoinRefused::Relay(refusal),
        );
    }

    /// Which bound it was is for us to know, and not for who tries them.
    fn refuse_over(&self, reply: oneshot::Sender<Verdict>, over: Over) {
        let verdict = Verdict::Refused {
            status: Status::AuthLimit,
            reason: "limit",
        };
        self.tell_refusal(reply, verdict, over.into());
    }

    fn tell_refusal(&self, reply: oneshot::Sender<Verdict>, verdict: Verdict, why: JoinRefused) {
        // Whoever stopped waiting was refused by the API, which counted that, or has hung up.
        if reply.is_closed() {
            return;
        }
        self.metrics.join_refused.add(&why, 1);
        tracing::info!(reason = why.as_str(), "a client is refused");
        let _ = reply.send(verdict);
    }

    /// Requests that got no verdict; their clients were told so by then.
    pub(super) fn forget_overdue(&mut self, now: Instant) {
        let overdue = |waiting: &Waiting| now.saturating_duration_since(waiting.since) > OVERDUE;
        for (_, waiting) in self.waiting.extract_if(|_, waiting| overdue(waiting)) {
            self.budget.leave(waiting.place);
        }
    }

    fn say(&mut self, now: Instant, id: SessionId, text: &str) {
        let Ok(client) = self.touch(id) else { return };
        if let Err(error) = client.session.send_text(now, text)
            && !client.forgotten
        {
            // A client that misses a roster or a key is worse off than one that has to come back.
            tracing::info!(session = id.0, %error, "a message cannot be sent; the session ends");
            client.forgotten = true;
            client.session.close(now);
            self.lost.push(id);
        }
    }

    fn end(&mut self, now: Instant, id: SessionId) {
        let Ok(client) = self.touch(id) else { return };
        client.forgotten = true;
        client.session.close(now);
    }

    /// Does what a session wants.
    pub(super) fn drain(&mut self, now: Instant, id: SessionId) {
        self.current = Some(id);
        while let Some(client) = self.clients.by_id(id) {
            let Some(output) = client.session.poll() else {
                self.timers.arm(now, id, client.session.next_deadline());
                return;
            };
            match output {
                session::Output::Transmit { path, bytes } => {
                    if self.outbox.push_bytes(id, path, &bytes).is_err() {
                        self.counters.dropped(session::Drop::TooLong);
                    }
                }
                session::Output::Text(text) if !client.forgotten => self.feed(now, Input::Text { session: id, text }),
                session::Output::Text(_) => {}
                session::Output::Opened => self.opened(now, id),
                session::Output::Ended(reason) => {
                    tracing::info!(session = id.0, reason = reason.as_str(), "a session ended");
                    self.discard(id);
                }
            }
        }
    }

    fn opened(&mut self, now: Instant, id: SessionId) {
        let Some(client) = self.clients.by_id(id) else { return };
        let took = now.saturating_duration_since(client.asked);
        if let Some(place) = client.place.take() {
            self.budget.leave(place);
        }
        self.metrics.join.observe(took.as_secs_f64());
        self.metrics.participants_total.inc();
        tracing::info!(session = id.0, "a session is open");
        self.feed(now, Input::Opened { session: id });
    }

    /// Says HANGUP to every client and closes its session.
    fn stop(&mut self, now: Instant) {
        self.feed(now, Input::Drain);
        let ids: Vec<SessionId> = self.clients.ids().collect();
        for id in ids {
            let Ok(client) = self.touch(id) else { continue };
            let hangup = client::hangup(client.conference.as_str(), false);
            // One whose channel is not open has nobody to say it to.
            let _ = client.session.send_text(now, &hangup);
            client.session.close(now);
        }
    }
}
