//! How much a relay holds at the moment.

use crate::conference::Conference;
use crate::conference::participant::{Participant, Track};
use crate::proto::link::message::Kind;
use crate::relay::Relay;

/// How much of everything there is: for metrics, the status page, and tests that nothing is left behind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// Conferences.
    pub conferences: usize,
    /// Sessions, open or not.
    pub sessions: usize,
    /// CONFCONNs that wait for an anchor.
    pub waiting: usize,
    /// Participants, local and remote.
    pub participants: usize,
    /// Links, up or about to be.
    pub links: usize,
    /// Conferences' streams on links.
    pub streams: usize,
    /// Flows of all links, both directions.
    pub flows: usize,
    /// Timers that are set.
    pub timers: usize,
}

impl Relay {
    /// How much it holds.
    #[must_use]
    pub fn load(&self) -> Load {
        let flows = &self.ctx.flows;
        Load {
            conferences: self.conferences.len().max(self.by_key.len()).max(self.upstreams.len()),
            sessions: self.sessions.len(),
            waiting: self.waiting.values().map(Vec::len).sum(),
            participants: self.conferences.values().map(seated).sum(),
            links: self.links.len(),
            streams: self.links.values().map(|link| link.streams.len()).sum(),
            flows: flows.received.len() + flows.sent.len(),
            timers: self.timers.len(),
        }
    }
}

impl Relay {
    /// Streams of a kind that participants here and behind links publish; the layers of a video are one.
    #[must_use]
    pub fn published(&self, kind: Kind) -> usize {
        let seats = self.conferences.values().map(Conference::seats);
        let publishers = seats.flat_map(|seats| seats.iter().filter(|(_, one)| publishes(one, kind)));
        publishers.count()
    }
}

fn publishes(participant: &Participant, kind: Kind) -> bool {
    Track::all().any(|track| track.kind() == kind && participant.stream(track).is_some())
}

fn seated(conference: &Conference) -> usize {
    conference.seats().len()
}
