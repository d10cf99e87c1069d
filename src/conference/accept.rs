//! Authorization: media flows between two participants only when each accepts the other.

use std::time::Instant;

use crate::conference::port::PortNo;
use crate::conference::seat::{Seat, SeatSet};
use crate::conference::{Conference, Context, Rule};
use crate::ids::ParticipantId;
use crate::limits::MAX_PARTICIPANTS;
use crate::proto::link::message::Message;

impl Conference {
    /// A local client answered a roster: it accepts these and nobody else.
    pub fn accept(&mut self, ctx: &mut Context, now: Instant, seat: Seat, ids: &[ParticipantId]) {
        let by_id: std::collections::HashMap<&ParticipantId, Seat> = self
            .seats
            .iter()
            .map(|(seat, participant)| (&participant.id, seat))
            .collect();
        let accepted: SeatSet = ids
            .iter()
            .filter_map(|id| by_id.get(id).copied())
            .filter(|other| *other != seat)
            .collect();
        self.accepts_now(ctx, now, seat, accepted);
    }

    /// The home of a participant says whom it accepts and no longer accepts.
    pub(super) fn accept_elsewhere(
        &mut self,
        ctx: &mut Context,
        now: Instant,
        port: PortNo,
        from: u32,
        add: &[u32],
        remove: &[u32],
    ) {
        let Some(seat) = self.spoken_for(port, from) else {
            return self.complain(ctx, port, Rule::ForeignParticipant);
        };
        if add.len() > MAX_PARTICIPANTS || remove.len() > MAX_PARTICIPANTS {
            return self.complain(ctx, port, Rule::Malformed);
        }
        let Some(participant) = self.seats.at(seat) else { return };
        let mut accepted = participant.accepts.clone();
        // Whoever is behind the same link is none of our business.
        let known = |index: &u32| self.seats.at_index(*index).filter(|other| *other != seat);
        for other in add.iter().filter_map(known) {
            accepted.insert(other);
        }
        for other in remove.iter().filter_map(known) {
            accepted.remove(other);
        }
        self.accepts_now(ctx, now, seat, accepted);
    }

    /// The participant that a peer speaks for; `None`: it is not behind that peer's link, or not there (any more).
    pub(super) fn spoken_for(&self, port: PortNo, index: u32) -> Option<Seat> {
        let seat = self.seats.at_index(index)?;
        self.seats
            .at(seat)
            .filter(|participant| participant.port() == Some(port))
            .map(|_| seat)
    }

    fn accepts_now(&mut self, ctx: &mut Context, now: Instant, seat: Seat, accepted: SeatSet) {
        let Some(participant) = self.seats.at_mut(seat) else {
            return;
        };
        let before = std::mem::replace(&mut participant.accepts, accepted);
        let fresh: Vec<Seat> = participant.accepts.without(&before).collect();
        self.replay_props(ctx, seat, &fresh);
        self.reconcile(ctx, seat);
        self.aim_everyone(now);
    }

    /// Tells every link what it should know of one participant: whom it accepts there, its props, its flows.
    pub(super) fn reconcile(&mut self, ctx: &mut Context, seat: Seat) {
        let ready: Vec<_> = self.ready_ports().collect();
        for (port, line) in ready {
            let behind: SeatSet = self.seats.behind(port).collect();
            let Some(participant) = self.seats.at_mut(seat) else {
                return;
            };
            let Some(from) = participant.index.filter(|_| participant.port() != Some(port)) else {
                continue;
            };
            let wanted: SeatSet = participant.accepts.iter().filter(|other| behind.has(*other)).collect();
            let told = std::mem::replace(participant.told_mut(port), wanted.clone());
            let props = participant.props.clone();
            if wanted != told {
                let add = self.indexes(wanted.without(&told));
                let remove = self.indexes(told.without(&wanted));
                ctx.say(line, Message::Authorize { from, add, remove });
            }
            if told.is_empty() && !wanted.is_empty() && !props.is_empty() {
                ctx.say(line, Message::Props { from, props });
            }
            self.reconcile_flows(ctx, seat, (port, line), !wanted.is_empty());
        }
    }

    fn indexes(&self, seats: impl Iterator<Item = Seat>) -> Vec<u32> {
        seats.filter_map(|seat| self.seats.at(seat)?.index).collect()
    }

    /// As [`Conference::reconcile`], for everyone.
    pub(super) fn everyone_reconciled(&mut self, ctx: &mut Context, now: Instant) {
        for seat in self.seats.all() {
            self.reconcile(ctx, seat);
        }
        self.resolve_everyone(now);
    }

    /// A new exchange begins on a link: it was told nothing yet.
    pub(super) fn forget_told(&mut self, port: PortNo) {
        for seat in self.seats.all() {
            if let Some(participant) = self.seats.at_mut(seat) {
                participant.told.retain(|(known, _)| *known != port);
            }
        }
    }
}
