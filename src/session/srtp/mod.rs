//! SRTP and SRTCP (RFC 3711, RFC 7714) in place: one pair of contexts a session, no allocation a packet.
//!
//! [`cipher`] knows the three suites, [`streams`] the packet index and the replay window of each SSRC; this file ties them
//! together: parse, find the index, check it, run the cipher, and only then remember.

mod cipher;
mod streams;

use crate::ids::Ssrc;
use crate::limits::{MAX_OUTGOING_SSRCS, MAX_SSRCS_PER_SESSION};
use crate::session::Drop;

use cipher::{Cipher, RtcpPacket, RtpPacket};
use streams::Streams;

/// Bytes of the RTP header without CSRCs and extension (RFC 3550 §5.1).
const RTP_HEADER: usize = 12;
/// Bytes of an RTCP header and the sender's SSRC, which stay in the clear (RFC 3711 §3.4).
const RTCP_HEADER: usize = 8;
/// Bytes of SRTCP's E bit and index.
const INDEX: usize = 4;
/// The E bit: the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;
/// As many RTP packets of one SSRC as one key may protect (RFC 3711 §9.2).
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;
/// As many RTCP packets as one key may protect.
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

/// An SRTP suite, as DTLS negotiates it (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Profile {
    /// SRTP_AES128_CM_HMAC_SHA1_80: all that native clients offer.
    AesCm128HmacSha1,
    /// SRTP_AEAD_AES_128_GCM.
    AeadAes128Gcm,
    /// SRTP_AEAD_AES_256_GCM.
    AeadAes256Gcm,
}

impl Profile {
    /// The label of this suite in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Profile::AesCm128HmacSha1 => "aes_cm_128_hmac_sha1_80",
            Profile::AeadAes128Gcm => "aead_aes_128_gcm",
            Profile::AeadAes256Gcm => "aead_aes_256_gcm",
        }
    }

    const fn key_bytes(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1 | Profile::AeadAes128Gcm => 16,
            Profile::AeadAes256Gcm => 32,
        }
    }

    const fn salt_bytes(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1 => 14,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 12,
        }
    }

    /// Bytes that protecting adds to an RTP packet; RTCP takes four more.
    #[must_use]
    pub const fn trailer_bytes(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1 => 10,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 16,
        }
    }
}

/// A master key and its salt, for one direction.
#[derive(Clone, Copy)]
pub(super) struct Master<'a> {
    pub(super) key: &'a [u8],
    pub(super) salt: &'a [u8],
}

/// What DTLS exported: client key, server key, client salt, server salt (RFC 5764 §4.2).
pub(super) struct Keys {
    pub(super) profile: Profile,
    // As long as `profile` says.
    material: Vec<u8>,
}

impl Keys {
    /// `None` where the length does not fit the suite.
    pub(super) fn new(profile: Profile, material: &[u8]) -> Option<Keys> {
        let expected = 2 * (profile.key_bytes() + profile.salt_bytes());
        (material.len() == expected).then(|| Keys {
            profile,
            material: material.to_vec(),
        })
    }

    /// The client's and the server's half.
    fn halves(&self) -> Option<(Master<'_>, Master<'_>)> {
        let (keys, salts) = self.material.split_at_checked(2 * self.profile.key_bytes())?;
        let (client_key, server_key) = keys.split_at_checked(self.profile.key_bytes())?;
        let (client_salt, server_salt) = salts.split_at_checked(self.profile.salt_bytes())?;
        Some((
            Master {
                key: client_key,
                salt: client_salt,
            },
            Master {
                key: server_key,
                salt: server_salt,
            },
        ))
    }
}

/// Both directions of one session.
pub(super) struct Srtp {
    profile: Profile,
    incoming: Incoming,
    outgoing: Outgoing,
}

struct Incoming {
    cipher: Cipher,
    rtp: Streams<MAX_SSRCS_PER_SESSION>,
    rtcp: Streams<MAX_SSRCS_PER_SESSION>,
}

struct Outgoing {
    cipher: Cipher,
    rtp: Streams<MAX_OUTGOING_SSRCS>,
    // One count for all SSRCs: an index is never used twice for any of them.
    rtcp_index: u32,
}

impl Srtp {
    /// The server's contexts: it opens what the client's half sealed. `None`: the crypto library refuses the keys.
    pub(super) fn server(keys: &Keys) -> Option<Srtp> {
        let (client, server) = keys.halves()?;
        Srtp::new(keys.profile, server, client)
    }

    fn new(profile: Profile, outgoing: Master<'_>, incoming: Master<'_>) -> Option<Srtp> {
        Some(Srtp {
            profile,
            incoming: Incoming {
                cipher: Cipher::new(profile, incoming)?,
                rtp: Streams::default(),
                rtcp: Streams::default(),
            },
            outgoing: Outgoing {
                cipher: Cipher::new(profile, outgoing)?,
                rtp: Streams::default(),
                rtcp_index: 0,
            },
        })
    }

    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    /// Opens an RTP packet in place; returns its length without the trailer.
    pub(super) fn unprotect_rtp(&mut self, bytes: &mut [u8]) -> Result<usize, Drop> {
        let trailer = self.profile.trailer_bytes();
        let header = rtp_header(bytes)?;
        let plain = bytes
            .len()
            .checked_sub(trailer)
            .filter(|plain| *plain >= header.length)
            .ok_or(Drop::TooShort)?;
        let slot = self.incoming.rtp.find_rtp(header.ssrc, header.sequence)?;
        let packet = RtpPacket {
            ssrc: header.ssrc,
            index: slot.index,
            header: header.length,
        };
        self.incoming.cipher.open_rtp(packet, bytes).ok_or(Drop::AuthFailed)?;
        self.incoming.rtp.remember(header.ssrc, slot);
        Ok(plain)
    }

    /// Seals the RTP packet in the first `length` bytes; returns its length with the trailer.
    pub(super) fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Drop> {
        let packet = buffer.get(..length).ok_or(Drop::TooLong)?;
        let header = rtp_header(packet)?;
        let sealed = length + self.profile.trailer_bytes();
        let bytes = buffer.get_mut(..sealed).ok_or(Drop::TooLong)?;
        let slot = self.outgoing.rtp.find_rtp(header.ssrc, header.sequence)?;
        if slot.index > MAX_RTP_INDEX {
            return Err(Drop::Exhausted);
        }
        // Before sealing: a number that was used once is used, whatever comes of it.
        self.outgoing.rtp.remember(header.ssrc, slot);
        let packet = RtpPacket {
            ssrc: header.ssrc,
            index: slot.index,
            header: header.length,
        };
        self.outgoing.cipher.seal_rtp(packet, bytes).ok_or(Drop::AuthFailed)?;
        Ok(sealed)
    }

    /// Opens a compound RTCP packet in place; returns its length without the trailer.
    pub(super) fn unprotect_rtcp(&mut self, bytes: &mut [u8]) -> Result<usize, Drop> {
        let ssrc = rtcp_ssrc(bytes)?;
        let trailer = self.profile.trailer_bytes() + INDEX;
        let plain = bytes
            .len()
            .checked_sub(trailer)
            .filter(|plain| *plain >= RTCP_HEADER)
            .ok_or(Drop::TooShort)?;
        let word = self.incoming.cipher.rtcp_word(bytes).ok_or(Drop::TooShort)?;
        if word & ENCRYPTED == 0 {
            return Err(Drop::Unencrypted);
        }
        let slot = self.incoming.rtcp.find(ssrc, u64::from(word & !ENCRYPTED))?;
        self.incoming
            .cipher
            .open_rtcp(RtcpPacket { ssrc, word }, bytes)
            .ok_or(Drop::AuthFailed)?;
        self.incoming.rtcp.remember(ssrc, slot);
        Ok(plain)
    }

    /// Seals the compound RTCP packet in the first `length` bytes; returns its length with the trailer.
    pub(super) fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Drop> {
        let ssrc = rtcp_ssrc(buffer.get(..length).ok_or(Drop::TooLong)?)?;
        let sealed = length + self.profile.trailer_bytes() + INDEX;
        let bytes = buffer.get_mut(..sealed).ok_or(Drop::TooLong)?;
        let index = self.outgoing.rtcp_index;
        if index > MAX_RTCP_INDEX {
            return Err(Drop::Exhausted);
        }
        self.outgoing.rtcp_index = index + 1;
        let packet = RtcpPacket {
            ssrc,
            word: index | ENCRYPTED,
        };
        self.outgoing.cipher.seal_rtcp(packet, bytes).ok_or(Drop::AuthFailed)?;
        Ok(sealed)
    }
}

/// What SRTP must know of an RTP packet.
#[derive(Clone, Copy)]
struct RtpHeader {
    ssrc: Ssrc,
    sequence: u16,
    // Fixed part, CSRCs and extension; the packet has at least that many bytes.
    length: usize,
}

fn rtp_header(packet: &[u8]) -> Result<RtpHeader, Drop> {
    let fixed: &[u8; RTP_HEADER] = packet.first_chunk().ok_or(Drop::TooShort)?;
    let [first, _, s0, s1, _, _, _, _, c0, c1, c2, c3] = *fixed;
    if first >> 6 != 2 {
        return Err(Drop::BadHeader);
    }
    let csrcs = RTP_HEADER + 4 * usize::from(first & 0x0f);
    let length = if first & 0x10 == 0 {
        csrcs
    } else {
        csrcs + extension_bytes(packet, csrcs)?
    };
    if packet.len() < length {
        return Err(Drop::TooShort);
    }
    Ok(RtpHeader {
        ssrc: Ssrc(u32::from_be_bytes([c0, c1, c2, c3])),
        sequence: u16::from_be_bytes([s0, s1]),
        length,
    })
}

/// Bytes of the header extension that begins at `at` (RFC 3550 §5.3.1).
fn extension_bytes(packet: &[u8], at: usize) -> Result<usize, Drop> {
    let head: &[u8; 4] = packet.get(at..).and_then(<[u8]>::first_chunk).ok_or(Drop::TooShort)?;
    let [_, _, high, low] = *head;
    Ok(4 + 4 * usize::from(u16::from_be_bytes([high, low])))
}

fn rtcp_ssrc(packet: &[u8]) -> Result<Ssrc, Drop> {
    let fixed: &[u8; RTCP_HEADER] = packet.first_chunk().ok_or(Drop::TooShort)?;
    let [first, _, _, _, ssrc @ ..] = *fixed;
    if first >> 6 != 2 {
        return Err(Drop::BadHeader);
    }
    Ok(Ssrc(u32::from_be_bytes(ssrc)))
}

#[cfg(test)]
mod tests;
