//! From the offer to keys and an open channel, and what goes wrong on the way.

use super::*;

#[test]
fn a_client_gets_its_channel_its_keys_and_its_texts() {
    let mut pair = Pair::open();
    assert_eq!(pair.peer.channel, Some(("calling-3.0".to_owned(), 1)));
    assert_eq!(pair.peer.server_fingerprint, Some(pair.session.identity.fingerprint()));
    assert_eq!(pair.session.srtp_profile(), Some(Profile::AeadAes256Gcm));
    assert_eq!(pair.session.media_path(pair.now), Some(pair.path));
    pair.session.send_text(pair.now, "down").unwrap();
    pair.peer.send_text(pair.now, "up");
    pair.exchange();
    assert_eq!(pair.peer.texts, [b"down"]);
    assert_eq!(pair.texts, [b"up"]);
    assert_eq!(pair.ended, None);
}

#[test]
fn media_goes_both_ways_by_another_implementation() {
    let mut pair = Pair::open();
    for sequence in [65_534, 65_535, 0, 1] {
        let plain = rtp(5, sequence, 100);
        let mut sealed = pair.peer.protect_rtp(&plain);
        let length = pair.session.unprotect_rtp(pair.now, pair.path, &mut sealed).unwrap();
        assert_eq!(sealed[..length], plain);
        let mut buffer = rtp(6, sequence, 100);
        buffer.resize(200, 0);
        let length = pair.session.protect_rtp(&mut buffer, 112).unwrap();
        assert_eq!(pair.peer.unprotect_rtp(&buffer[..length]), Some(rtp(6, sequence, 100)));
    }
    let mut sealed = pair.peer.protect_rtcp(&receiver_report(5));
    let length = pair.session.unprotect_rtcp(pair.now, pair.path, &mut sealed).unwrap();
    assert_eq!(sealed[..length], receiver_report(5));
    let mut buffer = receiver_report(6);
    buffer.resize(64, 0);
    let length = pair.session.protect_rtcp(&mut buffer, 8).unwrap();
    assert_eq!(pair.peer.unprotect_rtcp(&buffer[..length]), Some(receiver_report(6)));
}

#[test]
fn a_session_is_small_until_a_check_is_valid() {
    let mut pair = Pair::new();
    let text = pair.session.credentials.ufrag.capacity() + pair.session.credentials.password.capacity();
    assert!(
        size_of::<Session>() + text <= 2048,
        "{} bytes",
        size_of::<Session>() + text
    );
    pair.answer();
    pair.peer.start(pair.now);
    let hello = pair.peer.poll().unwrap();
    assert_eq!(pair.session.dtls(pair.now, pair.path, &hello), Err(Drop::NotValidated));
    assert!(!matches!(pair.session.stage, Stage::Live(_)));
    assert_eq!(pair.session.outputs.capacity(), 0);
}

#[test]
fn checks_are_answered_before_the_answer_and_dtls_is_held() {
    let mut pair = Pair::new();
    pair.check(true).unwrap();
    assert_eq!(pair.peer.mapped, [pair.path.remote]);
    pair.peer.start(pair.now);
    pair.exchange();
    assert_eq!(pair.sent_to.len(), 1, "nothing but the answer to the check was sent");
    pair.answer();
    assert_eq!(pair.opened, 1, "what was held is used at once");
}

#[test]
fn no_more_than_four_datagrams_are_held() {
    let mut pair = Pair::new();
    pair.check(true).unwrap();
    for _ in 0..MAX_HELD_DTLS {
        assert_eq!(pair.session.dtls(pair.now, pair.path, &[22; 100]), Ok(()));
    }
    assert_eq!(pair.session.dtls(pair.now, pair.path, &[22; 100]), Err(Drop::HeldFull));
    assert_eq!(
        pair.session.dtls(pair.now, pair.path, &[22; MAX_DTLS_BYTES + 1]),
        Err(Drop::TooLong)
    );
}

#[test]
fn another_certificate_than_announced_ends_the_session() {
    let mut pair = Pair::new();
    pair.check(true).unwrap();
    pair.answer_with([7; 32]);
    pair.peer.start(pair.now);
    pair.exchange();
    assert_eq!(pair.ended, Some(Reason::BadFingerprint));
    assert_eq!(pair.session.srtp_profile(), None);
    assert_eq!(pair.session.next_deadline(), None);
    assert_eq!(pair.session.dtls(pair.now, pair.path, &[22; 100]), Err(Drop::Ended));
    assert_eq!(
        pair.session.unprotect_rtp(pair.now, pair.path, &mut rtp(5, 1, 100)),
        Err(Drop::Ended)
    );
}

#[test]
fn only_the_first_answer_counts() {
    let mut pair = Pair::new();
    pair.check(true).unwrap();
    pair.answer();
    pair.answer_with([7; 32]);
    pair.peer.start(pair.now);
    pair.exchange();
    assert_eq!((pair.opened, pair.ended), (1, None));
}

#[test]
fn a_setup_that_nobody_answers_ends() {
    let mut pair = Pair::new();
    assert_eq!(pair.session.next_deadline(), Some(pair.now + SETUP_TIMEOUT));
    pair.skip(SETUP_TIMEOUT - Duration::from_millis(1));
    assert_eq!(pair.ended, None);
    pair.skip(Duration::from_millis(1));
    assert_eq!(pair.ended, Some(Reason::SetupTimeout));
}

#[test]
fn a_client_that_answers_and_never_connects_ends() {
    let mut pair = Pair::new();
    pair.check(true).unwrap();
    pair.answer();
    pair.skip(CONNECT_TIMEOUT - Duration::from_millis(1));
    assert_eq!(pair.ended, None);
    pair.skip(Duration::from_millis(1));
    assert_eq!(pair.ended, Some(Reason::ConnectTimeout));
}

#[test]
fn a_client_that_stops_checking_gets_no_more_media_and_ends() {
    let mut pair = Pair::open();
    pair.run(Duration::from_secs(60));
    assert_eq!(
        (pair.ended, pair.session.media_path(pair.now)),
        (None, Some(pair.path)),
        "consent is refreshed"
    );
    pair.check(true).unwrap();
    let checked = pair.now;
    pair.now = checked + CONSENT_TIMEOUT - Duration::from_millis(1);
    assert!(pair.session.media_path(pair.now).is_some());
    pair.now = checked + CONSENT_TIMEOUT;
    assert_eq!(pair.session.media_path(pair.now), None);
    assert_eq!(
        pair.session.unprotect_rtp(pair.now, pair.path, &mut rtp(5, 1, 100)),
        Err(Drop::NotValidated)
    );
    pair.tick();
    assert_eq!(pair.ended, Some(Reason::ConsentExpired));
}

#[test]
fn lost_datagrams_delay_a_client_but_do_not_stop_it() {
    for seed in 0..10 {
        let mut pair = Pair::seeded(seed);
        pair.check(true).unwrap();
        pair.loss = 20;
        pair.answer();
        pair.peer.start(pair.now);
        pair.run(Duration::from_secs(12));
        assert_eq!((pair.opened, pair.ended), (1, None), "seed {seed}");
        let text = "x".repeat(20_000);
        pair.session.send_text(pair.now, &text).unwrap();
        pair.peer.send_text(pair.now, &text);
        pair.run(Duration::from_secs(60));
        assert_eq!(pair.peer.texts, [text.as_bytes()], "seed {seed}");
        assert_eq!(pair.texts, [text.as_bytes()], "seed {seed}");
    }
}

#[test]
fn debug_shows_neither_addresses_nor_secrets() {
    let pair = Pair::open();
    let shown = format!("{:?} {:?} {:?}", pair.session, pair.path, pair.session.identity);
    for secret in [
        "192",
        "40000",
        &pair.session.credentials.ufrag,
        &pair.session.credentials.password,
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn sessions_can_move_to_a_worker() {
    fn moves<T: Send>(_: &T) {}
    moves(&Pair::new().session);
}
