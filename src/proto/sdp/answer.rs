//! Reads answers: what ICE, DTLS and the roster need, from the session and its first m-lines; the rest is ignored.

use std::fmt;

use crate::ids::Ssrc;
use crate::limits::{MAX_SDP_BYTES, MAX_SDP_LINES};

/// Why an answer cannot be used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum BadSdp {
    /// More than [`MAX_SDP_BYTES`].
    #[error("the answer is too long")]
    TooLong,
    /// More than [`MAX_SDP_LINES`].
    #[error("the answer has too many lines")]
    TooManyLines,
    /// It does not begin with `v=0`.
    #[error("the answer is no session description")]
    NotSdp,
    /// No m-line of audio.
    #[error("the answer has no audio")]
    NoAudio,
    /// Its port is 0.
    #[error("the answer rejects audio")]
    AudioRejected,
    /// `a=rtcp-mux` is missing on audio.
    #[error("the answer does not multiplex rtp and rtcp")]
    NoRtcpMux,
    /// `a=ice-ufrag` is missing, or not of 4 to 256 characters (RFC 8839 §5.4).
    #[error("the answer has no usable ice user name")]
    Ufrag,
    /// `a=ice-pwd` is missing, or not of 22 to 256 characters (RFC 8839 §5.4).
    #[error("the answer has no usable ice password")]
    Password,
    /// No `a=fingerprint`.
    #[error("the answer has no fingerprint")]
    NoFingerprint,
    /// Fingerprints, but none with SHA-256.
    #[error("the answer has no sha-256 fingerprint")]
    OtherFingerprint,
    /// A SHA-256 fingerprint that is not 32 bytes.
    #[error("the answer has a malformed fingerprint")]
    BadFingerprint,
    /// No `a=setup`.
    #[error("the answer does not say who connects")]
    NoSetup,
    /// `a=setup:passive`: we wait for the client, it must be active.
    #[error("the answer wants us to connect")]
    Passive,
    /// `a=setup:actpass`, which only offers may say (RFC 5763 §5), or a word that is none.
    #[error("the answer leaves open who connects")]
    Undecided,
    /// No `a=ssrc` of audio.
    #[error("the answer names no audio source")]
    NoAudioSource,
    /// An SSRC of zero, or none at all.
    #[error("the answer has an impossible source")]
    BadSource,
}

/// What a client's answer says.
#[derive(Clone, Eq, PartialEq)]
pub struct Answer {
    /// The client's, for ICE.
    pub ufrag: String,
    /// The client's, for ICE.
    pub password: String,
    /// SHA-256 of the client's DTLS certificate.
    pub fingerprint: [u8; 32],
    /// The first source of audio; never 0.
    pub audio: Ssrc,
    /// The first source of video; `None`: it sends layers with RIDs, or no video.
    pub video: Option<Ssrc>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("audio", &self.audio)
            .field("video", &self.video)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Reads an answer. Lines may end in CR LF or LF; attributes of an m-line win over those of the session.
    ///
    /// # Errors
    /// [`BadSdp`] names the rule that was broken.
    pub fn parse(text: &str) -> Result<Answer, BadSdp> {
        let (session, media) = sections(text)?;
        let audio = media
            .iter()
            .find(|section| section.is("audio"))
            .ok_or(BadSdp::NoAudio)?;
        if audio.rejected() {
            return Err(BadSdp::AudioRejected);
        }
        if !audio.has("rtcp-mux") {
            return Err(BadSdp::NoRtcpMux);
        }
        let both = |name: &'static str| audio.values(name).chain(session.values(name));
        check_setup(both("setup").next())?;
        let video = media.iter().find(|section| section.is("video") && !section.rejected());
        Ok(Answer {
            ufrag: credential(both("ice-ufrag").next(), 4).ok_or(BadSdp::Ufrag)?,
            password: credential(both("ice-pwd").next(), 22).ok_or(BadSdp::Password)?,
            fingerprint: fingerprint(both("fingerprint"))?,
            audio: source(audio)?.ok_or(BadSdp::NoAudioSource)?,
            video: video
                .filter(|section| !section.has_layers())
                .map(source)
                .transpose()?
                .flatten(),
        })
    }
}

/// The lines of the session, or of one m-line.
#[derive(Default)]
struct Section<'a> {
    /// What follows `m=`; empty for the session.
    media: &'a str,
    /// What follows `a=`.
    attributes: Vec<&'a str>,
}

impl<'a> Section<'a> {
    fn is(&self, kind: &str) -> bool {
        self.media.split(' ').next() == Some(kind)
    }

    fn rejected(&self) -> bool {
        self.media.split(' ').nth(1) == Some("0")
    }

    fn has(&self, flag: &str) -> bool {
        self.attributes.contains(&flag)
    }

    fn has_layers(&self) -> bool {
        self.values("rid").chain(self.values("simulcast")).next().is_some()
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter_map(move |attribute| attribute.strip_prefix(name)?.strip_prefix(':'))
    }
}

fn sections(text: &str) -> Result<(Section<'_>, Vec<Section<'_>>), BadSdp> {
    if text.len() > MAX_SDP_BYTES {
        return Err(BadSdp::TooLong);
    }
    if text.lines().nth(MAX_SDP_LINES).is_some() {
        return Err(BadSdp::TooManyLines);
    }
    if text.lines().next().map(str::trim_end) != Some("v=0") {
        return Err(BadSdp::NotSdp);
    }
    let (mut session, mut media) = (Section::default(), Vec::<Section>::new());
    for line in text.lines().map(str::trim_end) {
        if let Some(line) = line.strip_prefix("m=") {
            media.push(Section {
                media: line,
                attributes: Vec::new(),
            });
        } else if let Some(attribute) = line.strip_prefix("a=") {
            media.last_mut().unwrap_or(&mut session).attributes.push(attribute);
        }
    }
    Ok((session, media))
}

fn check_setup(setup: Option<&str>) -> Result<(), BadSdp> {
    match setup {
        Some("active") => Ok(()),
        Some("passive") => Err(BadSdp::Passive),
        Some(_) => Err(BadSdp::Undecided),
        None => Err(BadSdp::NoSetup),
    }
}

/// ICE user names and passwords: letters, digits, `+` and `/` (RFC 8839 §5.4); we let all visible ASCII pass.
fn credential(value: Option<&str>, least: usize) -> Option<String> {
    let value = value?;
    let fits = (least..=256).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| value.to_owned())
}

fn fingerprint<'a>(values: impl Iterator<Item = &'a str>) -> Result<[u8; 32], BadSdp> {
    let mut why = BadSdp::NoFingerprint;
    for value in values {
        match value.split_once(' ') {
            Some((hash, hex)) if hash.eq_ignore_ascii_case("sha-256") => {
                return bytes(hex).ok_or(BadSdp::BadFingerprint);
            }
            _ => why = BadSdp::OtherFingerprint,
        }
    }
    Err(why)
}

/// 32 bytes in hexadecimal, two digits each, with colons between them (RFC 8122 §5).
fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut pairs = hex.trim().split(':');
    for byte in &mut bytes {
        let pair = pairs.next().filter(|pair| pair.len() == 2 && !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}

/// The first `a=ssrc` of an m-line; `None`: it has none.
fn source(section: &Section) -> Result<Option<Ssrc>, BadSdp> {
    let Some(value) = section.values("ssrc").next() else {
        return Ok(None);
    };
    let number = value.split(' ').next().and_then(|number| number.parse().ok());
    let source = number.filter(|number| *number != 0).ok_or(BadSdp::BadSource)?;
    Ok(Some(Ssrc(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIMULCAST: &str = include_str!("../../../tests/fixtures/answer-simulcast.sdp");
    const AUDIO_ONLY: &str = include_str!("../../../tests/fixtures/answer-audio-only.sdp");
    const LATE: &str = include_str!("../../../tests/fixtures/answer-audio-only-late.sdp");

    #[test]
    fn answers_of_stock_clients_are_read() {
        let answer = Answer::parse(SIMULCAST).unwrap();
        assert_eq!(
            (&*answer.ufrag, &*answer.password),
            ("2ffF", "iiTcwNlJmukoRR6gEjwBAlgd")
        );
        assert_eq!(answer.fingerprint[..4], [0x33, 0x08, 0x7c, 0xbd]);
        assert_eq!(answer.fingerprint[31], 0x64);
        assert_eq!((answer.audio, answer.video), (Ssrc(2_925_095_766), None));
        assert_eq!(Answer::parse(AUDIO_ONLY).unwrap().audio, Ssrc(1_332_875_321));
        assert_eq!(Answer::parse(LATE).unwrap().video, None);
        let unix = Answer::parse(&SIMULCAST.replace("\r\n", "\n"));
        assert_eq!(unix, Ok(answer));
    }

    #[test]
    fn a_browser_answers_our_own_offer() {
        // What Chromium 156 says to fixtures/offer.sdp.
        let answer = Answer::parse(include_str!("../../../tests/fixtures/answer-browser.sdp")).unwrap();
        assert_eq!(
            (&*answer.ufrag, answer.audio, answer.video),
            ("l5za", Ssrc(2_742_011_363), None)
        );
    }

    #[test]
    fn video_without_layers_is_known_by_its_source() {
        let plain: String = SIMULCAST.replace(
            "a=rid:l send\r\na=rid:h send\r\na=simulcast:send l;h\r\n",
            "a=ssrc-group:FID 8 9\r\na=ssrc:8 cname:x\r\n",
        );
        assert_eq!(Answer::parse(&plain).unwrap().video, Some(Ssrc(8)));
        let rejected = plain.replacen("m=video 9", "m=video 0", 1);
        assert_eq!(Answer::parse(&rejected).unwrap().video, None);
    }

    #[test]
    fn attributes_of_the_session_serve_where_audio_has_none() {
        let moved = "v=0\na=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\na=setup:active\n".to_owned()
            + "a=fingerprint:SHA-256 "
            + &["0a"; 32].join(":")
            + "\nm=audio 9 x 111\na=rtcp-mux\na=ssrc:5\n";
        let answer = Answer::parse(&moved).unwrap();
        assert_eq!((answer.fingerprint, answer.audio), ([10; 32], Ssrc(5)));
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let without = |line: &str| -> String {
            SIMULCAST
                .lines()
                .filter(|other| !other.starts_with(line))
                .map(|line| format!("{line}\n"))
                .collect()
        };
        let with = |from: &str, to: &str| SIMULCAST.replace(from, to);
        for (sdp, why) in [
            (String::new(), BadSdp::NotSdp),
            ("{}".into(), BadSdp::NotSdp),
            ("v=0\r\n".into(), BadSdp::NoAudio),
            ("a".repeat(MAX_SDP_BYTES + 1), BadSdp::TooLong),
            ("v=0\n".repeat(MAX_SDP_LINES + 1), BadSdp::TooManyLines),
            (without("m=audio"), BadSdp::NoAudio),
            (with("m=audio 33789", "m=audio 0"), BadSdp::AudioRejected),
            (without("a=rtcp-mux"), BadSdp::NoRtcpMux),
            (without("a=ice-ufrag"), BadSdp::Ufrag),
            (with("a=ice-ufrag:2ffF", "a=ice-ufrag:2ff"), BadSdp::Ufrag),
            (without("a=ice-pwd"), BadSdp::Password),
            (with("a=ice-pwd:iiTc", "a=ice-pwd:ii\u{e9}"), BadSdp::Password),
            (without("a=fingerprint"), BadSdp::NoFingerprint),
            (
                with("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
                BadSdp::OtherFingerprint,
            ),
            (with("33:08:7C", "33:08:+C"), BadSdp::BadFingerprint),
            (with("33:08:7C", "33:08"), BadSdp::BadFingerprint),
            (with("FC:90:64", "FC:90:64:00"), BadSdp::BadFingerprint),
            (without("a=setup"), BadSdp::NoSetup),
            (with("a=setup:active", "a=setup:passive"), BadSdp::Passive),
            (with("a=setup:active", "a=setup:actpass"), BadSdp::Undecided),
            (without("a=ssrc"), BadSdp::NoAudioSource),
            (with("a=ssrc:2925095766", "a=ssrc:0"), BadSdp::BadSource),
            (with("a=ssrc:2925095766", "a=ssrc:4294967296"), BadSdp::BadSource),
        ] {
            assert_eq!(Answer::parse(&sdp).err(), Some(why));
        }
    }

    #[test]
    fn an_answer_never_prints_its_secrets() {
        let printed = format!("{:?}", Answer::parse(SIMULCAST).unwrap());
        assert!(!printed.contains("2ffF") && !printed.contains("iiTc") && !printed.contains("fingerprint"));
    }
}
