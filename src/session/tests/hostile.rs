//! What a client or a stranger may send to break a session.

use super::*;

/// Bit flips, cuts and additions of real datagrams, into every entry point, at every stage.
#[test]
fn garbage_never_panics() {
    let mut rng = ChaCha12Rng::seed_from_u64(4711);
    let mut fed = 0;
    while fed < 24_000 {
        let mut pair = Pair::seeded(rng.next_u64());
        pair.check(true).unwrap();
        if rng.random() {
            pair.answer();
        }
        if rng.random() {
            pair.peer.start(pair.now);
        }
        for _ in 0..rng.random_range(0..3) {
            pair.exchange();
        }
        let mut seeds = vec![
            pair.peer.check(true),
            pair.peer.controlled_check(),
            rtp(5, 1, 60),
            receiver_report(5),
        ];
        seeds.extend(pair.peer.poll());
        seeds.extend(pair.to_peer.drain(..));
        if pair.opened > 0 {
            seeds.push(pair.peer.protect_rtp(&rtp(5, 1, 60)));
            seeds.push(pair.peer.protect_rtcp(&receiver_report(5)));
            pair.peer.send_text(pair.now, "hello");
            seeds.extend(pair.peer.poll());
        }
        for _ in 0..400 {
            let seed = rng.random_range(0..seeds.len());
            feed(&mut pair, mutate(&mut rng, &seeds[seed]), &mut rng);
            fed += 1;
        }
    }
}

fn feed(pair: &mut Pair, mut datagram: Vec<u8>, rng: &mut ChaCha12Rng) {
    pair.now += Duration::from_millis(rng.random_range(0..5));
    let (now, path) = (pair.now, pair.path);
    let _ = pair.session.stun(now, path, &datagram);
    let _ = pair.session.dtls(now, path, &datagram);
    let _ = pair.session.unprotect_rtcp(now, path, &mut datagram.clone());
    let _ = pair.session.unprotect_rtp(now, path, &mut datagram);
    let length = rng.random_range(0..datagram.len() + 20);
    let _ = pair.session.protect_rtp(&mut datagram.clone(), length);
    let _ = pair.session.protect_rtcp(&mut datagram, length);
    pair.session.handle_timeout(now);
    pair.collect();
}

fn mutate(rng: &mut ChaCha12Rng, seed: &[u8]) -> Vec<u8> {
    let mut datagram = seed.to_vec();
    for _ in 0..rng.random_range(0..4) {
        let at = rng.random_range(0..datagram.len().max(1));
        match rng.random_range(0..4) {
            0 => datagram.truncate(at),
            1 => datagram.extend((0..at % 40).map(|_| rng.random::<u8>())),
            2 => datagram
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = rng.random()),
            _ => datagram
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << (at % 8)),
        }
    }
    datagram
}

/// A client with keys may say anything in SCTP, with a right checksum.
#[test]
fn broken_sctp_never_panics() {
    let mut rng = ChaCha12Rng::seed_from_u64(815);
    let (mut fed, mut survived) = (0, 0);
    while fed < 6000 {
        let mut pair = Pair::open();
        pair.peer.send_text(pair.now, "hello");
        pair.exchange();
        let seeds = pair.peer.packets.clone();
        while pair.ended.is_none() && fed < 6000 {
            let seed = rng.random_range(0..seeds.len());
            let mut packet = mutate(&mut rng, &seeds[seed]);
            sign_sctp(&mut packet);
            pair.peer.send_packet(pair.now, &packet);
            pair.now += Duration::from_millis(rng.random_range(0..5));
            pair.exchange();
            pair.session.handle_timeout(pair.now);
            pair.collect();
            fed += 1;
            survived += usize::from(pair.ended.is_none());
        }
    }
    assert!(
        survived > fed / 2,
        "noise ends few sessions: {survived} of {fed} packets did not"
    );
}

#[test]
fn a_second_init_does_not_take_the_channel_over() {
    let mut pair = Pair::open();
    let mut init = pair.peer.packets[0].clone();
    assert_eq!(init[12], 1, "the first chunk is INIT");
    init[19] ^= 1;
    sign_sctp(&mut init);
    pair.peer.send_packet(pair.now, &init);
    pair.exchange();
    pair.session.send_text(pair.now, "still here").unwrap();
    pair.peer.send_text(pair.now, "me too");
    pair.exchange();
    assert_eq!(pair.peer.texts, [b"still here"]);
    assert_eq!(pair.texts, [b"me too"]);
}

/// CRC-32C with the checksum field zero (RFC 9260 §6.8).
fn sign_sctp(packet: &mut [u8]) {
    let Some(field) = packet.get_mut(8..12) else {
        return;
    };
    field.fill(0);
    let mut crc = u32::MAX;
    for byte in packet.iter() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    packet[8..12].copy_from_slice(&(!crc).to_le_bytes());
}
