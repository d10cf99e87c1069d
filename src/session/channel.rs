//! The data channel (RFC 8831, RFC 8832) over SCTP. The only file that knows the `sctp-proto` crate.
//!
//! The client sends INIT; we never do, for the crate makes two associations of two crossing INITs. We open stream 1 (odd: the
//! DTLS server's) under the label that Wire's clients wait for. What comes on any other stream is thrown away.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use sctp_proto::{
    Association, AssociationError, DatagramEvent, Endpoint, EndpointConfig, Event as SctpEvent, Payload,
    PayloadProtocolIdentifier as Ppid, ServerConfig, Stream, StreamEvent, TransportConfig,
};

use crate::limits::{CHANNEL_RECEIVE_BYTES, MAX_CHANNEL_BACKLOG, MAX_FOREIGN_STREAMS, MAX_TEXT_BYTES};
use crate::session::{ChannelError, Reason};

/// Our stream.
const STREAM: u16 = 1;
/// What Wire's clients call the channel.
const LABEL: &[u8] = b"calling-3.0";
/// Message types of DCEP (RFC 8832 §8.2.1).
const DCEP_ACK: u8 = 2;
const DCEP_OPEN: u8 = 3;
/// Bytes of user data in a packet: with SCTP's and DTLS's own, 1150 on UDP, which fits every tunnel.
const MAX_PAYLOAD: u32 = 1100;
/// Retransmission timeouts in ms: a call's signalling cannot wait for RFC 9260's three seconds, nor, after a gap, for a minute.
const RTO_FIRST_MS: u64 = 500;
const RTO_MIN_MS: u64 = 200;
const RTO_MAX_MS: u64 = 3000;
/// Streams either side may use; ours is 1, and some clients insist on a few.
const STREAMS: u16 = 16;
/// The crate wants an address; DTLS has none to give.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1);

/// The crate's configuration, shared by all sessions.
pub(super) struct Setup {
    endpoint: Arc<EndpointConfig>,
    server: Arc<ServerConfig>,
}

impl Setup {
    pub(super) fn new() -> Setup {
        let mut endpoint = EndpointConfig::new();
        endpoint.max_payload_size(MAX_PAYLOAD);
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(bytes(CHANNEL_RECEIVE_BYTES))
            .with_max_receive_message_size(bytes(MAX_TEXT_BYTES))
            .with_max_send_message_size(bytes(MAX_TEXT_BYTES))
            .with_max_num_inbound_streams(STREAMS)
            .with_max_num_outbound_streams(STREAMS)
            .with_max_init_retransmits(None)
            .with_rto_initial_ms(RTO_FIRST_MS)
            .with_rto_min_ms(RTO_MIN_MS)
            .with_rto_max_ms(RTO_MAX_MS);
        let mut server = ServerConfig::new();
        server.transport = Arc::new(transport);
        Setup {
            endpoint: Arc::new(endpoint),
            server: Arc::new(server),
        }
    }
}

fn bytes(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// What the channel has to say.
pub(super) enum Event {
    /// Send this packet over DTLS.
    Packet(Vec<u8>),
    /// The client acknowledged the channel.
    Opened,
    /// A message, possibly empty.
    Text(Vec<u8>),
    /// There will be no channel any more.
    Lost(Reason),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Opening,
    Open,
    Lost,
}

/// One client's channel.
pub(super) struct Channel {
    endpoint: Endpoint,
    association: Option<Association>,
    state: State,
    foreign: usize,
    events: VecDeque<Event>,
}

impl Channel {
    /// Waits for the client's INIT.
    pub(super) fn new(setup: &Setup) -> Channel {
        let endpoint = Endpoint::new(Arc::clone(&setup.endpoint), Some(Arc::clone(&setup.server)));
        Channel {
            endpoint,
            association: None,
            state: State::Opening,
            foreign: 0,
            events: VecDeque::new(),
        }
    }

    /// Takes a packet that DTLS decrypted.
    pub(super) fn receive(&mut self, now: Instant, packet: Vec<u8>) {
        match self.endpoint.handle(now, NOWHERE, None, None, packet.into()) {
            Some((_, DatagramEvent::NewAssociation(association))) => {
                // One is enough; a second INIT would take the channel over.
                self.endpoint.reject_new_associations();
                self.association = Some(association);
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some(association) = &mut self.association {
                    association.handle_event(event);
                }
            }
            None => return,
        }
        self.drive(now);
    }

    /// Queues a text.
    pub(super) fn send_text(&mut self, now: Instant, text: &str) -> Result<(), ChannelError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(ChannelError::TooLong);
        }
        if self.backlog() + text.len() > MAX_CHANNEL_BACKLOG {
            return Err(ChannelError::Full);
        }
        let mut stream = self.stream().ok_or(ChannelError::NotOpen)?;
        // SCTP has no empty messages: RFC 8831 §6.6 sends one byte under another PPID.
        let (bytes, ppid) = if text.is_empty() {
            (&[0][..], Ppid::StringEmpty)
        } else {
            (text.as_bytes(), Ppid::String)
        };
        stream.write_with_ppi(bytes, ppid).map_err(|_| ChannelError::NotOpen)?;
        self.drive(now);
        Ok(())
    }

    /// Bytes sent and not yet acknowledged.
    pub(super) fn backlog(&mut self) -> usize {
        self.stream()
            .and_then(|stream| stream.buffered_amount().ok())
            .unwrap_or(0)
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(association) = &mut self.association {
            association.handle_timeout(now);
        }
        self.drive(now);
    }

    /// When [`Channel::handle_timeout`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.association
            .as_ref()
            .filter(|_| self.state != State::Lost)
            .and_then(Association::poll_timeout)
    }

    /// The next thing that happened.
    pub(super) fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Our stream, while the channel is open.
    fn stream(&mut self) -> Option<Stream<'_>> {
        let association = self.association.as_mut().filter(|_| self.state == State::Open)?;
        association.stream(STREAM).ok()
    }

    fn drive(&mut self, now: Instant) {
        let Some(mut association) = self.association.take() else {
            return;
        };
        while let Some(event) = association.poll() {
            self.note(&mut association, event);
        }
        // Both queues are of no interest, but they grow: streams were counted above, and the endpoint dies with us.
        while association.accept_stream().is_some() {}
        while association.poll_endpoint_event().is_some() {}
        while let Some(transmit) = association.poll_transmit(now) {
            if let Payload::RawEncode(packets) = transmit.payload {
                self.events
                    .extend(packets.into_iter().map(|packet| Event::Packet(packet.into())));
            }
        }
        self.association = Some(association);
    }

    fn note(&mut self, association: &mut Association, event: SctpEvent) {
        match event {
            SctpEvent::Connected => self.open(association),
            SctpEvent::HandshakeFailed { .. } => self.lose(Reason::Channel),
            SctpEvent::AssociationLost { reason } => self.lose(match reason {
                AssociationError::AssociationClosed | AssociationError::ApplicationClosed => Reason::ClosedByClient,
                _ => Reason::Channel,
            }),
            SctpEvent::Stream(StreamEvent::Opened { id }) if id != STREAM => self.count_foreign(),
            SctpEvent::Stream(StreamEvent::Readable { id }) => self.read(association, id),
            SctpEvent::Stream(StreamEvent::Finished { id: STREAM }) => self.lose(Reason::ClosedByClient),
            _ => {}
        }
    }

    fn lose(&mut self, reason: Reason) {
        if self.state != State::Lost {
            self.state = State::Lost;
            self.events.push_back(Event::Lost(reason));
        }
    }

    fn count_foreign(&mut self) {
        self.foreign += 1;
        if self.foreign > MAX_FOREIGN_STREAMS {
            self.lose(Reason::Channel);
        }
    }

    /// Announces our stream: reliable, ordered, priority 0, no protocol (RFC 8832 §5.1).
    fn open(&mut self, association: &mut Association) {
        let mut message = vec![DCEP_OPEN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        message.splice(8..10, (LABEL.len() as u16).to_be_bytes());
        message.extend_from_slice(LABEL);
        let written = association
            .open_stream(STREAM, Ppid::String)
            .and_then(|mut stream| stream.write_with_ppi(&message, Ppid::Dcep));
        if written.is_err() {
            self.lose(Reason::Channel);
        }
    }

    fn read(&mut self, association: &mut Association, id: u16) {
        loop {
            let message = association.stream(id).and_then(|mut stream| stream.read_sctp());
            let Ok(Some(chunks)) = message else {
                return;
            };
            if id != STREAM {
                continue;
            }
            let mut bytes = vec![0; chunks.len()];
            if chunks.read(&mut bytes).is_ok() {
                self.take(chunks.ppi, bytes);
            }
        }
    }

    fn take(&mut self, ppid: Ppid, bytes: Vec<u8>) {
        match ppid {
            Ppid::Dcep if bytes.first() == Some(&DCEP_ACK) => self.opened(),
            Ppid::Dcep => {}
            Ppid::StringEmpty | Ppid::BinaryEmpty => self.text(Vec::new()),
            // Clients say 51; the incumbent takes 52 and 53 too, and JSON will tell.
            Ppid::String | Ppid::Binary | Ppid::Unknown => self.text(bytes),
        }
    }

    fn text(&mut self, bytes: Vec<u8>) {
        // Who speaks has heard of the channel, even if its acknowledgement is late.
        self.opened();
        if self.state == State::Open {
            self.events.push_back(Event::Text(bytes));
        }
    }

    fn opened(&mut self) {
        if self.state == State::Opening {
            self.state = State::Open;
            self.events.push_back(Event::Opened);
        }
    }
}
