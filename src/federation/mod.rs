//! Links to other SFTs, without sockets: who may connect, what a tuple opens, what a link says of itself.
//!
//! [`Event`] and [`Command`] are the contract with the shell (`net::quic`), which moves bytes and verifies certificates; what the
//! messages mean for a conference is decided in `relay`. Start at [`capability`] for tuples and at [`hello`] for the hand-shake.

pub mod admission;
pub mod allow;
pub mod capability;
pub mod hello;
pub mod reassembly;

use bytes::Bytes;

use crate::ids::{Domain, LinkId, StreamId};
use crate::proto::link::message::{Code, Message};

/// Which side of a link we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// We dialled; we open the link stream.
    Dialled,
    /// The peer dialled.
    Accepted,
}

/// What the shell tells about links.
#[derive(Clone, Debug)]
pub enum Event {
    /// A handshake is complete and the certificate proved `peer`; nobody has said `hello` yet.
    Up {
        /// The link.
        link: LinkId,
        /// The proven domain.
        peer: Domain,
        /// Who dialled.
        side: Side,
        /// Bytes a datagram may have now.
        datagram_bytes: usize,
    },
    /// A dial came to nothing.
    DialFailed {
        /// The domain that was dialled.
        peer: Domain,
        /// The peer's or our verdict; `None`: no answer.
        code: Option<Code>,
    },
    /// A frame came. An unknown stream id is a stream that the peer just opened.
    Frame {
        /// The link.
        link: LinkId,
        /// On which stream.
        stream: StreamId,
        /// What it says.
        message: Message,
    },
    /// The peer ended or reset a stream, or broke its framing.
    StreamClosed {
        /// The link.
        link: LinkId,
        /// Which stream.
        stream: StreamId,
    },
    /// The size of datagrams changed (path MTU discovery).
    DatagramSize {
        /// The link.
        link: LinkId,
        /// Bytes a datagram may have now.
        bytes: usize,
    },
    /// A link is gone.
    Down {
        /// The link.
        link: LinkId,
        /// Why; `None`: it fell silent.
        code: Option<Code>,
    },
}

/// What the shell is asked to do with links.
#[derive(Debug)]
pub enum Command {
    /// Connect to a configured peer; answered by [`Event::Up`] or [`Event::DialFailed`].
    Dial {
        /// Whom.
        peer: Domain,
    },
    /// Open a bidirectional stream under this (odd) id; for [`StreamId::LINK`], the link stream.
    Open {
        /// The link.
        link: LinkId,
        /// The id that we will use for it.
        stream: StreamId,
    },
    /// Send a frame.
    Frame {
        /// The link.
        link: LinkId,
        /// On which stream.
        stream: StreamId,
        /// What.
        message: Message,
    },
    /// End our side of a stream, after what was sent, and stop reading it.
    Finish {
        /// The link.
        link: LinkId,
        /// Which stream.
        stream: StreamId,
    },
    /// Send a datagram, or drop the oldest that waits and count it.
    Datagram {
        /// The link.
        link: LinkId,
        /// Flow, flags and bytes.
        datagram: Bytes,
    },
    /// Close a link with a code.
    Close {
        /// The link.
        link: LinkId,
        /// Why.
        code: Code,
    },
}
