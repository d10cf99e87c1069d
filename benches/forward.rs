//! The sum of the packet path: one sealed packet in, one sealed copy for each receiver out, everything but the system calls.
//!
//! `cargo bench --bench forward`; the time is that of a batch of ten packets, throughput is counted in outgoing packets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark ends where it fails"
)]
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use hall::{Hall, video};

#[path = "../tests/support/hall.rs"]
mod hall;
#[path = "../tests/support/memory_peer.rs"]
mod peer;

/// Packets of one batch, as GRO puts them together.
const BATCH: u16 = 10;

fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward");
    for receivers in [1, 10, 100] {
        let mut hall = Hall::of(receivers + 1);
        let mut sequence = 0_u16;
        group.throughput(Throughput::Elements(u64::from(BATCH) * receivers as u64));
        // Sealing by the test client is far slower than what is measured, so each batch is made right before it is taken.
        let hall = std::cell::RefCell::new(&mut hall);
        let mut make = || {
            let mut hall = hall.borrow_mut();
            let mut next = || {
                let packet = hall.guests[0].peer.protect_rtp(&video(sequence, sequence == 0));
                sequence = sequence.wrapping_add(1);
                packet
            };
            (0..BATCH).map(|_| next()).collect::<Vec<_>>()
        };
        let mut take = |mut batch: Vec<Vec<u8>>| {
            let hall = &mut **hall.borrow_mut();
            // Little enough that no receiver's consent ends (30 s) during a measurement.
            hall.now += Duration::from_micros(1);
            for packet in &mut batch {
                hall.worker.datagram(hall.now, hall.guests[0].path, packet);
            }
            let mut sent = 0;
            hall.worker.outbox().drain(|path, run, segment| {
                black_box((path, run));
                sent += segment.map_or(1, |size| run.len().div_ceil(size));
            });
            assert_eq!(sent, usize::from(BATCH) * receivers, "every receiver gets every packet");
            batch
        };
        group.bench_function(format!("to {receivers}"), |bencher| {
            bencher.iter_batched(&mut make, &mut take, BatchSize::PerIteration)
        });
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);
