//! What holds for every parser whatever bytes it meets. Fuzz targets and `tests/mutations.rs` share it.
//!
//! Each function panics where its parser does, or where something that was read cannot be written and read again.

use anchor_sft::ids::Ssrc;
use anchor_sft::limits::{MAX_RTP_BYTES, MAX_SDP_BYTES};
use anchor_sft::proto::client;
use anchor_sft::proto::link::datagram::{Datagram, MAX_HEADER_BYTES};
use anchor_sft::proto::link::frame::{self, Decoder};
use anchor_sft::proto::link::message::Message;
use anchor_sft::proto::rtcp::{self, Nack, Packet, ReportBlock, SenderReport, TransportFeedback};
use anchor_sft::proto::rtp::{self, Header, Incoming, Rewrite, normalise, rewrite};
use anchor_sft::proto::sdp::Answer;
use anchor_sft::proto::stun::{self, Check};

/// The ufrag that sample checks are for.
pub const UFRAG: &str = "evtj";
/// The password that sample checks are signed with.
pub const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// A check that is accepted can be answered, and the session it is for was found.
pub fn stun(bytes: &[u8]) {
    let ufrag = stun::ufrag_of(bytes);
    if let Ok(check) = Check::parse(bytes, UFRAG, PASSWORD) {
        assert_eq!(ufrag, Some(UFRAG));
        let from = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        assert!(!check.success(from, PASSWORD).is_empty());
        assert!(!check.role_conflict(PASSWORD).is_empty());
    }
}

/// A packet's normal form is its own, is no longer, and says the same but for what is hop-by-hop.
pub fn rtp(bytes: &[u8]) {
    let Ok((header, before)) = rtp::incoming(bytes) else {
        return;
    };
    let _ = rtp::transport_sequence(&header, bytes);
    let mut normal = [0; MAX_RTP_BYTES];
    let length = normalise(bytes, &header, &mut normal).expect("a normal packet is no longer");
    assert!(length <= bytes.len());
    let normal = &normal[..length];
    let (normal_header, after) = rtp::incoming(normal).expect("what was written is read");
    let payload = header.payload(bytes);
    assert_eq!(after, Incoming { layer: None, ..before });
    assert_eq!(normal_header.payload(normal), payload);
    let mut again = [0; MAX_RTP_BYTES];
    let length = normalise(normal, &normal_header, &mut again).expect("it fitted before");
    assert_eq!(&again[..length], normal);
    let to = Rewrite {
        ssrc: Ssrc(1),
        sequence: 2,
        timestamp: 3,
        csrc: Ssrc(4),
    };
    let mut out = [0; MAX_RTP_BYTES + 4];
    let length = rewrite(normal, to, &mut out).expect("one source more fits");
    let out = &out[..length];
    let rewritten = Header::parse_protected(out).expect("what was written is read");
    assert_eq!(
        (rewritten.ssrc, rewritten.sequence, rewritten.timestamp),
        (to.ssrc, to.sequence, to.timestamp)
    );
    assert_eq!((rewritten.csrc_count, rewritten.marker), (1, header.marker));
    assert_eq!(rewritten.payload(out), payload);
}

/// Every iterator ends, and what we also write says the same when it is read again.
pub fn rtcp(bytes: &[u8]) {
    for packet in rtcp::packets(bytes) {
        match packet {
            Ok(Packet::SenderReport(report)) => sender_report(report),
            Ok(Packet::ReceiverReport(report)) => {
                let blocks: Vec<_> = report.blocks.collect();
                let out = written(|out| rtcp::write_receiver_report(report.sender, &blocks, out));
                let Some(Ok(Packet::ReceiverReport(again))) = rtcp::packets(&out).next() else {
                    panic!("unreadable")
                };
                assert_eq!(
                    (again.sender, again.blocks.collect::<Vec<ReportBlock>>()),
                    (report.sender, blocks)
                );
            }
            Ok(Packet::Nack(packet)) => nack(packet),
            Ok(Packet::TransportFeedback(feedback)) => transport_feedback(feedback),
            Ok(Packet::Fir(fir)) => assert!(fir.requests().count() <= bytes.len()),
            Ok(Packet::Remb(remb)) => assert!(remb.streams().count() <= bytes.len()),
            Ok(Packet::Bye(bye)) => assert!(bye.sources().count() <= 31),
            Ok(Packet::Pli { .. } | Packet::Other { .. }) | Err(_) => {}
        }
    }
}

fn sender_report(report: SenderReport) {
    let blocks: Vec<_> = report.blocks.collect();
    let out = written(|out| rtcp::write_sender_report(&report.totals, &blocks, out));
    let Some(Ok(Packet::SenderReport(again))) = rtcp::packets(&out).next() else {
        panic!("unreadable")
    };
    assert_eq!(
        (again.totals, again.blocks.collect::<Vec<ReportBlock>>()),
        (report.totals, blocks)
    );
}

fn nack(nack: Nack) {
    let sequences: Vec<_> = nack.sequences().collect();
    let out = written(|out| rtcp::write_nack(nack.sender, nack.media, &sequences, out));
    let Some(Ok(Packet::Nack(again))) = rtcp::packets(&out).next() else {
        panic!("unreadable")
    };
    let set = |numbers: &mut dyn Iterator<Item = u16>| numbers.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(set(&mut again.sequences()), set(&mut sequences.into_iter()));
}

fn transport_feedback(feedback: TransportFeedback) {
    let statuses: Vec<_> = feedback.statuses().collect();
    assert_eq!(statuses.len(), usize::from(feedback.count));
    let deltas: Vec<_> = statuses.iter().map(|(_, delta)| *delta).collect();
    if deltas.is_empty() {
        return;
    }
    let out = written(|out| rtcp::write_transport_feedback(&feedback.head, &deltas, out));
    let Some(Ok(Packet::TransportFeedback(again))) = rtcp::packets(&out).next() else {
        panic!("unreadable")
    };
    assert_eq!(again.head, feedback.head);
    assert_eq!(again.statuses().collect::<Vec<_>>(), statuses);
}

/// The largest that can come out of a datagram of 64 KiB: entries may be written less tightly than they came.
fn written(write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut out = vec![0; 1 << 18];
    let length = write(&mut out).expect("what was read can be written");
    out.truncate(length);
    out
}

/// An answer that is accepted has what ICE and DTLS need.
pub fn sdp_answer(bytes: &[u8]) {
    let Ok(answer) = std::str::from_utf8(bytes)
        .map_err(drop)
        .and_then(|text| Answer::parse(text).map_err(drop))
    else {
        return;
    };
    assert!(bytes.len() <= MAX_SDP_BYTES);
    assert!((4..=256).contains(&answer.ufrag.len()) && (22..=256).contains(&answer.password.len()));
    assert!(answer.audio != Ssrc(0) && answer.video != Some(Ssrc(0)));
}

/// A client's message is read or refused.
pub fn client_json(bytes: &[u8]) {
    if let Ok(message) = client::Message::parse(bytes) {
        let _ = message.conference_id();
    }
}

/// Frames are the same whatever pieces they came in, and what was read can be written and read again.
pub fn link_frame(bytes: &[u8]) {
    let whole = decoded(&[bytes]);
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    assert_eq!(whole, decoded(&[head, tail]));
    for message in whole.0 {
        if let Ok(frame) = frame::encode(&message) {
            assert_eq!(decoded(&[&frame]), (vec![message], None));
        }
    }
}

fn decoded(pieces: &[&[u8]]) -> (Vec<Message>, Option<frame::BadFrame>) {
    let (mut decoder, mut messages) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(bad) => return (messages, Some(bad)),
            }
        }
    }
    (messages, None)
}

/// A datagram that was read can be written and read again.
pub fn link_datagram(bytes: &[u8]) {
    let Ok(datagram) = Datagram::parse(bytes) else { return };
    let mut out = vec![0; bytes.len() + MAX_HEADER_BYTES];
    let length = datagram.write(&mut out).expect("there is room");
    assert!(length <= bytes.len());
    assert_eq!(Datagram::parse(&out[..length]), Ok(datagram));
}
