//! Ports that are free on both loopbacks, for TCP and UDP.
//!
//! They lie below the range that the kernel gives to port 0, so that no client's socket takes a port while its SFT restarts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody had a moment ago, and that this process will not be given again.
pub fn free() -> u16 {
    let begin = u16::try_from(std::process::id() % 100).unwrap() * 100;
    (0..10_000)
        .map(|_| 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .find(|&port| is_free(port))
        .expect("ten thousand ports are not all taken")
}

fn is_free(port: u16) -> bool {
    let loopbacks = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    loopbacks
        .into_iter()
        .all(|address| TcpListener::bind((address, port)).is_ok() && UdpSocket::bind((address, port)).is_ok())
}
