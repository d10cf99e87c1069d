//! Requests in, answers out, with a worker that says what a test wants.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;
use crate::config::Blacklist;
use crate::proto::client::Status;
use crate::token::{Bearer, Secret, Standing};
use crate::worker::{Command, Offered, Verdict};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const CONFCONN: &str =
    r#"{"version":"3.0","type":"CONFCONN","sessid":"C0ffee","src_userid":"u1","src_clientid":"_","resp":false}"#;

/// An API whose worker gives one verdict after another.
fn api(verdicts: Vec<Verdict>) -> Arc<Api> {
    Arc::new(api_with(Terms::default(), verdicts))
}

fn api_with(terms: Terms, verdicts: Vec<Verdict>) -> Api {
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
    Api {
        worker,
        public_url: "https://sft.a.example".to_owned(),
        metrics: Arc::new(Metrics::new([])),
        origins: Origins::Any,
        terms,
        ready,
        patience: PATIENCE,
        held: Held::new(Duration::ZERO, 1),
        demo: true,
    }
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
        terms: Terms::default(),
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

const SECRET: &[u8] = b"correct-horse-0\n";
const STARTS: [&str; 2] = [
    "d=4000000000.v=1.k=0.s=1.r=alice0",
    "3NiFBGSu/9LXgkmP4EyxZJROLvoFKEMPGfzPFap/NpQ+CPpqselsiRXwmUfHbIw+tNzBMZFHU5JGi1r96+u7IQ==",
];
const JOINS: [&str; 2] = [
    "d=4000000000.v=1.k=0.s=0.r=bob1",
    "9Q8wFPQpLUyDrR+hMolsLsgkoFnUxYxv02zueeKsyY9lW0nbcKiy70UCDg7AxIN0ea1Z1EBy44BDHvK2CgNbyg==",
];
const EXPIRED: [&str; 2] = [
    "d=1600000000.v=1.k=0.s=1.r=alice0",
    "9TW3K0geNU5XG4Ue+X4lCWZJ4rHTe7DfXIsHbQyf71nnQLOCctSUB1aVLj8h8aTSbnHgDeJP5WNB/1WSPej3iQ==",
];

/// What a CONFCONN gets where tokens are required: the status, the reason, and as whom it reached the worker.
async fn shown(token: Option<[&str; 2]>, version: &str, update: bool) -> (u64, String, Option<Standing>) {
    let (worker, mut commands) = Mailbox::new();
    let blacklist = Blacklist::parse(&["<9.10.14".to_owned()]).unwrap();
    let secret = Some(Secret::parse(SECRET).unwrap());
    let mut api = api_with(Terms { blacklist, secret }, Vec::new());
    api.worker = worker;
    let reached = tokio::spawn(async move {
        let Some(Command::Join(join)) = commands.recv().await else {
            return None;
        };
        let status = Status::AuthLimit;
        join.reply
            .send(Verdict::Refused {
                status,
                reason: "reached",
            })
            .unwrap();
        Some(join.standing)
    });
    let mut message: serde_json::Value = serde_json::from_str(CONFCONN).unwrap();
    message["toolver"] = version.into();
    message["update"] = update.into();
    if let Some([username, credential]) = token {
        message["username"] = username.into();
        message["credential"] = credential.into();
    }
    let (status, body) = ask(&api, Method::POST, "/sft/c0ffee", message.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    drop(api);
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let reason = answer["reason"].as_str().unwrap_or_default().to_owned();
    (answer["status"].as_u64().unwrap(), reason, reached.await.unwrap())
}

#[tokio::test]
async fn every_confconn_shows_a_token_where_tokens_are_required() {
    let [username, credential] = STARTS;
    for update in [false, true] {
        for (token, status, reason) in [
            (None, 2, "token_missing"),
            (Some([username, ""]), 2, "token_missing"),
            (Some(["nonsense", credential]), 2, "token_malformed"),
            (Some([username, "nonsense!"]), 2, "token_malformed"),
            (Some([username, JOINS[1]]), 2, "token_invalid"),
            (Some([JOINS[0], credential]), 2, "token_invalid"),
            (Some(EXPIRED), 3, "token_expired"),
        ] {
            let shown = shown(token, "10.5.8", update).await;
            assert_eq!(shown, (status, reason.to_owned(), None), "{token:?}");
        }
        for (token, standing) in [
            (STARTS, Standing::Starts(Bearer::new("alice0"))),
            (JOINS, Standing::Joins(Bearer::new("bob1"))),
        ] {
            let shown = shown(Some(token), "10.5.8", update).await;
            assert_eq!(shown, (4, "reached".to_owned(), Some(standing)));
        }
    }
}

#[tokio::test]
async fn versions_on_the_blacklist_are_told_to_update() {
    for (version, status) in [("9.10.13", 1), ("9.10.14", 4), ("0.0.1", 4), ("", 4)] {
        let (got, reason, standing) = shown(Some(STARTS), version, false).await;
        assert_eq!(got, status, "{version}");
        assert_eq!(
            (reason == "version_blacklisted", standing.is_none()),
            (status == 1, status == 1)
        );
    }
    assert_eq!(
        shown(None, "9.10.13", true).await.0,
        1,
        "to update helps, a token does not"
    );
}

#[tokio::test]
async fn a_client_that_may_only_join_waits_for_others_to_come_back_after_a_restart() {
    let cannot = || Verdict::Refused {
        status: Status::AuthCannotStart,
        reason: "cannot_start",
    };
    let offered = || {
        Verdict::Offer(Offered {
            sdp: "v=0\r\n".to_owned(),
            update: true,
            tuple: None,
        })
    };
    let returns = CONFCONN.replace(r#""resp":false"#, r#""resp":false,"update":true"#);
    for (verdicts, body, patience_ms, expected) in [
        (
            vec![cannot(), cannot(), offered()],
            returns.as_str(),
            2000,
            r#""type":"UPDATE""#,
        ),
        (vec![cannot(), offered()], CONFCONN, 2000, r#""status":5"#),
        (vec![cannot(); 100], &returns, 50, r#""status":5"#),
    ] {
        let mut api = api_with(Terms::default(), verdicts);
        api.patience = Duration::from_millis(patience_ms);
        let (_, answer) = ask(&api, Method::POST, "/sft/c0ffee", body.to_owned()).await;
        assert!(answer.contains(expected), "{answer}");
    }
}
