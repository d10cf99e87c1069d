//! A run is a function of configuration, seed and inputs.

use crate::net::ROUGH;
use crate::scenarios::federation::{domains, home};
use crate::scenarios::seconds;
use crate::sft::{Said, replay};
use crate::world::World;

fn story(seed: u64, watched: impl FnOnce(&mut World)) -> World {
    let mut world = domains(seed, 3, ROUGH);
    watched(&mut world);
    for name in ["a0", "b0", "c0", "b1", "c1", "a1"] {
        let client = world.client(name, home(name));
        world.clients[client].video = true;
        world.clients[client].wanted = vec![("b0".to_owned(), 2), ("c1".to_owned(), 1)];
        world.enter(client);
    }
    world.run(seconds(2));
    world.cut(0, 2);
    world.reconnect(1);
    world.run(seconds(12));
    world.mend(0, 2);
    world.hang_up(3);
    world.run(seconds(8));
    world
}

#[test]
fn the_same_seed_makes_the_same_story() {
    let trace = |seed| {
        let world = story(seed, |world| world.trace = Some(Said::default()));
        world.trace.expect("it was set above").hash()
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_recorded_relay_says_the_same_again() {
    let world = story(3, |world| world.sfts.iter_mut().for_each(|sft| sft.start_recording()));
    for sft in &world.sfts {
        let record = sft.record.as_ref().expect("it was started above");
        assert!(record.told.len() > 1000);
        assert_eq!(replay(sft.fresh(), &record.told), sft.said(), "{}", sft.domain);
        assert_ne!(
            replay(sft.fresh(), &record.told[1..]),
            sft.said(),
            "the comparison compares"
        );
    }
}
