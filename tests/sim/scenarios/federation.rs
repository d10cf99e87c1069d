//! Two and three domains that work together.

use std::collections::BTreeSet;

use anchor_sft::proto::link::message::{Code, Message};
use anchor_sft::relay::Refusal;

use crate::client::{Accept, Client, Source};
use crate::net::{FAIR, ROUGH, Weather};
use crate::scenarios::{assert_all_hear, assert_one_roster, assert_released, hears, millis, seconds};
use crate::world::World;

pub fn domains(seed: u64, count: usize, weather: Weather) -> World {
    World::new(seed, &["a.example", "b.example", "c.example"][..count], weather)
}

/// A world in which the first client of each name is in the call: `a0` at the anchor, `b0` at the first member, …
pub fn call(seed: u64, names: &[&str], weather: Weather) -> World {
    let count = names.iter().map(|name| home(name) + 1).max().unwrap_or(1);
    let mut world = domains(seed, count, weather);
    for name in names {
        world.joined(name, home(name));
    }
    world.run(seconds(3));
    world
}

pub fn home(name: &str) -> usize {
    usize::from(name.as_bytes()[0] - b'a')
}

/// The client of a name.
pub fn at(world: &World, name: &str) -> usize {
    let found = world.clients.iter().position(|client| client.name() == name);
    found.expect("the client is there")
}

#[test]
fn two_domains_make_one_call() {
    for seed in 0..10 {
        for weather in [FAIR, ROUGH] {
            let mut world = call(seed, &["a0", "b0", "a1", "b1"], weather);
            assert_one_roster(&world);
            assert_eq!(
                world.clients[0].sees(),
                ["a0", "b0", "a1", "b1"],
                "in the order of their coming"
            );
            assert_eq!(
                world.clients[0].roster().sfts,
                ["https://sft.a.example", "https://sft.b.example"]
            );
            assert_all_hear(&world);
            assert_released(&mut world);
        }
    }
}

#[test]
fn three_domains_make_one_call_and_the_anchor_relays() {
    for seed in 0..10 {
        for weather in [FAIR, ROUGH] {
            let mut world = call(seed, &["a0", "b0", "c0", "c1", "b1"], weather);
            assert_one_roster(&world);
            assert_all_hear(&world);
            assert!(world.link(1, 2).is_none(), "members have no link with each other");
            assert_released(&mut world);
        }
    }
}

#[test]
fn the_call_goes_on_between_members_when_the_anchors_last_client_leaves() {
    let mut world = call(1, &["a0", "b0", "c0"], FAIR);
    world.hang_up(0);
    world.run(seconds(2));
    assert_eq!(world.clients[1].sees(), ["b0", "c0"]);
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_members_last_client_takes_its_sft_out_and_the_next_one_brings_it_back() {
    let mut world = call(2, &["a0", "b0", "c0"], FAIR);
    world.hang_up(1);
    world.run(seconds(2));
    assert_eq!(world.clients[0].sees(), ["a0", "c0"]);
    assert_eq!(
        world.clients[0].roster().sfts,
        ["https://sft.a.example", "https://sft.c.example"]
    );
    assert_eq!(world.sfts[1].relay.load().conferences, 0);
    world.enter(1);
    world.run(seconds(2));
    assert_eq!(world.clients[2].sees(), ["a0", "c0", "b0"]);
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_eq!(world.sfts[1].dials, 1, "the link stayed");
    assert_released(&mut world);
}

#[test]
fn all_layers_cross_a_link_once_and_receivers_choose() {
    let mut world = domains(3, 3, FAIR);
    let speaker = world.client("b0", 1);
    world.clients[speaker].video = true;
    world.joined("a0", 0);
    world.enter(speaker);
    for (name, quality) in [("a1", 1), ("a2", 2), ("c0", 1), ("c1", 2)] {
        let viewer = world.client(name, home(name));
        world.clients[viewer].wanted = vec![("b0".to_owned(), quality)];
        world.enter(viewer);
    }
    world.run(seconds(4));
    for (name, source, other) in [
        ("a1", Source::Low, Source::High),
        ("a2", Source::High, Source::Low),
        ("c0", Source::Low, Source::High),
        ("c1", Source::High, Source::Low),
    ] {
        let viewer = at(&world, name);
        assert!(world.hears(viewer, speaker, source), "{name}");
        assert!(!world.hears(viewer, speaker, other), "{name}");
    }
    // Audio and two layers: from b to a and on to c; audio of the others: a0 to a2 to both, c0 and c1 to a and on to b.
    let flows = [0, 1, 2].map(|sft: usize| world.sfts[sft].relay.load().flows);
    assert_eq!(flows, [3 + 3 + 2 * 3 + 2 + 2, 3 + 3 + 2, 2 + 3 + 3]);
    assert_released(&mut world);
}

#[test]
fn a_stream_leaves_home_only_when_its_publisher_accepts_someone_there() {
    let mut world = domains(4, 2, FAIR);
    let shy = world.client("a0", 0);
    world.clients[shy].accept = Accept::Except(BTreeSet::from(["b0".to_owned()]));
    world.enter(shy);
    let [friend, stranger] = [world.joined("a1", 0), world.joined("b0", 1)];
    world.run(seconds(2));
    assert!(hears(&world, friend, shy) && hears(&world, stranger, friend));
    assert!(!hears(&world, stranger, shy) && !hears(&world, shy, stranger));
    // a1's stream leaves; a0's does not (the checkers watch).
    assert_eq!(world.sfts[1].relay.load().flows, 2);
    world.clients[shy].accept = Accept::All;
    world.say(shy, Client::answer);
    world.run(seconds(1));
    assert!(hears(&world, stranger, shy) && hears(&world, shy, stranger));
    assert_released(&mut world);
}

#[test]
fn key_frame_requests_cross_to_the_source_once_for_all() {
    for weather in [FAIR, ROUGH] {
        let mut world = domains(5, 3, weather);
        let speaker = world.client("b0", 1);
        world.clients[speaker].video = true;
        world.joined("a0", 0);
        world.enter(speaker);
        for name in ["c0", "c1", "c2", "a1"] {
            let viewer = world.client(name, home(name));
            world.clients[viewer].wanted = vec![("b0".to_owned(), 2)];
            world.join(viewer);
        }
        world.run(seconds(4));
        let shown = |world: &World, name: &str| world.hears(at(world, name), speaker, Source::High);
        assert!(["c0", "c1", "c2", "a1"].iter().all(|name| shown(&world, name)));
        for name in ["c0", "c1"] {
            let viewer = at(&world, name);
            world.clients[viewer].loses = 0.2;
        }
        let before = world.clients[speaker].plis[&Source::High].len();
        world.run(seconds(20));
        let asked = &world.clients[speaker].plis[&Source::High];
        assert!((15..=42).contains(&(asked.len() - before)), "{}", asked.len() - before);
        assert!(
            asked.windows(2).all(|pair| pair[1] - pair[0] >= millis(495)),
            "coalesced"
        );
        assert_released(&mut world);
    }
}

#[test]
fn props_cross_and_late_joiners_learn_them() {
    let mut world = call(6, &["a0", "b0", "c0"], ROUGH);
    world.clients[1].props.insert("muted".to_owned(), "true".to_owned());
    world.say(1, Client::propsync);
    world.run(seconds(1));
    let late = [world.joined("a1", 0), world.joined("c1", 2), world.joined("b1", 1)];
    world.run(seconds(2));
    for client in [0, 2].into_iter().chain(late) {
        assert_eq!(world.clients[client].told_props["b0"]["muted"], "true", "{client}");
    }
    assert_released(&mut world);
}

#[test]
fn a_member_client_that_reconnects_moves_to_the_end_everywhere() {
    let mut world = call(7, &["a0", "b0", "c0"], ROUGH);
    let video = |world: &World| {
        world.clients[0]
            .roster()
            .entries
            .iter()
            .find(|entry| entry.user == "b0")
            .map(|entry| entry.video)
    };
    let before = video(&world);
    world.reconnect(1);
    world.run(seconds(3));
    assert_eq!(world.clients[2].sees(), ["a0", "c0", "b0"]);
    assert_eq!(video(&world), before);
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_crowd_that_comes_and_goes_agrees_in_the_end() {
    for seed in 0..20 {
        let mut world = domains(seed, 3, ROUGH);
        let names: Vec<String> = (0..9).map(|at| format!("{}{at}", ["a", "b", "c"][at % 3])).collect();
        let clients: Vec<usize> = names.iter().map(|name| world.client(name, home(name))).collect();
        world.enter(clients[0]);
        for round in 0..40_usize {
            let client = clients[(round * 7 + usize::try_from(seed).expect("small")) % clients.len()];
            match (world.clients[client].is_active(), round % 5) {
                (false, _) => world.join(client),
                (true, 0) => world.reconnect(client),
                (true, _) => world.hang_up(client),
            }
            world.run(millis(150));
        }
        world.run(seconds(4));
        if !world.active().is_empty() {
            assert_one_roster(&world);
        }
        assert_released(&mut world);
    }
}

#[test]
fn two_that_dial_each_other_at_once_keep_one_link_and_both_calls() {
    for seed in 0..20 {
        let mut world = domains(seed, 2, ROUGH);
        // Each anchors a call of its own; then each hears of the other's.
        let [a, b] = [world.client("a0", 0), world.client("b0", 1)];
        world.connect(a);
        world.connect(b);
        world.run(seconds(1));
        let [one, other] = [a, b].map(|client| world.clients[client].tuple.clone());
        let [guest_b, guest_a] = [world.client("b1", 1), world.client("a1", 0)];
        world.clients[guest_b].tuple = one;
        world.clients[guest_a].tuple = other;
        world.connect(guest_b);
        world.connect(guest_a);
        world.checks.liars.extend([0, 1]);
        world.run(seconds(8));
        assert_eq!(
            world.sfts[0].dials + world.sfts[1].dials,
            2,
            "seed {seed}: both dialled"
        );
        assert_eq!(
            world.cables.iter().filter(|cable| cable.is_up()).count(),
            1,
            "seed {seed}"
        );
        for (who, sees) in [
            (a, ["a0", "b1"]),
            (guest_b, ["a0", "b1"]),
            (b, ["b0", "a1"]),
            (guest_a, ["b0", "a1"]),
        ] {
            assert_eq!(
                world.clients[who].sees(),
                sees,
                "seed {seed}: {:?}",
                world.clients[who].refusals
            );
        }
        assert!(hears(&world, a, guest_b) && hears(&world, guest_a, b) && hears(&world, guest_b, a));
        assert_released(&mut world);
    }
}

#[test]
fn an_acceptor_may_speak_of_conferences_before_its_hello_arrives() {
    // Streams do not wait for each other: where the packet with `hello` is lost, `attach` comes first.
    for seed in 0..100 {
        let lossy = Weather { loss: 0.3, ..FAIR };
        let mut world = domains(seed, 2, lossy);
        let host = world.client("b0", 1);
        world.connect(host);
        world.run(millis(200));
        let (tuple, other) = (world.clients[host].tuple.clone(), world.client("a0", 0));
        world.connect(other);
        world.run(millis(200));
        // a's guest waits for b's link; b's guest makes it.
        let [guest_a, guest_b] = [world.client("a1", 0), world.client("b1", 1)];
        world.clients[guest_a].tuple = tuple;
        world.clients[guest_b].tuple = world.clients[other].tuple.clone();
        world.connect(guest_b);
        world.run(millis(40));
        world.connect(guest_a);
        world.run(millis(700));
        world.checks.liars.extend([0, 1]);
        let closed = world.cables.iter().filter(|cable| !cable.is_up()).count();
        assert_eq!(closed + 1, world.cables.len(), "seed {seed}: one link stays");
        world.run(seconds(4));
        assert!(
            world.clients[guest_a].is_active() && world.clients[guest_b].is_active(),
            "seed {seed}"
        );
    }
}

#[test]
fn an_unused_lease_ends_after_fifteen_seconds() {
    let mut world = domains(8, 2, FAIR);
    world.joined("a0", 0);
    let ghost = world.client("b0", 1);
    world.join(ghost);
    world.run_until(seconds(2), "a lease", |world| world.sfts[0].relay.load().streams == 1);
    world.clients[ghost].mute_network = true;
    world.run(seconds(9));
    assert_eq!(world.sfts[0].relay.load().streams, 1);
    world.run(seconds(7));
    assert_eq!(world.sfts[0].relay.load().streams, 0);
    assert_eq!(world.clients[0].rosters.len(), 1, "a lease changes no roster");
    assert_released(&mut world);
}

#[test]
fn a_lease_that_its_member_keeps_but_does_not_use_is_taken_back() {
    let mut world = call(9, &["a0", "b0"], FAIR);
    let (cable, end) = world.link(1, 0).expect("a link");
    let tuple = world.clients[0].tuple.clone().expect("a tuple");
    let capability = tuple.split_once('/').expect("two parts").1.to_owned();
    let attach = Message::Attach {
        conference: world.conference.as_str().to_owned(),
        capability,
    };
    // A second stream for the same conference takes the lease over, and nothing is announced on it.
    world.cables[cable].open(end, anchor_sft::ids::StreamId(99));
    let json = serde_json::to_vec(&attach).expect("JSON");
    world.put(cable, end, anchor_sft::ids::StreamId(99), json);
    world.run(seconds(16));
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_client_waits_for_the_lease_and_is_refused_after_three_seconds() {
    let mut world = domains(10, 2, FAIR);
    world.joined("a0", 0);
    world.cut(0, 1);
    let client = world.client("b0", 1);
    let begin = world.clock.now();
    world.join(client);
    world.run_until(seconds(4), "a refusal", |world| {
        !world.clients[client].refusals.is_empty()
    });
    assert_eq!(
        world.clock.now() - begin,
        seconds(3) + millis(20),
        "three seconds, there and back"
    );
    assert_eq!(world.clients[client].refusals[0].1, Refusal::AnchorSilent);
    assert_released(&mut world);
}

#[test]
fn who_may_not_join_hears_why() {
    use anchor_sft::proto::client::Status;
    let invalid = |refusal| (Status::AuthInvalid, refusal);
    let tuple = |world: &World, at: usize| world.clients[at].tuple.clone();
    let other = {
        let mut world = domains(11, 1, FAIR);
        world.conference = anchor_sft::ids::ConferenceId::parse("another").expect("an id");
        world.joined("a0", 0);
        tuple(&world, 0).expect("a tuple")
    };
    for (brought, expected) in [
        ("203.0.113.9:9191/17455", invalid(Refusal::LegacyTuple)),
        ("[2001:db8::1]:9191/1", invalid(Refusal::LegacyTuple)),
        ("a.example", invalid(Refusal::MalformedTuple)),
        ("a.example/short", invalid(Refusal::MalformedTuple)),
        ("d.example/AAAAAAAAAAAAAAAAAAAAAAAAAAA", invalid(Refusal::Unlisted)),
        (
            "a.example/AAAAAAAAAAAAAAAAAAAAAAAAAAA",
            invalid(Refusal::Anchor(Code::BadCapability)),
        ),
        (&other, invalid(Refusal::Anchor(Code::BadCapability))),
        ("b.example/AAAAAAAAAAAAAAAAAAAAAAAAAAA", invalid(Refusal::BadCapability)),
    ] {
        let mut world = domains(11, 2, FAIR);
        world.joined("a0", 0);
        let client = world.client("b0", 1);
        world.clients[client].tuple = Some(brought.to_owned());
        world.join(client);
        world.run(seconds(5));
        assert_eq!(world.clients[client].refusals, [expected], "{brought}");
        assert_eq!(world.sfts[1].relay.load().conferences, 0);
        assert_eq!(world.clients[0].rosters.len(), 1);
        assert_released(&mut world);
    }
}

#[test]
fn a_capability_that_the_anchor_never_gave_opens_nothing_at_a_member_either() {
    let mut world = call(14, &["a0", "b0"], FAIR);
    let late = world.client("b1", 1);
    world.clients[late].tuple = Some("a.example/AAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    world.join(late);
    world.run(seconds(1));
    assert_eq!(world.clients[late].refusals[0].1, Refusal::BadCapability);
    assert_eq!(world.sfts[1].relay.load().sessions, 1);
}

#[test]
fn a_conference_that_the_anchor_does_not_know_is_refused() {
    let mut world = domains(12, 2, FAIR);
    let first = world.joined("a0", 0);
    let tuple = world.clients[first].tuple.clone();
    world.hang_up(first);
    world.run(seconds(1));
    let late = world.client("b0", 1);
    world.clients[late].tuple = tuple;
    world.join(late);
    world.run(seconds(4));
    assert_eq!(
        world.clients[late].refusals[0].1,
        Refusal::Anchor(Code::UnknownConference)
    );
    assert_eq!(
        world.sfts[0].refused,
        [(world.sfts[1].domain.clone(), Code::UnknownConference)]
    );
    assert_released(&mut world);
}

#[test]
fn a_domain_that_the_anchor_does_not_list_is_refused_at_the_link() {
    let mut world = domains(13, 2, FAIR);
    let b = world.sfts[1].domain.clone();
    world.sfts[0].unlist(&b);
    world.joined("a0", 0);
    let client = world.client("b0", 1);
    world.join(client);
    world.run(seconds(4));
    assert_eq!(world.clients[client].refusals[0].1, Refusal::Anchor(Code::Unlisted));
    assert_released(&mut world);
}

#[test]
fn an_id_that_someone_elsewhere_has_is_refused() {
    let mut world = call(14, &["a0", "b0", "b1"], FAIR);
    for (sft, taken) in [(1, "a0"), (0, "b0")] {
        let thief = world.client(taken, sft);
        world.join(thief);
        world.run(seconds(1));
        assert_eq!(world.clients[thief].refusals[0].1, Refusal::Conflict, "{taken}");
    }
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn an_id_that_a_member_announces_but_another_domain_has_is_not_seated() {
    let mut world = domains(15, 3, FAIR);
    world.joined("a0", 0);
    world.joined("b0", 1);
    // c's first client: its SFT cannot know the roster before it announces.
    let thief = world.client("b0", 2);
    world.join(thief);
    world.run(seconds(3));
    let c = world.sfts[2].domain.clone();
    assert_eq!(world.sfts[0].violations(&c, anchor_sft::relay::Rule::Conflict), 1);
    assert_eq!(world.clients[0].sees(), ["a0", "b0"]);
    assert!(
        world.clients[thief].rosters.is_empty(),
        "it is in no roster, so it gets none"
    );
    assert_eq!(world.clients[0].roster().entries[1].domain, "b.example");
    assert!(hears(&world, 0, 1) && hears(&world, 1, 0));
    world.clients[thief].leave();
    assert_released(&mut world);
}
