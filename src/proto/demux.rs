//! Tells datagrams on the media port apart by their first bytes (RFC 7983 §7, RFC 5761 §4).

/// What a datagram on the media port is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// RFC 8489.
    Stun,
    /// RFC 6347 and RFC 9147.
    Dtls,
    /// RTP under SRTP (RFC 3711).
    Rtp,
    /// RTCP under SRTCP (RFC 3711 §3.4).
    Rtcp,
}

/// Tells by its first two bytes what a datagram is.
///
/// `None` means: count it and drop it.
#[must_use]
pub fn classify(datagram: &[u8]) -> Option<Kind> {
    match *datagram.first()? {
        0..=3 => Some(Kind::Stun),
        20..=63 => Some(Kind::Dtls),
        128..=191 => Some(match *datagram.get(1)? {
            // RFC 5761 §4: RTCP packet types 192 to 223 look like payload types 64 to 95 with the marker bit.
            192..=223 => Kind::Rtcp,
            _ => Kind::Rtp,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        for (bytes, kind) in [
            (&[0, 1][..], Some(Kind::Stun)),
            (&[3, 1], Some(Kind::Stun)),
            (&[4, 1], None),
            (&[19, 1], None),
            (&[20, 1], Some(Kind::Dtls)),
            (&[63, 1], Some(Kind::Dtls)),
            (&[64, 1], None),
            (&[127, 1], None),
            (&[128, 111], Some(Kind::Rtp)),
            (&[191, 0x80 | 111], Some(Kind::Rtp)),
            (&[128, 200], Some(Kind::Rtcp)),
            (&[128, 206], Some(Kind::Rtcp)),
            (&[128], None),
            (&[192, 1], None),
            (&[], None),
        ] {
            assert_eq!(classify(bytes), kind, "{bytes:?}");
        }
    }
}
