//! What the log says of links: each that comes and goes, and what is tried again and again at most once a minute. No addresses.

use std::collections::HashMap;
use std::time::Instant;

use crate::federation::Event;
use crate::ids::{Domain, LinkId};
use crate::proto::link::message::Code;
use crate::relay::Rule;
use crate::worker::seldom::Seldom;

/// What was told of links so far.
#[derive(Debug, Default)]
pub struct LinkLog {
    // As many as there are links; `net::quic` bounds those.
    links: HashMap<LinkId, Known>,
    failures: Seldom<(Domain, Option<Code>)>,
    refusals: Seldom<(Domain, Code)>,
    violations: Seldom<(Domain, Rule)>,
}

#[derive(Debug)]
struct Known {
    peer: Domain,
    is_up: bool,
}

impl LinkLog {
    /// Learns of an event.
    pub fn learn(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Up { link, peer, .. } => {
                let known = Known {
                    peer: peer.clone(),
                    is_up: false,
                };
                self.links.insert(*link, known);
            }
            Event::Down { link, code } => self.gone(now, *link, *code),
            Event::DialFailed { peer, code } => self.failed(now, peer, *code),
            Event::Frame { .. } | Event::StreamClosed { .. } | Event::DatagramSize { .. } => {}
        }
    }

    /// The peer said `hello`, and the relay likes it: a link is up by that, not before. May be told again.
    pub fn up(&mut self, link: LinkId) {
        let Some(known) = self.links.get_mut(&link).filter(|known| !known.is_up) else {
            return;
        };
        known.is_up = true;
        tracing::info!(link = link.0, peer = known.peer.as_str(), "a link is up");
    }

    fn gone(&mut self, now: Instant, link: LinkId, code: Option<Code>) {
        let Some(known) = self.links.remove(&link) else { return };
        if !known.is_up {
            return self.failed(now, &known.peer, code);
        }
        tracing::info!(
            link = link.0,
            peer = known.peer.as_str(),
            code = word(code),
            "a link is gone"
        );
    }

    fn failed(&mut self, now: Instant, peer: &Domain, code: Option<Code>) {
        if let Some(left_out) = self.failures.say(now, (peer.clone(), code)) {
            tracing::warn!(
                peer = peer.as_str(),
                code = word(code),
                left_out,
                "a link did not come up"
            );
        }
    }

    /// Tells that a peer, or a lease of one, was refused here.
    pub fn refused(&mut self, now: Instant, peer: &Domain, code: Code) {
        if let Some(left_out) = self.refusals.say(now, (peer.clone(), code)) {
            tracing::warn!(
                peer = peer.as_str(),
                code = code.as_str(),
                left_out,
                "a peer was refused"
            );
        }
    }

    /// Tells that a peer did what its domain may not.
    pub fn violation(&mut self, now: Instant, peer: &Domain, rule: Rule) {
        if let Some(left_out) = self.violations.say(now, (peer.clone(), rule)) {
            tracing::warn!(
                peer = peer.as_str(),
                rule = rule.as_str(),
                left_out,
                "a peer went beyond its authority"
            );
        }
    }
}

fn word(code: Option<Code>) -> &'static str {
    code.map_or("silent", Code::as_str)
}
