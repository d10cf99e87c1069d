//! What crosses a link: frames in order on their streams, datagrams, sizes, closes; and what a slow or broken peer can do.
#![allow(clippy::unwrap_used, reason = "a test that cannot prepare must fail")]

mod links;

use std::time::Duration;

use anchor_sft::federation::allow::Peer;
use anchor_sft::federation::{Command, Event};
use anchor_sft::ids::{LinkId, StreamId};
use anchor_sft::limits::LINK_BACKLOG_BYTES;
use anchor_sft::net::quic::LinkStats;
use anchor_sft::proto::link::message::{Code, Hello, Message, Roster};
use bytes::Bytes;
use links::{Authority, Sft, at, domain, pair};

const LINK: StreamId = StreamId::LINK;

fn hello(name: &str) -> Message {
    Message::Hello(Hello {
        domain: name.into(),
        node: "sft-0".into(),
        boot: 1,
        software: "test".into(),
        versions: vec![0],
        features: Vec::new(),
    })
}

/// A frame of about that many bytes.
fn large(bytes: usize) -> Message {
    Message::Roster(Roster {
        revision: 1,
        timestamp: 2,
        seqno: 3,
        entropy: "x".repeat(bytes),
        participants: Vec::new(),
        sfts: Vec::new(),
    })
}

async fn send(sft: &Sft, link: LinkId, stream: StreamId, message: Message) {
    sft.tell(Command::Frame { link, stream, message }).await;
}

async fn open(sft: &Sft, link: LinkId, stream: StreamId) {
    sft.tell(Command::Open { link, stream }).await;
}

async fn frame(sft: &mut Sft) -> (StreamId, Message) {
    match sft.event().await {
        Event::Frame { stream, message, .. } => (stream, message),
        other => panic!("no frame: {other:?}"),
    }
}

/// Dials from the first to the second.
async fn connect(a: &mut Sft, b: &mut Sft) -> (LinkId, LinkId) {
    a.tell(Command::Dial {
        peer: domain("b.example"),
    })
    .await;
    (a.up().await, b.up().await)
}

/// Both have said hello, the acceptor before it could.
async fn greeted(a: &mut Sft, b: &mut Sft) -> (LinkId, LinkId) {
    let (at_a, at_b) = connect(a, b).await;
    send(b, at_b, LINK, hello("b.example")).await;
    open(a, at_a, LINK).await;
    send(a, at_a, LINK, hello("a.example")).await;
    assert_eq!(frame(b).await, (LINK, hello("a.example")));
    assert_eq!(frame(a).await, (LINK, hello("b.example")));
    (at_a, at_b)
}

#[tokio::test]
async fn frames_cross_in_order_on_streams_of_both_sides() {
    let (mut a, mut b) = pair();
    let (at_a, at_b) = greeted(&mut a, &mut b).await;
    for stream in [1, 3, 5] {
        open(&a, at_a, StreamId(stream)).await;
        for flow in 0..3 {
            send(&a, at_a, StreamId(stream), Message::Keyframe { flow }).await;
        }
    }
    let mut seen: Vec<(u64, u64)> = Vec::new();
    while seen.len() < 9 {
        let (stream, Message::Keyframe { flow }) = frame(&mut b).await else {
            panic!("another message");
        };
        seen.push((stream.0, flow));
    }
    for stream in [2, 4, 6] {
        let flows: Vec<u64> = seen
            .iter()
            .filter(|(on, _)| *on == stream)
            .map(|(_, flow)| *flow)
            .collect();
        assert_eq!(flows, [0, 1, 2], "peer's streams have even ids");
    }
    // Answers go back on the streams that the dialler opened …
    send(&b, at_b, StreamId(4), Message::Attached { revision: 7 }).await;
    assert_eq!(frame(&mut a).await, (StreamId(3), Message::Attached { revision: 7 }));
    // … and the acceptor may open some of its own.
    open(&b, at_b, StreamId(1)).await;
    send(&b, at_b, StreamId(1), Message::Explain).await;
    assert_eq!(frame(&mut a).await, (StreamId(2), Message::Explain));
}

#[tokio::test]
async fn a_large_frame_crosses_once_hello_was_said() {
    let (mut a, mut b) = pair();
    let (at_a, _) = greeted(&mut a, &mut b).await;
    open(&a, at_a, StreamId(1)).await;
    send(&a, at_a, StreamId(1), large(250_000)).await;
    assert_eq!(frame(&mut b).await.1, large(250_000));
}

#[tokio::test]
async fn a_finished_stream_is_closed_for_the_peer_after_its_last_frame() {
    let (mut a, mut b) = pair();
    let (at_a, _) = greeted(&mut a, &mut b).await;
    let stream = StreamId(1);
    open(&a, at_a, stream).await;
    send(&a, at_a, stream, Message::Explain).await;
    a.tell(Command::Finish { link: at_a, stream }).await;
    assert_eq!(frame(&mut b).await, (StreamId(2), Message::Explain));
    assert!(matches!(
        b.event().await,
        Event::StreamClosed {
            stream: StreamId(2),
            ..
        }
    ));
}

#[tokio::test]
async fn datagrams_cross_and_grow_with_the_path() {
    let (mut a, mut b) = pair();
    a.tell(Command::Dial {
        peer: domain("b.example"),
    })
    .await;
    let Event::Up {
        link: at_a,
        datagram_bytes,
        ..
    } = a.event().await
    else {
        panic!("not up");
    };
    let at_b = b.up().await;
    assert!((1100..1200).contains(&datagram_bytes), "{datagram_bytes}");
    a.tell(Command::Datagram {
        link: at_a,
        datagram: Bytes::from_static(b"media"),
    })
    .await;
    assert_eq!(b.media.recv().await, Some((at_b, Bytes::from_static(b"media"))));
    let Event::DatagramSize { bytes, .. } = a.any_event().await else {
        panic!("no new size");
    };
    assert!(bytes > datagram_bytes);
}

#[tokio::test]
async fn a_close_carries_its_code_to_the_peer() {
    let (mut a, mut b) = pair();
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    a.tell(Command::Close {
        link: at_a,
        code: Code::DuplicateLink,
    })
    .await;
    for (sft, at) in [(&mut a, at_a), (&mut b, at_b)] {
        let event = sft.event().await;
        let expected = matches!(event, Event::Down { link, code: Some(Code::DuplicateLink) } if link == at);
        assert!(expected, "{event:?}");
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_loses_its_link_and_delays_nobody() {
    let (ca_a, ca_b, ca_c) = (Authority::new(), Authority::new(), Authority::new());
    let listed = || vec![Peer::new(domain("a.example"), ca_a.trust())];
    let mut slow = Sft::start(ca_b.identity("b.example"), listed());
    let mut quick = Sft::start(ca_c.identity("c.example"), listed());
    let peer = |name, ca: &Authority, sft: &Sft| at(Peer::new(domain(name), ca.trust()), sft.address());
    let allow = vec![peer("b.example", &ca_b, &slow), peer("c.example", &ca_c, &quick)];
    let mut a = Sft::start(ca_a.identity("a.example"), allow);
    let (to_slow, _) = greeted(&mut a, &mut slow).await;
    a.tell(Command::Dial {
        peer: domain("c.example"),
    })
    .await;
    let (to_quick, _) = (a.up().await, quick.up().await);
    open(&a, to_quick, LINK).await;

    // `slow` takes no events from here on, so that its windows fill, and then the backlog for it.
    open(&a, to_slow, StreamId(1)).await;
    for flow in 0..(2 * LINK_BACKLOG_BYTES / 250_000) as u64 {
        send(&a, to_slow, StreamId(1), large(250_000)).await;
        send(&a, to_quick, LINK, Message::Keyframe { flow }).await;
        assert_eq!(frame(&mut quick).await, (LINK, Message::Keyframe { flow }));
    }
    let event = a.event().await;
    assert!(
        matches!(event, Event::Down { link, code: Some(Code::Limit) } if link == to_slow),
        "{event:?}"
    );
}

/// The first snapshot in which one link's `count` is as expected.
async fn stats_with(sft: &Sft, count: fn(&LinkStats) -> u64, expected: u64) -> LinkStats {
    let found = async {
        loop {
            let stats = sft.links.next_stats().await;
            if let Some(found) = stats.into_iter().find(|stats| count(stats) == expected) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .expect("never counted")
}

#[tokio::test]
async fn what_a_link_drops_and_carries_is_counted() {
    let (mut a, mut b) = pair();
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    let too_large = Bytes::from(vec![0; 2000]);
    a.tell(Command::Datagram {
        link: at_a,
        datagram: too_large,
    })
    .await;
    let stats = stats_with(&a, |stats| stats.dropped_out, 1).await;
    assert_eq!((stats.link, stats.peer.as_str()), (at_a, "b.example"));
    assert!(stats.sent_bytes > 0 && stats.received_bytes > 0 && stats.rtt < Duration::from_secs(1));

    // Nobody takes the media of `b`: its queue has 64 places.
    for _ in 0..80 {
        a.tell(Command::Datagram {
            link: at_a,
            datagram: Bytes::from_static(b"media"),
        })
        .await;
    }
    assert_eq!(stats_with(&b, |stats| stats.dropped_in, 16).await.link, at_b);
}

#[test]
fn a_peer_that_falls_silent_takes_its_link_down() {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (ours, theirs) = (runtime(), runtime());
    let listed = vec![Peer::new(domain("a.example"), ca_a.trust())];
    let b = theirs.block_on(async { Sft::start(ca_b.identity("b.example"), listed) });
    let event = ours.block_on(async {
        let peer = at(Peer::new(domain("b.example"), ca_b.trust()), b.address());
        let mut a = Sft::start(ca_a.identity("a.example"), vec![peer]);
        a.tell(Command::Dial {
            peer: domain("b.example"),
        })
        .await;
        a.up().await;
        // As if the process was killed: nothing is said any more.
        theirs.shutdown_background();
        a.event().await
    });
    assert!(matches!(event, Event::Down { code: None, .. }), "{event:?}");
}
