//! The one task that knows all links. It waits for commands and happenings, and for nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint};
use rustls_pki_types::CertificateDer;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::federation::allow::{AllowList, Peer, Trust};
use crate::federation::{Command, Event, Side};
use crate::ids::{Domain, LinkId};
use crate::limits::{MAX_LINKS, MAX_LINKS_PER_PEER};
use crate::net::clock;
use crate::net::quic::link::Link;
use crate::net::quic::{LinkStats, Outlet, accept, dial};
use crate::net::tls::{Identity, Refused, verify};
use crate::proto::link::frame;
use crate::proto::link::message::Code;

/// Commands handled before happenings get their turn: a burst of media must not hold up a reload.
const TURN: usize = 256;
/// How often metrics are read.
const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// Ticks between two checks of all certificates, and between two log lines about refusals.
const TICKS_PER_REVIEW: u32 = 60;

/// Who we are and who may link with us, at the moment.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) identity: Identity,
    pub(super) allow: Arc<AllowList>,
}

/// How a connection came about.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Someone dialled us.
    Accepted,
    /// We dialled this domain.
    Dialled(Domain),
}

/// What the hub is told, besides commands.
#[derive(Debug)]
pub(super) enum Happening {
    /// A handshake is complete.
    Shaken(Connection, Arrival),
    /// A handshake was refused here.
    Refused(Refused),
    /// A dial came to nothing, and the event is out.
    DialEnded(Domain),
    /// A link's tasks have ended, and the event is out.
    Gone(LinkId),
    /// Another allow list.
    Update(AllowList, oneshot::Sender<()>),
    /// Another certificate of ours.
    Renew(Identity, oneshot::Sender<()>),
    /// The end.
    Stop(Code, oneshot::Sender<()>),
}

/// Owns all links.
pub(super) struct Hub {
    endpoints: Vec<Endpoint>,
    standing: watch::Sender<Standing>,
    outlet: Outlet,
    happenings: mpsc::Sender<Happening>,
    stats: watch::Sender<Vec<LinkStats>>,
    links: HashMap<LinkId, Link>,
    dialling: HashSet<Domain>,
    refusals: BTreeMap<Code, u64>,
    last_link: u64,
    ticks: u32,
}

impl Hub {
    pub(super) fn new(
        endpoints: Vec<Endpoint>,
        identity: Identity,
        allow: AllowList,
        outlet: Outlet,
        stats: watch::Sender<Vec<LinkStats>>,
        happenings: mpsc::Sender<Happening>,
    ) -> Hub {
        let allow = Arc::new(allow);
        Hub {
            endpoints,
            standing: watch::Sender::new(Standing { identity, allow }),
            outlet,
            happenings,
            stats,
            links: HashMap::new(),
            dialling: HashSet::new(),
            refusals: BTreeMap::new(),
            last_link: 0,
            ticks: 0,
        }
    }

    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut happenings: mpsc::Receiver<Happening>,
    ) {
        for endpoint in &self.endpoints {
            let (standing, happenings) = (self.standing.subscribe(), self.happenings.clone());
            tokio::spawn(accept::run(endpoint.clone(), standing, happenings));
        }
        let mut ticks = interval(STATS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(TURN);
        loop {
            tokio::select! {
                biased;
                Some(happening) = happenings.recv() => match happening {
                    Happening::Stop(code, done) => return self.stop(code, done).await,
                    happening => self.happened(happening),
                },
                _ = ticks.tick() => self.tick(),
                taken = commands.recv_many(&mut batch, TURN), if !commands.is_closed() || !commands.is_empty() => {
                    if taken == 0 {
                        continue;
                    }
                    batch.drain(..).for_each(|command| self.obey(command));
                }
            }
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Shaken(connection, arrival) => self.arrived(connection, arrival),
            Happening::Refused(refused) => self.refused(refused),
            Happening::DialEnded(peer) => {
                self.dialling.remove(&peer);
            }
            Happening::Gone(link) => {
                self.links.remove(&link);
            }
            Happening::Update(allow, done) => {
                self.standing.send_modify(|standing| standing.allow = Arc::new(allow));
                self.review();
                let _ = done.send(());
            }
            Happening::Renew(identity, done) => {
                self.standing.send_modify(|standing| standing.identity = identity);
                let _ = done.send(());
            }
            Happening::Stop(_, done) => drop(done),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Dial { peer } => self.dial(peer),
            Command::Open { link, stream } => self.with(link, |link| link.open(stream)),
            Command::Frame { link, stream, message } => self.with(link, |link| match frame::encode(&message) {
                Ok(frame) => link.frame(stream, frame),
                Err(error) => tracing::error!(%error, "a message of ours does not fit in a frame and is dropped"),
            }),
            Command::Finish { link, stream } => self.with(link, |link| link.finish(stream)),
            Command::Datagram { link, datagram } => self.with(link, |link| link.datagram(datagram)),
            Command::Close { link, code } => self.with(link, |link| link.close(code)),
        }
    }

    /// A link that is gone already needs no commands.
    fn with(&mut self, link: LinkId, act: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links.get_mut(&link) {
            act(link);
        }
    }

    /// One dial to a peer at a time; its outcome answers them all.
    fn dial(&mut self, domain: Domain) {
        if !self.dialling.insert(domain.clone()) {
            return;
        }
        let standing = self.standing.borrow().clone();
        let peer = self.diallable(&standing.allow, &domain);
        let (endpoints, outlet, happenings) = (self.endpoints.clone(), self.outlet.clone(), self.happenings.clone());
        tokio::spawn(async move {
            let outcome = match peer {
                Ok(peer) => dial::run(&endpoints, &standing, &peer).await,
                Err(code) => Err(Some(code)),
            };
            let happening = match outcome {
                Ok(connection) => Happening::Shaken(connection, Arrival::Dialled(domain)),
                Err(code) => {
                    dial_failed(&outlet, domain.clone(), code).await;
                    Happening::DialEnded(domain)
                }
            };
            let _ = happenings.send(happening).await;
        });
    }

    /// The peer, unless our own rules refuse the dial before anything leaves the process.
    fn diallable(&self, allow: &AllowList, domain: &Domain) -> Result<Peer, Code> {
        let peer = allow.peer(domain).ok_or(Code::Unlisted)?;
        peer.admitted(clock::wall())?;
        if peer.trust == Trust::Nobody {
            return Err(Code::Untrusted);
        }
        if self.links.len() >= MAX_LINKS {
            return Err(Code::Limit);
        }
        Ok(peer.clone())
    }

    /// A handshake is complete. The allow list may have changed meanwhile, so that everything is checked once more.
    fn arrived(&mut self, connection: Connection, arrival: Arrival) {
        let allow = Arc::clone(&self.standing.borrow().allow);
        let chain = chain(&connection);
        let verdict = match &arrival {
            Arrival::Accepted => verify::dialler(&chain, &allow, clock::wall()),
            Arrival::Dialled(domain) => recheck(&chain, &allow, domain, Side::Dialled).map(|()| domain.clone()),
        };
        let fits = verdict.and_then(|peer| self.room(&connection, peer));
        match (fits, arrival) {
            (Ok(peer), arrival) => self.begin(connection, peer, &arrival),
            (Err(refused), Arrival::Accepted) => {
                connection.close(refused.code.close_code().into(), b"");
                self.refused(refused);
            }
            (Err(refused), Arrival::Dialled(domain)) => {
                connection.close(refused.code.close_code().into(), b"");
                self.dial_refused(domain, refused.code);
            }
        }
    }

    /// A link needs a place here, and datagrams on the other side.
    fn room(&self, connection: &Connection, peer: Domain) -> Result<Domain, Refused> {
        let refused = |code| Refused {
            code,
            claimed: Some(peer.clone()),
        };
        let of_peer = self.links.values().filter(|link| *link.peer() == peer).count();
        if self.links.len() >= MAX_LINKS || of_peer >= MAX_LINKS_PER_PEER {
            return Err(refused(Code::Limit));
        }
        if connection.max_datagram_size().is_none() {
            return Err(refused(Code::Protocol));
        }
        Ok(peer)
    }

    fn begin(&mut self, connection: Connection, peer: Domain, arrival: &Arrival) {
        let side = match arrival {
            Arrival::Accepted => Side::Accepted,
            Arrival::Dialled(domain) => {
                self.dialling.remove(domain);
                Side::Dialled
            }
        };
        self.last_link += 1;
        let id = LinkId(self.last_link);
        let link = Link::begin(id, connection, peer, side, self.outlet.clone(), self.happenings.clone());
        self.links.insert(id, link);
    }

    fn dial_refused(&self, domain: Domain, code: Code) {
        let (outlet, happenings) = (self.outlet.clone(), self.happenings.clone());
        tokio::spawn(async move {
            dial_failed(&outlet, domain.clone(), Some(code)).await;
            let _ = happenings.send(Happening::DialEnded(domain)).await;
        });
    }

    fn refused(&mut self, refused: Refused) {
        tracing::debug!(code = refused.code.as_str(), claimed = ?refused.claimed, "a handshake was refused");
        *self.refusals.entry(refused.code).or_default() += 1;
        (self.outlet.refused)(refused);
    }

    fn tick(&mut self) {
        self.stats.send_replace(self.links.values().map(Link::stats).collect());
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS_PER_REVIEW) {
            self.review();
            for (code, count) in std::mem::take(&mut self.refusals) {
                tracing::warn!(
                    code = code.as_str(),
                    count,
                    "handshakes were refused in the last minute"
                );
            }
        }
    }

    /// Closes every link that could not come up now.
    fn review(&mut self) {
        let allow = Arc::clone(&self.standing.borrow().allow);
        for link in self.links.values_mut() {
            if let Err(refused) = recheck(&chain(link.connection()), &allow, link.peer(), link.side()) {
                tracing::warn!(peer = %link.peer(), code = refused.code.as_str(), "a link is no longer allowed");
                link.close(refused.code);
            }
        }
    }

    async fn stop(self, code: Code, done: oneshot::Sender<()>) {
        for mut link in self.links.into_values() {
            link.close(code);
        }
        for endpoint in &self.endpoints {
            endpoint.close(code.close_code().into(), b"");
            endpoint.wait_idle().await;
        }
        let _ = done.send(());
    }
}

async fn dial_failed(outlet: &Outlet, peer: Domain, code: Option<Code>) {
    // Fails only where nobody is left who would care.
    let _ = outlet.events.send(Event::DialFailed { peer, code }).await;
}

/// What the peer showed; empty (and so refused) where quinn has nothing.
pub(super) fn chain(connection: &Connection) -> Vec<CertificateDer<'static>> {
    let identity = connection.peer_identity().map(|identity| identity.downcast());
    identity.and_then(Result::ok).map(|chain| *chain).unwrap_or_default()
}

/// Whether a chain still proves that its owner is the peer of that domain, and the peer is still let in.
fn recheck(chain: &[CertificateDer<'_>], allow: &AllowList, domain: &Domain, side: Side) -> Result<(), Refused> {
    let refused = |code| Refused {
        code,
        claimed: Some(domain.clone()),
    };
    match side {
        Side::Accepted => match verify::dialler(chain, allow, clock::wall())? {
            proven if proven == *domain => Ok(()),
            _ => Err(refused(Code::WrongName)),
        },
        Side::Dialled => {
            let peer = allow.peer(domain).ok_or_else(|| refused(Code::Unlisted))?;
            verify::peer(chain, peer, side, clock::wall()).map_err(refused)
        }
    }
}
