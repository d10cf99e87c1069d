//! The messages of Wire's clients ("econn", version 3.0): one flat JSON object each, over HTTP and the data channel.
//!
//! Reading ([`read`]) is tolerant: unknown fields and types are ignored, types compare without case. Writing ([`write`]) has the shape
//! stock clients were seen to accept. Numbers that are 64 bits or SSRCs travel as decimal strings. `docs/wire-compatibility.md` has the list.

mod read;
mod write;

use std::collections::BTreeMap;

pub use read::{Answer, BadMessage, Body, Connect, Message, Quality, Selection, props_fit};
pub use write::{
    Offer, RosterLine, RosterMessage, RosterOrder, RosterStamp, SsrcPair, Start, Status, hangup, offer, pong, props,
    roster, roster_line, status,
};

/// What a participant tells about itself: `videosend`, `screensend`, `muted`, `audiocbr`, `keysync`.
pub type Props = BTreeMap<String, String>;
