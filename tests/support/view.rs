//! What a test client saw so far.

use std::collections::{BTreeMap, BTreeSet};

use rtc::rtp::Packet;

use super::payload::{Mark, Stream};
use super::peer::Counters;
use super::signalling::Member;

/// One packet as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// The slot.
    pub slot: u32,
    /// The slot's numbering.
    pub sequence: u16,
    /// The slot's time line.
    pub timestamp: u32,
    /// As sent.
    pub marker: bool,
    /// What the SFT says whose it is.
    pub csrc: Vec<u32>,
    /// What the packet itself says; `None`: damaged.
    pub mark: Option<Mark>,
}

/// All that a client saw so far.
#[derive(Debug, Default)]
pub struct View {
    /// The data channel is open.
    pub open: bool,
    /// Its label.
    pub label: String,
    /// The transport ended.
    pub closed: bool,
    /// The last roster.
    pub roster: Vec<Member>,
    /// How many rosters came.
    pub rosters: usize,
    /// A roster told us to announce the call.
    pub should_start: bool,
    /// The URLs of the last roster.
    pub sfts: Vec<String>,
    /// The last props of each user.
    pub props: BTreeMap<String, BTreeMap<String, String>>,
    /// Answered pings.
    pub pongs: usize,
    /// The answer to our HANGUP came.
    pub hung_up: bool,
    /// Key frames that were asked of us, by stream.
    pub picture_lost: BTreeMap<Stream, usize>,
    /// It sends no media.
    pub silent: bool,
    /// Packets sent, by stream.
    pub sent: Counters,
    /// Packets received, in order of arrival.
    pub received: Vec<Received>,
    /// The last counter that came of each stream of each user.
    pub newest: BTreeMap<(String, Stream), u32>,
    /// Why sending failed, if it did.
    pub send_error: Option<String>,
}

impl View {
    /// The user ids of the roster.
    pub fn users(&self) -> BTreeSet<&str> {
        self.roster.iter().map(|member| member.user.as_str()).collect()
    }

    /// The last counter that came of one stream of one user; `None`: nothing came.
    pub fn newest(&self, user: &str, stream: Stream) -> Option<u32> {
        self.newest.get(&(user.to_owned(), stream)).copied()
    }

    /// Whether anything came of one stream of one user.
    pub fn hears(&self, user: &str, stream: Stream) -> bool {
        self.newest(user, stream).is_some()
    }

    /// Notes a packet.
    pub fn take(&mut self, packet: &Packet) {
        let received = received(packet);
        if let Some(mark) = &received.mark {
            self.newest.insert((mark.sender.clone(), mark.stream), mark.counter);
        }
        self.received.push(received);
    }
}

fn received(packet: &Packet) -> Received {
    Received {
        slot: packet.header.ssrc,
        sequence: packet.header.sequence_number,
        timestamp: packet.header.timestamp,
        marker: packet.header.marker,
        csrc: packet.header.csrc.clone(),
        mark: Mark::read(&packet.payload),
    }
}
