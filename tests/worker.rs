//! A worker with clients in memory: from CONFCONN to packets at the receivers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::time::Duration;

use anchor_sft::limits::SETUP_TIMEOUT;
use anchor_sft::proto::client::Status;
use anchor_sft::proto::rtcp::{Packet, packets};
use anchor_sft::proto::rtp::Header;
use anchor_sft::worker::half_open::Bounds;
use anchor_sft::worker::{Command, Verdict};

use hall::{Hall, WIDE, audio, audio_of, video};

#[path = "support/hall.rs"]
mod hall;
#[path = "support/memory_peer.rs"]
mod peer;

#[test]
fn a_picture_reaches_all_others_once_sealed_and_under_their_slots() {
    let mut hall = Hall::of(4);
    for sequence in 0..20 {
        let mut sealed = hall.guests[0].peer.protect_rtp(&video(sequence, sequence == 0));
        hall.send(0, &mut sealed);
    }
    hall.exchange();
    assert!(
        hall.guests[0].opened_media().is_empty(),
        "nothing comes back to its sender"
    );
    for guest in &mut hall.guests[1..] {
        let came = guest.opened_media();
        let headers: Vec<Header> = came.iter().map(|packet| Header::parse(packet).unwrap()).collect();
        assert_eq!(headers.len(), 20, "{}", guest.user);
        assert!(
            guest.offer.contains(&format!("a=ssrc:{} ", headers[0].ssrc.0)),
            "the slot was offered"
        );
        for (packet, next) in headers.iter().zip(&headers[1..]) {
            assert_eq!(next.sequence, packet.sequence.wrapping_add(1));
        }
        assert!(
            came.iter().all(|packet| packet.ends_with(&[7; 1000])),
            "the payload is untouched"
        );
    }
}

#[test]
fn a_voice_reaches_all_others() {
    let mut hall = Hall::of(3);
    for sequence in 0..10 {
        let mut sealed = hall.guests[1].peer.protect_rtp(&audio(sequence, audio_of(1)));
        hall.send(1, &mut sealed);
        hall.pass(Duration::from_millis(20));
    }
    for (number, expected) in [(0, 10), (1, 0), (2, 10)] {
        assert_eq!(hall.guests[number].opened_media().len(), expected, "guest {number}");
    }
}

#[test]
fn what_is_published_is_counted_by_kind() {
    let mut hall = Hall::of(3);
    let mut sealed = hall.guests[0].peer.protect_rtp(&video(0, true));
    hall.send(0, &mut sealed);
    hall.worker.fold();
    let text = hall.metrics.render();
    for line in ["sft_streams{kind=\"audio\"} 3\n", "sft_streams{kind=\"video\"} 1\n"] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[test]
fn senders_hear_how_their_packets_arrive() {
    let mut hall = Hall::of(2);
    for sequence in 0..60 {
        let mut sealed = hall.guests[0].peer.protect_rtp(&video(sequence, sequence == 0));
        hall.send(0, &mut sealed);
        hall.pass(Duration::from_millis(20));
    }
    let (mut feedback, mut blocks) = (0, Vec::new());
    for report in hall.guests[0].opened_reports() {
        for packet in packets(&report) {
            match packet.unwrap() {
                Packet::TransportFeedback(_) => feedback += 1,
                Packet::ReceiverReport(report) => blocks.extend(report.blocks),
                _ => {}
            }
        }
    }
    assert!((8..=13).contains(&feedback), "{feedback} in 1.2 s");
    assert_eq!((blocks.len(), blocks[0].fraction_lost), (1, 0));
}

#[test]
fn the_half_open_budget_refuses_and_recovers() {
    let mut hall = Hall::new(Bounds {
        per_conference: 2,
        ..WIDE
    });
    let refused = Verdict::Refused {
        status: Status::AuthLimit,
        reason: "limit",
    };
    assert!(matches!(hall.ask("u1"), Verdict::Offer(_)));
    assert!(matches!(hall.ask("u2"), Verdict::Offer(_)));
    assert_eq!(hall.ask("u3"), refused);
    let counted = "sft_join_refused_total{reason=\"half_open_conference\"} 1\n";
    assert!(
        hall.metrics.render().contains(counted),
        "which bound it was is counted, not told"
    );
    hall.pass(SETUP_TIMEOUT + Duration::from_millis(100));
    assert!(hall.worker.is_idle(), "nobody answered, so nobody stays");
    assert!(matches!(hall.ask("u3"), Verdict::Offer(_)));
}

#[test]
fn garbage_on_every_path_ends_nobody() {
    let mut hall = Hall::of(2);
    let paths = [hall.guests[0].path, hall.guests[1].path];
    for seed in 0..2000_u32 {
        let byte = |at: u32| (seed.wrapping_mul(2_654_435_761).wrapping_add(at.wrapping_mul(40_503)) >> 13) as u8;
        let mut datagram: Vec<u8> = (0..seed % 200).map(byte).collect();
        let mut path = paths[seed as usize % 2];
        if seed % 3 == 0 {
            path.remote.set_port(9);
        }
        hall.worker.datagram(hall.now, path, &mut datagram);
    }
    hall.exchange();
    let mut sealed = hall.guests[0].peer.protect_rtp(&video(0, true));
    hall.send(0, &mut sealed);
    hall.exchange();
    assert_eq!(hall.guests[1].opened_media().len(), 1);
}

#[test]
fn another_clients_path_cannot_be_taken_with_a_forged_check() {
    let mut hall = Hall::of(3);
    let victim = hall.guests[1].path;
    let mut check = hall.guests[2].peer.check(false);
    hall.worker.datagram(hall.now, victim, &mut check);
    hall.worker.settle(hall.now);
    // The victim would not know what to do with the answer.
    hall.worker.outbox().drain(|_, _, _| ());
    let mut sealed = hall.guests[1].peer.protect_rtp(&audio(0, audio_of(1)));
    hall.send(1, &mut sealed);
    hall.exchange();
    assert_eq!(hall.guests[0].opened_media().len(), 1, "the victim is still heard");
}

#[test]
fn the_end_of_the_process_is_said_to_everyone() {
    let mut hall = Hall::of(2);
    hall.worker.command(hall.now, Command::Stop);
    hall.exchange();
    hall.pass(Duration::from_secs(1));
    assert!(hall.worker.is_idle());
    for guest in &hall.guests {
        assert_eq!(guest.heard("HANGUP").len(), 1, "{}", guest.user);
        assert!(guest.peer.closed, "{}", guest.user);
    }
}
