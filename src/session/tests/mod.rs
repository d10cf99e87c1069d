//! A session against a client in memory, over a simulated clock.

use std::collections::VecDeque;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::*;
use crate::limits::{CONSENT_TIMEOUT, MAX_CHANNEL_BACKLOG, MAX_FOREIGN_STREAMS, MAX_PATHS, MAX_TEXT_BYTES};
use peer::Peer;
use sctp_proto::PayloadProtocolIdentifier as Ppid;

#[path = "../../../tests/support/memory_peer.rs"]
mod peer;

mod channel;
mod connect;
mod hostile;
mod paths;

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
        assert!(
            self.session.next_deadline().is_none_or(|at| at > self.now),
            "a deadline that was served is over"
        );
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
