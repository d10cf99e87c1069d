//! Quantities as operators write them: `"30s"`, `"64 KiB"`, `"200 Mbit/s"`, `"50/s"`.
//!
//! A number without its unit is refused: nobody should have to guess whether 30 is seconds.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer};

use crate::units::Bitrate;

/// Why a text is not a quantity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadQuantity {
    /// It does not start with a whole number.
    #[error("it must start with a whole number")]
    NoNumber,
    /// The unit is missing or none of those allowed.
    #[error("the unit must be one of {0}")]
    Unit(&'static str),
    /// The number is larger than 64 bits hold.
    #[error("the number is too large")]
    TooLarge,
}

/// A duration: `"500ms"`, `"30s"`, `"10m"`, `"24h"`, `"7d"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span(pub Duration);

/// An amount of memory or data in bytes: `"512 B"`, `"64 KiB"`, `"4 MiB"`, `"1 GiB"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size(pub u64);

/// A rate of data: `"800 bit/s"`, `"2500 kbit/s"`, `"200 Mbit/s"`, `"1 Gbit/s"` (powers of 1000).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate(pub Bitrate);

/// How often something may happen: `"50/s"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PerSecond(pub u64);

/// Splits `"64 KiB"` and multiplies the number by what its unit stands for.
fn scaled(text: &str, units: &[(&str, u64)], allowed: &'static str) -> Result<u64, BadQuantity> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or(BadQuantity::NoNumber)?;
    if number.is_empty() {
        return Err(BadQuantity::NoNumber);
    }
    let number: u64 = number.parse().map_err(|_| BadQuantity::TooLarge)?;
    let unit = unit.trim_start();
    let (_, factor) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(BadQuantity::Unit(allowed))?;
    number.checked_mul(*factor).ok_or(BadQuantity::TooLarge)
}

impl FromStr for Span {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Span, BadQuantity> {
        const UNITS: &[(&str, u64)] = &[
            ("ms", 1),
            ("s", 1000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ];
        scaled(text, UNITS, "ms, s, m, h, d").map(|ms| Span(Duration::from_millis(ms)))
    }
}

impl FromStr for Size {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Size, BadQuantity> {
        const UNITS: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        scaled(text, UNITS, "B, KiB, MiB, GiB").map(Size)
    }
}

impl FromStr for Rate {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Rate, BadQuantity> {
        const UNITS: &[(&str, u64)] = &[
            ("bit/s", 1),
            ("kbit/s", 1000),
            ("Mbit/s", 1_000_000),
            ("Gbit/s", 1_000_000_000),
        ];
        scaled(text, UNITS, "bit/s, kbit/s, Mbit/s, Gbit/s").map(|bits| Rate(Bitrate(bits)))
    }
}

impl FromStr for PerSecond {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<PerSecond, BadQuantity> {
        scaled(text, &[("/s", 1)], "/s").map(PerSecond)
    }
}

fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

macro_rules! written_as_text {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }
    )*};
}

written_as_text!(Span, Size, Rate, PerSecond);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_their_unit() {
        let seconds = |n| Ok(Span(Duration::from_secs(n)));
        for (text, expected) in [
            ("30s", seconds(30)),
            (" 10 m ", seconds(600)),
            ("24h", seconds(86_400)),
            ("7d", seconds(604_800)),
            ("500ms", Ok(Span(Duration::from_millis(500)))),
            ("30", Err(BadQuantity::Unit("ms, s, m, h, d"))),
            ("s", Err(BadQuantity::NoNumber)),
            ("", Err(BadQuantity::NoNumber)),
            ("-5s", Err(BadQuantity::NoNumber)),
            ("1.5s", Err(BadQuantity::Unit("ms, s, m, h, d"))),
            ("99999999999999999999s", Err(BadQuantity::TooLarge)),
            ("18446744073709551615d", Err(BadQuantity::TooLarge)),
        ] {
            assert_eq!(text.trim_end().parse(), expected, "{text}");
        }
    }

    #[test]
    fn sizes_count_in_1024_and_rates_in_1000() {
        assert_eq!("64 KiB".parse(), Ok(Size(65_536)));
        assert_eq!("4MiB".parse(), Ok(Size(4_194_304)));
        assert_eq!("64 KB".parse::<Size>(), Err(BadQuantity::Unit("B, KiB, MiB, GiB")));
        assert_eq!("200 Mbit/s".parse(), Ok(Rate(Bitrate(200_000_000))));
        assert_eq!("2500 kbit/s".parse(), Ok(Rate(Bitrate::kbps(2500))));
        assert_eq!(
            "200 MB/s".parse::<Rate>(),
            Err(BadQuantity::Unit("bit/s, kbit/s, Mbit/s, Gbit/s"))
        );
        assert_eq!("50/s".parse(), Ok(PerSecond(50)));
    }
}
