//! Dials one configured peer: its addresses one after the other, each with its part of the time.

use std::net::SocketAddr;

use quinn::{Connection, Endpoint};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::federation::allow::Peer;
use crate::limits::{HANDSHAKE_TIMEOUT, MAX_PEER_ADDRESSES};
use crate::net::quic::hub::Standing;
use crate::net::quic::{transport, verdict};
use crate::net::tls::Verdict;
use crate::proto::link::message::Code;

/// Connects, with the peer's certificate verified.
///
/// # Errors
/// The peer's or our verdict; `None`: no answer, or no address.
pub(super) async fn run(endpoints: &[Endpoint], standing: &Standing, peer: &Peer) -> Result<Connection, Option<Code>> {
    let addresses = addresses(peer).await;
    let share = HANDSHAKE_TIMEOUT / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut last = None;
    for address in addresses {
        let Some(endpoint) = suitable(endpoints, address) else {
            continue;
        };
        let verdict = Verdict::default();
        match timeout(share, connect(endpoint, standing, peer, address, &verdict)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(code)) => last = code.or(last),
            Err(_too_late) => {}
        }
    }
    Err(last)
}

/// What the configured address stands for now; empty where there is none or it has no meaning.
async fn addresses(peer: &Peer) -> Vec<SocketAddr> {
    let Some(address) = &peer.address else {
        return Vec::new();
    };
    match timeout(HANDSHAKE_TIMEOUT, lookup_host(address)).await {
        Ok(Ok(found)) => found.take(MAX_PEER_ADDRESSES).collect(),
        _ => {
            tracing::warn!(peer = %peer.domain, "the configured address of a peer cannot be resolved");
            Vec::new()
        }
    }
}

async fn connect(
    endpoint: &Endpoint,
    standing: &Standing,
    peer: &Peer,
    address: SocketAddr,
    verdict: &Verdict,
) -> Result<Connection, Option<Code>> {
    let tls = standing.identity.dialling(peer.clone(), verdict.clone());
    let config = tls
        .and_then(transport::client_config)
        .map_err(|_| Some(Code::Protocol))?;
    let connecting = endpoint
        .connect_with(config, address, peer.name().as_str())
        .map_err(|_| None)?;
    connecting.await.map_err(|error| {
        let ours = verdict.refusal().map(|refused| refused.code);
        ours.or_else(|| verdict::reason(&error))
    })
}

/// An endpoint that reaches the address: of the same family, or of both.
fn suitable(endpoints: &[Endpoint], address: SocketAddr) -> Option<&Endpoint> {
    let local = |endpoint: &Endpoint| endpoint.local_addr().ok();
    let same = |endpoint: &&Endpoint| local(endpoint).is_some_and(|local| local.is_ipv4() == address.is_ipv4());
    let both = |endpoint: &&Endpoint| local(endpoint).is_some_and(|l| l.is_ipv6() && l.ip().is_unspecified());
    endpoints.iter().find(same).or_else(|| endpoints.iter().find(both))
}
