//! Refusals about this server wait: a client asks several SFTs at once and takes the first answer, which must not be ours.

use std::time::Duration;

use tokio::sync::Semaphore;

/// Answers that wait, up to a bound; beyond it they leave at once.
#[derive(Debug)]
pub struct Held {
    pause: Duration,
    places: Semaphore,
}

impl Held {
    /// Room for `places` answers that each wait for `pause`.
    #[must_use]
    pub fn new(pause: Duration, places: usize) -> Held {
        Held {
            pause,
            places: Semaphore::new(places),
        }
    }

    /// Waits, if there is room. A client that gives up ends its wait: its connection ends the future.
    pub async fn wait(&self) {
        if let Ok(_place) = self.places.try_acquire() {
            tokio::time::sleep(self.pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    async fn waits(held: &Held) -> bool {
        tokio::select! {
            biased;
            () = held.wait() => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test]
    async fn an_answer_waits_while_there_is_room_and_gives_its_place_back() {
        let held = Held::new(HOUR, 1);
        assert!(waits(&held).await);
        assert!(waits(&held).await, "the first one gave up");
        assert!(!waits(&Held::new(HOUR, 0)).await, "without room it leaves at once");
    }
}
