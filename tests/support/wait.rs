//! Waiting for something that can only be asked, with a bound.

use std::time::Duration;

use super::now;

/// How often is asked; pacing, not synchronisation.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is yes; fails the test after `bound`.
pub async fn until(what: &str, bound: Duration, mut reached: impl AsyncFnMut() -> bool) {
    let give_up = now() + bound;
    while !reached().await {
        assert!(now() < give_up, "not within {bound:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
