//! Peers that lie: frames built by hand, on a link that is what it claims to be. The checkers expect the truth as ever.

use anchor_sft::ids::Ssrc;
use anchor_sft::proto::client::Props;
use anchor_sft::proto::link::message::{Announced, Code, Entry, Kind, Layer, Message, Publish, Roster, State};
use anchor_sft::proto::rtp::{FramePart, Incoming};
use anchor_sft::relay::Rule;

use crate::client::{Client, Source};
use crate::media::Tag;
use crate::net::FAIR;
use crate::scenarios::federation::call;
use crate::scenarios::{assert_all_hear, assert_one_roster, assert_released, hears, millis, seconds};
use crate::world::{Event, World};

const ANCHOR: usize = 0;
const MEMBER: usize = 1;
/// The clients, which are also their places in the order.
const A0: u32 = 0;
const B0: u32 = 1;
const C0: u32 = 2;

fn three(seed: u64) -> World {
    call(seed, &["a0", "b0", "c0"], FAIR)
}

/// After these lies nothing has changed for any client, and each was counted under the rule it breaks.
fn assert_vain(from: usize, to: usize, lies: &[(Message, Rule)]) {
    for (lie, rule) in lies {
        let mut world = three(1);
        let before: Vec<_> = world
            .clients
            .iter()
            .map(|client| (client.rosters.len(), client.told_props.clone()))
            .collect();
        let peer = world.sfts[from].domain.clone();
        let (streams, flows) = (world.sfts[to].relay.load().streams, world.sfts[to].relay.load().flows);
        world.lie(from, to, lie);
        world.run(seconds(2));
        let after: Vec<_> = world
            .clients
            .iter()
            .map(|client| (client.rosters.len(), client.told_props.clone()))
            .collect();
        assert_eq!(after, before, "{lie:?}");
        assert_eq!(world.sfts[to].violations(&peer, *rule), 1, "{lie:?}");
        assert_eq!(world.sfts[to].violations.values().sum::<u32>(), 1, "{lie:?}");
        let load = world.sfts[to].relay.load();
        assert_eq!((load.streams, load.flows), (streams, flows), "{lie:?}");
        assert_one_roster(&world);
        assert_all_hear(&world);
        assert_released(&mut world);
    }
}

fn announced(client: &Client, entry: &crate::client::Entry) -> Announced {
    Announced {
        userid: client.name().to_owned(),
        clientid: "_".to_owned(),
        ssrc_audio: entry.audio,
        ssrc_video: entry.video,
        muted: false,
        authenticated: false,
        incarnation: 0,
        proof: None,
    }
}

/// What the member announces, and something more.
fn announcing(more: Announced) -> Message {
    let world = three(1);
    let truth = announced(&world.clients[1], &world.clients[0].roster().entries[1]);
    Message::Announce {
        participants: vec![truth, more],
        sft: "https://sft.b.example".to_owned(),
    }
}

fn someone(name: &str, audio: u32, video: u32) -> Announced {
    Announced {
        userid: name.to_owned(),
        clientid: "_".to_owned(),
        ssrc_audio: audio,
        ssrc_video: video,
        muted: false,
        authenticated: false,
        incarnation: 0,
        proof: None,
    }
}

/// What the anchor says, and something else.
fn roster(change: impl FnOnce(&mut Roster)) -> Message {
    let world = three(1);
    let known = world.clients[0].roster();
    let entries = known.entries.iter().map(|entry| Entry {
        userid: entry.user.clone(),
        clientid: "_".to_owned(),
        domain: entry.domain.clone(),
        ssrc_audio: entry.audio,
        ssrc_video: entry.video,
        index: u32::try_from(entry.index).expect("indexes are small"),
        muted: false,
        proof: None,
    });
    let mut roster = Roster {
        revision: 3,
        timestamp: known.timestamp.parse().expect("a number"),
        seqno: known.seqno.parse().expect("a number"),
        entropy: known.entropy.clone(),
        participants: entries.collect(),
        sfts: known.sfts.clone(),
    };
    change(&mut roster);
    Message::Roster(roster)
}

fn one_more(name: &str, domain: &str, (audio, index): (u32, u32)) -> Message {
    roster(|roster| {
        let mut entry = roster.participants[0].clone();
        (entry.userid, entry.domain) = (name.to_owned(), domain.to_owned());
        (entry.ssrc_audio, entry.ssrc_video, entry.index) = (audio, audio + 1, index);
        roster.participants.push(entry);
    })
}

fn authorize(from: u32, add: &[u32]) -> Message {
    Message::Authorize {
        from,
        add: add.to_vec(),
        remove: Vec::new(),
    }
}

fn props(from: u32) -> Message {
    let props = Props::from([("muted".to_owned(), "true".to_owned())]);
    Message::Props { from, props }
}

fn publish(flow: u64, participant: u32, kind: Kind) -> Message {
    Message::Publish(Publish {
        flow,
        participant,
        kind,
        layer: Layer::Low,
        state: State::Live,
    })
}

#[test]
fn a_member_speaks_for_its_own_participants_only() {
    let audio = three(1).clients[0].ssrcs.audio;
    let many = vec![0; 1001];
    assert_vain(
        MEMBER,
        ANCHOR,
        &[
            (announcing(someone("a0", 71, 72)), Rule::Conflict),
            (announcing(someone("c0", 71, 72)), Rule::Conflict),
            (announcing(someone("x0", audio, 72)), Rule::Conflict),
            (announcing(someone("x0", 71, 71)), Rule::Conflict),
            (announcing(someone("", 71, 72)), Rule::Malformed),
            (authorize(A0, &[B0]), Rule::ForeignParticipant),
            (authorize(C0, &[B0]), Rule::ForeignParticipant),
            (authorize(77, &[B0]), Rule::ForeignParticipant),
            (authorize(B0, &many), Rule::Malformed),
            (props(A0), Rule::ForeignParticipant),
            (props(C0), Rule::ForeignParticipant),
            (publish(50, A0, Kind::Video), Rule::ForeignParticipant),
            (publish(50, C0, Kind::Video), Rule::ForeignParticipant),
            (publish(0, B0, Kind::Video), Rule::Malformed),
            (publish(50, B0, Kind::Audio), Rule::Malformed),
        ],
    );
}

#[test]
fn a_member_does_not_play_the_anchor() {
    let refused = Message::Refused {
        code: Code::Policy,
        retry_after_ms: None,
        node: None,
    };
    assert_vain(
        MEMBER,
        ANCHOR,
        &[
            (one_more("x0", "b.example", (71, 9)), Rule::WrongRole),
            (Message::Attached { revision: 0 }, Rule::WrongRole),
            (refused, Rule::WrongRole),
        ],
    );
}

#[test]
fn an_anchor_does_not_speak_for_a_members_own() {
    let audio = three(1).clients[1].ssrcs.audio;
    assert_vain(
        ANCHOR,
        MEMBER,
        &[
            (one_more("x0", "b.example", (71, 9)), Rule::OwnDomain),
            (one_more("b0", "c.example", (71, 9)), Rule::Conflict),
            (one_more("x0", "c.example", (audio, 9)), Rule::Conflict),
            (one_more("x0", "c.example", (71, 2)), Rule::Malformed),
            (one_more("x0", "c.example", (71, u32::MAX)), Rule::Malformed),
            (one_more("x0", "", (71, 9)), Rule::Malformed),
            (announcing(someone("x0", 71, 72)), Rule::WrongRole),
            (authorize(B0, &[A0]), Rule::ForeignParticipant),
            (props(B0), Rule::ForeignParticipant),
            (publish(50, B0, Kind::Video), Rule::ForeignParticipant),
        ],
    );
}

#[test]
fn a_flow_id_is_used_once_on_a_link() {
    let mut world = three(2);
    let b = world.sfts[MEMBER].domain.clone();
    world.lie(MEMBER, ANCHOR, &publish(50, B0, Kind::Video));
    world.run(millis(500));
    assert!(world.sfts[ANCHOR].violations.is_empty());
    let flows = world.sfts[ANCHOR].relay.load().flows;
    // Again as something else; after its end; and one that was passed over.
    let again = Message::Publish(Publish {
        flow: 50,
        participant: B0,
        kind: Kind::Video,
        layer: Layer::High,
        state: State::Live,
    });
    world.lie(MEMBER, ANCHOR, &again);
    world.lie(MEMBER, ANCHOR, &Message::Unpublish { flow: 50 });
    world.lie(MEMBER, ANCHOR, &publish(50, B0, Kind::Video));
    world.lie(MEMBER, ANCHOR, &publish(49, B0, Kind::Video));
    world.run(millis(500));
    assert_eq!(world.sfts[ANCHOR].violations(&b, Rule::FlowReused), 3);
    assert_eq!(
        world.sfts[ANCHOR].relay.load().flows,
        flows - 2,
        "withdrawn, and from c too"
    );
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_members_lies_about_its_own_hurt_only_itself() {
    let mut world = three(3);
    world.checks.liars.insert(MEMBER);
    // b0 accepts nobody any more, says its SFT.
    let remove = vec![A0, C0];
    world.lie(
        MEMBER,
        ANCHOR,
        &Message::Authorize {
            from: B0,
            add: Vec::new(),
            remove,
        },
    );
    world.run(seconds(2));
    assert!(!hears(&world, 0, 1) && !hears(&world, 2, 1));
    assert!(hears(&world, 0, 2) && hears(&world, 2, 0));
    world.lie(
        MEMBER,
        ANCHOR,
        &Message::Announce {
            participants: Vec::new(),
            sft: String::new(),
        },
    );
    world.run(seconds(2));
    assert_eq!(world.clients[0].sees(), ["a0", "c0"]);
    assert_eq!(world.clients[2].sees(), ["a0", "c0"]);
    assert_released(&mut world);
}

#[test]
fn a_stream_whose_framing_breaks_is_opened_anew_and_no_roster_changes() {
    for (from, to) in [(ANCHOR, MEMBER), (MEMBER, ANCHOR)] {
        for bytes in [&b"{"[..], b"", b"[]", b"\xff", br#"{"type":7}"#] {
            let mut world = three(4);
            let before: Vec<usize> = world.clients.iter().map(|client| client.rosters.len()).collect();
            world.babble(from, to, bytes.to_vec());
            world.run(seconds(4));
            let after: Vec<usize> = world.clients.iter().map(|client| client.rosters.len()).collect();
            assert_eq!(after, before, "{bytes:?}");
            assert_all_hear(&world);
            world.run(seconds(8));
            assert_one_roster(&world);
            assert_all_hear(&world);
            assert_released(&mut world);
        }
    }
}

#[test]
fn absurd_numbers_of_an_anchor_break_nothing_later() {
    let mut world = three(5);
    world.checks.liars.insert(ANCHOR);
    let absurd = roster(|roster| {
        (roster.revision, roster.seqno, roster.timestamp) = (u64::MAX, u32::MAX, u64::MAX);
        for (entry, index) in roster.participants.iter_mut().zip([5, (u32::MAX / 2) - 1, 6]) {
            entry.index = index;
        }
    });
    // The truth of this world, not of the one that the roster was taken from.
    let Message::Roster(mut absurd) = absurd else { return };
    for (entry, known) in absurd
        .participants
        .iter_mut()
        .zip(world.clients[1].roster().entries.clone())
    {
        (entry.ssrc_audio, entry.ssrc_video) = (known.audio, known.video);
    }
    world.lie(ANCHOR, MEMBER, &Message::Roster(absurd));
    world.run(millis(100));
    world.stop(ANCHOR);
    world.run(seconds(10));
    world.joined("b1", MEMBER);
    world.run(seconds(1));
    assert_eq!(world.clients[1].sees(), ["b0", "b1"]);
    assert!(hears(&world, 1, 3));
}

fn video(ssrc: u32, number: u64) -> Incoming {
    Incoming {
        ssrc: Ssrc(ssrc),
        sequence: number as u16,
        timestamp: 0,
        marker: false,
        payload_type: 100,
        level: None,
        layer: Some(Layer::Low),
        frame: FramePart::KeyframeStart,
        padding_only: false,
    }
}

#[test]
fn a_client_that_alternates_ssrcs_does_not_flood_the_links() {
    let mut world = three(6);
    let leg = world.clients[0].leg.expect("it is in the call");
    let frames = |world: &World| world.frames;
    let before = frames(&world);
    for number in 0..1000 {
        let tag = Tag {
            from: 0,
            attempt: 1,
            source: Source::Low,
            number,
            key: true,
        };
        let (client, packet) = (0, video(1 + (number % 2) as u32, number));
        world.note(
            millis(5 * number),
            Event::Packet {
                client,
                leg,
                packet,
                tag,
            },
        );
    }
    world.run(seconds(5));
    assert!(frames(&world) - before < 20, "{}", frames(&world) - before);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_client_whose_numbers_jump_never_makes_a_slot_repeat_one() {
    let mut world = three(7);
    world.watch(1, &[("a0", 1)]);
    world.watch(2, &[("a0", 1)]);
    world.run(millis(500));
    let leg = world.clients[0].leg.expect("it is in the call");
    let mut wire = 0_u64;
    // 65 036 ahead reads as 500 behind; then half a turn, twice; each goes on for long enough to be believed, twice on the way.
    let jumps = [1, 65_036, 32_767, 32_767, 32_768, 60_000].map(|jump| [jump, 1, 1, 1, 1, 1, 1, 1]);
    for (step, jump) in [1; 600].into_iter().chain(jumps.into_iter().flatten()).enumerate() {
        wire += jump;
        let number = wire;
        let tag = Tag {
            from: 0,
            attempt: 1,
            source: Source::Low,
            number,
            key: true,
        };
        let (client, packet) = (0, video(5, number));
        world.note(
            millis(3 * step as u64),
            Event::Packet {
                client,
                leg,
                packet,
                tag,
            },
        );
    }
    world.run(seconds(3));
    let seen = [1, 2].map(|at| world.clients[at].packets(0, Source::Low));
    assert!(seen.iter().all(|seen| *seen > 580), "{seen:?}");
    assert_released(&mut world);
}
