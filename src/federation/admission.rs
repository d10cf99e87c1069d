//! Who may begin a handshake now: a bound on the work that strangers cause.
//!
//! Sources are a /24 (IPv4) or a /56 (IPv6). Anyone can write another's address into a packet, so an unvalidated source that is
//! over its rate is told to prove its address (QUIC Retry, RFC 9000 §8.1.2) rather than refused, and validated sources are counted
//! apart: nobody can use up the share of a source that he does not receive packets for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits::{HANDSHAKES_PER_SOURCE, MAX_HANDSHAKE_SOURCES, MAX_PENDING_HANDSHAKES, RETRY_ABOVE_HANDSHAKES};

/// What to do with an incoming handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admit {
    /// Go on.
    Accept,
    /// Let the source prove its address first.
    Retry,
    /// Answer nothing.
    Ignore,
}

/// Counts handshakes by source.
#[derive(Debug, Default)]
pub struct Admission {
    spent: HashMap<Source, Bucket>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Source {
    prefix: IpAddr,
    validated: bool,
}

/// Tokens that were left `at` that time; a full bucket holds a second's worth.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Admission {
    /// Decides about one handshake; `pending` others are under way. `validated`: the source has shown that it receives at its address.
    pub fn admit(&mut self, now: Instant, address: IpAddr, validated: bool, pending: usize) -> Admit {
        let over = if validated { Admit::Ignore } else { Admit::Retry };
        if pending >= MAX_PENDING_HANDSHAKES {
            return Admit::Ignore;
        }
        if pending > RETRY_ABOVE_HANDSHAKES && !validated {
            return Admit::Retry;
        }
        let source = Source {
            prefix: prefix(address),
            validated,
        };
        if self.take(now, source) { Admit::Accept } else { over }
    }

    fn take(&mut self, now: Instant, source: Source) -> bool {
        if self.spent.len() >= MAX_HANDSHAKE_SOURCES {
            self.spent.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.spent.len() >= MAX_HANDSHAKE_SOURCES && !self.spent.contains_key(&source) {
            return false;
        }
        let bucket = self.spent.entry(source).or_insert(Bucket {
            tokens: HANDSHAKES_PER_SOURCE,
            at: now,
        });
        bucket.take(now)
    }
}

impl Bucket {
    fn level(&self, now: Instant) -> f64 {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * HANDSHAKES_PER_SOURCE;
        (self.tokens + refilled).min(HANDSHAKES_PER_SOURCE)
    }

    fn is_full(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= Duration::from_secs(1)
    }

    fn take(&mut self, now: Instant) -> bool {
        self.tokens = self.level(now);
        self.at = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// The network that one administrator has, as a rule: /24 or /56.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) => IpAddr::from((ip.to_bits() & !0xff).to_be_bytes()),
        IpAddr::V6(ip) => IpAddr::from((ip.to_bits() & (u128::MAX << 72)).to_be_bytes()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn sources_are_networks() {
        for (address, expected) in [
            ("192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2ff::5", "2001:db8:1:200::"),
        ] {
            assert_eq!(prefix(ip(address)), ip(expected));
        }
    }

    #[test]
    fn ten_a_second_then_a_proof_of_address_and_then_silence() {
        let mut admission = Admission::default();
        let start = Instant::now();
        let mut count = |now, address: &str, validated| {
            let given: Vec<Admit> = (0..15)
                .map(|_| admission.admit(now, ip(address), validated, 0))
                .collect();
            let accepted = given.iter().take_while(|given| **given == Admit::Accept).count();
            (accepted, given[14])
        };
        assert_eq!(count(start, "192.0.2.1", false), (10, Admit::Retry));
        assert_eq!(
            count(start, "192.0.2.200", false),
            (0, Admit::Retry),
            "the same network"
        );
        assert_eq!(
            count(start, "192.0.2.200", true),
            (10, Admit::Ignore),
            "who proved his address has his own share"
        );
        assert_eq!(count(start, "192.0.3.1", false), (10, Admit::Retry), "another network");
        let later = start + Duration::from_millis(500);
        assert_eq!(
            count(later, "192.0.2.1", false),
            (5, Admit::Retry),
            "half a second, half the share"
        );
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(
            count(much_later, "192.0.2.1", false),
            (10, Admit::Retry),
            "it never holds more than a second's"
        );
    }

    #[test]
    fn many_pending_handshakes_mean_retry_and_very_many_mean_silence() {
        let mut admission = Admission::default();
        let now = Instant::now();
        for (pending, validated, expected) in [
            (RETRY_ABOVE_HANDSHAKES, false, Admit::Accept),
            (RETRY_ABOVE_HANDSHAKES + 1, false, Admit::Retry),
            (RETRY_ABOVE_HANDSHAKES + 1, true, Admit::Accept),
            (MAX_PENDING_HANDSHAKES, true, Admit::Ignore),
            (MAX_PENDING_HANDSHAKES, false, Admit::Ignore),
        ] {
            assert_eq!(
                admission.admit(now, ip("192.0.2.1"), validated, pending),
                expected,
                "{pending}"
            );
        }
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let mut admission = Admission::default();
        let now = Instant::now();
        let network = |i: usize| IpAddr::from((u32::try_from(i).unwrap() << 8).to_be_bytes());
        for i in 0..MAX_HANDSHAKE_SOURCES {
            assert_eq!(admission.admit(now, network(i), false, 0), Admit::Accept);
        }
        let newcomer = network(MAX_HANDSHAKE_SOURCES);
        assert_eq!(admission.admit(now, newcomer, false, 0), Admit::Retry);
        assert_eq!(admission.spent.len(), MAX_HANDSHAKE_SOURCES);
        assert_eq!(
            admission.admit(now + Duration::from_secs(1), newcomer, false, 0),
            Admit::Accept
        );
        assert_eq!(admission.spent.len(), 1);
    }
}
