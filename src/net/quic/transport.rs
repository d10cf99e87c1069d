//! What quinn is told: ports, windows, buffers, timers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::federation::allow::AllowList;
use crate::limits::{
    DATAGRAM_RECEIVE_BUFFER, DATAGRAM_SEND_BUFFER, MAX_INCOMING_BYTES, MAX_INCOMING_BYTES_TOTAL,
    MAX_PENDING_HANDSHAKES, STREAM_WINDOW, WINDOW_BEFORE_HELLO,
};
use crate::net::quic::StartError;
use crate::net::tls::{Identity, Verdict};

/// A link says something at least this often.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// A link that said nothing for this long, in milliseconds, is down: four keep-alives in a row do not get lost by chance.
const IDLE_TIMEOUT_MS: u32 = 4000;
/// The largest UDP payload that every path has which carries IPv6 (1280) through a tunnel; discovery finds more.
const INITIAL_MTU: u16 = 1200;
/// A call starts with all its flows at once: 40 Mbit/s for twice 200 ms, before the first acknowledgement says anything.
const INITIAL_WINDOW: u64 = 2 * 1024 * 1024;
/// Bytes of socket buffers that we ask for: the kernel's default holds 92 packets of video.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// One endpoint per address.
///
/// # Errors
/// [`StartError`] for the first that fails.
pub(super) fn endpoints(listen: &[SocketAddr], identity: &Identity) -> Result<Vec<Endpoint>, StartError> {
    // Every handshake gets a configuration of its own; this one only says how much may come in before.
    let server = server_config(identity, Arc::default(), Verdict::default()).map_err(StartError::Tls)?;
    let endpoint = |address: &SocketAddr| {
        let open = || {
            Endpoint::new(
                EndpointConfig::default(),
                Some(server.clone()),
                bind(*address)?,
                Arc::new(TokioRuntime),
            )
        };
        open().map_err(|error| StartError::Bind(*address, error))
    };
    listen.iter().map(endpoint).collect()
}

/// An IPv6 socket takes IPv4 too where it is bound to all addresses: `[::]:9191` is the usual configuration.
fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Without CAP_NET_ADMIN the kernel clamps to net.core.rmem_max; less is still worth running with.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// For one handshake with someone who dialled us. Tokens of Retry stay valid, because the endpoint's own configuration checks them.
///
/// # Errors
/// Our certificate is of no use.
pub(super) fn server_config(
    identity: &Identity,
    allow: Arc<AllowList>,
    verdict: Verdict,
) -> Result<ServerConfig, rustls::Error> {
    let tls = QuicServerConfig::try_from(identity.accepting(allow, verdict)?).map_err(no_suite)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport()))
        .migration(false)
        .max_incoming(MAX_PENDING_HANDSHAKES)
        .incoming_buffer_size(MAX_INCOMING_BYTES)
        .incoming_buffer_size_total(MAX_INCOMING_BYTES_TOTAL);
    Ok(config)
}

/// For one dial.
///
/// # Errors
/// Our certificate is of no use.
pub(super) fn client_config(tls: rustls::ClientConfig) -> Result<ClientConfig, rustls::Error> {
    let tls = QuicClientConfig::try_from(tls).map_err(no_suite)?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

fn no_suite(_: NoInitialCipherSuite) -> rustls::Error {
    rustls::Error::General("the provider lacks the cipher suite of QUIC's first packets".into())
}

/// Before `hello` a peer has one stream and [`WINDOW_BEFORE_HELLO`]; `link::open_up` raises both.
fn transport() -> TransportConfig {
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW);
    let mut config = TransportConfig::default();
    config
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .initial_mtu(INITIAL_MTU)
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW_BEFORE_HELLO))
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .congestion_controller_factory(Arc::new(congestion));
    config
}
