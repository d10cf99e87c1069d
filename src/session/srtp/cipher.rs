//! The three suites in place: AES-CM with HMAC-SHA1-80 (RFC 3711 §4) and AES-GCM with 128 or 256 bits (RFC 7714).
//!
//! Key schedules are made once; packets are split into header, payload and trailer with checked splits only.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, Algorithm, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use crate::ids::Ssrc;
use crate::session::srtp::{INDEX, Master, Profile, RTCP_HEADER};

/// Bytes of the GCM tag (RFC 7714 §13.2).
const GCM_TAG: usize = 16;
/// Bytes of the truncated HMAC-SHA1 (RFC 3711 §5.2).
const SHA1_TAG: usize = 10;
/// Bytes of the salt of AES-CM.
const CM_SALT: usize = 14;
/// Bytes of the salt and the nonce of AES-GCM.
const GCM_SALT: usize = 12;
/// Bytes of the HMAC-SHA1 key.
const SHA1_KEY: usize = 20;

/// What the nonce of an RTP packet is made of, and where its payload begins.
#[derive(Clone, Copy)]
pub(super) struct RtpPacket {
    pub(super) ssrc: Ssrc,
    /// 2^16 × roll-over counter + sequence number, below 2^48.
    pub(super) index: u64,
    /// Bytes of the header; the packet has at least that many besides its trailer.
    pub(super) header: usize,
}

impl RtpPacket {
    #[expect(clippy::cast_possible_truncation, reason = "an index is below 2^48")]
    fn rollover(self) -> [u8; 4] {
        ((self.index >> 16) as u32).to_be_bytes()
    }
}

/// What the nonce of an RTCP packet is made of.
#[derive(Clone, Copy)]
pub(super) struct RtcpPacket {
    pub(super) ssrc: Ssrc,
    /// The E bit, set, and the 31 bits of the index.
    pub(super) word: u32,
}

impl RtcpPacket {
    fn index(self) -> u32 {
        self.word & (u32::MAX >> 1)
    }
}

/// One direction's session keys for RTP and RTCP.
#[expect(
    clippy::large_enum_variant,
    reason = "boxed with its session; a pointer more would be on the packet path"
)]
pub(super) enum Cipher {
    /// Counter mode and HMAC.
    Cm { rtp: Cm, rtcp: Cm },
    /// AEAD, with either key size.
    Gcm { rtp: Gcm, rtcp: Gcm },
}

impl Cipher {
    /// Derives the session keys (RFC 3711 §4.3, labels 0 to 5). `None` where the master key has the wrong length.
    pub(super) fn new(profile: Profile, master: Master<'_>) -> Option<Cipher> {
        let derive = Derivation::new(profile, master)?;
        Some(match profile {
            Profile::AesCm128HmacSha1 => Cipher::Cm {
                rtp: Cm::new(&derive, 0)?,
                rtcp: Cm::new(&derive, 3)?,
            },
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Cipher::Gcm {
                rtp: Gcm::new(&derive, 0)?,
                rtcp: Gcm::new(&derive, 3)?,
            },
        })
    }

    /// Opens a packet, trailer last. `None`: not authentic; the bytes are of no use then.
    pub(super) fn open_rtp(&self, packet: RtpPacket, bytes: &mut [u8]) -> Option<()> {
        let (header, rest) = bytes.split_at_mut_checked(packet.header)?;
        match self {
            Cipher::Cm { rtp, .. } => rtp.open_rtp(packet, header, rest),
            Cipher::Gcm { rtp, .. } => {
                let nonce = rtp.rtp_nonce(packet);
                rtp.key.open_in_place(nonce, Aad::from(&*header), rest).ok().map(|_| ())
            }
        }
    }

    /// Seals a packet whose last bytes are room for the trailer. `None`: the library refused.
    pub(super) fn seal_rtp(&self, packet: RtpPacket, bytes: &mut [u8]) -> Option<()> {
        let (header, rest) = bytes.split_at_mut_checked(packet.header)?;
        match self {
            Cipher::Cm { rtp, .. } => rtp.seal_rtp(packet, header, rest),
            Cipher::Gcm { rtp, .. } => {
                let (payload, tag) = rest.split_last_chunk_mut::<GCM_TAG>()?;
                let nonce = rtp.rtp_nonce(packet);
                let sealed = rtp
                    .key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)
                    .ok()?;
                tag.copy_from_slice(sealed.as_ref());
                Some(())
            }
        }
    }

    /// The E bit and index at their place in the trailer: last with GCM, before the tag with AES-CM.
    pub(super) fn rtcp_word(&self, bytes: &[u8]) -> Option<u32> {
        let bytes = match self {
            Cipher::Cm { .. } => bytes.split_last_chunk::<SHA1_TAG>()?.0,
            Cipher::Gcm { .. } => bytes,
        };
        bytes.last_chunk::<INDEX>().map(|word| u32::from_be_bytes(*word))
    }

    /// Opens a compound packet. `None`: not authentic; the bytes are of no use then.
    pub(super) fn open_rtcp(&self, packet: RtcpPacket, bytes: &mut [u8]) -> Option<()> {
        match self {
            Cipher::Cm { rtcp, .. } => rtcp.open_rtcp(packet, bytes),
            Cipher::Gcm { rtcp, .. } => {
                let (bytes, word) = bytes.split_last_chunk_mut::<INDEX>()?;
                let (header, payload) = bytes.split_first_chunk_mut::<RTCP_HEADER>()?;
                let additional = rtcp_additional(header, word);
                rtcp.key
                    .open_in_place(rtcp.rtcp_nonce(packet), Aad::from(additional), payload)
                    .ok()
                    .map(|_| ())
            }
        }
    }

    /// Seals a compound packet whose last bytes are room for the trailer. `None`: the library refused.
    pub(super) fn seal_rtcp(&self, packet: RtcpPacket, bytes: &mut [u8]) -> Option<()> {
        match self {
            Cipher::Cm { rtcp, .. } => rtcp.seal_rtcp(packet, bytes),
            Cipher::Gcm { rtcp, .. } => {
                let (bytes, word) = bytes.split_last_chunk_mut::<INDEX>()?;
                *word = packet.word.to_be_bytes();
                let (header, rest) = bytes.split_first_chunk_mut::<RTCP_HEADER>()?;
                let (payload, tag) = rest.split_last_chunk_mut::<GCM_TAG>()?;
                let additional = Aad::from(rtcp_additional(header, word));
                let sealed = rtcp
                    .key
                    .seal_in_place_separate_tag(rtcp.rtcp_nonce(packet), additional, payload)
                    .ok()?;
                tag.copy_from_slice(sealed.as_ref());
                Some(())
            }
        }
    }
}

/// The additional data of SRTCP: header, then E bit and index (RFC 7714 §17).
fn rtcp_additional(header: &[u8; RTCP_HEADER], word: &[u8; INDEX]) -> [u8; RTCP_HEADER + INDEX] {
    let mut additional = [0; RTCP_HEADER + INDEX];
    let parts = header.iter().chain(word);
    additional.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    additional
}

/// Keys of AES-GCM for RTP or RTCP.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; GCM_SALT],
}

impl Gcm {
    fn new(derive: &Derivation, first_label: u8) -> Option<Gcm> {
        let key = UnboundKey::new(derive.gcm?, derive.key(first_label)?.get(..derive.key_bytes)?).ok()?;
        Some(Gcm {
            key: LessSafeKey::new(key),
            salt: derive.bytes(first_label + 2)?,
        })
    }

    /// 0, SSRC, roll-over counter, sequence number (RFC 7714 §8.1).
    fn rtp_nonce(&self, packet: RtpPacket) -> Nonce {
        self.nonce((u128::from(packet.ssrc.0) << 48) | u128::from(packet.index))
    }

    /// 0, SSRC, 0, index (RFC 7714 §9.1).
    fn rtcp_nonce(&self, packet: RtcpPacket) -> Nonce {
        self.nonce((u128::from(packet.ssrc.0) << 48) | u128::from(packet.index()))
    }

    fn nonce(&self, value: u128) -> Nonce {
        let [_, _, _, _, value @ ..] = value.to_be_bytes();
        Nonce::assume_unique_for_key(xor(self.salt, value))
    }
}

/// Keys of AES-CM and HMAC-SHA1 for RTP or RTCP.
pub(super) struct Cm {
    key: EncryptingKey,
    salt: [u8; CM_SALT],
    auth: hmac::Key,
}

impl Cm {
    fn new(derive: &Derivation, first_label: u8) -> Option<Cm> {
        let auth: [u8; SHA1_KEY] = derive.bytes(first_label + 1)?;
        Some(Cm {
            key: counter_mode(derive.cm, derive.key(first_label)?.get(..derive.key_bytes)?)?,
            salt: derive.bytes(first_label + 2)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth),
        })
    }

    fn open_rtp(&self, packet: RtpPacket, header: &[u8], rest: &mut [u8]) -> Option<()> {
        let (payload, tag) = rest.split_last_chunk_mut::<SHA1_TAG>()?;
        verify_slices_are_equal(&self.tag(&[header, payload, &packet.rollover()]), tag).ok()?;
        self.crypt(packet.ssrc, packet.index, payload)
    }

    fn seal_rtp(&self, packet: RtpPacket, header: &[u8], rest: &mut [u8]) -> Option<()> {
        let (payload, tag) = rest.split_last_chunk_mut::<SHA1_TAG>()?;
        self.crypt(packet.ssrc, packet.index, payload)?;
        *tag = self.tag(&[header, payload, &packet.rollover()]);
        Some(())
    }

    fn open_rtcp(&self, packet: RtcpPacket, bytes: &mut [u8]) -> Option<()> {
        let (signed, tag) = bytes.split_last_chunk_mut::<SHA1_TAG>()?;
        verify_slices_are_equal(&self.tag(&[signed]), tag).ok()?;
        let (bytes, _) = signed.split_last_chunk_mut::<INDEX>()?;
        let (_, payload) = bytes.split_first_chunk_mut::<RTCP_HEADER>()?;
        self.crypt(packet.ssrc, packet.index().into(), payload)
    }

    fn seal_rtcp(&self, packet: RtcpPacket, bytes: &mut [u8]) -> Option<()> {
        let (signed, tag) = bytes.split_last_chunk_mut::<SHA1_TAG>()?;
        let (bytes, word) = signed.split_last_chunk_mut::<INDEX>()?;
        *word = packet.word.to_be_bytes();
        let (_, payload) = bytes.split_first_chunk_mut::<RTCP_HEADER>()?;
        self.crypt(packet.ssrc, packet.index().into(), payload)?;
        *tag = self.tag(&[signed]);
        Some(())
    }

    /// Encrypts or decrypts: counter mode is its own inverse. The counter starts at salt ⊕ SSRC ⊕ index (RFC 3711 §4.1.1).
    fn crypt(&self, ssrc: Ssrc, index: u64, payload: &mut [u8]) -> Option<()> {
        let value = ((u128::from(ssrc.0) << 48) | u128::from(index)) << 16;
        keystream(&self.key, self.salt, value, payload)
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; SHA1_TAG] {
        let mut context = hmac::Context::with_key(&self.auth);
        parts.iter().for_each(|part| context.update(part));
        let tag = context.sign();
        *tag.as_ref().first_chunk().expect("HMAC-SHA1 has 20 bytes")
    }
}

fn counter_mode(algorithm: &'static Algorithm, key: &[u8]) -> Option<EncryptingKey> {
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).ok()?).ok()
}

/// Xors AES-CM's key stream on `bytes`, with the counter at salt · 2^16 ⊕ value.
fn keystream(key: &EncryptingKey, salt: [u8; CM_SALT], value: u128, bytes: &mut [u8]) -> Option<()> {
    if bytes.is_empty() {
        return Some(());
    }
    let mut padded = [0; 16];
    padded.iter_mut().zip(salt).for_each(|(to, from)| *to = from);
    let counter = xor(padded, value.to_be_bytes());
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128((&counter).into()))
        .ok()
        .map(|_| ())
}

fn xor<const N: usize>(mut one: [u8; N], other: [u8; N]) -> [u8; N] {
    one.iter_mut().zip(other).for_each(|(one, other)| *one ^= other);
    one
}

/// Key derivation with AES-CM as PRF, rate 0 (RFC 3711 §4.3, RFC 7714 §11, RFC 6188 §3 for 256 bits).
struct Derivation {
    master: EncryptingKey,
    // Salts of 12 bytes are filled up with zeros on the right.
    salt: [u8; CM_SALT],
    key_bytes: usize,
    cm: &'static Algorithm,
    gcm: Option<&'static aws_lc_rs::aead::Algorithm>,
}

impl Derivation {
    fn new(profile: Profile, master: Master<'_>) -> Option<Derivation> {
        let (cm, gcm) = match profile {
            Profile::AesCm128HmacSha1 => (&AES_128, None),
            Profile::AeadAes128Gcm => (&AES_128, Some(&AES_128_GCM)),
            Profile::AeadAes256Gcm => (&AES_256, Some(&AES_256_GCM)),
        };
        let mut salt = [0; CM_SALT];
        salt.iter_mut().zip(master.salt).for_each(|(to, from)| *to = *from);
        let key_bytes = profile.key_bytes();
        Some(Derivation {
            master: counter_mode(cm, master.key)?,
            salt,
            key_bytes,
            cm,
            gcm,
        })
    }

    /// The key of a label, in the first `key_bytes`.
    fn key(&self, label: u8) -> Option<[u8; 32]> {
        self.bytes(label)
    }

    fn bytes<const N: usize>(&self, label: u8) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        keystream(&self.master, self.salt, u128::from(label) << 64, &mut bytes)?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn fixed<const N: usize>(text: &str) -> [u8; N] {
        hex(text).try_into().unwrap()
    }

    #[test]
    fn the_key_stream_is_that_of_rfc_3711_b_2() {
        let key = counter_mode(&AES_128, &hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
        let salt = fixed("F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
        let mut stream = [0; 48];
        keystream(&key, salt, 0, &mut stream).unwrap();
        let expected =
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream.to_vec(), hex(expected));
        let mut late = [0; 48];
        keystream(&key, salt, 0xfeff, &mut late).unwrap();
        let expected =
            "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(late.to_vec(), hex(expected));
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711_b_3() {
        let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
        let derive = Derivation::new(Profile::AesCm128HmacSha1, Master { key: &key, salt: &salt }).unwrap();
        assert_eq!(derive.bytes(0), Some(fixed::<16>("C61E7A93744F39EE10734AFE3FF7A087")));
        assert_eq!(derive.bytes(2), Some(fixed::<14>("30CBBC08863D8C85D49DB34A9AE1")));
        assert_eq!(
            derive.bytes(1),
            Some(fixed::<20>("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"))
        );
    }

    const SALT: &str = "517569642070726f2071756f";
    const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
    const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    /// The examples of RFC 7714 give session keys, not master keys.
    fn gcm(key: &str) -> Cipher {
        let algorithm = if key.len() == 32 { &AES_128_GCM } else { &AES_256_GCM };
        let side = || Gcm {
            key: LessSafeKey::new(UnboundKey::new(algorithm, &hex(key)).unwrap()),
            salt: fixed(SALT),
        };
        Cipher::Gcm {
            rtp: side(),
            rtcp: side(),
        }
    }

    #[test]
    fn rtp_is_sealed_as_in_rfc_7714_16() {
        let plain = hex(
            "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573",
        );
        let packet = RtpPacket {
            ssrc: Ssrc(0x5501_a0b2),
            index: 0xf17b,
            header: 12,
        };
        for (key, expected) in [
            (
                KEY_128,
                "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
            ),
            (
                KEY_256,
                "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
            ),
        ] {
            let mut bytes = plain.clone();
            bytes.resize(plain.len() + GCM_TAG, 0);
            gcm(key).seal_rtp(packet, &mut bytes).unwrap();
            assert_eq!(bytes, hex(expected), "{} bits", key.len() * 4);
            gcm(key).open_rtp(packet, &mut bytes).unwrap();
            assert_eq!(bytes[..plain.len()], plain);
        }
    }

    #[test]
    fn rtcp_is_sealed_as_in_rfc_7714_17() {
        let plain = hex(
            "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef",
        );
        let packet = RtcpPacket {
            ssrc: Ssrc(0x4d61_7273),
            word: 0x8000_05d4,
        };
        for (key, expected) in [
            (
                KEY_128,
                "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
            ),
            (
                KEY_256,
                "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
            ),
        ] {
            let mut bytes = plain.clone();
            bytes.resize(plain.len() + GCM_TAG + INDEX, 0);
            gcm(key).seal_rtcp(packet, &mut bytes).unwrap();
            assert_eq!(bytes, hex(expected), "{} bits", key.len() * 4);
            assert_eq!(gcm(key).rtcp_word(&bytes), Some(packet.word));
            gcm(key).open_rtcp(packet, &mut bytes).unwrap();
            assert_eq!(bytes[..plain.len()], plain);
        }
    }
}
