//! Whoever may not join learns why, the side that refuses counts it and logs it, and a call that runs notices nothing.
//!
//! Real SFT processes with real certificates; `link_refusals.rs` has every rule about certificates, this what people see of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot prepare must fail"
)]

mod support;

use std::net::{IpAddr, Ipv4Addr};

use support::call::{Call, Manner, Pair, SOON, conference, connect, talk};
use support::certificates::Leaf;
use support::metrics::Metrics;
use support::sft_process::Sft;
use support::view::View;
use support::wait;
use support::webrtc_client::{Client, Join, JoinError};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Tries to join and says the reason of the refusal, which the SFT must have counted and logged, once and under no other name.
async fn refused(at: &Sft, join: Join) -> String {
    let said = |fields: &[(&str, &str)]| at.logged("a client is refused", fields);
    let all = |metrics: &Metrics| metrics.sum("sft_join_refused_total", &[]);
    let (before, said_before) = (at.metrics().await, said(&[]));
    let refused = Client::join(join).await.unwrap_err();
    let JoinError::Refused {
        status: 2,
        reason: Some(reason),
    } = refused
    else {
        panic!("{refused:?}")
    };
    let after = at.metrics().await;
    let counted = after.grown(&before, "sft_join_refused_total", &[("reason", &reason)]);
    assert_eq!((counted, all(&after) - all(&before)), (1.0, 1.0), "{reason} is counted");
    let logged = async || said(&[("reason", &reason)]) > 0 && said(&[]) == said_before + 1;
    wait::until("the refusal is in the log", SOON, logged).await;
    reason
}

/// Waits until an SFT has counted that it refused a peer, and has said so in its log.
async fn peer_refused(at: &Sft, before: &Metrics, reason: &str, line: (&str, &str)) {
    let counted = async || {
        let now = at.metrics().await;
        now.grown(before, "sft_peer_refused_total", &[("reason", reason)]) >= 1.0
    };
    wait::until(&format!("{} counts {reason}", at.domain), SOON, counted).await;
    let (message, field) = line;
    let logged = async || at.logged(message, &[(field, reason)]) > 0;
    wait::until(&format!("{} logs {reason}", at.domain), SOON, logged).await;
}

/// A call runs while `meanwhile` happens, and afterwards; nobody comes or goes, and no packet is lost.
async fn undisturbed(call: &Call, meanwhile: impl Future<Output = ()>) {
    let rosters = call.clients().map(|client| client.view().rosters);
    tokio::join!(call.talk(), meanwhile);
    call.talk().await;
    assert_eq!(
        rosters,
        call.clients().map(|client| client.view().rosters),
        "nobody came or went"
    );
}

#[tokio::test]
async fn a_tuple_that_opens_nothing_is_refused_with_its_reason() {
    let pair = Pair::start(HERE).await;
    let call = Call::begin(&pair, Manner::default()).await;
    // A conference that only A knows so far: at B, whoever comes first has to show what opens it.
    let (here, elsewhere) = (conference(), conference());
    let olga = Client::join(Join::new(&pair.a.url(), &here, "olga")).await.unwrap();
    let genuine = olga.tuple.clone().expect("an anchor that has peers gives a tuple");
    let capability = genuine.strip_prefix("a.example/").expect("a tuple is no address");
    olga.until("she is in", SOON, |view| view.users() == ["olga"].into())
        .await;
    let (ended, outlived) = ended(&pair.a, 2.0).await;
    let forged = format!("a.example/{}", flipped(capability));
    let unlisted = format!("c.example/{capability}");
    let (a, b) = (&pair.a, &pair.b);
    let table: &[(&Sft, &str, Option<&str>, &str, bool)] = &[
        (b, &here, Some(&unlisted), "unlisted", false),
        (b, &here, Some("203.0.113.9:9191/17455"), "legacy_tuple", false),
        (b, &here, Some("a.example"), "malformed_tuple", false),
        (b, &here, None, "malformed_tuple", false),
        (b, &elsewhere, Some(&genuine), "bad_capability", true),
        (b, &here, Some(&forged), "bad_capability", true),
        (b, &ended, Some(&outlived), "unknown_conference", true),
        (a, &elsewhere, Some(&genuine), "bad_capability", false),
        (a, &here, Some(&forged), "bad_capability", false),
    ];
    let try_all = async {
        for (at, conference, tuple, reason, anchor_says) in table {
            let join = Join {
                sft_url: Some(a.url()),
                sft_tuple: tuple.map(str::to_owned),
                ..Join::new(&at.url(), conference, "mallory")
            };
            let before = a.metrics().await;
            assert_eq!(refused(at, join).await, *reason, "{tuple:?} at {}", at.domain);
            if *anchor_says {
                peer_refused(a, &before, reason, ("a peer was refused", "code")).await;
            }
        }
    };
    undisturbed(&call, try_all).await;
    assert_eq!(olga.view().users(), ["olga"].into(), "nobody got in");
    for sft in [a, b] {
        for secret in [capability, "mallory", "203.0.113.9"] {
            assert!(!sft.log().contains(secret), "{} logs {secret}", sft.domain);
        }
    }
}

/// A conference that was and is no more, and its tuple. There are `others` on this SFT.
async fn ended(anchor: &Sft, others: f64) -> (String, String) {
    let conference = conference();
    let client = Client::join(Join::new(&anchor.url(), &conference, "otto"))
        .await
        .unwrap();
    let tuple = client.tuple.clone().unwrap();
    client
        .until("it is in", SOON, |view| view.users() == ["otto"].into())
        .await;
    // The gauge is set once a second.
    let calls = async || anchor.metrics().await.sum("sft_calls", &[]);
    wait::until("the conference is counted", SOON, async || calls().await > others).await;
    client.hangup(SOON).await;
    wait::until("the conference is over", SOON, async || calls().await <= others).await;
    (conference, tuple)
}

fn flipped(capability: &str) -> String {
    let first = if capability.starts_with('A') { "B" } else { "A" };
    first.to_owned() + &capability[1..]
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_where_it_is_shown() {
    let mut pair = Pair::prepare(HERE);
    let (to_a, to_b) = (pair.a.federation(), pair.b.federation());
    let mut c = Sft::prepare("c.example", HERE);
    pair.a.allow(&pair.b, to_b);
    pair.b.allow(&pair.a, to_a);
    pair.a.allow(&c, c.federation());
    c.allow(&pair.a, to_a);
    pair.start_both().await;
    let call = Call::begin(&pair, Manner::default()).await;
    let ours = Leaf::of("c.example");
    let try_all = async {
        for (why, leaf, reason) in [
            ("a domain that is not listed", Leaf::of("d.example"), "unlisted"),
            ("another authority's", Leaf { forged: true, ..ours }, "untrusted"),
            ("expired", Leaf { expired: true, ..ours }, "expired"),
            ("another listed domain's name", Leaf::of("b.example"), "untrusted"),
        ] {
            c.show(leaf);
            c.start().await;
            let before = pair.a.metrics().await;
            let join = Join::new(&c.url(), &conference(), "mallory").at(&call.alice);
            // A stranger learns that he is not wanted, and not why.
            assert_eq!(refused(&c, join).await, "policy", "{why}");
            peer_refused(&pair.a, &before, reason, ("a link is refused", "reason")).await;
            assert!(c.logged("a link did not come up", &[("peer", "a.example"), ("code", "policy")]) > 0);
            c.kill();
        }
        c.show(ours);
        c.start().await;
        let join = Join::new(&c.url(), &conference(), "carol").at(&call.alice);
        assert_eq!(
            refused(&c, join).await,
            "bad_capability",
            "the certificate was all that was wrong"
        );
        let up = [("peer", "c.example")];
        let logged = async || pair.a.logged("a link is up", &up) == 1 && pair.a.logged("a link is gone", &up) == 0;
        wait::until(
            "A says that the link is up, and nothing of those that were not",
            SOON,
            logged,
        )
        .await;
    };
    undisturbed(&call, try_all).await;
}

#[tokio::test]
async fn an_anchor_that_proves_nothing_is_not_asked() {
    let mut pair = Pair::prepare(HERE);
    pair.b.allow(&pair.a, pair.a.federation());
    pair.a.allow(&pair.b, pair.b.federation());
    pair.start_both().await;
    let alice = Client::join(Join::new(&pair.a.url(), &conference(), "alice"))
        .await
        .unwrap();
    let theirs = conference();
    let bob = Client::join(Join::new(&pair.b.url(), &theirs, "bob")).await.unwrap();
    let ben = Client::join(Join::new(&pair.b.url(), &theirs, "ben")).await.unwrap();
    for client in [&bob, &ben] {
        let both = |view: &View| view.users() == ["bob", "ben"].into();
        client.until("both are in", SOON, both).await;
    }
    connect(&[&bob, &ben]).await;
    let right = Leaf::of("a.example");
    for (leaf, reason) in [
        (Leaf::of("x.example"), "wrong_name"),
        (Leaf { expired: true, ..right }, "expired"),
        (Leaf { forged: true, ..right }, "untrusted"),
    ] {
        pair.a.kill();
        pair.a.show(leaf);
        pair.a.start().await;
        let join = Join::new(&pair.b.url(), &conference(), "mallory").at(&alice);
        assert_eq!(refused(&pair.b, join).await, reason);
        let line = [("peer", "a.example"), ("code", reason)];
        assert_eq!(pair.b.logged("a link did not come up", &line), 1, "{reason}");
        talk(&[&bob, &ben]).await;
    }
}
