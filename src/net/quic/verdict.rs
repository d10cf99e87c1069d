//! What the end of a QUIC connection means in the words of the protocol.

use quinn::ConnectionError;

use crate::proto::link::message::Code;

/// CONNECTION_REFUSED (RFC 9000 §20.1): the peer has no room for another connection.
const CONNECTION_REFUSED: u64 = 0x2;
/// TLS alerts as QUIC carries them (RFC 9001 §4.8) …
const ALERTS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;
/// … of which this one says that the peer speaks no version of ours (RFC 7301 §3.2).
const NO_APPLICATION_PROTOCOL: u64 = 0x178;

/// Why a connection ended; `None`: nobody said, it fell silent or we closed it.
pub(super) fn reason(error: &ConnectionError) -> Option<Code> {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let code = Code::from_close_code(close.error_code.into_inner());
            Some(code.unwrap_or(Code::Protocol))
        }
        // The peer never says what it dislikes about a certificate: its policy is all that we learn.
        ConnectionError::ConnectionClosed(close) => Some(transport(close.error_code.into(), Code::Policy)),
        // A certificate that our verifier refused has its reason elsewhere; what is left is that there was none.
        ConnectionError::TransportError(error) => Some(transport(error.code.into(), Code::Untrusted)),
        ConnectionError::VersionMismatch => Some(Code::Version),
        ConnectionError::CidsExhausted => Some(Code::Limit),
        ConnectionError::Reset | ConnectionError::TimedOut | ConnectionError::LocallyClosed => None,
    }
}

fn transport(code: u64, alert: Code) -> Code {
    match code {
        CONNECTION_REFUSED => Code::Limit,
        NO_APPLICATION_PROTOCOL => Code::Version,
        code if ALERTS.contains(&code) => alert,
        _ => Code::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_say_policy_or_version_and_nothing_else() {
        for (code, expected) in [
            (0x2, Code::Limit),
            (0x178, Code::Version),
            (0x131, Code::Policy),
            (0x130, Code::Policy),
            (0xa, Code::Protocol),
            (0x200, Code::Protocol),
        ] {
            assert_eq!(transport(code, Code::Policy), expected, "{code:#x}");
        }
        assert_eq!(reason(&ConnectionError::TimedOut), None);
    }
}
