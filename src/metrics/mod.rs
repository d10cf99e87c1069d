//! Every metric with its name, unit and help. Labels come from enums and from the configured peers, so how many there can be is known.
//!
//! [`label`] has the labels. Nothing on the packet path touches these: workers count in plain integers and add them here once a second.

pub mod label;

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::ids::Domain;
use crate::proto::link::message::{Code, Kind};
use crate::relay::Rule;

pub use crate::metrics::label::{
    Direction, Dropped, JoinRefused, KeyframeOutcome, Label, Labels, LinkClass, LinkKind, Peer, SessionState, Worker,
};

/// Counters of one name, told apart by labels.
#[derive(Debug)]
pub struct Counters<L> {
    family: IntCounterVec,
    labels: std::marker::PhantomData<fn(L)>,
}

impl<L: Labels> Counters<L> {
    /// Counts `more` events.
    pub fn add(&self, labels: &L, more: u64) {
        self.family.with_label_values(&labels.values()).inc_by(more);
    }

    /// How many were counted so far.
    #[must_use]
    pub fn counted(&self, labels: &L) -> u64 {
        self.family.with_label_values(&labels.values()).get()
    }
}

/// Values of one name that go up and down, told apart by labels.
#[derive(Debug)]
pub struct Gauges<L> {
    family: GaugeVec,
    labels: std::marker::PhantomData<fn(L)>,
}

impl<L: Labels> Gauges<L> {
    /// Sets the value, in the unit that the metric's name ends in.
    pub fn set(&self, labels: &L, value: f64) {
        self.family.with_label_values(&labels.values()).set(value);
    }
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    peers: Vec<(Domain, Peer)>,
    other: Peer,
    /// `sft_uptime`: whole seconds since start.
    pub uptime: IntCounter,
    /// `sft_participants`: local sessions.
    pub participants: IntGauge,
    /// `sft_calls`: conferences.
    pub calls: IntGauge,
    /// `sft_participants_total`: local sessions since start.
    pub participants_total: IntCounter,
    /// `sft_calls_total`: conferences since start.
    pub calls_total: IntCounter,
    /// `sft_sessions{state}`.
    pub sessions: Gauges<SessionState>,
    /// `sft_streams{kind}`: published here or over a link.
    pub streams: Gauges<Kind>,
    /// `sft_forwarded_packets_total{kind}`: sent to clients and peers.
    pub forwarded_packets: Counters<Kind>,
    /// `sft_forwarded_bytes_total{kind}`: their RTP bytes.
    pub forwarded_bytes: Counters<Kind>,
    /// `sft_dropped_packets_total{reason}`.
    pub dropped: Counters<Dropped>,
    /// `sft_link_up{peer}`: live links.
    pub link_up: Gauges<Peer>,
    /// `sft_link_rtt_seconds{peer}`.
    pub link_rtt: Gauges<Peer>,
    /// `sft_link_bytes_total{peer,direction,kind}`: UDP payload.
    pub link_bytes: Counters<(Peer, Direction, LinkKind)>,
    /// `sft_link_dropped_packets_total{peer,class}`.
    pub link_dropped: Counters<(Peer, LinkClass)>,
    /// `sft_link_fragments_total{peer}`: datagrams that carry a part of a packet.
    pub link_fragments: Counters<Peer>,
    /// `sft_join_refused_total{reason}`: CONFCONNs refused by us, or by the anchor through us.
    pub join_refused: Counters<JoinRefused>,
    /// `sft_peer_refused_total{reason}`: links refused by us.
    pub peer_refused: Counters<Code>,
    /// `sft_authority_violations_total{peer,rule}`: what peers said and may not.
    pub authority_violations: Counters<(Peer, Rule)>,
    /// `sft_keyframe_requests_total{outcome}`.
    pub keyframe_requests: Counters<KeyframeOutcome>,
    /// `sft_join_seconds`: from CONFCONN to the open data channel.
    pub join: Histogram,
    /// `sft_forward_delay_seconds`: from the socket to the socket.
    pub forward_delay: Histogram,
    /// `sft_certificate_not_after_seconds{peer}`: when the certificate ends that a peer showed last, Unix time; ours under our own domain.
    pub certificate_not_after: Gauges<Peer>,
    /// `sft_worker_busy_ratio{worker}`: share of the last second, 0 to 1.
    pub worker_busy: Gauges<Worker>,
    /// `sft_udp_receive_errors_total`: datagrams the kernel had no room for.
    pub udp_receive_errors: IntCounter,
}

impl Metrics {
    /// All at zero; `peers` are the domains that get a label of their own.
    #[must_use]
    pub fn new<'a>(peers: impl IntoIterator<Item = &'a Domain>) -> Metrics {
        let register = Register(Registry::new());
        register.build();
        Metrics {
            peers: peers
                .into_iter()
                .map(|domain| (domain.clone(), Peer::new(domain)))
                .collect(),
            other: Peer::other(),
            uptime: register.counter("sft_uptime", "Uptime in [seconds] of the SFT service"),
            participants: register.gauge("sft_participants", "Current number of participants"),
            calls: register.gauge("sft_calls", "Current number of calls"),
            participants_total: register.counter("sft_participants_total", "Total number of participants"),
            calls_total: register.counter("sft_calls_total", "Total number of calls"),
            sessions: register.gauges("sft_sessions", "Client transports on this SFT"),
            streams: register.gauges("sft_streams", "Audio and video published by participants here and behind links; the layers of a video are one"),
            forwarded_packets: register.counters("sft_forwarded_packets_total", "Packets sent to clients and peers"),
            forwarded_bytes: register.counters("sft_forwarded_bytes_total", "RTP bytes sent to clients and peers"),
            dropped: register.counters("sft_dropped_packets_total", "Packets that went nowhere"),
            link_up: register.gauges("sft_link_up", "Live links to a peer"),
            link_rtt: register.gauges("sft_link_rtt_seconds", "Round trip to a peer"),
            link_bytes: register.counters("sft_link_bytes_total", "UDP payload exchanged with a peer; kind other is what media datagrams leave of it"),
            link_dropped: register.counters(
                "sft_link_dropped_packets_total",
                "Packets lost on a link by our own doing",
            ),
            link_fragments: register.counters("sft_link_fragments_total", "Datagrams that carry a part of a packet"),
            join_refused: register.counters("sft_join_refused_total", "Clients that were told that they cannot join here"),
            peer_refused: register.counters("sft_peer_refused_total", "Links and leases that this SFT refused"),
            authority_violations: register.counters(
                "sft_authority_violations_total",
                "What peers said beyond the authority of their domain; it had no effect",
            ),
            keyframe_requests: register.counters("sft_keyframe_requests_total", "Key frames wanted from publishers"),
            join: register.histogram("sft_join_seconds", "From CONFCONN to the open data channel", 0.025, 12),
            forward_delay: register.histogram(
                "sft_forward_delay_seconds",
                "From receiving to sending a packet",
                5e-6,
                16,
            ),
            certificate_not_after: register.gauges(
                "sft_certificate_not_after_seconds",
                "When the certificate ends that a peer showed last, or under our own domain ours as it was read at start, Unix time",
            ),
            worker_busy: register.gauges("sft_worker_busy_ratio", "Share of its time that a media worker works"),
            udp_receive_errors: register.counter(
                "sft_udp_receive_errors_total",
                "Datagrams that the kernel had no room for",
            ),
            registry: register.0,
        }
    }

    /// The label of a domain: its name where it is a configured peer, else `other`.
    #[must_use]
    pub fn peer(&self, domain: &Domain) -> Peer {
        let known = self.peers.iter().find(|(peer, _)| peer == domain);
        known.map_or(&self.other, |(_, label)| label).clone()
    }

    /// All values in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        TextEncoder::new()
            .encode_utf8(&self.registry.gather(), &mut text)
            .expect("only metrics without a name or value fail, and `Register` makes none");
        text
    }
}

/// Makes metrics and puts them into the registry.
struct Register(Registry);

impl Register {
    fn keep<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let collector = made.expect("names and labels are constants, and a test makes them all");
        self.0
            .register(Box::new(collector.clone()))
            .expect("no name is used twice, and a test makes them all");
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.keep(IntCounter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(IntGauge::new(name, help))
    }

    fn counters<L: Labels>(&self, name: &str, help: &str) -> Counters<L> {
        let family = self.keep(IntCounterVec::new(Opts::new(name, help), &L::names()));
        Counters {
            family,
            labels: std::marker::PhantomData,
        }
    }

    fn gauges<L: Labels>(&self, name: &str, help: &str) -> Gauges<L> {
        let family = self.keep(GaugeVec::new(Opts::new(name, help), &L::names()));
        Gauges {
            family,
            labels: std::marker::PhantomData,
        }
    }

    /// Buckets from `first` seconds on, each twice as wide as the one before.
    fn histogram(&self, name: &str, help: &str, first: f64, count: usize) -> Histogram {
        let buckets = prometheus::exponential_buckets(first, 2.0, count);
        self.keep(buckets.and_then(|buckets| Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))))
    }

    fn build(&self) {
        let opts = Opts::new("sft_build_info", "Build information").const_label("version", env!("CARGO_PKG_VERSION"));
        self.keep(IntGauge::with_opts(opts)).set(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Refusal, Unforwarded};

    fn domain(name: &str) -> Domain {
        Domain::parse(name).unwrap()
    }

    #[test]
    fn the_incumbents_six_are_there_under_their_names() {
        let text = Metrics::new([]).render();
        for line in [
            "# TYPE sft_uptime counter",
            "# TYPE sft_participants gauge",
            "# TYPE sft_calls gauge",
            "# TYPE sft_participants_total counter",
            "# TYPE sft_calls_total counter",
            concat!("sft_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_strangers_name_never_becomes_a_label() {
        let metrics = Metrics::new([&domain("b.example")]);
        metrics.link_up.set(&metrics.peer(&domain("b.example")), 1.0);
        metrics.link_bytes.add(
            &(metrics.peer(&domain("evil.example")), Direction::In, LinkKind::Video),
            40,
        );
        let text = metrics.render();
        assert!(text.contains("sft_link_up{peer=\"b.example\"} 1"), "{text}");
        assert!(
            text.contains("sft_link_bytes_total{direction=\"in\",kind=\"video\",peer=\"other\"} 40"),
            "{text}"
        );
        assert!(!text.contains("evil"), "{text}");
    }

    #[test]
    fn every_family_can_be_counted_and_every_reason_has_its_own_word() {
        let metrics = Metrics::new([]);
        for reason in Dropped::ALL {
            metrics.dropped.add(reason, 2);
        }
        for code in Code::ALL {
            metrics.peer_refused.add(&code, 1);
        }
        for why in [JoinRefused::HalfOpen, JoinRefused::Relay(Refusal::Anchor(Code::Limit))] {
            metrics.join_refused.add(&why, 1);
        }
        metrics.join_refused.add(&JoinRefused::Relay(Refusal::Limit), 1);
        metrics.dropped.add(&Unforwarded::Padding.into(), 1);
        metrics.worker_busy.set(&Worker::number(0), 0.25);
        metrics.join.observe(0.2);
        let text = metrics.render();
        let reasons = text
            .lines()
            .filter(|line| line.starts_with("sft_dropped_packets_total{"))
            .count();
        assert_eq!(reasons, Dropped::ALL.len());
        assert_eq!(text.matches("sft_peer_refused_total{").count(), Code::ALL.len());
        for line in [
            "sft_dropped_packets_total{reason=\"padding\"} 3",
            "sft_join_refused_total{reason=\"half_open\"} 1",
            "sft_join_refused_total{reason=\"limit\"} 2",
            "sft_worker_busy_ratio{worker=\"0\"} 0.25",
            "sft_join_seconds_count 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
    }
}
