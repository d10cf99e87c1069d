//! The data channel: texts, bounds, closing.

use super::*;

#[test]
fn texts_of_sixty_kilobytes_and_of_none_cross_both_ways() {
    let mut pair = Pair::open();
    let long: String = (0..60_000).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    for text in ["", "x", &long] {
        pair.session.send_text(pair.now, text).unwrap();
        pair.exchange();
    }
    pair.peer.send(pair.now, &[0], Ppid::StringEmpty);
    pair.peer.send_text(pair.now, &long);
    pair.peer.send(pair.now, b"binary", Ppid::Binary);
    pair.peer.send(pair.now, b"partial", Ppid::Unknown);
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.peer.texts, [b"", b"x".as_slice(), long.as_bytes()]);
    assert_eq!(pair.texts, [b"", long.as_bytes(), b"binary", b"partial"]);
}

#[test]
fn a_client_that_does_not_read_is_told_no_at_a_bound() {
    let mut pair = Pair::open();
    pair.run(Duration::from_secs(1));
    let text = "x".repeat(MAX_TEXT_BYTES);
    assert_eq!(
        pair.session.send_text(pair.now, &format!("{text}y")),
        Err(ChannelError::TooLong)
    );
    let taken: usize = (0..10)
        .filter(|_| pair.session.send_text(pair.now, &text).is_ok())
        .map(|_| text.len())
        .sum();
    assert_eq!(pair.session.send_text(pair.now, &text), Err(ChannelError::Full));
    assert_eq!(taken, MAX_CHANNEL_BACKLOG);
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.peer.texts.len(), taken / text.len(), "what was taken arrives");
    assert_eq!(pair.session.send_text(pair.now, &text), Ok(()));
}

#[test]
fn nothing_is_sent_before_the_channel_is_open() {
    let mut pair = Pair::new();
    assert_eq!(pair.session.send_text(pair.now, "early"), Err(ChannelError::NotOpen));
    assert_eq!(pair.session.protect_rtp(&mut [0; 100], 50), Err(Drop::NotReady));
    pair.check(true).unwrap();
    assert_eq!(
        pair.session.unprotect_rtp(pair.now, pair.path, &mut rtp(5, 1, 100)),
        Err(Drop::NotReady)
    );
    assert_eq!(pair.session.media_path(pair.now), None);
}

#[test]
fn closing_delivers_what_was_said_before_and_says_so() {
    let mut pair = Pair::open();
    let text = "x".repeat(50_000);
    pair.session.send_text(pair.now, &text).unwrap();
    pair.session.close(pair.now);
    assert_eq!(pair.session.send_text(pair.now, "late"), Err(ChannelError::NotOpen));
    pair.exchange();
    pair.run(CLOSE_TIMEOUT / 2);
    assert_eq!(pair.peer.texts, [text.as_bytes()]);
    assert!(pair.peer.closed);
    assert_eq!(pair.ended, Some(Reason::Closed));
}

#[test]
fn closing_does_not_wait_for_a_client_that_is_gone() {
    let mut pair = Pair::open();
    pair.loss = 100;
    pair.session.send_text(pair.now, "anybody?").unwrap();
    pair.session.close(pair.now);
    pair.skip(CLOSE_TIMEOUT - Duration::from_millis(1));
    assert_eq!(pair.ended, None);
    assert!(
        pair.session
            .next_deadline()
            .is_some_and(|at| at <= pair.now + Duration::from_millis(1))
    );
    pair.skip(Duration::from_millis(1));
    assert_eq!(pair.ended, Some(Reason::Closed));
}

#[test]
fn closing_early_ends_at_once() {
    let mut pair = Pair::new();
    pair.session.close(pair.now);
    pair.session.close(pair.now);
    pair.collect();
    assert_eq!(pair.ended, Some(Reason::Closed));
    assert_eq!(pair.check(true), Err(Drop::Ended));
}

#[test]
fn a_client_that_leaves_ends_its_session() {
    let mut pair = Pair::open();
    pair.peer.close(pair.now);
    pair.exchange();
    assert_eq!(pair.ended, Some(Reason::ClosedByClient));
}

#[test]
fn a_client_may_open_few_streams_of_its_own_and_nobody_reads_them() {
    let mut pair = Pair::open();
    for stream in 0..MAX_FOREIGN_STREAMS {
        pair.peer.send_on(pair.now, 100 + 2 * stream as u16, b"hello");
        pair.exchange();
    }
    assert_eq!((pair.ended, pair.texts.len()), (None, 0));
    pair.peer.send_on(pair.now, 3, b"hello");
    pair.exchange();
    assert_eq!(pair.ended, Some(Reason::Channel));
}

#[test]
fn a_client_that_closes_the_channel_ends_its_session() {
    let mut pair = Pair::open();
    pair.peer.close_channel(pair.now);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.ended, Some(Reason::ClosedByClient));
}
