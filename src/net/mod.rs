//! The shell's edges: sockets, TLS, the clock, the system's randomness.

pub mod clock;
pub mod entropy;
pub mod files;
pub mod quic;
pub mod state;
pub mod tcp;
pub mod tls;
pub mod udp;
