//! One SFT, no federation.

use anchor_sft::relay::EndReason;

use crate::client::{Accept, Client, Source, Stage};
use crate::net::FAIR;
use crate::scenarios::{assert_all_hear, assert_one_roster, assert_released, hears, millis, seconds};
use crate::world::World;

fn one(seed: u64) -> World {
    World::new(seed, &["a.example"], FAIR)
}

#[test]
fn two_to_five_clients_hear_each_other_and_agree_on_one_roster() {
    for clients in 2..=5 {
        let mut world = one(clients);
        for at in 0..clients {
            world.joined(&format!("u{at}"), 0);
        }
        world.run(seconds(3));
        assert_one_roster(&world);
        assert_all_hear(&world);
        assert!(world.checks.packets > 100);
        assert_released(&mut world);
    }
}

#[test]
fn only_the_first_is_asked_to_announce_the_call() {
    let mut world = one(1);
    let first = world.joined("u0", 0);
    let second = world.joined("u1", 0);
    world.run(seconds(1));
    let asked = |world: &World, who: usize| {
        world.clients[who]
            .rosters
            .iter()
            .filter(|roster| roster.should_start)
            .count()
    };
    assert_eq!((asked(&world, first), asked(&world, second)), (1, 0));
    world.hang_up(second);
    world.run(seconds(1));
    assert_eq!(asked(&world, first), 1, "the call was announced before");
    assert_released(&mut world);
}

fn two_with_video(seed: u64) -> (World, usize, usize) {
    let mut world = one(seed);
    let (viewer, speaker) = (world.client("viewer", 0), world.client("speaker", 0));
    world.clients[speaker].video = true;
    world.enter(speaker);
    world.enter(viewer);
    (world, viewer, speaker)
}

#[test]
fn a_viewer_gets_the_layer_it_asked_for_and_switches_at_key_frames() {
    let (mut world, viewer, speaker) = two_with_video(2);
    let shown = |world: &World| [Source::Low, Source::High].map(|source| world.hears(viewer, speaker, source));
    world.run(seconds(1));
    assert_eq!(shown(&world), [false, false], "nothing was asked for");
    for (quality, layers) in [
        (1, [true, false]),
        (2, [false, true]),
        (1, [true, false]),
        (0, [false, true]),
    ] {
        world.watch(viewer, &[("speaker", quality)]);
        world.run(seconds(3));
        assert_eq!(shown(&world), layers, "quality {quality}");
    }
    world.watch(viewer, &[("nobody", 2)]);
    world.run(seconds(2));
    assert_eq!(shown(&world), [false, false]);
    assert_released(&mut world);
}

#[test]
fn lost_pictures_are_asked_for_again_but_not_too_often() {
    let (mut world, viewer, speaker) = two_with_video(3);
    world.clients[viewer].loses = 0.2;
    world.watch(viewer, &[("speaker", 2)]);
    world.run(seconds(20));
    let asked = &world.clients[speaker].plis[&Source::High];
    assert!(world.clients[viewer].lost_pictures > 50);
    assert!((20..=42).contains(&asked.len()), "{} key frames in 20 s", asked.len());
    for pair in asked.windows(2) {
        assert!(pair[1] - pair[0] >= millis(500), "coalesced");
    }
}

#[test]
fn a_late_joiner_learns_the_props_and_gets_a_key_frame_within_one_interval() {
    let (mut world, _, speaker) = two_with_video(4);
    world.clients[speaker]
        .props
        .insert("muted".to_owned(), "true".to_owned());
    world.say(speaker, Client::propsync);
    world.run(seconds(10));
    let late = world.client("late", 0);
    world.clients[late].wanted = vec![("speaker".to_owned(), 2)];
    world.enter(late);
    let begin = world.clock.now();
    world.run_until(seconds(2), "a picture", |world| {
        world.hears(late, speaker, Source::High)
    });
    assert!(world.clock.now() - begin < millis(500));
    world.run(seconds(1));
    assert_eq!(world.clients[late].told_props["speaker"]["muted"], "true");
    assert_released(&mut world);
}

#[test]
fn props_are_relayed_to_those_whom_their_owner_accepts() {
    let mut world = one(5);
    let [speaker, friend, stranger] = [0, 1, 2].map(|at| world.client(&format!("u{at}"), 0));
    world.clients[speaker].accept = Accept::Except(["u2".to_owned()].into());
    for client in [speaker, friend, stranger] {
        world.enter(client);
    }
    world.run(seconds(1));
    world.clients[speaker]
        .props
        .insert("muted".to_owned(), "true".to_owned());
    world.say(speaker, Client::propsync);
    world.run(seconds(1));
    assert_eq!(world.clients[friend].told_props["u0"]["muted"], "true");
    assert!(!world.clients[stranger].told_props.contains_key("u0"));
    assert!(hears(&world, speaker, friend) && hears(&world, friend, speaker));
    assert!(
        !hears(&world, speaker, stranger) && !hears(&world, stranger, speaker),
        "both must accept"
    );
    // The members change their minds.
    world.clients[speaker].accept = Accept::Except(["u1".to_owned()].into());
    world.say(speaker, Client::answer);
    world.run(seconds(2));
    assert_eq!(world.clients[stranger].told_props["u0"]["muted"], "true");
    assert!(!hears(&world, friend, speaker) && hears(&world, stranger, speaker));
    assert_released(&mut world);
}

#[test]
fn whoever_leaves_and_comes_back_is_at_the_end_and_heard_again() {
    let mut world = one(6);
    let clients = [0, 1, 2].map(|at| world.joined(&format!("u{at}"), 0));
    world.run(seconds(1));
    world.hang_up(clients[0]);
    world.run(seconds(1));
    assert_eq!(world.clients[clients[1]].sees(), ["u1", "u2"]);
    world.enter(clients[0]);
    world.run(seconds(2));
    assert_eq!(world.clients[clients[1]].sees(), ["u1", "u2", "u0"]);
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_reconnect_moves_to_the_end_and_keeps_its_video_id() {
    let mut world = one(7);
    let clients = [0, 1, 2].map(|at| world.joined(&format!("u{at}"), 0));
    world.run(seconds(1));
    let entry = |world: &World| {
        let roster = world.clients[clients[1]].roster();
        roster
            .entries
            .iter()
            .find(|entry| entry.user == "u0")
            .expect("u0 is there")
            .clone()
    };
    let before = entry(&world);
    world.reconnect(clients[0]);
    world.run(seconds(3));
    let after = entry(&world);
    assert_eq!(world.clients[clients[1]].sees(), ["u1", "u2", "u0"]);
    assert_eq!(before.video, after.video);
    assert_ne!(before.audio, after.audio);
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_silent_client_ends_after_twenty_seconds_exactly() {
    let mut world = one(8);
    let clients = [0, 1].map(|at| world.joined(&format!("u{at}"), 0));
    let begin = world.clients[clients[0]].active_since.expect("it is in the call");
    world.run(seconds(12) - (world.clock.now() - begin));
    // Its last PING left at 10 s and took 10 ms.
    world.clients[clients[0]].mute_network = true;
    world.run(seconds(40));
    let (at, reason) = *world.clients[clients[0]].ends.first().expect("its session ended");
    assert_eq!(reason, EndReason::Silent);
    assert_eq!(
        at - begin,
        millis(30_010 + 10),
        "20 s after the last PING, and on the way back"
    );
    assert_eq!(world.clients[clients[1]].sees(), ["u1"]);
    assert_released(&mut world);
}

#[test]
fn the_sixth_loud_one_is_not_heard_and_the_first_of_the_roster_always_is() {
    let mut world = one(9);
    let clients: Vec<usize> = (0..7).map(|at| world.client(&format!("u{at}"), 0)).collect();
    world.clients[clients[0]].level = 60;
    clients.iter().for_each(|client| world.enter(*client));
    world.run(seconds(4));
    let heard: Vec<bool> = clients[..6]
        .iter()
        .map(|whom| hears(&world, clients[6], *whom))
        .collect();
    assert_eq!(heard.iter().filter(|heard| **heard).count(), 5, "{heard:?}");
    assert!(heard[0], "the first has a slot of its own");
    assert_released(&mut world);
}

#[test]
fn an_ssrc_that_someone_else_has_ends_the_session_and_the_next_one_is_fine() {
    let mut world = one(11);
    let clients = [0, 1].map(|at| world.joined(&format!("u{at}"), 0));
    world.run(seconds(1));
    let late = world.client("u2", 0);
    world.join(late);
    world.run(millis(15));
    world.clients[late].ssrcs.audio = world.clients[clients[0]].ssrcs.audio;
    world.run(seconds(3));
    let ends: Vec<EndReason> = world.clients[late].ends.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(ends, [EndReason::Conflict]);
    assert_eq!(world.clients[late].attempt, 2);
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_client_whose_transport_breaks_is_gone_and_one_that_never_answers_leaves_no_trace() {
    let mut world = one(10);
    let clients = [0, 1].map(|at| world.joined(&format!("u{at}"), 0));
    let ghost = world.client("ghost", 0);
    world.join(ghost);
    world.run(millis(15));
    world.clients[ghost].mute_network = true;
    world.break_session(clients[0]);
    world.run(seconds(1));
    assert_eq!(world.clients[clients[1]].sees(), ["u1"]);
    assert_eq!(world.sfts[0].relay.load().sessions, 2);
    world.run(seconds(12));
    assert_eq!(world.sfts[0].relay.load().sessions, 1);
    assert_ne!(world.clients[ghost].stage, Stage::Active);
    assert_released(&mut world);
}
