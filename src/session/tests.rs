//! A session against a client in memory, over a simulated clock.

use std::collections::VecDeque;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::*;
use crate::limits::{CONSENT_TIMEOUT, MAX_CHANNEL_BACKLOG, MAX_FOREIGN_STREAMS, MAX_PATHS, MAX_TEXT_BYTES};
use peer::Peer;
use sctp_proto::PayloadProtocolIdentifier as Ppid;

#[path = "../../tests/support/memory_peer.rs"]
mod peer;

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as the beginning of simulated time"
)]
fn beginning() -> Instant {
    Instant::now()
}

fn path(last: u8) -> Path {
    Path {
        remote: SocketAddr::from(([192, 0, 2, last], 40_000)),
        socket: 0,
        local: None,
    }
}

/// A session, its client, and the network between them.
struct Pair {
    now: Instant,
    session: Session,
    peer: Peer,
    path: Path,
    // Percent of datagrams that are lost, both ways.
    loss: u32,
    rng: ChaCha12Rng,
    to_peer: VecDeque<Vec<u8>>,
    sent_to: Vec<Path>,
    texts: Vec<Vec<u8>>,
    opened: usize,
    ended: Option<Reason>,
}

impl Pair {
    fn new() -> Pair {
        Pair::seeded(1)
    }

    fn seeded(seed: u64) -> Pair {
        let now = beginning();
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let credentials = Credentials::random(&mut rng);
        let peer = Peer::new(now, &credentials.ufrag, &credentials.password);
        let identity = Arc::new(Identity::generate().unwrap());
        let session = Session::new(now, identity, credentials);
        Pair {
            now,
            session,
            peer,
            path: path(1),
            loss: 0,
            rng,
            to_peer: VecDeque::new(),
            sent_to: Vec::new(),
            texts: Vec::new(),
            opened: 0,
            ended: None,
        }
    }

    fn check(&mut self, nominate: bool) -> Result<(), Drop> {
        let check = self.peer.check(nominate);
        let result = self.session.stun(self.now, self.path, &check);
        self.exchange();
        result
    }

    fn answer(&mut self) {
        self.answer_with(self.peer.fingerprint());
    }

    fn answer_with(&mut self, fingerprint: [u8; 32]) {
        let remote = Remote {
            ufrag: peer::UFRAG.into(),
            password: peer::PASSWORD.into(),
            fingerprint,
        };
        self.session.answer(self.now, remote);
        self.exchange();
    }

    /// A pair whose channel is open.
    fn open() -> Pair {
        let mut pair = Pair::new();
        pair.check(true).unwrap();
        pair.answer();
        pair.peer.start(pair.now);
        pair.exchange();
        assert_eq!(pair.opened, 1);
        pair
    }

    fn lost(&mut self) -> bool {
        self.rng.random_range(0..100) < self.loss
    }

    fn collect(&mut self) -> bool {
        let mut busy = false;
        while let Some(output) = self.session.poll() {
            busy = true;
            assert_eq!(self.ended, None, "nothing comes after the end");
            match output {
                Output::Transmit { path, bytes } => {
                    assert!(bytes.len() <= 1200, "{} bytes do not fit every tunnel", bytes.len());
                    self.sent_to.push(path);
                    self.to_peer.push_back(bytes);
                }
                Output::Text(text) => self.texts.push(text),
                Output::Opened => self.opened += 1,
                Output::Ended(reason) => self.ended = Some(reason),
            }
        }
        busy
    }

    /// Carries datagrams both ways until both are quiet.
    fn exchange(&mut self) {
        loop {
            let mut busy = self.collect();
            while let Some(datagram) = self.to_peer.pop_front() {
                if !self.lost() {
                    self.peer.receive(self.now, &datagram);
                }
            }
            while let Some(datagram) = self.peer.poll() {
                busy = true;
                if !self.lost() {
                    let _ = self.session.dtls(self.now, self.path, &datagram);
                    self.collect();
                }
            }
            if !busy {
                return;
            }
        }
    }

    /// Lets time pass from deadline to deadline; the client checks its path every two seconds where `checks`.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut next_check = self.now + Duration::from_secs(2);
        while self.now < end {
            let deadlines = [
                self.session.next_deadline(),
                self.peer.next_deadline(),
                Some(next_check),
                Some(end),
            ];
            let next = deadlines.into_iter().flatten().min().unwrap();
            self.now = next.max(self.now + Duration::from_millis(1));
            if self.now >= next_check && self.ended.is_none() {
                next_check = self.now + Duration::from_secs(2);
                self.check(true).unwrap();
            }
            self.tick();
        }
    }

    /// Lets time pass at once for the session alone.
    fn skip(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.collect();
    }

    fn tick(&mut self) {
        self.session.handle_timeout(self.now);
        self.exchange();
        self.peer.handle_timeout(self.now);
        self.exchange();
    }
}

fn rtp(ssrc: u32, sequence: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 1]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.resize(12 + payload, 7);
    packet
}

fn receiver_report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet
}

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
    let Credentials { ufrag, password } = pair.session.credentials.clone();
    pair.path.remote = "[2001:db8::1]:40000".parse().unwrap();
    let shortest = peer::binding_request(1, &format!("{ufrag}:x"), &password, &[], false);
    assert_eq!(pair.session.stun(pair.now, pair.path, &shortest), Ok(()));
    let Some(Output::Transmit { bytes, .. }) = pair.session.poll() else {
        panic!("no answer");
    };
    assert!(bytes.len() <= shortest.len(), "{} for {}", bytes.len(), shortest.len());
    pair.peer.receive(pair.now, &bytes);
    assert_eq!(pair.peer.mapped, [pair.path.remote]);
}

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
    let mut taken = 0;
    while pair.session.send_text(pair.now, &text).is_ok() {
        taken += text.len();
    }
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
    pair.run(CLOSE_TIMEOUT);
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

/// Bit flips, cuts and additions of real datagrams, into every entry point, at every stage.
#[test]
fn garbage_never_panics() {
    let mut rng = ChaCha12Rng::seed_from_u64(4711);
    let mut fed = 0;
    while fed < 24_000 {
        let mut pair = Pair::seeded(rng.next_u64());
        pair.check(true).unwrap();
        if rng.random() {
            pair.answer();
        }
        if rng.random() {
            pair.peer.start(pair.now);
        }
        for _ in 0..rng.random_range(0..3) {
            pair.exchange();
        }
        let mut seeds = vec![
            pair.peer.check(true),
            pair.peer.controlled_check(),
            rtp(5, 1, 60),
            receiver_report(5),
        ];
        seeds.extend(pair.peer.poll());
        seeds.extend(pair.to_peer.drain(..));
        if pair.opened > 0 {
            seeds.push(pair.peer.protect_rtp(&rtp(5, 1, 60)));
            seeds.push(pair.peer.protect_rtcp(&receiver_report(5)));
            pair.peer.send_text(pair.now, "hello");
            seeds.extend(pair.peer.poll());
        }
        for _ in 0..400 {
            let seed = rng.random_range(0..seeds.len());
            feed(&mut pair, mutate(&mut rng, &seeds[seed]), &mut rng);
            fed += 1;
        }
    }
}

fn feed(pair: &mut Pair, mut datagram: Vec<u8>, rng: &mut ChaCha12Rng) {
    pair.now += Duration::from_millis(rng.random_range(0..5));
    let (now, path) = (pair.now, pair.path);
    let _ = pair.session.stun(now, path, &datagram);
    let _ = pair.session.dtls(now, path, &datagram);
    let _ = pair.session.unprotect_rtcp(now, path, &mut datagram.clone());
    let _ = pair.session.unprotect_rtp(now, path, &mut datagram);
    let length = rng.random_range(0..datagram.len() + 20);
    let _ = pair.session.protect_rtp(&mut datagram.clone(), length);
    let _ = pair.session.protect_rtcp(&mut datagram, length);
    pair.session.handle_timeout(now);
    pair.collect();
}

fn mutate(rng: &mut ChaCha12Rng, seed: &[u8]) -> Vec<u8> {
    let mut datagram = seed.to_vec();
    for _ in 0..rng.random_range(0..4) {
        let at = rng.random_range(0..datagram.len().max(1));
        match rng.random_range(0..4) {
            0 => datagram.truncate(at),
            1 => datagram.extend((0..at % 40).map(|_| rng.random::<u8>())),
            2 => datagram
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = rng.random()),
            _ => datagram
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << (at % 8)),
        }
    }
    datagram
}
