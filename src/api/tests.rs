//! Requests in, answers out, with a worker that says what a test wants.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;
use crate::proto::client::Status;
use crate::worker::{Command, Offered, Verdict};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const CONFCONN: &str =
    r#"{"version":"3.0","type":"CONFCONN","sessid":"C0ffee","src_userid":"u1","src_clientid":"_","resp":false}"#;

/// An API whose worker gives one verdict after another.
fn api(verdicts: Vec<Verdict>) -> Arc<Api> {
    let (worker, mut commands) = Mailbox::new();
    tokio::spawn(async move {
        for verdict in verdicts {
            let Some(Command::Join(join)) = commands.recv().await else {
                return;
            };
            join.reply.send(verdict).unwrap();
        }
    });
    let ready = Ready::default();
    ready.yes();
    Arc::new(Api {
        worker,
        public_url: "https://sft.a.example".to_owned(),
        metrics: Arc::new(Metrics::new([])),
        origins: Origins::Any,
        ready,
        patience: PATIENCE,
        held: Held::new(Duration::ZERO, 1),
        demo: true,
    })
}

async fn ask(api: &Api, method: Method, path: &str, body: impl Into<Body>) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    let response = api.respond(HOME, request).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn an_offer_carries_the_sessid_of_the_request_and_our_url() {
    let offered = Offered {
        sdp: "v=0\r\n".to_owned(),
        update: false,
        tuple: Some("a.example/x".to_owned()),
    };
    let api = api(vec![Verdict::Offer(offered)]);
    let (status, body) = ask(&api, Method::POST, "/sfts/sft-0/sft/c0ffee", CONFCONN).await;
    assert_eq!(status, StatusCode::OK);
    let setup: serde_json::Value = serde_json::from_str(&body).unwrap();
    for (key, value) in [
        ("type", "SETUP"),
        ("sessid", "C0ffee"),
        ("dest_userid", "u1"),
        ("url", "https://sft.a.example"),
        ("sft_tuple", "a.example/x"),
        ("sdp", "v=0\r\n"),
    ] {
        assert_eq!(setup[key], value, "{key}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_confconn_with_status_and_reason() {
    let refused = Verdict::Refused {
        status: Status::AuthInvalid,
        reason: "unlisted",
    };
    let api = api(vec![refused]);
    let (status, body) = ask(&api, Method::POST, "/sft/c0ffee", CONFCONN).await;
    assert_eq!(status, StatusCode::OK);
    let refusal: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&refusal["type"], &refusal["status"], &refusal["reason"]),
        (&"CONFCONN".into(), &2.into(), &"unlisted".into())
    );
    assert_eq!(refusal["sessid"], "C0ffee");
}

#[tokio::test]
async fn no_request_waits_for_ever() {
    let (worker, mut commands) = Mailbox::new();
    let silent = Arc::new(Api {
        worker,
        public_url: String::new(),
        metrics: Arc::new(Metrics::new([])),
        origins: Origins::Any,
        ready: Ready::default(),
        patience: Duration::from_millis(1),
        held: Held::new(Duration::ZERO, 1),
        demo: false,
    });
    let (status, body) = ask(&silent, Method::POST, "/sft/c0ffee", CONFCONN).await;
    assert!(
        status == StatusCode::OK && body.contains(r#""status":4"#) && body.contains(r#""reason":"timeout""#),
        "{body}"
    );
    assert!(matches!(commands.recv().await, Some(Command::Join(_))));
    drop(commands);
    let (_, body) = ask(&silent, Method::POST, "/sft/c0ffee", CONFCONN).await;
    assert!(body.contains(r#""reason":"shutting_down""#), "{body}");
    for reason in ["timeout", "shutting_down"] {
        let line = format!("sft_join_refused_total{{reason=\"{reason}\"}} 1\n");
        assert!(silent.metrics.render().contains(&line), "{reason}");
    }
}

#[tokio::test]
async fn requests_that_no_client_sends_get_a_problem() {
    let api = api(Vec::new());
    let other = CONFCONN.replace("C0ffee", "bad");
    let unsigned = CONFCONN.replace("u1", "");
    let ping = CONFCONN.replace("CONFCONN", "PING");
    let setup = r#"{"version":"3.0","type":"SETUP","sessid":"c0ffee","src_userid":"u1","src_clientid":"_","resp":true,"sdp":"v=0"}"#;
    let long = "x".repeat(MAX_BODY_BYTES + 1);
    for (path, body, status, code) in [
        ("/sft/c0ffee", "", 400, "bad_message"),
        ("/sft/c0ffee", "[]", 400, "bad_message"),
        ("/sft/c0ffee", &other, 400, "other_conference"),
        ("/sft/c0ffee", &unsigned, 400, "no_sender"),
        ("/sft/c0ffee", &ping, 400, "unexpected_message"),
        ("/sft/c0ffee", setup, 400, "bad_sdp"),
        ("/sft/c0ffee", &long, 413, "body_too_large"),
        (&format!("/sft/{}", "x".repeat(128)), CONFCONN, 400, "bad_conference"),
        ("/sft", CONFCONN, 404, "not_found"),
        ("/app.js", CONFCONN, 405, "method_not_allowed"),
    ] {
        let (got, body) = ask(&api, Method::POST, path, body.to_owned()).await;
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((got.as_u16(), &problem["code"]), (status, &code.into()), "{path}");
        assert!(problem["next"].as_str().is_some_and(|next| !next.is_empty()));
    }
    let (status, _) = ask(&api, Method::GET, "/sft/c0ffee", "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_other_paths_answer_too() {
    let api = api(Vec::new());
    for (path, expected) in [
        ("/sft/url", "https://sft.a.example\r\n"),
        ("/sft/status", "ready\n"),
        ("/healthz", "ok\n"),
        ("/readyz", "ready\n"),
        (
            "/sft_servers_all.json",
            r#"{"sft_servers_all":["https://sft.a.example"]}"#,
        ),
    ] {
        assert_eq!(
            ask(&api, Method::GET, path, "").await,
            (StatusCode::OK, expected.to_owned()),
            "{path}"
        );
    }
    api.ready.no();
    assert_eq!(
        ask(&api, Method::GET, "/readyz", "").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(ask(&api, Method::GET, "/index.html", "").await.0, StatusCode::OK);
    assert_eq!(ask(&api, Method::GET, "/Cargo.toml", "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_preflight_is_answered_without_the_worker() {
    let api = api(Vec::new());
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri("/sft/c0ffee")
        .header("origin", "https://w");
    let response = api.respond(HOME, request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["access-control-allow-headers"], "content-type");
}

#[tokio::test]
async fn connections_have_bounds_and_end_with_the_process() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(listen::serve(listener, api(Vec::new()), stopped));
    let long = "x".repeat(20_000);
    let many = "a: b\r\n".repeat(70);
    for (head, expected) in [
        ("GET /healthz HTTP/1.1\r\nhost: a\r\n", "HTTP/1.1 200 "),
        (&format!("GET /healthz HTTP/1.1\r\n{many}"), "HTTP/1.1 431 "),
        (&format!("GET /healthz HTTP/1.1\r\na: {long}\r\n"), "HTTP/1.1 431 "),
        ("\u{1}\u{2}\u{3}\r\n", "HTTP/1.1 400 "),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that has had enough may close before it has read all.
        let _ = stream
            .write_all(format!("{head}connection: close\r\n\r\n").as_bytes())
            .await;
        let mut answer = [0; 13];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(std::str::from_utf8(&answer), Ok(expected));
    }
    let idle = TcpStream::connect(address).await.unwrap();
    stop.send(true).unwrap();
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}
