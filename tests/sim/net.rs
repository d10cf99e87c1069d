//! The network: seeded loss, delay and jitter, and cuts between SFTs.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Share of datagrams that are lost; stream bytes come later instead.
    pub loss: f64,
    /// One way.
    pub delay: Duration,
    /// Added to the delay, evenly from zero to this.
    pub jitter: Duration,
}

pub const FAIR: Weather = Weather {
    loss: 0.0,
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(0),
};
pub const ROUGH: Weather = Weather {
    loss: 0.03,
    delay: Duration::from_millis(40),
    jitter: Duration::from_millis(30),
};

/// How long QUIC takes to send lost stream bytes again.
const RECOVERY: Duration = Duration::from_millis(200);

/// All paths between SFTs.
#[derive(Debug)]
pub struct Net {
    pub weather: Weather,
    dice: ChaCha12Rng,
    cuts: BTreeSet<(usize, usize)>,
}

impl Net {
    pub fn new(seed: u64, weather: Weather) -> Net {
        Net {
            weather,
            dice: ChaCha12Rng::seed_from_u64(seed),
            cuts: BTreeSet::new(),
        }
    }

    /// One way, without loss.
    pub fn travel(&mut self) -> Duration {
        self.weather.delay + self.weather.jitter.mul_f64(self.dice.random::<f64>())
    }

    /// One way for a datagram; `None`: it is lost.
    pub fn datagram(&mut self) -> Option<Duration> {
        let travel = self.travel();
        (!self.dice.random_bool(self.weather.loss)).then_some(travel)
    }

    /// One way for a frame on a stream: lost bytes are sent again.
    pub fn frame(&mut self) -> Duration {
        self.datagram().unwrap_or(self.weather.delay + RECOVERY)
    }

    pub fn cut(&mut self, one: usize, other: usize) {
        self.cuts.insert(pair(one, other));
    }

    pub fn mend(&mut self, one: usize, other: usize) {
        self.cuts.remove(&pair(one, other));
    }

    pub fn is_cut(&self, one: usize, other: usize) -> bool {
        self.cuts.contains(&pair(one, other))
    }
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}
