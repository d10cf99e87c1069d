//! Forwarding a packet allocates nothing once buffers have grown: from the datagram of the publisher to the runs for all receivers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::time::Duration;

use counting::allocations;
use hall::{Hall, video};

#[path = "support/counting.rs"]
mod counting;
#[path = "support/hall.rs"]
mod hall;
#[path = "support/memory_peer.rs"]
mod peer;

/// Packets of one batch, as GRO puts them together.
const BATCH: usize = 10;

/// What came of forwarding.
#[derive(Default)]
struct Outcome {
    datagrams: usize,
    allocations: usize,
}

/// Forwards the packets in batches, a millisecond apart. Timers run in between and are not counted: their work is bounded by time, not by packets.
fn forward(hall: &mut Hall, sealed: &mut [Vec<u8>]) -> Outcome {
    let mut outcome = Outcome::default();
    for batch in sealed.chunks_mut(BATCH) {
        hall.now += Duration::from_millis(1);
        hall.worker.handle_timeout(hall.now);
        hall.worker.settle(hall.now);
        outcome.allocations += allocations(|| outcome.datagrams += forward_batch(hall, batch));
    }
    outcome
}

fn forward_batch(hall: &mut Hall, batch: &mut [Vec<u8>]) -> usize {
    let mut out = 0;
    for packet in batch {
        hall.worker.datagram(hall.now, hall.guests[0].path, packet);
    }
    hall.worker.settle(hall.now);
    hall.worker
        .outbox()
        .drain(|_, run, segment| out += segment.map_or(1, |size| run.len().div_ceil(size)));
    out
}

#[test]
fn a_forwarded_packet_allocates_nothing() {
    let receivers = 9;
    let mut hall = Hall::of(receivers + 1);
    let publisher = &mut hall.guests[0].peer;
    let seal = |sequence: u16| publisher.protect_rtp(&video(sequence, sequence == 0));
    let mut sealed: Vec<Vec<u8>> = (0..6000).map(seal).collect();
    let (warm, measured) = sealed.split_at_mut(4000);
    forward(&mut hall, warm);
    let outcome = forward(&mut hall, measured);
    // The rest are reports to the publisher.
    assert!(
        (2000 * receivers..2000 * receivers + 10).contains(&outcome.datagrams),
        "{}",
        outcome.datagrams
    );
    assert_eq!(outcome.allocations, 0, "for {} datagrams", outcome.datagrams);
    assert!(allocations(|| drop(vec![0; 10])) > 0, "the count counts");
}
