//! Sessions: from the offer to the end, and what clients say in between.

use std::time::Instant;

use crate::conference::receiver::SlotPlan;
use crate::conference::seat::Seat;
use crate::conference::{ConferenceNo, Newcomer};
use crate::ids::{ParticipantId, SessionId, Ssrc};
use crate::limits::PING_TIMEOUT;
use crate::proto::client::{self, Body, Message, Props, SsrcPair};
use crate::relay::{EndReason, Output, Relay, Timer};
use crate::token::{Bearer, Standing};

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    conference: ConferenceNo,
    participant: ParticipantId,
    standing: Standing,
    video_id: Ssrc,
    stage: Stage,
}

/// How far a session is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The client has our offer.
    Offered {
        /// What was offered.
        slots: SlotPlan,
    },
    /// We have the client's answer.
    Answered {
        /// What was offered.
        slots: SlotPlan,
        /// Its audio.
        audio: Ssrc,
        /// Its video, without layers.
        video: Option<Ssrc>,
        /// What it told so far.
        props: Props,
    },
    /// Its data channel is open.
    Open {
        /// Its seat.
        seat: Seat,
        /// When it last gave a sign of life.
        pinged: Instant,
    },
}

impl Session {
    pub(super) fn new(
        conference: ConferenceNo,
        participant: ParticipantId,
        standing: Standing,
        video_id: Ssrc,
        stage: Stage,
    ) -> Session {
        Session {
            conference,
            participant,
            standing,
            video_id,
            stage,
        }
    }

    /// Whether it is this participant's in this conference.
    pub(super) fn is_of(&self, conference: ConferenceNo, participant: &ParticipantId) -> bool {
        self.conference == conference && self.participant == *participant
    }

    /// Whose token opened it; `None`: tokens are not asked for.
    pub(super) const fn bearer(&self) -> Option<&Bearer> {
        self.standing.bearer()
    }

    /// Where it sits, once it is open.
    pub(super) fn seat(&self) -> Option<(ConferenceNo, Seat)> {
        match self.stage {
            Stage::Open { seat, .. } => Some((self.conference, seat)),
            Stage::Offered { .. } | Stage::Answered { .. } => None,
        }
    }
}

impl Relay {
    pub(super) fn answered(&mut self, id: SessionId, ssrcs: (Ssrc, Option<Ssrc>), props: Props) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Stage::Offered { slots } = &mut session.stage else {
            return;
        };
        let slots = std::mem::take(slots);
        let (audio, video) = ssrcs;
        session.stage = Stage::Answered {
            slots,
            audio,
            video,
            props,
        };
        self.unanswered.retain(|_, waiting| *waiting != id);
    }

    pub(super) fn opened(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Stage::Answered {
            slots,
            audio,
            video,
            props,
        } = &mut session.stage
        else {
            return;
        };
        let newcomer = Newcomer {
            id: session.participant.clone(),
            session: id,
            ssrcs: SsrcPair {
                audio: *audio,
                video: session.video_id,
            },
            video: *video,
            slots: std::mem::take(slots),
            props: std::mem::take(props),
            authenticated: session.standing.is_proven(),
        };
        let no = session.conference;
        self.touched.insert(no);
        let Some(conference) = self.conferences.get_mut(&no) else {
            return;
        };
        match conference.open(&mut self.ctx, now, newcomer) {
            Some(seat) => {
                session.stage = Stage::Open { seat, pinged: now };
                self.timers.insert((now + PING_TIMEOUT, Timer::Ping(id)));
                self.ask_anchor(now, no);
            }
            None => self.end(id, EndReason::Conflict),
        }
    }

    pub(super) fn ping_timeout(&mut self, now: Instant, id: SessionId) {
        let Some(Session {
            stage: Stage::Open { pinged, .. },
            ..
        }) = self.sessions.get(&id)
        else {
            return;
        };
        let due = *pinged + PING_TIMEOUT;
        if now < due {
            self.timers.insert((due, Timer::Ping(id)));
            return;
        }
        self.hang_up(now, id, EndReason::Silent);
    }

    pub(super) fn text(&mut self, now: Instant, id: SessionId, text: &[u8]) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Stage::Open { seat, pinged } = &mut session.stage else {
            return;
        };
        let seat = *seat;
        self.touched.insert(session.conference);
        let Some(conference) = self.conferences.get_mut(&session.conference) else {
            return;
        };
        // What is not understood is not answered: a newer client may say more than we know.
        let Ok(message) = Message::parse(text) else { return };
        match message.body {
            Body::Ping => {
                *pinged = now;
                let pong = client::pong(conference.key().conference.as_str()).into();
                self.outputs.push_back(Output::Text {
                    session: id,
                    text: pong,
                });
            }
            Body::Hangup => self.hang_up(now, id, EndReason::Hangup),
            Body::Authorize(ids) => conference.accept(&mut self.ctx, now, seat, &ids),
            Body::Props(props) => conference.tell(&mut self.ctx, seat, props),
            Body::Select(wanted) => conference.select(now, seat, wanted),
            Body::Connect(_) | Body::Answer(_) | Body::Other => {}
        }
    }

    /// Ends an open session in order: the client is told, or answered.
    fn hang_up(&mut self, now: Instant, id: SessionId, reason: EndReason) {
        let conference = self
            .sessions
            .get(&id)
            .and_then(|session| self.conferences.get(&session.conference));
        let Some(conference) = conference else { return };
        let answer = reason == EndReason::Hangup;
        let text = client::hangup(conference.key().conference.as_str(), answer).into();
        self.outputs.push_back(Output::Text { session: id, text });
        self.outputs.push_back(Output::End { session: id, reason });
        self.ended(now, id);
    }

    pub(super) fn picture_lost(&mut self, now: Instant, id: SessionId, slot: Ssrc) {
        let Some((no, seat)) = self.sessions.get(&id).and_then(Session::seat) else {
            return;
        };
        self.touched.insert(no);
        if let Some(conference) = self.conferences.get_mut(&no) {
            conference.picture_lost(now, seat, slot);
        }
    }

    /// Ends a session's transport. Its seat, if it still has one, is the conference's business.
    pub(super) fn end(&mut self, id: SessionId, reason: EndReason) {
        self.outputs.push_back(Output::End { session: id, reason });
        if let Some(session) = self.sessions.remove(&id) {
            self.touched.insert(session.conference);
        }
        self.unanswered.retain(|_, waiting| *waiting != id);
    }

    /// A session is no more: its participant leaves.
    pub(super) fn ended(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.unanswered.retain(|_, waiting| *waiting != id);
        self.touched.insert(session.conference);
        if let (Some((_, seat)), Some(conference)) = (session.seat(), self.conferences.get_mut(&session.conference)) {
            conference.leave(&mut self.ctx, now, seat);
        }
    }

    /// Whether anybody has, or is about to have, a session in this conference.
    pub(super) fn in_use(&self, no: ConferenceNo) -> bool {
        self.waiting.contains_key(&no) || self.sessions.values().any(|session| session.conference == no)
    }
}
