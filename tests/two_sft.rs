//! Two real SFT processes with their own certificates, linked over QUIC, and real WebRTC clients on both sides.
//!
//! Every packet that a client sends says who sent it and which one it is, and every packet that arrives is looked at; what crosses
//! the link is counted by the SFTs. A failing test prints the last words of both processes.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use support::call::{Call, Manner, Pair, SOON, sent_since, talk};
use support::garbage;
use support::metrics::Metrics;
use support::payload::Stream;
use support::peer::Counters;
use support::publisher::Shape;
use support::sft_process::Sft;
use support::view::View;
use support::wait;
use support::webrtc_client::Client;

/// A lost domain is out of the roster no later than this (4 s until the link is known to be dead, 4 s of grace, and some for redialling).
const LOSS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_federated_call_loses_and_doubles_nothing() {
    a_call_on(Ipv4Addr::LOCALHOST.into()).await;
}

#[tokio::test]
async fn a_federated_call_loses_and_doubles_nothing_over_ipv6() {
    a_call_on(Ipv6Addr::LOCALHOST.into()).await;
}

async fn a_call_on(address: IpAddr) {
    let pair = Pair::start(address).await;
    let manner = Manner {
        address,
        ..Manner::default()
    };
    let call = Call::begin(&pair, manner).await;
    assert_domains(&call);
    call.talk().await;
    assert_measured(&pair).await;
    every_stream_crosses_the_link_once(&pair, &call).await;
    assert_private(&pair, &call);
}

/// Both know of everyone's streams, and when whose certificate ends.
async fn assert_measured(pair: &Pair) {
    for sft in [&pair.a, &pair.b] {
        let metrics = settled(sft).await;
        for kind in ["audio", "video"] {
            assert_eq!(metrics.sum("sft_streams", &[("kind", kind)]), 4.0, "{kind}");
        }
        for domain in ["a.example", "b.example"] {
            let ends = metrics.sum("sft_certificate_not_after_seconds", &[("peer", domain)]);
            assert!(ends > 1.8e9, "{domain}: {ends}");
        }
    }
}

/// Logs are at their most talkative here, and still name nobody and open nothing.
fn assert_private(pair: &Pair, call: &Call) {
    let tuple = call
        .alice
        .tuple
        .as_deref()
        .expect("an anchor that has peers gives a tuple");
    let (_, capability) = tuple.split_once('/').expect("a domain and a capability");
    let secrets = call.clients().map(Client::user).into_iter().chain([capability]);
    for secret in secrets {
        for sft in [&pair.a, &pair.b] {
            let found = sft.log().lines().find(|line| line.contains(secret)).map(str::to_owned);
            assert_eq!(found, None, "the log of {} has {secret}", sft.domain);
        }
    }
}

fn assert_domains(call: &Call) {
    for client in call.clients() {
        let homes = client
            .view()
            .roster
            .iter()
            .map(|member| member.domain.clone())
            .collect::<Vec<_>>();
        assert_eq!(
            homes,
            ["a.example", "a.example", "b.example", "b.example"],
            "in the order of joining"
        );
    }
}

/// Each of the four publishes audio and two layers. At its own SFT, a stream goes to the one other local client that wants it and once into the
/// link; at the other, it goes to two clients (the lower layer: to nobody).
async fn every_stream_crosses_the_link_once(pair: &Pair, call: &Call) {
    call.fall_silent().await;
    let before_a = settled(&pair.a).await;
    let before_b = settled(&pair.b).await;
    let counters = call.clients().map(|client| client.view().sent.clone());
    call.talk().await;
    call.fall_silent().await;
    let (of_a, of_b) = counters.split_at(2);
    let sent_a = sent_since(&[&call.alice, &call.anna], of_a);
    let sent_b = sent_since(&[&call.bob, &call.ben], of_b);
    assert_forwarded(&before_a, &settled(&pair.a).await, "b.example", [&sent_a, &sent_b]);
    assert_forwarded(&before_b, &settled(&pair.b).await, "a.example", [&sent_b, &sent_a]);
}

fn assert_forwarded(before: &Metrics, after: &Metrics, peer: &str, [own, foreign]: [&Counters; 2]) {
    let packets = |kind| after.grown(before, "sft_forwarded_packets_total", &[("kind", kind)]);
    let audio = 2 * own[&Stream::Audio] + 2 * foreign[&Stream::Audio];
    assert_eq!(packets("audio"), f64::from(audio), "audio at the peer of {peer}");
    let video = 2 * own[&Stream::High] + own[&Stream::Low] + 2 * foreign[&Stream::High];
    assert_eq!(packets("video"), f64::from(video), "video at the peer of {peer}");
    let crossed = |kind| {
        let labels = [("peer", peer), ("direction", "out"), ("kind", kind)];
        after.grown(before, "sft_link_bytes_total", &labels)
    };
    let bytes = crossed("audio") + crossed("video");
    assert!(crossed("other") > 0.0, "QUIC has words of its own");
    let once = payload_bytes(own);
    assert!(
        (once..once * 1.4).contains(&bytes),
        "{bytes} bytes to {peer} for {once} bytes of payload"
    );
}

fn payload_bytes(sent: &Counters) -> f64 {
    let shape = Shape::default();
    let size = |stream: Stream| {
        if stream == Stream::Audio {
            shape.audio_bytes
        } else {
            shape.video_bytes
        }
    };
    let bytes = sent
        .iter()
        .map(|(&stream, &count)| f64::from(count) * size(stream) as f64);
    bytes.sum()
}

/// What an SFT measures once it has counted all that happened: workers report once a second.
async fn settled(sft: &Sft) -> Metrics {
    let begin = sft.metrics().await.sum("sft_uptime", &[]);
    let reported = async || sft.metrics().await.sum("sft_uptime", &[]) >= begin + 3.0;
    wait::until("the workers report", SOON, reported).await;
    sft.metrics().await
}

#[tokio::test]
async fn packets_of_1200_bytes_cross_a_path_that_takes_no_more() {
    let (mut pair, proxies) = Pair::prepare_with_proxies().await;
    proxies.iter().for_each(|proxy| proxy.narrow(1200));
    pair.start_both().await;
    let shape = Shape {
        video_bytes: 1200,
        ..Shape::default()
    };
    let manner = Manner {
        shape,
        ..Manner::default()
    };
    let call = Call::begin(&pair, manner).await;
    call.talk().await;
    let fragments = settled(&pair.a).await.sum("sft_link_fragments_total", &[]);
    assert!(
        fragments > 0.0,
        "packets of 1200 bytes do not fit into datagrams of 1200"
    );
}

#[tokio::test]
async fn a_blip_of_the_path_changes_no_roster() {
    let (mut pair, proxies) = Pair::prepare_with_proxies().await;
    pair.start_both().await;
    let call = Call::begin(&pair, Manner::default()).await;
    let rosters = call.clients().map(|client| client.view().rosters);
    let blip_ends = support::call::sent(&call.alice, Stream::Audio) + 100;
    proxies.iter().for_each(|proxy| proxy.break_down(true));
    let over = |view: &View| view.sent[&Stream::Audio] >= blip_ends;
    call.alice.until("two seconds pass", SOON, over).await;
    proxies.iter().for_each(|proxy| proxy.break_down(false));
    let lost: u64 = proxies.iter().map(|proxy| proxy.lost()).sum();
    assert!(lost > 0, "the path was broken");
    heard_across(&call).await;
    call.talk().await;
    assert_eq!(rosters, call.clients().map(|client| client.view().rosters));
}

/// Waits until something comes of both streams that was sent after now.
async fn heard_anew(receiver: &Client, sender: &Client) {
    for stream in [Stream::Audio, Stream::High] {
        let now = support::call::sent(sender, stream);
        let what = format!("{stream:?} of {} comes again", sender.user());
        let newer = |view: &View| view.newest(sender.user(), stream) >= Some(now);
        receiver.until(&what, SOON, newer).await;
    }
}

/// Waits until the two of each domain hear and see the two of the other again.
async fn heard_across(call: &Call) {
    for ours in [&call.alice, &call.anna] {
        for theirs in [&call.bob, &call.ben] {
            heard_anew(ours, theirs).await;
            heard_anew(theirs, ours).await;
        }
    }
}

#[tokio::test]
async fn when_the_member_dies_the_others_talk_on_and_it_may_come_back() {
    let mut pair = Pair::start(Ipv4Addr::LOCALHOST.into()).await;
    let Call { alice, anna, bob, ben } = Call::begin(&pair, Manner::default()).await;
    pair.b.kill();
    for client in [&alice, &anna] {
        client
            .until("B's are gone", LOSS, |view| view.users() == ["alice", "anna"].into())
            .await;
    }
    talk(&[&alice, &anna]).await;
    pair.b.start().await;
    let bob = bob.rejoin().await.unwrap();
    let ben = ben.rejoin().await.unwrap();
    let call = Call { alice, anna, bob, ben };
    call.together().await;
    heard_across(&call).await;
    call.talk().await;
}

#[tokio::test]
async fn when_the_anchor_dies_the_members_talk_on_and_it_may_come_back() {
    let mut pair = Pair::start(Ipv4Addr::LOCALHOST.into()).await;
    let Call { alice, anna, bob, ben } = Call::begin(&pair, Manner::default()).await;
    pair.a.kill();
    for client in [&bob, &ben] {
        client
            .until("A's are gone", LOSS, |view| view.users() == ["bob", "ben"].into())
            .await;
    }
    talk(&[&bob, &ben]).await;
    pair.a.start().await;
    let alice = alice.rejoin().await.unwrap();
    let anna = anna.rejoin().await.unwrap();
    let call = Call { alice, anna, bob, ben };
    call.together().await;
    heard_across(&call).await;
    call.talk().await;
    let links = [("peer", "a.example")];
    assert!(pair.b.logged("a link is gone", &links) >= 1);
    // Both were tried again every second or so.
    let silent = [("peer", "a.example"), ("code", "silent")];
    assert!(pair.b.logged("a link did not come up", &silent) <= 1);
    assert!(pair.a.logged("a peer was refused", &[("code", "unknown_conference")]) <= 1);
}

#[tokio::test]
async fn garbage_on_every_port_changes_nothing_for_a_call() {
    let pair = Pair::start(Ipv4Addr::LOCALHOST.into()).await;
    let call = Call::begin(&pair, Manner::default()).await;
    let rosters = call.clients().map(|client| client.view().rosters);
    let mut strangers = tokio::task::JoinSet::new();
    for (seed, sft) in [&pair.a, &pair.b].into_iter().enumerate() {
        let seed = seed as u64;
        strangers.spawn(garbage::datagrams(sft.media(), 2000, seed));
        strangers.spawn(garbage::datagrams(sft.federation(), 2000, seed + 10));
        for url in [sft.url(), sft.metrics_url()] {
            let target = url.trim_start_matches("http://").parse().unwrap();
            strangers.spawn(garbage::requests(target, 100, seed + 20));
        }
    }
    call.talk().await;
    strangers.join_all().await;
    call.talk().await;
    assert_eq!(
        rosters,
        call.clients().map(|client| client.view().rosters),
        "nobody came or went"
    );
    for sft in [&pair.a, &pair.b] {
        let dropped = settled(sft).await.sum("sft_dropped_packets_total", &[]);
        assert!(dropped > 0.0, "what is dropped is counted");
        assert!(!sft.log().contains("panicked"), "nothing panics");
    }
}

#[tokio::test]
async fn leaving_is_seen_on_both_sides() {
    let pair = Pair::start(Ipv4Addr::LOCALHOST.into()).await;
    let Call { alice, anna, bob, ben } = Call::begin(&pair, Manner::default()).await;
    ben.hangup(SOON).await;
    for client in [&alice, &anna, &bob] {
        client
            .until("ben is gone", SOON, |view| {
                view.users() == ["alice", "anna", "bob"].into()
            })
            .await;
    }
    alice.hangup(SOON).await;
    for client in [&anna, &bob] {
        client
            .until("alice is gone", SOON, |view| view.users() == ["anna", "bob"].into())
            .await;
    }
    talk(&[&anna, &bob]).await;
}
