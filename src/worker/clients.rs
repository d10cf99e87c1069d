//! The sessions of a worker, and how a datagram finds its own: by ufrag for STUN, by path for everything else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use crate::ids::{ConferenceId, SessionId};
use crate::limits::MAX_PATHS;
use crate::session::{Path, Session};
use crate::worker::half_open::Place;
use crate::worker::reports::Reports;

/// For this long after its last valid check a path stays with its session. A client that knows another's address could otherwise
/// take that path with a check of its own from a forged address; checks come every 2.5 s, so three lost ones are no end.
const PATH_HOLD: Duration = Duration::from_secs(10);

/// One session with what the shell keeps for it.
#[derive(Debug)]
pub struct Client {
    /// Its transport.
    pub session: Session,
    /// Its conference, for the HANGUP that we say.
    pub conference: ConferenceId,
    /// Its place in the half-open budget; `None` once its data channel is open.
    pub place: Option<Place>,
    /// When its CONFCONN came.
    pub asked: Instant,
    /// Reports on what it sends.
    pub reports: Reports,
    /// The relay has forgotten it already.
    pub forgotten: bool,
    ufrag: String,
    // At most MAX_PATHS; all of them are in `by_path`.
    paths: Vec<Path>,
}

impl Client {
    /// A new session under its local ufrag.
    #[must_use]
    pub fn new(asked: Instant, session: Session, ufrag: String, conference: ConferenceId) -> Client {
        Client {
            session,
            conference,
            place: None,
            asked,
            reports: Reports::default(),
            forgotten: false,
            ufrag,
            paths: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    session: SessionId,
    checked: Instant,
}

/// All sessions of a worker. Its maps are bounded by what the relay admits, and paths by [`MAX_PATHS`].
#[derive(Debug, Default)]
pub struct Clients {
    by_id: HashMap<SessionId, Client>,
    by_ufrag: HashMap<String, SessionId>,
    by_path: HashMap<Path, Owner>,
    // How many sessions each conference has; never 0.
    by_conference: HashMap<ConferenceId, usize>,
}

impl Clients {
    /// Adds a session; whether it is its conference's first.
    pub fn insert(&mut self, id: SessionId, client: Client) -> bool {
        let members = self.by_conference.entry(client.conference.clone()).or_default();
        *members += 1;
        let first = *members == 1;
        self.by_ufrag.insert(client.ufrag.clone(), id);
        self.by_id.insert(id, client);
        first
    }

    /// Whether a ufrag is in use.
    #[must_use]
    pub fn has_ufrag(&self, ufrag: &str) -> bool {
        self.by_ufrag.contains_key(ufrag)
    }

    /// Takes a session out, with all its paths.
    pub fn remove(&mut self, id: SessionId) -> Option<Client> {
        let client = self.by_id.remove(&id)?;
        self.by_ufrag.remove(&client.ufrag);
        if let Entry::Occupied(mut members) = self.by_conference.entry(client.conference.clone()) {
            *members.get_mut() -= 1;
            if *members.get() == 0 {
                members.remove();
            }
        }
        for path in &client.paths {
            self.by_path.remove(path);
        }
        Some(client)
    }

    /// A session by its id.
    pub fn by_id(&mut self, id: SessionId) -> Option<&mut Client> {
        self.by_id.get_mut(&id)
    }

    /// The session a check is for, by the local ufrag in its USERNAME.
    #[must_use]
    pub fn by_ufrag(&self, ufrag: &str) -> Option<SessionId> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// The session that has a path.
    #[must_use]
    pub fn by_path(&self, path: &Path) -> Option<SessionId> {
        self.by_path.get(path).map(|owner| owner.session)
    }

    /// Gives a path to a session that just validated it, unless it is another's.
    pub fn claim(&mut self, now: Instant, path: Path, id: SessionId) {
        let owner = self.by_path.get(&path).copied();
        let other = owner.filter(|owner| owner.session != id);
        if other.is_some_and(|owner| now.saturating_duration_since(owner.checked) < PATH_HOLD) {
            return;
        }
        let Some(client) = self.by_id.get_mut(&id) else { return };
        if owner.is_none_or(|owner| owner.session != id) {
            if client.paths.len() >= MAX_PATHS {
                let checked = |path: &Path| self.by_path.get(path).map(|owner| owner.checked);
                let oldest = (0..client.paths.len()).min_by_key(|at| client.paths.get(*at).and_then(checked));
                let oldest = client.paths.swap_remove(oldest.unwrap_or(0));
                self.by_path.remove(&oldest);
            }
            client.paths.push(path);
        }
        self.by_path.insert(
            path,
            Owner {
                session: id,
                checked: now,
            },
        );
        if let Some(loser) = other.and_then(|owner| self.by_id.get_mut(&owner.session)) {
            loser.paths.retain(|kept| *kept != path);
        }
    }

    /// All ids, in no order.
    pub fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.by_id.keys().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
