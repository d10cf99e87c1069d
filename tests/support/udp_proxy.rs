//! A path between two UDP ports that can be narrow or broken, in user space: no privileges, no kernel settings.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// One direction of dialling; answers come back the same way. Ends when dropped.
pub struct UdpProxy {
    /// Where to send to.
    pub address: SocketAddr,
    path: Arc<Path>,
    task: tokio::task::JoinHandle<()>,
}

/// What the path does and did.
struct Path {
    largest: AtomicUsize,
    broken: AtomicBool,
    forwarded: AtomicU64,
    too_large: AtomicU64,
    lost: AtomicU64,
}

impl UdpProxy {
    /// A proxy before `target` on a loopback address; lets everything pass.
    pub async fn before(target: SocketAddr) -> UdpProxy {
        let loopback = target.ip();
        let front = Arc::new(UdpSocket::bind((loopback, 0)).await.unwrap());
        let path = Arc::new(Path {
            largest: AtomicUsize::new(usize::MAX),
            broken: AtomicBool::new(false),
            forwarded: AtomicU64::new(0),
            too_large: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let address = front.local_addr().unwrap();
        let task = tokio::spawn(run(front, target, Arc::clone(&path)));
        UdpProxy { address, path, task }
    }

    /// Drops what has more payload bytes than this from now on.
    pub fn narrow(&self, largest: usize) {
        self.path.largest.store(largest, Ordering::Relaxed);
    }

    /// Drops everything, or nothing for that reason any more.
    pub fn break_down(&self, broken: bool) {
        self.path.broken.store(broken, Ordering::Relaxed);
    }

    /// Datagrams that passed, both ways.
    pub fn forwarded(&self) -> u64 {
        self.path.forwarded.load(Ordering::Relaxed)
    }

    /// Datagrams dropped for their size.
    pub fn too_large(&self) -> u64 {
        self.path.too_large.load(Ordering::Relaxed)
    }

    /// Datagrams dropped while the path was broken.
    pub fn lost(&self) -> u64 {
        self.path.lost.load(Ordering::Relaxed)
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Path {
    fn lets_pass(&self, size: usize) -> bool {
        let broken = self.broken.load(Ordering::Relaxed);
        let fits = size <= self.largest.load(Ordering::Relaxed);
        let counter = match (broken, fits) {
            (true, _) => &self.lost,
            (false, false) => &self.too_large,
            (false, true) => &self.forwarded,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        fits && !broken
    }
}

async fn run(front: Arc<UdpSocket>, target: SocketAddr, path: Arc<Path>) {
    let mut behind: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut backwards = JoinSet::new();
    let mut buffer = vec![0; 65_536];
    loop {
        // ECONNREFUSED of a target that was killed comes here.
        let Ok((length, dialler)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        let socket = match behind.entry(dialler) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(new) => {
                let socket = Arc::new(UdpSocket::bind((target.ip(), 0)).await.unwrap());
                backwards.spawn(back(
                    Arc::clone(&socket),
                    Arc::clone(&front),
                    dialler,
                    Arc::clone(&path),
                ));
                Arc::clone(new.insert(socket))
            }
        };
        if path.lets_pass(length) {
            // A target that was killed may come back.
            drop(socket.send_to(&buffer[..length], target).await);
        }
    }
}

async fn back(socket: Arc<UdpSocket>, front: Arc<UdpSocket>, dialler: SocketAddr, path: Arc<Path>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((length, _)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if path.lets_pass(length) {
            drop(front.send_to(&buffer[..length], dialler).await);
        }
    }
}
