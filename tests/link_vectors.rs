//! The vectors in `docs/link-protocol.md` are what the code says.

use anchor_sft::federation::capability::{Key, NodeTag, issue};
use anchor_sft::ids::{ConferenceId, Domain, FlowId, NodeName};
use anchor_sft::proto::link::datagram::{Datagram, Part};
use anchor_sft::proto::link::{frame, message::Message};

const DOCUMENT: &str = include_str!("../docs/link-protocol.md");

/// The lines of a block ```` ```vector NAME ````.
fn vector(name: &str) -> Vec<&'static str> {
    let opening = format!("```vector {name}\n");
    let (_, rest) = DOCUMENT.split_once(&opening).expect("the document has this vector");
    rest.split_once("```").expect("blocks end").0.lines().collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("the document has hex"))
        .collect()
}

#[test]
fn frames_are_as_documented() {
    let lines = vector("frame");
    let message: Message = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(hex(&frame::encode(&message).unwrap()), lines[1]);
}

#[test]
fn capabilities_are_as_documented() {
    let lines = vector("capability");
    let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    let key = Key::new(bytes(field("key")).try_into().unwrap());
    let domain = Domain::parse(field("domain")).unwrap();
    let conference = ConferenceId::parse(field("conference")).unwrap();
    let node = NodeTag::of(&NodeName::parse(field("node")).unwrap());
    assert_eq!(issue(&key, &domain, &conference, node), lines[4]);
}

#[test]
fn datagrams_are_as_documented() {
    let lines = vector("datagram");
    for pair in lines.chunks(2) {
        let words: Vec<&str> = pair[0].split(' ').collect();
        let part = match words[2] {
            "whole" => Part::Whole,
            "first" => Part::First(words[3].parse().unwrap()),
            other => panic!("{other}"),
        };
        let body = bytes(words.last().unwrap());
        let datagram = Datagram {
            flow: FlowId(words[1].parse().unwrap()),
            part,
            bundle: false,
            bytes: &body,
        };
        let mut out = [0; 64];
        let written = datagram.write(&mut out).unwrap();
        assert_eq!(hex(&out[..written]), pair[1]);
        assert_eq!(Datagram::parse(&bytes(pair[1])), Ok(datagram));
    }
}

#[test]
fn close_codes_are_as_documented() {
    for code in anchor_sft::proto::link::message::Code::ALL {
        let row = format!("| 0x{:x} | {} |", code.close_code(), code.as_str());
        assert!(DOCUMENT.contains(&row), "{row}");
    }
}
