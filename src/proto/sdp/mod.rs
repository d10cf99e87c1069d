//! Session descriptions: the offer that we render and the answer that a client gives (RFC 8866, RFC 8839, RFC 9429).
//!
//! Offers have one fixed shape, the one stock clients were seen to accept, so they are rendered and not built. Answers are read for
//! the few things that matter, and everything else in them is ignored. Start at [`Offer`] and [`Answer`].

mod answer;
mod offer;

pub use answer::{Answer, BadSdp};
pub use offer::{Offer, VideoSlot, offer};
