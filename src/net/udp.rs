//! UDP sockets of the media port: batches in (recvmmsg, GRO), runs out (GSO), answers from the address that was asked.
//!
//! A socket is bound before the worker's runtime exists, so that a taken port is an error at start. Sends never wait: what the
//! kernel does not take at once is dropped and counted, as a full queue on the way would drop it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::task::{Context, Poll};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::io::Interest;

use crate::session::Path;

/// Bytes of receive buffer that we ask for: the kernel's default holds 92 packets of video.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// Bytes of send buffer that we ask for: one key frame to a thousand receivers leaves in one turn.
const SEND_BUFFER: usize = 4 * 1024 * 1024;
/// Messages of one receive call; more gain nothing (measured), and each holds a [`SLOT`].
const BATCH: usize = 16;
/// Bytes of one message: the largest that GRO puts together.
const SLOT: usize = 65_536;

/// A socket that has its port, outside of any runtime.
#[derive(Debug)]
pub struct Bound {
    socket: std::net::UdpSocket,
    local: SocketAddr,
    /// What the kernel granted, in bytes.
    pub receive_buffer: usize,
}

/// Takes a port. An IPv6 socket never takes IPv4: both families are listed where both are wanted.
///
/// # Errors
/// As the system says, with address in use and address not available as the usual ones.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let socket = RawSocket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Without CAP_NET_ADMIN the kernel clamps to net.core.rmem_max; less is still worth running with.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let receive_buffer = socket.recv_buffer_size()?;
    let socket = std::net::UdpSocket::from(socket);
    Ok(Bound {
        local: socket.local_addr()?,
        socket,
        receive_buffer,
    })
}

impl Bound {
    /// Address and port that the socket has.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

/// A socket of a running worker.
#[derive(Debug)]
pub struct Socket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    index: usize,
    any_address: bool,
}

/// What became of a datagram that was to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// The kernel has it.
    Yes,
    /// The kernel's buffer is full.
    Full,
    /// The kernel refused it (no route, too large).
    Refused,
}

impl Socket {
    /// Registers a bound socket with the runtime of the calling thread; `index` is its number in [`Path::socket`].
    ///
    /// # Errors
    /// As the system says.
    pub fn register(bound: Bound, index: usize) -> io::Result<Socket> {
        let state = UdpSocketState::new(UdpSockRef::from(&bound.socket))?;
        Ok(Socket {
            io: tokio::net::UdpSocket::from_std(bound.socket)?,
            state,
            index,
            any_address: bound.local.ip().is_unspecified(),
        })
    }

    /// Ready once something can be received.
    ///
    /// # Errors
    /// As the runtime says; the socket is of no further use then.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_recv_ready(context)
    }

    /// Receives what is there, at most [`BATCH`] messages. Nothing there leaves the batch empty.
    ///
    /// # Errors
    /// As the system says; count it and go on.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<()> {
        batch.filled = 0;
        let mut slots = batch.memory.chunks_exact_mut(SLOT);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let read = || self.state.recv((&self.io).into(), &mut slices, &mut batch.metas);
        match self.io.try_io(Interest::READABLE, read) {
            Ok(filled) => batch.filled = filled,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        batch.socket = self.index;
        batch.any_address = self.any_address;
        Ok(())
    }

    /// Sends one datagram, or with `segment` several of that size (the last may be shorter), back along a path.
    #[must_use]
    pub fn send(&self, path: &Path, contents: &[u8], segment: Option<usize>) -> Sent {
        let transmit = Transmit {
            destination: path.remote,
            ecn: None,
            contents,
            segment_size: segment,
            src_ip: path.local,
        };
        match self.state.try_send((&self.io).into(), &transmit) {
            Ok(()) => Sent::Yes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::Full,
            Err(_) => Sent::Refused,
        }
    }

    /// Datagrams that one [`Socket::send`] may carry; 1 without GSO. Falls to 1 when the kernel refuses a run.
    #[must_use]
    pub fn longest_run(&self) -> usize {
        self.state.max_gso_segments()
    }
}

/// Room for what one receive call brings; made once.
#[derive(Debug)]
pub struct Batch {
    memory: Vec<u8>,
    metas: [RecvMeta; BATCH],
    filled: usize,
    socket: usize,
    any_address: bool,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            memory: vec![0; BATCH * SLOT],
            metas: [RecvMeta::default(); BATCH],
            filled: 0,
            socket: 0,
            any_address: false,
        }
    }
}

impl Batch {
    /// Whether the last receive call brought nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// The datagrams with their paths; what GRO put together is taken apart.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (Path, &mut [u8])> {
        let (socket, any_address) = (self.socket, self.any_address);
        let slots = self.memory.chunks_exact_mut(SLOT);
        self.metas
            .iter()
            .take(self.filled)
            .zip(slots)
            .flat_map(move |(meta, slot)| {
                let path = Path {
                    remote: canonical(meta.addr),
                    socket,
                    local: meta.dst_ip.filter(|_| any_address).map(|ip| ip.to_canonical()),
                };
                let filled = slot.get_mut(..meta.len).unwrap_or_default();
                filled
                    .chunks_mut(meta.stride.max(1))
                    .map(move |datagram| (path, datagram))
            })
    }
}

/// One form per address: IPv4 is never mapped, and a flow label makes no difference.
fn canonical(address: SocketAddr) -> SocketAddr {
    match (address.ip().to_canonical(), address) {
        (IpAddr::V6(ip), SocketAddr::V6(v6)) => SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id()).into(),
        (ip, _) => SocketAddr::new(ip, address.port()),
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn an_address_has_one_form() {
        for (given, expected) in [
            ("[::ffff:192.0.2.1]:5", "192.0.2.1:5"),
            ("192.0.2.1:5", "192.0.2.1:5"),
            ("[2001:db8::1]:5", "[2001:db8::1]:5"),
        ] {
            assert_eq!(canonical(given.parse().unwrap()).to_string(), expected, "{given}");
        }
        let labelled = SocketAddr::V6(SocketAddrV6::new("2001:db8::1".parse().unwrap(), 5, 77, 0));
        assert_eq!(canonical(labelled), SocketAddr::from_str("[2001:db8::1]:5").unwrap());
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap()
    }

    async fn received(socket: &Socket, batch: &mut Batch) -> Vec<(Path, Vec<u8>)> {
        std::future::poll_fn(|context| socket.poll_readable(context))
            .await
            .unwrap();
        socket.receive(batch).unwrap();
        batch.datagrams().map(|(path, bytes)| (path, bytes.to_vec())).collect()
    }

    #[test]
    fn a_run_comes_apart_and_answers_leave_from_the_address_that_was_asked() {
        for (any, asked) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
            runtime().block_on(async {
                let bound = bind(any.parse().unwrap()).unwrap();
                let port = bound.local().port();
                let socket = Socket::register(bound, 3).unwrap();
                let asked: IpAddr = asked.parse().unwrap();
                let client = if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
                let client = Socket::register(bind(client.parse().unwrap()).unwrap(), 0).unwrap();
                let out = Path {
                    remote: SocketAddr::new(asked, port),
                    socket: 0,
                    local: None,
                };
                assert_eq!(client.send(&out, b"aaaabbbbcc", Some(4)), Sent::Yes);

                let mut batch = Batch::default();
                let mut got = Vec::new();
                while got.len() < 3 {
                    got.extend(received(&socket, &mut batch).await);
                }
                let texts: Vec<&[u8]> = got.iter().map(|(_, bytes)| bytes.as_slice()).collect();
                assert_eq!(texts, [&b"aaaa"[..], b"bbbb", b"cc"]);
                let path = got[0].0;
                assert_eq!((path.socket, path.local), (3, Some(asked)));

                assert_eq!(socket.send(&path, b"answer", None), Sent::Yes);
                let (back, bytes) = received(&client, &mut batch).await.remove(0);
                assert_eq!((back.remote, bytes.as_slice()), (out.remote, &b"answer"[..]));
            });
        }
    }

    #[test]
    fn both_families_may_have_the_same_port() {
        let six = bind("[::]:0".parse().unwrap()).unwrap();
        let four = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), six.local().port());
        let other = bind(four).unwrap();
        assert_eq!(other.local(), four);
        assert_eq!(bind(four).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
