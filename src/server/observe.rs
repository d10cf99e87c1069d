//! What nobody counts as it happens: the uptime, and how links are doing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::ids::LinkId;
use crate::metrics::{Direction, LinkClass, Metrics, Peer};
use crate::net::quic::{LinkStats, Links};
use crate::units::WallTime;

/// Updates the metrics once a second, for ever.
pub async fn every_second(metrics: Arc<Metrics>, links: Option<Links>) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    let mut seen = HashMap::new();
    loop {
        ticks.tick().await;
        metrics.uptime.inc();
        if let Some(links) = &links {
            seen = fold(&metrics, &links.stats(), &seen);
        }
    }
}

/// Adds what is new since `seen`; returns what is seen now.
fn fold(metrics: &Metrics, stats: &[LinkStats], seen: &HashMap<LinkId, LinkStats>) -> HashMap<LinkId, LinkStats> {
    for gone in seen.values() {
        metrics.link_up.set(&metrics.peer(&gone.peer), 0.0);
    }
    for link in stats {
        let peer = metrics.peer(&link.peer);
        let up = stats.iter().filter(|other| other.peer == link.peer).count();
        metrics
            .link_up
            .set(&peer, f64::from(u32::try_from(up).unwrap_or(u32::MAX)));
        metrics.link_rtt.set(&peer, link.rtt.as_secs_f64());
        let of_peer = stats.iter().filter(|other| other.peer == link.peer);
        certificate_ends(metrics, &peer, of_peer.filter_map(|link| link.not_after).min());
        add(metrics, peer, link, seen.get(&link.link));
    }
    stats.iter().map(|link| (link.link, link.clone())).collect()
}

/// Tells when a certificate ends, where that is known.
pub fn certificate_ends(metrics: &Metrics, peer: &Peer, at: Option<WallTime>) {
    let Some(at) = at else { return };
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since the epoch are far below 2^52"
    )]
    let seconds = at.0 as f64 / 1000.0;
    metrics.certificate_not_after.set(peer, seconds);
}

fn add(metrics: &Metrics, peer: Peer, now: &LinkStats, before: Option<&LinkStats>) {
    let news = |value: fn(&LinkStats) -> u64| value(now).saturating_sub(before.map_or(0, value));
    let sent = news(|link| link.sent_bytes);
    let received = news(|link| link.received_bytes);
    let dropped = news(|link| link.dropped_out + link.dropped_in);
    metrics.link_bytes.add(&(peer.clone(), Direction::Out), sent);
    metrics.link_bytes.add(&(peer.clone(), Direction::In), received);
    metrics.link_dropped.add(&(peer, LinkClass::Congested), dropped);
}
