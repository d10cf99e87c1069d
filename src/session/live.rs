//! DTLS, SRTP and the data channel of a client whose address is valid and whose answer is in.
//!
//! DTLS carries SCTP, SCTP carries texts: this file hands bytes from one to the other until both are quiet.

use std::collections::VecDeque;
use std::time::Instant;

use crate::session::channel::{self, Channel};
use crate::session::dtls::{self, Dtls, Failure};
use crate::session::srtp::{Keys, Srtp};
use crate::session::{ChannelError, Identity, Profile, Reason};

/// What happened.
pub(super) enum Event {
    /// Send this datagram.
    Datagram(Vec<u8>),
    /// The data channel is open.
    Opened,
    /// A message came.
    Text(Vec<u8>),
    /// The transport is of no more use.
    Over(Reason),
}

/// What costs memory and time in a session.
pub(super) struct Live {
    dtls: Dtls,
    channel: Channel,
    srtp: Option<Srtp>,
    events: VecDeque<Event>,
}

impl Live {
    /// Waits for the handshake of a client with this certificate.
    pub(super) fn new(now: Instant, identity: &Identity, fingerprint: [u8; 32]) -> Live {
        Live {
            dtls: Dtls::new(now, &identity.dtls, fingerprint),
            channel: Channel::new(&identity.channel),
            srtp: None,
            events: VecDeque::new(),
        }
    }

    /// Takes a DTLS datagram.
    pub(super) fn receive(&mut self, now: Instant, datagram: &[u8]) {
        self.dtls.receive(now, datagram);
        self.pump(now);
    }

    /// Sends a text.
    pub(super) fn send_text(&mut self, now: Instant, text: &str) -> Result<(), ChannelError> {
        self.channel.send_text(now, text)?;
        self.pump(now);
        Ok(())
    }

    /// Every text was acknowledged.
    pub(super) fn is_flushed(&mut self) -> bool {
        self.channel.backlog() == 0
    }

    /// Says close_notify.
    pub(super) fn close(&mut self, now: Instant) {
        self.dtls.close(now);
        self.pump(now);
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        self.channel.handle_timeout(now);
        self.pump(now);
    }

    /// When [`Live::handle_timeout`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.dtls.next_deadline(), self.channel.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The packet contexts, once there are keys.
    pub(super) fn srtp(&mut self) -> Option<&mut Srtp> {
        self.srtp.as_mut()
    }

    /// The suite, once there are keys.
    pub(super) fn profile(&self) -> Option<Profile> {
        self.srtp.as_ref().map(Srtp::profile)
    }

    /// The next thing that happened.
    pub(super) fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn pump(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.dtls.poll() {
                self.on_dtls(now, event);
            } else if let Some(event) = self.channel.poll() {
                self.on_channel(now, event);
            } else {
                return;
            }
        }
    }

    fn on_dtls(&mut self, now: Instant, event: dtls::Event) {
        match event {
            dtls::Event::Packet(bytes) => self.events.push_back(Event::Datagram(bytes)),
            dtls::Event::Connected(keys) => self.key(&keys),
            dtls::Event::Data(bytes) => self.channel.receive(now, bytes),
            dtls::Event::Closed => self.events.push_back(Event::Over(Reason::ClosedByClient)),
            dtls::Event::Failed(failure) => self.events.push_back(Event::Over(match failure {
                Failure::BadFingerprint => Reason::BadFingerprint,
                Failure::NoSrtpProfile => Reason::NoSrtpProfile,
                Failure::Protocol => Reason::Dtls,
            })),
        }
    }

    fn key(&mut self, keys: &Keys) {
        self.srtp = Srtp::server(keys);
        if self.srtp.is_none() {
            self.events.push_back(Event::Over(Reason::Dtls));
        }
    }

    fn on_channel(&mut self, now: Instant, event: channel::Event) {
        match event {
            channel::Event::Packet(bytes) => self.dtls.send(now, &bytes),
            channel::Event::Opened => self.events.push_back(Event::Opened),
            channel::Event::Text(bytes) => self.events.push_back(Event::Text(bytes)),
            channel::Event::Lost(reason) => self.events.push_back(Event::Over(reason)),
        }
    }
}
