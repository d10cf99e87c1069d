//! Which addresses are valid, and which one gets the media.

use super::*;

#[test]
fn the_latest_nomination_wins() {
    let mut pair = Pair::open();
    let old = pair.path;
    pair.path = path(2);
    pair.check(false).unwrap();
    assert_eq!(
        pair.session.media_path(pair.now),
        Some(old),
        "a check alone moves nothing"
    );
    pair.check(true).unwrap();
    assert_eq!(pair.session.media_path(pair.now), Some(pair.path));
    pair.session.send_text(pair.now, "moved").unwrap();
    pair.exchange();
    assert_eq!(pair.peer.texts, [b"moved"]);
    assert_eq!(pair.sent_to.last(), Some(&pair.path));
}

#[test]
fn media_from_elsewhere_is_dropped() {
    let mut pair = Pair::open();
    let mut sealed = pair.peer.protect_rtp(&rtp(5, 1, 100));
    assert_eq!(
        pair.session.unprotect_rtp(pair.now, path(9), &mut sealed),
        Err(Drop::NotValidated)
    );
    assert_eq!(
        pair.session.unprotect_rtp(pair.now, pair.path, &mut sealed),
        Ok(112),
        "untouched"
    );
    let mut sealed = pair.peer.protect_rtcp(&receiver_report(5));
    assert_eq!(
        pair.session.unprotect_rtcp(pair.now, path(9), &mut sealed),
        Err(Drop::NotValidated)
    );
}

#[test]
fn many_addresses_push_out_the_oldest_but_never_the_nominated_one() {
    let mut pair = Pair::open();
    let nominated = pair.path;
    for last in 10..30 {
        pair.path = path(last);
        pair.now += Duration::from_millis(1);
        pair.check(false).unwrap();
    }
    assert_eq!(pair.session.media_path(pair.now), Some(nominated));
    let valid = (0..=255)
        .filter(|last| pair.session.ice.is_valid(pair.now, path(*last)))
        .count();
    assert_eq!(valid, MAX_PATHS);
    assert!(pair.session.ice.is_valid(pair.now, path(29)));
}

#[test]
fn wrong_checks_are_dropped_and_told_apart() {
    let mut pair = Pair::new();
    let role: &[u8] = &[];
    let Credentials { ufrag, password } = pair.session.credentials.clone();
    let username = format!("{ufrag}:other");
    let good = peer::binding_request(1, &username, &password, role, true);
    let mut unsigned = good.clone();
    unsigned.truncate(good.len() - 32);
    let mut flipped = good.clone();
    flipped[25] ^= 1;
    for (check, expected) in [
        (
            peer::binding_request(1, "stranger:other", &password, role, true),
            Err(Drop::UnknownUfrag),
        ),
        (
            peer::binding_request(1, &username, "guess", role, true),
            Err(Drop::BadIntegrity),
        ),
        (
            peer::binding_request(1, &ufrag, &password, role, true),
            Err(Drop::BadStun),
        ),
        (unsigned, Err(Drop::BadStun)),
        (flipped, Err(Drop::BadStun)),
        (vec![], Err(Drop::BadStun)),
    ] {
        assert_eq!(pair.session.stun(pair.now, pair.path, &check), expected);
        assert_eq!(pair.session.poll(), None, "no answer to a stranger");
    }
    assert_eq!(pair.session.stun(pair.now, pair.path, &good), Ok(()));
}

#[test]
fn a_client_that_claims_to_be_controlled_hears_of_the_conflict() {
    let mut pair = Pair::new();
    let check = pair.peer.controlled_check();
    assert_eq!(pair.session.stun(pair.now, pair.path, &check), Err(Drop::RoleConflict));
    pair.exchange();
    assert_eq!(pair.peer.refused, [487]);
    assert!(!pair.session.ice.is_valid(pair.now, pair.path));
}

#[test]
fn an_answer_is_never_longer_than_its_check() {
    let mut pair = Pair::new();
    let password = pair.session.credentials.password.clone();
    pair.path.remote = "[2001:db8::1]:40000".parse().unwrap();
    for (ufrag, expected) in [("eight678", Ok(())), ("four", Err(Drop::BadStun))] {
        pair.session.credentials.ufrag = ufrag.to_owned();
        let shortest = peer::binding_request(1, &format!("{ufrag}:x"), &password, &[], false);
        assert_eq!(pair.session.stun(pair.now, pair.path, &shortest), expected);
        match pair.session.poll() {
            Some(Output::Transmit { bytes, .. }) => assert!(bytes.len() <= shortest.len()),
            other => assert_eq!((other, ufrag), (None, "four")),
        }
    }
}

#[test]
fn addresses_of_both_families_are_told_to_the_client() {
    let mut pair = Pair::new();
    for remote in ["192.0.2.77:1", "[2001:db8::1]:65535"] {
        pair.path.remote = remote.parse().unwrap();
        pair.check(false).unwrap();
    }
    let expected: Vec<SocketAddr> = vec!["192.0.2.77:1".parse().unwrap(), "[2001:db8::1]:65535".parse().unwrap()];
    assert_eq!(pair.peer.mapped, expected);
}
