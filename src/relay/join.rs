//! CONFCONN: which conference it means, whether it may, and the session it gets.

use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use rand::RngExt;

use crate::conference::receiver::SlotPlan;
use crate::conference::{Attachment, Conference, ConferenceNo, Role};
use crate::federation::capability::{self, BadTuple, NodeTag, Tuple};
use crate::ids::{ConferenceId, ConferenceKey, ParticipantId, RequestId, SessionId, Ssrc};
use crate::limits::{ATTACH_TIMEOUT, AUDIO_SLOTS, MAX_CONFERENCES};
use crate::proto::client::Connect;
use crate::relay::sessions::{Session, Stage};
use crate::relay::{Offer, Output, Refusal, Relay, SlotSsrcs, Timer};
use crate::token::Standing;

/// A CONFCONN that is not answered yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: RequestId,
    pub(super) participant: ParticipantId,
    pub(super) connect: Connect,
    pub(super) standing: Standing,
    pub(super) since: Instant,
}

/// What a CONFCONN's tuple says.
enum Aim {
    /// The conference that this SFT anchors.
    Ours,
    /// A conference anchored elsewhere.
    Theirs(Tuple),
    /// No tuple: ours, or the only one there is.
    Any,
}

impl Relay {
    pub(super) fn connect(&mut self, now: Instant, conference: ConferenceId, waiting: Waiting) {
        let aim = match self.aim_of(&conference, &waiting.connect) {
            Ok(aim) => aim,
            Err(refusal) => return self.refuse(waiting.request, refusal),
        };
        let no = match self.find_or_make(&conference, &aim, &waiting) {
            Ok(no) => no,
            Err(refusal) => return self.refuse(waiting.request, refusal),
        };
        self.touched.insert(no);
        if let Aim::Theirs(tuple) = aim {
            if self.contradicts(no, &tuple) {
                return self.refuse(waiting.request, Refusal::BadCapability);
            }
            self.upstream(no, tuple);
        }
        let Some(known) = self.conferences.get(&no) else { return };
        if known.is_elsewhere(&waiting.participant) {
            return self.refuse(waiting.request, Refusal::Conflict);
        }
        let established = !known.seats().is_empty();
        match known.attachment() {
            Attachment::Anchor | Attachment::Attached => self.offer(no, waiting),
            // The call goes on here while its anchor is away; a newcomer finds it again with us.
            Attachment::Asking | Attachment::Unasked if established => self.offer(no, waiting),
            Attachment::Asking | Attachment::Unasked => self.wait_for_anchor(now, no, waiting),
        }
    }

    /// The anchor granted the lease for another capability than this one: this one was not given out by it.
    fn contradicts(&self, no: ConferenceNo, tuple: &Tuple) -> bool {
        let attached = self.conferences.get(&no).map(Conference::attachment) == Some(Attachment::Attached);
        let proven = self
            .upstreams
            .get(&no)
            .filter(|_| attached)
            .map(|upstream| upstream.capability.as_bytes());
        proven.is_some_and(|proven| verify_slices_are_equal(proven, tuple.capability.as_bytes()).is_err())
    }

    fn aim_of(&self, conference: &ConferenceId, connect: &Connect) -> Result<Aim, Refusal> {
        let Some(text) = &connect.sft_tuple else {
            return if connect.sft_url.is_some() {
                Err(Refusal::MalformedTuple)
            } else {
                Ok(Aim::Any)
            };
        };
        let tuple = Tuple::parse(text).map_err(|bad| match bad {
            BadTuple::Legacy => Refusal::LegacyTuple,
            BadTuple::Malformed => Refusal::MalformedTuple,
        })?;
        if tuple.domain != self.config.domain {
            return if self.peers.contains_key(&tuple.domain) {
                Ok(Aim::Theirs(tuple))
            } else {
                Err(Refusal::Unlisted)
            };
        }
        let fits = capability::verify(
            &self.config.capability_keys,
            &tuple.domain,
            conference,
            &tuple.capability,
        );
        if fits {
            Ok(Aim::Ours)
        } else {
            Err(Refusal::BadCapability)
        }
    }

    fn find_or_make(
        &mut self,
        conference: &ConferenceId,
        aim: &Aim,
        waiting: &Waiting,
    ) -> Result<ConferenceNo, Refusal> {
        let anchor = match aim {
            Aim::Theirs(tuple) => tuple.domain.clone(),
            Aim::Ours => self.config.domain.clone(),
            Aim::Any => self.only_anchor(conference),
        };
        let key = ConferenceKey {
            conference: conference.clone(),
            anchor,
        };
        if let Some(no) = self.by_key.get(&key) {
            let room = self
                .conferences
                .get(no)
                .is_some_and(|known| known.seats().has_room_for(&waiting.participant));
            return if room { Ok(*no) } else { Err(Refusal::Limit) };
        }
        if self.draining {
            return Err(Refusal::Draining);
        }
        if self.conferences.len() >= MAX_CONFERENCES {
            return Err(Refusal::Limit);
        }
        // A conference anchored elsewhere is not started here: its anchor has to know it.
        if key.anchor == self.config.domain && !waiting.standing.may_start() {
            return Err(Refusal::CannotStart);
        }
        Ok(self.make(key, waiting.connect.update))
    }

    /// The anchor of the conference that a CONFCONN without a tuple means: we, or the only one there is for that id.
    fn only_anchor(&self, conference: &ConferenceId) -> crate::ids::Domain {
        let ours = &self.config.domain;
        let mut others = self.by_key.keys().filter(|key| key.conference == *conference);
        match (others.next(), others.next()) {
            (Some(only), None) => only.anchor.clone(),
            _ => ours.clone(),
        }
    }

    fn make(&mut self, key: ConferenceKey, known_to_clients: bool) -> ConferenceNo {
        let no = ConferenceNo(self.next_conference);
        self.next_conference += 1;
        let role = if key.anchor == self.config.domain {
            Role::Anchor
        } else {
            Role::Member
        };
        let mut conference = Conference::new(no, key.clone(), role);
        if known_to_clients {
            conference.announced();
        }
        self.by_key.insert(key, no);
        self.conferences.insert(no, conference);
        no
    }

    fn wait_for_anchor(&mut self, now: Instant, no: ConferenceNo, waiting: Waiting) {
        self.timers.insert((now + ATTACH_TIMEOUT, Timer::Waiting(no)));
        self.waiting.entry(no).or_default().push(waiting);
        self.ask_anchor(now, no);
    }

    /// The anchor said yes: whoever waited is let in.
    pub(super) fn release_waiting(&mut self, no: ConferenceNo) {
        for waiting in self.waiting.remove(&no).unwrap_or_default() {
            self.offer(no, waiting);
        }
    }

    /// The anchor said no: whoever waited is refused.
    pub(super) fn refuse_waiting(&mut self, no: ConferenceNo, refusal: Refusal) {
        self.touched.insert(no);
        for waiting in self.waiting.remove(&no).unwrap_or_default() {
            self.refuse(waiting.request, refusal);
        }
    }

    /// The anchor said nothing in time. A client that comes back to a call is let in: the call may go on while the anchor restarts. One that
    /// may only join is not: without the anchor's word nobody knows that there is something to join.
    pub(super) fn waiting_timeout(&mut self, now: Instant, no: ConferenceNo) {
        self.touched.insert(no);
        let waiting = self.waiting.remove(&no).unwrap_or_default();
        let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|one| now >= one.since + ATTACH_TIMEOUT);
        if !later.is_empty() {
            self.waiting.insert(no, later);
        }
        for waiting in due {
            if waiting.connect.update && waiting.standing.may_start() {
                self.offer(no, waiting);
            } else {
                self.refuse(waiting.request, Refusal::AnchorSilent);
            }
        }
    }

    pub(super) fn refuse(&mut self, request: RequestId, reason: Refusal) {
        self.outputs.push_back(Output::Refuse {
            request,
            status: reason.status(),
            reason,
        });
    }

    fn offer(&mut self, no: ConferenceNo, waiting: Waiting) {
        let Some(conference) = self.conferences.get(&no) else {
            return self.refuse(waiting.request, Refusal::Limit);
        };
        if self.is_of_other_bearer(no, &waiting) {
            return self.refuse(waiting.request, Refusal::OtherBearer);
        }
        let key = conference.key().clone();
        let connect = &waiting.connect;
        let audio = if connect.selective_audio { AUDIO_SLOTS } else { 0 };
        let video = if connect.selective_video {
            connect.video_slots
        } else {
            0
        };
        let slots = SlotPlan::draw(&mut self.ctx.rng, audio, video);
        let session = SessionId(self.next_session);
        self.next_session += 1;
        let video_id = self.video_id(no, &waiting.participant);
        let tuple = self.tuple_of(no, &key);
        self.drop_unanswered(&key.conference, &waiting.participant);
        self.unanswered
            .insert((key.conference.clone(), waiting.participant.clone()), session);
        let offer = Offer {
            request: waiting.request,
            session,
            conference: key.conference,
            participant: waiting.participant.clone(),
            update: connect.update,
            simulcast: sends_layers(&connect.version),
            audio_slots: slots.audio.clone(),
            video_slots: slots
                .video
                .iter()
                .map(|&(media, repair)| SlotSsrcs { media, repair })
                .collect(),
            tuple,
        };
        let stage = Stage::Offered { slots };
        let entry = Session::new(no, waiting.participant, waiting.standing, video_id, stage);
        self.sessions.insert(session, entry);
        self.outputs.push_back(Output::Offer(Box::new(offer)));
    }

    /// Whether the participant has a session that another bearer's token opened. Ids are in every roster, so that anyone there could
    /// otherwise take over anyone's session.
    fn is_of_other_bearer(&self, no: ConferenceNo, waiting: &Waiting) -> bool {
        let asking = waiting.standing.bearer();
        self.sessions
            .values()
            .filter(|session| session.is_of(no, &waiting.participant))
            .any(|session| session.bearer() != asking)
    }

    /// A participant's video id: the one it has, or one that nobody has.
    fn video_id(&mut self, no: ConferenceNo, participant: &ParticipantId) -> Ssrc {
        let Some(conference) = self.conferences.get(&no) else {
            return Ssrc(1);
        };
        let seats = conference.seats();
        if let Some(known) = seats.of(participant).and_then(|seat| seats.at(seat)) {
            return known.ssrcs.video;
        }
        loop {
            let drawn = Ssrc(self.ctx.rng.random_range(1..u32::MAX));
            if !seats.uses(drawn) {
                return drawn;
            }
        }
    }

    fn tuple_of(&self, no: ConferenceNo, key: &ConferenceKey) -> Option<String> {
        if key.anchor != self.config.domain {
            return self
                .upstreams
                .get(&no)
                .map(|upstream| format!("{}/{}", key.anchor, upstream.capability));
        }
        let node = NodeTag::of(&self.config.node);
        let newest = self.config.capability_keys.first()?;
        Some(capability::issue(newest, &self.config.domain, &key.conference, node))
    }

    /// A client that asks again before it answered has given up the first offer.
    fn drop_unanswered(&mut self, conference: &ConferenceId, participant: &ParticipantId) {
        let id = (conference.clone(), participant.clone());
        if let Some(session) = self.unanswered.remove(&id) {
            self.end(session, crate::relay::EndReason::Replaced);
        }
    }
}

/// Clients before 10 were built without simulcast; 0 is a developer's build.
fn sends_layers(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major == 0 || major >= 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_offered_to_clients_that_send_them() {
        for (version, expected) in [
            ("10.5.8", true),
            ("9.10.14", false),
            ("0.0.1", true),
            ("11", true),
            ("", false),
            ("x.y", false),
        ] {
            assert_eq!(sends_layers(version), expected, "{version}");
        }
    }
}
