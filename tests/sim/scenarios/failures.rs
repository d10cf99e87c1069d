//! Cut links and SFTs that die.

use anchor_sft::relay::Refusal;

use crate::client::Stage;
use crate::net::{FAIR, ROUGH};
use crate::scenarios::federation::{call, domains};
use crate::scenarios::{assert_all_hear, assert_one_roster, assert_released, hears, millis, seconds};
use crate::world::World;

fn rosters(world: &World) -> Vec<usize> {
    world.clients.iter().map(|client| client.rosters.len()).collect()
}

#[test]
fn a_link_that_is_cut_for_two_seconds_changes_no_roster() {
    for weather in [FAIR, ROUGH] {
        let mut world = call(1, &["a0", "b0", "c0"], weather);
        let before = rosters(&world);
        world.cut(0, 1);
        world.run(seconds(2));
        world.mend(0, 1);
        world.run(seconds(3));
        assert_eq!(rosters(&world), before);
        assert_all_hear(&world);
        assert_released(&mut world);
    }
}

#[test]
fn a_link_that_is_lost_and_back_within_the_grace_changes_no_roster() {
    for seed in 0..10 {
        let mut world = call(seed, &["a0", "b0", "c0", "b1"], ROUGH);
        let before = rosters(&world);
        world.cut(0, 1);
        world.run(seconds(6));
        assert!(world.link(0, 1).is_none());
        world.mend(0, 1);
        world.run(seconds(4));
        assert_eq!(rosters(&world), before, "seed {seed}");
        assert_all_hear(&world);
        assert_released(&mut world);
    }
}

#[test]
fn a_link_that_is_cut_for_long_splits_rosters_and_joins_them_again_in_the_anchors_order() {
    for seed in 0..10 {
        let mut world = call(seed, &["a0", "b0", "c0", "b1", "a1"], ROUGH);
        world.cut(0, 1);
        world.run(millis(7_900));
        assert_eq!(world.clients[0].sees().len(), 5, "seed {seed}: within the grace");
        world.run(millis(2_100));
        for (client, sees) in [
            (0, vec!["a0", "c0", "a1"]),
            (2, vec!["a0", "c0", "a1"]),
            (1, vec!["b0", "b1"]),
        ] {
            assert_eq!(
                world.clients[client].sees(),
                sees,
                "seed {seed}: ten seconds after the loss"
            );
        }
        assert!(hears(&world, 1, 3) && hears(&world, 0, 2));
        world.run(seconds(20));
        world.mend(0, 1);
        world.run(seconds(13));
        assert_one_roster(&world);
        assert_eq!(
            world.clients[0].sees()[..3],
            ["a0", "c0", "a1"],
            "seed {seed}: those who stayed come first"
        );
        assert_all_hear(&world);
        assert_released(&mut world);
    }
}

#[test]
fn whoever_comes_and_goes_while_the_link_is_cut_is_in_order_afterwards() {
    for seed in 0..10 {
        let mut world = call(seed, &["a0", "b0", "b1"], ROUGH);
        world.cut(0, 1);
        world.run(seconds(5));
        world.joined("b2", 1);
        world.hang_up(1);
        world.joined("a1", 0);
        world.run(seconds(10));
        assert_eq!(world.clients[2].sees(), ["b1", "b2"], "seed {seed}");
        world.mend(0, 1);
        world.run(seconds(13));
        assert_one_roster(&world);
        assert_all_hear(&world);
        assert_released(&mut world);
    }
}

#[test]
fn a_member_that_restarts_gets_its_clients_back_into_the_call() {
    for seed in 0..5 {
        let mut world = call(seed, &["a0", "b0", "c0", "b1"], ROUGH);
        world.stop(1);
        world.run(seconds(1));
        world.start(1);
        world.run(seconds(9));
        assert_eq!(world.clients[0].sees(), ["a0", "c0"], "seed {seed}");
        // Its clients notice after five unanswered PINGs.
        world.run(seconds(35));
        assert_eq!(world.active().len(), 4, "seed {seed}");
        assert_one_roster(&world);
        assert_all_hear(&world);
        assert_released(&mut world);
    }
}

#[test]
fn an_anchor_that_restarts_gets_the_whole_call_back() {
    for seed in 0..5 {
        let mut world = call(seed, &["a0", "b0", "c0", "b1"], ROUGH);
        world.stop(0);
        world.run(seconds(2));
        world.start(0);
        world.run(seconds(8));
        assert_eq!(
            world.clients[1].sees(),
            ["b0", "b1"],
            "seed {seed}: the member goes on alone"
        );
        assert!(hears(&world, 1, 3));
        world.run(seconds(40));
        assert_eq!(world.active().len(), 4, "seed {seed}");
        assert_one_roster(&world);
        assert_all_hear(&world);
        let asked: Vec<bool> = world
            .clients
            .iter()
            .map(|client| client.roster().should_start)
            .collect();
        assert_eq!(asked, [false; 4], "nobody is asked to announce the call again");
        assert_released(&mut world);
    }
}

#[test]
fn a_call_whose_anchor_has_nobody_comes_back_when_the_anchor_restarts_and_a_client_returns() {
    let mut world = call(3, &["a0", "b0", "b1"], FAIR);
    world.stop(0);
    world.run(seconds(15));
    assert_eq!(world.clients[1].sees(), ["b0", "b1"]);
    world.joined("b2", 1);
    assert_eq!(
        world.clients[1].sees(),
        ["b0", "b1", "b2"],
        "newcomers find a call that goes on without its anchor"
    );
    world.start(0);
    world.run(seconds(45));
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_member_that_restarts_while_the_anchor_is_away_serves_those_who_come_back() {
    let mut world = call(4, &["a0", "b0", "b1"], FAIR);
    world.cut(0, 1);
    world.stop(1);
    world.start(1);
    world.run(seconds(50));
    assert_eq!(world.clients[1].stage, Stage::Active);
    assert_eq!(world.clients[1].sees().len(), 2, "{:?}", world.clients[1].refusals);
    assert!(hears(&world, 1, 2) && hears(&world, 2, 1));
    world.mend(0, 1);
    world.run(seconds(15));
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn an_attach_that_is_not_answered_is_asked_again() {
    let mut world = call(6, &["a0", "b0"], FAIR);
    world.cut(0, 1);
    world.run(seconds(9));
    world.sfts[0].unsaid = Some("attached");
    world.mend(0, 1);
    world.run(seconds(20));
    assert_eq!(world.clients[1].sees(), ["b0"]);
    assert!(world.link(0, 1).is_some());
    world.sfts[0].unsaid = None;
    world.run(seconds(16));
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert_released(&mut world);
}

#[test]
fn a_silent_anchor_refuses_newcomers_only() {
    let mut world = domains(5, 2, FAIR);
    world.joined("a0", 0);
    world.stop(0);
    let late = world.client("b0", 1);
    world.join(late);
    world.run(seconds(4));
    assert_eq!(world.clients[late].refusals[0].1, Refusal::AnchorSilent);
    world.clients[0].leave();
    world.run(seconds(30));
    assert_eq!(world.sfts[1].relay.load().conferences, 0);
}
