//! Lets a line that comes again and again into the log at most once a minute.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::limits::MAX_SELDOM;

/// How long a line stays out of the log once it was there.
const PAUSE: Duration = Duration::from_secs(60);

/// What was said lately, by kind of line.
#[derive(Debug)]
pub struct Seldom<K> {
    // At most MAX_SELDOM.
    said: HashMap<K, Said>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    at: Instant,
    since: u64,
}

impl<K> Default for Seldom<K> {
    fn default() -> Seldom<K> {
        Seldom { said: HashMap::new() }
    }
}

impl<K: Eq + Hash> Seldom<K> {
    /// Whether a line may be said now: how often it was left out since it was said last. `None`: not now.
    pub fn say(&mut self, now: Instant, kind: K) -> Option<u64> {
        if let Some(said) = self.said.get_mut(&kind) {
            if is_recent(now, said) {
                said.since += 1;
                return None;
            }
            let left_out = said.since;
            *said = Said { at: now, since: 0 };
            return Some(left_out);
        }
        if self.said.len() >= MAX_SELDOM {
            self.said.retain(|_, said| is_recent(now, said));
        }
        // A log that is flooded with kinds is as bad as one that is flooded with lines.
        if self.said.len() >= MAX_SELDOM {
            return None;
        }
        self.said.insert(kind, Said { at: now, since: 0 });
        Some(0)
    }
}

fn is_recent(now: Instant, said: &Said) -> bool {
    now.saturating_duration_since(said.at) < PAUSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any moment will do to start from")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_line_is_said_once_a_minute_and_says_how_often_it_was_left_out() {
        let (begin, mut seldom) = (start(), Seldom::default());
        for (second, kind, expected) in [
            (0, "a", Some(0)),
            (1, "a", None),
            (1, "b", Some(0)),
            (59, "a", None),
            (60, "a", Some(2)),
            (61, "a", None),
            (200, "a", Some(1)),
            (200, "b", Some(0)),
        ] {
            let said = seldom.say(begin + Duration::from_secs(second), kind);
            assert_eq!(said, expected, "{kind} after {second} s");
        }
    }

    #[test]
    fn no_flood_of_kinds_is_remembered_or_said() {
        let (begin, mut seldom) = (start(), Seldom::default());
        let said = (0..MAX_SELDOM * 2).filter(|kind| seldom.say(begin, *kind).is_some());
        assert_eq!(said.count(), MAX_SELDOM);
        assert_eq!(seldom.said.len(), MAX_SELDOM);
        assert_eq!(seldom.say(begin + PAUSE, usize::MAX), Some(0), "what is old makes room");
        assert_eq!(seldom.said.len(), 1);
    }
}
