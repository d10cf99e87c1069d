//! Links: from the handshake to `hello`, which of two is kept, and whose frame is whose.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;

use crate::conference::ConferenceNo;
use crate::conference::port::Line;
use crate::federation::hello::{self, Greeted};
use crate::federation::{Command, Event, Side};
use crate::ids::{Domain, LinkId, NodeName, StreamId};
use crate::limits::{HELLO_TIMEOUT, MAX_FRAMES_BEFORE_HELLO, REDIAL_FIRST, REDIAL_MAX};
use crate::proto::link::message::{Code, Hello, Message};
use crate::relay::{Output, Relay, Timer};

/// A link.
#[derive(Debug)]
pub(super) struct Link {
    /// The proven domain.
    pub(super) peer: Domain,
    side: Side,
    /// What the peer said of itself; `None`: nothing yet, the link is not up.
    pub(super) greeted: Option<Greeted>,
    /// Which conference a stream is of.
    pub(super) streams: BTreeMap<StreamId, ConferenceNo>,
    next_stream: u64,
    // What overtook the acceptor's `hello`: streams do not wait for each other. ≤ MAX_FRAMES_BEFORE_HELLO
    early: Vec<(StreamId, Message)>,
}

/// Who is at the other end.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) peer: Domain,
    pub(super) node: NodeName,
}

/// What is tried to reach a peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    dialling: Dialling,
    pause: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Dialling {
    #[default]
    No,
    /// A handshake is under way.
    Now,
    /// The last one failed; a timer is set.
    Later,
}

impl Link {
    /// The id for the next stream that we open: odd, never given again.
    pub(super) fn next_stream(&mut self) -> StreamId {
        self.next_stream += 2;
        StreamId(self.next_stream - 2)
    }

    /// Who is at the other end, once it said so.
    pub(super) fn greeting(&self) -> Option<Greeting> {
        Some(Greeting {
            peer: self.peer.clone(),
            node: self.greeted.as_ref()?.node.clone(),
        })
    }
}

impl Relay {
    pub(super) fn link_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Up { link, peer, side, .. } => self.link_up(now, link, peer, side),
            Event::DialFailed { peer, code } => self.dial_failed(now, &peer, code),
            Event::Frame { link, stream, message } => self.frame(now, Line { link, stream }, message),
            Event::StreamClosed { link, stream } => self.stream_closed(now, Line { link, stream }),
            // Datagrams are cut by the shell; it knows their size.
            Event::DatagramSize { .. } => {}
            Event::Down { link, code } => self.link_down(now, link, code),
        }
    }

    fn link_up(&mut self, now: Instant, id: LinkId, peer: Domain, side: Side) {
        if !self.peers.contains_key(&peer) {
            return self.command(Command::Close {
                link: id,
                code: Code::Unlisted,
            });
        }
        let link = Link {
            peer,
            side,
            greeted: None,
            streams: BTreeMap::new(),
            next_stream: 1,
            early: Vec::new(),
        };
        self.links.insert(id, link);
        self.timers.insert((now + HELLO_TIMEOUT, Timer::Hello(id)));
        if side == Side::Dialled {
            self.command(Command::Open {
                link: id,
                stream: StreamId::LINK,
            });
            self.say_hello(id);
        }
    }

    fn say_hello(&mut self, link: LinkId) {
        let hello = hello::hello(&self.config.domain, &self.config.node, self.config.boot);
        self.command(Command::Frame {
            link,
            stream: StreamId::LINK,
            message: Message::Hello(hello),
        });
    }

    pub(super) fn hello_timeout(&mut self, id: LinkId) {
        if self.links.get(&id).is_some_and(|link| link.greeted.is_none()) {
            self.command(Command::Close {
                link: id,
                code: Code::Protocol,
            });
        }
    }

    fn frame(&mut self, now: Instant, line: Line, message: Message) {
        let Some(link) = self.links.get_mut(&line.link) else {
            return;
        };
        let greeted = link.greeted.is_some();
        let room = link.side == Side::Dialled && link.early.len() < MAX_FRAMES_BEFORE_HELLO;
        match (line.stream, message) {
            (StreamId::LINK, Message::Hello(said)) if !greeted => self.greeted(now, line.link, &said),
            (StreamId::LINK, _) if greeted => {}
            (StreamId::LINK, _) => self.command(Command::Close {
                link: line.link,
                code: Code::Protocol,
            }),
            (_, message) if greeted => self.conference_frame(now, line, message),
            (stream, message) if room => link.early.push((stream, message)),
            // A dialler has our `hello` before it opens another stream, and says its own before that.
            _ => self.command(Command::Close {
                link: line.link,
                code: Code::Protocol,
            }),
        }
    }

    fn greeted(&mut self, now: Instant, id: LinkId, said: &Hello) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (peer, side) = (link.peer.clone(), link.side);
        match hello::judge(said, &peer) {
            Ok(greeted) => link.greeted = Some(greeted),
            Err(code) => {
                self.command(Command::Close { link: id, code });
                return self.outputs.push_back(Output::PeerRefused { peer, code });
            }
        }
        if side == Side::Accepted {
            self.say_hello(id);
        }
        if let Some(known) = self.peers.get_mut(&peer) {
            *known = Peer::default();
        }
        if self.keep_one(id) {
            self.link_ready(now, &peer);
        }
        self.catch_up(now, id);
    }

    /// Takes what came before `hello`.
    fn catch_up(&mut self, now: Instant, id: LinkId) {
        let link = self.links.get_mut(&id);
        let early = link.map(|link| std::mem::take(&mut link.early));
        for (stream, message) in early.unwrap_or_default() {
            self.conference_frame(now, Line { link: id, stream }, message);
        }
    }

    /// Two links to one node: a newer process replaces the old one's; otherwise the one dialled by the smaller name stays.
    /// Says whether `id` stays.
    fn keep_one(&mut self, id: LinkId) -> bool {
        let Some(link) = self.links.get(&id) else { return false };
        let Some(new) = link.greeted.clone() else { return false };
        let same = |other: &&LinkId| {
            let other = self.links.get(other).filter(|other| other.peer == link.peer);
            other
                .and_then(|other| other.greeted.as_ref())
                .is_some_and(|known| known.node == new.node)
        };
        let others: Vec<LinkId> = self
            .links
            .keys()
            .filter(|other| **other != id)
            .filter(same)
            .copied()
            .collect();
        let mut stays = true;
        for other in others {
            let loser = self.loser(id, other);
            stays &= loser != id;
            self.command(Command::Close {
                link: loser,
                code: Code::DuplicateLink,
            });
        }
        stays
    }

    fn loser(&self, new: LinkId, old: LinkId) -> LinkId {
        let boot = |id| {
            self.links
                .get(&id)
                .and_then(|link: &Link| link.greeted.as_ref())
                .map(|greeted| greeted.boot)
        };
        if boot(new) != boot(old) {
            return if boot(new) > boot(old) { old } else { new };
        }
        let side = |id| self.links.get(&id).map(|link: &Link| link.side);
        if side(new) == side(old) {
            return old;
        }
        let we_are_smaller = self.links.get(&new).is_some_and(|link| {
            let node = link.greeted.as_ref().map(|greeted| &greeted.node);
            (&self.config.domain, Some(&self.config.node)) < (&link.peer, node)
        });
        let kept = if we_are_smaller { Side::Dialled } else { Side::Accepted };
        if side(new) == Some(kept) { old } else { new }
    }

    fn conference_frame(&mut self, now: Instant, line: Line, message: Message) {
        match message {
            Message::Attach { conference, capability } => {
                let fresh = self
                    .links
                    .get(&line.link)
                    .is_some_and(|link| !link.streams.contains_key(&line.stream));
                if fresh {
                    self.lease(now, line, &conference, &capability);
                }
            }
            Message::Attached { .. } => self.attach_granted(now, line),
            Message::Refused {
                code, retry_after_ms, ..
            } => {
                self.attach_refused(now, line, code, retry_after_ms.map(Duration::from_millis));
            }
            message => self.pass_on(now, line, message),
        }
    }

    fn pass_on(&mut self, now: Instant, line: Line, message: Message) {
        let Some(no) = self.asking_on(line) else { return };
        self.touched.insert(no);
        let Some(conference) = self.conferences.get_mut(&no) else {
            return;
        };
        let detached = matches!(message, Message::Detach { .. });
        conference.frame(&mut self.ctx, now, line, message);
        if detached {
            self.ask_later(now, no, None);
        }
    }

    fn stream_closed(&mut self, now: Instant, line: Line) {
        if line.stream == StreamId::LINK {
            return self.command(Command::Close {
                link: line.link,
                code: Code::Protocol,
            });
        }
        // Where it was the framing that broke, the peer has to hear that nobody reads any more.
        let known = self
            .links
            .get_mut(&line.link)
            .and_then(|link| link.streams.remove(&line.stream));
        self.command(Command::Finish {
            link: line.link,
            stream: line.stream,
        });
        if let Some(no) = known {
            self.line_lost(now, no, line);
        }
    }

    fn line_lost(&mut self, now: Instant, no: ConferenceNo, line: Line) {
        self.touched.insert(no);
        if let Some(conference) = self.conferences.get_mut(&no) {
            conference.line_lost(&mut self.ctx, now, line);
            self.ask_later(now, no, None);
        }
    }

    fn link_down(&mut self, now: Instant, id: LinkId, code: Option<Code>) {
        let Some(link) = self.links.remove(&id) else { return };
        for (stream, no) in &link.streams {
            self.line_lost(
                now,
                *no,
                Line {
                    link: id,
                    stream: *stream,
                },
            );
        }
        self.ctx.flows.received.retain(|(other, _), _| *other != id);
        self.ctx.flows.sent.retain(|(other, _), _| *other != id);
        if self.link_to(&link.peer).is_some() {
            return self.link_ready(now, &link.peer);
        }
        // Another link to the same node was kept, and is about to say `hello`.
        if code == Some(Code::DuplicateLink) && self.links.values().any(|other| other.peer == link.peer) {
            return;
        }
        // It failed before anyone said who he is: the peer did not take our certificate, or has gone.
        if link.greeted.is_none() && link.side == Side::Dialled {
            return self.dial_failed(now, &link.peer, code);
        }
        if self.wanted(&link.peer) {
            self.want_link(&link.peer);
        }
    }

    /// A link over which conferences can be reached at this domain.
    pub(super) fn link_to(&self, domain: &Domain) -> Option<LinkId> {
        let up = |link: &&Link| link.peer == *domain && link.greeted.is_some();
        self.links.iter().find(|(_, link)| up(link)).map(|(id, _)| *id)
    }

    /// Dials, unless that is under way or a pause is on.
    pub(super) fn want_link(&mut self, domain: &Domain) {
        let Some(peer) = self.peers.get_mut(domain).filter(|peer| peer.dialling == Dialling::No) else {
            return;
        };
        peer.dialling = Dialling::Now;
        self.command(Command::Dial { peer: domain.clone() });
    }

    fn dial_failed(&mut self, now: Instant, domain: &Domain, code: Option<Code>) {
        self.link_unreachable(domain, code);
        let Some(peer) = self.peers.get_mut(domain) else { return };
        let pause = peer.pause.map_or(REDIAL_FIRST, |pause| (pause * 2).min(REDIAL_MAX));
        *peer = Peer {
            dialling: Dialling::Later,
            pause: Some(pause),
        };
        let at = now + self.jittered(pause);
        self.timers.insert((at, Timer::Redial(domain.clone())));
    }

    pub(super) fn redial(&mut self, domain: &Domain) {
        let Some(peer) = self
            .peers
            .get_mut(domain)
            .filter(|peer| peer.dialling == Dialling::Later)
        else {
            return;
        };
        peer.dialling = Dialling::No;
        if self.wanted(domain) && self.link_to(domain).is_none() {
            if let Some(peer) = self.peers.get_mut(domain) {
                peer.dialling = Dialling::Now;
            }
            self.command(Command::Dial { peer: domain.clone() });
        }
    }

    /// A local participant needs this peer.
    fn wanted(&self, domain: &Domain) -> bool {
        !self.upstreams_of(domain).is_empty()
    }

    /// A pause, up to a quarter longer, so that many do not come at once.
    pub(super) fn jittered(&mut self, pause: Duration) -> Duration {
        pause.mul_f64(1.0 + self.ctx.rng.random_range(0.0..0.25))
    }
}
