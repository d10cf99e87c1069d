//! Streams and the flows they travel in between SFTs.
//!
//! A stream enters a link once its publisher has accepted someone behind it, once, with all its layers, and never goes back where
//! it came from.

use std::time::Instant;

use crate::conference::participant::{Origin, Stream, Track};
use crate::conference::port::{Line, PortNo};
use crate::conference::seat::Seat;
use crate::conference::{Conference, Context, Route, Rule};
use crate::ids::{FlowId, LinkId, Ssrc};
use crate::limits::MAX_LINK_FLOWS;
use crate::proto::link::message::{Kind, Layer, Message, Publish, State};

impl Conference {
    /// A local participant sends something new.
    pub(super) fn add_local_stream(&mut self, ctx: &mut Context, now: Instant, seat: Seat, track: Track, ssrc: Ssrc) {
        self.add_stream(ctx, seat, track, Origin::Session(ssrc));
        self.reconcile(ctx, seat);
        self.aim_everyone(now);
    }

    fn add_stream(&mut self, ctx: &mut Context, seat: Seat, track: Track, origin: Origin) {
        self.drop_stream(ctx, seat, track);
        let Some(place) = self
            .seats
            .at_mut(seat)
            .and_then(|known| known.streams.get_mut(track.slot()))
        else {
            return;
        };
        *place = Some(Stream::new(origin));
        if let Origin::Flow(link, flow) = origin {
            let route = Route {
                conference: self.no,
                seat,
                track,
            };
            ctx.flows.received.insert((link, flow), route);
        }
        self.restart_slots(seat, track);
    }

    /// Ends one stream: its flow in, its flows out.
    fn drop_stream(&mut self, ctx: &mut Context, seat: Seat, track: Track) {
        let Some(place) = self
            .seats
            .at_mut(seat)
            .and_then(|known| known.streams.get_mut(track.slot()))
        else {
            return;
        };
        let Some(stream) = place.take() else { return };
        if let Origin::Flow(link, flow) = stream.origin {
            ctx.flows.received.remove(&(link, flow));
        }
        for (port, link, flow) in stream.flows {
            ctx.flows.sent.remove(&(link, flow));
            let line = self.port(port).and_then(|port| port.ready());
            if let Some(line) = line.filter(|line| line.link == link) {
                ctx.say(line, Message::Unpublish { flow: flow.0 });
            }
        }
    }

    /// Ends all streams of a participant.
    pub(super) fn drop_streams(&mut self, ctx: &mut Context, seat: Seat) {
        for track in Track::all() {
            self.drop_stream(ctx, seat, track);
        }
    }

    /// A link is gone or begins anew: what went out over it does not any more.
    pub(super) fn drop_port_flows(&mut self, ctx: &mut Context, port: PortNo) {
        for seat in self.seats.all() {
            for stream in self
                .seats
                .at_mut(seat)
                .into_iter()
                .flat_map(|known| known.streams.iter_mut().flatten())
            {
                stream.flows.retain(|(known, link, flow)| {
                    if *known == port {
                        ctx.flows.sent.remove(&(*link, *flow));
                    }
                    *known != port
                });
            }
        }
    }

    /// Publishes on a link what must be there, and withdraws the rest.
    pub(super) fn reconcile_flows(
        &mut self,
        ctx: &mut Context,
        seat: Seat,
        (port, line): (PortNo, Line),
        wanted: bool,
    ) {
        let no = self.no;
        let Some(participant) = self.seats.at_mut(seat) else {
            return;
        };
        let Some(index) = participant.index else { return };
        for track in Track::all() {
            let Some(stream) = participant.stream_mut(track) else {
                continue;
            };
            let at = stream.flows.iter().position(|(known, ..)| *known == port);
            match (at, wanted) {
                (None, true) => {
                    let flow = ctx.flows.draw();
                    stream.flows.push((port, line.link, flow));
                    ctx.flows.sent.insert(
                        (line.link, flow),
                        Route {
                            conference: no,
                            seat,
                            track,
                        },
                    );
                    ctx.say(line, publish(flow, index, track));
                }
                (Some(at), false) => {
                    let (_, link, flow) = stream.flows.swap_remove(at);
                    ctx.flows.sent.remove(&(link, flow));
                    ctx.say(line, Message::Unpublish { flow: flow.0 });
                }
                _ => {}
            }
        }
    }

    /// A peer publishes a flow.
    pub(super) fn published(&mut self, ctx: &mut Context, now: Instant, port: PortNo, publish: &Publish) {
        let Some(seat) = self.spoken_for(port, publish.participant) else {
            return self.complain(ctx, port, Rule::ForeignParticipant);
        };
        let Some(line) = self.port(port).and_then(|port| port.line()) else {
            return;
        };
        let (flow, track) = (FlowId(publish.flow), Track::new(publish.kind, publish.layer));
        let sensible = flow != FlowId(0) && (publish.kind == Kind::Video || publish.layer == Layer::Only);
        if !sensible {
            return self.complain(ctx, port, Rule::Malformed);
        }
        let route = Route {
            conference: self.no,
            seat,
            track,
        };
        match ctx.flows.received.get(&(line.link, flow)) {
            Some(known) if *known == route => return,
            Some(_) => return self.complain(ctx, port, Rule::FlowReused),
            None if !self.is_new_flow(port, line.link, flow) => return self.complain(ctx, port, Rule::FlowReused),
            None => {}
        }
        if ctx.flows.received.keys().filter(|(link, _)| *link == line.link).count() >= MAX_LINK_FLOWS {
            return self.complain(ctx, port, Rule::Malformed);
        }
        self.add_stream(ctx, seat, track, Origin::Flow(line.link, flow));
        self.reconcile(ctx, seat);
        self.aim_everyone(now);
    }

    /// Datagrams of an old flow may still be on their way: its number must not come again.
    fn is_new_flow(&mut self, port: PortNo, link: LinkId, flow: FlowId) -> bool {
        let Some(port) = self.port_mut(port) else { return false };
        let newest = port.newest_flow.filter(|(known, _)| *known == link);
        let fresh = newest.is_none_or(|(_, newest)| flow > newest);
        if fresh {
            port.newest_flow = Some((link, flow));
        }
        fresh
    }

    /// A peer withdraws a flow.
    pub(super) fn unpublished(&mut self, ctx: &mut Context, now: Instant, port: PortNo, flow: FlowId) {
        let Some(line) = self.port(port).and_then(|port| port.line()) else {
            return;
        };
        let route = ctx.flows.received.get(&(line.link, flow)).copied();
        // It may be gone already, with its participant.
        let Some(route) = route.filter(|route| route.conference == self.no) else {
            return;
        };
        if self.seats.at(route.seat).is_none_or(|known| known.port() != Some(port)) {
            return self.complain(ctx, port, Rule::ForeignParticipant);
        }
        self.drop_stream(ctx, route.seat, route.track);
        self.aim_everyone(now);
    }
}

fn publish(flow: FlowId, participant: u32, track: Track) -> Message {
    Message::Publish(Publish {
        flow: flow.0,
        participant,
        kind: track.kind(),
        layer: track.layer(),
        state: State::Live,
    })
}
