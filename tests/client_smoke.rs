//! The test client against any SFT that is already running, to tell its own faults from those of the SFT:
//! `SFT_URL=http://127.0.0.1:8585 cargo test --test client_smoke -- --ignored`.

mod support;

use support::call::{SOON, conference, connect, talk};
use support::webrtc_client::{Client, Join};

#[tokio::test]
#[ignore = "needs an SFT whose URL is in SFT_URL"]
async fn two_clients_hear_and_see_each_other() {
    let sft = std::env::var("SFT_URL").unwrap();
    let conference = conference();
    let alice = Client::join(Join::new(&sft, &conference, "alice")).await.unwrap();
    alice.until("its channel is open", SOON, |view| view.open).await;
    assert_eq!(alice.view().label, "calling-3.0");
    let without_layers = Join {
        simulcast: false,
        ..Join::new(&sft, &conference, "bob")
    };
    let bob = Client::join(without_layers).await.unwrap();
    for client in [&alice, &bob] {
        let both = ["alice", "bob"].into();
        client.until("both are listed", SOON, |view| view.users() == both).await;
    }
    connect(&[&alice, &bob]).await;
    talk(&[&alice, &bob]).await;
    alice
        .until("it knows bob's props", SOON, |view| view.props.contains_key("bob"))
        .await;
    bob.until("it knows alice's props", SOON, |view| view.props.contains_key("alice"))
        .await;
    bob.hangup(SOON).await;
    alice
        .until("bob is gone", SOON, |view| view.users() == ["alice"].into())
        .await;
}
