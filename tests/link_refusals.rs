//! Who gets a link and who does not, with real certificates over real sockets.
//!
//! `a.example` is judged throughout: by `b.example`, which it dials, and by whoever dials it.
#![allow(clippy::unwrap_used, reason = "a test that cannot prepare must fail")]

mod links;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::Arc;

use anchor_sft::federation::allow::{AllowList, Peer, Pin, Trust};
use anchor_sft::federation::{Command, Event, Side};
use anchor_sft::net::tls::{Identity, Verdict, files};
use anchor_sft::proto::link::message::Code;
use anchor_sft::units::WallTime;
use links::{Authority, Leaf, Sft, at, domain};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// What a dialler shows: our own code's choice, or something that only an attacker does.
enum Shown {
    Identity(Identity),
    Nothing,
    /// A public chain with a key that is not its own.
    Stolen(Leaf),
}

/// Dials as anyone may, and returns how it ended: QUIC error code and text.
async fn knock(b: &Sft, ca_b: &Authority, ca_a: &Authority, shown: Shown) -> (u64, String) {
    let own = match &shown {
        Shown::Identity(identity) => identity.clone(),
        _ => ca_a.identity("a.example"),
    };
    let peer = Peer::new(domain("b.example"), ca_b.trust());
    let mut tls = own.dialling(peer, Verdict::default()).unwrap();
    tls.client_auth_cert_resolver = match shown {
        Shown::Identity(_) => tls.client_auth_cert_resolver,
        Shown::Nothing => Arc::new(NoCertificate),
        Shown::Stolen(leaf) => {
            let (chain, _) = ca_a.sign_raw(leaf.clone());
            let (_, other) = ca_a.sign_raw(leaf);
            let key = any_supported_type(&other).unwrap();
            Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
        }
    };
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connecting = endpoint.connect_with(config, b.address(), "b.example").unwrap();
    let error = match connecting.await {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    match error {
        ConnectionError::ConnectionClosed(close) => (
            close.error_code.into(),
            String::from_utf8(close.reason.to_vec()).unwrap(),
        ),
        other => panic!("not refused by an alert: {other}"),
    }
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

fn ip_name() -> Leaf {
    Leaf {
        names: vec![SanType::IpAddress("127.0.0.1".parse().unwrap())],
        ..Leaf::named("x")
    }
}

fn uri_name() -> Leaf {
    Leaf {
        names: vec![SanType::URI("https://a.example".try_into().unwrap())],
        ..Leaf::named("x")
    }
}

fn common_name_only() -> Leaf {
    Leaf {
        names: Vec::new(),
        common_name: "a.example".into(),
        ..Leaf::named("x")
    }
}

#[tokio::test]
async fn whoever_dials_without_proof_is_refused_with_one_and_the_same_alert() {
    let (ca_a, ca_b, ca_c) = (Authority::new(), Authority::new(), Authority::new());
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
    let renamed = Peer {
        certificate_name: Some(domain("sft.a.example")),
        ..a()
    };
    let twin = Peer {
        certificate_name: Some(domain("a.example")),
        ..c()
    };
    let many: Vec<String> = (0..70).map(|i| format!("n{i}.a.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let good = || ca_a.identity("a.example");
    let mut alerts = BTreeSet::new();
    for (why, allow, shown, code, claimed) in [
        ("nobody is listed", vec![], good(), Code::Unlisted, None),
        ("only others are listed", vec![c()], good(), Code::Unlisted, None),
        (
            "another authority's",
            vec![a()],
            ca_c.identity("a.example"),
            Code::Untrusted,
            Some("a.example"),
        ),
        (
            "a listed peer's authority, for a name of another",
            vec![a(), c()],
            ca_c.identity("a.example"),
            Code::Untrusted,
            Some("a.example"),
        ),
        (
            "expired",
            vec![a()],
            ca_a.sign(Leaf::named("a.example").dated(-2, -1)),
            Code::Expired,
            Some("a.example"),
        ),
        (
            "not yet valid",
            vec![a()],
            ca_a.sign(Leaf::named("a.example").dated(1, 2)),
            Code::Expired,
            Some("a.example"),
        ),
        (
            "another name",
            vec![a()],
            ca_a.identity("x.example"),
            Code::Unlisted,
            None,
        ),
        (
            "a name below",
            vec![a()],
            ca_a.identity("sft.a.example"),
            Code::Unlisted,
            None,
        ),
        (
            "a common name",
            vec![a()],
            ca_a.sign(common_name_only()),
            Code::Unlisted,
            None,
        ),
        (
            "a wildcard",
            vec![a()],
            ca_a.identity("*.example"),
            Code::Unlisted,
            None,
        ),
        ("an address", vec![a()], ca_a.sign(ip_name()), Code::Unlisted, None),
        ("a URI", vec![a()], ca_a.sign(uri_name()), Code::Unlisted, None),
        (
            "names of two peers",
            vec![a(), c()],
            ca_a.sign(Leaf::with_names(&["a.example", "c.example"])),
            Code::Ambiguous,
            None,
        ),
        ("one name for two peers", vec![a(), twin], good(), Code::Ambiguous, None),
        (
            "its domain, where another name is set",
            vec![renamed],
            good(),
            Code::Unlisted,
            None,
        ),
        ("suspended", vec![suspended], good(), Code::Suspended, Some("a.example")),
        (
            "the agreement is over",
            vec![over],
            good(),
            Code::Policy,
            Some("a.example"),
        ),
        (
            "an empty trust file",
            vec![nobody],
            good(),
            Code::Untrusted,
            Some("a.example"),
        ),
        (
            "more names than anyone needs",
            vec![a()],
            ca_a.sign(Leaf::with_names(&many)),
            Code::Limit,
            None,
        ),
        (
            "for signing code",
            vec![a()],
            ca_a.sign(Leaf::named("a.example").used_for(&[ExtendedKeyUsagePurpose::CodeSigning])),
            Code::Untrusted,
            Some("a.example"),
        ),
    ] {
        let mut b = Sft::start(ca_b.identity("b.example"), allow);
        let alert = knock(&b, &ca_b, &ca_a, Shown::Identity(shown)).await;
        let refused = b.refusal().await;
        assert_eq!((refused.code, refused.claimed), (code, claimed.map(domain)), "{why}");
        assert!(b.events.try_recv().is_err(), "{why}: nothing is told inwards");
        alerts.insert(alert);
    }
    let mut b = Sft::start(ca_b.identity("b.example"), vec![a()]);
    alerts.insert(knock(&b, &ca_b, &ca_a, Shown::Stolen(Leaf::named("a.example"))).await);
    assert_eq!(b.refusal().await.code, Code::Untrusted, "somebody else's certificate");
    assert_eq!(alerts.len(), 1, "the alert tells whom we list: {alerts:?}");
}

#[tokio::test]
async fn whoever_shows_no_certificate_is_refused() {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    let mut b = Sft::start(
        ca_b.identity("b.example"),
        vec![Peer::new(domain("a.example"), ca_a.trust())],
    );
    knock(&b, &ca_b, &ca_a, Shown::Nothing).await;
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
    let common_name = Leaf {
        common_name: "b.example".into(),
        ..common_name_only()
    };
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
        ("a common name", ca_b.sign(common_name), Code::WrongName),
        ("a wildcard", ca_b.identity("*.example"), Code::WrongName),
        ("an address", ca_b.sign(ip_name()), Code::WrongName),
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
    let renamed = Peer {
        certificate_name: Some(domain("sft.a.example")),
        ..a()
    };
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
    // Ten a second are judged at once, the next ten after a Retry.
    for _ in 0..15 {
        knock(&b, &ca_b, &ca_a, Shown::Identity(ca_a.identity("a.example"))).await;
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
