//! One client's transport: ICE, DTLS, SRTP, SCTP. Told the time, says what to send.
//!
//! A session is cheap until the first valid STUN check: only then ICE, DTLS and SCTP state exists. DTLS datagrams are held (at most
//! [`crate::limits::MAX_HELD_DTLS`]) until the client's answer is in: before it there is no fingerprint to check.
//! It knows nothing of conferences; it hands up texts from the data channel and opens and seals packets.
//!
//! Start at [`Session`]. Each protocol has its own file, so that a crate can be exchanged: `ice` answers checks, `dtls` ends in
//! keys, `channel` is SCTP with its one data channel, `srtp` is ours. `live` ties the last three together.

mod channel;
mod dtls;
pub mod feedback;
mod ice;
mod identity;
mod live;
mod outcome;
pub mod reception;
mod srtp;

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::limits::{CLOSE_TIMEOUT, CONNECT_TIMEOUT, MAX_DTLS_BYTES, MAX_HELD_DTLS, SETUP_TIMEOUT};

use ice::Ice;
use live::{Event, Live};

pub use identity::{Credentials, Identity, NoIdentity, Remote};
pub use outcome::{ChannelError, Drop, Output, Reason};
pub use srtp::Profile;

/// Where a datagram came from and where answers leave.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Path {
    /// The client's address.
    pub remote: SocketAddr,
    /// Index of the socket it came in on.
    pub socket: usize,
    /// The local address it was sent to; `None` where the socket is bound to one.
    pub local: Option<IpAddr>,
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path(…, socket {})", self.socket)
    }
}

/// One client's transport. After every call that takes `&mut self`, [`Session::poll`] until it is `None`.
pub struct Session {
    identity: Arc<Identity>,
    credentials: Credentials,
    ice: Ice,
    stage: Stage,
    // `None` once the data channel is open.
    connect_by: Option<Instant>,
    // `Some` after `close`, while the last texts are on their way.
    close_by: Option<Instant>,
    outputs: VecDeque<Output>,
}

/// How far a session is.
enum Stage {
    /// The client has our offer; what it sends too early waits, at most [`MAX_HELD_DTLS`] datagrams.
    Offered { held: Vec<Vec<u8>> },
    /// The answer is in, and nothing of DTLS came yet.
    Answered { fingerprint: [u8; 32] },
    /// The handshake began.
    Live(Box<Live>),
    /// [`Output::Ended`] was said.
    Over,
}

impl Session {
    /// A session whose offer goes out now.
    #[must_use]
    pub fn new(now: Instant, identity: Arc<Identity>, credentials: Credentials) -> Session {
        Session {
            identity,
            credentials,
            ice: Ice::default(),
            stage: Stage::Offered { held: Vec::new() },
            connect_by: Some(now + SETUP_TIMEOUT),
            close_by: None,
            outputs: VecDeque::new(),
        }
    }

    /// Our half of the ICE credentials: the ufrag addresses this session.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Takes the client's answer, and the DTLS that came before it. Only the first answer counts.
    pub fn answer(&mut self, now: Instant, remote: Remote) {
        let Stage::Offered { held } = &mut self.stage else {
            return;
        };
        let held = std::mem::take(held);
        self.connect_by = Some(now + CONNECT_TIMEOUT);
        self.stage = Stage::Answered {
            fingerprint: remote.fingerprint,
        };
        for datagram in held {
            self.receive(now, &datagram);
        }
    }

    /// Takes a STUN message: answers a connectivity check, whether the answer is in or not (RFC 8445 §7.3).
    ///
    /// `Ok`: the path is valid from now on, for [`crate::limits::CONSENT_TIMEOUT`].
    ///
    /// # Errors
    /// Why it was dropped. [`Drop::RoleConflict`] is answered all the same.
    pub fn stun(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Drop> {
        if matches!(self.stage, Stage::Over) {
            return Err(Drop::Ended);
        }
        let verdict = self.ice.check(now, path, datagram, &self.credentials)?;
        self.outputs.push_back(Output::Transmit {
            path,
            bytes: verdict.answer,
        });
        if verdict.valid { Ok(()) } else { Err(Drop::RoleConflict) }
    }

    /// Takes a DTLS datagram.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Drop> {
        if matches!(self.stage, Stage::Over) {
            return Err(Drop::Ended);
        }
        if !self.ice.is_valid(now, path) {
            return Err(Drop::NotValidated);
        }
        if datagram.len() > MAX_DTLS_BYTES {
            return Err(Drop::TooLong);
        }
        if let Stage::Offered { held } = &mut self.stage {
            if held.len() >= MAX_HELD_DTLS {
                return Err(Drop::HeldFull);
            }
            held.push(datagram.to_vec());
            return Ok(());
        }
        self.receive(now, datagram);
        Ok(())
    }

    /// Opens an SRTP packet in place; returns the length of the RTP packet.
    ///
    /// # Errors
    /// Why it was dropped; the bytes are of no use then.
    pub fn unprotect_rtp(&mut self, now: Instant, path: Path, packet: &mut [u8]) -> Result<usize, Drop> {
        self.incoming(now, path)?.unprotect_rtp(packet)
    }

    /// Opens an SRTCP packet in place; returns the length of the compound RTCP packet.
    ///
    /// # Errors
    /// Why it was dropped; the bytes are of no use then.
    pub fn unprotect_rtcp(&mut self, now: Instant, path: Path, packet: &mut [u8]) -> Result<usize, Drop> {
        self.incoming(now, path)?.unprotect_rtcp(packet)
    }

    /// Seals the RTP packet in the first `length` bytes of `buffer`; returns its length with the trailer (at most 16 bytes more).
    ///
    /// Each number of an SSRC can be sent once: sealing another packet under it would give the key away.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Drop> {
        self.srtp()?.protect_rtp(buffer, length)
    }

    /// Seals the compound RTCP packet in the first `length` bytes of `buffer`; returns its length with the trailer (at most 20 more).
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Drop> {
        self.srtp()?.protect_rtcp(buffer, length)
    }

    /// Where media goes: the path that the client nominated last. `None`: no keys, no nomination, or no consent any more.
    #[must_use]
    pub fn media_path(&self, now: Instant) -> Option<Path> {
        self.srtp_profile().and_then(|_| self.ice.nominated(now))
    }

    /// The SRTP suite that DTLS settled on. `None`: not yet.
    #[must_use]
    pub fn srtp_profile(&self) -> Option<Profile> {
        match &self.stage {
            Stage::Live(live) => live.profile(),
            _ => None,
        }
    }

    /// Sends a text over the data channel.
    ///
    /// # Errors
    /// The channel is not open, or does not take it.
    pub fn send_text(&mut self, now: Instant, text: &str) -> Result<(), ChannelError> {
        let Stage::Live(live) = &mut self.stage else {
            return Err(ChannelError::NotOpen);
        };
        if self.close_by.is_some() {
            return Err(ChannelError::NotOpen);
        }
        let sent = live.send_text(now, text);
        self.collect(now);
        sent
    }

    /// Ends the session: once the texts sent before are acknowledged, or after [`CLOSE_TIMEOUT`], it says close_notify.
    pub fn close(&mut self, now: Instant) {
        match self.stage {
            Stage::Over => {}
            Stage::Live(_) => {
                self.close_by.get_or_insert(now + CLOSE_TIMEOUT);
                self.collect(now);
            }
            Stage::Offered { .. } | Stage::Answered { .. } => self.end(Reason::Closed),
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.connect_by) {
            let unanswered = matches!(self.stage, Stage::Offered { .. });
            self.end(if unanswered {
                Reason::SetupTimeout
            } else {
                Reason::ConnectTimeout
            });
        }
        if due(self.ice.consent_until()) {
            self.end(Reason::ConsentExpired);
        }
        if let Stage::Live(live) = &mut self.stage {
            live.handle_timeout(now);
            self.collect(now);
        }
    }

    /// When [`Session::handle_timeout`] is due; `None`: the session is over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let live = match &self.stage {
            Stage::Over => return None,
            Stage::Live(live) => live.next_deadline(),
            Stage::Offered { .. } | Stage::Answered { .. } => None,
        };
        [live, self.connect_by, self.close_by, self.ice.consent_until()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn incoming(&mut self, now: Instant, path: Path) -> Result<&mut srtp::Srtp, Drop> {
        if !matches!(self.stage, Stage::Over) && !self.ice.is_valid(now, path) {
            return Err(Drop::NotValidated);
        }
        self.srtp()
    }

    fn srtp(&mut self) -> Result<&mut srtp::Srtp, Drop> {
        match &mut self.stage {
            Stage::Live(live) => live.srtp().ok_or(Drop::NotReady),
            Stage::Offered { .. } | Stage::Answered { .. } => Err(Drop::NotReady),
            Stage::Over => Err(Drop::Ended),
        }
    }

    /// Feeds DTLS; the first datagram after the answer makes it.
    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        if let Stage::Answered { fingerprint } = self.stage {
            self.stage = Stage::Live(Box::new(Live::new(now, &self.identity, fingerprint)));
        }
        if let Stage::Live(live) = &mut self.stage {
            live.receive(now, datagram);
            self.collect(now);
        }
    }

    /// Takes what the transport has to say, and closes it when it is time.
    fn collect(&mut self, now: Instant) {
        self.drain(now);
        let Stage::Live(live) = &mut self.stage else {
            return;
        };
        if self.close_by.is_some_and(|at| at <= now || live.is_flushed()) {
            live.close(now);
            self.drain(now);
            self.end(Reason::Closed);
        }
    }

    fn drain(&mut self, now: Instant) {
        let path = self.ice.best(now);
        while let Stage::Live(live) = &mut self.stage {
            match live.poll() {
                Some(Event::Datagram(bytes)) => self.outputs.extend(path.map(|path| Output::Transmit { path, bytes })),
                Some(Event::Opened) => {
                    self.connect_by = None;
                    self.outputs.push_back(Output::Opened);
                }
                Some(Event::Text(text)) => self.outputs.push_back(Output::Text(text)),
                Some(Event::Over(reason)) => self.end(reason),
                None => return,
            }
        }
    }

    fn end(&mut self, reason: Reason) {
        if !matches!(self.stage, Stage::Over) {
            self.stage = Stage::Over;
            self.outputs.push_back(Output::Ended(reason));
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Offered { .. } => "offered",
            Stage::Answered { .. } => "answered",
            Stage::Live(_) => "live",
            Stage::Over => "over",
        };
        write!(f, "Session({stage})")
    }
}

#[cfg(test)]
mod tests;
