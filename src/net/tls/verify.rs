//! What a chain of certificates proves about a peer.
//!
//! The names of the leaf are a claim, the claim picks one configured peer, and that peer's trust alone decides: an authority of one
//! domain can never vouch for another. Only DNS names among the subject alternative names count, compared exactly; common names,
//! wildcards, addresses and URIs never do.

use std::time::Duration;

use aws_lc_rs::digest;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext, anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::federation::Side;
use crate::federation::allow::{AllowList, Peer, Pin, Trust, certified_name};
use crate::ids::Domain;
use crate::limits::{MAX_CERTIFICATE_NAMES, MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES};
use crate::net::tls::Refused;
use crate::proto::link::message::Code;
use crate::units::WallTime;

/// Which configured peer someone who dialled us is, by a chain with the leaf first.
///
/// # Errors
/// Why he is none, and whom he claimed to be.
pub fn dialler(chain: &[CertificateDer<'_>], allow: &AllowList, at: WallTime) -> Result<Domain, Refused> {
    let unknown = |code| Refused { code, claimed: None };
    let names = names(chain).map_err(unknown)?;
    let claimed = allow.claim(&names).map_err(unknown)?;
    match peer(chain, claimed, Side::Accepted, at) {
        Ok(()) => Ok(claimed.domain.clone()),
        Err(code) => Err(Refused {
            code,
            claimed: Some(claimed.domain.clone()),
        }),
    }
}

/// Whether a chain with the leaf first proves that someone is this peer, and the administrator lets that peer in. `side` is ours.
///
/// # Errors
/// [`Code::Untrusted`], [`Code::Expired`], [`Code::WrongName`], [`Code::Suspended`], [`Code::Policy`] or [`Code::Limit`].
pub fn peer(chain: &[CertificateDer<'_>], peer: &Peer, side: Side, at: WallTime) -> Result<(), Code> {
    let names = names(chain)?;
    let (leaf, rest) = chain.split_first().ok_or(Code::Untrusted)?;
    match &peer.trust {
        Trust::Nobody => return Err(Code::Untrusted),
        Trust::Roots(roots) => {
            let standing = roots.iter().filter(|root| stands(root, at)).collect::<Vec<_>>();
            if standing.is_empty() {
                return Err(Code::Expired);
            }
            chained(leaf, rest, &standing, side, at)?;
        }
        Trust::Pins(pins) => pinned(leaf, rest, pins, side, at)?,
    }
    if !names.contains(peer.name()) {
        return Err(Code::WrongName);
    }
    peer.admitted(at)
}

/// The DNS names among the leaf's subject alternative names, within bounds.
fn names(chain: &[CertificateDer<'_>]) -> Result<Vec<Domain>, Code> {
    let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
    if chain.len() > MAX_CHAIN_CERTIFICATES || bytes > MAX_CHAIN_BYTES {
        return Err(Code::Limit);
    }
    let leaf = chain.first().ok_or(Code::Untrusted)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| Code::Untrusted)?;
    let names: Vec<&str> = leaf.valid_dns_names().take(MAX_CERTIFICATE_NAMES + 1).collect();
    if names.len() > MAX_CERTIFICATE_NAMES {
        return Err(Code::Limit);
    }
    Ok(names.into_iter().filter_map(certified_name).collect())
}

/// Whether a path leads from the leaf to one of the authorities (RFC 5280 §6, name constraints included).
fn chained(
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    authorities: &[&CertificateDer<'_>],
    side: Side,
    at: WallTime,
) -> Result<(), Code> {
    let anchor = |authority: &&CertificateDer<'_>| anchor_from_trusted_cert(authority).ok().map(|a| a.to_owned());
    let anchors: Vec<TrustAnchor<'static>> = authorities.iter().filter_map(anchor).collect();
    let leaf = EndEntityCert::try_from(leaf).map_err(code)?;
    let time = UnixTime::since_unix_epoch(Duration::from_millis(at.0));
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, rest, time, Purpose(side), None, None)
        .map(|_| ())
        .map_err(code)
}

/// Whether the leaf's own key is pinned, or that of an authority it chains to.
fn pinned(
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    pins: &[Pin],
    side: Side,
    at: WallTime,
) -> Result<(), Code> {
    let is_pinned = |certificate: &X509Certificate<'_>| pins.contains(&pin(certificate));
    let parsed = parse(leaf).ok_or(Code::Untrusted)?;
    if is_pinned(&parsed) {
        // The handshake's signature proves that the peer has this key; nobody needs to vouch for it.
        return lone(&parsed, side, at);
    }
    let authority = |candidate: &&CertificateDer<'_>| parse(candidate).is_some_and(|c| c.is_ca() && is_pinned(&c));
    let authorities: Vec<_> = rest.iter().filter(authority).collect();
    if authorities.is_empty() {
        return Err(Code::Untrusted);
    }
    let standing: Vec<_> = authorities
        .into_iter()
        .filter(|authority| stands(authority, at))
        .collect();
    if standing.is_empty() {
        return Err(Code::Expired);
    }
    chained(leaf, rest, &standing, side, at)
}

/// What a leaf must be that needs no authority.
fn lone(leaf: &X509Certificate<'_>, side: Side, at: WallTime) -> Result<(), Code> {
    if leaf.is_ca() {
        return Err(Code::Untrusted);
    }
    if !within(leaf, at) {
        return Err(Code::Expired);
    }
    let usage = leaf.extended_key_usage().map_err(|_| Code::Untrusted)?;
    let fits = usage.is_none_or(|usage| fits(side, usage.value.server_auth, usage.value.client_auth));
    if fits { Ok(()) } else { Err(Code::Untrusted) }
}

/// The SHA-256 of a certificate's public key, as pins have it.
pub(crate) fn pin(certificate: &X509Certificate<'_>) -> Pin {
    let hash = digest::digest(&digest::SHA256, certificate.public_key().raw);
    Pin(*hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes"))
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty().then_some(parsed)
}

fn within(certificate: &X509Certificate<'_>, at: WallTime) -> bool {
    let validity = certificate.validity();
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&seconds)
}

/// Path validation looks at no dates of an authority, but one whose time is over should vouch for nobody.
fn stands(authority: &CertificateDer<'_>, at: WallTime) -> bool {
    parse(authority).is_some_and(|authority| within(&authority, at))
}

/// Public authorities no longer issue for clients, so that a certificate for servers is good both ways: it is the peer's trust, set
/// by the administrator, that says who it is. One for clients alone never makes a server.
fn fits(side: Side, server: bool, client: bool) -> bool {
    server || (client && side == Side::Accepted)
}

/// The last moment of a certificate's validity, from the epoch on. `None`: it is damaged.
#[must_use]
pub fn not_after(certificate: &CertificateDer<'_>) -> Option<WallTime> {
    let seconds = parse(certificate)?.validity().not_after.timestamp();
    Some(WallTime(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)))
}

/// The extended key usage (RFC 5280 §4.2.1.12) of a peer, where its certificate states any.
struct Purpose(Side);

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            present.push(purpose?.to_decoded_oid());
        }
        let has = |oid: &[usize]| present.iter().any(|purpose| purpose == oid);
        let (server, client) = (has(KeyUsage::SERVER_AUTH_REPR), has(KeyUsage::CLIENT_AUTH_REPR));
        if present.is_empty() || fits(self.0, server, client) {
            return Ok(());
        }
        Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
            required: KeyUsage::server_auth(),
            present,
        }))
    }
}

fn code(error: webpki::Error) -> Code {
    match error {
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Code::Expired,
        _ => Code::Untrusted,
    }
}
