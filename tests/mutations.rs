//! Every parser meets packets that were right once: 20 000 mutations each, from a seed that a failure prints.
//!
//! The samples are what browsers and SFTs sent (`fixtures/captured-*`), and by hand what they may send and did not. `fuzz/` looks
//! deeper, from the same invariants.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "../fuzz/invariants.rs"]
mod invariants;

const MUTATIONS: u64 = 20_000;
/// Numbers that lengths and counts go wrong at.
const EDGES: [u8; 8] = [0, 1, 3, 4, 0x7f, 0x80, 0xfe, 0xff];

/// Runs one parser over mutations of its samples, and over the samples as they are.
fn survives(parser: fn(&[u8]), samples: &[Vec<u8>]) {
    for sample in samples {
        parser(sample);
    }
    for seed in 0..MUTATIONS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mutant = mutant(&mut rng, samples);
        let survived = catch_unwind(AssertUnwindSafe(|| parser(&mutant)));
        assert!(survived.is_ok(), "seed {seed}: {mutant:02x?}");
    }
}

fn mutant(rng: &mut ChaCha8Rng, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = samples[rng.random_range(0..samples.len())].clone();
    for _ in 0..rng.random_range(1..4) {
        mutate(rng, &mut bytes);
    }
    bytes
}

fn mutate(rng: &mut impl Rng, bytes: &mut Vec<u8>) {
    // Half of all changes are in the first bytes: that is where headers are.
    let near = if rng.random() { bytes.len().min(24) } else { bytes.len() };
    let at = rng.random_range(0..near.max(1));
    if at >= bytes.len() {
        bytes.push(rng.random());
        return;
    }
    match rng.random_range(0..7) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => bytes[at] = EDGES[rng.random_range(0..EDGES.len())],
        3 => bytes.truncate(at),
        4 => bytes.insert(at, rng.random()),
        5 => drop(bytes.remove(at)),
        _ => {
            let end = (at + rng.random_range(1..64)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, copy);
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The packets of a capture: hex in paragraphs, with comments.
fn captured(text: &str) -> Vec<Vec<u8>> {
    let is_hex = |line: &&str| !line.starts_with('#');
    let paragraph = |lines: &str| hex(&lines.lines().filter(is_hex).collect::<String>());
    let packets = text.split("\n\n").map(paragraph);
    packets.filter(|packet| !packet.is_empty()).collect()
}

fn checks() -> Vec<Vec<u8>> {
    // The sample request of RFC 5769 §2.1.
    let check = hex(
        "00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74
        00240004 6e0001ff 80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020
        00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf",
    );
    [vec![check], captured(include_str!("fixtures/captured-stun.hex"))].concat()
}

#[test]
fn connectivity_checks() {
    survives(invariants::stun, &checks());
}

fn rtp_samples() -> Vec<Vec<u8>> {
    let samples = [
        // Opus with audio level, time of sending.
        "906f1234 00001111 deadbeef bede0002 10852212 34560000 78112233 44",
        // VP8, first of a key frame: time of sending, transport sequence, rid, generic descriptor; both forms.
        "90641234 00001111 deadbeef bede0005 22123456 31000140 6cb6b000 01000140 00f00000 10203040 50607080",
        "90e41235 00001111 deadbeef 10000004 02031234 56030200 01040168 0b01b800 10203040",
        // Dependency descriptor with a structure, one CSRC, padding.
        "b1641236 00001111 deadbeef 0000cafe bede0002 63c00001 80000000 10203040 00000004",
        // Probing: padding only.
        "b0e51237 00001111 deadbeef bede0001 31000200 00000004",
    ];
    let captured = captured(include_str!("fixtures/captured-rtp.hex"));
    [samples.map(hex).to_vec(), captured].concat()
}

#[test]
fn rtp_packets() {
    survives(invariants::rtp, &rtp_samples());
}

fn rtcp_samples() -> Vec<Vec<u8>> {
    let samples = [
        // Sender report with a block, and SDES.
        "81c8000c deadbeef e6f1c2d3 12345678 00001111 00000010 00001000 cafebabe 10000003 00011234 00000020 c2d31234 00010000
         81ca0003 deadbeef 01066162 63646566",
        // Receiver report, NACK, PLI, FIR.
        "80c90001 deadbeef 81cd0004 deadbeef cafebabe 12340005 12608001 81ce0002 deadbeef cafebabe
         84ce0004 deadbeef 00000000 cafebabe 07000000",
        // Transport-wide feedback: a run, a vector of each kind, both sizes of deltas, padding.
        "afcd0009 deadbeef cafebabe fff00017 00123401 2002a5aa c2400102 03040506 0708ff10 20300002",
        // REMB and goodbye.
        "8fce0005 deadbeef 00000000 52454d42 010bffff cafebabe 82cb0002 deadbeef cafebabe",
    ];
    let captured = captured(include_str!("fixtures/captured-rtcp.hex"));
    [samples.map(hex).to_vec(), captured].concat()
}

#[test]
fn rtcp_packets() {
    survives(invariants::rtcp, &rtcp_samples());
}

#[test]
fn sdp_answers() {
    let samples = [
        include_bytes!("fixtures/answer-simulcast.sdp").to_vec(),
        include_bytes!("fixtures/answer-audio-only.sdp").to_vec(),
        include_bytes!("fixtures/answer-browser.sdp").to_vec(),
    ];
    survives(invariants::sdp_answer, &samples);
}

#[test]
fn client_messages() {
    let samples: Vec<_> = include_str!("fixtures/client-messages.jsonl")
        .lines()
        .map(|line| line.as_bytes().to_vec())
        .collect();
    survives(invariants::client_json, &samples);
}

fn frame_samples() -> impl Iterator<Item = &'static str> {
    let captured = include_str!("fixtures/captured-frames.jsonl").lines();
    include_str!("fixtures/link-messages.jsonl").lines().chain(captured)
}

#[test]
fn link_frames() {
    let samples: Vec<_> = frame_samples()
        .map(|line| [&u32::try_from(line.len()).unwrap().to_be_bytes(), line.as_bytes()].concat())
        .collect();
    let both = samples.concat();
    survives(invariants::link_frame, &[samples, vec![both]].concat());
}

fn datagram_samples() -> Vec<Vec<u8>> {
    let samples = [
        "0503 90641234",
        "40410112 34906412 34",
        "80010000 021234aa bb",
        "c0000000 00000001 03aabb",
        "0007aa",
    ];
    let captured = captured(include_str!("fixtures/captured-datagrams.hex"));
    [samples.map(hex).to_vec(), captured].concat()
}

#[test]
fn link_datagrams() {
    survives(invariants::link_datagram, &datagram_samples());
}

#[test]
fn the_samples_are_good_ones() {
    for (samples, least) in [
        (checks(), 9),
        (rtp_samples(), 16),
        (rtcp_samples(), 15),
        (datagram_samples(), 15),
    ] {
        assert!(samples.len() >= least, "{} samples", samples.len());
    }
    // A sample that its parser refuses would test nothing but the refusal.
    use anchor_sft::proto::{client, link, rtcp, rtp, stun};
    for check in checks() {
        assert!(stun::Check::parse(&check, invariants::UFRAG, invariants::PASSWORD).is_ok());
    }
    for packet in rtp_samples() {
        assert!(rtp::incoming(&packet).is_ok(), "{packet:02x?}");
    }
    for compound in rtcp_samples() {
        assert!(rtcp::packets(&compound).all(|packet| packet.is_ok()), "{compound:02x?}");
    }
    for datagram in datagram_samples() {
        assert!(link::datagram::Datagram::parse(&datagram).is_ok(), "{datagram:02x?}");
    }
    for line in include_str!("fixtures/client-messages.jsonl").lines() {
        assert!(client::Message::parse(line.as_bytes()).is_ok(), "{line}");
    }
    for line in frame_samples() {
        assert!(link::frame::parse(line.as_bytes()).is_ok(), "{line}");
    }
}
