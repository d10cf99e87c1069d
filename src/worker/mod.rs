//! The media worker: one thread that owns its sockets, sessions, conferences, timers and buffers.
//!
//! Others reach it through [`Mailbox`] only. [`run`] is the thread (it waits and reads the clock), [`turn`] is what a turn does and is told
//! the time; `forwarding` is the path of a packet, `signalling` that of commands and of what the relay wants done. There is one worker so far;
//! a second one needs a conference's worker to be looked up in [`Mailbox`] and packets to be handed over by owner, nothing else.

pub mod clients;
pub mod counters;
mod forwarding;
pub mod half_open;
mod link_log;
mod links;
pub mod outbox;
mod reports;
pub mod run;
mod seldom;
mod signalling;
pub mod timers;
pub mod turn;

use std::net::IpAddr;

use tokio::sync::{mpsc, oneshot};

use crate::ids::{ConferenceId, ParticipantId};
use crate::proto::client::{Connect, Props, Status};
use crate::proto::sdp;
use crate::token::Standing;

/// Something a worker is asked to do.
#[derive(Debug)]
pub enum Command {
    /// A client posted CONFCONN.
    Join(Box<Join>),
    /// A client posted its answer.
    Answer(Box<Answer>),
    /// End all sessions (the clients are told) and the thread.
    Stop,
}

/// A client's CONFCONN.
#[derive(Debug)]
pub struct Join {
    /// The conference in the path.
    pub conference: ConferenceId,
    /// Who asks.
    pub participant: ParticipantId,
    /// What it says.
    pub connect: Connect,
    /// What its token lets it do.
    pub standing: Standing,
    /// The client's address, as far as it can be known.
    pub source: IpAddr,
    /// For the verdict. Dropped without one: the worker ended.
    pub reply: oneshot::Sender<Verdict>,
}

/// What becomes of a CONFCONN.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// A session waits for the client.
    Offer(Offered),
    /// The client is not taken.
    Refused {
        /// For the client.
        status: Status,
        /// For people: one word.
        reason: &'static str,
    },
}

/// What SETUP or UPDATE says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offered {
    /// The SDP offer.
    pub sdp: String,
    /// It is an UPDATE.
    pub update: bool,
    /// The anchor's tuple.
    pub tuple: Option<String>,
}

/// A client's answer to an offer.
#[derive(Debug)]
pub struct Answer {
    /// The conference in the path.
    pub conference: ConferenceId,
    /// Whose answer it is.
    pub participant: ParticipantId,
    /// What its description says.
    pub sdp: sdp::Answer,
    /// What it tells about itself.
    pub props: Props,
    /// Whether there was an offer to answer.
    pub reply: oneshot::Sender<Result<(), NoOffer>>,
}

/// Nobody waits for this answer: it came late, twice, or to another SFT.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no offer waits for this answer")]
pub struct NoOffer;

/// A worker cannot take a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// [`crate::limits::MAILBOX`] commands wait already.
    #[error("the worker is overloaded")]
    Full,
    /// Its thread has ended.
    #[error("the worker has ended")]
    Gone,
}

/// The way to a worker; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailbox(mpsc::Sender<Command>);

impl Mailbox {
    /// A mailbox and the end a worker reads.
    #[must_use]
    pub fn new() -> (Mailbox, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(crate::limits::MAILBOX);
        (Mailbox(sender), receiver)
    }

    /// Leaves a command without waiting; commands are control, so a full mailbox refuses.
    ///
    /// # Errors
    /// [`Unavailable`] where it cannot be taken; it is dropped then.
    pub fn post(&self, command: Command) -> Result<(), Unavailable> {
        self.0.try_send(command).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Unavailable::Full,
            mpsc::error::TrySendError::Closed(_) => Unavailable::Gone,
        })
    }
}
