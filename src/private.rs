//! Values that may be used but never shown: addresses and names of people, keys, tokens.

use std::fmt;

/// Wraps a value whose `Debug` and `Display` are `…`, whatever the value is.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Private<T> {
        Private(value)
    }

    /// The value, for use; not for a log, an error or a metric.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, as [`Private::expose`].
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Private<T> {
    fn from(value: T) -> Private<T> {
        Private(value)
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_private_value_is_printed() {
        let address = Private::new("192.0.2.7");
        assert_eq!(
            format!("{address} {address:?} {:#?}", Some(address)),
            "… … Some(\n    …,\n)"
        );
        assert_eq!(*address.expose(), "192.0.2.7");
    }
}
