//! HTTP for clients and proxies: signalling, health, and the demo page.
//!
//! Knows nothing of sessions and media: a CONFCONN becomes a [`crate::worker::Command`] and its verdict an answer. `calls` translates
//! Wire's messages, [`terms`] says who is let in, [`mod@route`] reads the paths, [`problem`] tells the errors; [`listen`] bounds what
//! connections may cost.

mod calls;
pub mod held;
pub mod listen;
pub mod origins;
mod page;
pub mod problem;
pub mod route;
pub mod terms;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;

use crate::admin::Ready;
use crate::api::held::Held;
use crate::api::problem::Problem;
use crate::api::route::{Route, route};
use crate::api::terms::Terms;
use crate::config::Origins;
use crate::limits::{ATTACH_TIMEOUT, MAX_BODY_BYTES};
use crate::metrics::Metrics;
use crate::worker::Mailbox;

/// How long a body may take to arrive; the incumbent waits as long for a whole request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client's message waits for the worker: what the anchor's word may take, and two seconds for us.
pub const PATIENCE: Duration = ATTACH_TIMEOUT.saturating_add(Duration::from_secs(2));

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What answers requests.
#[derive(Debug)]
pub struct Api {
    /// Where calls are.
    pub worker: Mailbox,
    /// How clients reach this process, without a slash at its end.
    pub public_url: String,
    /// Which web pages may call.
    pub origins: Origins,
    /// Where refusals are counted.
    pub metrics: Arc<Metrics>,
    /// Which clients are let in.
    pub terms: Terms,
    /// Whether the process takes calls.
    pub ready: Ready,
    /// How long a client's message waits for the worker; [`PATIENCE`] but in tests.
    pub patience: Duration,
    /// Where refusals about this server wait.
    pub held: Held,
    /// Serve the demo page.
    pub demo: bool,
}

impl Api {
    /// Answers one request of a client at `source`.
    pub async fn respond(&self, source: IpAddr, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let mut response = if head.method == Method::OPTIONS {
            self.preflight()
        } else {
            let request = Request::from_parts(head.clone(), body);
            let answer = self.answer(source, request).await;
            answer.unwrap_or_else(|problem| reply(problem.status(), JSON, problem.body()))
        };
        origins::allow(&self.origins, &head.headers, response.headers_mut());
        response
    }

    fn preflight(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        origins::preflight(response.headers_mut());
        response
    }

    async fn answer(&self, source: IpAddr, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let path = request.uri().path().to_owned();
        let resource = route(&path);
        let wanted = match resource {
            Route::Conference(_) => Method::POST,
            // The incumbent answers these whatever the method.
            Route::Url | Route::Status | Route::Unknown => request.method().clone(),
            _ => Method::GET,
        };
        if *request.method() != wanted {
            return Err(Problem::Method);
        }
        match resource {
            Route::Conference(conference) => {
                let body = body(request).await?;
                let answer = calls::post(
                    self,
                    source,
                    calls::Post {
                        conference,
                        body: &body,
                    },
                )
                .await?;
                Ok(reply(StatusCode::OK, JSON, answer))
            }
            Route::Url => Ok(reply(StatusCode::OK, TEXT, format!("{}\r\n", self.public_url))),
            Route::Status => Ok(reply(StatusCode::OK, TEXT, self.state().1)),
            Route::Servers => Ok(reply(StatusCode::OK, JSON, self.servers())),
            Route::Health => Ok(reply(StatusCode::OK, TEXT, "ok\n")),
            Route::Ready => Ok(reply(self.state().0, TEXT, self.state().1)),
            Route::Page(file) if self.demo => page::file(file).ok_or(Problem::NotFound),
            Route::Page(_) | Route::Unknown => Err(Problem::NotFound),
        }
    }

    fn state(&self) -> (StatusCode, &'static str) {
        if self.ready.is_yes() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    }

    fn servers(&self) -> String {
        serde_json::json!({ "sft_servers_all": [self.public_url] }).to_string()
    }
}

async fn body(request: Request<Body>) -> Result<Bytes, Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Problem::TooLarge);
    }
    let read = to_bytes(request.into_body(), MAX_BODY_BYTES);
    let read = tokio::time::timeout(BODY_TIMEOUT, read).await;
    // A connection that broke reads as too large as well, but nobody sees that answer.
    read.map_err(|_| Problem::TooSlow)?.map_err(|_| Problem::TooLarge)
}

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
