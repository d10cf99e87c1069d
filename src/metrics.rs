//! Every metric with its name, unit and help. Labels come from enums and from the configured peers, so how many there can be is known.
//!
//! Nothing on the packet path touches these: workers count in plain integers and add them here once a second.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::ids::Domain;
use crate::proto::link::message::{Code, Kind};
use crate::relay::{Rule, Unforwarded};

/// A label with a closed set of values.
pub trait Label {
    /// The label's name.
    const NAME: &'static str;

    /// This value's word.
    fn value(&self) -> &str;
}

/// The labels of a family: one to three.
pub trait Labels {
    /// Their names.
    fn names() -> Vec<&'static str>;

    /// Their values, in the same order.
    fn values(&self) -> Vec<&str>;
}

impl<A: Label> Labels for A {
    fn names() -> Vec<&'static str> {
        vec![A::NAME]
    }

    fn values(&self) -> Vec<&str> {
        vec![self.value()]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    fn names() -> Vec<&'static str> {
        vec![A::NAME, B::NAME]
    }

    fn values(&self) -> Vec<&str> {
        vec![self.0.value(), self.1.value()]
    }
}

impl<A: Label, B: Label, C: Label> Labels for (A, B, C) {
    fn names() -> Vec<&'static str> {
        vec![A::NAME, B::NAME, C::NAME]
    }

    fn values(&self) -> Vec<&str> {
        vec![self.0.value(), self.1.value(), self.2.value()]
    }
}

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

macro_rules! label {
    ($(#[$doc:meta])* $name:ident = $label:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),*];
        }

        impl Label for $name {
            const NAME: &'static str = $label;

            fn value(&self) -> &str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }
    };
}

label! {
    /// How far a session has come.
    SessionState = "state" {
        /// Its data channel is not open yet.
        HalfOpen = "half_open",
        /// Its data channel is open.
        Open = "open",
    }
}

label! {
    /// Why a packet went nowhere.
    Dropped = "reason" {
        /// Its first byte is that of nothing we know (RFC 7983 §7).
        UnknownKind = "unknown_kind",
        /// No session has this address or ufrag.
        UnknownPath = "unknown_path",
        /// A STUN message that is malformed or fails its integrity check.
        BadStun = "bad_stun",
        /// DTLS or SCTP that the session could not take.
        BadTransport = "bad_transport",
        /// SRTP or SRTCP that fails its authentication.
        Unauthentic = "unauthentic",
        /// SRTP or SRTCP that came before, or too late.
        Replayed = "replayed",
        /// Media before the session has keys, or after it ended.
        NotReady = "not_ready",
        /// RTP that is malformed or too large.
        BadRtp = "bad_rtp",
        /// RTCP that is malformed.
        BadRtcp = "bad_rtcp",
        /// A datagram of a link that is malformed.
        BadLinkDatagram = "bad_link_datagram",
        /// A packet whose source is no session or flow that we know.
        UnknownSource = "unknown_source",
        /// A packet whose SSRC its sender did not announce.
        UnknownSsrc = "unknown_ssrc",
        /// Padding that only measures the path.
        Padding = "padding",
        /// Its number was there before, or is too old.
        Repeated = "repeated",
        /// A queue was full.
        QueueFull = "queue_full",
        /// The kernel did not take it.
        SendFailed = "send_failed",
        /// Handling it panicked; its session ended.
        Panicked = "panicked",
    }
}

impl From<Unforwarded> for Dropped {
    fn from(reason: Unforwarded) -> Dropped {
        match reason {
            Unforwarded::UnknownSource => Dropped::UnknownSource,
            Unforwarded::UnknownSsrc => Dropped::UnknownSsrc,
            Unforwarded::Padding => Dropped::Padding,
            Unforwarded::Repeated => Dropped::Repeated,
        }
    }
}

label! {
    /// Which way bytes cross a link.
    Direction = "direction" {
        /// From the peer.
        In = "in",
        /// To the peer.
        Out = "out",
    }
}

label! {
    /// What was dropped on a link.
    LinkClass = "class" {
        /// A datagram that did not fit the path.
        TooLarge = "too_large",
        /// A datagram that waited while the path was full.
        Congested = "congested",
        /// A fragment whose others never came.
        Incomplete = "incomplete",
    }
}

label! {
    /// What became of a wish for a key frame.
    KeyframeOutcome = "outcome" {
        /// The publisher was asked.
        Asked = "asked",
        /// Asked again, because nothing came.
        Repeated = "repeated",
    }
}

impl Label for Kind {
    const NAME: &'static str = "kind";

    fn value(&self) -> &str {
        match self {
            Kind::Audio => "audio",
            Kind::Video => "video",
        }
    }
}

impl Label for Rule {
    const NAME: &'static str = "rule";

    fn value(&self) -> &str {
        self.as_str()
    }
}

impl Label for Code {
    const NAME: &'static str = "reason";

    fn value(&self) -> &str {
        self.as_str()
    }
}

/// A configured peer, or `other`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer(Arc<str>);

impl Label for Peer {
    const NAME: &'static str = "peer";

    fn value(&self) -> &str {
        &self.0
    }
}

/// A media worker by its number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Worker(String);

impl Worker {
    /// The label of the worker with this number.
    #[must_use]
    pub fn number(number: usize) -> Worker {
        Worker(number.to_string())
    }
}

impl Label for Worker {
    const NAME: &'static str = "worker";

    fn value(&self) -> &str {
        &self.0
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
    /// `sft_link_bytes_total{peer,direction}`: UDP payload.
    pub link_bytes: Counters<(Peer, Direction)>,
    /// `sft_link_dropped_packets_total{peer,class}`.
    pub link_dropped: Counters<(Peer, LinkClass)>,
    /// `sft_link_fragments_total{peer}`: datagrams that carry a part of a packet.
    pub link_fragments: Counters<Peer>,
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
    /// `sft_certificate_not_after_seconds{peer}`: when a peer's certificate ends, Unix time.
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
                .map(|domain| (domain.clone(), Peer(domain.as_str().into())))
                .collect(),
            other: Peer("other".into()),
            uptime: register.counter("sft_uptime", "Uptime in [seconds] of the SFT service"),
            participants: register.gauge("sft_participants", "Current number of participants"),
            calls: register.gauge("sft_calls", "Current number of calls"),
            participants_total: register.counter("sft_participants_total", "Total number of participants"),
            calls_total: register.counter("sft_calls_total", "Total number of calls"),
            sessions: register.gauges("sft_sessions", "Client transports on this SFT"),
            streams: register.gauges("sft_streams", "Streams published by participants here and behind links"),
            forwarded_packets: register.counters("sft_forwarded_packets_total", "Packets sent to clients and peers"),
            forwarded_bytes: register.counters("sft_forwarded_bytes_total", "RTP bytes sent to clients and peers"),
            dropped: register.counters("sft_dropped_packets_total", "Packets that went nowhere"),
            link_up: register.gauges("sft_link_up", "Live links to a peer"),
            link_rtt: register.gauges("sft_link_rtt_seconds", "Round trip to a peer"),
            link_bytes: register.counters("sft_link_bytes_total", "UDP payload exchanged with a peer"),
            link_dropped: register.counters(
                "sft_link_dropped_packets_total",
                "Packets lost on a link by our own doing",
            ),
            link_fragments: register.counters("sft_link_fragments_total", "Datagrams that carry a part of a packet"),
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
                "When a peer's certificate ends, Unix time",
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
        metrics
            .link_bytes
            .add(&(metrics.peer(&domain("evil.example")), Direction::In), 40);
        let text = metrics.render();
        assert!(text.contains("sft_link_up{peer=\"b.example\"} 1"), "{text}");
        assert!(
            text.contains("sft_link_bytes_total{direction=\"in\",peer=\"other\"} 40"),
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
            "sft_worker_busy_ratio{worker=\"0\"} 0.25",
            "sft_join_seconds_count 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
    }
}
