//! Who is heard: a reserved slot and the loudest others, held through pauses.

use std::time::{Duration, Instant};

use crate::limits::AUDIO_SLOTS;
use crate::units::AudioLevel;

/// Quieter than this is no speech: background noise of an open microphone is at 60 to 90, a closed one at 127.
const QUIET: AudioLevel = AudioLevel(100);
/// A speaker keeps its slot through a pause of this length.
const PAUSE: Duration = Duration::from_millis(1500);
/// When all slots speak, a newcomer must be this many decibels louder than the quietest …
const LEAD_DB: u8 = 6;
/// … for this long: a cough takes no slot.
const LEAD_TIME: Duration = Duration::from_millis(300);

/// Names a source within its conference.
pub type SourceIndex = u16;

/// The audio slots of one receiver.
#[derive(Debug, Default)]
pub struct AudioSlots {
    slots: [Option<Holder>; AUDIO_SLOTS],
    challenger: Option<Challenger>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    source: SourceIndex,
    // What it last spoke with.
    level: AudioLevel,
    spoke: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Challenger {
    source: SourceIndex,
    since: Instant,
}

/// One packet's claim to be heard.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Whose packet it is.
    pub source: SourceIndex,
    /// Its smoothed level.
    pub level: AudioLevel,
    /// It is the first of the roster, for whom the first slot is reserved.
    pub reserved: bool,
}

/// A slot, and whether its source is new there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed {
    /// Index of the slot.
    pub slot: usize,
    /// Another source was there before.
    pub fresh: bool,
}

impl AudioSlots {
    /// The slot in which a packet is heard; `None`: it is not.
    pub fn place(&mut self, now: Instant, claim: Claim) -> Option<Placed> {
        if let Some(slot) = self.slot_of(claim.source) {
            self.hold(now, slot, claim);
            return Some(Placed { slot, fresh: false });
        }
        let slot = self.free(now, claim).or_else(|| self.conquer(now, claim))?;
        self.hold(now, slot, claim);
        Some(Placed { slot, fresh: true })
    }

    /// A source left.
    pub fn remove(&mut self, source: SourceIndex) {
        if let Some(slot) = self.slot_of(source).and_then(|slot| self.slots.get_mut(slot)) {
            *slot = None;
        }
    }

    /// Who is heard, by slot.
    pub fn heard(&self) -> impl Iterator<Item = Option<SourceIndex>> + '_ {
        self.slots.iter().map(|slot| slot.map(|holder| holder.source))
    }

    fn slot_of(&self, source: SourceIndex) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.is_some_and(|holder| holder.source == source))
    }

    fn hold(&mut self, now: Instant, slot: usize, claim: Claim) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let before = place.filter(|holder| holder.source == claim.source);
        *place = Some(match before {
            // Through a pause the holder keeps the level it spoke with.
            Some(holder) if claim.level >= QUIET => holder,
            _ => Holder {
                source: claim.source,
                level: claim.level,
                spoke: (claim.level < QUIET).then_some(now),
            },
        });
    }

    /// A slot that costs nobody a word: an empty one, else the one silent for longest, if the claim is speech.
    fn free(&self, now: Instant, claim: Claim) -> Option<usize> {
        // The reserved slot is kept for its owner while others have room.
        let order = || {
            (0..AUDIO_SLOTS)
                .rev()
                .filter(|&slot| slot != 0 || claim.reserved || self.crowded())
        };
        let at = |slot: usize| self.slots.get(slot).copied().flatten();
        if claim.reserved && self.quiet(now, at(0)) {
            return Some(0);
        }
        if let Some(empty) = order().find(|&slot| at(slot).is_none()) {
            return Some(empty);
        }
        if claim.level >= QUIET {
            return None;
        }
        order()
            .filter(|&slot| self.quiet(now, at(slot)))
            .min_by_key(|&slot| at(slot).and_then(|holder| holder.spoke))
    }

    fn crowded(&self) -> bool {
        self.slots.iter().skip(1).all(Option::is_some)
    }

    fn quiet(&self, now: Instant, holder: Option<Holder>) -> bool {
        let Some(holder) = holder else { return true };
        holder
            .spoke
            .is_none_or(|spoke| now.saturating_duration_since(spoke) > PAUSE)
    }

    /// All slots speak: the claim takes the quietest once it has led for long enough.
    fn conquer(&mut self, now: Instant, claim: Claim) -> Option<usize> {
        let level = |slot: usize| self.slots.get(slot).copied().flatten().map(|holder| holder.level);
        let quietest = (1..AUDIO_SLOTS).max_by_key(|&slot| level(slot))?;
        let leads = level(quietest).is_some_and(|held| claim.level.0.saturating_add(LEAD_DB) <= held.0);
        match self.challenger {
            Some(challenger) if challenger.source == claim.source && leads => {
                let long = now.saturating_duration_since(challenger.since) >= LEAD_TIME;
                long.then(|| self.challenger = None).map(|()| quietest)
            }
            Some(challenger) if challenger.source == claim.source => {
                self.challenger = None;
                None
            }
            Some(challenger) if now.saturating_duration_since(challenger.since) < LEAD_TIME * 2 => None,
            _ => {
                self.challenger = leads.then_some(Challenger {
                    source: claim.source,
                    since: now,
                });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Room {
        slots: AudioSlots,
        now: Instant,
    }

    impl Room {
        #[expect(clippy::disallowed_methods, reason = "tests choose the start of time")]
        fn new() -> Room {
            Room {
                slots: AudioSlots::default(),
                now: Instant::now(),
            }
        }

        /// Everyone says something every 20 ms for a while; returns who was heard at the end.
        fn talk(&mut self, ms: u64, levels: &[(SourceIndex, u8)]) -> Vec<SourceIndex> {
            for _ in 0..ms / 20 {
                for &(source, level) in levels {
                    let claim = Claim {
                        source,
                        level: AudioLevel(level),
                        reserved: source == 0,
                    };
                    self.slots.place(self.now, claim);
                }
                self.now += Duration::from_millis(20);
            }
            let mut heard: Vec<_> = self.slots.heard().flatten().collect();
            heard.sort_unstable();
            heard
        }
    }

    #[test]
    fn five_of_anyone_are_heard() {
        let mut room = Room::new();
        assert_eq!(
            room.talk(200, &[(0, 127), (1, 40), (2, 127), (3, 50), (4, 60)]),
            [0, 1, 2, 3, 4]
        );
    }

    #[test]
    fn a_speaker_takes_the_slot_of_who_is_silent() {
        let mut room = Room::new();
        room.talk(200, &[(0, 40), (1, 40), (2, 40), (3, 40), (4, 127)]);
        assert_eq!(
            room.talk(100, &[(0, 40), (1, 40), (2, 40), (3, 40), (5, 60)]),
            [0, 1, 2, 3, 5]
        );
    }

    #[test]
    fn a_cough_does_not_take_the_floor() {
        let mut room = Room::new();
        let speakers = [(0, 40), (1, 40), (2, 40), (3, 40), (4, 50)];
        room.talk(200, &speakers);
        let mut with_cough = speakers.to_vec();
        with_cough.push((5, 10));
        assert_eq!(room.talk(200, &with_cough), [0, 1, 2, 3, 4]);
        assert_eq!(
            room.talk(400, &with_cough),
            [0, 1, 2, 3, 5],
            "who goes on louder is heard"
        );
    }

    #[test]
    fn a_pause_costs_no_slot_and_a_long_silence_does() {
        let mut room = Room::new();
        room.talk(200, &[(0, 40), (1, 40), (2, 40), (3, 40), (4, 40)]);
        assert_eq!(
            room.talk(1400, &[(0, 40), (1, 40), (2, 40), (3, 40), (4, 127), (5, 45)]),
            [0, 1, 2, 3, 4]
        );
        assert_eq!(
            room.talk(300, &[(0, 40), (1, 40), (2, 40), (3, 40), (4, 127), (5, 45)]),
            [0, 1, 2, 3, 5]
        );
    }

    #[test]
    fn six_equal_speakers_do_not_flap() {
        let mut room = Room::new();
        let six = [(0, 40), (1, 40), (2, 40), (3, 40), (4, 40), (5, 40)];
        let heard = room.talk(100, &six);
        for _ in 0..100 {
            assert_eq!(room.talk(100, &six), heard);
        }
    }

    #[test]
    fn the_reserved_slot_serves_others_while_its_owner_is_silent() {
        let mut room = Room::new();
        room.talk(100, &[(1, 40), (2, 40), (3, 40), (4, 40), (5, 40)]);
        assert_eq!(room.slots.heard().flatten().count(), 5);
        assert_eq!(
            room.talk(1600, &[(1, 40), (2, 40), (3, 40), (4, 40), (5, 127), (0, 50)]),
            [0, 1, 2, 3, 4]
        );
    }
}
