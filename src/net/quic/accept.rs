//! Lets strangers in as far as their certificate carries them.

use std::sync::Arc;

use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::federation::admission::{Admission, Admit};
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::net::clock;
use crate::net::quic::hub::{Arrival, Happening, Standing};
use crate::net::quic::{transport, verdict};
use crate::net::tls::{Refused, Verdict};
use crate::proto::link::message::Code;

/// Accepts on one endpoint until it closes.
pub(super) async fn run(endpoint: Endpoint, standing: watch::Receiver<Standing>, happenings: mpsc::Sender<Happening>) {
    let mut admission = Admission::default();
    let mut pending = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { return };
                let address = incoming.remote_address().ip();
                let validated = incoming.remote_address_validated();
                match admission.admit(clock::now(), address, validated, pending.len()) {
                    Admit::Accept => {
                        pending.spawn(knock(incoming, standing.clone(), happenings.clone()));
                    }
                    Admit::Retry => retry(incoming),
                    Admit::Ignore => incoming.ignore(),
                }
            }
            Some(_) = pending.join_next() => {}
        }
    }
}

fn retry(incoming: Incoming) {
    if let Err(error) = incoming.retry() {
        error.into_incoming().ignore();
    }
}

async fn knock(incoming: Incoming, standing: watch::Receiver<Standing>, happenings: mpsc::Sender<Happening>) {
    let standing = standing.borrow().clone();
    let happening = match shake(incoming, &standing).await {
        Ok(connection) => Happening::Shaken(connection, Arrival::Accepted),
        Err(refused) => Happening::Refused(refused),
    };
    // Fails only where the hub has stopped; dropping the connection closes it.
    let _ = happenings.send(happening).await;
}

async fn shake(incoming: Incoming, standing: &Standing) -> Result<Connection, Refused> {
    let refused = |code| Refused { code, claimed: None };
    let verdict = Verdict::default();
    let config = transport::server_config(&standing.identity, Arc::clone(&standing.allow), verdict.clone())
        .map_err(|_| refused(Code::Protocol))?;
    let outcome = match incoming.accept_with(Arc::new(config)) {
        Ok(connecting) => timeout(HANDSHAKE_TIMEOUT, connecting).await,
        Err(error) => Ok(Err(error)),
    };
    match outcome {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => {
            let unsaid = || refused(verdict::reason(&error).unwrap_or(Code::Protocol));
            Err(verdict.refusal().cloned().unwrap_or_else(unsaid))
        }
        Err(_too_late) => Err(refused(Code::Limit)),
    }
}
