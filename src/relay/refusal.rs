//! Why a client is not let into a conference, for the client and for people.

use crate::proto::client::Status;
use crate::proto::link::message::Code;

/// Why a CONFCONN was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// `sft_tuple` is of the incumbent's form, `ip:port/cid`.
    LegacyTuple,
    /// `sft_tuple` is of no form that we know, or `sft_url` came without one.
    MalformedTuple,
    /// The tuple names our domain, but its capability does not open this conference.
    BadCapability,
    /// The tuple's domain is not among our peers.
    Unlisted,
    /// Another participant has this id.
    Conflict,
    /// The participant's session was opened with another bearer's token.
    OtherBearer,
    /// The token may only join, and there is no such conference.
    CannotStart,
    /// A limit of this server is reached.
    Limit,
    /// The process drains.
    Draining,
    /// The anchor refused.
    Anchor(Code),
    /// The anchor could not be reached in time.
    AnchorSilent,
}

impl Refusal {
    /// What the client is told.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Refusal::Limit | Refusal::Draining | Refusal::Anchor(Code::Limit) => Status::AuthLimit,
            Refusal::CannotStart => Status::AuthCannotStart,
            _ => Status::AuthInvalid,
        }
    }

    /// The word in logs, metrics and our own field `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::LegacyTuple => "legacy_tuple",
            Refusal::MalformedTuple => "malformed_tuple",
            Refusal::BadCapability => "bad_capability",
            Refusal::Unlisted => "unlisted",
            Refusal::Conflict => "conflict",
            Refusal::OtherBearer => "other_bearer",
            Refusal::CannotStart => "cannot_start",
            Refusal::Limit => "limit",
            Refusal::Draining => "draining",
            Refusal::Anchor(code) => code.as_str(),
            Refusal::AnchorSilent => "anchor_silent",
        }
    }
}
