//! The shell's edges: sockets, the clock, the system's randomness.

pub mod clock;
pub mod entropy;
pub mod udp;
