//! Whole SFTs in simulated time: real relays, a seeded network, scripted clients, and checkers that watch always.
//!
//! [`world`] runs everything; [`client`] behaves as Wire's stock client does; [`cable`] stands for QUIC between two SFTs; [`check`]
//! knows the truth and compares every packet and every roster with it. The scenarios read as stories.
//!
//! A failure prints its seed. `SIM_SEEDS` says how many the random ones try, `SIM_FIRST` with which they begin:
//! `SIM_FIRST=149 SIM_SEEDS=1 cargo test --test sim`.
#![expect(clippy::indexing_slicing, reason = "indexes are the simulator's own")]

mod cable;
mod check;
mod client;
mod clock;
mod crowd;
mod media;
mod mischief;
mod net;
mod scenarios;
mod sft;
mod shell;
mod world;
