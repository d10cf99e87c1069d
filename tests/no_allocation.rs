//! Opening and sealing packets allocates nothing, once an SSRC is known.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anchor_sft::session::{Credentials, Identity, Output, Path, Remote, Session};
use counting::allocations;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

#[path = "support/counting.rs"]
mod counting;
#[path = "support/memory_peer.rs"]
mod peer;

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as the beginning of simulated time"
)]
fn connected() -> (Instant, Path, Session, peer::Peer) {
    let now = Instant::now();
    let path = Path {
        remote: SocketAddr::from(([192, 0, 2, 1], 40_000)),
        socket: 0,
        local: None,
    };
    let credentials = Credentials::random(&mut ChaCha12Rng::seed_from_u64(1));
    let mut peer = peer::Peer::new(now, &credentials.ufrag, &credentials.password);
    let mut session = Session::new(now, Arc::new(Identity::generate().unwrap()), credentials);
    session.stun(now, path, &peer.check(true)).unwrap();
    let remote = Remote {
        ufrag: peer::UFRAG.into(),
        password: peer::PASSWORD.into(),
        fingerprint: peer.fingerprint(),
    };
    session.answer(now, remote);
    peer.start(now);
    loop {
        let mut busy = false;
        while let Some(datagram) = peer.poll() {
            busy = true;
            session.dtls(now, path, &datagram).unwrap();
        }
        while let Some(output) = session.poll() {
            busy = true;
            if let Output::Transmit { bytes, .. } = output {
                peer.receive(now, &bytes);
            }
        }
        if !busy {
            return (now, path, session, peer);
        }
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 96, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.resize(1200, 7);
    packet
}

#[test]
fn a_packet_allocates_nothing() {
    let (now, path, mut session, mut peer) = connected();
    assert_eq!(session.media_path(now), Some(path));
    let mut sealed: Vec<Vec<u8>> = (0..1000).map(|sequence| peer.protect_rtp(&rtp(sequence))).collect();
    session.unprotect_rtp(now, path, &mut sealed[0]).unwrap();
    let count = allocations(|| {
        for packet in &mut sealed[1..] {
            assert_eq!(session.unprotect_rtp(now, path, packet), Ok(1200));
        }
    });
    assert_eq!(count, 0, "opening");

    let mut buffer = rtp(0);
    buffer.resize(1300, 0);
    session.protect_rtp(&mut buffer, 1200).unwrap();
    let count = allocations(|| {
        for sequence in 1..1000_u16 {
            buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            assert_eq!(session.protect_rtp(&mut buffer, 1200), Ok(1216));
            assert_eq!(session.media_path(now), Some(path));
        }
    });
    assert_eq!(count, 0, "sealing");
    assert!(allocations(|| drop(vec![0; 10])) > 0, "the count counts");
}
