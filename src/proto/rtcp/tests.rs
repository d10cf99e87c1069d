//! What is written is read again, by us and by another implementation; what is malformed ends the compound.

use std::fmt::Write;

use rtc_rtcp::packet::unmarshal;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

use super::*;

const SENDER: Ssrc = Ssrc(0x0102_0304);
const MEDIA: Ssrc = Ssrc(0x0506_0708);

fn written(write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut out = vec![0xee; 1500];
    let length = write(&mut out).unwrap();
    out.truncate(length);
    out
}

fn block() -> ReportBlock {
    ReportBlock {
        ssrc: MEDIA,
        fraction_lost: 64,
        cumulative_lost: -3,
        highest: 0x0001_ffff,
        jitter: 5,
        last_sender_report: 6,
        delay: 7,
    }
}

fn totals() -> SenderTotals {
    SenderTotals {
        ssrc: SENDER,
        ntp: NtpTime(0x0001_0002_0003_0004),
        timestamp: 3,
        packets: 4,
        octets: 5,
    }
}

/// Everything we understand, told in words.
fn told(compound: &[u8]) -> String {
    let mut text = String::new();
    for packet in packets(compound) {
        let _ = match packet {
            Err(bad) => writeln!(text, "{bad:?}"),
            Ok(Packet::SenderReport(report)) => {
                writeln!(text, "sr {:?} {:?}", report.totals, report.blocks.collect::<Vec<_>>())
            }
            Ok(Packet::ReceiverReport(report)) => {
                writeln!(text, "rr {:?} {:?}", report.sender, report.blocks.collect::<Vec<_>>())
            }
            Ok(Packet::Nack(nack)) => writeln!(text, "nack {:?}", nack.sequences().collect::<Vec<_>>()),
            Ok(Packet::Pli { media, .. }) => writeln!(text, "pli {media:?}"),
            Ok(Packet::Fir(fir)) => writeln!(text, "fir {:?}", fir.requests().collect::<Vec<_>>()),
            Ok(Packet::TransportFeedback(feedback)) => {
                writeln!(text, "twcc {:?}", feedback.statuses().collect::<Vec<_>>())
            }
            Ok(Packet::Remb(remb)) => {
                writeln!(text, "remb {:?} {:?}", remb.bitrate, remb.streams().collect::<Vec<_>>())
            }
            Ok(Packet::Bye(bye)) => writeln!(text, "bye {:?}", bye.sources().collect::<Vec<_>>()),
            Ok(Packet::Other { packet_type, format }) => writeln!(text, "other {packet_type} {format}"),
        };
    }
    text
}

#[test]
fn reports_are_read_as_they_were_written() {
    let report = written(|out| write_sender_report(&totals(), &[block()], out));
    assert_eq!(told(&report), format!("sr {:?} {:?}\n", totals(), [block()]));
    let report = written(|out| write_receiver_report(SENDER, &[block(), block()], out));
    assert_eq!(told(&report), format!("rr {SENDER:?} {:?}\n", [block(), block()]));
    assert_eq!(totals().ntp.middle(), 0x0002_0003);
}

#[test]
fn reports_have_bounds() {
    let mut out = [0; 2000];
    assert!(write_receiver_report(SENDER, &[block(); 31], &mut out).is_some());
    assert_eq!(write_receiver_report(SENDER, &[block(); 32], &mut out), None);
    assert_eq!(write_receiver_report(SENDER, &[block()], &mut out[..31]), None);
}

#[test]
fn another_implementation_reads_our_reports() {
    let mut compound = written(|out| write_sender_report(&totals(), &[block()], out));
    compound.extend(written(|out| write_receiver_report(SENDER, &[block()], out)));
    compound.extend(written(|out| write_pli(SENDER, MEDIA, out)));
    let theirs = unmarshal(&mut &*compound).unwrap();
    let printed = format!("{theirs:?}");
    assert_eq!(theirs.len(), 3);
    for part in [
        "fraction_lost: 64",
        "last_sequence_number: 131071",
        "jitter: 5",
        "delay: 7",
        "PictureLossIndication",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
}

#[test]
fn nacks_pack_seventeen_numbers_into_an_entry() {
    for (sequences, entries) in [
        (&[7][..], 1),
        (&[7, 8, 23], 1),
        (&[7, 24], 2),
        (&[0xffff, 0, 15], 1),
        (&[0xfffe, 0xfffe, 1, 100, 101], 2),
    ] {
        let nack = written(|out| write_nack(SENDER, MEDIA, sequences, out));
        assert_eq!(nack.len(), 12 + 4 * entries, "{sequences:?}");
        let mut unique = sequences.to_vec();
        unique.dedup();
        assert_eq!(told(&nack), format!("nack {unique:?}\n"));
        let theirs = unmarshal(&mut &*nack).unwrap();
        let theirs = theirs[0].as_any().downcast_ref::<TransportLayerNack>().unwrap();
        let mut numbers: Vec<u16> = theirs.nacks.iter().flat_map(|pair| pair.into_iter()).collect();
        numbers.dedup();
        assert_eq!(numbers, unique);
    }
    assert_eq!(write_nack(SENDER, MEDIA, &[], &mut [0; 100]), None);
}

#[test]
fn what_others_send_is_understood() {
    for (packet, expected) in [
        (
            &[0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 5, 0, 0, 0][..],
            "fir [(Ssrc(9), 5)]\n",
        ),
        (
            &[
                0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0b, 0xff, 0xff, 0, 0, 0, 9,
            ],
            "remb Bitrate(1048572) [Ssrc(9)]\n",
        ),
        (
            &[
                0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 0, 0xff, 0xff, 0xff,
            ],
            "remb Bitrate(18446744073709551615) []\n",
        ),
        (
            &[0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, b'A', b'B', b'C', b'D'],
            "other 206 15\n",
        ),
        (&[0x82, 203, 0, 2, 0, 0, 0, 8, 0, 0, 0, 9], "bye [Ssrc(8), Ssrc(9)]\n"),
        (
            &[0x81, 203, 0, 3, 0, 0, 0, 8, 3, b'b', b'y', b'e', 0, 0, 0, 0],
            "bye [Ssrc(8)]\n",
        ),
        (&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 1, b'x', 0], "other 202 1\n"),
        (&[0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4], "rr Ssrc(1) []\n"),
    ] {
        assert_eq!(told(packet), expected);
    }
}

#[test]
fn a_malformed_packet_ends_the_compound_but_not_what_came_before() {
    let pli = written(|out| write_pli(SENDER, MEDIA, out));
    for (tail, why) in [
        (&[0x80][..], BadRtcp::TooShort),
        (&[0x80, 201, 0, 1], BadRtcp::TooShort),
        (&[0x40, 201, 0, 0], BadRtcp::Version),
        (&[0xa0, 201, 0, 1, 0, 0, 0, 0], BadRtcp::Padding),
        (&[0xa0, 201, 0, 1, 0, 0, 0, 5], BadRtcp::Padding),
        (&[0x80, 201, 0, 0], BadRtcp::Malformed),
        (&[0x81, 201, 0, 1, 0, 0, 0, 1], BadRtcp::Malformed),
        (&[0x80, 200, 0, 1, 0, 0, 0, 1], BadRtcp::Malformed),
        (&[0x81, 203, 0, 0], BadRtcp::Malformed),
        (&[0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1], BadRtcp::Malformed),
        (&[0x81, 206, 0, 1, 0, 0, 0, 1], BadRtcp::Malformed),
        (
            &[0x84, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
            BadRtcp::Malformed,
        ),
        // One packet in a chunk, and no delta; a run of none; a reserved status.
        (
            &[
                0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0x20, 3, 0x40, 0x40,
            ],
            BadRtcp::Malformed,
        ),
        (
            &[
                0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0x20, 0, 0, 0,
            ],
            BadRtcp::Malformed,
        ),
        (
            &[
                0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 1, 0, 0,
            ],
            BadRtcp::Malformed,
        ),
    ] {
        let mut compound = pli.clone();
        compound.extend(tail);
        let expected = format!("pli {MEDIA:?}\n{why:?}\n");
        assert_eq!(told(&compound), expected, "{tail:x?}");
        if why != BadRtcp::TooShort {
            compound.extend(&pli);
            assert_eq!(told(&compound), expected, "{tail:x?}");
        }
    }
}

/// Runs, vectors, small and large deltas, in every length around the chunks' own.
fn patterns() -> Vec<Vec<Option<i16>>> {
    let cycle = |of: &[Option<i16>], length: usize| of.iter().copied().cycle().take(length).collect::<Vec<_>>();
    let mut patterns = vec![];
    for length in [1, 2, 6, 7, 8, 13, 14, 15, 28, 100] {
        for of in [
            &[Some(0)][..],
            &[None],
            &[Some(256)],
            &[Some(-1)],
            &[Some(1), None],
            &[Some(i16::MAX), Some(i16::MIN), None],
            &[Some(255), Some(4), None, None, None, Some(300)],
        ] {
            patterns.push(cycle(of, length));
        }
    }
    let mut gap = vec![Some(1)];
    gap.resize(20_000, None);
    gap.push(Some(2));
    patterns.push(gap);
    patterns
}

#[test]
fn transport_feedback_is_read_as_it_was_written_and_by_another_implementation() {
    for deltas in patterns() {
        let head = TransportHead {
            sender: SENDER,
            media: MEDIA,
            base: 0xfff0,
            reference: 0x0102_0304 & 0xff_ffff,
            number: 9,
        };
        let packet = written(|out| write_transport_feedback(&head, &deltas, out));
        assert_eq!(packet.len() % 4, 0);
        let Some(Ok(Packet::TransportFeedback(ours))) = packets(&packet).next() else {
            panic!("unreadable: {deltas:?}");
        };
        assert_eq!(ours.head, head);
        let expected: Vec<_> = (0_u16..)
            .zip(&deltas)
            .map(|(step, delta)| (head.base.wrapping_add(step), *delta))
            .collect();
        assert_eq!(ours.statuses().collect::<Vec<_>>(), expected);
        let theirs = unmarshal(&mut &*packet).unwrap();
        let theirs = theirs[0].as_any().downcast_ref::<TransportLayerCc>().unwrap();
        assert_eq!(
            (theirs.base_sequence_number, theirs.reference_time),
            (head.base, head.reference)
        );
        assert_eq!(
            (usize::from(theirs.packet_status_count), theirs.fb_pkt_count),
            (deltas.len(), 9)
        );
        let ticks: Vec<i64> = theirs.recv_deltas.iter().map(|delta| delta.delta / 250).collect();
        let sent: Vec<i64> = deltas.iter().flatten().map(|delta| i64::from(*delta)).collect();
        assert_eq!(ticks, sent);
    }
}

#[test]
fn chunks_are_no_more_than_needed() {
    for (deltas, chunks) in [
        (vec![Some(1); 8191], 1),
        (vec![Some(1); 8192], 2),
        (vec![None; 20], 1),
        ([vec![Some(1); 7], vec![None; 7]].concat(), 1),
        ([vec![Some(1); 6], vec![Some(300); 1]].concat(), 1),
        ([vec![Some(1); 14], vec![Some(300); 7]].concat(), 2),
    ] {
        let mut out = vec![0; 20_000];
        let length = write_transport_feedback(&TransportHead::default(), &deltas, &mut out).unwrap();
        let of_deltas: usize = deltas
            .iter()
            .flatten()
            .map(|delta| if (0..256).contains(delta) { 1 } else { 2 })
            .sum();
        assert_eq!(length, (20 + 2 * chunks + of_deltas).next_multiple_of(4), "{chunks}");
    }
}
