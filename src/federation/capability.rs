//! Tuples: what a client carries from the anchor's conference to its own SFT (`docs/link-protocol.md`, capability).
//!
//! `<anchor's federation domain>/<capability>`; the capability is base64url without padding of
//! `node tag (4 bytes) ‖ HMAC-SHA-256(K, "anchor-sft capability 1" ‖ 0 ‖ domain ‖ 0 ‖ conference ‖ 0 ‖ node tag)[..16]`. Checking one
//! takes no state, so that a tuple outlives the anchor's restart. Capabilities are never printed: whoever has one can ask to join.

use std::fmt;
use std::net::SocketAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::{ConferenceId, Domain, NodeName};

/// Separates this use of the key from every other.
const LABEL: &[u8] = b"anchor-sft capability 1";
/// Bytes of a node tag.
const TAG_BYTES: usize = 4;
/// Bytes of the truncated HMAC: 128 bits cannot be guessed through a rate-limited link.
const MAC_BYTES: usize = 16;

/// A domain's capability key. Nodes of one domain share it; two are valid while it is rotated.
#[derive(Clone, Eq, PartialEq)]
pub struct Key([u8; 32]);

impl Key {
    /// A key of 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Key {
        Key(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Tells which node of a domain has a conference, without naming it: the first bytes of SHA-256 of its name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct NodeTag([u8; TAG_BYTES]);

impl NodeTag {
    /// The tag of a node.
    #[must_use]
    pub fn of(node: &NodeName) -> NodeTag {
        let hash = digest::digest(&digest::SHA256, node.as_str().as_bytes());
        let tag = hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
        NodeTag(*tag)
    }
}

/// A tuple as a client brought it; nothing about it is proven.
#[derive(Clone, Eq, PartialEq)]
pub struct Tuple {
    /// The anchor's domain.
    pub domain: Domain,
    /// What opens the conference there.
    pub capability: String,
}

/// Why a text is no tuple of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadTuple {
    /// The incumbent's form, `ip:port/cid`.
    #[error("the tuple is of the legacy form")]
    Legacy,
    /// Any other form.
    #[error("the tuple is malformed")]
    Malformed,
}

impl Tuple {
    /// Takes a tuple apart.
    ///
    /// # Errors
    /// [`BadTuple`] says which other form it has.
    pub fn parse(text: &str) -> Result<Tuple, BadTuple> {
        let (domain, capability) = text.split_once('/').unwrap_or((text, ""));
        if domain.parse::<SocketAddr>().is_ok() {
            return Err(BadTuple::Legacy);
        }
        let domain = Domain::parse(domain).map_err(|_| BadTuple::Malformed)?;
        decode(capability).ok_or(BadTuple::Malformed)?;
        Ok(Tuple {
            domain,
            capability: capability.to_owned(),
        })
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tuple({}/…)", self.domain)
    }
}

/// Makes the whole tuple for a conference that is anchored at this node of `domain`.
#[must_use]
pub fn issue(key: &Key, domain: &Domain, conference: &ConferenceId, node: NodeTag) -> String {
    let mac = authenticator(key, domain, conference, node);
    let short = mac.as_ref().iter().take(MAC_BYTES);
    let bytes: Vec<u8> = node.0.iter().chain(short).copied().collect();
    format!("{domain}/{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether one of `keys` issued the capability for exactly this conference and domain. Takes the same time whatever it finds.
#[must_use]
pub fn verify(keys: &[Key], domain: &Domain, conference: &ConferenceId, capability: &str) -> bool {
    let Some((node, given)) = decode(capability) else {
        return false;
    };
    let fits = |key: &Key| {
        let mac = authenticator(key, domain, conference, node);
        let expected = mac.as_ref().first_chunk::<MAC_BYTES>();
        expected.is_some_and(|expected| verify_slices_are_equal(expected, &given).is_ok())
    };
    // No early end: every key is tried.
    keys.iter().filter(|key| fits(key)).count() > 0
}

/// Which node a capability says it was issued by; `None` where it is malformed. Unproven until [`verify`] holds.
#[must_use]
pub fn node_tag(capability: &str) -> Option<NodeTag> {
    decode(capability).map(|(node, _)| node)
}

fn decode(capability: &str) -> Option<(NodeTag, [u8; MAC_BYTES])> {
    let bytes: [u8; TAG_BYTES + MAC_BYTES] = URL_SAFE_NO_PAD.decode(capability).ok()?.try_into().ok()?;
    let (tag, mac) = bytes.split_first_chunk()?;
    Some((NodeTag(*tag), mac.try_into().ok()?))
}

fn authenticator(key: &Key, domain: &Domain, conference: &ConferenceId, node: NodeTag) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key.0));
    // Neither name can hold a zero byte, so that no two inputs read the same.
    for part in [LABEL, domain.as_str().as_bytes(), conference.as_str().as_bytes()] {
        context.update(part);
        context.update(&[0]);
    }
    context.update(&node.0);
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conference(text: &str) -> ConferenceId {
        ConferenceId::parse(text).unwrap()
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn tag(node: &str) -> NodeTag {
        NodeTag::of(&NodeName::parse(node).unwrap())
    }

    /// The test vectors of `docs/link-protocol.md`, made with another implementation of HMAC.
    #[test]
    fn tuples_are_as_specified() {
        let counting = std::array::from_fn(|i| u8::try_from(i).unwrap());
        for (key, name, id, node, expected) in VECTORS.map(|(key, name, id, node, expected)| {
            let key = if key == 0 { [0; 32] } else { counting };
            (Key::new(key), name, id, node, expected)
        }) {
            let tuple = issue(&key, &domain(name), &conference(id), tag(node));
            assert_eq!(tuple, expected);
            let parsed = Tuple::parse(&tuple).unwrap();
            assert_eq!(
                (parsed.domain.as_str(), node_tag(&parsed.capability)),
                (name, Some(tag(node)))
            );
            assert!(verify(&[key], &parsed.domain, &conference(id), &parsed.capability));
        }
    }

    const VECTORS: [(u8, &str, &str, &str, &str); 3] = [
        (
            0,
            "a.example",
            "conference-1",
            "sft-0",
            "a.example/EPhgNqff4yxc9xBMSpuD58GQKRc",
        ),
        (
            1,
            "a.example",
            "conference-1",
            "sft-0",
            "a.example/EPhgNuj6EEpNpvU3YOWgy_kfwqI",
        ),
        (
            1,
            "xn--bcher-kva.example",
            "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9",
            "sft-1",
            "xn--bcher-kva.example/HxGcN3urPlZDagP7Wg2v4Y1Rs9U",
        ),
    ];

    #[test]
    fn a_capability_opens_exactly_one_conference_of_one_domain_with_one_key() {
        let (old, new) = (Key::new([1; 32]), Key::new([2; 32]));
        let (only_old, both) = ([old.clone()], [new.clone(), old.clone()]);
        let (here, id) = (domain("a.example"), conference("c1"));
        let tuple = Tuple::parse(&issue(&old, &here, &id, tag("sft-0"))).unwrap();
        let capability = tuple.capability.as_str();
        let mut bent = capability.to_owned();
        let other = if bent.ends_with('A') { "E" } else { "A" };
        bent.replace_range(26.., other);
        let moved = capability.replacen(
            &capability[..2],
            if capability.starts_with("AA") { "BB" } else { "AA" },
            1,
        );
        for (keys, at, conference_id, given, expected, why) in [
            (&only_old[..], &here, "c1", capability, true, "as issued"),
            (&both, &here, "c1", capability, true, "the older key, while rotating"),
            (&[new], &here, "c1", capability, false, "a key that never issued it"),
            (&[], &here, "c1", capability, false, "no key"),
            (&only_old, &here, "c2", capability, false, "another conference"),
            (
                &only_old,
                &domain("b.example"),
                "c1",
                capability,
                false,
                "another domain",
            ),
            (&only_old, &here, "c1", &bent, false, "another last byte"),
            (&only_old, &here, "c1", &moved, false, "another node"),
            (&only_old, &here, "c1", "", false, "nothing"),
            (&only_old, &here, "c1", &capability[..24], false, "a part of it"),
        ] {
            assert_eq!(verify(keys, at, &conference(conference_id), given), expected, "{why}");
        }
    }

    #[test]
    fn tuples_of_other_forms_are_told_apart() {
        for (text, expected) in [
            ("203.0.113.9:9191/17455", BadTuple::Legacy),
            ("203.0.113.9:9191", BadTuple::Legacy),
            ("[2001:db8::9]:9191/17455", BadTuple::Legacy),
            ("a.example", BadTuple::Malformed),
            ("a.example/", BadTuple::Malformed),
            ("a.example/17455", BadTuple::Malformed),
            ("203.0.113.9/AAAAAAAAAAAAAAAAAAAAAAAAAAA", BadTuple::Malformed),
            ("a.example:9191/AAAAAAAAAAAAAAAAAAAAAAAAAAA", BadTuple::Malformed),
            ("a.example/AAAAAAAAAAAAAAAAAAAAAAAAAAA=", BadTuple::Malformed),
            ("a.example/AAAAAAAAAAAAAAAAAAAAAAAAAAA/x", BadTuple::Malformed),
            ("/AAAAAAAAAAAAAAAAAAAAAAAAAAA", BadTuple::Malformed),
            ("", BadTuple::Malformed),
        ] {
            assert_eq!(Tuple::parse(text), Err(expected), "{text}");
        }
        assert!(
            Tuple::parse("A.Example/AAAAAAAAAAAAAAAAAAAAAAAAAAA")
                .is_ok_and(|tuple| tuple.domain == domain("a.example"))
        );
    }

    #[test]
    fn neither_key_nor_capability_is_printed() {
        let key = Key::new([0x5a; 32]);
        let tuple = Tuple::parse(&issue(&key, &domain("a.example"), &conference("c1"), tag("sft-0"))).unwrap();
        assert_eq!(format!("{key:?} {tuple:?}"), "Key(…) Tuple(a.example/…)");
    }
}
