//! A client in memory: ICE (controlling) by hand, DTLS client, SCTP, and SRTP by another implementation than the server's.
//!
//! It knows nothing of the crate under test: it takes what an offer says and trades datagrams. Include it with `#[path]`.
//! Drive it as a session: `receive`, `handle_timeout`, then `poll` until `None`.
#![allow(dead_code, reason = "each includer uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code meets only bytes of our own"
)]
#![allow(missing_docs, reason = "test code")]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::AwsLcRsCrypto;
use rtc_srtp::protection_profile::ProtectionProfile;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, StreamEvent, TransportConfig,
};

pub const UFRAG: &str = "clnt";
pub const PASSWORD: &str = "clientclientclientclient";
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// One client.
pub struct Peer {
    ufrag: String,
    password: String,
    transactions: u64,
    dtls: dimpl::Dtls,
    fingerprint: [u8; 32],
    deadline: Option<Instant>,
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    outbox: VecDeque<Vec<u8>>,
    srtp: Option<Srtp>,
    /// SHA-256 of the certificate that the server showed.
    pub server_fingerprint: Option<[u8; 32]>,
    /// The suite that DTLS settled on.
    pub profile: Option<dimpl::SrtpProfile>,
    /// The label of the channel that the server opened, and its stream.
    pub channel: Option<(String, u16)>,
    /// Texts in order.
    pub texts: Vec<Vec<u8>>,
    /// Success answers to our checks, with the address that they told.
    pub mapped: Vec<SocketAddr>,
    /// Error answers to our checks.
    pub refused: Vec<u16>,
    /// The server said close_notify.
    pub closed: bool,
    /// Our DTLS failed.
    pub failed: bool,
    /// The SCTP packets that went to the server.
    pub packets: Vec<Vec<u8>>,
}

struct Srtp {
    outgoing: Context,
    incoming: Context,
}

impl Peer {
    /// A client that read these in the server's offer.
    pub fn new(now: Instant, ufrag: &str, password: &str) -> Peer {
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let fingerprint = sha256(&certificate.certificate);
        let config = dimpl::Config::builder()
            .flight_start_rto(Duration::from_millis(100))
            .flight_retries(8)
            .build()
            .unwrap();
        let mut dtls = dimpl::Dtls::new_12(Arc::new(config), certificate, now);
        dtls.set_active(true);
        Peer {
            ufrag: ufrag.to_owned(),
            password: password.to_owned(),
            transactions: 0,
            dtls,
            fingerprint,
            deadline: None,
            endpoint: Endpoint::new(Arc::new(EndpointConfig::new()), None),
            association: None,
            outbox: VecDeque::new(),
            srtp: None,
            server_fingerprint: None,
            profile: None,
            channel: None,
            texts: Vec::new(),
            mapped: Vec::new(),
            refused: Vec::new(),
            closed: false,
            failed: false,
            packets: Vec::new(),
        }
    }

    /// For the answer's `a=fingerprint`.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// A connectivity check.
    pub fn check(&mut self, nominate: bool) -> Vec<u8> {
        self.transactions += 1;
        let username = format!("{}:{UFRAG}", self.ufrag);
        let role: &[u8] = &[0x80, 0x2a, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        binding_request(self.transactions, &username, &self.password, role, nominate)
    }

    /// A check by a client that believes it is controlled.
    pub fn controlled_check(&mut self) -> Vec<u8> {
        self.transactions += 1;
        let username = format!("{}:{UFRAG}", self.ufrag);
        binding_request(
            self.transactions,
            &username,
            &self.password,
            &[0x80, 0x29, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
            false,
        )
    }

    /// Sends the ClientHello.
    pub fn start(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    /// Takes a datagram of the server.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        match datagram.first() {
            Some(0..=3) => self.answered(datagram),
            Some(20..=63) => {
                let result = self
                    .dtls
                    .handle_timeout(now)
                    .and_then(|()| self.dtls.handle_packet(datagram));
                self.failed |= result.is_err();
                self.pump(now);
            }
            _ => {}
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.failed {
            return;
        }
        self.failed |= self.dtls.handle_timeout(now).is_err();
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.pump(now);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let sctp = self
            .association
            .as_ref()
            .and_then(|(_, association)| association.poll_timeout());
        [self.deadline.filter(|_| !self.failed), sctp]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next datagram for the server.
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// Sends a message on the server's channel, under any PPID the crate knows.
    pub fn send(&mut self, now: Instant, message: &[u8], ppid: PayloadProtocolIdentifier) {
        let (_, id) = self.channel.as_ref().expect("the channel is open");
        let (_, association) = self.association.as_mut().unwrap();
        association.stream(*id).unwrap().write_with_ppi(message, ppid).unwrap();
        self.pump(now);
    }

    /// Sends a text on the server's channel.
    pub fn send_text(&mut self, now: Instant, text: &str) {
        self.send(now, text.as_bytes(), PayloadProtocolIdentifier::String);
    }

    /// Opens a stream of our own and says something there.
    pub fn send_on(&mut self, now: Instant, stream: u16, message: &[u8]) {
        let (_, association) = self.association.as_mut().unwrap();
        let mut stream = association
            .open_stream(stream, PayloadProtocolIdentifier::String)
            .unwrap();
        stream.write(message).unwrap();
        self.pump(now);
    }

    /// Resets the server's channel, as `RTCDataChannel.close` does.
    pub fn close_channel(&mut self, now: Instant) {
        let (_, id) = self.channel.as_ref().expect("the channel is open");
        let (_, association) = self.association.as_mut().unwrap();
        association.stream(*id).unwrap().close().unwrap();
        self.pump(now);
    }

    /// Says close_notify.
    pub fn close(&mut self, now: Instant) {
        self.dtls.handle_timeout(now).unwrap();
        self.dtls.close().unwrap();
        self.pump(now);
    }

    pub fn protect_rtp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.srtp
            .as_mut()
            .unwrap()
            .outgoing
            .encrypt_rtp(packet)
            .unwrap()
            .to_vec()
    }

    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.srtp
            .as_mut()
            .unwrap()
            .outgoing
            .encrypt_rtcp(packet)
            .unwrap()
            .to_vec()
    }

    pub fn unprotect_rtp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.srtp
            .as_mut()?
            .incoming
            .decrypt_rtp(packet)
            .ok()
            .map(|bytes| bytes.to_vec())
    }

    pub fn unprotect_rtcp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.srtp
            .as_mut()?
            .incoming
            .decrypt_rtcp(packet)
            .ok()
            .map(|bytes| bytes.to_vec())
    }

    fn pump(&mut self, now: Instant) {
        while self.drain_dtls(now) | self.drain_sctp(now) {}
    }

    /// Empties DTLS; true: SCTP has something new.
    fn drain_dtls(&mut self, now: Instant) -> bool {
        let mut buffer = vec![0; 4096];
        let mut busy = false;
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(bytes) => self.outbox.push_back(bytes.to_vec()),
                dimpl::Output::PeerCert(certificate) => self.server_fingerprint = Some(sha256(certificate)),
                dimpl::Output::Connected => busy = true,
                dimpl::Output::KeyingMaterial(material, profile) => {
                    self.profile = Some(profile);
                    self.srtp = Some(Srtp::client(&material, profile));
                }
                dimpl::Output::ApplicationData(bytes) => {
                    let bytes = bytes.to_vec();
                    self.take(now, bytes);
                    busy = true;
                }
                dimpl::Output::CloseNotify => self.closed = true,
                dimpl::Output::Timeout(at) => {
                    self.deadline = Some(at);
                    break;
                }
                _ => {}
            }
        }
        if busy && self.association.is_none() && self.profile.is_some() {
            let transport = TransportConfig::default()
                .with_max_send_message_size(1 << 20)
                .with_max_receive_message_size(1 << 20)
                .with_rto_initial_ms(300)
                .with_rto_min_ms(200);
            let mut config = ClientConfig::new();
            config.transport = Arc::new(transport);
            self.association = Some(self.endpoint.connect(config, NOWHERE).unwrap());
        }
        busy
    }

    fn take(&mut self, now: Instant, bytes: Vec<u8>) {
        let event = self.endpoint.handle(now, NOWHERE, None, None, bytes.into());
        if let (Some((_, DatagramEvent::AssociationEvent(event))), Some((_, association))) =
            (event, &mut self.association)
        {
            association.handle_event(event);
        }
    }

    /// Empties SCTP; true: DTLS has something new.
    fn drain_sctp(&mut self, now: Instant) -> bool {
        let Some((handle, mut association)) = self.association.take() else {
            return false;
        };
        let mut busy = false;
        while let Some(event) = association.poll() {
            if let Event::Stream(StreamEvent::Readable { id }) = event {
                self.read(&mut association, id);
            }
        }
        while let Some(transmit) = association.poll_transmit(now) {
            let Payload::RawEncode(packets) = transmit.payload else {
                continue;
            };
            for packet in packets {
                busy = true;
                self.packets.push(packet.to_vec());
                self.encrypt(&packet);
            }
        }
        self.association = Some((handle, association));
        busy
    }

    /// Sends any bytes in place of an SCTP packet.
    pub fn send_packet(&mut self, now: Instant, packet: &[u8]) {
        self.failed |= self.dtls.handle_timeout(now).is_err();
        self.encrypt(packet);
    }

    /// The queue of the crate is short: it is emptied packet by packet.
    fn encrypt(&mut self, packet: &[u8]) {
        let _ = self.dtls.send_application_data(packet);
        let mut buffer = vec![0; 4096];
        while let dimpl::Output::Packet(bytes) = self.dtls.poll_output(&mut buffer) {
            self.outbox.push_back(bytes.to_vec());
        }
    }

    fn read(&mut self, association: &mut Association, id: u16) {
        while let Ok(Some(chunks)) = association.stream(id).unwrap().read_sctp() {
            let mut bytes = vec![0; chunks.len()];
            chunks.read(&mut bytes).unwrap();
            match chunks.ppi {
                PayloadProtocolIdentifier::Dcep if bytes[0] == 3 => {
                    let label = usize::from(u16::from_be_bytes([bytes[8], bytes[9]]));
                    let label = String::from_utf8(bytes[12..12 + label].to_vec()).unwrap();
                    self.channel = Some((label, id));
                    association
                        .stream(id)
                        .unwrap()
                        .write_with_ppi(&[2], PayloadProtocolIdentifier::Dcep)
                        .unwrap();
                }
                PayloadProtocolIdentifier::StringEmpty => self.texts.push(Vec::new()),
                _ => self.texts.push(bytes),
            }
        }
    }

    fn answered(&mut self, message: &[u8]) {
        assert!(
            is_signed(message, &self.password),
            "the answer is signed with the server's password"
        );
        match (message[0], message[1]) {
            (1, 1) => self.mapped.push(xor_mapped(message)),
            (1, 0x11) => self.refused.push(error_code(message)),
            other => panic!("no answer to a check: {other:?}"),
        }
    }
}

impl Srtp {
    fn client(material: &[u8], profile: dimpl::SrtpProfile) -> Srtp {
        let profile = match profile {
            dimpl::SrtpProfile::AES128_CM_SHA1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            dimpl::SrtpProfile::AEAD_AES_128_GCM => ProtectionProfile::AeadAes128Gcm,
            _ => ProtectionProfile::AeadAes256Gcm,
        };
        let (key, salt) = (profile.key_len(), profile.salt_len());
        let context = |half: usize| {
            let salts = 2 * key + half * salt;
            let (key, salt) = (&material[half * key..][..key], &material[salts..][..salt]);
            Context::new(key, salt, profile, None, None, &AwsLcRsCrypto).unwrap()
        };
        Srtp {
            outgoing: context(0),
            incoming: context(1),
        }
    }
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap()
}

/// A signed binding request (RFC 8445 §7.1): USERNAME, PRIORITY, the role, USE-CANDIDATE, MESSAGE-INTEGRITY, FINGERPRINT.
pub fn binding_request(transaction: u64, username: &str, password: &str, role: &[u8], nominate: bool) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 9, 9, 9, 9];
    message.extend_from_slice(&transaction.to_be_bytes());
    attribute(&mut message, 0x0006, username.as_bytes());
    attribute(&mut message, 0x0024, &[0x6e, 0x7f, 0x1e, 0xff]);
    message.extend_from_slice(role);
    if nominate {
        attribute(&mut message, 0x0025, &[]);
    }
    sign(&mut message, password);
    message
}

/// Appends MESSAGE-INTEGRITY and FINGERPRINT.
pub fn sign(message: &mut Vec<u8>, password: &str) {
    set_length(message, 24);
    let tag = hmac_sha1(password, message);
    attribute(message, 0x0008, &tag);
    set_length(message, 8);
    let crc = crc32(message) ^ 0x5354_554e;
    attribute(message, 0x8028, &crc.to_be_bytes());
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn set_length(message: &mut [u8], more: usize) {
    let length = u16::try_from(message.len() - 20 + more).unwrap();
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

fn hmac_sha1(password: &str, message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    hmac::sign(&key, message).as_ref().to_vec()
}

fn is_signed(message: &[u8], password: &str) -> bool {
    let body = message.len() - 32;
    let mut signed = message[..body].to_vec();
    set_length(&mut signed, 24);
    let crc = crc32(&message[..message.len() - 8]) ^ 0x5354_554e;
    message[body + 4..body + 24] == hmac_sha1(password, &signed) && message.ends_with(&crc.to_be_bytes())
}

fn xor_mapped(message: &[u8]) -> SocketAddr {
    assert_eq!(message[20..22], [0, 0x20]);
    let port = u16::from_be_bytes([message[26] ^ 0x21, message[27] ^ 0x12]);
    let pad = &message[4..20];
    let xored: Vec<u8> = message[28..].iter().zip(pad).map(|(byte, pad)| byte ^ pad).collect();
    match message[25] {
        1 => SocketAddr::from((<[u8; 4]>::try_from(&xored[..4]).unwrap(), port)),
        _ => SocketAddr::from((<[u8; 16]>::try_from(&xored[..16]).unwrap(), port)),
    }
}

fn error_code(message: &[u8]) -> u16 {
    assert_eq!(message[20..22], [0, 9]);
    u16::from(message[26]) * 100 + u16::from(message[27])
}

/// CRC-32 by table-free long division, from the other end than the server's.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(byte.reverse_bits()) << 24;
        for _ in 0..8 {
            crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
        }
    }
    !crc.reverse_bits()
}
