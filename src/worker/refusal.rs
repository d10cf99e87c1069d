//! Why a CONFCONN was refused, in one word: for our field `reason`, logs and tests.

use crate::relay::Refusal;

/// The word.
#[must_use]
pub const fn word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::LegacyTuple => "legacy_tuple",
        Refusal::MalformedTuple => "malformed_tuple",
        Refusal::BadCapability => "bad_capability",
        Refusal::Unlisted => "unlisted",
        Refusal::Conflict => "conflict",
        Refusal::Limit => "limit",
        Refusal::Draining => "draining",
        Refusal::Anchor(code) => code.as_str(),
        Refusal::AnchorSilent => "anchor_silent",
    }
}
