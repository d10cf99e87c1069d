//! The test client against any SFT that is already running, to tell its own faults from those of the SFT:
//! `SFT_URL=http://127.0.0.1:8585 cargo test --test client_smoke -- --ignored`.

mod support;

use std::time::Duration;

use support::payload::Stream;
use support::signalling::Quality;
use support::webrtc_client::{Client, Join};

const BOUND: Duration = Duration::from_secs(15);

#[tokio::test]
#[ignore = "needs an SFT whose URL is in SFT_URL"]
async fn two_clients_hear_and_see_each_other() {
    let sft = std::env::var("SFT_URL").unwrap();
    let conference = format!("{:032x}", rand::random::<u128>());
    let alice = Client::join(Join::new(&sft, &conference, "alice")).await.unwrap();
    alice.until("its channel is open", BOUND, |view| view.open).await;
    let bob = Client::join(Join::new(&sft, &conference, "bob")).await.unwrap();
    for client in [&alice, &bob] {
        client
            .until("both are listed", BOUND, |view| view.users().len() == 2)
            .await;
    }
    alice.select(&[("bob", Quality::High)]);
    bob.select(&[("alice", Quality::Low)]);
    alice
        .until("it hears bob", BOUND, |view| view.hears("bob", Stream::Audio))
        .await;
    alice
        .until("it sees bob", BOUND, |view| view.hears("bob", Stream::High))
        .await;
    bob.until("it sees alice", BOUND, |view| view.hears("alice", Stream::Low))
        .await;
    bob.until("it knows alice's props", BOUND, |view| view.props.contains_key("alice"))
        .await;
    bob.hangup(BOUND).await;
    alice.until("bob is gone", BOUND, |view| view.users().len() == 1).await;
}
