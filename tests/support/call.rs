//! A call of four across two domains, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::payload::Stream;
use super::peer::Counters;
use super::publisher::Shape;
use super::sft_process::Sft;
use super::signalling::Quality;
use super::udp_proxy::UdpProxy;
use super::view::{Received, View};
use super::webrtc_client::{Client, Join};

/// For everything that takes milliseconds on loopback; forty times what the slowest of it takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);
/// Audio packets of one stretch of talk: two seconds.
const STRETCH: u32 = 100;

/// Two domains that allow each other.
pub struct Pair {
    /// Anchors the calls.
    pub a: Sft,
    /// A member.
    pub b: Sft,
}

impl Pair {
    /// Both SFTs on an address, each dialling the other directly.
    pub async fn start(address: IpAddr) -> Pair {
        let mut pair = Pair::prepare(address);
        let (to_a, to_b) = (pair.a.federation(), pair.b.federation());
        pair.a.allow(&pair.b, to_b);
        pair.b.allow(&pair.a, to_a);
        pair.start_both().await;
        pair
    }

    /// Both SFTs, not started yet, with a proxy on the way to each.
    pub async fn prepare_with_proxies() -> (Pair, [UdpProxy; 2]) {
        let mut pair = Pair::prepare(Ipv4Addr::LOCALHOST.into());
        let to_a = UdpProxy::before(pair.a.federation()).await;
        let to_b = UdpProxy::before(pair.b.federation()).await;
        pair.a.allow(&pair.b, to_b.address);
        pair.b.allow(&pair.a, to_a.address);
        (pair, [to_a, to_b])
    }

    /// Both SFTs, not started yet, and strangers to each other.
    pub fn prepare(address: IpAddr) -> Pair {
        Pair {
            a: Sft::prepare("a.example", address),
            b: Sft::prepare("b.example", address),
        }
    }

    /// Starts both processes.
    pub async fn start_both(&mut self) {
        self.a.start().await;
        self.b.start().await;
    }
}

/// An id of a conference that nobody else uses.
pub fn conference() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Alice and Anna are of domain A, Bob and Ben of domain B; everyone talks, and everyone watches all others at high quality.
pub struct Call {
    /// Started the call.
    pub alice: Client,
    /// With Alice.
    pub anna: Client,
    /// The first of domain B.
    pub bob: Client,
    /// With Bob.
    pub ben: Client,
}

/// How the clients of a call are.
#[derive(Clone, Copy)]
pub struct Manner {
    /// Where their media sockets bind.
    pub address: IpAddr,
    /// What they send.
    pub shape: Shape,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            address: Ipv4Addr::LOCALHOST.into(),
            shape: Shape::default(),
        }
    }
}

impl Call {
    /// Everyone joins, one after the other; returns when all hear and see all.
    pub async fn begin(pair: &Pair, manner: Manner) -> Call {
        let conference = conference();
        let join = |sft: &Sft, user: &str| Join {
            address: manner.address,
            shape: manner.shape,
            ..Join::new(&sft.url(), &conference, user)
        };
        let alice = Client::join(join(&pair.a, "alice")).await.unwrap();
        alice
            .until("it is to announce the call", SOON, |view| view.should_start)
            .await;
        let anna = Client::join(join(&pair.a, "anna")).await.unwrap();
        let bob = Client::join(join(&pair.b, "bob").at(&alice)).await.unwrap();
        let ben = Client::join(join(&pair.b, "ben").at(&alice)).await.unwrap();
        let call = Call { alice, anna, bob, ben };
        call.together().await;
        call
    }

    /// All four.
    pub fn clients(&self) -> [&Client; 4] {
        [&self.alice, &self.anna, &self.bob, &self.ben]
    }

    /// Waits until everyone is in everyone's roster and everyone hears and sees everyone.
    pub async fn together(&self) {
        let clients = self.clients();
        let everyone: BTreeSet<&str> = clients.iter().map(|client| client.user()).collect();
        for client in clients {
            client
                .until("everyone is listed", SOON, |view| view.users() == everyone)
                .await;
        }
        let orders = clients.map(|client| order(&client.view()));
        assert!(
            orders.iter().all(|order| *order == orders[0]),
            "one order for all: {orders:?}"
        );
        connect(&clients).await;
    }

    /// Lets everyone talk for a while and checks that every packet of it came once, in order, unharmed, and under the right name.
    pub async fn talk(&self) {
        talk(&self.clients()).await;
    }

    /// Stops everybody's media and waits until all that was sent arrived.
    pub async fn fall_silent(&self) {
        fall_silent(&self.clients()).await;
    }
}

/// Selects everyone for everyone, and waits until they hear and see each other. Whoever changes slots by that is seen again only from
/// his next key frame on.
pub async fn connect(clients: &[&Client]) {
    for client in clients {
        let others = others(clients, client);
        let wanted: Vec<_> = others.iter().map(|other| (other.user(), Quality::High)).collect();
        client.select(&wanted);
    }
    for client in clients {
        for other in others(clients, client) {
            for stream in [Stream::Audio, Stream::High] {
                let what = format!("{stream:?} of {} comes", other.user());
                client.until(&what, SOON, |view| view.hears(other.user(), stream)).await;
            }
        }
    }
}

/// As [`Call::talk`], for any of the clients.
pub async fn talk(clients: &[&Client]) {
    clients.iter().for_each(|client| client.publish(true));
    let begins: Vec<_> = clients.iter().map(|client| Begin::of(client)).collect();
    let targets: Vec<_> = clients
        .iter()
        .map(|client| sent(client, Stream::Audio) + STRETCH)
        .collect();
    for (client, target) in clients.iter().zip(targets) {
        let goes_on = |view: &View| view.sent.get(&Stream::Audio).is_some_and(|&count| count >= target);
        client.until("it talks", SOON, goes_on).await;
    }
    fall_silent(clients).await;
    for (receiver, begin) in clients.iter().zip(&begins) {
        for sender in others(clients, receiver) {
            begin.check(receiver, sender, Stream::Audio);
            begin.check(receiver, sender, Stream::High);
        }
        begin.check_slots(receiver);
    }
    clients.iter().for_each(|client| client.publish(true));
}

/// As [`Call::fall_silent`], for any of the clients.
pub async fn fall_silent(clients: &[&Client]) {
    for client in clients {
        client.fall_silent().await;
    }
    for receiver in clients {
        for sender in others(clients, receiver) {
            for stream in [Stream::Audio, Stream::High] {
                let last = sent(sender, stream) - 1;
                let what = format!("the last {stream:?} of {} comes", sender.user());
                let came = |view: &View| view.newest(sender.user(), stream) == Some(last);
                receiver.until(&what, SOON, came).await;
            }
        }
    }
}

fn others<'a>(clients: &[&'a Client], but: &Client) -> Vec<&'a Client> {
    let others = clients.iter().filter(|client| client.user() != but.user());
    others.copied().collect()
}

/// How many packets of a stream a client sent so far.
pub fn sent(client: &Client, stream: Stream) -> u32 {
    client.view().sent.get(&stream).copied().unwrap_or(0)
}

fn order(view: &View) -> Vec<String> {
    view.roster.iter().map(|member| member.user.clone()).collect()
}

/// Where a stretch of talk begins at one receiver.
struct Begin {
    /// The newest counter of each stream of each user.
    newest: BTreeMap<(String, Stream), u32>,
    /// Packets before it.
    packets: usize,
}

impl Begin {
    fn of(client: &Client) -> Begin {
        let view = client.view();
        Begin {
            newest: view.newest.clone(),
            packets: view.received.len(),
        }
    }

    /// Every packet since then came once and in order.
    fn check(&self, receiver: &Client, sender: &Client, stream: Stream) {
        let newest = self.newest[&(sender.user().to_owned(), stream)];
        let expected: Vec<u32> = (newest + 1..sent(sender, stream)).collect();
        let view = receiver.view();
        let since = view.received[self.packets..]
            .iter()
            .filter_map(|packet| packet.mark.as_ref());
        let ours = since.filter(|mark| mark.sender == sender.user() && mark.stream == stream);
        let came: Vec<u32> = ours.map(|mark| mark.counter).collect();
        let names = (receiver.user(), sender.user());
        assert_eq!(came, expected, "{names:?}: {stream:?} came once, in order and whole");
    }

    /// The numbers in each slot go on without a gap, and every packet has the CSRC of its sender.
    fn check_slots(&self, receiver: &Client) {
        let view = receiver.view();
        let mut last: BTreeMap<u32, &Received> = BTreeMap::new();
        for packet in &view.received[self.packets..] {
            let mark = packet.mark.as_ref().expect("no packet is damaged");
            assert_eq!(
                packet.csrc,
                [csrc(&view, &mark.sender, mark.stream)],
                "{mark:?} is under its sender's name"
            );
            if let Some(before) = last.insert(packet.slot, packet) {
                let step = packet.sequence.wrapping_sub(before.sequence);
                assert_eq!(step, 1, "{}: {before:?} then {packet:?}", receiver.user());
            }
        }
    }
}

fn csrc(view: &View, user: &str, stream: Stream) -> u32 {
    let member = view.roster.iter().find(|member| member.user == user);
    let member = member.expect("whoever is heard is listed");
    if stream == Stream::Audio {
        member.audio
    } else {
        member.video
    }
}

/// The sum of what was sent since `before`, by stream.
pub fn sent_since(clients: &[&Client], before: &[Counters]) -> Counters {
    let mut sum = Counters::new();
    for (client, before) in clients.iter().zip(before) {
        for (&stream, &count) in &client.view().sent {
            *sum.entry(stream).or_default() += count - before.get(&stream).copied().unwrap_or(0);
        }
    }
    sum
}
