//! The thread of a media worker: waits for sockets, the mailbox, the links and the next deadline, then lets a turn happen.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::federation;
use crate::ids::LinkId;
use crate::metrics::{self, Dropped, Metrics};
use crate::net::clock;
use crate::net::udp::{Batch, Bound, Socket};
use crate::worker::Command;
use crate::worker::turn::Worker;

/// Commands, and events of links, carried out between two batches of packets.
const COMMANDS_PER_TURN: usize = 32;
/// Datagrams of links handled between two batches of packets.
const LINK_DATAGRAMS_PER_TURN: usize = 256;
/// How often counts are added to the metrics.
const FOLD: Duration = Duration::from_secs(1);
/// How long the sessions' last words may take once the process ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What comes in.
#[derive(Debug)]
pub struct Inlets {
    /// The media port's sockets, in the order of [`crate::session::Path::socket`].
    pub sockets: Vec<Bound>,
    /// The worker's end of its mailbox.
    pub commands: mpsc::Receiver<Command>,
    /// What happens to links.
    pub events: mpsc::Receiver<federation::Event>,
    /// Media datagrams of links.
    pub media: mpsc::Receiver<(LinkId, Bytes)>,
    /// Where counts go.
    pub metrics: Arc<Metrics>,
}

/// Starts the thread; it ends after [`Command::Stop`]. When this returns, packets are received.
///
/// # Errors
/// What the system says about sockets and threads.
pub async fn spawn(worker: Worker, inlets: Inlets) -> io::Result<JoinHandle<()>> {
    let (started, outcome) = oneshot::channel();
    let named = std::thread::Builder::new().name("media-0".into());
    let handle = named.spawn(move || live(worker, inlets, started))?;
    outcome
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the media thread ended at once")))?;
    Ok(handle)
}

fn live(worker: Worker, inlets: Inlets, started: oneshot::Sender<io::Result<()>>) {
    let begun = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        let thread = Thread::new(worker, inlets, &runtime)?;
        Ok((runtime, thread))
    });
    // Whoever started us waits for this word.
    match begun {
        Ok((runtime, thread)) => {
            let _ = started.send(Ok(()));
            runtime.block_on(thread.run());
        }
        Err(error) => {
            let _ = started.send(Err(error));
        }
    }
}

struct Thread {
    worker: Worker,
    sockets: Vec<Socket>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Receiver<federation::Event>,
    media: mpsc::Receiver<(LinkId, Bytes)>,
    metrics: Arc<Metrics>,
    batch: Batch,
    fold_at: Instant,
    busy: Duration,
    // `Some` once the process ends.
    stop_by: Option<Instant>,
}

enum Wake {
    Sockets,
    Command(Command),
    Link(federation::Event),
    Media(LinkId, Bytes),
    Time,
    Stop,
}

impl Thread {
    fn new(worker: Worker, inlets: Inlets, runtime: &Runtime) -> io::Result<Thread> {
        let _entered = runtime.enter();
        let numbered = inlets.sockets.into_iter().enumerate();
        let sockets: io::Result<Vec<Socket>> = numbered.map(|(index, bound)| Socket::register(bound, index)).collect();
        Ok(Thread {
            worker,
            sockets: sockets?,
            commands: inlets.commands,
            events: inlets.events,
            media: inlets.media,
            metrics: inlets.metrics,
            batch: Batch::default(),
            fold_at: clock::now() + FOLD,
            busy: Duration::ZERO,
            stop_by: None,
        })
    }

    async fn run(mut self) {
        loop {
            let wake = self.wait().await;
            let now = clock::now();
            let sent = self.worker.counters().packets();
            self.turn(now, wake);
            let after = clock::now();
            let took = after.saturating_duration_since(now);
            if self.worker.counters().packets() > sent {
                self.metrics.forward_delay.observe(took.as_secs_f64());
            }
            self.busy += took;
            if after >= self.fold_at {
                self.fold(after);
            }
            let overdue = self.stop_by.is_some_and(|by| by <= after);
            if overdue || self.stop_by.is_some() && self.worker.is_idle() {
                return;
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let deadlines = [self.worker.next_deadline(), Some(self.fold_at), self.stop_by];
        let deadline = deadlines.into_iter().flatten().min().unwrap_or(self.fold_at);
        let (sockets, stopping) = (&self.sockets, self.stop_by.is_some());
        tokio::select! {
            () = std::future::poll_fn(|context| any_readable(sockets, context)) => Wake::Sockets,
            command = self.commands.recv(), if !stopping => command.map_or(Wake::Stop, Wake::Command),
            Some(event) = self.events.recv() => Wake::Link(event),
            Some((link, datagram)) = self.media.recv() => Wake::Media(link, datagram),
            () = tokio::time::sleep_until(deadline.into()) => Wake::Time,
        }
    }

    fn turn(&mut self, now: Instant, wake: Wake) {
        match wake {
            Wake::Sockets | Wake::Time => {}
            Wake::Command(command) => self.command(now, command),
            Wake::Link(event) => self.worker.link_event(now, event),
            Wake::Media(link, datagram) => self.worker.link_datagram(now, link, &datagram),
            Wake::Stop => self.command(now, Command::Stop),
        }
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.commands.try_recv() else { break };
            self.command(now, command);
        }
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(event) = self.events.try_recv() else { break };
            self.worker.link_event(now, event);
        }
        for _ in 0..LINK_DATAGRAMS_PER_TURN {
            let Ok((link, datagram)) = self.media.try_recv() else {
                break;
            };
            self.worker.link_datagram(now, link, &datagram);
            self.flush_if_full();
        }
        self.receive(now);
        self.worker.handle_timeout(now);
        self.worker.settle(now);
        self.flush();
    }

    fn command(&mut self, now: Instant, command: Command) {
        if matches!(command, Command::Stop) {
            self.stop_by = Some(now + LAST_WORDS);
        }
        self.worker.command(now, command);
    }

    /// One batch from each socket.
    fn receive(&mut self, now: Instant) {
        let Thread {
            worker, sockets, batch, ..
        } = self;
        for socket in sockets.iter() {
            if socket.receive(batch).is_err() {
                worker.counters().receive_errors += 1;
                continue;
            }
            for (path, datagram) in batch.datagrams() {
                worker.datagram(now, path, datagram);
                if worker.outbox().is_full() {
                    flush(worker, sockets);
                }
            }
        }
    }

    fn flush_if_full(&mut self) {
        if self.worker.outbox().is_full() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        flush(&mut self.worker, &self.sockets);
    }

    fn fold(&mut self, now: Instant) {
        let span = now.saturating_duration_since(self.fold_at) + FOLD;
        let busy = std::mem::take(&mut self.busy).as_secs_f64() / span.as_secs_f64();
        self.metrics.worker_busy.set(&metrics::Worker::number(0), busy.min(1.0));
        self.fold_at = now + FOLD;
        self.worker.fold();
    }
}

fn any_readable(sockets: &[Socket], context: &mut Context<'_>) -> Poll<()> {
    let mut any = Poll::Pending;
    for socket in sockets {
        // A socket that broke counts as readable too: receiving tells and counts it.
        if socket.poll_readable(context).is_ready() {
            any = Poll::Ready(());
        }
    }
    any
}

fn flush(worker: &mut Worker, sockets: &[Socket]) {
    if worker.outbox().is_empty() {
        return;
    }
    let flushed = worker.outbox().flush(sockets);
    worker.counters().dropped_many(Dropped::QueueFull, flushed.full);
    worker.counters().dropped_many(Dropped::SendFailed, flushed.refused);
}
