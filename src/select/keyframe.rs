//! Asks a publisher for a key frame: once for all receivers, again while nothing comes, ever more slowly.

use std::time::{Duration, Instant};

/// Shortest time between two requests: a key frame costs ten times a delta frame, so two a second is the most a picture is worth.
const FIRST_INTERVAL: Duration = Duration::from_millis(500);
/// Longest time between two requests that go unanswered.
const MAX_INTERVAL: Duration = Duration::from_secs(4);

/// The requests for one layer of one source.
#[derive(Debug)]
pub struct Keyframes {
    interval: Duration,
    // `None`: nobody waits for one.
    due: Option<Instant>,
    last_asked: Option<Instant>,
}

impl Default for Keyframes {
    fn default() -> Self {
        Keyframes {
            interval: FIRST_INTERVAL,
            due: None,
            last_asked: None,
        }
    }
}

impl Keyframes {
    /// A receiver cannot go on without a key frame.
    pub fn want(&mut self, now: Instant) {
        let earliest = self.last_asked.map_or(now, |at| now.max(at + FIRST_INTERVAL));
        self.due.get_or_insert(earliest);
    }

    /// A key frame came; whoever waited is served.
    pub fn satisfied(&mut self) {
        self.due = None;
        self.interval = FIRST_INTERVAL;
    }

    /// Whether anybody waits.
    #[must_use]
    pub fn waiting(&self) -> bool {
        self.due.is_some()
    }

    /// When the publisher was last asked.
    #[must_use]
    pub fn last_asked(&self) -> Option<Instant> {
        self.last_asked
    }

    /// When to call [`Keyframes::poll`] next; `None` is never.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether to ask the publisher now (PLI, RFC 4585 §6.3.1).
    pub fn poll(&mut self, now: Instant) -> bool {
        let ask = self.due.is_some_and(|due| due <= now);
        if ask {
            self.last_asked = Some(now);
            self.due = Some(now + self.interval);
            self.interval = (self.interval * 2).min(MAX_INTERVAL);
        }
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests choose the start of time")]
    fn any_number_of_wants_is_one_request_an_interval() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut keyframes = Keyframes::default();
        keyframes.want(at(0));
        keyframes.want(at(1));
        assert!(keyframes.poll(at(1)));
        assert!(!keyframes.poll(at(2)));
        keyframes.want(at(3));
        assert_eq!(keyframes.next_deadline(), Some(at(501)));
        assert!(keyframes.poll(at(501)));
        assert_eq!(
            keyframes.next_deadline(),
            Some(at(1501)),
            "unanswered requests slow down"
        );
        keyframes.satisfied();
        assert!(!keyframes.waiting());
        keyframes.want(at(600));
        assert_eq!(keyframes.next_deadline(), Some(at(1001)));
    }
}
