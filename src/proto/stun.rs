//! STUN connectivity checks (RFC 8489, RFC 8445 §7): finding the session, reading a check, writing the answer.
//!
//! Messages are parsed, signed and written by the `is` crate; the HMAC comes from aws-lc-rs. Only what an ICE-lite agent needs.

use std::net::SocketAddr;

use aws_lc_rs::hmac;
use is::stun::{StunMessage, TransId};

/// Bytes of the header.
const HEADER: usize = 20;
/// Bytes of the FINGERPRINT attribute.
const FINGERPRINT: usize = 8;
/// The type of FINGERPRINT and its length, 4.
const FINGERPRINT_HEAD: [u8; 4] = [0x80, 0x28, 0, 4];
/// The CRC is combined with this (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// The type of USERNAME.
const USERNAME: u16 = 0x0006;
/// Fixed bytes 4 to 8 (RFC 8489 §5).
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Bytes of our longest answer: success to an IPv6 address, and 487, are 76.
const MAX_ANSWER: usize = 128;

/// Our ufrag in a binding request: the part of USERNAME before the colon (RFC 8445 §7.2.2).
///
/// Cheap and unchecked, to find the session that checks. `None`: no binding request, or one without it.
#[must_use]
pub fn ufrag_of(datagram: &[u8]) -> Option<&str> {
    let (head, mut attributes) = datagram.split_at_checked(HEADER)?;
    if !head.starts_with(&[0, 1]) || head.get(4..8)? != MAGIC {
        return None;
    }
    while let Some((kind, value, rest)) = attribute(attributes) {
        if kind == USERNAME {
            let (local, _) = std::str::from_utf8(value).ok()?.split_once(':')?;
            return Some(local);
        }
        attributes = rest;
    }
    None
}

/// The first attribute's type and value, and what follows its padding.
fn attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (value, _) = rest.split_at_checked(length)?;
    let (_, rest) = rest.split_at_checked(length.next_multiple_of(4))?;
    Some((u16::from_be_bytes(*kind), value, rest))
}

/// Why a message is no valid check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadCheck {
    /// No binding request, or without USERNAME, PRIORITY, MESSAGE-INTEGRITY or a right FINGERPRINT.
    Malformed,
    /// For another ufrag.
    WrongUfrag,
    /// Signed with another password.
    WrongPassword,
}

/// A connectivity check whose sender knows our password.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    transaction: TransId,
    /// USE-CANDIDATE: the controlling side chose this path (RFC 8445 §7.3.1.5).
    pub nominates: bool,
    /// The sender believes it is controlled, as we are (RFC 8445 §7.3.1.1).
    pub controlled: bool,
}

impl Check {
    /// Reads a binding request and verifies it (RFC 8489 §9.1.3).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(datagram: &[u8], ufrag: &str, password: &str) -> Result<Check, BadCheck> {
        if !fingerprint_is_right(datagram) {
            return Err(BadCheck::Malformed);
        }
        let message = StunMessage::parse(datagram).map_err(|_| BadCheck::Malformed)?;
        if !message.is_binding_request() {
            return Err(BadCheck::Malformed);
        }
        let (local, _) = message.split_username().ok_or(BadCheck::Malformed)?;
        if local != ufrag {
            return Err(BadCheck::WrongUfrag);
        }
        if !message.verify(password.as_bytes(), sign) {
            return Err(BadCheck::WrongPassword);
        }
        Ok(Check {
            transaction: message.trans_id(),
            nominates: message.use_candidate(),
            controlled: message.ice_controlled().is_some(),
        })
    }

    /// Success, with the address that the check came from.
    #[must_use]
    pub fn success(&self, mapped: SocketAddr, password: &str) -> Vec<u8> {
        write(StunMessage::binding_reply(self.transaction, mapped), password)
    }

    /// Error 487: we are ICE-lite and stay controlled (RFC 8445 §7.3.1.1).
    #[must_use]
    pub fn role_conflict(&self, password: &str) -> Vec<u8> {
        write(StunMessage::binding_role_conflict_reply(self.transaction), password)
    }
}

fn write(message: StunMessage<'_>, password: &str) -> Vec<u8> {
    let mut bytes = vec![0; MAX_ANSWER];
    let length = message
        .to_bytes(Some(password.as_bytes()), &mut bytes, sign)
        .expect("two fixed attributes and a signature fit in MAX_ANSWER");
    bytes.truncate(length);
    bytes
}

/// HMAC-SHA1 over the parts, as `is` wants it.
fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().try_into().expect("HMAC-SHA1 has 20 bytes")
}

/// A check's last attribute is FINGERPRINT (RFC 8445 §7.1), and the `is` crate does not look at it.
fn fingerprint_is_right(datagram: &[u8]) -> bool {
    let Some((covered, tail)) = datagram
        .len()
        .checked_sub(FINGERPRINT)
        .and_then(|at| datagram.split_at_checked(at))
    else {
        return false;
    };
    let Some((head, crc)) = tail.split_first_chunk::<4>() else {
        return false;
    };
    *head == FINGERPRINT_HEAD && crc == (crc32(covered) ^ FINGERPRINT_XOR).to_be_bytes()
}

/// CRC-32 of ISO 3309 (RFC 8489 §14.7), bit by bit: a check is short and comes every other second.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    !bytes.iter().fold(u32::MAX, byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of RFC 5769 §2.1: password "VOkJxbRl1RmTxUk/WvJxBt", USERNAME "evtj:h6vY", ICE-CONTROLLED.
    const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
        002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5\
        b2d3f249c1b571a280280004e57a3bcf";
    const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

    fn request() -> Vec<u8> {
        let digits: Vec<char> = REQUEST.chars().filter(char::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_request_of_rfc_5769_is_a_check() {
        let check = Check::parse(&request(), "evtj", PASSWORD).unwrap();
        assert!(check.controlled);
        assert!(!check.nominates);
        assert_eq!(ufrag_of(&request()), Some("evtj"));
    }

    #[test]
    fn what_is_wrong_with_a_check_is_told() {
        let parse = |bytes: &[u8], ufrag, password| Check::parse(bytes, ufrag, password).map(|_| ());
        let good = request();
        assert_eq!(parse(&good, "evtj", PASSWORD), Ok(()));
        assert_eq!(parse(&good, "evt", PASSWORD), Err(BadCheck::WrongUfrag));
        assert_eq!(parse(&good, "evtj", "guess"), Err(BadCheck::WrongPassword));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(parse(&bad, "evtj", PASSWORD), Err(BadCheck::Malformed), "byte {at}");
            assert_eq!(
                parse(&good[..at], "evtj", PASSWORD),
                Err(BadCheck::Malformed),
                "{at} bytes"
            );
        }
    }

    #[test]
    fn answers_are_signed_and_tell_the_address() {
        let check = Check::parse(&request(), "evtj", PASSWORD).unwrap();
        for address in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
            let answer = check.success(address.parse().unwrap(), PASSWORD);
            assert!(fingerprint_is_right(&answer));
            let message = StunMessage::parse(&answer).unwrap();
            assert!(message.verify(PASSWORD.as_bytes(), sign));
            assert_eq!(message.mapped_address(), address.parse().ok());
            assert_eq!(message.trans_id(), check.transaction);
        }
        let answer = check.role_conflict(PASSWORD);
        let message = StunMessage::parse(&answer).unwrap();
        assert!(message.verify(PASSWORD.as_bytes(), sign));
        assert_eq!(message.error_code().map(|(code, _)| code), Some(487));
    }

    #[test]
    fn the_ufrag_is_found_in_binding_requests_only() {
        let good = request();
        let with = |at: usize, byte| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for (bytes, expected) in [
            (good.clone(), Some("evtj")),
            (with(0, 1), None),
            (with(1, 0x11), None),
            (with(4, 0), None),
            (with(23, 0xff), None),
            (with(68, b';'), None),
            (good[..20].to_vec(), None),
            (good[..66].to_vec(), None),
            (vec![], None),
        ] {
            assert_eq!(ufrag_of(&bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn no_bytes_panic() {
        let good = request();
        let mut state = 1_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as usize
        };
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..1 + next() % 3 {
                let at = next() % bytes.len();
                bytes[at] = next() as u8;
            }
            bytes.truncate(1 + next() % good.len());
            let _ = ufrag_of(&bytes);
            let _ = Check::parse(&bytes, "evtj", PASSWORD);
            // Behind a right fingerprint too: that is what someone who tries would send.
            if let Some(body) = bytes.len().checked_sub(FINGERPRINT) {
                bytes.truncate(body);
                let crc = crc32(&bytes) ^ FINGERPRINT_XOR;
                bytes.extend_from_slice(&FINGERPRINT_HEAD);
                bytes.extend_from_slice(&crc.to_be_bytes());
                let _ = Check::parse(&bytes, "evtj", PASSWORD);
            }
        }
    }
}
