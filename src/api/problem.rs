//! The one place where what went wrong becomes an HTTP status.
//!
//! Refusals of a call are not here: clients want those as status 200 with a CONFCONN, because any HTTP error ends the call even
//! if another SFT would have taken it. These are for requests that no stock client sends.

use axum::http::StatusCode;
use serde::Serialize;

use crate::ids::BadId;
use crate::proto::client::BadMessage;
use crate::proto::sdp::BadSdp;
use crate::worker::{NoOffer, Unavailable};

/// Why a request got no answer of its own.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No such resource.
    #[error("there is nothing here")]
    NotFound,
    /// The resource does not do that.
    #[error("this resource does not know that method")]
    Method,
    /// The body is longer than [`crate::limits::MAX_BODY_BYTES`].
    #[error("the body is too large")]
    TooLarge,
    /// The body did not come in time.
    #[error("the body did not come in time")]
    TooSlow,
    /// The body is no message.
    #[error(transparent)]
    Message(#[from] BadMessage),
    /// Its session description cannot be used.
    #[error("the session description cannot be used: {0}")]
    Description(#[from] BadSdp),
    /// The conference in the path is no id.
    #[error("the conference in the path is not valid: {0}")]
    Conference(#[from] BadId),
    /// Path and body name different conferences.
    #[error("the path and the message name different conferences")]
    OtherConference,
    /// `src_userid` or `src_clientid` is missing.
    #[error("the message does not say who sends it")]
    NoSender,
    /// A message of a type that does not travel over HTTP.
    #[error("a message of this type is not sent over HTTP")]
    NotHere,
    /// Nobody waits for the answer.
    #[error(transparent)]
    NoOffer(#[from] NoOffer),
    /// The worker cannot take it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a problem looks like outside.
#[derive(Debug, Serialize)]
struct Body<'a> {
    code: &'a str,
    message: String,
    next: &'a str,
}

impl Problem {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Problem::NotFound => StatusCode::NOT_FOUND,
            Problem::Method => StatusCode::METHOD_NOT_ALLOWED,
            Problem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Problem::Message(_)
            | Problem::Description(_)
            | Problem::Conference(_)
            | Problem::OtherConference
            | Problem::NoSender
            | Problem::NotHere
            | Problem::NoOffer(_) => StatusCode::BAD_REQUEST,
            Problem::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// One stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Problem::NotFound => "not_found",
            Problem::Method => "method_not_allowed",
            Problem::TooLarge => "body_too_large",
            Problem::TooSlow => "body_too_slow",
            Problem::Message(_) => "bad_message",
            Problem::Description(_) => "bad_sdp",
            Problem::Conference(_) => "bad_conference",
            Problem::OtherConference => "other_conference",
            Problem::NoSender => "no_sender",
            Problem::NotHere => "unexpected_message",
            Problem::NoOffer(_) => "no_offer",
            Problem::Unavailable(_) => "unavailable",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Problem::NotFound => "post CONFCONN to /sft/<conference>",
            Problem::Method => "use POST for conferences and GET for everything else",
            Problem::TooLarge | Problem::TooSlow => "send a smaller message",
            Problem::Message(_) => "send one JSON message of protocol version 3.0",
            Problem::Description(_) => "answer the offer as it is: active, with SHA-256 fingerprint and rtcp-mux",
            Problem::Conference(_) => "use the conference's id, 1 to 127 visible characters",
            Problem::OtherConference => "put the same conference into the path and into sessid",
            Problem::NoSender => "fill src_userid and src_clientid",
            Problem::NotHere => "send CONFCONN, or the answer to a SETUP or UPDATE",
            Problem::NoOffer(_) => "send CONFCONN and answer its SETUP within ten seconds",
            Problem::Unavailable(_) => "try another SFT, or again later",
        }
    }

    /// The JSON body.
    #[must_use]
    pub fn body(&self) -> String {
        let body = Body {
            code: self.code(),
            message: self.to_string(),
            next: self.next(),
        };
        serde_json::to_string(&body).expect("a struct of strings always serializes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_and_what_next() {
        let problem = Problem::OtherConference;
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            problem.body(),
            r#"{"code":"other_conference","message":"the path and the message name different conferences","next":"put the same conference into the path and into sessid"}"#
        );
    }
}
