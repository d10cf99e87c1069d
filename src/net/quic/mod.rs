//! The links themselves: one QUIC endpoint per federation address, and what [`federation`](crate::federation) says and hears.
//!
//! One task, the hub, owns all links and takes [`Command`]s; it never waits for a peer, so that a slow one delays nobody. Each link
//! has tasks of its own that read, write and watch. What a message means is none of their business. Addresses come from the
//! configuration alone. Start at [`Links`]; `hub` is where everything meets.

mod accept;
mod dial;
mod hub;
mod link;
mod streams;
mod transport;
mod verdict;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::federation::allow::AllowList;
use crate::federation::{Command, Event, Side};
use crate::ids::{Domain, LinkId};
use crate::limits::MAILBOX;
use crate::net::quic::hub::{Happening, Hub};
use crate::net::tls::{Identity, Refused};
use crate::proto::link::message::Code;
use crate::units::WallTime;

/// Where links report to. Calls must not wait: they are made between packets.
#[derive(Clone)]
pub struct Outlet {
    /// What happens to links. When it is full, links are read no further, and their peers wait.
    pub events: mpsc::Sender<Event>,
    /// Takes a datagram of a link; `false`: there was no room, and it is dropped and counted.
    pub media: Arc<dyn Fn(LinkId, Bytes) -> bool + Send + Sync>,
    /// Counts a handshake that was refused here.
    pub refused: Arc<dyn Fn(Refused) + Send + Sync>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outlet(…)")
    }
}

/// How one link is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkStats {
    /// The link.
    pub link: LinkId,
    /// The proven domain.
    pub peer: Domain,
    /// Who dialled.
    pub side: Side,
    /// The current estimate of the round-trip time.
    pub rtt: Duration,
    /// The congestion window, in bytes.
    pub window: u64,
    /// UDP payload bytes sent since the link is up.
    pub sent_bytes: u64,
    /// UDP payload bytes received since the link is up.
    pub received_bytes: u64,
    /// QUIC packets declared lost since the link is up.
    pub lost_packets: u64,
    /// When the certificate ends that the peer showed. `None`: it showed none that can be read.
    pub not_after: Option<WallTime>,
    /// Outgoing datagrams that were dropped since the link is up: too large, or the oldest of too many.
    pub dropped_out: u64,
    /// Incoming datagrams that [`Outlet::media`] had no room for since the link is up.
    pub dropped_in: u64,
}

/// Why links cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("federation address {0} cannot be bound: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// Our own certificate does not make a TLS configuration.
    #[error("our certificate is of no use: {0}")]
    Tls(rustls::Error),
}

/// All links of this process. Dropping it ends nothing; [`Links::close`] does.
#[derive(Clone, Debug)]
pub struct Links {
    commands: mpsc::Sender<Command>,
    happenings: mpsc::Sender<Happening>,
    stats: watch::Receiver<Vec<LinkStats>>,
    local: Vec<SocketAddr>,
}

impl Links {
    /// Binds every address and begins to accept and dial; must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind then.
    pub fn start(
        listen: &[SocketAddr],
        identity: Identity,
        allow: AllowList,
        outlet: Outlet,
    ) -> Result<Links, StartError> {
        let endpoints = transport::endpoints(listen, &identity)?;
        let local = endpoints
            .iter()
            .filter_map(|endpoint| endpoint.local_addr().ok())
            .collect();
        let (commands, incoming_commands) = mpsc::channel(MAILBOX);
        let (happenings, incoming_happenings) = mpsc::channel(MAILBOX);
        let (stats, shown) = watch::channel(Vec::new());
        let hub = Hub::new(endpoints, identity, allow, outlet, stats, happenings.clone());
        tokio::spawn(hub.run(incoming_commands, incoming_happenings));
        Ok(Links {
            commands,
            happenings,
            stats: shown,
            local,
        })
    }

    /// Takes commands; when it is full, drop a datagram and count it, and treat anything else as overload.
    #[must_use]
    pub fn commands(&self) -> mpsc::Sender<Command> {
        self.commands.clone()
    }

    /// The addresses that were bound, in the order of the configuration.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.local
    }

    /// How the links were doing at the last full second.
    #[must_use]
    pub fn stats(&self) -> Vec<LinkStats> {
        self.stats.borrow().clone()
    }

    /// The same, once the next full second has come. A copy: who held the snapshot itself could hold up the links.
    pub async fn next_stats(&self) -> Vec<LinkStats> {
        let mut stats = self.stats.clone();
        stats.mark_unchanged();
        // Fails only where the hub has stopped; what it saw last stays true.
        let _ = stats.changed().await;
        stats.borrow().clone()
    }

    /// Puts another allow list in place. When this returns, links that it does not allow are closed.
    pub async fn update(&self, allow: AllowList) {
        self.ask(|done| Happening::Update(allow, done)).await;
    }

    /// Puts another certificate of ours in place, for handshakes from now on.
    pub async fn renew(&self, identity: Identity) {
        self.ask(|done| Happening::Renew(identity, done)).await;
    }

    /// Closes all links with a code and gives the ports back. When this returns, the peers were told.
    pub async fn close(&self, code: Code) {
        self.ask(|done| Happening::Stop(code, done)).await;
    }

    async fn ask(&self, question: impl FnOnce(oneshot::Sender<()>) -> Happening) {
        let (done, answer) = oneshot::channel();
        // Either fails only where the hub has stopped, and then everything is closed already.
        let _ = self.happenings.send(question(done)).await;
        let _ = answer.await;
    }
}
