//! Renders offers.
//!
//! Clients read more out of an offer than RFCs say. Each oddity below is there because a stock client fails without it: the tool
//! line tells it that we select streams, the upload of video must carry `a=msid` and have the mid `video`, the Opus parameters must
//! end in `sprop-stereo=0;useinbandfec=1`, and `a=simulcast:recv l;h` is searched for as this very string.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::ids::Ssrc;

/// The SSRCs of a video slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VideoSlot {
    /// Of the video.
    pub media: Ssrc,
    /// Of its retransmissions (RFC 4588).
    pub repair: Ssrc,
}

/// What differs from offer to offer.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    /// For the origin line; the highest bit is not used (RFC 9429 §5.2.1).
    pub session_id: u64,
    /// Ours, for ICE.
    pub ufrag: &'a str,
    /// Ours, for ICE.
    pub password: &'a str,
    /// SHA-256 of our DTLS certificate.
    pub fingerprint: &'a [u8; 32],
    /// Where we are reached over UDP, best first.
    pub candidates: &'a [SocketAddr],
    /// The client can send two layers.
    pub simulcast: bool,
    /// In the order of their m-lines.
    pub audio_slots: &'a [Ssrc],
    /// In the order of their m-lines, after those of audio.
    pub video_slots: &'a [VideoSlot],
    /// Our version, for people.
    pub version: &'a str,
}

/// What clients take for our name and version: selection of audio and video is assumed from 2.1 on.
const TOOL: &str = "sftd 5.0.0";

/// Renders an offer: lines end in CR LF.
#[must_use]
pub fn offer(offer: &Offer) -> String {
    let mut sdp = Sdp {
        offer,
        text: String::with_capacity(1024 * (3 + offer.audio_slots.len() + offer.video_slots.len())),
    };
    sdp.session();
    sdp.upload_audio();
    sdp.upload_video();
    sdp.channel();
    for (mid, ssrc) in (1_usize..).zip(offer.audio_slots) {
        sdp.audio_slot(mid, *ssrc);
    }
    for (mid, slot) in (offer.audio_slots.len() + 1..).zip(offer.video_slots) {
        sdp.video_slot(mid, *slot);
    }
    sdp.text
}

struct Sdp<'a> {
    offer: &'a Offer<'a>,
    text: String,
}

/// Appends lines. Writing to a string cannot fail.
macro_rules! lines {
    ($sdp:expr, $($($part:expr),+);+ $(;)?) => {
        $({ let _ = write!($sdp.text, $($part),+); $sdp.text.push_str("\r\n"); })+
    };
}

impl Sdp<'_> {
    fn session(&mut self) {
        let slots = self.offer.audio_slots.len() + self.offer.video_slots.len();
        let mids: String = (1..=slots).map(|mid| format!(" {mid}")).collect();
        lines!(self,
            "v=0";
            "o=- {} 2 IN IP4 127.0.0.1", self.offer.session_id & (u64::MAX >> 1);
            "s=-";
            "t=0 0";
            "a=tool:{TOOL} (anchor-sft {})", self.offer.version;
            "a=ice-lite";
            "a=extmap-allow-mixed";
            "a=ice-options:trickle";
            "a=group:BUNDLE audio video data{mids}";
        );
    }

    fn upload_audio(&mut self) {
        let first = self.offer.candidates.first();
        let (port, at) = first.map_or((9, IpAddr::V4(Ipv4Addr::UNSPECIFIED)), |at| {
            (at.port(), at.ip().to_canonical())
        });
        let family = if at.is_ipv4() { "IP4" } else { "IP6" };
        lines!(self,
            "m=audio {port} UDP/TLS/RTP/SAVPF 111";
            "c=IN {family} {at}";
            "a=mid:audio";
            "a=ptime:20";
            "a=recvonly";
        );
        self.opus();
        lines!(self, "a=rtcp-fb:111 transport-cc"; "a=rtcp-mux");
        self.transport();
        self.candidates();
    }

    fn upload_video(&mut self) {
        self.media_line("video", "100 101");
        lines!(self,
            "a=mid:video";
            "a=recvonly";
            "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
            "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
            "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
            "a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
            "a=extmap:11 http://www.webrtc.org/experiments/rtp-hdrext/generic-frame-descriptor-00";
        );
        self.vp8();
        lines!(self,
            "a=rtcp-fb:100 transport-cc";
            "a=rtcp-mux";
            "a=rtcp-rsize";
            "a=msid:{} vtrack", name(self.offer.session_id, Ssrc(0));
        );
        if self.offer.simulcast {
            lines!(self, "a=rid:l recv"; "a=rid:h recv"; "a=simulcast:recv l;h");
        }
        self.transport();
    }

    fn channel(&mut self) {
        lines!(self,
            "m=application 9 DTLS/SCTP 5000";
            "c=IN IP4 127.0.0.1";
            "a=mid:data";
            "a=sctpmap:5000 webrtc-datachannel 16";
        );
        self.transport();
    }

    fn audio_slot(&mut self, mid: usize, ssrc: Ssrc) {
        self.media_line("audio", "111");
        lines!(self, "a=mid:{mid}"; "a=sendonly"; "a=rtcp-mux");
        self.opus();
        self.transport();
        self.source(ssrc, ssrc);
    }

    fn video_slot(&mut self, mid: usize, slot: VideoSlot) {
        self.media_line("video", "100 101");
        lines!(self,
            "a=mid:{mid}";
            "a=sendonly";
            "a=rtcp-mux";
            "a=rtcp-rsize";
            "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
            "a=extmap:11 http://www.webrtc.org/experiments/rtp-hdrext/generic-frame-descriptor-00";
        );
        self.vp8();
        self.transport();
        self.source(slot.media, slot.media);
        lines!(self, "a=ssrc-group:FID {} {}", slot.media.0, slot.repair.0);
        self.source(slot.repair, slot.media);
    }

    fn media_line(&mut self, kind: &str, payload_types: &str) {
        lines!(self, "m={kind} 9 UDP/TLS/RTP/SAVPF {payload_types}"; "c=IN IP4 127.0.0.1");
    }

    fn opus(&mut self) {
        lines!(self,
            "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on";
            "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
            "a=rtpmap:111 opus/48000/2";
            "a=fmtp:111 stereo=0;sprop-stereo=0;useinbandfec=1";
        );
    }

    fn vp8(&mut self) {
        lines!(self,
            "a=rtpmap:100 VP8/90000";
            "a=rtpmap:101 rtx/90000";
            "a=fmtp:101 apt=100";
            "a=rtcp-fb:100 nack";
            "a=rtcp-fb:100 nack pli";
        );
    }

    /// BUNDLE makes the first m-line's transport everyone's, but stock clients read it from each.
    fn transport(&mut self) {
        let hex: Vec<String> = self
            .offer
            .fingerprint
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        lines!(self,
            "a=ice-ufrag:{}", self.offer.ufrag;
            "a=ice-pwd:{}", self.offer.password;
            "a=fingerprint:sha-256 {}", hex.join(":");
            "a=setup:actpass";
        );
    }

    fn candidates(&mut self) {
        for (index, at) in self.offer.candidates.iter().enumerate() {
            let (address, port) = (at.ip().to_canonical(), at.port());
            // Each has its own address, hence its own foundation (RFC 8445 §5.1.1.3).
            lines!(
                self,
                "a=candidate:{} 1 udp {} {address} {port} typ host",
                index + 1,
                priority(index)
            );
        }
        lines!(self, "a=end-of-candidates");
    }

    fn source(&mut self, ssrc: Ssrc, slot: Ssrc) {
        let (ssrc, name) = (ssrc.0, name(self.offer.session_id, slot));
        lines!(self, "a=ssrc:{ssrc} cname:{name}"; "a=ssrc:{ssrc} msid:{name} {name}");
    }
}

/// Of the host candidate with this index, best first (RFC 8445 §5.1.2.1: type preference 126, component 1).
fn priority(index: usize) -> u32 {
    let local = u16::MAX.saturating_sub(u16::try_from(index).unwrap_or(u16::MAX));
    126 << 24 | u32::from(local) << 8 | 255
}

/// A stream id of 36 characters, in the form of a UUID, as clients expect it: other in every offer and slot.
fn name(session_id: u64, slot: Ssrc) -> String {
    let (high, low) = (session_id >> 48, session_id & 0xffff_ffff_ffff);
    format!("{:08x}-{high:04x}-4000-8000-{low:012x}", slot.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: Offer = Offer {
        session_id: 1_795_304_668_459,
        ufrag: "d525",
        password: "89bea0cbe36eb8d5cebbd1",
        fingerprint: &[0xa0; 32],
        candidates: &[
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000),
            SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 10_000),
        ],
        simulcast: true,
        audio_slots: &[Ssrc(11)],
        video_slots: &[VideoSlot {
            media: Ssrc(21),
            repair: Ssrc(22),
        }],
        version: "0.1.0",
    };

    #[test]
    fn an_offer_has_the_golden_shape() {
        let golden = include_str!("../../../tests/fixtures/offer.sdp");
        let rendered = offer(&EXAMPLE);
        for (index, (line, expected)) in rendered.lines().zip(golden.lines()).enumerate() {
            assert_eq!(line, expected, "line {}", index + 1);
        }
        assert_eq!(rendered, golden);
    }

    #[test]
    fn a_client_without_simulcast_is_offered_none() {
        let plain = offer(&Offer {
            simulcast: false,
            ..EXAMPLE
        });
        assert!(!plain.contains("a=simulcast") && !plain.contains("a=rid"));
        assert!(plain.contains("a=msid:"));
    }

    #[test]
    fn mids_count_through_audio_and_video_slots() {
        let (audio, video) = (
            [Ssrc(1); 5],
            [VideoSlot {
                media: Ssrc(2),
                repair: Ssrc(3),
            }; 9],
        );
        let rendered = offer(&Offer {
            audio_slots: &audio,
            video_slots: &video,
            ..EXAMPLE
        });
        assert!(rendered.contains("a=group:BUNDLE audio video data 1 2 3 4 5 6 7 8 9 10 11 12 13 14\r\n"));
        let mids: Vec<_> = rendered
            .lines()
            .filter_map(|line| line.strip_prefix("a=mid:"))
            .collect();
        assert_eq!(mids.len(), 17);
        assert_eq!(mids.last(), Some(&"14"));
        assert_eq!(rendered.lines().filter(|line| line.starts_with("m=video")).count(), 10);
    }

    #[test]
    fn candidates_are_ranked_and_mapped_addresses_made_plain() {
        let mapped = [SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into(), 9)];
        let rendered = offer(&Offer {
            candidates: &mapped,
            ..EXAMPLE
        });
        assert!(rendered.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 192.0.2.1\r\n"));
        assert!(rendered.contains("a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\n"));
        assert!(priority(0) > priority(1));
    }
}
