//! Each SRTP suite, and none, with a DTLS client of another make than the server.

use bytes::BytesMut;
use rtc_dtls::config::ConfigBuilder;
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_dtls::crypto_provider::providers::AwsLcRsProvider;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Offered;
use rtc_shared::TransportProtocol;

use super::*;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10_000);

/// Shakes hands with a client that offers these suites; what it settled on, why the session ended, and whether it was told.
fn handshake(offered: &[Offered]) -> (Option<Profile>, Option<Reason>, bool) {
    let mut pair = Pair::new();
    pair.check(true).unwrap();
    let provider = Arc::new(AwsLcRsProvider::new());
    let certificate = Certificate::generate_self_signed(vec!["client".to_owned()], provider.crypto()).unwrap();
    pair.answer_with(peer::sha256(&certificate.certificate[0]));
    let config = ConfigBuilder::default()
        .with_crypto_provider(provider)
        .with_certificates(vec![certificate])
        .with_srtp_protection_profiles(offered.to_vec())
        .with_insecure_skip_verify(true)
        .build(true, None)
        .unwrap();
    let mut client = Endpoint::new(pair.path.remote, TransportProtocol::UDP, None);
    client.connect(pair.now, SERVER, Arc::new(config), None).unwrap();
    let mut told = false;
    while let Some(datagram) = client.poll_transmit() {
        let _ = pair.session.dtls(pair.now, pair.path, &datagram.message);
        pair.collect();
        for datagram in pair.to_peer.drain(..) {
            let events = client
                .read(pair.now, SERVER, None, BytesMut::from(datagram.as_slice()))
                .unwrap_or_default();
            told |= events.iter().any(|event| matches!(event, EndpointEvent::PeerClosed));
        }
    }
    (pair.session.srtp_profile(), pair.ended, told)
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
