//! All ports, taken at once or not at all.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::Config;
use crate::net::tcp;
use crate::net::udp::{self, Bound};
use crate::server::StartError;

/// Less than this is the kernel's default, and video will be lost in bursts.
const WANTED_RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// What clients and monitoring talk to; links bind their own.
pub struct Ports {
    /// In the order of the configuration.
    pub media: Vec<Bound>,
    /// For clients.
    pub signalling: Vec<TcpListener>,
    /// For monitoring.
    pub metrics: Vec<TcpListener>,
}

impl Ports {
    /// Takes them.
    pub fn bind(config: &Config) -> Result<Ports, StartError> {
        let media = all("media.listen", &config.media.listen, udp::bind)?;
        // The kernel answers with twice what it granted.
        if media
            .iter()
            .any(|socket| socket.receive_buffer / 2 < WANTED_RECEIVE_BUFFER)
        {
            tracing::warn!(
                wanted = WANTED_RECEIVE_BUFFER,
                "the kernel grants small receive buffers, and bursts will be lost: raise net.core.rmem_max"
            );
        }
        Ok(Ports {
            media,
            signalling: all("signalling.listen", &config.signalling.listen, tcp::bind)?,
            metrics: all("metrics.listen", &config.metrics.listen, tcp::bind)?,
        })
    }
}

fn all<T>(
    key: &'static str,
    addresses: &[SocketAddr],
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<Vec<T>, StartError> {
    let bind = |address: &SocketAddr| {
        bind(*address).map_err(|error| StartError::Bind {
            address: *address,
            key,
            next: next(error.kind()),
            error,
        })
    };
    addresses.iter().map(bind).collect()
}

fn next(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "stop the process that has it, or choose another port",
        io::ErrorKind::AddrNotAvailable => "no interface has this address: choose one of this machine's",
        io::ErrorKind::PermissionDenied => "choose a port above 1023, or grant CAP_NET_BIND_SERVICE",
        _ => "choose another address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_one_clear_line() {
        let first = tcp::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.local_addr().unwrap();
        let error = all("metrics.listen", &[address], tcp::bind).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{address} (metrics.listen) cannot be bound: ")),
            "{error}"
        );
        assert!(
            error.ends_with("; stop the process that has it, or choose another port"),
            "{error}"
        );
    }
}
