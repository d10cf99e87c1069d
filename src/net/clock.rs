//! The one place that reads clocks; everyone else is told the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::units::{Epoch, WallTime, millis};

/// The monotonic time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall time; 0 where the system's clock stands before 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(millis(since))
}

/// Ties the two together; called once at start.
#[must_use]
pub fn epoch() -> Epoch {
    Epoch {
        instant: now(),
        wall: wall(),
    }
}
