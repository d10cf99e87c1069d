//! The shell's part: doing what relays want, and links as `net::quic` keeps them.

use std::time::{Duration, Instant};

use anchor_sft::federation::{Command, Event as LinkEvent, Side};
use anchor_sft::ids::{LinkId, StreamId};
use anchor_sft::proto::link::frame;
use anchor_sft::proto::link::message::{Code, Message};
use anchor_sft::relay::{Input, Output};

use crate::cable::{Bytes, Cable, Stream, encoded};
use crate::client::Leg;
use crate::world::{ACCESS, Event, World};

/// A handshake that nobody answers is given up (`limits::HANDSHAKE_TIMEOUT`); until then its first packet is sent again.
const HANDSHAKE: Duration = Duration::from_secs(5);
const HANDSHAKE_RETRY: Duration = Duration::from_millis(500);
/// A link over which nothing comes is gone after this.
pub const IDLE: Duration = Duration::from_secs(4);
/// How soon QUIC tries again on a path that is cut.
const WIRE_RETRY: Duration = Duration::from_millis(100);

impl World {
    /// Does what a relay wants.
    pub fn carry_out(&mut self, sft: usize) {
        while let Some(output) = self.sfts[sft].poll() {
            match output {
                Output::Offer(offer) => self.offer(sft, &offer),
                Output::Refuse { request, reason, .. } => {
                    let (client, attempt) = self.sfts[sft]
                        .requests
                        .remove(&request)
                        .expect("a request is answered once");
                    self.note(
                        ACCESS,
                        Event::Refused {
                            client,
                            attempt,
                            refusal: reason,
                        },
                    );
                }
                Output::Text { session, text } => {
                    self.for_session(sft, session, |client, leg| Event::ToClient { client, leg, text })
                }
                Output::Pli { session, ssrc } => {
                    self.sfts[sft].plis += 1;
                    self.for_session(sft, session, |client, leg| Event::Pli { client, leg, ssrc });
                }
                Output::End { session, reason } => {
                    self.for_session(sft, session, |client, leg| Event::Closed { client, leg, reason });
                    if let Some((client, _)) = self.sfts[sft].sessions.remove(&session) {
                        self.checks.closed(
                            self.clock.now(),
                            client,
                            Leg {
                                sft,
                                boot: self.sfts[sft].boot,
                                session,
                            },
                        );
                    }
                }
                Output::Link(command) => self.obey(sft, command),
                Output::Violation { peer, rule } => *self.sfts[sft].violations.entry((peer, rule)).or_default() += 1,
                Output::PeerRefused { peer, code } => self.sfts[sft].refused.push((peer, code)),
            }
        }
    }

    fn for_session(
        &mut self,
        sft: usize,
        session: anchor_sft::ids::SessionId,
        event: impl FnOnce(usize, Leg) -> Event,
    ) {
        let leg = Leg {
            sft,
            boot: self.sfts[sft].boot,
            session,
        };
        let Some(&(client, _)) = self.sfts[sft].sessions.get(&session) else {
            panic!("seed {}: a word to a session that is over", self.seed);
        };
        self.note(ACCESS, event(client, leg));
    }

    fn obey(&mut self, sft: usize, command: Command) {
        match command {
            Command::Dial { peer } => {
                let to = self
                    .sfts
                    .iter()
                    .position(|sft| sft.domain == peer)
                    .expect("only peers are dialled");
                let now = self.clock.now();
                self.sfts[sft].dials += 1;
                if self.sfts[sft].dialling.insert(to) {
                    let travel = self.net.travel() * 3;
                    self.note(
                        travel,
                        Event::Dial {
                            from: sft,
                            to,
                            since: now,
                        },
                    );
                }
            }
            Command::Open { link, stream } => {
                if let Some((cable, end)) = self.live(sft, link) {
                    self.cables[cable].open(end, stream);
                }
            }
            Command::Frame { link, stream, message } => self.write(sft, (link, stream), &message),
            Command::Finish { link, stream } => {
                if let Some((cable, end)) = self.live(sft, link)
                    && let Some(at) = self.cables[cable].stream(end, stream)
                    && self.cables[cable].finish(end, at)
                {
                    self.on_the_wire(cable, at, 1 - end);
                }
            }
            Command::Datagram { .. } => panic!("media does not come this way"),
            Command::Close { link, code } => {
                if let Some((cable, end)) = self.live(sft, link) {
                    self.close(cable, end, code);
                }
            }
        }
    }

    fn write(&mut self, sft: usize, (link, stream): (LinkId, StreamId), message: &Message) {
        let Some((cable, end)) = self.live(sft, link) else {
            return;
        };
        let json = frame::encode(message)
            .expect("what a relay says fits in a frame")
            .split_off(4)
            .to_vec();
        let unsaid = self.sfts[sft].unsaid.map(|kind| format!("{{\"type\":\"{kind}\""));
        if unsaid.is_some_and(|kind| json.starts_with(kind.as_bytes())) {
            return;
        }
        let json = encoded(json, self.sfts[sft].mischief.as_mut());
        self.put(cable, end, stream, json);
    }

    /// Puts bytes on a stream, as the end calls it.
    pub fn put(&mut self, cable: usize, end: usize, stream: StreamId, json: Vec<u8>) {
        let at = self.cables[cable].stream(end, stream);
        let at = at.expect("a stream is opened before it is written to");
        self.frames += 1;
        if self.cables[cable].write(end, at, json) {
            self.on_the_wire(cable, at, 1 - end);
        }
    }

    fn on_the_wire(&mut self, cable: usize, stream: usize, end: usize) {
        let travel = self.net.frame();
        self.note(travel, Event::Wire { cable, stream, end });
    }

    pub fn wire(&mut self, cable: usize, at: usize, end: usize) {
        let here = &self.cables[cable].ends[end];
        let (sft, link, up) = (here.sft, here.link, here.up);
        if !up || self.sfts[sft].boot != here.boot {
            return;
        }
        let there = self.cables[cable].ends[1 - end].sft;
        if self.net.is_cut(sft, there) {
            return self.note(WIRE_RETRY, Event::Wire { cable, stream: at, end });
        }
        let stream = self.cables[cable].streams[at].ids[end];
        let event = match self.cables[cable].arrive(end, at) {
            None => return,
            Some(Bytes::Frame(json)) => match frame::parse(&json) {
                Ok(message) => LinkEvent::Frame { link, stream, message },
                Err(_) => {
                    // The reader stops; the relay decides what becomes of the stream.
                    self.cables[cable].streams[at].reads[end] = false;
                    LinkEvent::StreamClosed { link, stream }
                }
            },
            Some(Bytes::Fin) => LinkEvent::StreamClosed { link, stream },
        };
        self.link_input(sft, event);
    }

    /// A handshake goes on.
    pub fn dial(&mut self, from: usize, to: usize, since: Instant) {
        if !self.sfts[from].dialling.contains(&to) {
            return;
        }
        let (peer, our) = (self.sfts[to].domain.clone(), self.sfts[from].domain.clone());
        if self.net.is_cut(from, to) || !self.sfts[to].running {
            if self.clock.now() < since + HANDSHAKE {
                return self.note(HANDSHAKE_RETRY, Event::Dial { from, to, since });
            }
            self.sfts[from].dialling.remove(&to);
            return self.link_input(from, LinkEvent::DialFailed { peer, code: None });
        }
        self.sfts[from].dialling.remove(&to);
        let ends = [from, to].map(|sft| (sft, self.sfts[sft].boot, self.sfts[sft].draw_link()));
        let mut cable = Cable::new(ends[0], ends[1]);
        let listed = self.sfts[to].lists(&our);
        // An unlisted dialler believes itself connected until the other side has looked at its certificate.
        cable.ends[1].up = listed;
        let at = self.cables.len();
        self.cables.push(cable);
        self.link_up(from, ends[0].2, peer, Side::Dialled);
        if listed {
            self.link_up(to, ends[1].2, our, Side::Accepted);
        } else {
            let travel = self.net.travel();
            let code = Some(Code::Unlisted);
            self.note(
                travel,
                Event::Down {
                    cable: at,
                    end: 0,
                    code,
                },
            );
        }
    }

    fn link_up(&mut self, sft: usize, link: LinkId, peer: anchor_sft::ids::Domain, side: Side) {
        let datagram_bytes = 1200;
        self.link_input(
            sft,
            LinkEvent::Up {
                link,
                peer,
                side,
                datagram_bytes,
            },
        );
    }

    /// Closes a link at once; the other side hears of it, or of nothing any more.
    fn close(&mut self, cable: usize, end: usize, code: Code) {
        let code = Some(code);
        self.note(Duration::ZERO, Event::Down { cable, end, code });
        let [here, there] = [end, 1 - end].map(|end| self.cables[cable].ends[end].sft);
        let travel = self.net.travel();
        let (after, code) = if self.net.is_cut(here, there) {
            (IDLE, None)
        } else {
            (travel, code)
        };
        self.note(
            after,
            Event::Down {
                cable,
                end: 1 - end,
                code,
            },
        );
    }

    pub fn down(&mut self, cable: usize, end: usize, code: Option<Code>) {
        let here = &mut self.cables[cable].ends[end];
        let (sft, link, boot) = (here.sft, here.link, here.boot);
        if std::mem::replace(&mut here.up, false) && self.sfts[sft].boot == boot {
            self.link_input(sft, LinkEvent::Down { link, code });
        }
    }

    /// Nothing came over a link for [`IDLE`], unless the path is whole again.
    pub fn idle(&mut self, cable: usize, since: Instant) {
        let [one, other] = [0, 1].map(|end| self.cables[cable].ends[end].sft);
        let dead = |world: &World, end: usize| {
            let end = &world.cables[cable].ends[end];
            world.sfts[end.sft].boot != end.boot
        };
        let silent = self.net.is_cut(one, other) && self.checks.cut_since(one, other) == Some(since);
        for end in 0..2 {
            if silent || dead(self, 1 - end) {
                self.down(cable, end, None);
            }
        }
    }

    // ---- what tests do to the world ----

    pub fn cut(&mut self, one: usize, other: usize) {
        self.net.cut(one, other);
        self.checks.cut(one, other, Some(self.clock.now()));
        self.watch_cables(|cable| cable.joins(one, other));
    }

    pub fn mend(&mut self, one: usize, other: usize) {
        self.net.mend(one, other);
        self.checks.cut(one, other, None);
        self.checks.unrest(self.clock.now() + IDLE);
    }

    /// The process of an SFT ends without a word.
    pub fn stop(&mut self, sft: usize) {
        let now = self.clock.now();
        // A link's end and the grace.
        self.checks.unrest(now + IDLE * 2 + IDLE / 2);
        let boot = self.sfts[sft].boot;
        for (session, (client, _)) in &self.sfts[sft].sessions {
            let session = *session;
            self.checks.closed(now, *client, Leg { sft, boot, session });
        }
        self.sfts[sft].stop();
        self.watch_cables(|cable| cable.ends.iter().any(|end| end.sft == sft));
    }

    pub fn start(&mut self, sft: usize) {
        self.sfts[sft].running = true;
    }

    fn watch_cables(&mut self, which: impl Fn(&Cable) -> bool) {
        let since = self.clock.now();
        for cable in 0..self.cables.len() {
            if self.cables[cable].is_up() && which(&self.cables[cable]) {
                self.note(IDLE, Event::Idle { cable, since });
            }
        }
    }

    fn live(&self, sft: usize, link: LinkId) -> Option<(usize, usize)> {
        let (cable, end) = self.cable_of(sft, self.sfts[sft].boot, link)?;
        self.cables[cable].ends[end].up.then_some((cable, end))
    }

    pub fn cable_of(&self, sft: usize, boot: u64, link: LinkId) -> Option<(usize, usize)> {
        let is = |end: &crate::cable::End| (end.sft, end.boot, end.link) == (sft, boot, link);
        self.cables
            .iter()
            .enumerate()
            .find_map(|(at, cable)| Some((at, cable.ends.iter().position(is)?)))
    }

    /// The newest live link between two SFTs, and which end the first of them is.
    pub fn link(&self, one: usize, other: usize) -> Option<(usize, usize)> {
        let up = |(_, cable): &(usize, &Cable)| cable.is_up() && cable.joins(one, other);
        let (at, cable) = self.cables.iter().enumerate().rfind(up)?;
        Some((at, usize::from(cable.ends[0].sft != one)))
    }

    /// Says something by hand on the conference's stream, as if the SFT had said it.
    pub fn lie(&mut self, from: usize, to: usize, message: &Message) {
        self.babble(from, to, serde_json::to_vec(message).expect("messages are JSON"));
    }

    /// Puts any bytes into a frame on the conference's stream.
    pub fn babble(&mut self, from: usize, to: usize, json: Vec<u8>) {
        let (cable, end) = self.link(from, to).expect("a link is up");
        let open = |stream: &&Stream| stream.writes == [true; 2] && stream.ids[end] != StreamId::LINK;
        let stream = self.cables[cable].streams.iter().rfind(open);
        let id = stream.expect("the conference has a stream").ids[end];
        self.put(cable, end, id, json);
    }

    /// A session's transport ends under it.
    pub fn break_session(&mut self, client: usize) {
        if let Some(leg) = self.clients[client].leg {
            self.sfts[leg.sft].sessions.remove(&leg.session);
            self.checks.closed(self.clock.now(), client, leg);
            self.tell(leg, |session| Input::Ended { session });
        }
    }
}
