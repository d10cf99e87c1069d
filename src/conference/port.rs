//! A conference's end of a link: what it is attached to, and since when not.

use std::time::Instant;

use crate::ids::{Domain, FlowId, LinkId, NodeName, StreamId};

/// Which of a conference's links. At a member, 0 is the anchor's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortNo(pub u16);

impl PortNo {
    /// A member's link to the anchor.
    pub const UPSTREAM: PortNo = PortNo(0);
}

/// A stream on a link.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Line {
    /// The link.
    pub link: LinkId,
    /// The conference's stream on it.
    pub stream: StreamId,
}

/// One link of a conference.
#[derive(Debug)]
pub struct Port {
    /// The peer's proven domain.
    pub domain: Domain,
    /// The peer's node; `None` at a member until it is attached.
    pub node: Option<NodeName>,
    /// The peer's public URL for clients.
    pub url: Option<String>,
    /// How it is.
    pub state: PortState,
    /// The last flow that the peer published, and on which link: it numbers them upwards, so that none is used twice.
    pub newest_flow: Option<(LinkId, FlowId)>,
}

/// How a conference's link is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PortState {
    /// At a member: no answer to `attach` yet, or none was asked. `since` is when it was first wanted.
    Asking {
        /// When.
        since: Instant,
        /// The stream on which `attach` was said; `None`: there is no link yet.
        line: Option<Line>,
    },
    /// The lease is granted, nothing was exchanged.
    Leased {
        /// When.
        since: Instant,
        /// The stream.
        line: Line,
    },
    /// Rosters are merged; changes cross.
    Ready {
        /// The stream.
        line: Line,
    },
    /// The stream or the link is gone; at a member, `line` is the stream on which it asks again.
    Lost {
        /// When.
        since: Instant,
        /// A new stream, not answered yet.
        line: Option<Line>,
    },
    /// Over; the number may be given again.
    Closed,
}

impl Port {
    /// The stream to speak on, once the lease is granted.
    #[must_use]
    pub fn line(&self) -> Option<Line> {
        match self.state {
            PortState::Leased { line, .. } | PortState::Ready { line } => Some(line),
            PortState::Asking { .. } | PortState::Lost { .. } | PortState::Closed => None,
        }
    }

    /// Any stream that belongs to it, answered or not.
    #[must_use]
    pub fn any_line(&self) -> Option<Line> {
        match self.state {
            PortState::Asking { line, .. } | PortState::Lost { line, .. } => line,
            PortState::Leased { line, .. } | PortState::Ready { line } => Some(line),
            PortState::Closed => None,
        }
    }

    /// Whether changes cross.
    #[must_use]
    pub fn ready(&self) -> Option<Line> {
        match self.state {
            PortState::Ready { line } => Some(line),
            _ => None,
        }
    }
}
