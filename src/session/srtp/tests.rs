//! SRTP contexts against another implementation, and against what breaks them.

use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::AwsLcRsCrypto;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::*;
use crate::limits::REPLAY_WINDOW;

const PROFILES: [Profile; 3] = [
    Profile::AesCm128HmacSha1,
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
];

fn material(profile: Profile) -> Vec<u8> {
    (1..).take(2 * (profile.key_bytes() + profile.salt_bytes())).collect()
}

fn ours(profile: Profile) -> Srtp {
    Srtp::server(&Keys::new(profile, &material(profile)).unwrap()).unwrap()
}

/// The client's contexts by another implementation: for what it sends, and for what it receives.
fn theirs(profile: Profile) -> (Context, Context) {
    let name = match profile {
        Profile::AesCm128HmacSha1 => ProtectionProfile::Aes128CmHmacSha1_80,
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let material = material(profile);
    let (key, salt) = (profile.key_bytes(), profile.salt_bytes());
    let context = |half: usize| {
        let key_bytes = &material[half * key..][..key];
        let salt_bytes = &material[2 * key + half * salt..][..salt];
        Context::new(key_bytes, salt_bytes, name, None, None, &AwsLcRsCrypto).unwrap()
    };
    (context(0), context(1))
}

fn rtp(ssrc: u32, sequence: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[1, 2, 3, 4]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..payload).map(|at| at as u8));
    packet
}

/// Two CSRCs and an extension of eight bytes.
fn rtp_with_everything(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = rtp(ssrc, sequence, 0);
    packet[0] = 0x92;
    packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
    packet.extend_from_slice(&[0xbe, 0xde, 0, 2, 0x10, 0x55, 0x21, 1, 2, 0, 0, 0]);
    packet.extend_from_slice(b"payload");
    packet
}

fn rtcp(ssrc: u32, more: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1 + more as u8];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.resize(8 + 4 * more, 0x33);
    packet
}

fn seal(srtp: &mut Srtp, plain: &[u8]) -> Result<Vec<u8>, Drop> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + 32, 0xee);
    let length = srtp.protect_rtp(&mut buffer, plain.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn seal_rtcp(srtp: &mut Srtp, plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + 32, 0xee);
    let length = srtp.protect_rtcp(&mut buffer, plain.len()).unwrap();
    buffer.truncate(length);
    buffer
}

fn open(srtp: &mut Srtp, sealed: &[u8]) -> Result<Vec<u8>, Drop> {
    let mut bytes = sealed.to_vec();
    let length = srtp.unprotect_rtp(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn open_rtcp(srtp: &mut Srtp, sealed: &[u8]) -> Result<Vec<u8>, Drop> {
    let mut bytes = sealed.to_vec();
    let length = srtp.unprotect_rtcp(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

#[test]
fn what_another_implementation_seals_we_open_across_the_wrap() {
    for profile in PROFILES {
        let (mut client, _) = theirs(profile);
        let mut server = ours(profile);
        for step in 0..5_u16 {
            let sequence = 65_533_u16.wrapping_add(step);
            for plain in [
                rtp(7, sequence, 300),
                rtp_with_everything(8, sequence),
                rtp(9, sequence, 0),
            ] {
                let sealed = client.encrypt_rtp(&plain).unwrap();
                assert_eq!(open(&mut server, &sealed), Ok(plain), "{profile:?} {sequence}");
            }
        }
        for more in 0..5 {
            let sealed = client.encrypt_rtcp(&rtcp(7, more)).unwrap();
            assert_eq!(open_rtcp(&mut server, &sealed), Ok(rtcp(7, more)), "{profile:?}");
        }
    }
}

#[test]
fn what_we_seal_another_implementation_opens_across_the_wrap() {
    for profile in PROFILES {
        let (_, mut client) = theirs(profile);
        let mut server = ours(profile);
        for step in 0..5_u16 {
            let sequence = 65_533_u16.wrapping_add(step);
            for plain in [
                rtp(7, sequence, 300),
                rtp_with_everything(8, sequence),
                rtp(9, sequence, 1),
            ] {
                let sealed = seal(&mut server, &plain).unwrap();
                assert_eq!(sealed.len(), plain.len() + profile.trailer_bytes());
                assert_eq!(client.decrypt_rtp(&sealed).unwrap(), plain, "{profile:?} {sequence}");
            }
        }
        for more in 0..5 {
            let sealed = seal_rtcp(&mut server, &rtcp(7, more));
            assert_eq!(client.decrypt_rtcp(&sealed).unwrap(), rtcp(7, more), "{profile:?}");
        }
    }
}

#[test]
fn several_turns_with_jumps_and_stragglers_stay_in_step() {
    for profile in PROFILES {
        let (mut client, _) = theirs(profile);
        let mut server = ours(profile);
        let mut sequence = 40_000_u16;
        let mut straggler = None;
        for _ in 0..30 {
            sequence = sequence.wrapping_add(20_000);
            let held = client.encrypt_rtp(&rtp(7, sequence.wrapping_sub(3), 50)).unwrap();
            let sealed = client.encrypt_rtp(&rtp(7, sequence, 50)).unwrap();
            assert_eq!(open(&mut server, &sealed), Ok(rtp(7, sequence, 50)));
            let old = straggler.replace((held, sequence.wrapping_sub(3)));
            if let Some((old, _)) = old {
                assert_eq!(open(&mut server, &old), Err(Drop::Replayed), "too late");
            }
            let (held, sequence) = straggler.as_ref().unwrap();
            assert_eq!(open(&mut server, held), Ok(rtp(7, *sequence, 50)), "late");
        }
    }
}

#[test]
fn a_packet_is_taken_once_and_a_forged_one_costs_nothing() {
    for profile in PROFILES {
        let (mut client, _) = theirs(profile);
        let mut server = ours(profile);
        let sealed = client.encrypt_rtp(&rtp(7, 100, 80)).unwrap();
        for at in 0..sealed.len() {
            let mut forged = sealed.to_vec();
            forged[at] ^= 0x04;
            assert!(open(&mut server, &forged).is_err(), "{profile:?} byte {at}");
        }
        assert_eq!(
            open(&mut server, &sealed),
            Ok(rtp(7, 100, 80)),
            "no forgery moved the window"
        );
        assert_eq!(open(&mut server, &sealed), Err(Drop::Replayed));
        let sealed = client.encrypt_rtcp(&rtcp(7, 3)).unwrap();
        for at in 0..sealed.len() {
            let mut forged = sealed.to_vec();
            forged[at] ^= 0x04;
            assert!(open_rtcp(&mut server, &forged).is_err(), "{profile:?} byte {at}");
        }
        assert_eq!(open_rtcp(&mut server, &sealed), Ok(rtcp(7, 3)));
        assert_eq!(open_rtcp(&mut server, &sealed), Err(Drop::Replayed));
    }
}

#[test]
fn a_forged_ssrc_takes_no_place() {
    let (mut client, _) = theirs(Profile::AeadAes128Gcm);
    let mut server = ours(Profile::AeadAes128Gcm);
    for ssrc in 0..1000 {
        assert_eq!(open(&mut server, &rtp(ssrc, 1, 60)), Err(Drop::AuthFailed));
    }
    for ssrc in 0..=MAX_SSRCS_PER_SESSION as u32 {
        let sealed = client.encrypt_rtp(&rtp(ssrc, 1, 60)).unwrap();
        let full = ssrc == MAX_SSRCS_PER_SESSION as u32;
        let expected = if full {
            Err(Drop::TooManySsrcs)
        } else {
            Ok(rtp(ssrc, 1, 60))
        };
        assert_eq!(open(&mut server, &sealed), expected);
    }
}

#[test]
fn no_number_is_sent_twice() {
    for profile in PROFILES {
        let mut server = ours(profile);
        assert!(seal(&mut server, &rtp(7, 500, 10)).is_ok());
        assert_eq!(seal(&mut server, &rtp(7, 500, 11)), Err(Drop::Replayed));
        assert!(seal(&mut server, &rtp(8, 500, 11)).is_ok(), "of another SSRC it may");
        assert!(seal(&mut server, &rtp(7, 499, 11)).is_ok(), "late is not twice");
        let late = 500 + REPLAY_WINDOW as u16;
        assert!(seal(&mut server, &rtp(7, late, 11)).is_ok());
        assert_eq!(
            seal(&mut server, &rtp(7, 498, 11)),
            Err(Drop::Replayed),
            "nobody knows any more"
        );
    }
}

#[test]
fn outgoing_ssrcs_are_bounded() {
    let mut server = ours(Profile::AeadAes128Gcm);
    for ssrc in 0..MAX_OUTGOING_SSRCS as u32 {
        assert!(seal(&mut server, &rtp(ssrc, 1, 10)).is_ok());
    }
    assert_eq!(seal(&mut server, &rtp(u32::MAX, 1, 10)), Err(Drop::TooManySsrcs));
}

#[test]
fn plain_rtcp_is_refused() {
    for profile in PROFILES {
        let mut server = ours(profile);
        let mut bytes = rtcp(7, 0);
        bytes.resize(bytes.len() + INDEX + profile.trailer_bytes(), 0);
        assert_eq!(server.unprotect_rtcp(&mut bytes), Err(Drop::Unencrypted));
    }
}

#[test]
fn keys_end_after_as_many_packets_as_they_may_protect() {
    let mut server = ours(Profile::AeadAes256Gcm);
    server.outgoing.rtcp_index = MAX_RTCP_INDEX;
    let mut buffer = rtcp(7, 0);
    buffer.resize(64, 0);
    assert!(server.protect_rtcp(&mut buffer, 8).is_ok());
    assert_eq!(server.protect_rtcp(&mut buffer, 8), Err(Drop::Exhausted));
}

#[test]
fn broken_headers_are_told_apart() {
    for profile in PROFILES {
        let mut server = ours(profile);
        let trailer = profile.trailer_bytes();
        let mut cases = vec![
            (vec![], Err(Drop::TooShort)),
            (rtp(7, 1, 0)[..11].to_vec(), Err(Drop::TooShort)),
            (rtp(7, 1, trailer - 1), Err(Drop::TooShort)),
            (rtp(7, 1, trailer), Err(Drop::AuthFailed)),
            (rtp_with_everything(7, 1)[..27].to_vec(), Err(Drop::TooShort)),
        ];
        let mut version = rtp(7, 1, 40);
        version[0] = 0x40;
        cases.push((version, Err(Drop::BadHeader)));
        let mut long = rtp_with_everything(7, 1);
        long[22] = 0xff;
        cases.push((long, Err(Drop::TooShort)));
        for (bytes, expected) in cases {
            assert_eq!(open(&mut server, &bytes), expected, "{profile:?} {bytes:?}");
        }
        assert_eq!(server.unprotect_rtcp(&mut rtcp(7, 0)), Err(Drop::TooShort));
        assert_eq!(server.protect_rtp(&mut rtp(7, 1, 10), 22), Err(Drop::TooLong));
        assert_eq!(server.protect_rtp(&mut rtp(7, 1, 10), 23), Err(Drop::TooLong));
    }
}

#[test]
fn keys_of_the_wrong_length_are_none() {
    for profile in PROFILES {
        let material = material(profile);
        assert!(Keys::new(profile, &material[1..]).is_none());
    }
}
