//! The one order of participants, and what clients and members are told of it.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;

use crate::conference::participant::Participant;
use crate::conference::port::PortNo;
use crate::conference::seat::Seat;
use crate::conference::{Conference, Context, Role, line_of};
use crate::ids::ParticipantId;
use crate::limits::MAX_PARTICIPANTS;
use crate::proto::client::{self, RosterStamp, Start};
use crate::proto::link::message::{self, Announced, Message};

/// URLs in a roster: a joiner tries three.
const MAX_SFTS: usize = 8;

/// The order, and the stamp of its last change.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Seats, oldest first.
    pub(super) order: Vec<Seat>,
    /// Somebody was asked to announce the call.
    pub(super) started: bool,
    /// The index for the next newcomer.
    pub(super) next_index: u32,
    /// Counts changes; what links see.
    pub(super) revision: u64,
    pub(super) stamp: Stamp,
    /// A member without its anchor, for longer than the grace.
    pub(super) alone: bool,
}

/// What is the same for all recipients of one change, in all domains.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Stamp {
    pub(super) timestamp_ms: u64,
    pub(super) seqno: u32,
    pub(super) entropy: String,
    pub(super) sfts: Vec<String>,
}

impl Stamp {
    fn view(&self) -> RosterStamp<'_> {
        RosterStamp {
            timestamp_ms: self.timestamp_ms,
            seqno: self.seqno,
            entropy: &self.entropy,
            sfts: &self.sfts,
        }
    }
}

impl Conference {
    /// Who is local changed: the anchor tells everyone, a member tells the anchor (or, alone, its own clients).
    pub(super) fn local_roster_changed(&mut self, ctx: &mut Context, now: Instant) {
        if self.role == Role::Anchor {
            return self.order_changed(ctx, now);
        }
        if self.announce(ctx) {
            return;
        }
        if self.alone() {
            self.go_alone(ctx, now);
        } else {
            self.want_anchor(now);
        }
    }

    /// Appends newcomers to the order, stamps the change and tells everyone.
    pub(super) fn order_changed(&mut self, ctx: &mut Context, now: Instant) {
        self.append_newcomers();
        let sfts = self.sfts(ctx);
        let roster = &mut self.roster;
        roster.revision = roster.revision.saturating_add(1);
        roster.stamp = Stamp {
            timestamp_ms: ctx.epoch.wall(now).0,
            seqno: roster.stamp.seqno.wrapping_add(1),
            entropy: STANDARD.encode(ctx.rng.random::<[u8; 16]>()),
            sfts,
        };
        self.tell_clients(ctx);
        self.tell_members(ctx);
        self.everyone_reconciled(ctx, now);
    }

    fn append_newcomers(&mut self) {
        for seat in self.seats.all() {
            let roster = &mut self.roster;
            let Some(participant) = self.seats.at_mut(seat) else {
                continue;
            };
            if participant.index.is_none() {
                participant.index = Some(roster.next_index);
                roster.next_index += 1;
            }
            if !roster.order.contains(&seat) {
                roster.order.push(seat);
            }
        }
        let seats = &self.seats;
        self.roster
            .order
            .sort_by_key(|seat| seats.at(*seat).and_then(|participant| participant.index));
    }

    fn sfts(&self, ctx: &Context) -> Vec<String> {
        // A member whose last participant left is about to go.
        let serving = (0..).map(PortNo).zip(&self.ports);
        let serving = serving.filter(|(no, port)| port.ready().is_some() && self.seats.behind(*no).next().is_some());
        let members = serving.filter_map(|(_, port)| port.url.clone());
        let mut sfts: Vec<String> = Vec::new();
        for url in std::iter::once(ctx.url.clone()).chain(members) {
            if !sfts.contains(&url) && sfts.len() < MAX_SFTS {
                sfts.push(url);
            }
        }
        sfts
    }

    /// Gives every local client the roster as it is.
    pub(super) fn tell_clients(&mut self, ctx: &mut Context) {
        let announcer = self.announcer();
        let text = self.roster_text(Start::Quiet);
        for seat in &self.locals {
            // A client that the anchor has not placed yet waits: it must find itself in the first roster it gets.
            let placed = self.seats.at(*seat).filter(|participant| participant.index.is_some());
            let Some(receiver) = placed.and_then(Participant::receiver) else {
                continue;
            };
            let text = if announcer == Some(*seat) {
                self.roster_text(Start::Announce)
            } else {
                Arc::clone(&text)
            };
            ctx.text(receiver.session, text);
        }
        self.roster.started |= announcer.is_some();
    }

    /// Who has to announce the call: the first one in, once, at the anchor only.
    fn announcer(&self) -> Option<Seat> {
        let first = self.roster.order.first().filter(|_| self.roster.order.len() == 1);
        first
            .copied()
            .filter(|_| self.role == Role::Anchor && !self.roster.started)
    }

    fn roster_text(&self, start: Start) -> Arc<str> {
        let listed = self.roster.order.iter().filter_map(|seat| self.seats.at(*seat));
        client::roster(self.roster.stamp.view(), listed.map(line_of).collect(), start).into()
    }

    fn tell_members(&mut self, ctx: &mut Context) {
        let ready: Vec<PortNo> = self.ready_ports().map(|(port, _)| port).collect();
        for port in ready {
            self.tell_member(ctx, port);
        }
    }

    /// Gives one member the roster as it is.
    pub(super) fn tell_member(&self, ctx: &mut Context, port: PortNo) {
        let Some(line) = self
            .port(port)
            .filter(|_| self.role == Role::Anchor)
            .and_then(|port| port.line())
        else {
            return;
        };
        ctx.say(line, Message::Roster(self.roster_message()));
    }

    fn roster_message(&self) -> message::Roster {
        let listed = self.roster.order.iter().filter_map(|seat| self.seats.at(*seat));
        let participants = listed.map(|participant| message::Entry {
            userid: participant.id.user.as_str().to_owned(),
            clientid: participant.id.client.as_str().to_owned(),
            domain: participant.home.as_str().to_owned(),
            ssrc_audio: participant.ssrcs.audio.0,
            ssrc_video: participant.ssrcs.video.0,
            index: participant.index.unwrap_or_default(),
            muted: participant.muted,
            proof: participant.proof.clone(),
        });
        let stamp = &self.roster.stamp;
        message::Roster {
            revision: self.roster.revision,
            timestamp: stamp.timestamp_ms,
            seqno: stamp.seqno,
            entropy: stamp.entropy.clone(),
            participants: participants.collect(),
            sfts: stamp.sfts.clone(),
        }
    }

    /// Tells the anchor who is local; says whether there was someone to tell.
    pub(super) fn announce(&mut self, ctx: &mut Context) -> bool {
        let upstream = self.port(PortNo::UPSTREAM).filter(|_| self.role == Role::Member);
        let Some(line) = upstream.and_then(|port| port.line()) else {
            return false;
        };
        let local = self.seats.local().filter_map(|seat| self.seats.at(seat));
        let participants = local.map(|participant| Announced {
            userid: participant.id.user.as_str().to_owned(),
            clientid: participant.id.client.as_str().to_owned(),
            ssrc_audio: participant.ssrcs.audio.0,
            ssrc_video: participant.ssrcs.video.0,
            muted: participant.muted,
            authenticated: participant.authenticated,
            incarnation: participant.incarnation,
            proof: participant.proof.clone(),
        });
        let participants: Vec<Announced> = participants.collect();
        self.remember_announced();
        ctx.say(
            line,
            Message::Announce {
                participants,
                sft: ctx.url.clone(),
            },
        );
        true
    }

    /// What the anchor lists of ours later must be among these; what left is on its way for a moment.
    fn remember_announced(&mut self) {
        if self.announced.len() > MAX_PARTICIPANTS {
            self.announced.clear();
        }
        let local = self.seats.local().filter_map(|seat| self.seats.at(seat));
        self.announced.extend(local.map(|participant| participant.id.clone()));
    }

    /// Whether a participant of this id is elsewhere.
    #[must_use]
    pub fn is_elsewhere(&self, id: &ParticipantId) -> bool {
        self.seats
            .of(id)
            .and_then(|seat| self.seats.at(seat))
            .is_some_and(|participant| participant.port().is_some())
    }
}
