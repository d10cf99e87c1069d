//! What monitoring asks over HTTP: `/metrics`, `/healthz`, `/readyz`, `/version`.
//!
//! Read-only and without secrets or names of people; it listens on loopback unless the administrator says otherwise.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the process takes calls: everything is bound, and it does not drain. Starts with no.
#[derive(Clone, Debug, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    /// Takes calls from now on.
    pub fn yes(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Takes no calls from now on.
    pub fn no(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether it takes calls.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serves until the listener breaks.
///
/// # Errors
/// What the listener says.
pub async fn serve_metrics(listener: TcpListener, metrics: Arc<Metrics>, ready: Ready) -> io::Result<()> {
    axum::serve(listener, routes(metrics, ready)).await
}

/// The four paths.
pub fn routes(metrics: Arc<Metrics>, ready: Ready) -> Router {
    Router::new()
        .route("/metrics", get(render))
        .with_state(metrics)
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .with_state(ready)
        .route("/version", get(version))
}

async fn render(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], metrics.render())
}

/// Answers 200 while calls are taken, else 503, as load balancers expect.
async fn readiness(State(ready): State<Ready>) -> (StatusCode, &'static str) {
    if ready.is_yes() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn version() -> impl IntoResponse {
    const BODY: &str = concat!(
        "{\"name\":\"anchor-sft\",\"version\":\"",
        env!("CARGO_PKG_VERSION"),
        "\"}\n"
    );
    ([(header::CONTENT_TYPE, "application/json")], BODY)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_follows_the_flag_and_metrics_are_text() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let ready = Ready::default();
        let serving = tokio::spawn(serve_metrics(listener, Arc::new(Metrics::new([])), ready.clone()));

        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        ready.yes();
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        ready.no();
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/metrics").await.contains("\nsft_participants 0\n"));
        assert!(ask(address, "/version").await.contains(env!("CARGO_PKG_VERSION")));
        assert!(ask(address, "/debug").await.starts_with("HTTP/1.1 404"));
        serving.abort();
    }
}
