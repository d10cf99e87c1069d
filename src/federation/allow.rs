//! Which domains may link with us, and what proves that a peer is one of them.
//!
//! Pure: certificates are bytes here, and verifying them is `net::tls`'s part. A certificate's names are a *claim*; the claim picks one
//! configured peer, and only that peer's own trust decides about it. There is no trust that serves two peers.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;

use crate::ids::Domain;
use crate::proto::link::message::Code;
use crate::units::WallTime;

/// The SHA-256 of a DER-encoded `SubjectPublicKeyInfo` (RFC 7469 §2.4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Pin(pub [u8; 32]);

/// A text is not `sha256/` and 32 bytes in base64.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a pin is not sha256/ followed by 32 bytes in base64")]
pub struct BadPin;

impl Pin {
    /// Reads the form that `cert show` prints.
    ///
    /// # Errors
    /// [`BadPin`] where it is of another form.
    pub fn parse(text: &str) -> Result<Pin, BadPin> {
        let encoded = text.strip_prefix("sha256/").ok_or(BadPin)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| BadPin)?;
        bytes.try_into().map(Pin).map_err(|_| BadPin)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

/// What a peer's certificate must lead to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trust {
    /// One of these authorities; never empty.
    Roots(Vec<CertificateDer<'static>>),
    /// One of these keys, as the leaf's own or as that of an authority in the chain that the peer shows; never empty.
    Pins(Vec<Pin>),
    /// Nothing does: the trust file was empty or unreadable. The peer stays listed and is refused.
    Nobody,
}

impl Trust {
    /// These authorities, or nobody where there are none.
    #[must_use]
    pub fn roots(roots: Vec<CertificateDer<'static>>) -> Trust {
        if roots.is_empty() {
            Trust::Nobody
        } else {
            Trust::Roots(roots)
        }
    }

    /// These keys, or nobody where there are none.
    #[must_use]
    pub fn pins(pins: Vec<Pin>) -> Trust {
        if pins.is_empty() {
            Trust::Nobody
        } else {
            Trust::Pins(pins)
        }
    }
}

/// A configured peer.
#[derive(Clone, Eq, PartialEq)]
pub struct Peer {
    /// Its federation domain.
    pub domain: Domain,
    /// The name in its certificate, where that is not the domain; set by the administrator, never taken from DNS.
    pub certificate_name: Option<Domain>,
    /// What proves that it is the peer.
    pub trust: Trust,
    /// `host:port` to dial; `None`: we cannot dial it (it may dial us).
    pub address: Option<String>,
    /// The administrator suspended it.
    pub suspended: bool,
    /// When the agreement with it ends; `None`: not by itself.
    pub expires: Option<WallTime>,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("domain", &self.domain)
            .field("suspended", &self.suspended)
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// A peer that is known by its domain's name and cannot be dialled.
    #[must_use]
    pub fn new(domain: Domain, trust: Trust) -> Peer {
        Peer {
            domain,
            certificate_name: None,
            trust,
            address: None,
            suspended: false,
            expires: None,
        }
    }

    /// The one DNS name that its certificate must carry.
    #[must_use]
    pub fn name(&self) -> &Domain {
        self.certificate_name.as_ref().unwrap_or(&self.domain)
    }

    /// Whether the administrator lets it in, whatever its certificate proves.
    ///
    /// # Errors
    /// [`Code::Suspended`], or [`Code::Policy`] once the agreement ended.
    pub fn admitted(&self, at: WallTime) -> Result<(), Code> {
        if self.suspended {
            return Err(Code::Suspended);
        }
        if self.expires.is_some_and(|expires| expires <= at) {
            return Err(Code::Policy);
        }
        Ok(())
    }
}

/// Everyone who may link with us. Empty: nobody.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowList {
    peers: Vec<Peer>,
}

impl AllowList {
    /// These peers and no other.
    #[must_use]
    pub fn new(peers: Vec<Peer>) -> AllowList {
        AllowList { peers }
    }

    /// All of them, in the order of the configuration.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    /// The peer of that domain.
    #[must_use]
    pub fn peer(&self, domain: &Domain) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.domain == *domain)
    }

    /// The one peer whose name is among those of a certificate. Nothing is proven yet.
    ///
    /// # Errors
    /// [`Code::Unlisted`] where there is none, [`Code::Ambiguous`] where there are several.
    pub fn claim(&self, names: &[Domain]) -> Result<&Peer, Code> {
        let mut claimed = self.peers.iter().filter(|peer| names.contains(peer.name()));
        let peer = claimed.next().ok_or(Code::Unlisted)?;
        match claimed.next() {
            None => Ok(peer),
            Some(_) => Err(Code::Ambiguous),
        }
    }
}

/// The name as a certificate carries it, in the one form in which names are compared. `None`: nothing that could name a peer
/// (a wildcard, an address, anything but ASCII; mapping other characters would let one name pass for another).
#[must_use]
pub fn certified_name(text: &str) -> Option<Domain> {
    text.is_ascii().then(|| Domain::parse(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn named(peer: &str, certificate_name: Option<&str>) -> Peer {
        Peer {
            certificate_name: certificate_name.map(domain),
            ..Peer::new(domain(peer), Trust::Nobody)
        }
    }

    #[test]
    fn a_claim_is_one_configured_peer_with_exactly_that_name() {
        let list = AllowList::new(vec![
            named("b.example", None),
            named("c.example", Some("sft.c.example")),
            named("d.example", None),
            named("e.example", Some("b.example.")),
        ]);
        for (names, expected, why) in [
            (&["d.example"][..], Ok("d.example"), "its domain"),
            (&["sft.c.example"], Ok("c.example"), "the name set for it"),
            (
                &["c.example"],
                Err(Code::Unlisted),
                "the other name replaced its domain",
            ),
            (
                &["x.example", "d.example"],
                Ok("d.example"),
                "names of nobody do no harm",
            ),
            (&["d.example", "D.example."], Ok("d.example"), "the same name twice"),
            (&["sub.d.example"], Err(Code::Unlisted), "a name below it"),
            (&["example"], Err(Code::Unlisted), "a name above it"),
            (&[], Err(Code::Unlisted), "no name"),
            (&["d.example", "sft.c.example"], Err(Code::Ambiguous), "names of two"),
            (&["b.example"], Err(Code::Ambiguous), "one name for two"),
        ] {
            let names: Vec<Domain> = names.iter().map(|name| domain(name)).collect();
            let claimed = list.claim(&names).map(|peer| peer.domain.as_str());
            assert_eq!(claimed, expected, "{why}");
        }
        assert_eq!(AllowList::default().claim(&[domain("d.example")]), Err(Code::Unlisted));
    }

    #[test]
    fn names_in_certificates_are_compared_in_one_form() {
        for (text, expected) in [
            ("B.Example", Some("b.example")),
            ("b.example.", Some("b.example")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("*.example", None),
            ("b.example\0.evil.example", None),
            ("bücher.example", None),
            ("\u{ff42}.example", None),
            ("192.0.2.1", None),
            ("", None),
        ] {
            assert_eq!(certified_name(text).as_ref().map(Domain::as_str), expected, "{text:?}");
        }
    }

    #[test]
    fn nothing_to_trust_means_nobody() {
        assert_eq!(Trust::roots(Vec::new()), Trust::Nobody);
        assert_eq!(Trust::pins(Vec::new()), Trust::Nobody);
    }

    #[test]
    fn a_suspended_peer_and_one_whose_time_is_over_stay_out() {
        let mut peer = named("b.example", None);
        peer.expires = Some(WallTime(1000));
        assert_eq!(peer.admitted(WallTime(999)), Ok(()));
        assert_eq!(peer.admitted(WallTime(1000)), Err(Code::Policy));
        peer.suspended = true;
        assert_eq!(peer.admitted(WallTime(999)), Err(Code::Suspended));
    }

    #[test]
    fn a_pin_reads_what_it_prints() {
        let pin = Pin([7; 32]);
        assert_eq!(pin.to_string(), "sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert_eq!(Pin::parse(&pin.to_string()), Ok(pin));
        for bad in [
            "",
            "sha256/",
            "sha256/AAAA",
            "sha1/BwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            "BwcH",
        ] {
            assert_eq!(Pin::parse(bad), Err(BadPin), "{bad}");
        }
    }

    #[test]
    fn a_peer_prints_no_address() {
        let mut peer = named("b.example", None);
        peer.address = Some("192.0.2.7:9191".into());
        assert!(!format!("{peer:?}").contains("192"));
    }
}
