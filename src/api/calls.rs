//! Wire's signalling over HTTP, translated: what a client posts becomes a command, the worker's verdict a message.
//!
//! Refusals are CONFCONN messages with HTTP status 200 (`problem` says why). No request waits longer than the worker's answer may take.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::api::Api;
use crate::api::problem::Problem;
use crate::ids::{ConferenceId, ParticipantId};
use crate::metrics::JoinRefused;
use crate::net::clock;
use crate::proto::client::{self, Body, Connect, Message, Status};
use crate::proto::sdp;
use crate::token::Standing;
use crate::worker::{Answer, Command, Join, Offered, Unavailable, Verdict};

/// How often the worker is asked for a client that has to wait for others: twice a second, as those come back within seconds.
const ASKS: u32 = 10;

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
    let told = |status, reason| (status, client::status(&caller.sessid, status, Some(reason)));
    let standing = match api.terms.standing(clock::wall(), &connect) {
        Ok(standing) => standing,
        Err(unwelcome) => return told(unwelcome.status(), count(api, unwelcome.into())),
    };
    let mut last = None;
    let asking = async {
        while let Some(pause) = ask(api, &caller, (&connect, &standing), &mut last).await {
            tokio::time::sleep(pause).await;
        }
    };
    // Whoever is still asking by then gets the last verdict.
    let _ = tokio::time::timeout(api.patience, asking).await;
    match last.unwrap_or_else(|| unable(api, JoinRefused::Timeout)) {
        Verdict::Offer(offered) => (Status::Ok, offer(api, &caller.sessid, &caller.participant, &offered)),
        Verdict::Refused { status, reason } => told(status, reason),
    }
}

/// Asks the worker once; gives the pause before it makes sense to ask again, if it does.
///
/// That is where a client comes back to a call that we do not know and that it may not start: after a restart it may only have been
/// faster than those who may.
async fn ask(
    api: &Api,
    caller: &Caller,
    (connect, standing): (&Connect, &Standing),
    last: &mut Option<Verdict>,
) -> Option<Duration> {
    let (reply, verdict) = oneshot::channel();
    let join = Join {
        conference: caller.conference.clone(),
        participant: caller.participant.clone(),
        connect: connect.clone(),
        standing: standing.clone(),
        source: caller.source,
        reply,
    };
    let verdict = match api.worker.post(Command::Join(Box::new(join))) {
        Ok(()) => verdict.await.unwrap_or_else(|_| unable(api, why(Unavailable::Gone))),
        Err(unavailable) => unable(api, why(unavailable)),
    };
    let cannot_start = matches!(
        verdict,
        Verdict::Refused {
            status: Status::AuthCannotStart,
            ..
        }
    );
    *last = Some(verdict);
    (cannot_start && connect.update).then_some(api.patience / ASKS)
}

/// A refusal of our own: the worker did not come to say one, and to count it.
fn unable(api: &Api, why: JoinRefused) -> Verdict {
    Verdict::Refused {
        status: Status::AuthLimit,
        reason: count(api, why),
    }
}

/// Counts and logs a refusal; gives the word for it.
fn count(api: &Api, why: JoinRefused) -> &'static str {
    api.metrics.join_refused.add(&why, 1);
    tracing::info!(reason = why.as_str(), "a client is refused");
    why.as_str()
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
