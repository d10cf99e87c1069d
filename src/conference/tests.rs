//! What holds of a conference by itself; whole calls are in `tests/sim`.

use std::collections::VecDeque;
use std::time::Instant;

use rand::SeedableRng;

use super::*;
use crate::conference::port::PortNo;
use crate::ids::{ClientId, ConferenceId, NodeName, UserId};
use crate::limits::MAX_FRAME_BYTES;
use crate::proto::link::frame;
use crate::units::WallTime;

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as the beginning of simulated time"
)]
fn anchor() -> (Conference, Context, Instant) {
    let now = Instant::now();
    let domain = Domain::parse("a.example").unwrap();
    let ctx = Context {
        domain: domain.clone(),
        url: "https://sft.a.example".to_owned(),
        epoch: Epoch {
            instant: now,
            wall: WallTime(1),
        },
        rng: ChaCha12Rng::seed_from_u64(1),
        actions: VecDeque::new(),
        flows: Flows::default(),
    };
    let key = ConferenceKey {
        conference: ConferenceId::parse("c").unwrap(),
        anchor: domain,
    };
    (Conference::new(ConferenceNo(1), key, Role::Anchor), ctx, now)
}

fn newcomer(number: u32, id_bytes: usize) -> Newcomer {
    Newcomer {
        id: ParticipantId {
            user: UserId::parse(&format!("{number:0id_bytes$}")).unwrap(),
            client: ClientId::parse(&"x".repeat(id_bytes)).unwrap(),
        },
        session: SessionId(number.into()),
        ssrcs: SsrcPair {
            audio: Ssrc(2 * number + 1),
            video: Ssrc(2 * number + 2),
        },
        video: None,
        slots: SlotPlan::default(),
        props: Props::new(),
        authenticated: false,
    }
}

#[test]
fn a_roster_of_the_longest_ids_still_fits_into_a_frame() {
    let (mut conference, mut ctx, now) = anchor();
    let node = NodeName::parse("sft-0").unwrap();
    let line = Line {
        link: LinkId(1),
        stream: StreamId(2),
    };
    conference
        .grant(&mut ctx, now, (Domain::parse("b.example").unwrap(), node), line)
        .unwrap();
    conference.merge(&mut ctx, now, PortNo(0), &[], "https://sft.b.example".to_owned());
    let mut came = 0;
    while conference.open(&mut ctx, now, newcomer(came, 127)).is_some() {
        came += 1;
        if came % 100 != 0 {
            ctx.actions.clear();
        }
    }
    assert!((400..1000).contains(&came), "{came}");
    let reconnect = Newcomer {
        session: SessionId(9999),
        ..newcomer(0, 127)
    };
    ctx.actions.clear();
    assert!(
        conference.open(&mut ctx, now, reconnect).is_some(),
        "who has a seat may come back"
    );
    let rosters = ctx.actions.iter().filter_map(|action| match action {
        Action::Frame {
            message: message @ Message::Roster(_),
            ..
        } => Some(frame::encode(message).unwrap().len()),
        _ => None,
    });
    let largest = rosters.max().expect("the member got a roster");
    assert!(largest <= MAX_FRAME_BYTES && largest > MAX_FRAME_BYTES / 2, "{largest}");
}
