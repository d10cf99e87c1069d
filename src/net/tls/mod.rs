//! TLS 1.3 between SFTs: both sides show a certificate, and our own rules decide what it proves (`docs/link-protocol.md`, names and trust).
//!
//! A configuration is made for each connection: that costs a few reference counts, and gives every handshake its own [`Verdict`] and
//! the allow list of the moment. There is no resumption, no ticket and no 0-RTT, because each of them would skip the verifier.
//! Start at [`verify`] for the rules; [`files`] reads certificates and keys.

pub mod files;
mod verifier;
pub mod verify;

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::federation::allow::{AllowList, Peer};
use crate::ids::Domain;
use crate::net::tls::verifier::{Accepting, Dialling};
use crate::proto::link::message::{ALPN, Code};

/// A certificate that was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Why.
    pub code: Code,
    /// The configured peer whose name it claimed; proven is nothing. `None`: nobody's, or several.
    pub claimed: Option<Domain>,
}

/// Where a handshake leaves its refusal: the peer learns an alert that is always the same, our own side learns why.
#[derive(Clone, Debug, Default)]
pub struct Verdict(Arc<OnceLock<Refused>>);

impl Verdict {
    /// The refusal; `None`: no certificate was refused (so far).
    #[must_use]
    pub fn refusal(&self) -> Option<&Refused> {
        self.0.get()
    }

    fn refuse(&self, refused: Refused) {
        // A handshake ends with its first refusal, so that there is no second to keep.
        let _ = self.0.set(refused);
    }
}

/// Our own certificate and key, and the cryptography that goes with them.
#[derive(Clone)]
pub struct Identity {
    key: Arc<SingleCertAndKey>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Identity {
    /// From a chain (leaf first) and the leaf's key.
    ///
    /// # Errors
    /// The key is of no usable kind, or not the leaf's.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Identity, rustls::Error> {
        let provider = provider();
        let signing = provider.key_provider.load_private_key(key)?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match()?;
        Ok(Identity {
            key: Arc::new(SingleCertAndKey::from(certified)),
            provider: Arc::new(provider),
        })
    }

    /// What a peer that dials us meets.
    ///
    /// # Errors
    /// The provider has no TLS 1.3.
    pub fn accepting(&self, allow: Arc<AllowList>, verdict: Verdict) -> Result<rustls::ServerConfig, rustls::Error> {
        let verifier = Accepting::new(allow, verdict, &self.provider);
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(&self.key) as _);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(config)
    }

    /// What we dial one peer with.
    ///
    /// # Errors
    /// The provider has no TLS 1.3.
    pub fn dialling(&self, peer: Peer, verdict: Verdict) -> Result<rustls::ClientConfig, rustls::Error> {
        let verifier = Dialling::new(peer, verdict, &self.provider);
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&self.key) as _);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        // A peer has one certificate; the path between us need not read whom we call.
        config.enable_sni = false;
        Ok(config)
    }
}

/// The post-quantum hybrid first; X25519 for peers that lack it.
fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
        ..default_provider()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use rustls::{ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};
    use rustls_pki_types::PrivatePkcs8KeyDer;

    use super::*;
    use crate::federation::allow::Trust;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    /// A self-signed certificate is its own authority.
    fn lone(name: &str) -> (Identity, Peer) {
        let key = KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let peer = Peer::new(domain(name), Trust::roots(vec![certificate.clone()]));
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (Identity::new(vec![certificate], key.into()).unwrap(), peer)
    }

    fn shake(client: &mut ClientConnection, server: &mut ServerConnection) {
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().unwrap();
            wire.clear();
        }
    }

    #[test]
    fn every_handshake_is_full_post_quantum_tls_13_with_our_protocol() {
        let ((a, peer_a), (b, peer_b)) = (lone("a.example"), lone("b.example"));
        let accepting = Arc::new(
            b.accepting(Arc::new(AllowList::new(vec![peer_a])), Verdict::default())
                .unwrap(),
        );
        let dialling = Arc::new(a.dialling(peer_b, Verdict::default()).unwrap());
        // The second could resume the first if anything had been kept of it.
        for _ in 0..2 {
            let name = "b.example".try_into().unwrap();
            let mut client = ClientConnection::new(Arc::clone(&dialling), name).unwrap();
            let mut server = ServerConnection::new(Arc::clone(&accepting)).unwrap();
            shake(&mut client, &mut server);
            assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
            let group = server.negotiated_key_exchange_group().map(|group| group.name());
            assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
            assert_eq!(server.alpn_protocol(), Some(ALPN));
            assert_eq!(server.server_name(), None);
            assert_eq!(client.tls13_tickets_received(), 0);
        }
    }

    #[test]
    fn a_key_that_is_not_the_certificates_makes_no_identity() {
        let key = PrivatePkcs8KeyDer::from(KeyPair::generate().unwrap().serialize_der());
        let other = KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&other).unwrap().der().clone();
        assert!(Identity::new(vec![certificate], key.into()).is_err());
        assert!(Identity::new(Vec::new(), PrivatePkcs8KeyDer::from(other.serialize_der()).into()).is_err());
    }
}
