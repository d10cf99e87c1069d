//! DTLS with the client (RFC 5764, RFC 8827 §6.5): we are the server. The only file that knows the `dimpl` crate.
//!
//! Versions: 1.2, where `dimpl` picks AEAD_AES_256_GCM for every browser. Its 1.3 server takes the client's first SRTP profile,
//! which is AES_CM_128_HMAC_SHA1_80 for Chromium, four times as dear per packet; so it stays off ([`OFFER_DTLS_1_3`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;

use crate::session::Profile;
use crate::session::srtp::Keys;

/// Speak DTLS 1.3 to clients that offer it.
const OFFER_DTLS_1_3: bool = false;
/// First retransmission; the crate's second is long against a round trip, and also delays its answer to a repeated hello.
const FIRST_RETRY: Duration = Duration::from_millis(150);
/// Retransmissions of a flight: with doubling, as long as [`HANDSHAKE`].
const RETRIES: usize = 8;
/// The whole handshake; the session's own connect timeout is the same.
const HANDSHAKE: Duration = crate::limits::CONNECT_TIMEOUT;
/// Room for one output of the crate: no record is larger than what fits in a datagram.
const BUFFER: usize = 2048;

/// Our certificate and the crate's configuration.
pub(super) struct Setup {
    config: Arc<dimpl::Config>,
    certificate: dimpl::DtlsCertificate,
    fingerprint: [u8; 32],
}

impl Setup {
    /// A new key and certificate; `None` where the crate refuses.
    pub(super) fn generate() -> Option<Setup> {
        let certificate = dimpl::certificate::generate_self_signed_certificate().ok()?;
        // The address is proven by ICE already: a cookie would cost a round trip for nothing.
        let config = dimpl::Config::builder()
            .use_server_cookie(false)
            .flight_start_rto(FIRST_RETRY)
            .flight_retries(RETRIES)
            .handshake_timeout(HANDSHAKE)
            .build()
            .ok()?;
        let fingerprint = sha256(&certificate.certificate);
        Some(Setup {
            config: Arc::new(config),
            certificate,
            fingerprint,
        })
    }

    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes)
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}

/// What DTLS has to say.
pub(super) enum Event {
    /// Send this datagram.
    Packet(Vec<u8>),
    /// The handshake is complete with the right certificate.
    Connected(Box<Keys>),
    /// Decrypted bytes for SCTP.
    Data(Vec<u8>),
    /// The client said close_notify.
    Closed,
    /// The connection is of no more use.
    Failed(Failure),
}

/// Why a connection is of no more use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The certificate is not the one that was announced.
    BadFingerprint,
    /// No SRTP profile in common.
    NoSrtpProfile,
    /// Anything else.
    Protocol,
}

/// What the client showed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Certificate {
    None,
    Right,
    Wrong,
}

/// One connection.
pub(super) struct Dtls {
    engine: dimpl::Dtls,
    expected: [u8; 32],
    seen: Certificate,
    connected: bool,
    keyed: bool,
    failed: bool,
    deadline: Option<Instant>,
    events: VecDeque<Event>,
    buffer: Vec<u8>,
}

impl Dtls {
    /// Waits for a client whose certificate has this SHA-256.
    pub(super) fn new(now: Instant, setup: &Setup, expected: [u8; 32]) -> Dtls {
        let new = if OFFER_DTLS_1_3 {
            dimpl::Dtls::new_auto
        } else {
            dimpl::Dtls::new_12
        };
        let engine = new(Arc::clone(&setup.config), setup.certificate.clone(), now);
        Dtls {
            engine,
            expected,
            seen: Certificate::None,
            connected: false,
            keyed: false,
            failed: false,
            deadline: None,
            events: VecDeque::new(),
            buffer: vec![0; BUFFER],
        }
    }

    /// Takes a datagram.
    pub(super) fn receive(&mut self, now: Instant, datagram: &[u8]) {
        self.drive(now, |engine| engine.handle_packet(datagram));
    }

    /// Encrypts bytes of SCTP. Before the handshake is complete nobody calls this.
    pub(super) fn send(&mut self, now: Instant, bytes: &[u8]) {
        self.drive(now, |engine| engine.send_application_data(bytes).map(|_| ()));
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.drive(now, |_| Ok(()));
    }

    /// Says close_notify, if there is a connection to say it on.
    pub(super) fn close(&mut self, now: Instant) {
        self.drive(now, dimpl::Dtls::close);
    }

    /// When [`Dtls::handle_timeout`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.failed)
    }

    /// The next thing that happened.
    pub(super) fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The crate wants to know the time before anything else, and to be emptied after; after an error it still has an alert to send.
    fn drive(&mut self, now: Instant, step: impl FnOnce(&mut dimpl::Dtls) -> Result<(), dimpl::Error>) {
        if self.failed {
            return;
        }
        let result = self.engine.handle_timeout(now).and_then(|()| step(&mut self.engine));
        self.drain();
        if result.is_err() {
            self.fail(Failure::Protocol);
        } else if self.seen == Certificate::Wrong || (self.connected && self.seen == Certificate::None) {
            self.fail(Failure::BadFingerprint);
        } else if self.connected && !self.keyed {
            // Without a profile in common the handshake succeeds all the same, but there will be no keys.
            let _ = self.engine.close();
            self.drain();
            self.fail(Failure::NoSrtpProfile);
        }
    }

    fn fail(&mut self, failure: Failure) {
        if !self.failed {
            self.failed = true;
            self.events.push_back(Event::Failed(failure));
        }
    }

    fn drain(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.engine.poll_output(&mut buffer) {
                dimpl::Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                dimpl::Output::Timeout(at) => {
                    self.deadline = Some(at);
                    break;
                }
                output => {
                    let event = self.note(output);
                    self.events.extend(event);
                }
            }
        }
        self.buffer = buffer;
    }

    fn note(&mut self, output: dimpl::Output<'_>) -> Option<Event> {
        match output {
            dimpl::Output::Packet(bytes) => Some(Event::Packet(bytes.to_vec())),
            dimpl::Output::PeerCert(certificate) => {
                let right = sha256(certificate) == self.expected;
                self.seen = if right { Certificate::Right } else { Certificate::Wrong };
                None
            }
            dimpl::Output::Connected => {
                self.connected = true;
                None
            }
            dimpl::Output::KeyingMaterial(material, profile) => self.keys(&material, profile),
            // Nothing that a stranger sends goes up.
            dimpl::Output::ApplicationData(bytes) => self.keyed.then(|| Event::Data(bytes.to_vec())),
            dimpl::Output::CloseNotify => Some(Event::Closed),
            _ => None,
        }
    }

    fn keys(&mut self, material: &[u8], profile: dimpl::SrtpProfile) -> Option<Event> {
        if self.seen != Certificate::Right {
            return None;
        }
        let keys = Keys::new(known(profile)?, material)?;
        self.keyed = true;
        Some(Event::Connected(Box::new(keys)))
    }
}

fn known(profile: dimpl::SrtpProfile) -> Option<Profile> {
    match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::AesCm128HmacSha1),
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(Profile::AeadAes128Gcm),
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(Profile::AeadAes256Gcm),
        _ => None,
    }
}
