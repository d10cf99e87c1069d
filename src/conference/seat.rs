//! Seats: small numbers for the participants of one conference, and sets of them.

/// A participant's number in its conference; given again after it left.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Seat(pub u16);

/// A set of seats, a bit each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SeatSet {
    words: Vec<u64>,
}

impl SeatSet {
    /// Whether a seat is in the set.
    #[must_use]
    pub fn has(&self, seat: Seat) -> bool {
        self.words.get(word(seat)).is_some_and(|bits| bits & bit(seat) != 0)
    }

    /// Puts a seat in; says whether it is new.
    pub fn insert(&mut self, seat: Seat) -> bool {
        if self.words.len() <= word(seat) {
            self.words.resize(word(seat) + 1, 0);
        }
        let Some(bits) = self.words.get_mut(word(seat)) else {
            return false;
        };
        let fresh = *bits & bit(seat) == 0;
        *bits |= bit(seat);
        fresh
    }

    /// Takes a seat out; says whether it was in.
    pub fn remove(&mut self, seat: Seat) -> bool {
        let Some(bits) = self.words.get_mut(word(seat)) else {
            return false;
        };
        let was = *bits & bit(seat) != 0;
        *bits &= !bit(seat);
        was
    }

    /// The seats, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Seat> + '_ {
        (0..).zip(&self.words).flat_map(|(word, bits)| {
            (0..64u16)
                .filter(move |at| bits & (1 << at) != 0)
                .map(move |at| Seat(word * 64 + at))
        })
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|bits| *bits == 0)
    }

    /// Those of this set that are not in the other.
    pub fn without<'a>(&'a self, other: &'a SeatSet) -> impl Iterator<Item = Seat> + 'a {
        self.iter().filter(|seat| !other.has(*seat))
    }
}

impl FromIterator<Seat> for SeatSet {
    fn from_iter<I: IntoIterator<Item = Seat>>(seats: I) -> Self {
        let mut set = SeatSet::default();
        for seat in seats {
            set.insert(seat);
        }
        set
    }
}

fn word(seat: Seat) -> usize {
    usize::from(seat.0 / 64)
}

fn bit(seat: Seat) -> u64 {
    1 << (seat.0 % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_remembers_who_is_in_it() {
        let mut set = SeatSet::default();
        assert!(set.insert(Seat(3)) && set.insert(Seat(200)) && !set.insert(Seat(3)));
        assert!(set.has(Seat(200)) && !set.has(Seat(64)) && !set.has(Seat(1000)));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Seat(3), Seat(200)]);
        let other: SeatSet = [Seat(3)].into_iter().collect();
        assert_eq!(set.without(&other).collect::<Vec<_>>(), [Seat(200)]);
        assert!(set.remove(Seat(3)) && set.remove(Seat(200)) && !set.remove(Seat(9)));
        assert!(set.is_empty());
    }
}
