//! Each SRTP suite, and none, with a DTLS client of another make than the server's.
//!
//! Apart from the unit tests, because the crates of that client bring comparisons that make `parse()` ambiguous elsewhere.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anchor_sft::session::{Credentials, Identity, Output, Path, Profile, Reason, Remote, Session};
use bytes::BytesMut;
use rtc_dtls::config::ConfigBuilder;
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_dtls::crypto_provider::providers::AwsLcRsProvider;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Offered;
use rtc_shared::TransportProtocol;

#[path = "support/memory_peer.rs"]
mod peer;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000);
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
const PATH: Path = Path {
    remote: CLIENT,
    socket: 0,
    local: None,
};

/// A client, its certificate's SHA-256, and its ClientHello waiting.
fn client(now: Instant, offered: &[Offered]) -> (Endpoint, [u8; 32]) {
    let provider = Arc::new(AwsLcRsProvider::new());
    let certificate = Certificate::generate_self_signed(vec!["client".to_owned()], provider.crypto()).unwrap();
    let fingerprint = peer::sha256(certificate.certificate.first().unwrap());
    let config = ConfigBuilder::default()
        .with_crypto_provider(provider)
        .with_certificates(vec![certificate])
        .with_srtp_protection_profiles(offered.to_vec())
        .with_insecure_skip_verify(true)
        .build(true, None)
        .unwrap();
    let mut client = Endpoint::new(CLIENT, TransportProtocol::UDP, None);
    client.connect(now, SERVER, Arc::new(config), None).unwrap();
    (client, fingerprint)
}

fn session(now: Instant, fingerprint: [u8; 32]) -> Session {
    let credentials = Credentials {
        ufrag: "server00".into(),
        password: "p".repeat(24),
    };
    let check = peer::binding_request(1, "server00:clnt", &credentials.password, &[], true);
    let mut session = Session::new(now, Arc::new(Identity::generate().unwrap()), credentials);
    session.stun(now, PATH, &check).unwrap();
    while session.poll().is_some() {}
    session.answer(
        now,
        Remote {
            ufrag: "clnt".into(),
            password: "q".repeat(24),
            fingerprint,
        },
    );
    session
}

/// Shakes hands with a client that offers these suites; what it settled on, why the session ended, and whether it was told.
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as the beginning of simulated time"
)]
fn handshake(offered: &[Offered]) -> (Option<Profile>, Option<Reason>, bool) {
    let now = Instant::now();
    let (mut client, fingerprint) = client(now, offered);
    let mut session = session(now, fingerprint);
    let (mut ended, mut told) = (None, false);
    while let Some(datagram) = client.poll_transmit() {
        let _ = session.dtls(now, PATH, &datagram.message);
        while let Some(output) = session.poll() {
            match output {
                Output::Transmit { bytes, .. } => {
                    let events = client
                        .read(now, SERVER, None, BytesMut::from(bytes.as_slice()))
                        .unwrap_or_default();
                    told |= events.iter().any(|event| matches!(event, EndpointEvent::PeerClosed));
                }
                Output::Ended(reason) => ended = Some(reason),
                Output::Text(_) | Output::Opened => {}
            }
        }
    }
    (session.srtp_profile(), ended, told)
}

#[test]
fn the_dearest_suite_is_taken_only_where_nothing_else_is_offered() {
    use Offered::{
        Srtp_Aead_Aes_128_Gcm, Srtp_Aead_Aes_256_Gcm, Srtp_Aes128_Cm_Hmac_Sha1_32, Srtp_Aes128_Cm_Hmac_Sha1_80,
    };
    for (offered, expected) in [
        (&[Srtp_Aes128_Cm_Hmac_Sha1_80][..], Profile::AesCm128HmacSha1),
        (
            &[Srtp_Aes128_Cm_Hmac_Sha1_80, Srtp_Aead_Aes_128_Gcm],
            Profile::AeadAes128Gcm,
        ),
        (
            &[
                Srtp_Aes128_Cm_Hmac_Sha1_80,
                Srtp_Aead_Aes_256_Gcm,
                Srtp_Aead_Aes_128_Gcm,
            ],
            Profile::AeadAes256Gcm,
        ),
        (
            &[Srtp_Aes128_Cm_Hmac_Sha1_32, Srtp_Aead_Aes_128_Gcm],
            Profile::AeadAes128Gcm,
        ),
    ] {
        assert_eq!(handshake(offered), (Some(expected), None, false), "{offered:?}");
    }
}

#[test]
fn a_client_without_a_common_suite_is_told_and_ends() {
    assert_eq!(handshake(&[]), (None, Some(Reason::NoSrtpProfile), true));
}
