//! Coming and going of links: leases at the anchor, the way back to the anchor at a member.

use std::time::Instant;

use crate::conference::port::{Line, Port, PortNo, PortState};
use crate::conference::seat::{Seat, SeatSet};
use crate::conference::{Action, Conference, Context, Role, Rule};
use crate::ids::{Domain, NodeName};
use crate::limits::{LEASE_TIMEOUT, LINK_GRACE, MAX_LINKS};
use crate::proto::link::message::{Code, Message};

/// How a conference stands with its anchor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attachment {
    /// We are the anchor.
    Anchor,
    /// `attach` was said, and not answered.
    Asking,
    /// Nothing was said yet: there is no link, or the last word was no.
    Unasked,
    /// The lease is granted.
    Attached,
}

impl Conference {
    /// How the conference stands with its anchor.
    #[must_use]
    pub fn attachment(&self) -> Attachment {
        let Some(port) = self.port(PortNo::UPSTREAM).filter(|_| self.role == Role::Member) else {
            return if self.role == Role::Anchor {
                Attachment::Anchor
            } else {
                Attachment::Unasked
            };
        };
        match port.state {
            PortState::Leased { .. } | PortState::Ready { .. } => Attachment::Attached,
            PortState::Asking { line: Some(_), .. } | PortState::Lost { line: Some(_), .. } => Attachment::Asking,
            PortState::Asking { .. } | PortState::Lost { .. } | PortState::Closed => Attachment::Unasked,
        }
    }

    /// A member asks the anchor for a lease, on a stream that was just opened.
    pub fn ask(&mut self, ctx: &mut Context, now: Instant, line: Line, capability: String) {
        self.want_anchor(now);
        let Some(port) = self.port_mut(PortNo::UPSTREAM) else {
            return;
        };
        port.state = match port.state {
            PortState::Lost { since, .. } => PortState::Lost {
                since,
                line: Some(line),
            },
            PortState::Asking { since, .. } => PortState::Asking {
                since,
                line: Some(line),
            },
            _ => PortState::Asking {
                since: now,
                line: Some(line),
            },
        };
        let conference = self.key.conference.as_str().to_owned();
        ctx.say(line, Message::Attach { conference, capability });
    }

    /// From now on a member waits for its anchor, and goes on alone where that takes longer than [`LINK_GRACE`].
    pub(super) fn want_anchor(&mut self, now: Instant) {
        if self.ports.is_empty() {
            self.ports.push(Port {
                domain: self.key.anchor.clone(),
                node: None,
                url: None,
                state: PortState::Asking { since: now, line: None },
                newest_flow: None,
            });
        }
        self.wake_at(now + LINK_GRACE);
    }

    /// The anchor granted the lease: it hears who is here. Says whether that was asked for.
    pub fn attached(&mut self, ctx: &mut Context, now: Instant, line: Line) -> bool {
        if self.role == Role::Anchor {
            self.wrong_role(ctx, line);
            return false;
        }
        let Some(port) = self.ports.first_mut().filter(|port| port.any_line() == Some(line)) else {
            return false;
        };
        port.state = PortState::Leased { since: now, line };
        self.reset_port(ctx, PortNo::UPSTREAM);
        self.announced.clear();
        if !self.locals.is_empty() {
            self.announce(ctx);
        }
        true
    }

    /// The anchor said no. Says whether that was asked for.
    pub fn refused(&mut self, ctx: &mut Context, now: Instant, line: Line) -> bool {
        if self.role == Role::Anchor {
            self.wrong_role(ctx, line);
            return false;
        }
        self.unasked(now, line)
    }

    /// Only the anchor answers `attach`.
    fn wrong_role(&self, ctx: &mut Context, line: Line) {
        if let Some(port) = self.port_of(line.link, line.stream) {
            self.complain(ctx, port, Rule::WrongRole);
        }
    }

    /// The anchor said no or nothing, or the stream ended: nothing is asked any more. Says whether it was the conference's stream.
    pub fn unasked(&mut self, now: Instant, line: Line) -> bool {
        let Some(port) = self.ports.first_mut().filter(|port| port.any_line() == Some(line)) else {
            return false;
        };
        port.state = match port.state {
            PortState::Lost { since, .. } => PortState::Lost { since, line: None },
            PortState::Asking { since, .. } => PortState::Asking { since, line: None },
            _ => PortState::Lost { since: now, line: None },
        };
        true
    }

    /// The anchor grants a member's node a lease. A lease it had before goes over to the new stream.
    pub fn grant(&mut self, ctx: &mut Context, now: Instant, peer: (Domain, NodeName), line: Line) -> Result<(), Code> {
        let (domain, node) = peer;
        let known = self
            .ports
            .iter()
            .position(|port| port.domain == domain && port.node.as_ref() == Some(&node));
        let closed = || self.ports.iter().position(|port| port.state == PortState::Closed);
        let state = PortState::Leased { since: now, line };
        let port = Port {
            domain,
            node: Some(node),
            url: None,
            state,
            newest_flow: known.and_then(|at| self.ports.get(at)?.newest_flow),
        };
        let at = match known.or_else(closed) {
            Some(at) => at,
            None if self.ports.len() >= MAX_LINKS => return Err(Code::Limit),
            None => self.ports.len(),
        };
        let no = PortNo(u16::try_from(at).map_err(|_| Code::Limit)?);
        match self.port_mut(no) {
            Some(place) => {
                let old = std::mem::replace(place, port);
                if let Some(line) = old.any_line() {
                    ctx.actions.push_back(Action::Finish { line });
                }
            }
            None => self.ports.push(port),
        }
        self.reset_port(ctx, no);
        self.wake_at(now + LEASE_TIMEOUT);
        ctx.say(
            line,
            Message::Attached {
                revision: self.roster.revision,
            },
        );
        Ok(())
    }

    /// A new exchange begins: neither side relies on what was said on an older stream.
    fn reset_port(&mut self, ctx: &mut Context, no: PortNo) {
        self.forget_told(no);
        self.drop_port_flows(ctx, no);
        for seat in self.seats.behind(no).collect::<Vec<Seat>>() {
            self.drop_streams(ctx, seat);
            if let Some(participant) = self.seats.at_mut(seat) {
                participant.accepts = SeatSet::default();
            }
        }
    }

    /// A stream ended without a word: rosters stay as they are for [`LINK_GRACE`].
    pub fn line_lost(&mut self, ctx: &mut Context, now: Instant, line: Line) {
        let Some(no) = self.port_of(line.link, line.stream) else {
            return;
        };
        if self.role == Role::Member {
            self.unasked(now, line);
        } else if let Some(port) = self.port_mut(no) {
            port.state = PortState::Lost { since: now, line: None };
        }
        self.drop_port_flows(ctx, no);
        for seat in self.seats.behind(no).collect::<Vec<Seat>>() {
            self.drop_streams(ctx, seat);
        }
        self.wake_at(now + LINK_GRACE);
    }

    /// The peer ended the exchange in order.
    pub(super) fn detached(&mut self, ctx: &mut Context, now: Instant, no: PortNo) {
        let Some(line) = self.port(no).and_then(Port::any_line) else {
            return;
        };
        ctx.actions.push_back(Action::Finish { line });
        self.drop_port_flows(ctx, no);
        match self.role {
            Role::Anchor => self.port_gone(ctx, now, no),
            Role::Member => {
                self.unasked(now, line);
                self.wake_at(now + LINK_GRACE);
            }
        }
    }

    /// A member is gone for good: those behind it leave.
    fn port_gone(&mut self, ctx: &mut Context, now: Instant, no: PortNo) {
        if let Some(port) = self.port_mut(no) {
            port.state = PortState::Closed;
        }
        let behind: Vec<Seat> = self.seats.behind(no).collect();
        for seat in &behind {
            self.vacate(ctx, *seat);
        }
        if !behind.is_empty() {
            self.order_changed(ctx, now);
        }
    }

    /// Whether a member goes on without its anchor.
    pub(super) fn alone(&self) -> bool {
        self.roster.alone
    }

    pub(super) fn ports_timeout(&mut self, ctx: &mut Context, now: Instant) {
        for at in 0..self.ports.len() {
            let Ok(no) = u16::try_from(at).map(PortNo) else { break };
            let Some(state) = self.port(no).map(|port| port.state) else {
                break;
            };
            match state {
                PortState::Lost { since, .. } | PortState::Asking { since, .. } => {
                    self.grace_timeout(ctx, now, no, since);
                }
                PortState::Leased { since, line } if self.role == Role::Anchor => {
                    self.lease_timeout(ctx, now, no, (since, line));
                }
                _ => {}
            }
        }
    }

    fn grace_timeout(&mut self, ctx: &mut Context, now: Instant, no: PortNo, since: Instant) {
        let due = since + LINK_GRACE;
        if now < due {
            return self.wake_at(due);
        }
        match self.role {
            Role::Anchor => self.port_gone(ctx, now, no),
            Role::Member if !self.roster.alone => {
                self.roster.alone = true;
                self.go_alone(ctx, now);
            }
            Role::Member => {}
        }
    }

    fn lease_timeout(&mut self, ctx: &mut Context, now: Instant, no: PortNo, lease: (Instant, Line)) {
        let (since, line) = lease;
        if now < since + LEASE_TIMEOUT {
            return self.wake_at(since + LEASE_TIMEOUT);
        }
        ctx.say(line, Message::Detach { code: Code::Limit });
        ctx.actions.push_back(Action::Finish { line });
        self.port_gone(ctx, now, no);
    }

    /// The ports over which changes cross.
    pub(super) fn ready_ports(&self) -> impl Iterator<Item = (PortNo, Line)> + '_ {
        (0..)
            .map(PortNo)
            .zip(&self.ports)
            .filter_map(|(no, port)| Some((no, port.ready()?)))
    }
}
