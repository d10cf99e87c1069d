//! One real SFT process without peers, and real WebRTC clients; or, to tell a fault of the clients from one of the SFT, any other that
//! runs already: `SFT_URL=http://127.0.0.1:8585 cargo test --test one_sft`.

mod support;

use std::net::{IpAddr, Ipv4Addr};

use support::call::{SOON, conference, connect, talk};
use support::sft_process::Sft;
use support::webrtc_client::{Client, Join};

#[tokio::test]
async fn a_client_with_layers_and_one_without_hear_and_see_each_other() {
    let mut own = None;
    let sft = match std::env::var("SFT_URL") {
        Ok(url) => url,
        Err(_) => started(&mut own).await,
    };
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
        .until("it knows bob", SOON, |view| view.props.contains_key("bob"))
        .await;
    bob.until("it knows alice", SOON, |view| view.props.contains_key("alice"))
        .await;
    bob.hangup(SOON).await;
    alice
        .until("bob is gone", SOON, |view| view.users() == ["alice"].into())
        .await;
}

async fn started(own: &mut Option<Sft>) -> String {
    let sft = own.insert(Sft::prepare("a.example", IpAddr::from(Ipv4Addr::LOCALHOST)));
    sft.start().await;
    sft.url()
}
