//! The budget of sessions that are not open yet: what a flood of CONFCONN may cost (`design.md` §2).
//!
//! A session takes a place when its CONFCONN comes and gives it back when its data channel opens or it ends.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ids::ConferenceId;
use crate::limits::{MAX_HALF_OPEN, MAX_HALF_OPEN_PER_CONFERENCE, MAX_HALF_OPEN_PER_SOURCE};
use crate::metrics::JoinRefused;

/// How many sessions may be half-open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// In all.
    pub total: usize,
    /// From one [`Source`].
    pub per_source: usize,
    /// For one conference.
    pub per_conference: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            total: MAX_HALF_OPEN,
            per_source: MAX_HALF_OPEN_PER_SOURCE,
            per_conference: MAX_HALF_OPEN_PER_CONFERENCE,
        }
    }
}

/// Whoever one customer's network can pretend to be: an IPv4 /24 or an IPv6 /56.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Source(IpAddr);

impl Source {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Source {
        Source(match address.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & (u32::MAX << 8))),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 72))),
        })
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source(…)")
    }
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Over {
    /// [`Bounds::total`].
    #[error("too many sessions are being set up")]
    Total,
    /// [`Bounds::per_source`].
    #[error("too many sessions are being set up from this network")]
    Source,
    /// [`Bounds::per_conference`].
    #[error("too many sessions are being set up for this conference")]
    Conference,
}

impl From<Over> for JoinRefused {
    fn from(over: Over) -> JoinRefused {
        match over {
            Over::Total => JoinRefused::HalfOpen,
            Over::Source => JoinRefused::HalfOpenSource,
            Over::Conference => JoinRefused::HalfOpenConference,
        }
    }
}

/// A place in the budget; give it back with [`HalfOpen::leave`].
#[derive(Debug, Eq, PartialEq)]
#[must_use = "a place that is dropped is never free again"]
pub struct Place {
    source: Source,
    conference: ConferenceId,
}

/// Who holds places.
#[derive(Debug, Default)]
pub struct HalfOpen {
    bounds: Bounds,
    total: usize,
    // No entry is zero, so both maps have at most `total` entries.
    by_source: HashMap<Source, usize>,
    by_conference: HashMap<ConferenceId, usize>,
}

impl HalfOpen {
    /// An empty budget.
    #[must_use]
    pub fn new(bounds: Bounds) -> HalfOpen {
        HalfOpen {
            bounds,
            ..HalfOpen::default()
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Over`] names the bound that is reached; nothing changed then.
    pub fn enter(&mut self, source: Source, conference: &ConferenceId) -> Result<Place, Over> {
        if self.total >= self.bounds.total {
            return Err(Over::Total);
        }
        if count(&self.by_source, &source) >= self.bounds.per_source {
            return Err(Over::Source);
        }
        if count(&self.by_conference, conference) >= self.bounds.per_conference {
            return Err(Over::Conference);
        }
        self.total += 1;
        *self.by_source.entry(source).or_default() += 1;
        *self.by_conference.entry(conference.clone()).or_default() += 1;
        Ok(Place {
            source,
            conference: conference.clone(),
        })
    }

    /// Gives a place back.
    pub fn leave(&mut self, place: Place) {
        self.total = self.total.saturating_sub(1);
        lower(&mut self.by_source, place.source);
        lower(&mut self.by_conference, place.conference);
    }

    /// Places taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.total
    }
}

fn count<K: Eq + Hash>(map: &HashMap<K, usize>, key: &K) -> usize {
    map.get(key).copied().unwrap_or(0)
}

fn lower<K: Eq + Hash>(map: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut entry) = map.entry(key) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bounds = Bounds {
        total: 5,
        per_source: 3,
        per_conference: 2,
    };

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    fn conference(text: &str) -> ConferenceId {
        ConferenceId::parse(text).unwrap()
    }

    #[test]
    fn a_source_is_a_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.255", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("::ffff:192.0.2.9", "192.0.2.1", true),
            ("2001:db8:0:aa00::1", "2001:db8:0:aaff:1::", true),
            ("2001:db8:0:aa00::1", "2001:db8:0:ab00::1", false),
        ] {
            assert_eq!(source(one) == source(other), same, "{one} {other}");
        }
    }

    #[test]
    fn each_bound_is_its_own() {
        let mut budget = HalfOpen::new(SMALL);
        let steps = [
            ("192.0.2.1", "c1", None),
            ("192.0.2.2", "c1", None),
            ("198.51.100.1", "c1", Some(Over::Conference)),
            ("192.0.2.3", "c2", None),
            ("192.0.2.4", "c3", Some(Over::Source)),
            ("198.51.100.1", "c2", None),
            ("198.51.100.1", "c3", None),
            ("203.0.113.1", "c4", Some(Over::Total)),
        ];
        let mut places = Vec::new();
        for (step, (from, to, refused)) in steps.into_iter().enumerate() {
            match budget.enter(source(from), &conference(to)) {
                Ok(place) => places.push(place),
                Err(over) => assert_eq!(Some(over), refused, "step {step}"),
            }
        }
        assert_eq!((places.len(), budget.taken()), (5, 5));
        places.into_iter().for_each(|place| budget.leave(place));
        assert_eq!(budget.taken(), 0);
        assert!(budget.by_source.is_empty() && budget.by_conference.is_empty());
    }

    #[test]
    fn a_place_that_is_given_back_can_be_taken_again() {
        let mut budget = HalfOpen::new(SMALL);
        let (from, to) = (source("192.0.2.1"), conference("c"));
        let _kept = budget.enter(from, &to).unwrap();
        let given = budget.enter(from, &to).unwrap();
        assert_eq!(budget.enter(from, &to), Err(Over::Conference));
        budget.leave(given);
        assert!(budget.enter(from, &to).is_ok());
    }
}
