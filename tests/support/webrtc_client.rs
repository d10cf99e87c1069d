//! A client as the SFT sees Wire's: joins over HTTP, answers with webrtc-rs, speaks on the data channel, sends marked packets and
//! remembers every packet that comes. Tests look at its [`View`] and wait until it is as expected.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::http;
use super::payload::Stream;
use super::peer::{Counters, Happened, Kind, Peer, every};
use super::publisher::{Publisher, Shape};
use super::signalling::{Anchor, Quality, Speaker, Told, read};
use super::view::View;

/// How a client joins.
#[derive(Clone, Debug)]
pub struct Join {
    /// The SFT's base URL, `http://127.0.0.1:8585`.
    pub sft: String,
    /// The conference, as in the path.
    pub conference: String,
    /// The user id.
    pub user: String,
    /// The anchor's URL, where it is another SFT.
    pub sft_url: Option<String>,
    /// The anchor's tuple, where it is another SFT.
    pub sft_tuple: Option<String>,
    /// Where its media socket binds.
    pub address: IpAddr,
    /// Receive slots for video.
    pub video_slots: usize,
    /// Two layers with RIDs, or one stream without.
    pub simulcast: bool,
    /// What it sends.
    pub shape: Shape,
    /// It comes back after a loss (`update`).
    pub update: bool,
    /// Where its packets go on counting.
    pub counters: Counters,
}

impl Join {
    /// A client with nine video slots and simulcast on IPv4 loopback.
    pub fn new(sft: &str, conference: &str, user: &str) -> Join {
        Join {
            sft: sft.trim_end_matches('/').to_owned(),
            conference: conference.to_owned(),
            user: user.to_owned(),
            sft_url: None,
            sft_tuple: None,
            address: IpAddr::from([127, 0, 0, 1]),
            video_slots: 9,
            simulcast: true,
            shape: Shape::default(),
            update: false,
            counters: Counters::new(),
        }
    }

    /// The same, told by `anchor`'s client where the conference is.
    pub fn at(mut self, anchor: &Client) -> Join {
        self.sft_url = Some(anchor.url.clone());
        self.sft_tuple = anchor.tuple.clone();
        self
    }

    fn speaker(&self) -> Speaker {
        Speaker {
            conference: self.conference.clone(),
            user: self.user.clone(),
        }
    }

    fn path(&self) -> String {
        format!("/sft/{}", self.conference)
    }

    /// Posts CONFCONN and gives what came back, whatever it is.
    pub async fn connect(&self) -> Result<Value, JoinError> {
        let anchor = Anchor {
            url: self.sft_url.as_deref(),
            tuple: self.sft_tuple.as_deref(),
        };
        let message = self.speaker().connect(self.update, self.video_slots, anchor);
        self.post(&message).await
    }

    async fn post(&self, message: &Value) -> Result<Value, JoinError> {
        let answer = http::post(&self.sft, &self.path(), &message.to_string()).await?;
        if answer.status != 200 {
            return Err(JoinError::Status(answer.status));
        }
        serde_json::from_str(&answer.body).map_err(|_| JoinError::Nonsense(answer.body))
    }
}

/// Why a client could not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The SFT said no, with its status and our own field `reason`.
    #[error("refused with status {status} because of {reason:?}")]
    Refused {
        /// `status` of CONFCONN.
        status: u64,
        /// `reason`.
        reason: Option<String>,
    },
    /// HTTP said no.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The answer is no message of the protocol.
    #[error("not an answer: {0}")]
    Nonsense(String),
    /// The SFT is not there.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// webrtc-rs does not like the offer.
    #[error("cannot answer the offer: {0}")]
    Webrtc(#[from] rtc::shared::error::Error),
}

#[derive(Debug)]
enum Command {
    Say(Value),
    Publish(bool),
    Hangup,
}

/// A joined client; dropped, it falls silent without a word.
#[derive(Debug)]
pub struct Client {
    /// How it joined.
    pub join: Join,
    /// `url` of its SETUP.
    pub url: String,
    /// `sft_tuple` of its SETUP.
    pub tuple: Option<String>,
    /// The SDP offer.
    pub offer: String,
    /// Its own SDP answer.
    pub answer: String,
    commands: mpsc::UnboundedSender<Command>,
    view: watch::Receiver<View>,
    task: tokio::task::JoinHandle<()>,
}

impl Client {
    /// Joins; media flows from the moment the data channel is open.
    pub async fn join(join: Join) -> Result<Client, JoinError> {
        let setup = join.connect().await?;
        let text = |name: &str| setup[name].as_str().map(str::to_owned);
        let (Some(kind), Some(offer), Some(url)) = (text("type"), text("sdp"), text("url")) else {
            return Err(refusal(&setup));
        };
        let answered = Peer::answer(&offer, join.address, join.simulcast).await?;
        let publisher = Publisher::new(&join.user, join.shape, &answered.ssrcs, &join.counters);
        let (commands, orders) = mpsc::unbounded_channel();
        let (shown, view) = watch::channel(View::default());
        let life = Life {
            speaker: join.speaker(),
            peer: answered.peer,
            publisher,
            ssrcs: answered
                .ssrcs
                .into_iter()
                .map(|(stream, ssrc)| (ssrc, stream))
                .collect(),
            publishing: true,
            view: shown,
        };
        let acknowledged = join.post(&join.speaker().answer(&kind, &answered.sdp)).await?;
        if acknowledged["status"] != 0 {
            return Err(refusal(&acknowledged));
        }
        let task = tokio::spawn(life.run(orders));
        Ok(Client {
            url,
            tuple: text("sft_tuple"),
            offer,
            answer: answered.sdp,
            join,
            commands,
            view,
            task,
        })
    }

    /// The user id.
    pub fn user(&self) -> &str {
        &self.join.user
    }

    /// Comes back with a new transport, as clients do when theirs is dead; packets go on counting.
    pub async fn rejoin(self) -> Result<Client, JoinError> {
        let mut join = self.join.clone();
        join.update = true;
        join.counters = self.view.borrow().sent.clone();
        drop(self);
        Client::join(join).await
    }

    /// What it saw so far. Hold it shortly: the client waits meanwhile.
    pub fn view(&self) -> watch::Ref<'_, View> {
        self.view.borrow()
    }

    /// Waits until the view is as `expected`; fails the test after `bound`.
    pub async fn until(&self, what: &str, bound: Duration, expected: impl FnMut(&View) -> bool) {
        let mut view = self.view.clone();
        let reached = tokio::time::timeout(bound, view.wait_for(expected)).await;
        if matches!(reached, Ok(Ok(_))) {
            return;
        }
        drop(reached);
        let view = self.view.borrow();
        let users = view.users();
        panic!(
            "{}: not within {bound:?}: {what}; open {}, closed {}, roster {users:?}, sent {:?}, received {}, {:?}",
            self.user(),
            view.open,
            view.closed,
            view.sent,
            view.received.len(),
            view.send_error,
        );
    }

    /// Asks for the video of these users, in the order of the slots.
    pub fn select(&self, wanted: &[(&str, Quality)]) {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|&(user, quality)| (user.to_owned(), quality))
            .collect();
        self.order(Command::Say(self.join.speaker().select(&wanted)));
    }

    /// Tells the others about itself.
    pub fn tell(&self, props: &[(&str, &str)]) {
        self.order(Command::Say(self.join.speaker().props(props)));
    }

    /// Stops or resumes sending media.
    pub fn publish(&self, on: bool) {
        self.order(Command::Publish(on));
    }

    /// Stops sending media; from its return on, the counters stand still.
    pub async fn fall_silent(&self) {
        self.publish(false);
        let bound = Duration::from_secs(5);
        self.until("it falls silent", bound, |view| view.silent).await;
    }

    /// Leaves with HANGUP and waits for its answer.
    pub async fn hangup(self, bound: Duration) {
        self.order(Command::Hangup);
        self.until("HANGUP is answered", bound, |view| view.hung_up).await;
    }

    fn order(&self, command: Command) {
        // A client whose life ended shows so in its view.
        drop(self.commands.send(command));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn refusal(message: &Value) -> JoinError {
    match message["status"].as_u64() {
        Some(status) => JoinError::Refused {
            status,
            reason: message["reason"].as_str().map(str::to_owned),
        },
        None => JoinError::Nonsense(message.to_string()),
    }
}

/// The running part of a client.
struct Life {
    speaker: Speaker,
    peer: Peer,
    publisher: Publisher,
    ssrcs: BTreeMap<u32, Stream>,
    publishing: bool,
    view: watch::Sender<View>,
}

impl Life {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Command>) {
        let mut audio = every(Duration::from_millis(20));
        let mut video = every(Duration::from_millis(40));
        let mut ping = every(Duration::from_secs(5));
        let mut happened = Vec::new();
        loop {
            tokio::select! {
                () = self.peer.next(&mut happened) => {}
                _ = audio.tick() => self.send(Kind::Audio),
                _ = video.tick() => self.send(Kind::Video),
                _ = ping.tick() => self.peer.say(self.speaker.ping().to_string()),
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => break,
                },
            }
            self.peer.flush(&mut happened);
            happened.drain(..).for_each(|event| self.note(event));
        }
        self.peer.close();
    }

    fn send(&mut self, kind: Kind) {
        if !self.publishing || !self.view.borrow().open {
            return;
        }
        let packets = match kind {
            Kind::Audio => self.publisher.audio(),
            Kind::Video => self.publisher.video(),
        };
        let failed = self.peer.send(kind, packets).err();
        let sent = self.publisher.counters();
        self.view.send_modify(|view| {
            view.sent = sent;
            view.send_error = view.send_error.take().or_else(|| failed.map(|error| error.to_string()));
        });
    }

    fn set_publishing(&mut self, on: bool) {
        self.publishing = on;
        self.view.send_modify(|view| view.silent = !on);
    }

    fn obey(&mut self, order: Command) {
        match order {
            Command::Say(message) => self.peer.say(message.to_string()),
            Command::Publish(on) => self.set_publishing(on),
            Command::Hangup => {
                self.set_publishing(false);
                self.peer.say(self.speaker.hangup().to_string());
            }
        }
    }

    fn note(&mut self, event: Happened) {
        match event {
            Happened::Opened => self.opened(),
            Happened::Text(text) => read(&text).into_iter().for_each(|told| self.told(told)),
            Happened::Closed => self.view.send_modify(|view| view.closed = true),
            Happened::Media(packet) => self.view.send_modify(|view| view.take(&packet)),
            Happened::PictureLost(ssrc) => {
                self.publisher.ask_key_frame(ssrc);
                if let Some(&stream) = self.ssrcs.get(&ssrc) {
                    self.view
                        .send_modify(|view| *view.picture_lost.entry(stream).or_default() += 1);
                }
            }
        }
    }

    fn opened(&mut self) {
        let label = self.peer.label().unwrap_or_default();
        let props = [
            ("videosend", "true"),
            ("screensend", "false"),
            ("muted", "false"),
            ("audiocbr", "false"),
        ];
        self.peer.say(self.speaker.props(&props).to_string());
        self.peer.say(self.speaker.ping().to_string());
        self.view.send_modify(|view| {
            view.open = true;
            view.label = label;
        });
    }

    fn told(&mut self, told: Told) {
        if let Told::Roster { members, .. } = &told {
            self.peer.say(self.speaker.authorize(members).to_string());
        }
        self.view.send_modify(|view| match told {
            Told::Roster {
                members,
                should_start,
                sfts,
            } => {
                view.roster = members;
                view.rosters += 1;
                view.should_start |= should_start;
                view.sfts = sfts;
            }
            Told::Props(user, props) => {
                view.props.insert(user, props);
            }
            Told::Pong => view.pongs += 1,
            Told::Hangup(response) => view.hung_up |= response,
            Told::Other(_) => {}
        });
    }
}
