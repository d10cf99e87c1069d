//! The composition root: the only module that knows everyone. Binds, starts, watches and stops the parts.
//!
//! Everything is bound before anything runs, so that a port that is taken is one clear line and not half a server. Start at [`run`].

mod bind;
mod links;
mod observe;
mod terms;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::admin::{self, Ready};
use crate::api::terms::Terms;
use crate::api::{self, Api};
use crate::config::Config;
use crate::limits::{MAX_HELD_REFUSALS, REFUSAL_HOLD};
use crate::metrics::Metrics;
use crate::net::clock;
use crate::net::entropy::{self, NoEntropy};
use crate::net::quic::{self, Links};
use crate::net::state::{self, BadState};
use crate::net::tls::files::BadFile;
use crate::proto::link::message::Code;
use crate::relay::{self, Relay};
use crate::server::bind::Ports;
use crate::session::{Identity, NoIdentity};
use crate::worker::half_open::Bounds;
use crate::worker::run::{Inlets, spawn};
use crate::worker::turn::{Setup, Worker};
use crate::worker::{Command, Mailbox};

/// How long the parts may take to end, each beside the others.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// Why the process does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be had.
    #[error("{address} ({key}) cannot be bound: {error}; {next}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Where it is configured.
        key: &'static str,
        /// The cause.
        error: io::Error,
        /// What to do.
        next: &'static str,
    },
    /// Links cannot be had.
    #[error("federation cannot start: {0}; check federation.listen")]
    Links(#[from] quic::StartError),
    /// Our certificate or its key is of no use.
    #[error("{file} is of no use: {error}; make one with `anchor-sft cert issue`", file = file.display())]
    Certificate {
        /// The certificate's file.
        file: PathBuf,
        /// The cause.
        error: BadFile,
    },
    /// The state directory is of no use.
    #[error("{error}; check state_dir {dir}", dir = dir.display())]
    State {
        /// The directory.
        dir: PathBuf,
        /// The cause.
        error: BadState,
    },
    /// Tokens cannot be checked.
    #[error("{file} (signalling.auth.secret_file) is of no use: {error}", file = file.display())]
    Secret {
        /// The secret's file.
        file: PathBuf,
        /// The cause.
        error: terms::NoSecret,
    },
    /// The system gives no randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// No DTLS certificate could be made.
    #[error(transparent)]
    NoIdentity(#[from] NoIdentity),
    /// The media thread cannot be started, or signals cannot be heard.
    #[error("the system does not let us run: {0}")]
    System(#[from] io::Error),
    /// The media thread ended although nobody told it to.
    #[error("the media worker died; the log says why, and the process has to be started again")]
    WorkerDied,
}

/// Runs an SFT until SIGTERM, SIGINT, or `told_to_end`.
///
/// # Errors
/// [`StartError`]: why it did not start, or ended by itself.
pub async fn run(config: Config, told_to_end: impl Future<Output = ()>) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut server = Server::start(&config).await?;
    let died = tokio::select! {
        () = told_to_end => false,
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        _ = &mut server.media => true,
    };
    tracing::info!("ending");
    server.stop().await;
    if died { Err(StartError::WorkerDied) } else { Ok(()) }
}

/// The parts that run.
struct Server {
    ready: Ready,
    worker: Mailbox,
    media: JoinHandle<()>,
    links: Option<Links>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
    // Ends with us: metrics are served to the last.
    _watching: JoinSet<()>,
}

impl Server {
    async fn start(config: &Config) -> Result<Server, StartError> {
        for warning in config.warnings() {
            tracing::warn!(
                key = warning.key,
                problem = warning.problem,
                fix = warning.fix,
                "look at the configuration"
            );
        }
        let terms = terms::of(&config.signalling)?;
        let metrics = Arc::new(Metrics::new(links::domains(config).chain([&config.domain])));
        let ours = metrics.peer(&config.domain);
        observe::certificate_ends(&metrics, &ours, links::not_after(config));
        let ports = Ports::bind(config)?;
        let (worker, commands) = Mailbox::new();
        let (link_ends, outlet) = links::channels(metrics.clone());
        let links = links::start(config, outlet)?;
        // Without links the queue is closed, which the worker takes for links that cannot keep up.
        let queue = links.as_ref().map_or_else(|| mpsc::channel(1).0, Links::commands);
        let setup = setup(config, queue, metrics.clone())?;
        let inlets = Inlets {
            sockets: ports.media,
            commands,
            events: link_ends.events,
            media: link_ends.media,
            metrics: metrics.clone(),
        };
        let thread = spawn(Worker::new(setup), inlets).await?;
        let ready = Ready::default();
        let (stop, stopped) = watch::channel(false);
        let api = Arc::new(api(config, (worker.clone(), metrics.clone(), ready.clone()), terms));
        let mut clients = JoinSet::new();
        for listener in ports.signalling {
            clients.spawn(api::listen::serve(listener, api.clone(), stopped.clone()));
        }
        let mut watching = JoinSet::new();
        for listener in ports.metrics {
            let serving = admin::serve_metrics(listener, metrics.clone(), ready.clone());
            watching.spawn(async move { drop(serving.await) });
        }
        watching.spawn(observe::every_second(metrics, links.clone()));
        ready.yes();
        tracing::info!(domain = %config.domain, node = ?config.node, "ready");
        Ok(Server {
            ready,
            worker,
            media: tokio::task::spawn_blocking(move || drop(thread.join())),
            links,
            stop,
            clients,
            _watching: watching,
        })
    }

    /// Clients hear HANGUP, peers goodbye; whoever is slower than [`LAST_WORDS`] is left behind.
    async fn stop(mut self) {
        self.ready.no();
        // A mailbox that is full belongs to a worker that is beyond hearing.
        let _ = self.worker.post(Command::Stop);
        let media = async {
            if !self.media.is_finished() {
                let _ = timeout(LAST_WORDS, &mut self.media).await;
            }
        };
        media.await;
        let _ = self.stop.send(true);
        let links = async {
            if let Some(links) = &self.links {
                let _ = timeout(LAST_WORDS / 3, links.close(Code::ShuttingDown)).await;
            }
        };
        let clients = async { while self.clients.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS / 3, async { tokio::join!(links, clients) }).await;
    }
}

fn setup(
    config: &Config,
    links: mpsc::Sender<crate::federation::Command>,
    metrics: Arc<Metrics>,
) -> Result<Setup, StartError> {
    let epoch = clock::epoch();
    let keys = state::capability_keys(&config.state_dir).map_err(|error| StartError::State {
        dir: config.state_dir.clone(),
        error,
    })?;
    let relay = relay::Config {
        domain: config.domain.clone(),
        node: config.node.clone(),
        boot: epoch.wall.0,
        public_url: config.signalling.public_url.clone(),
        capability_keys: keys,
        peers: links::domains(config).cloned().collect(),
    };
    Ok(Setup {
        relay: Relay::new(relay, entropy::seed()?, epoch),
        identity: Arc::new(Identity::generate()?),
        seed: entropy::seed()?,
        candidates: config.media.advertise.iter().map(|address| address.public).collect(),
        bounds: Bounds {
            total: config.limits.half_open,
            per_source: config.limits.half_open_per_source,
            per_conference: config.limits.half_open_per_conference,
        },
        links,
        metrics,
    })
}

fn api(config: &Config, (worker, metrics, ready): (Mailbox, Arc<Metrics>, Ready), terms: Terms) -> Api {
    Api {
        worker,
        metrics,
        public_url: config.signalling.public_url.clone(),
        origins: config.signalling.allow_origins.clone(),
        terms,
        ready,
        patience: api::PATIENCE,
        held: api::held::Held::new(REFUSAL_HOLD, MAX_HELD_REFUSALS),
        demo: config.demo,
    }
}
