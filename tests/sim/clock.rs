//! Simulated time: it stands still unless the world moves it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The one clock of a world.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    now: Instant,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do as the beginning; it is read once"
    )]
    pub fn new() -> Clock {
        // The same for all worlds, so that their traces can be compared.
        static START: OnceLock<Instant> = OnceLock::new();
        let start = *START.get_or_init(Instant::now);
        Clock { start, now: start }
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// Since the world began.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Time never runs backwards.
    pub fn advance_to(&mut self, to: Instant) {
        self.now = self.now.max(to);
    }
}
