//! Dials as anyone may, with quinn alone, and tells what the dialler learns.

use std::sync::Arc;
use std::time::Duration;

use anchor_sft::federation::allow::Peer;
use anchor_sft::net::tls::{Identity, Verdict};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError, Endpoint, TransportConfig};
use rustls::client::ResolvesClientCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::time::timeout;

use super::{Authority, PATIENCE, Sft, domain};

/// What a dialler shows: our own code's choice, or something that only an attacker does.
pub enum Shown {
    Identity(Identity),
    Nothing,
    /// A public chain with a key that is not its own.
    Stolen(CertifiedKey),
}

/// What everyone learns who showed a certificate: the alert `access_denied` (RFC 8446 §6.2), and one text.
pub fn alert() -> (u64, String) {
    let text = "invalid peer certificate: ApplicationVerificationFailure";
    (0x131, text.into())
}

/// Dials and returns the QUIC error code and text that it ended with.
pub async fn knock(b: &Sft, ca_b: &Authority, shown: Shown) -> (u64, String) {
    dial(b, ca_b, shown, TransportConfig::default()).await
}

/// The same for a dialler that would send its first packet a second time only when the test has long failed (RFC 9002 §6.2.2).
pub async fn knock_once(b: &Sft, ca_b: &Authority, shown: Shown) -> (u64, String) {
    let mut transport = TransportConfig::default();
    transport.initial_rtt(Duration::from_secs(60));
    let dialled = timeout(PATIENCE, dial(b, ca_b, shown, transport));
    dialled.await.expect("a first packet was ignored")
}

async fn dial(b: &Sft, ca_b: &Authority, shown: Shown, transport: TransportConfig) -> (u64, String) {
    let tls = tls(Peer::new(domain("b.example"), ca_b.trust()), shown);
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    config.transport_config(Arc::new(transport));
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

fn tls(peer: Peer, shown: Shown) -> rustls::ClientConfig {
    let resolver: Arc<dyn ResolvesClientCert> = match shown {
        Shown::Identity(identity) => return identity.dialling(peer, Verdict::default()).unwrap(),
        Shown::Nothing => Arc::new(NoCertificate),
        Shown::Stolen(stolen) => Arc::new(SingleCertAndKey::from(stolen)),
    };
    let any = Authority::new().identity("x.example");
    let mut config = any.dialling(peer, Verdict::default()).unwrap();
    config.client_auth_cert_resolver = resolver;
    config
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
