//! Who gets a link and who does not, with real certificates over real sockets.
//!
//! `a.example` is judged throughout: by `b.example`, which it dials, and by whoever dials it.
#![allow(clippy::unwrap_used, reason = "a test that cannot prepare must fail")]

mod links;

use std::net::UdpSocket;

use anchor_sft::federation::allow::{AllowList, Peer, Pin, Trust};
use anchor_sft::federation::{Command, Event, Side};
use anchor_sft::net::tls::{Identity, files};
use anchor_sft::proto::link::message::Code;
use anchor_sft::units::WallTime;
use links::knock::{Shown, alert, knock, knock_once};
use links::{Authority, Leaf, Sft, at, domain, named};
use rcgen::ExtendedKeyUsagePurpose;

/// What `b.example` says to someone who shows this leaf, and that the someone learns nothing of it.
async fn judged(why: &str, allow: Vec<Peer>, shown: Identity) -> Code {
    let ca_b = Authority::new();
    let mut b = Sft::start(ca_b.identity("b.example"), allow);
    assert_eq!(knock(&b, &ca_b, Shown::Identity(shown)).await, alert(), "{why}");
    assert!(b.events.try_recv().is_err(), "{why}: nothing is told inwards");
    let refused = b.refusal().await;
    let unclaimed = matches!(refused.code, Code::Unlisted | Code::Ambiguous | Code::Limit);
    assert_eq!(refused.claimed, (!unclaimed).then(|| domain("a.example")), "{why}");
    refused.code
}

#[tokio::test]
async fn only_an_exact_dns_name_is_a_claim() {
    let (ca_a, ca_c) = (Authority::new(), Authority::new());
    let a = || Peer::new(domain("a.example"), ca_a.trust());
    let c = || Peer::new(domain("c.example"), ca_c.trust());
    let renamed = || named(a(), "sft.a.example");
    let twin = || named(c(), "a.example");
    let many: Vec<String> = (0..70).map(|i| format!("n{i}.a.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let both = Leaf::with_names(&["a.example", "c.example"]);
    for (why, allow, shown, code) in [
        ("nobody is listed", vec![], Leaf::named("a.example"), Code::Unlisted),
        (
            "only others are listed",
            vec![c()],
            Leaf::named("a.example"),
            Code::Unlisted,
        ),
        ("another name", vec![a()], Leaf::named("x.example"), Code::Unlisted),
        ("a name below", vec![a()], Leaf::named("sft.a.example"), Code::Unlisted),
        (
            "a common name",
            vec![a()],
            Leaf::common_name("a.example"),
            Code::Unlisted,
        ),
        ("a wildcard", vec![a()], Leaf::named("*.example"), Code::Unlisted),
        ("an address", vec![a()], Leaf::address(), Code::Unlisted),
        ("a URI", vec![a()], Leaf::uri("https://a.example"), Code::Unlisted),
        (
            "another name is set",
            vec![renamed()],
            Leaf::named("a.example"),
            Code::Unlisted,
        ),
        ("names of two peers", vec![a(), c()], both, Code::Ambiguous),
        (
            "one name for two peers",
            vec![a(), twin()],
            Leaf::named("a.example"),
            Code::Ambiguous,
        ),
        ("too many names", vec![a()], Leaf::with_names(&many), Code::Limit),
    ] {
        assert_eq!(judged(why, allow, ca_a.sign(shown)).await, code, "{why}");
    }
}

#[tokio::test]
async fn a_claim_needs_that_peers_own_authority_and_dates_and_leave() {
    let (ca_a, ca_c) = (Authority::new(), Authority::new());
    let a = || Peer::new(domain("a.example"), ca_a.trust());
    let c = || Peer::new(domain("c.example"), ca_c.trust());
    let suspended = Peer { suspended: true, ..a() };
    let over = Peer {
        expires: Some(WallTime(1)),
        ..a()
    };
    let nobody = Peer {
        trust: Trust::Nobody,
        ..a()
    };
    let leaf = || Leaf::named("a.example");
    let for_code = leaf().used_for(&[ExtendedKeyUsagePurpose::CodeSigning]);
    for (why, allow, signer, shown, code) in [
        ("a stranger's authority", vec![a()], &ca_c, leaf(), Code::Untrusted),
        (
            "another peer's authority",
            vec![a(), c()],
            &ca_c,
            leaf(),
            Code::Untrusted,
        ),
        ("expired", vec![a()], &ca_a, leaf().dated(-2, -1), Code::Expired),
        ("not yet valid", vec![a()], &ca_a, leaf().dated(1, 2), Code::Expired),
        ("for signing code", vec![a()], &ca_a, for_code, Code::Untrusted),
        ("suspended", vec![suspended], &ca_a, leaf(), Code::Suspended),
        ("the agreement is over", vec![over], &ca_a, leaf(), Code::Policy),
        ("an empty trust file", vec![nobody], &ca_a, leaf(), Code::Untrusted),
    ] {
        assert_eq!(judged(why, allow, signer.sign(shown)).await, code, "{why}");
    }
}

#[tokio::test]
async fn somebody_elses_certificate_is_refused_with_the_same_alert() {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    let mut b = Sft::start(
        ca_b.identity("b.example"),
        vec![Peer::new(domain("a.example"), ca_a.trust())],
    );
    let stolen = ca_a.stolen(Leaf::named("a.example"));
    assert_eq!(knock(&b, &ca_b, Shown::Stolen(stolen)).await, alert());
    assert_eq!(b.refusal().await.code, Code::Untrusted);
}

#[tokio::test]
async fn whoever_shows_no_certificate_is_refused() {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    let mut b = Sft::start(
        ca_b.identity("b.example"),
        vec![Peer::new(domain("a.example"), ca_a.trust())],
    );
    knock(&b, &ca_b, Shown::Nothing).await;
    assert_eq!(b.refusal().await.code, Code::Untrusted);
}

#[tokio::test]
async fn a_refused_dialler_sees_that_it_failed_and_not_why() {
    let (ca_a, ca_b, ca_c) = (Authority::new(), Authority::new(), Authority::new());
    let listed = Peer::new(domain("a.example"), ca_c.trust());
    for allow in [vec![], vec![listed]] {
        let b = Sft::start(ca_b.identity("b.example"), allow);
        let peer = at(Peer::new(domain("b.example"), ca_b.trust()), b.address());
        let mut a = Sft::start(ca_a.identity("a.example"), vec![peer]);
        a.tell(Command::Dial {
            peer: domain("b.example"),
        })
        .await;
        // In TLS 1.3 the dialler may believe for a moment that it is connected.
        let mut end = a.event().await;
        if matches!(end, Event::Up { .. }) {
            end = a.event().await;
        }
        let (Event::Down { code, .. } | Event::DialFailed { code, .. }) = end else {
            panic!("not refused: {end:?}");
        };
        assert_eq!(code, Some(Code::Policy));
    }
}

#[tokio::test]
async fn whoever_is_dialled_must_prove_to_be_that_peer() {
    let (ca_a, ca_b, ca_c) = (Authority::new(), Authority::new(), Authority::new());
    let client_only = Leaf::named("b.example").used_for(&[ExtendedKeyUsagePurpose::ClientAuth]);
    for (why, shown, code) in [
        ("another authority's", ca_c.identity("b.example"), Code::Untrusted),
        ("our own authority's", ca_a.identity("b.example"), Code::Untrusted),
        (
            "expired",
            ca_b.sign(Leaf::named("b.example").dated(-2, -1)),
            Code::Expired,
        ),
        (
            "not yet valid",
            ca_b.sign(Leaf::named("b.example").dated(1, 2)),
            Code::Expired,
        ),
        ("another name", ca_b.identity("c.example"), Code::WrongName),
        (
            "a common name",
            ca_b.sign(Leaf::common_name("b.example")),
            Code::WrongName,
        ),
        ("a wildcard", ca_b.identity("*.example"), Code::WrongName),
        ("an address", ca_b.sign(Leaf::address()), Code::WrongName),
        ("for clients only", ca_b.sign(client_only), Code::Untrusted),
    ] {
        let b = Sft::start(shown, vec![Peer::new(domain("a.example"), ca_a.trust())]);
        let peer = at(Peer::new(domain("b.example"), ca_b.trust()), b.address());
        let mut a = Sft::start(ca_a.identity("a.example"), vec![peer]);
        a.tell(Command::Dial {
            peer: domain("b.example"),
        })
        .await;
        let event = a.event().await;
        let Event::DialFailed { peer, code: given } = event else {
            panic!("{why}: {event:?}");
        };
        assert_eq!((peer, given), (domain("b.example"), Some(code)), "{why}");
    }
}

#[tokio::test]
async fn what_our_own_rules_refuse_never_leaves_the_process() {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    // A port that would take whatever is sent to it.
    let watched = UdpSocket::bind("127.0.0.1:0").unwrap();
    watched.set_nonblocking(true).unwrap();
    let b = || {
        at(
            Peer::new(domain("b.example"), ca_b.trust()),
            watched.local_addr().unwrap(),
        )
    };
    let suspended = Peer { suspended: true, ..b() };
    let over = Peer {
        expires: Some(WallTime(1)),
        ..b()
    };
    let nobody = Peer {
        trust: Trust::Nobody,
        ..b()
    };
    let nowhere = Peer { address: None, ..b() };
    for (why, allow, code) in [
        ("unlisted", vec![], Some(Code::Unlisted)),
        ("suspended", vec![suspended], Some(Code::Suspended)),
        ("the agreement is over", vec![over], Some(Code::Policy)),
        ("an empty trust file", vec![nobody], Some(Code::Untrusted)),
        ("no address", vec![nowhere], None),
    ] {
        let mut a = Sft::start(ca_a.identity("a.example"), allow);
        a.tell(Command::Dial {
            peer: domain("b.example"),
        })
        .await;
        let event = a.event().await;
        assert!(
            matches!(event, Event::DialFailed { code: given, .. } if given == code),
            "{why}: {event:?}"
        );
        let sent = watched.recv_from(&mut [0; 2048]);
        assert_eq!(sent.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "{why}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_given_up() {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = at(
        Peer::new(domain("b.example"), ca_b.trust()),
        silent.local_addr().unwrap(),
    );
    let mut a = Sft::start(ca_a.identity("a.example"), vec![peer]);
    a.tell(Command::Dial {
        peer: domain("b.example"),
    })
    .await;
    assert!(matches!(a.event().await, Event::DialFailed { code: None, .. }));
}

/// Dials and returns the proven domains: of `b` at `a`, of `a` at `b`.
async fn link(identity_a: Identity, peer_b: Peer, identity_b: Identity, peer_a: Peer) -> (String, String) {
    let mut b = Sft::start(identity_b, vec![peer_a]);
    let mut a = Sft::start(identity_a, vec![at(peer_b, b.address())]);
    let peer = domain("b.example");
    a.tell(Command::Dial { peer }).await;
    let (at_a, at_b) = (a.event().await, b.event().await);
    let (
        Event::Up {
            peer: of_b,
            side: Side::Dialled,
            ..
        },
        Event::Up {
            peer: of_a,
            side: Side::Accepted,
            ..
        },
    ) = (&at_a, &at_b)
    else {
        panic!("no link: {at_a:?} {at_b:?}");
    };
    (of_b.to_string(), of_a.to_string())
}

#[tokio::test]
async fn proven_peers_get_a_link() {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    let a = || Peer::new(domain("a.example"), ca_a.trust());
    let b = || Peer::new(domain("b.example"), ca_b.trust());
    let server_only = |name| Leaf::named(name).used_for(&[ExtendedKeyUsagePurpose::ServerAuth]);
    let no_usage = |name| Leaf::named(name).used_for(&[]);
    let renamed = named(a(), "sft.a.example");
    let pin = |authority: &Authority| {
        let (_, certificate) = x509_parser::parse_x509_certificate(&authority.certificate).unwrap();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.public_key().raw);
        Trust::pins(vec![Pin(hash.as_ref().try_into().unwrap())])
    };
    let pinned = Peer {
        trust: pin(&ca_a),
        ..a()
    };
    let dotted = Peer {
        domain: domain("A.Example."),
        ..a()
    };
    for (why, shown, listed) in [
        ("as it should be", Leaf::named("a.example"), a()),
        (
            "capitals and a dot in the configuration",
            Leaf::named("a.example"),
            dotted,
        ),
        ("capitals in the certificate", Leaf::named("A.EXAMPLE"), a()),
        (
            "further names of nobody",
            Leaf::with_names(&["a.example", "www.example"]),
            a(),
        ),
        ("a certificate for servers", server_only("a.example"), a()),
        (
            "a certificate for clients",
            Leaf::named("a.example").used_for(&[ExtendedKeyUsagePurpose::ClientAuth]),
            a(),
        ),
        ("no stated usage", no_usage("a.example"), a()),
        ("the name set for it", Leaf::named("sft.a.example"), renamed),
        ("an authority known by its key", Leaf::named("a.example"), pinned),
    ] {
        let proven = link(ca_a.sign(shown), b(), ca_b.sign(server_only("b.example")), listed).await;
        assert_eq!(proven, ("b.example".into(), "a.example".into()), "{why}");
    }
}

#[tokio::test]
async fn two_dials_at_once_make_one_link_and_a_later_one_another() {
    let (mut a, mut b) = links::pair();
    for _ in 0..2 {
        a.tell(Command::Dial {
            peer: domain("b.example"),
        })
        .await;
    }
    let first = a.up().await;
    b.up().await;
    a.tell(Command::Dial {
        peer: domain("b.example"),
    })
    .await;
    let second = a.up().await;
    b.up().await;
    assert_ne!(first, second);
    // Everything that happened is in the queue before the links are down.
    a.links.close(Code::ShuttingDown).await;
    for _ in 0..2 {
        assert!(matches!(
            b.event().await,
            Event::Down {
                code: Some(Code::ShuttingDown),
                ..
            }
        ));
    }
}

#[tokio::test]
async fn a_peer_that_is_taken_off_the_list_loses_its_link_at_once() {
    let (mut a, mut b) = links::pair();
    a.tell(Command::Dial {
        peer: domain("b.example"),
    })
    .await;
    a.up().await;
    b.up().await;
    b.links.update(AllowList::default()).await;
    assert!(matches!(
        b.event().await,
        Event::Down {
            code: Some(Code::Unlisted),
            ..
        }
    ));
    assert!(
        matches!(
            a.event().await,
            Event::Down {
                code: Some(Code::Unlisted),
                ..
            }
        ),
        "a proven peer learns why"
    );
    a.tell(Command::Dial {
        peer: domain("b.example"),
    })
    .await;
    assert_eq!(b.refusal().await.code, Code::Unlisted);
}

#[tokio::test]
async fn a_burst_from_one_network_is_served_once_it_proves_its_address() {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    let mut b = Sft::start(ca_b.identity("b.example"), vec![]);
    // Ten a second are judged at once, the next ten after a Retry. Nobody has to send anything twice.
    for _ in 0..15 {
        let shown = Shown::Identity(ca_a.identity("a.example"));
        assert_eq!(knock_once(&b, &ca_b, shown).await, alert());
        assert_eq!(b.refusal().await.code, Code::Unlisted);
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_then_on() {
    let ca_c = Authority::new();
    let (mut a, b) = links::pair();
    b.links.renew(ca_c.identity("b.example")).await;
    a.tell(Command::Dial {
        peer: domain("b.example"),
    })
    .await;
    assert!(matches!(
        a.event().await,
        Event::DialFailed {
            code: Some(Code::Untrusted),
            ..
        }
    ));
}

#[test]
fn a_trust_file_without_certificates_makes_nobody_of_a_peer() {
    let dir = std::env::temp_dir().join(format!("anchor-sft-trust-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let empty = dir.join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    assert!(matches!(files::trust(&empty), Err(files::BadFile::NoCertificate)));
    for file in [empty, dir.join("missing.pem")] {
        assert_eq!(files::trust_or_nobody(&domain("a.example"), &file), Trust::Nobody);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
