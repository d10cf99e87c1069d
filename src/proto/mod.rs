//! Bytes to values and back: no state, no clock, no socket.
//!
//! One packet type or message family a file. Everything here meets hostile bytes: parsing never panics, never allocates more
//! than what came in, and says what was wrong with a small enum. Start at [`demux`], which tells what a datagram is.

pub mod client;
pub mod cursor;
pub mod demux;
pub mod frame_descriptor;
pub mod link;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod stun;
