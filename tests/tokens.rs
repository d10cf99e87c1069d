//! Real SFT processes that ask for tokens, and raw HTTP as clients post it. The tokens were made with another implementation of HMAC.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail, and clippy's exception covers test functions only"
)]

mod support;

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use support::http;
use support::sft_process::Sft;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CONFERENCE: &str = "91075927c512cd359f0e2cf41b552c9a";
/// With a line's end, as editors leave it.
const SECRET: &str = "correct-horse-0\n";

/// May start conferences.
const STARTS: [&str; 2] = [
    "d=4000000000.v=1.k=0.s=1.r=alice0",
    "3NiFBGSu/9LXgkmP4EyxZJROLvoFKEMPGfzPFap/NpQ+CPpqselsiRXwmUfHbIw+tNzBMZFHU5JGi1r96+u7IQ==",
];
/// May only join.
const JOINS: [&str; 2] = [
    "d=4000000000.v=1.k=0.s=0.r=bob1",
    "9Q8wFPQpLUyDrR+hMolsLsgkoFnUxYxv02zueeKsyY9lW0nbcKiy70UCDg7AxIN0ea1Z1EBy44BDHvK2CgNbyg==",
];
/// May start, given to somebody else.
const STARTS_TOO: [&str; 2] = [
    "d=4000000000.v=1.k=0.s=1.r=carol2",
    "b39Gzl9APjCI8XLYeOJkI+lkym+mFLBVr35MgVfYxVpSemu1Z6jnE0trh6wb4kGAPDXDAe2k0G6JUM0wo1RUGA==",
];
/// Was good until 2020.
const EXPIRED: [&str; 2] = [
    "d=1600000000.v=1.k=0.s=1.r=alice0",
    "9TW3K0geNU5XG4Ue+X4lCWZJ4rHTe7DfXIsHbQyf71nnQLOCctSUB1aVLj8h8aTSbnHgDeJP5WNB/1WSPej3iQ==",
];

/// What a client posts and what it gets.
struct Caller<'a> {
    sft: &'a Sft,
    user: &'a str,
    message: Value,
}

impl<'a> Caller<'a> {
    fn new(sft: &'a Sft, user: &'a str) -> Caller<'a> {
        let message = json!({
            "version": "3.0", "type": "CONFCONN", "sessid": CONFERENCE, "src_userid": user, "src_clientid": "_",
            "dest_userid": "SFT", "dest_clientid": "_", "resp": false, "update": false, "tool": "avs 10.5.8 (test)",
            "toolver": "10.5.8", "env": 0, "status": 0, "selective_audio": true, "selective_video": true, "vstreams": 9,
        });
        Caller { sft, user, message }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Caller<'a> {
        self.message[key] = value.into();
        self
    }

    fn token(self, [username, credential]: [&str; 2]) -> Caller<'a> {
        self.with("username", username).with("credential", credential)
    }

    async fn posts(self) -> Value {
        let path = format!("/sfts/sft-0/sft/{CONFERENCE}");
        let answer = http::post(&self.sft.url(), &path, &self.message.to_string())
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}: {}", self.user, answer.body);
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer["sessid"], CONFERENCE);
        answer
    }

    /// Posts and expects an offer.
    async fn gets(self, kind: &str) -> Value {
        let user = self.user;
        let answer = self.posts().await;
        assert_eq!(answer["type"], kind, "{user}: {answer}");
        assert!(answer["sdp"].as_str().is_some_and(|sdp| sdp.starts_with("v=0")));
        answer
    }

    /// Posts and expects a refusal.
    async fn gets_refusal(self, status: u64, reason: &str) {
        let user = self.user;
        let answer = self.posts().await;
        let got = (&answer["type"], &answer["status"], &answer["reason"]);
        assert_eq!(got, (&"CONFCONN".into(), &status.into(), &reason.into()), "{user}");
    }
}

#[tokio::test]
async fn whoever_calls_shows_a_token_every_time() {
    let mut sft = Sft::prepare("a.example", HOME);
    sft.require_tokens(SECRET);
    sft.start().await;
    let caller = |user| Caller::new(&sft, user);
    caller("bob").token(JOINS).gets_refusal(5, "cannot_start").await;
    caller("alice").gets_refusal(2, "token_missing").await;
    caller("alice").token(STARTS).gets("SETUP").await;
    caller("bob").token(JOINS).gets("SETUP").await;

    let malformed = [&STARTS[0].replace("k=0", "k=1"), STARTS[1]];
    for (token, status, reason) in [
        (EXPIRED, 3, "token_expired"),
        ([STARTS[0], JOINS[1]], 2, "token_invalid"),
        (malformed, 2, "token_malformed"),
        ([STARTS[0], "?"], 2, "token_malformed"),
    ] {
        // One that is new to a conference that exists, one that has a session, one that comes back to it.
        for (user, update) in [("carol", false), ("alice", false), ("alice", true)] {
            let caller = caller(user).token(token).with("update", update);
            caller.gets_refusal(status, reason).await;
        }
    }
    caller("alice").token(STARTS_TOO).gets_refusal(2, "other_bearer").await;
    let back = caller("alice").token(STARTS_TOO).with("update", true);
    back.gets_refusal(2, "other_bearer").await;
    caller("alice").token(STARTS).gets("SETUP").await;
    caller("alice").token(STARTS).with("update", true).gets("UPDATE").await;
    let old = caller("alice").token(STARTS).with("toolver", "9.10.13");
    old.gets_refusal(1, "version_blacklisted").await;
    assert_nothing_is_logged(&sft);
}

/// Logs are at their most talkative here.
fn assert_nothing_is_logged(sft: &Sft) {
    let log = sft.log();
    assert!(
        log.contains("token_invalid") && log.contains("other_bearer"),
        "reasons are logged"
    );
    let tokens = [STARTS, JOINS, EXPIRED, STARTS_TOO].concat();
    for text in tokens.into_iter().chain([SECRET.trim(), "alice", "bob1", "carol2"]) {
        let found = log.lines().find(|line| line.contains(text));
        assert_eq!(found, None, "the log has {text}");
    }
}

#[tokio::test]
async fn a_join_only_token_is_enough_for_the_first_of_a_member_once_the_anchor_accepts() {
    let mut a = Sft::prepare("a.example", HOME);
    let mut b = Sft::prepare("b.example", HOME);
    a.allow(&b, b.federation());
    b.allow(&a, a.federation());
    b.require_tokens(SECRET);
    a.start().await;
    b.start().await;
    assert!(
        a.log().contains("signalling.auth.required"),
        "an open door to peers is told"
    );
    assert!(!b.log().contains("signalling.auth.required"));
    let setup = Caller::new(&a, "alice").gets("SETUP").await;
    let tuple = setup["sft_tuple"].as_str().unwrap();
    let bob = |tuple: &str| {
        let caller = Caller::new(&b, "bob").token(JOINS).with("sft_url", a.url());
        caller.with("sft_tuple", tuple)
    };
    Caller::new(&b, "bob")
        .token(JOINS)
        .gets_refusal(5, "cannot_start")
        .await;
    let other = format!("a.example/{}", "A".repeat(27));
    bob(&other).gets_refusal(2, "bad_capability").await;
    bob(tuple).gets("SETUP").await;
}

#[tokio::test]
async fn without_its_secret_a_process_does_not_start() {
    for (secret, problem) in [(Some(" \n"), "is empty"), (None, "cannot be read: ")] {
        let mut sft = Sft::prepare("a.example", HOME);
        sft.require_tokens(secret.unwrap_or_default());
        if secret.is_none() {
            sft.lose_secret();
        }
        let (code, told) = sft.start_in_vain();
        assert_eq!(code, Some(2), "{told}");
        assert!(
            told.contains("signalling.auth.secret_file: ") && told.contains(problem),
            "{told}"
        );
    }
}
