//! How a webrtc-rs connection is set up so that it answers an SFT as Wire's clients do: Opus 111, VP8 100 with RTX 101, the
//! header extensions of the offer, two simulcast layers, NACK and transport-wide congestion control.

use std::time::Instant;

use rtc::interceptor::{Registry, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::{
    configure_nack, configure_rtcp_reports, configure_twcc_sender_only,
};
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::{SettingEngine, SettingEngineBuilder};
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::shared::error::Result;

use super::key_frames::KeyFrameRequests;
use super::payload::Stream;

/// Payload type of Opus in every offer.
pub const OPUS: u8 = 111;
/// Payload type of VP8 in every offer.
pub const VP8: u8 = 100;
const RTX: u8 = 101;

const AUDIO_EXTENSIONS: [&str; 1] = ["urn:ietf:params:rtp-hdrext:ssrc-audio-level"];
const VIDEO_EXTENSIONS: [&str; 3] = [
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "http://www.webrtc.org/experiments/rtp-hdrext/generic-frame-descriptor-00",
];

/// A connection without tracks.
pub fn connection(now: Instant) -> Result<RTCPeerConnection> {
    let mut media = media()?;
    let chain = configure_rtcp_reports(configure_nack(Registry::new(), &mut media));
    let chain = configure_twcc_sender_only(chain, &mut media)?;
    let last = Slot::from(14_000);
    RTCPeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_setting_engine(settings())
        .with_media_engine(media)
        .with_interceptor_registry(chain.with(last, KeyFrameRequests::default()))
        .build(now)
}

/// The SFT is the DTLS server, always (webrtc-rs would answer `passive` to an ICE-lite peer).
fn settings() -> SettingEngine {
    SettingEngineBuilder::new()
        .with_include_loopback_candidate(true)
        .with_answering_dtls_role(RTCDtlsRole::Client)
        .build()
}

fn media() -> Result<MediaEngine> {
    let mut media = MediaEngine::default();
    media.register_codec(parameters(opus(), OPUS), RtpCodecKind::Audio)?;
    media.register_codec(parameters(vp8(), VP8), RtpCodecKind::Video)?;
    media.register_codec(parameters(rtx(), RTX), RtpCodecKind::Video)?;
    let audio = AUDIO_EXTENSIONS.map(|uri| (uri, RtpCodecKind::Audio));
    let video = VIDEO_EXTENSIONS.map(|uri| (uri, RtpCodecKind::Video));
    for (uri, kind) in audio.into_iter().chain(video) {
        let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        media.register_header_extension(extension, kind, None)?;
    }
    Ok(media)
}

fn parameters(rtp_codec: RTCRtpCodec, payload_type: u8) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec,
        payload_type,
    }
}

fn opus() -> RTCRtpCodec {
    codec(MIME_TYPE_OPUS, 48_000, "")
}

fn vp8() -> RTCRtpCodec {
    codec(MIME_TYPE_VP8, 90_000, "")
}

fn rtx() -> RTCRtpCodec {
    codec(MIME_TYPE_RTX, 90_000, "apt=100")
}

fn codec(mime_type: &str, clock_rate: u32, format: &str) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate,
        channels: if mime_type == MIME_TYPE_OPUS { 2 } else { 0 },
        sdp_fmtp_line: format.to_owned(),
        rtcp_feedback: vec![],
    }
}

/// The microphone.
pub fn audio_track(ssrc: u32) -> MediaStreamTrack {
    track("audio", RtpCodecKind::Audio, vec![encoding(opus(), "", ssrc)])
}

/// The camera: one encoding a layer, or a single one without RID.
pub fn video_track(layers: &[(Stream, u32)]) -> MediaStreamTrack {
    let rid = |stream: Stream| {
        if layers.len() > 1 {
            stream.rid().unwrap_or("")
        } else {
            ""
        }
    };
    let encodings = layers.iter().map(|&(stream, ssrc)| encoding(vp8(), rid(stream), ssrc));
    track("video", RtpCodecKind::Video, encodings.collect())
}

fn encoding(codec: RTCRtpCodec, rid: &str, ssrc: u32) -> RTCRtpEncodingParameters {
    RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            rid: rid.to_owned(),
            ssrc: Some(ssrc),
            ..Default::default()
        },
        codec,
        ..Default::default()
    }
}

fn track(name: &str, kind: RtpCodecKind, encodings: Vec<RTCRtpEncodingParameters>) -> MediaStreamTrack {
    let stream = format!("{name}-stream");
    MediaStreamTrack::new(stream, name.to_owned(), name.to_owned(), kind, encodings)
}
