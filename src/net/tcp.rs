//! TCP listeners.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted; the kernel clamps it to net.core.somaxconn.
const BACKLOG: i32 = 1024;

/// Takes a port; must be called within a runtime. An IPv6 listener never takes IPv4, so that both may be listed.
///
/// # Errors
/// As the system says.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the connections of the process before it to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_families_may_have_the_same_port() {
        let six = bind("[::]:0".parse().unwrap()).unwrap();
        let port = six.local_addr().unwrap().port();
        let four = bind(SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
        let taken = bind(four.local_addr().unwrap()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
