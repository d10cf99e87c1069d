//! Who is heard and seen, at which layer, under which numbers. Pure: told the time and the headers, never the payload.
//!
//! [`numbering`] makes incoming sequence numbers unique, [`speaker`] and [`gate`] decide whether a packet passes into a slot,
//! [`rewrite`] gives it the slot's own numbers, [`keyframe`] asks publishers for pictures, once for everyone.

pub mod gate;
pub mod keyframe;
pub mod numbering;
pub mod rewrite;
pub mod speaker;
