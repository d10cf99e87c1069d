//! What the tests of links have in common: authorities, certificates of every kind, and SFTs without anything behind their links.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot prepare must fail")]

pub mod knock;

use std::sync::Arc;
use std::time::Duration;

use anchor_sft::federation::allow::{AllowList, Peer, Trust};
use anchor_sft::federation::{Command, Event};
use anchor_sft::ids::{Domain, LinkId};
use anchor_sft::net::quic::{Links, Outlet};
use anchor_sft::net::tls::{Identity, Refused};
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Nothing on loopback takes that long; what does, hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// Someone who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // All authorities have the same name, so that only the key tells them apart.
        params.distinguished_name.push(DnType::CommonName, "CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub fn trust(&self) -> Trust {
        Trust::roots(vec![self.certificate.clone()])
    }

    /// A certificate that is as it should be.
    pub fn identity(&self, name: &str) -> Identity {
        self.sign(Leaf::named(name))
    }

    pub fn sign(&self, leaf: Leaf) -> Identity {
        let (chain, key) = self.sign_raw(leaf);
        Identity::new(chain, key).unwrap()
    }

    /// The chain that an honest owner shows, with a key of someone who saw it.
    pub fn stolen(&self, leaf: Leaf) -> CertifiedKey {
        let (chain, _) = self.sign_raw(leaf.clone());
        let (_, key) = self.sign_raw(leaf);
        CertifiedKey::new(chain, any_supported_type(&key).unwrap())
    }

    fn sign_raw(&self, leaf: Leaf) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.params().signed_by(&key, &self.issuer).unwrap();
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        (chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

/// What is in a certificate.
#[derive(Clone)]
pub struct Leaf {
    pub names: Vec<SanType>,
    pub common_name: String,
    /// Days from now.
    pub from: i64,
    /// Days from now.
    pub to: i64,
    pub usages: Vec<ExtendedKeyUsagePurpose>,
}

impl Leaf {
    pub fn named(name: &str) -> Leaf {
        Leaf::with_names(&[name])
    }

    pub fn with_names(names: &[&str]) -> Leaf {
        let dns = |name: &&str| SanType::DnsName((*name).try_into().unwrap());
        Leaf {
            names: names.iter().map(dns).collect(),
            common_name: "leaf".into(),
            from: -1,
            to: 1,
            usages: vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        }
    }

    pub fn common_name(name: &str) -> Leaf {
        Leaf {
            common_name: name.into(),
            ..Leaf::with_names(&[])
        }
    }

    pub fn address() -> Leaf {
        Leaf {
            names: vec![SanType::IpAddress("127.0.0.1".parse().unwrap())],
            ..Leaf::with_names(&[])
        }
    }

    pub fn uri(uri: &str) -> Leaf {
        Leaf {
            names: vec![SanType::URI(uri.try_into().unwrap())],
            ..Leaf::with_names(&[])
        }
    }

    pub fn dated(self, from: i64, to: i64) -> Leaf {
        Leaf { from, to, ..self }
    }

    pub fn used_for(self, usages: &[ExtendedKeyUsagePurpose]) -> Leaf {
        Leaf {
            usages: usages.to_vec(),
            ..self
        }
    }

    fn params(self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.subject_alt_names = self.names;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.common_name);
        params.extended_key_usages = self.usages;
        params.not_before = OffsetDateTime::now_utc() + time::Duration::days(self.from);
        params.not_after = OffsetDateTime::now_utc() + time::Duration::days(self.to);
        params
    }
}

/// The links of an SFT that has nothing else.
pub struct Sft {
    pub links: Links,
    pub events: mpsc::Receiver<Event>,
    pub media: mpsc::Receiver<(LinkId, Bytes)>,
    pub refused: mpsc::UnboundedReceiver<Refused>,
}

impl Sft {
    pub fn start(identity: Identity, allow: Vec<Peer>) -> Sft {
        let (event_sender, events) = mpsc::channel(4);
        let (media_sender, media) = mpsc::channel(64);
        let (refused_sender, refused) = mpsc::unbounded_channel();
        let outlet = Outlet {
            events: event_sender,
            media: Arc::new(move |link, datagram| media_sender.try_send((link, datagram)).is_ok()),
            refused: Arc::new(move |refused| refused_sender.send(refused).unwrap_or_default()),
        };
        let listen = ["127.0.0.1:0".parse().unwrap()];
        Sft {
            links: Links::start(&listen, identity, AllowList::new(allow), outlet).unwrap(),
            events,
            media,
            refused,
        }
    }

    pub fn address(&self) -> std::net::SocketAddr {
        *self.links.local_addresses().first().unwrap()
    }

    pub async fn tell(&self, command: Command) {
        self.links.commands().send(command).await.unwrap();
    }

    /// The next event, except changes of the size of datagrams: those come when discovery gets there.
    pub async fn event(&mut self) -> Event {
        loop {
            match self.any_event().await {
                Event::DatagramSize { .. } => {}
                event => return event,
            }
        }
    }

    pub async fn any_event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await;
        event.expect("no event came").unwrap()
    }

    pub async fn refusal(&mut self) -> Refused {
        timeout(PATIENCE, self.refused.recv())
            .await
            .expect("nobody was refused")
            .unwrap()
    }

    pub async fn up(&mut self) -> LinkId {
        match self.event().await {
            Event::Up { link, .. } => link,
            other => panic!("not up: {other:?}"),
        }
    }
}

/// A peer that is dialled at an address.
pub fn at(peer: Peer, address: std::net::SocketAddr) -> Peer {
    Peer {
        address: Some(address.to_string()),
        ..peer
    }
}

/// A peer whose certificate has another name than its domain.
pub fn named(peer: Peer, name: &str) -> Peer {
    Peer {
        certificate_name: Some(domain(name)),
        ..peer
    }
}

/// Two SFTs, `a.example` and `b.example`, that list each other; the first can dial the second.
pub fn pair() -> (Sft, Sft) {
    let (ca_a, ca_b) = (Authority::new(), Authority::new());
    let b = Sft::start(
        ca_b.identity("b.example"),
        vec![Peer::new(domain("a.example"), ca_a.trust())],
    );
    let peer_b = at(Peer::new(domain("b.example"), ca_b.trust()), b.address());
    (Sft::start(ca_a.identity("a.example"), vec![peer_b]), b)
}
