//! Twenty participants in three domains, one of which spoils every tenth frame it sends.

use std::time::Duration;

use crate::mischief::Mischief;
use crate::net::ROUGH;
use crate::scenarios::federation::{domains, home};
use crate::scenarios::{hears, millis, seconds, seeds};
use crate::world::World;

/// How many seeds are tried; `SIM_SEEDS` says otherwise, and `SIM_FIRST` with which to begin.
const SEEDS: u64 = 200;
/// Quieter than speech.
const SILENT: u8 = 110;

#[test]
fn whatever_one_peer_says_the_other_two_go_on() {
    seeds(SEEDS).for_each(one_run);
}

fn one_run(seed: u64) {
    let mut world = domains(seed, 3, ROUGH);
    world.pace.audio = millis(100);
    world.pace.frame = millis(300);
    let evil = usize::try_from(seed % 3).expect("small");
    world.checks.liars.insert(evil);
    world.sfts[evil].mischief = Some(Mischief::new(seed, 10));
    for at in 0..20 {
        let name = format!("{}{}", ["a", "b", "c"][at % 3], at / 3);
        let client = world.client(&name, at % 3);
        world.clients[client].video = at < 6;
        world.clients[client].level = if at < 6 && at % 3 != evil { 10 } else { SILENT };
        world.clients[client].wanted = vec![("a0".to_owned(), 2), ("b1".to_owned(), 1), ("c0".to_owned(), 0)];
    }
    world.enter_or_fail(0);
    for client in 1..20 {
        world.join(client);
        world.run(millis(100));
    }
    world.run(seconds(5));
    assert_sane(&world, evil);
    let honest = (0..20).filter(|at| at % 3 != evil);
    let (leaver, returner) = (
        honest.clone().nth(6).expect("many"),
        honest.clone().nth(7).expect("many"),
    );
    world.hang_up(leaver);
    world.reconnect(returner);
    world.run(seconds(6));
    assert_sane(&world, evil);
    let bound = 20 * 3 * 2 * 3;
    for sft in &world.sfts {
        let load = sft.relay.load();
        assert!(
            load.flows < bound && load.timers < 500 && load.streams < 20,
            "seed {seed}: {load:?}"
        );
    }
}

/// The honest are in the call, in one order, and hear those of them who speak.
fn assert_sane(world: &World, evil: usize) {
    let seed = world.seed;
    let honest: Vec<usize> = world
        .active()
        .into_iter()
        .filter(|at| world.clients[*at].sft != evil)
        .collect();
    assert!(honest.len() >= 12, "seed {seed}: {} are in the call", honest.len());
    // Whoever is behind a lying anchor has its own domain only.
    let believable = |one: usize, other: usize| evil != 0 || world.clients[one].sft == world.clients[other].sft;
    for who in &honest {
        let sees = world.clients[*who].sees();
        for whom in honest.iter().filter(|whom| believable(*who, **whom)) {
            let name = world.clients[*whom].name();
            assert!(
                sees.contains(&name) || evil == 0,
                "seed {seed}: {who} does not see {name}"
            );
            let speaks = *whom < 6 && whom != who;
            assert!(
                !speaks || evil == 0 || hears(world, *who, *whom),
                "seed {seed}: {who} does not hear {name}"
            );
        }
    }
    if evil != 0 {
        let order = |who: usize| -> Vec<&str> {
            let sees = world.clients[who].sees().into_iter();
            sees.filter(|name| name.len() > 1 && home(name) != evil).collect()
        };
        let first = order(honest[0]);
        assert!(
            honest.iter().all(|who| order(*who) == first),
            "seed {seed}: orders differ"
        );
    }
}

impl World {
    /// The first client of all is at the anchor, whatever it is.
    fn enter_or_fail(&mut self, client: usize) {
        self.join(client);
        self.run(Duration::from_millis(200));
        assert!(self.clients[client].is_active(), "seed {}", self.seed);
    }
}
