//! Which session's time comes next.
//!
//! A heap of (deadline, session); entries that a session has moved away from are skipped when they come up. A timing wheel can take
//! its place behind the same three verbs once a worker carries tens of thousands of sessions.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use crate::ids::SessionId;

/// The runtime's clock ticks in milliseconds; and a session that always wants to be woken at once must not stop all others.
const GRAIN: Duration = Duration::from_millis(1);

/// The deadlines of all sessions of a worker.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, SessionId)>>,
    // The entry of the heap that counts for each session; always the earliest one.
    armed: HashMap<SessionId, Instant>,
}

impl Timers {
    /// Wakes a session at `deadline` (but not within [`GRAIN`]), or at the earlier time it asked for before. `None` changes nothing.
    pub fn arm(&mut self, now: Instant, session: SessionId, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let deadline = deadline.max(now + GRAIN);
        if self.armed.get(&session).is_some_and(|armed| *armed <= deadline) {
            return;
        }
        self.armed.insert(session, deadline);
        self.heap.push(Reverse((deadline, session)));
    }

    /// Forgets a session.
    pub fn disarm(&mut self, session: SessionId) {
        self.armed.remove(&session);
    }

    /// The next session whose time has come; it is disarmed.
    pub fn due(&mut self, now: Instant) -> Option<SessionId> {
        while let Some(Reverse((deadline, session))) = self.heap.peek().copied() {
            if deadline > now {
                return None;
            }
            self.heap.pop();
            if self.armed.get(&session) == Some(&deadline) {
                self.armed.remove(&session);
                return Some(session);
            }
        }
        None
    }

    /// When [`Timers::due`] is worth asking; may be early, never late.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    #[test]
    fn sessions_wake_in_order_once_and_at_the_earliest_time_asked() {
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        for (session, ms) in [(1, 30), (2, 10), (1, 20), (2, 40), (3, 25), (4, 5)] {
            timers.arm(start, SessionId(session), Some(at(ms)));
        }
        timers.arm(start, SessionId(5), None);
        timers.disarm(SessionId(4));
        assert_eq!(timers.next_deadline(), Some(at(5)));
        assert_eq!(timers.due(at(9)), None);
        assert_eq!(timers.due(at(50)), Some(SessionId(2)));
        assert_eq!(timers.due(at(50)), Some(SessionId(1)));
        assert_eq!(timers.due(at(50)), Some(SessionId(3)));
        assert_eq!(timers.due(at(50)), None);
        assert_eq!(timers.next_deadline(), None);
    }
}
