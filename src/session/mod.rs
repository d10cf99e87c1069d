//! One client's transport: ICE, DTLS, SRTP, SCTP. Told the time, says what to send.
//!
//! A session is cheap until the first valid STUN check: only then ICE, DTLS and SCTP state exists. DTLS datagrams are held (at most
//! [`crate::limits::MAX_HELD_DTLS`]) until the client's answer is in: before it there is no fingerprint to check.
//! It knows nothing of conferences; it hands up texts from the data channel and opens and seals packets.

pub mod feedback;
pub mod reception;

use std::net::{IpAddr, SocketAddr};

/// Where a datagram came from and where answers leave.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Path {
    /// The client's address.
    pub remote: SocketAddr,
    /// Index of the socket it came in on.
    pub socket: usize,
    /// The local address it was sent to; `None` where the socket is bound to one.
    pub local: Option<IpAddr>,
}
