//! Rosters over links: the anchor merges what members announce, members follow what the anchor says.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::conference::participant::{Participant, Whereabouts};
use crate::conference::port::{PortNo, PortState};
use crate::conference::roster::Stamp;
use crate::conference::seat::{Seat, SeatSet};
use crate::conference::{Conference, Context, Rule};
use crate::ids::{ClientId, Domain, ParticipantId, Ssrc, UserId};
use crate::limits::{MAX_ID_BYTES, MAX_PARTICIPANTS};
use crate::proto::client::{Props, SsrcPair};
use crate::proto::link::message::{Announced, Entry, Roster};

/// Bytes of a URL that a peer says; clients read at most this many.
const MAX_URL_BYTES: usize = 255;
/// Places in the order that an anchor may give: no call has a thousand newcomers a second for a month.
const MAX_INDEX: u32 = u32::MAX / 2;
/// Bytes of a proof: a P-384 signature in base64 and its header.
const MAX_PROOF_BYTES: usize = 1024;

/// A participant as a peer describes it, checked.
#[derive(Debug)]
struct Described {
    id: ParticipantId,
    home: Domain,
    index: Option<u32>,
    ssrcs: SsrcPair,
    muted: bool,
    authenticated: bool,
    incarnation: u32,
    proof: Option<String>,
}

impl Conference {
    /// The anchor hears from a member who is there.
    pub(super) fn merge(&mut self, ctx: &mut Context, now: Instant, port: PortNo, listed: &[Announced], sft: String) {
        let fresh = self.member_speaks(port, sft);
        let Some(home) = self.port(port).map(|port| port.domain.clone()) else {
            return;
        };
        let before = self.roster_view();
        let mut described = Vec::new();
        for announced in listed.iter().take(MAX_PARTICIPANTS) {
            match Described::announced(announced, &home) {
                Some(participant) => described.push(participant),
                None => self.complain(ctx, port, Rule::Malformed),
            }
        }
        self.drop_unlisted(ctx, port, &described);
        for participant in described {
            self.seat_remote(ctx, port, participant);
        }
        if self.roster_view() != before {
            return self.order_changed(ctx, now);
        }
        if fresh {
            self.tell_member(ctx, port);
        }
        self.everyone_reconciled(ctx, now);
    }

    /// A member's first announcement makes the exchange go both ways; says whether it is the first.
    fn member_speaks(&mut self, no: PortNo, sft: String) -> bool {
        let Some(port) = self.port_mut(no) else { return false };
        port.url = Some(sft).filter(|url| url.len() <= MAX_URL_BYTES && url.starts_with("http"));
        let PortState::Leased { line, .. } = port.state else {
            return false;
        };
        port.state = PortState::Ready { line };
        true
    }

    /// What a change of roster is a change of.
    fn roster_view(&self) -> Vec<(ParticipantId, SsrcPair, u32)> {
        let seats = self.seats.iter();
        seats
            .map(|(_, participant)| (participant.id.clone(), participant.ssrcs, participant.incarnation))
            .collect()
    }

    /// Those behind a port that its SFT no longer lists, or lists with other numbers, leave.
    fn drop_unlisted(&mut self, ctx: &mut Context, port: PortNo, listed: &[Described]) {
        let behind: Vec<Seat> = self.seats.behind(port).collect();
        for seat in behind {
            let stays = self
                .seats
                .at(seat)
                .is_some_and(|known| listed.iter().any(|described| described.is(known)));
            if !stays {
                self.vacate(ctx, seat);
            }
        }
    }

    /// Seats or updates one participant behind a port, unless its id or its numbers are someone else's.
    fn seat_remote(&mut self, ctx: &mut Context, port: PortNo, described: Described) {
        if let Some(seat) = self.seats.of(&described.id) {
            let known = self
                .seats
                .at_mut(seat)
                .filter(|known| described.is(known) && known.port() == Some(port));
            match known {
                Some(known) => (known.muted, known.proof) = (described.muted, described.proof),
                None => self.complain(ctx, port, Rule::Conflict),
            }
            return;
        }
        let taken = self.seats.uses(described.ssrcs.audio) || self.seats.uses(described.ssrcs.video);
        if taken || described.ssrcs.audio == described.ssrcs.video {
            return self.complain(ctx, port, Rule::Conflict);
        }
        if !self.seats.full() {
            self.seats.take(described.seated(port));
        }
    }

    /// A member follows the anchor's roster.
    pub(super) fn follow(&mut self, ctx: &mut Context, now: Instant, port: PortNo, roster: &Roster) {
        if !sensible_indexes(roster) {
            return self.complain(ctx, port, Rule::Malformed);
        }
        self.anchor_speaks(port);
        let before = (self.order_view(), self.roster.stamp.clone());
        let (own, others): (Vec<&Entry>, Vec<&Entry>) = roster
            .participants
            .iter()
            .take(MAX_PARTICIPANTS)
            .partition(|entry| entry.domain == ctx.domain.as_str());
        let described: Vec<Described> = others.iter().filter_map(|entry| Described::entry(entry)).collect();
        if described.len() < others.len() {
            self.complain(ctx, port, Rule::Malformed);
        }
        self.drop_unlisted(ctx, port, &described);
        for described in described {
            self.seat_remote(ctx, port, described);
        }
        self.place_own(ctx, port, &own);
        self.take_order(roster);
        if before != (self.order_view(), self.roster.stamp.clone()) {
            self.tell_clients(ctx);
        }
        self.everyone_reconciled(ctx, now);
    }

    fn anchor_speaks(&mut self, no: PortNo) {
        self.roster.alone = false;
        if let Some(port) = self.port_mut(no)
            && let PortState::Leased { line, .. } = port.state
        {
            port.state = PortState::Ready { line };
        }
    }

    fn order_view(&self) -> Vec<(ParticipantId, Option<u32>, bool)> {
        let listed = self.roster.order.iter().filter_map(|seat| self.seats.at(*seat));
        listed
            .map(|known| (known.id.clone(), known.index, known.muted))
            .collect()
    }

    /// Our own participants learn their places; the anchor cannot add any.
    fn place_own(&mut self, ctx: &mut Context, port: PortNo, own: &[&Entry]) {
        for seat in self.seats.local().collect::<Vec<_>>() {
            let Some(known) = self.seats.at_mut(seat) else { continue };
            let entry = own.iter().find(|entry| entry_names(entry, known));
            known.index = entry.map(|entry| entry.index);
        }
        // An entry of someone who just left is on its way for a moment; one that was never announced is not ours.
        let invented = own.iter().any(|entry| {
            let id = id_of(&entry.userid, &entry.clientid);
            id.is_none_or(|id| !self.announced.contains(&id))
        });
        if invented {
            self.complain(ctx, port, Rule::OwnDomain);
        }
    }

    fn take_order(&mut self, roster: &Roster) {
        let mut order: Vec<(u32, Seat)> = self
            .seats
            .iter()
            .filter_map(|(seat, known)| Some((known.index?, seat)))
            .collect();
        order.sort_unstable();
        self.roster.next_index = order.last().map_or(0, |(index, _)| index.saturating_add(1));
        self.roster.order = order.into_iter().map(|(_, seat)| seat).collect();
        self.roster.revision = roster.revision;
        self.roster.started = true;
        let sfts = roster
            .sfts
            .iter()
            .filter(|url| url.len() <= MAX_URL_BYTES)
            .take(8)
            .cloned();
        self.roster.stamp = Stamp {
            timestamp_ms: roster.timestamp,
            seqno: roster.seqno,
            entropy: roster.entropy.chars().take(MAX_ID_BYTES).collect(),
            sfts: sfts.collect(),
        };
    }

    /// No link to the anchor, for long: the member goes on with who is local, in the same order.
    pub(super) fn go_alone(&mut self, ctx: &mut Context, now: Instant) {
        let remote: Vec<Seat> = self.seats.behind(PortNo::UPSTREAM).collect();
        for seat in remote {
            self.vacate(ctx, seat);
        }
        self.order_changed(ctx, now);
    }
}

fn entry_names(entry: &Entry, known: &Participant) -> bool {
    entry.userid == known.id.user.as_str()
        && entry.clientid == known.id.client.as_str()
        && entry.ssrc_audio == known.ssrcs.audio.0
        && entry.ssrc_video == known.ssrcs.video.0
        && known.port().is_none()
}

fn id_of(user: &str, client: &str) -> Option<ParticipantId> {
    Some(ParticipantId {
        user: UserId::parse(user).ok()?,
        client: ClientId::parse(client).ok()?,
    })
}

fn proof_of(proof: &Option<String>) -> Option<String> {
    proof.clone().filter(|proof| proof.len() <= MAX_PROOF_BYTES)
}

impl Described {
    fn announced(announced: &Announced, home: &Domain) -> Option<Described> {
        Some(Described {
            id: id_of(&announced.userid, &announced.clientid)?,
            home: home.clone(),
            index: None,
            ssrcs: SsrcPair {
                audio: Ssrc(announced.ssrc_audio),
                video: Ssrc(announced.ssrc_video),
            },
            muted: announced.muted,
            authenticated: announced.authenticated,
            incarnation: announced.incarnation,
            proof: proof_of(&announced.proof),
        })
    }

    fn entry(entry: &Entry) -> Option<Described> {
        Some(Described {
            id: id_of(&entry.userid, &entry.clientid)?,
            home: Domain::parse(&entry.domain).ok()?,
            index: Some(entry.index),
            ssrcs: SsrcPair {
                audio: Ssrc(entry.ssrc_audio),
                video: Ssrc(entry.ssrc_video),
            },
            muted: entry.muted,
            authenticated: false,
            incarnation: 0,
            proof: proof_of(&entry.proof),
        })
    }

    /// Whether this describes the one we know, in the same session.
    fn is(&self, known: &Participant) -> bool {
        let same_place = self.index.is_none() || self.index == known.index;
        self.id == known.id
            && self.home == known.home
            && self.ssrcs == known.ssrcs
            && self.incarnation == known.incarnation
            && same_place
    }

    fn seated(self, port: PortNo) -> Participant {
        Participant {
            id: self.id,
            home: self.home,
            index: self.index,
            ssrcs: self.ssrcs,
            muted: self.muted,
            props: Props::new(),
            authenticated: self.authenticated,
            incarnation: self.incarnation,
            proof: self.proof,
            place: Whereabouts::Remote(port),
            accepts: SeatSet::default(),
            told: Vec::new(),
            streams: Default::default(),
        }
    }
}

/// Indexes are unique within one roster, and leave room for newcomers where we have to go on alone.
fn sensible_indexes(roster: &Roster) -> bool {
    let mut seen = BTreeSet::new();
    let mut entries = roster.participants.iter();
    entries.all(|entry| entry.index < MAX_INDEX && seen.insert(entry.index))
}
