//! What participants tell about themselves, relayed to those they accept.

use std::sync::Arc;

use crate::conference::port::PortNo;
use crate::conference::seat::Seat;
use crate::conference::{Conference, Context, Rule, muted};
use crate::proto::client::{self, Props, props_fit};
use crate::proto::link::message::Message;

impl Conference {
    /// A local client's PROPSYNC.
    pub fn tell(&mut self, ctx: &mut Context, seat: Seat, props: Props) {
        self.props_changed(ctx, seat, props);
    }

    /// A participant's props come over a link.
    pub(super) fn props_elsewhere(&mut self, ctx: &mut Context, port: PortNo, from: u32, props: Props) {
        let Some(seat) = self.spoken_for(port, from) else {
            return self.complain(ctx, port, Rule::ForeignParticipant);
        };
        if props_fit(&props).is_err() {
            return self.complain(ctx, port, Rule::Malformed);
        }
        self.props_changed(ctx, seat, props);
    }

    fn props_changed(&mut self, ctx: &mut Context, seat: Seat, props: Props) {
        let Some(participant) = self.seats.at_mut(seat) else {
            return;
        };
        participant.muted = muted(&props);
        participant.props = props;
        let accepted: Vec<Seat> = participant.accepts.iter().collect();
        self.replay_props(ctx, seat, &accepted);
        for (port, line) in self.ready_ports() {
            let Some(participant) = self.seats.at(seat) else { return };
            let told = participant
                .told
                .iter()
                .any(|(known, told)| *known == port && !told.is_empty());
            if let Some(from) = participant.index.filter(|_| told && participant.port() != Some(port)) {
                ctx.say(
                    line,
                    Message::Props {
                        from,
                        props: participant.props.clone(),
                    },
                );
            }
        }
    }

    /// Gives a participant's props to those of `to` that are local.
    pub(super) fn replay_props(&self, ctx: &mut Context, seat: Seat, to: &[Seat]) {
        let Some(participant) = self.seats.at(seat).filter(|participant| !participant.props.is_empty()) else {
            return;
        };
        let receivers = to.iter().filter_map(|other| self.seats.at(*other)?.receiver());
        let mut sessions = receivers.map(|receiver| receiver.session).peekable();
        if sessions.peek().is_none() {
            return;
        }
        let text: Arc<str> = client::props(&participant.id, &participant.props).into();
        for session in sessions {
            ctx.text(session, Arc::clone(&text));
        }
    }
}
