//! Wire's signalling over HTTP, translated: what a client posts becomes a command, the worker's verdict a message.
//!
//! Refusals are CONFCONN messages with HTTP status 200 (`problem` says why). No request waits longer than the worker's answer may take.

use std::net::IpAddr;

use tokio::sync::oneshot;

use crate::api::Api;
use crate::api::problem::Problem;
use crate::ids::{ConferenceId, ParticipantId};
use crate::metrics::JoinRefused;
use crate::proto::client::{self, Body, Connect, Message, Status};
use crate::proto::sdp;
use crate::worker::{Answer, Command, Join, Offered, Unavailable, Verdict};

/// A posted message.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// The conference in the path.
    pub conference: &'a str,
    /// As it came.
    pub body: &'a [u8],
}

/// Who talks about which conference.
struct Caller {
    conference: ConferenceId,
    participant: ParticipantId,
    source: IpAddr,
    /// As the client writes it: clients ignore answers that spell it otherwise.
    sessid: String,
}

/// Answers a posted message.
pub async fn post(api: &Api, source: IpAddr, post: Post<'_>) -> Result<String, Problem> {
    let conference = ConferenceId::parse(post.conference)?;
    let message = Message::parse(post.body)?;
    if !message.conference.eq_ignore_ascii_case(post.conference) {
        return Err(Problem::OtherConference);
    }
    let caller = Caller {
        conference,
        participant: message.from.ok_or(Problem::NoSender)?,
        source,
        sessid: message.conference,
    };
    match message.body {
        Body::Connect(connect) => {
            let (status, answer) = join(api, caller, connect).await;
            if status == Status::AuthLimit {
                api.held.wait().await;
            }
            Ok(answer)
        }
        Body::Answer(answer) => accept(api, caller, answer).await,
        _ => Err(Problem::NotHere),
    }
}

async fn join(api: &Api, caller: Caller, connect: Connect) -> (Status, String) {
    let (reply, verdict) = oneshot::channel();
    let join = Join {
        conference: caller.conference,
        participant: caller.participant.clone(),
        connect,
        authenticated: false,
        source: caller.source,
        reply,
    };
    let refused = |status, reason| (status, client::status(&caller.sessid, status, Some(reason)));
    let unable = |why: JoinRefused| {
        count(api, why);
        refused(Status::AuthLimit, why.as_str())
    };
    if let Err(unavailable) = api.worker.post(Command::Join(Box::new(join))) {
        return unable(why(unavailable));
    }
    match tokio::time::timeout(api.patience, verdict).await {
        Ok(Ok(Verdict::Offer(offered))) => (Status::Ok, offer(api, &caller.sessid, &caller.participant, &offered)),
        Ok(Ok(Verdict::Refused { status, reason })) => refused(status, reason),
        Ok(Err(_)) => unable(why(Unavailable::Gone)),
        Err(_) => unable(JoinRefused::Timeout),
    }
}

/// Counts a refusal of our own: the worker did not come to say one, and to count it.
fn count(api: &Api, why: JoinRefused) {
    api.metrics.join_refused.add(&why, 1);
    tracing::info!(reason = why.as_str(), "a client is refused");
}

fn why(unavailable: Unavailable) -> JoinRefused {
    match unavailable {
        Unavailable::Full => JoinRefused::Overload,
        Unavailable::Gone => JoinRefused::ShuttingDown,
    }
}

fn offer(api: &Api, sessid: &str, to: &ParticipantId, offered: &Offered) -> String {
    client::offer(client::Offer {
        conference: sessid,
        to,
        update: offered.update,
        sdp: &offered.sdp,
        url: &api.public_url,
        tuple: offered.tuple.as_deref(),
    })
}

async fn accept(api: &Api, caller: Caller, answer: client::Answer) -> Result<String, Problem> {
    let (reply, done) = oneshot::channel();
    let answer = Answer {
        conference: caller.conference,
        participant: caller.participant,
        sdp: sdp::Answer::parse(&answer.sdp)?,
        props: answer.props,
        reply,
    };
    api.worker.post(Command::Answer(Box::new(answer)))?;
    match tokio::time::timeout(api.patience, done).await {
        Ok(Ok(result)) => result?,
        Ok(Err(_)) => return Err(Unavailable::Gone.into()),
        Err(_) => return Err(Unavailable::Full.into()),
    }
    Ok(client::status(&caller.sessid, Status::Ok, None))
}
