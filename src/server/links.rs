//! Federation from the configuration: who may link, with which certificate, and where links report to.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::config::{self, Config};
use crate::federation::Event;
use crate::federation::allow::{AllowList, Peer, Pin, Trust};
use crate::ids::{Domain, LinkId};
use crate::limits::{LINK_QUEUE, MAILBOX};
use crate::metrics::Metrics;
use crate::net::quic::{Links, Outlet};
use crate::net::tls::files::trust_or_nobody;
use crate::net::tls::{Identity, files, verify};
use crate::server::StartError;
use crate::units::WallTime;

/// The worker's ends of what links report.
pub struct LinkEnds {
    /// What happens to them.
    pub events: mpsc::Receiver<Event>,
    /// Media.
    pub media: mpsc::Receiver<(LinkId, Bytes)>,
}

/// The configured peers' domains.
pub fn domains(config: &Config) -> impl Iterator<Item = &Domain> {
    let peers = config.federation.iter().flat_map(|federation| &federation.peers);
    peers.map(|peer| &peer.domain)
}

/// Both ends of the way from links to the worker.
pub fn channels(metrics: Arc<Metrics>) -> (LinkEnds, Outlet) {
    let (events, events_end) = mpsc::channel(MAILBOX);
    let (media, media_end) = mpsc::channel(LINK_QUEUE);
    let outlet = Outlet {
        events,
        media: Arc::new(move |link, datagram| media.try_send((link, datagram)).is_ok()),
        refused: Arc::new(move |refused| {
            metrics.peer_refused.add(&refused.code, 1);
            let peer = refused.claimed.as_ref().map_or("other", Domain::as_str);
            tracing::info!(reason = refused.code.as_str(), peer, "a link is refused");
        }),
    };
    let ends = LinkEnds {
        events: events_end,
        media: media_end,
    };
    (ends, outlet)
}

/// When our own certificate ends, by its file. `None`: federation is not configured, or the file is of no use, which starting links says.
pub fn not_after(config: &Config) -> Option<WallTime> {
    let chain = files::certificates(&config.federation.as_ref()?.certificate).ok()?;
    verify::not_after(chain.first()?)
}

/// Starts links; `None`: federation is not configured.
pub fn start(config: &Config, outlet: Outlet) -> Result<Option<Links>, StartError> {
    let Some(federation) = &config.federation else {
        return Ok(None);
    };
    let identity = Identity::load(&federation.certificate, &federation.private_key);
    let identity = identity.map_err(|error| StartError::Certificate {
        file: federation.certificate.clone(),
        error,
    })?;
    let allow = AllowList::new(federation.peers.iter().map(peer).collect());
    Ok(Some(Links::start(&federation.listen, identity, allow, outlet)?))
}

fn peer(peer: &config::Peer) -> Peer {
    let trust = match &peer.trust {
        config::Trust::Ca(file) => trust_or_nobody(&peer.domain, file),
        config::Trust::Pins(pins) => Trust::pins(pins.iter().copied().map(Pin).collect()),
    };
    Peer {
        certificate_name: Some(peer.certificate_name.clone()),
        address: Some(peer.address.clone()),
        suspended: peer.suspended,
        ..Peer::new(peer.domain.clone(), trust)
    }
}
