//! What tokens let clients do: start, join, take over.

use std::time::Duration;

use super::*;
use crate::federation::{Event, Side, hello};
use crate::ids::{ClientId, StreamId, UserId};
use crate::limits::ATTACH_TIMEOUT;
use crate::net::clock;
use crate::proto::link::message::Message;
use crate::token::Bearer;
use crate::units::WallTime;

/// A tuple of b.example; only its anchor can tell whether it is good.
const THERE: &str = "b.example/AAAAAAAAAAAAAAAAAAAAAAAAAAA";
const LINK: LinkId = LinkId(1);

struct Sft {
    relay: Relay,
    now: Instant,
    requests: u64,
}

/// What a request got, and links were asked.
#[derive(Debug, PartialEq)]
enum Got {
    Offer,
    Refused(Status, &'static str),
    Nothing,
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn starts(bearer: &str) -> Standing {
    Standing::Starts(Bearer::new(bearer))
}

fn joins(bearer: &str) -> Standing {
    Standing::Joins(Bearer::new(bearer))
}

impl Sft {
    fn new() -> Sft {
        let now = clock::now();
        let config = Config {
            domain: domain("a.example"),
            node: NodeName::parse("sft-0").unwrap(),
            boot: 1,
            public_url: "https://sft.a.example".to_owned(),
            capability_keys: vec![Key::new([1; 32])],
            peers: vec![domain("b.example")],
        };
        let epoch = Epoch {
            instant: now,
            wall: WallTime(1),
        };
        Sft {
            relay: Relay::new(config, [1; 32], epoch),
            now,
            requests: 0,
        }
    }

    fn asks(&mut self, user: &str, standing: Standing) -> Got {
        self.asks_with(user, standing, Connect::default())
    }

    fn asks_with(&mut self, user: &str, standing: Standing, connect: Connect) -> Got {
        self.requests += 1;
        let input = Input::Connect {
            request: RequestId(self.requests),
            conference: ConferenceId::parse("conference-1").unwrap(),
            participant: ParticipantId {
                user: UserId::parse(user).unwrap(),
                client: ClientId::parse("_").unwrap(),
            },
            connect: Box::new(connect),
            standing,
        };
        self.relay.handle(self.now, input);
        self.got()
    }

    fn hears(&mut self, event: Event) -> Got {
        self.relay.handle(self.now, Input::Link(event));
        self.got()
    }

    fn waits(&mut self, time: Duration) -> Got {
        self.now += time;
        self.relay.handle_timeout(self.now);
        self.got()
    }

    /// The one answer among the outputs.
    fn got(&mut self) -> Got {
        let mut got = Got::Nothing;
        while let Some(output) = self.relay.poll() {
            got = match output {
                Output::Offer(_) => Got::Offer,
                Output::Refuse { status, reason, .. } => Got::Refused(status, reason.as_str()),
                _ => got,
            };
        }
        got
    }

    /// The link to b.example comes up and the conference's stream is open.
    fn links(&mut self) {
        let up = Event::Up {
            link: LINK,
            peer: domain("b.example"),
            side: Side::Dialled,
            datagram_bytes: 1200,
        };
        let said = hello::hello(&domain("b.example"), &NodeName::parse("sft-0").unwrap(), 7);
        for event in [up, frame(StreamId::LINK, Message::Hello(said))] {
            assert_eq!(self.hears(event), Got::Nothing);
        }
    }
}

fn frame(stream: StreamId, message: Message) -> Event {
    Event::Frame {
        link: LINK,
        stream,
        message,
    }
}

fn there(update: bool) -> Connect {
    Connect {
        update,
        sft_url: Some("https://sft.b.example".to_owned()),
        sft_tuple: Some(THERE.to_owned()),
        ..Connect::default()
    }
}

#[test]
fn a_token_that_may_only_join_needs_a_conference() {
    let mut sft = Sft::new();
    let cannot = || Got::Refused(Status::AuthCannotStart, "cannot_start");
    assert_eq!(sft.asks("u1", joins("r1")), cannot());
    let returns = Connect {
        update: true,
        ..Connect::default()
    };
    assert_eq!(
        sft.asks_with("u1", joins("r1"), returns),
        cannot(),
        "update proves nothing"
    );
    assert_eq!(sft.asks("u2", starts("r2")), Got::Offer);
    assert_eq!(sft.asks("u1", joins("r1")), Got::Offer);
}

#[test]
fn a_session_is_taken_over_by_its_own_bearer_only() {
    let refused = || Got::Refused(Status::AuthInvalid, "other_bearer");
    for (first, second, expected) in [
        (starts("r1"), starts("r1"), Got::Offer),
        (starts("r1"), joins("r1"), Got::Offer),
        (starts("r1"), starts("r2"), refused()),
        (starts("r1"), joins("r2"), refused()),
        (starts("r1"), Standing::Anonymous, refused()),
        (Standing::Anonymous, Standing::Anonymous, Got::Offer),
    ] {
        for update in [false, true] {
            let mut sft = Sft::new();
            assert_eq!(sft.asks("u1", first.clone()), Got::Offer);
            let connect = Connect {
                update,
                ..Connect::default()
            };
            let got = sft.asks_with("u1", second.clone(), connect);
            assert_eq!(got, expected, "{first:?} then {second:?}, update {update}");
            assert_eq!(sft.asks("u2", starts("r2")), Got::Offer, "others are not concerned");
        }
    }
}

#[test]
fn a_session_that_ended_is_nobodys() {
    let mut sft = Sft::new();
    assert_eq!(sft.asks("u2", starts("r2")), Got::Offer);
    assert_eq!(sft.asks("u1", starts("r1")), Got::Offer);
    assert_eq!(
        sft.asks("u1", starts("r3")),
        Got::Refused(Status::AuthInvalid, "other_bearer")
    );
    sft.relay.handle(sft.now, Input::Ended { session: SessionId(2) });
    assert_eq!(sft.got(), Got::Nothing);
    assert_eq!(sft.asks("u1", starts("r3")), Got::Offer);
}

#[test]
fn the_first_of_a_member_joins_once_the_anchor_accepts() {
    let mut sft = Sft::new();
    assert_eq!(sft.asks_with("u1", joins("r1"), there(false)), Got::Nothing);
    assert_eq!(sft.asks_with("u2", joins("r2"), there(false)), Got::Nothing);
    sft.links();
    let granted = frame(StreamId(1), Message::Attached { revision: 0 });
    assert_eq!(sft.hears(granted), Got::Offer);
    assert_eq!(sft.asks_with("u3", joins("r3"), there(false)), Got::Offer);
}

#[test]
fn the_first_of_a_member_does_not_join_what_the_anchor_does_not_know() {
    let mut sft = Sft::new();
    assert_eq!(sft.asks_with("u1", joins("r1"), there(false)), Got::Nothing);
    sft.links();
    let refused = Message::Refused {
        code: Code::UnknownConference,
        retry_after_ms: None,
        node: None,
    };
    let expected = Got::Refused(Status::AuthInvalid, Code::UnknownConference.as_str());
    assert_eq!(sft.hears(frame(StreamId(1), refused)), expected);
}

#[test]
fn while_the_anchor_is_silent_only_those_come_back_who_could_start() {
    for (standing, update, expected) in [
        (starts("r1"), true, Got::Offer),
        (Standing::Anonymous, true, Got::Offer),
        (joins("r1"), true, Got::Refused(Status::AuthInvalid, "anchor_silent")),
        (starts("r1"), false, Got::Refused(Status::AuthInvalid, "anchor_silent")),
    ] {
        let mut sft = Sft::new();
        assert_eq!(sft.asks_with("u1", standing.clone(), there(update)), Got::Nothing);
        assert_eq!(sft.waits(ATTACH_TIMEOUT), expected, "{standing:?} update {update}");
    }
}

#[test]
fn of_two_bearers_who_wait_for_the_anchor_as_one_participant_the_first_gets_in() {
    let mut sft = Sft::new();
    assert_eq!(sft.asks_with("u1", joins("r1"), there(false)), Got::Nothing);
    assert_eq!(sft.asks_with("u1", joins("r2"), there(false)), Got::Nothing);
    sft.links();
    let granted = frame(StreamId(1), Message::Attached { revision: 0 });
    assert_eq!(
        sft.hears(granted),
        Got::Refused(Status::AuthInvalid, "other_bearer"),
        "the second's answer comes last"
    );
}
