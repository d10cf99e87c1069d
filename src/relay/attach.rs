//! A member's way to its anchor: dial, attach, try again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::conference::port::Line;
use crate::conference::{Action, Attachment, Conference, ConferenceNo};
use crate::federation::Command;
use crate::federation::capability::Tuple;
use crate::ids::{Domain, LinkId, StreamId};
use crate::limits::{ATTACH_TIMEOUT, REDIAL_FIRST, REDIAL_MAX};
use crate::proto::link::message::{Code, Message};
use crate::relay::links::Greeting;
use crate::relay::{Refusal, Relay, Timer};

/// What a member knows of the way to one conference's anchor.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) domain: Domain,
    pub(super) capability: String,
    // The pause before the next question.
    pause: Duration,
    // When it is due; `None`: none is planned. One question at a time, however many things made it necessary.
    next: Option<Instant>,
}

impl Relay {
    /// Remembers the tuple that a client brought: the first one counts, clients keep it for the whole call.
    pub(super) fn upstream(&mut self, no: ConferenceNo, tuple: Tuple) {
        self.upstreams.entry(no).or_insert(Upstream {
            domain: tuple.domain,
            capability: tuple.capability,
            pause: REDIAL_FIRST,
            next: None,
        });
    }

    /// The planned question is due, unless another has taken its place.
    pub(super) fn ask_due(&mut self, now: Instant, no: ConferenceNo) {
        let planned = self
            .upstreams
            .get_mut(&no)
            .filter(|upstream| upstream.next.is_some_and(|next| next <= now));
        if let Some(upstream) = planned {
            upstream.next = None;
            self.ask_anchor(now, no);
        }
    }

    /// Asks the anchor for a lease, or for a link to ask over.
    pub(super) fn ask_anchor(&mut self, now: Instant, no: ConferenceNo) {
        self.touched.insert(no);
        let Some(upstream) = self.upstreams.get(&no) else {
            return;
        };
        let Some(conference) = self.conferences.get(&no) else {
            return;
        };
        if conference.attachment() != Attachment::Unasked {
            return;
        }
        let (domain, capability) = (upstream.domain.clone(), upstream.capability.clone());
        match self.link_to(&domain) {
            Some(link) => {
                let line = self.open_stream(link, no);
                self.timers.insert((now + ATTACH_TIMEOUT, Timer::Answer(no, line)));
                if let Some(conference) = self.conferences.get_mut(&no) {
                    conference.ask(&mut self.ctx, now, line, capability);
                }
            }
            None => self.want_link(&domain),
        }
    }

    /// Nobody waits for this answer any longer: the stream ends, and the anchor is asked on another one later.
    pub(super) fn answer_timeout(&mut self, now: Instant, no: ConferenceNo, line: Line) {
        self.touched.insert(no);
        let Some(conference) = self.conferences.get_mut(&no) else {
            return;
        };
        if conference.attachment() == Attachment::Asking && conference.unasked(now, line) {
            self.finish(line);
            self.ask_later(now, no, None);
        }
    }

    /// Opens a conference's stream on a link.
    fn open_stream(&mut self, link: LinkId, no: ConferenceNo) -> Line {
        let stream = self.links.get_mut(&link).map_or(StreamId(1), |link| {
            let stream = link.next_stream();
            link.streams.insert(stream, no);
            stream
        });
        self.command(Command::Open { link, stream });
        Line { link, stream }
    }

    /// A link to this domain is up: every conference that needs it asks.
    pub(super) fn link_ready(&mut self, now: Instant, domain: &Domain) {
        for no in self.upstreams_of(domain) {
            if let Some(upstream) = self.upstreams.get_mut(&no) {
                upstream.pause = REDIAL_FIRST;
            }
            self.ask_anchor(now, no);
        }
    }

    /// The conferences anchored at a domain that are members here.
    pub(super) fn upstreams_of(&self, domain: &Domain) -> Vec<ConferenceNo> {
        self.upstreams
            .iter()
            .filter(|(_, upstream)| upstream.domain == *domain)
            .map(|(no, _)| *no)
            .collect()
    }

    /// The conference whose upstream uses this stream.
    pub(super) fn asking_on(&self, line: Line) -> Option<ConferenceNo> {
        self.links.get(&line.link)?.streams.get(&line.stream).copied()
    }

    pub(super) fn attach_granted(&mut self, now: Instant, line: Line) {
        let Some(no) = self.asking_on(line) else { return };
        self.touched.insert(no);
        let Some(conference) = self.conferences.get_mut(&no) else {
            return;
        };
        if conference.attached(&mut self.ctx, now, line) {
            if let Some(upstream) = self.upstreams.get_mut(&no) {
                upstream.pause = REDIAL_FIRST;
            }
            self.release_waiting(no);
        }
    }

    pub(super) fn attach_refused(&mut self, now: Instant, line: Line, code: Code, retry_after: Option<Duration>) {
        let Some(no) = self.asking_on(line) else { return };
        let ours = self
            .conferences
            .get_mut(&no)
            .is_some_and(|conference| conference.refused(&mut self.ctx, now, line));
        if ours {
            self.ctx.actions.push_back(Action::Finish { line });
            self.refuse_waiting(no, Refusal::Anchor(code));
            self.ask_later(now, no, retry_after);
        }
    }

    /// Asks again after a pause that grows, or the one that the anchor named.
    pub(super) fn ask_later(&mut self, now: Instant, no: ConferenceNo, named: Option<Duration>) {
        let Some(upstream) = self.upstreams.get_mut(&no) else {
            return;
        };
        let pause = named.map_or(upstream.pause, |named| named.clamp(REDIAL_FIRST, REDIAL_MAX));
        upstream.pause = (upstream.pause * 2).min(REDIAL_MAX);
        let at = now + self.jittered(pause);
        if let Some(upstream) = self
            .upstreams
            .get_mut(&no)
            .filter(|upstream| upstream.next.is_none_or(|next| next <= now))
        {
            upstream.next = Some(at);
            self.timers.insert((at, Timer::Ask(no)));
        }
    }

    /// A link cannot be had for now: those who wait hear why, if it is known; those in a call wait for the next try.
    pub(super) fn link_unreachable(&mut self, domain: &Domain, code: Option<Code>) {
        for no in self.upstreams_of(domain) {
            if let Some(code) = code {
                self.refuse_waiting(no, Refusal::Anchor(code));
            }
        }
    }

    /// Ends a stream of a link: it belongs to no conference any more.
    pub(super) fn finish(&mut self, line: Line) {
        let known = self
            .links
            .get_mut(&line.link)
            .and_then(|link| link.streams.remove(&line.stream));
        if known.is_some() || self.links.contains_key(&line.link) {
            self.command(Command::Finish {
                link: line.link,
                stream: line.stream,
            });
        }
    }

    /// Drops those of the conferences in which nobody is.
    pub(super) fn drop_idle(&mut self, touched: &BTreeSet<ConferenceNo>) {
        for no in touched {
            let idle = self.conferences.get(no).is_some_and(Conference::is_idle);
            if !idle || self.in_use(*no) {
                continue;
            }
            self.upstreams.remove(no);
            if let Some(mut conference) = self.conferences.remove(no) {
                self.by_key.remove(conference.key());
                conference.close(&mut self.ctx, Code::UnknownConference);
            }
        }
    }

    /// A member's node asks for a lease on one of our conferences.
    pub(super) fn lease(&mut self, now: Instant, line: Line, conference: &str, capability: &str) {
        let verdict = self.granted(now, line, conference, capability);
        let Err(code) = verdict else { return };
        if let Some(link) = self.links.get_mut(&line.link) {
            link.streams.remove(&line.stream);
        }
        let retry_after_ms = (code == Code::UnknownConference).then_some(UNKNOWN_RETRY_MS);
        let message = Message::Refused {
            code,
            retry_after_ms,
            node: None,
        };
        self.command(Command::Frame {
            link: line.link,
            stream: line.stream,
            message,
        });
        self.command(Command::Finish {
            link: line.link,
            stream: line.stream,
        });
        if let Some(link) = self.links.get(&line.link) {
            let peer = link.peer.clone();
            self.outputs.push_back(crate::relay::Output::PeerRefused { peer, code });
        }
    }

    fn granted(&mut self, now: Instant, line: Line, conference: &str, capability: &str) -> Result<(), Code> {
        use crate::federation::capability::verify;
        use crate::ids::{ConferenceId, ConferenceKey};
        let conference = ConferenceId::parse(conference).map_err(|_| Code::Protocol)?;
        if !verify(
            &self.config.capability_keys,
            &self.config.domain,
            &conference,
            capability,
        ) {
            return Err(Code::BadCapability);
        }
        let key = ConferenceKey {
            conference,
            anchor: self.config.domain.clone(),
        };
        let no = *self.by_key.get(&key).ok_or(Code::UnknownConference)?;
        let link = self.links.get_mut(&line.link).ok_or(Code::Protocol)?;
        let Greeting { peer, node } = link.greeting().ok_or(Code::Protocol)?;
        link.streams.insert(line.stream, no);
        self.touched.insert(no);
        let conference = self.conferences.get_mut(&no).ok_or(Code::UnknownConference)?;
        conference.grant(&mut self.ctx, now, (peer, node), line)
    }
}

/// A caller's SFT that restarted knows its conference again as soon as its first client is back.
const UNKNOWN_RETRY_MS: u64 = 1000;
