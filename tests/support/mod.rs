//! What the integration tests share: real SFT processes, clients on webrtc-rs, and a UDP proxy between them.
//!
//! Nothing here uses the code under test, not even for certificates: an error there must not be on both ends.

#![allow(dead_code, reason = "each test file is a crate of its own and uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail, and clippy's exception covers test functions only"
)]

pub mod call;
pub mod certificates;
pub mod engine;
pub mod garbage;
pub mod http;
pub mod key_frames;
pub mod metrics;
pub mod payload;
pub mod peer;
pub mod ports;
pub mod publisher;
pub mod sft_process;
pub mod signalling;
pub mod udp_proxy;
pub mod view;
pub mod wait;
pub mod webrtc_client;

use std::time::Instant;

/// The one clock of the tests.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are a shell: somebody must read the clock"
)]
pub fn now() -> Instant {
    Instant::now()
}
