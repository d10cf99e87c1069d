//! What nobody counts as it happens: the uptime, and how links are doing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::ids::{Domain, LinkId};
use crate::metrics::{Direction, LinkClass, LinkKind, Metrics, Peer};
use crate::net::quic::{LinkStats, Links};
use crate::units::WallTime;

/// Updates the metrics once a second, for ever.
pub async fn every_second(metrics: Arc<Metrics>, links: Option<Links>) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    let mut seen = Seen::default();
    loop {
        ticks.tick().await;
        metrics.uptime.inc();
        if let Some(links) = &links {
            seen.fold(&metrics, &links.stats());
        }
    }
}

/// What was seen of links so far.
#[derive(Default)]
struct Seen {
    links: HashMap<LinkId, LinkStats>,
    // Of all links with a domain since the start; as many as there are peers.
    exchanged: HashMap<Domain, Exchanged>,
}

/// Bytes of UDP payload.
#[derive(Clone, Copy, Default)]
struct Exchanged {
    sent: u64,
    received: u64,
}

impl Seen {
    /// Adds what is new.
    fn fold(&mut self, metrics: &Metrics, stats: &[LinkStats]) {
        // Of a second ago: the workers have counted by now what of that was media.
        for (domain, exchanged) in &self.exchanged {
            let peer = metrics.peer(domain);
            count_others(metrics, &peer, Direction::Out, exchanged.sent);
            count_others(metrics, &peer, Direction::In, exchanged.received);
        }
        for gone in self.links.values() {
            metrics.link_up.set(&metrics.peer(&gone.peer), 0.0);
        }
        for link in stats {
            show(metrics, link, stats);
            self.add(metrics, link);
        }
        self.links = stats.iter().map(|link| (link.link, link.clone())).collect();
    }

    fn add(&mut self, metrics: &Metrics, now: &LinkStats) {
        let before = self.links.get(&now.link);
        let news = |value: fn(&LinkStats) -> u64| value(now).saturating_sub(before.map_or(0, value));
        let exchanged = self.exchanged.entry(now.peer.clone()).or_default();
        exchanged.sent += news(|link| link.sent_bytes);
        exchanged.received += news(|link| link.received_bytes);
        let dropped = news(|link| link.dropped_out + link.dropped_in);
        metrics
            .link_dropped
            .add(&(metrics.peer(&now.peer), LinkClass::Congested), dropped);
    }
}

/// How the links of this link's peer are.
fn show(metrics: &Metrics, link: &LinkStats, stats: &[LinkStats]) {
    let peer = metrics.peer(&link.peer);
    let of_peer = || stats.iter().filter(|other| other.peer == link.peer);
    let up = u32::try_from(of_peer().count()).unwrap_or(u32::MAX);
    metrics.link_up.set(&peer, f64::from(up));
    metrics.link_rtt.set(&peer, link.rtt.as_secs_f64());
    certificate_ends(metrics, &peer, of_peer().filter_map(|link| link.not_after).min());
}

/// Counts what is left of `exchanged` bytes once media is taken away.
fn count_others(metrics: &Metrics, peer: &Peer, direction: Direction, exchanged: u64) {
    let counted = |kind| metrics.link_bytes.counted(&(peer.clone(), direction, kind));
    let known: u64 = LinkKind::ALL.iter().map(|kind| counted(*kind)).sum();
    let left = exchanged.saturating_sub(known);
    metrics
        .link_bytes
        .add(&(peer.clone(), direction, LinkKind::Other), left);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::Side;

    fn stats(link: u64, sent_bytes: u64) -> LinkStats {
        LinkStats {
            link: LinkId(link),
            peer: Domain::parse("b.example").unwrap(),
            side: Side::Dialled,
            rtt: Duration::from_millis(20),
            window: 0,
            sent_bytes,
            received_bytes: 0,
            lost_packets: 0,
            not_after: Some(WallTime(1_800_000_000_000)),
            dropped_out: 0,
            dropped_in: 0,
        }
    }

    #[test]
    fn what_media_leaves_of_a_links_bytes_is_other_over_all_its_links() {
        let domain = Domain::parse("b.example").unwrap();
        let metrics = Metrics::new([&domain]);
        let peer = metrics.peer(&domain);
        let mut seen = Seen::default();
        for (link, sent, media, other) in [
            (1, 1000, 600, 0),
            (1, 1500, 200, 400),
            // Another link takes over, and the counts go on.
            (2, 300, 300, 700),
            (2, 300, 0, 700),
            (2, 300, 0, 700),
        ] {
            seen.fold(&metrics, &[stats(link, sent)]);
            let label = |kind| (peer.clone(), Direction::Out, kind);
            assert_eq!(
                metrics.link_bytes.counted(&label(LinkKind::Other)),
                other,
                "{sent} at {link}"
            );
            metrics.link_bytes.add(&label(LinkKind::Video), media);
        }
        let text = metrics.render();
        assert!(
            text.contains("sft_certificate_not_after_seconds{peer=\"b.example\"} 1800000000\n"),
            "{text}"
        );
        assert!(text.contains("sft_link_up{peer=\"b.example\"} 1\n"), "{text}");
    }
}
