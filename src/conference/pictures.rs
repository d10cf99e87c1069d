//! Who sees whom, in which layer: selections become slots, slots ask for key frames.

use std::time::{Duration, Instant};

use crate::conference::participant::{Origin, Participant, Track};
use crate::conference::port::PortNo;
use crate::conference::seat::Seat;
use crate::conference::{Action, Conference, Context};
use crate::ids::{FlowId, Ssrc};
use crate::proto::client::{Quality, Selection};
use crate::proto::link::message::{Layer, Message};

/// How often layers are looked at for stalls while someone watches.
const STALL_CHECK: Duration = Duration::from_millis(500);

impl Conference {
    /// A local client says whom it wants to see; position is the slot.
    pub fn select(&mut self, now: Instant, seat: Seat, wanted: Vec<Selection>) {
        let Some(receiver) = self.seats.at_mut(seat).and_then(Participant::receiver_mut) else {
            return;
        };
        receiver.wanted = wanted;
        self.resolve(seat);
        self.aim(now, seat);
        self.wake_at(now + STALL_CHECK);
    }

    /// Someone came or left: selections are looked up again.
    pub(super) fn resolve_everyone(&mut self, now: Instant) {
        for seat in self.locals.clone() {
            self.resolve(seat);
        }
        self.aim_everyone(now);
    }

    /// Finds the participants that a receiver's slots are for.
    fn resolve(&mut self, seat: Seat) {
        let Some(receiver) = self.seats.at(seat).and_then(Participant::receiver) else {
            return;
        };
        let find = |selection: &Selection| {
            let same = |(_, known): &(Seat, &Participant)| known.id.user == selection.user;
            self.seats
                .iter()
                .find(same)
                .map(|(other, _)| other)
                .filter(|other| *other != seat)
        };
        let sources: Vec<Option<Seat>> = receiver.wanted.iter().map(find).collect();
        let Some(receiver) = self.seats.at_mut(seat).and_then(Participant::receiver_mut) else {
            return;
        };
        for (at, slot) in receiver.video.iter_mut().enumerate() {
            let source = sources.get(at).copied().flatten();
            if slot.source != source {
                slot.source = source;
                slot.gate.clear();
            }
        }
    }

    /// Aims all slots of everyone at the layers they should show.
    pub(super) fn aim_everyone(&mut self, now: Instant) {
        for at in 0..self.locals.len() {
            if let Some(seat) = self.locals.get(at).copied() {
                self.aim(now, seat);
            }
        }
    }

    /// Aims a receiver's slots, and asks for the key frames that this needs.
    fn aim(&mut self, now: Instant, seat: Seat) {
        let slots = self
            .seats
            .at(seat)
            .and_then(Participant::receiver)
            .map_or(0, |receiver| receiver.video.len());
        for at in 0..slots {
            if let Some((source, layer)) = self.aim_slot(now, seat, at) {
                self.want_keyframe(now, source, Track::Video(layer));
            }
        }
    }

    /// Aims one slot; says which layer must begin with a key frame.
    fn aim_slot(&mut self, now: Instant, seat: Seat, at: usize) -> Option<(Seat, Layer)> {
        let receiver = self.seats.at(seat)?.receiver()?;
        let source = receiver.video.get(at)?.source?;
        let quality = receiver.wanted.get(at)?.quality;
        let layer = self
            .seats
            .at(source)
            .and_then(|publisher| layer_for(publisher, quality, now));
        let layer = layer.filter(|_| self.seats.agree(seat, source));
        let gate = &mut self.seats.at_mut(seat)?.receiver_mut()?.video.get_mut(at)?.gate;
        let Some(layer) = layer else {
            gate.clear();
            return None;
        };
        gate.aim(layer).then_some((source, layer))
    }

    /// A stream begins with new numbers: slots that had the old one begin anew.
    pub(super) fn restart_slots(&mut self, source: Seat, track: Track) {
        for at in 0..self.locals.len() {
            let Some(seat) = self.locals.get(at).copied() else {
                break;
            };
            let Some(receiver) = self.seats.at_mut(seat).and_then(Participant::receiver_mut) else {
                continue;
            };
            receiver.restart(source, track);
        }
    }

    /// A receiver lost the picture in a slot.
    pub fn picture_lost(&mut self, now: Instant, seat: Seat, slot: Ssrc) {
        let Some(receiver) = self.seats.at(seat).and_then(Participant::receiver) else {
            return;
        };
        let Some(slot) = receiver.video.iter().find(|known| known.ssrc == slot) else {
            return;
        };
        if let (Some(source), Some(layer)) = (slot.source, slot.gate.wanted()) {
            self.want_keyframe(now, source, Track::Video(layer));
        }
    }

    /// A peer needs a key frame of something we send.
    pub(super) fn keyframe_asked(&mut self, ctx: &mut Context, now: Instant, port: PortNo, flow: FlowId) {
        let Some(line) = self.port(port).and_then(|port| port.line()) else {
            return;
        };
        let route = ctx.flows.sent.get(&(line.link, flow)).copied();
        if let Some(route) = route.filter(|route| route.conference == self.no) {
            self.want_keyframe(now, route.seat, route.track);
        }
    }

    fn want_keyframe(&mut self, now: Instant, source: Seat, track: Track) {
        let Some(stream) = self
            .seats
            .at_mut(source)
            .and_then(|publisher| publisher.stream_mut(track))
        else {
            return;
        };
        stream.keyframes.want(now);
        if let Some(due) = stream.keyframes.next_deadline() {
            self.wake_at(due);
        }
    }

    /// Sends the requests that are due and looks for stalled layers.
    pub(super) fn pictures_timeout(&mut self, ctx: &mut Context, now: Instant) {
        for seat in self.seats.all() {
            for track in Track::VIDEO {
                self.ask_if_due(ctx, now, seat, track);
            }
        }
        let watched = |seat: &Seat| {
            let receiver = self.seats.at(*seat).and_then(Participant::receiver);
            receiver.is_some_and(|receiver| receiver.video.iter().any(|slot| slot.source.is_some()))
        };
        if self.locals.iter().any(watched) {
            self.aim_everyone(now);
            self.wake_at(now + STALL_CHECK);
        }
    }

    fn ask_if_due(&mut self, ctx: &mut Context, now: Instant, seat: Seat, track: Track) {
        let Some(publisher) = self.seats.at_mut(seat) else {
            return;
        };
        let session = publisher.receiver().map(|receiver| receiver.session);
        let port = publisher.port();
        let Some(stream) = publisher.stream_mut(track) else {
            return;
        };
        let ask = stream.keyframes.poll(now);
        let due = stream.keyframes.next_deadline();
        if let Some(due) = due {
            self.wake = Some(self.wake.map_or(due, |wake| wake.min(due)));
        }
        match self
            .seats
            .at(seat)
            .and_then(|publisher| publisher.stream(track))
            .map(|stream| stream.origin)
        {
            Some(Origin::Session(ssrc)) if ask => {
                ctx.actions.extend(session.map(|session| Action::Pli { session, ssrc }));
            }
            Some(Origin::Flow(_, flow)) if ask => {
                let line = port.and_then(|port| self.port(port)).and_then(|port| port.ready());
                line.into_iter()
                    .for_each(|line| ctx.say(line, Message::Keyframe { flow: flow.0 }));
            }
            _ => {}
        }
    }
}

/// The layer that serves a wish best: one that flows before one that does not.
fn layer_for(publisher: &Participant, quality: Quality, now: Instant) -> Option<Layer> {
    let order = match quality {
        Quality::Low => [Layer::Low, Layer::Only, Layer::High],
        Quality::Any | Quality::High => [Layer::High, Layer::Only, Layer::Low],
    };
    let stream = |layer: &Layer| publisher.stream(Track::Video(*layer));
    let flows = order
        .iter()
        .find(|layer| stream(layer).is_some_and(|stream| stream.live(now)));
    flows
        .or_else(|| order.iter().find(|layer| stream(layer).is_some()))
        .copied()
}
