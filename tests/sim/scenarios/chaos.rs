//! Honest SFTs, and everything else at once: clients come, go and reconnect, links are cut, processes die.

use rand::RngExt;

use crate::net::ROUGH;
use crate::scenarios::federation::{domains, home};
use crate::scenarios::{assert_all_hear, assert_one_roster, assert_released, millis, seconds, seeds};
use crate::world::World;

/// How many seeds are tried; `SIM_SEEDS` says otherwise.
const SEEDS: u64 = 60;

#[test]
fn whatever_happens_the_call_is_whole_again_once_it_stops() {
    seeds(SEEDS).for_each(one_run);
}

fn one_run(seed: u64) {
    let mut world = domains(seed, 3, ROUGH);
    world.pace.audio = millis(100);
    world.pace.frame = millis(300);
    for name in ["a0", "b0", "c0", "b1", "c1"] {
        let client = world.client(name, home(name));
        world.clients[client].video = true;
        world.clients[client].wanted = vec![("b0".to_owned(), 2), ("a0".to_owned(), 1)];
    }
    world.enter(0);
    for _ in 0..30 {
        something(&mut world);
        let pause = world.dice.random_range(50..4000);
        world.run(millis(pause));
    }
    for sft in 0..3 {
        world.start(sft);
        world.mend(sft, (sft + 1) % 3);
    }
    // The anchor's client keeps the conference there, as the caller does; the others have time to find back.
    for client in 0..world.clients.len() {
        if !world.clients[client].is_active() {
            world.clients[client].refusals.clear();
            world.rejoin(client);
        }
        world.run(seconds(2));
    }
    world.run(seconds(60));
    for client in 0..world.clients.len() {
        if !world.clients[client].is_active() {
            world.rejoin(client);
        }
    }
    world.run(seconds(25));
    assert_eq!(world.active().len(), 5, "seed {seed}");
    assert_one_roster(&world);
    assert_all_hear(&world);
    assert!(
        world.sfts.iter().all(|sft| sft.violations.is_empty()),
        "seed {seed}: the honest break no rules"
    );
    assert_released(&mut world);
}

fn something(world: &mut World) {
    let client = world.dice.random_range(0..world.clients.len());
    let sft = world.dice.random_range(0..world.sfts.len());
    match world.dice.random_range(0..12) {
        0..4 if !world.clients[client].is_active() => world.rejoin(client),
        0..2 => world.hang_up(client),
        2 | 3 => world.reconnect(client),
        4 | 5 => world.cut(0, 1 + sft % 2),
        6 | 7 => world.mend(0, 1 + sft % 2),
        8 => world.stop(sft),
        9 => world.start(sft),
        10 => world.break_session(client),
        _ => {}
    }
}

impl World {
    /// A user tries again; the stock client does so with a new CONFCONN.
    fn rejoin(&mut self, client: usize) {
        self.clients[client].attempt = self.clients[client].attempt.max(1);
        self.join(client);
    }
}
