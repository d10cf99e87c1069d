//! TCP connections of clients: how many, for how long, and how large their headers may be.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::api::Api;
use crate::limits::{MAX_HTTP_CONNECTIONS, MAX_HTTP_HEADER_BYTES, MAX_HTTP_HEADERS};

/// The first request must come by then (the incumbent's value) …
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// … and the next one, header and all, by then: longer than proxies keep idle connections by default (60 s), so that they close first.
const NEXT_REQUEST: Duration = Duration::from_secs(75);
/// How long answers under way may take once the process ends.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// After the system refuses a connection (no more descriptors), trying again at once would only burn the core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` becomes true.
pub async fn serve(listener: TcpListener, api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Connections that find no room wait in the kernel's queue.
        let accepted = tokio::select! {
            accepted = async { (room.clone().acquire_owned().await, listener.accept().await) } => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            (Ok(room), Ok((stream, from))) => {
                let connection = connection(stream, from, api.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(room);
                });
            }
            _ => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    let last_answers = async { while connections.join_next().await.is_some() {} };
    // Whoever is not done by then is cut off by dropping the set.
    let _ = tokio::time::timeout(LAST_ANSWERS, last_answers).await;
}

async fn connection(stream: TcpStream, from: SocketAddr, api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    // Answers are single small writes; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let first = Notify::new();
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        first.notify_one();
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.respond(from.ip().to_canonical(), request.map(Body::new)).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_REQUEST)
        .max_headers(MAX_HTTP_HEADERS)
        .max_buf_size(MAX_HTTP_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let overdue = async {
        if tokio::time::timeout(FIRST_REQUEST, first.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // How a client's connection ended is nobody's concern.
        _ = serving.as_mut() => return,
        () = overdue => return,
        _ = stop.wait_for(|stop| *stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}
