//! The stories.

mod chaos;
mod failures;
mod federation;
mod liars;
mod mutants;
mod one_domain;
mod same_again;

use std::time::Duration;

use crate::client::{Roster, Source};
use crate::world::World;

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The seeds of a random scenario: `usual` many, or those that `SIM_FIRST` and `SIM_SEEDS` say.
pub fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let first = number("SIM_FIRST").unwrap_or(0);
    first..first + number("SIM_SEEDS").unwrap_or(usual)
}

/// Everyone in the call has the same roster, which lists exactly them.
pub fn assert_one_roster(world: &World) {
    let active = world.active();
    let first: &Roster = world.clients[active[0]].roster();
    let mut listed = world.clients[active[0]].sees();
    listed.sort_unstable();
    let mut expected: Vec<&str> = active.iter().map(|at| world.clients[*at].name()).collect();
    expected.sort_unstable();
    assert_eq!(listed, expected, "seed {}", world.seed);
    for at in active {
        let roster = Roster {
            should_start: first.should_start,
            ..world.clients[at].roster().clone()
        };
        assert_eq!(roster, *first, "seed {}: {}", world.seed, world.clients[at].name());
    }
}

/// Everyone in the call hears everyone else (five at most).
pub fn assert_all_hear(world: &World) {
    for who in world.active() {
        for whom in world.active().into_iter().filter(|whom| *whom != who) {
            assert!(
                hears(world, who, whom),
                "seed {}: {who} does not hear {whom}",
                world.seed
            );
        }
    }
}

pub fn hears(world: &World, who: usize, whom: usize) -> bool {
    world.hears(who, whom, Source::Audio)
}

/// Everyone hangs up; afterwards nothing of the call is left anywhere.
pub fn assert_released(world: &mut World) {
    for client in 0..world.clients.len() {
        world.hang_up(client);
    }
    world.run(seconds(60));
    for sft in &world.sfts {
        let load = sft.relay.load();
        let kept = (load.conferences, load.sessions, load.flows, load.waiting, load.streams);
        assert_eq!(
            kept,
            (0, 0, 0, 0, 0),
            "seed {}: {} keeps something",
            world.seed,
            sft.domain
        );
        assert!(
            load.timers < 20,
            "seed {}: {} keeps {} timers",
            world.seed,
            sft.domain,
            load.timers
        );
    }
}
