//! A process that is started with the incumbent's flags, and what its deployment asks of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail, and clippy's exception covers test functions only"
)]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use support::{http, ports, wait};

/// Until it says that it is ready.
const READY: Duration = Duration::from_secs(15);

/// The process with its folder; both go with the test.
struct Sftd {
    child: Child,
    folder: PathBuf,
    signalling: String,
    metrics: String,
}

impl Sftd {
    async fn start(url: &str) -> Sftd {
        let folder = std::env::temp_dir().join(format!("anchor-sft-incumbent-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("secret"), "correct-horse-0\n").unwrap();
        let [signalling, metrics, media] = [(); 3].map(|()| ports::free());
        let flags = format!(
            "sftd -I 127.0.0.1 -p {signalling} -M 127.0.0.1 -r {metrics} -A 127.0.0.1 -u {url} -w 16 -T -q -a -s secret"
        );
        let child = Command::new(env!("CARGO_BIN_EXE_anchor-sft"))
            .args(flags.split_whitespace())
            .current_dir(&folder)
            .env("ANCHOR_SFT_STATE_DIR", "state")
            .env("ANCHOR_SFT_MEDIA__LISTEN", format!("127.0.0.1:{media}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let base = |port| format!("http://{}", SocketAddr::from(([127, 0, 0, 1], port)));
        let sftd = Sftd {
            child,
            folder,
            signalling: base(signalling),
            metrics: base(metrics),
        };
        let ready = async || {
            let answer = http::get(&sftd.metrics, "/readyz").await;
            answer.is_ok_and(|answer| answer.status == 200)
        };
        wait::until("it is ready", READY, ready).await;
        sftd
    }
}

impl Drop for Sftd {
    fn drop(&mut self) {
        // Fails only where it is dead already.
        drop(self.child.kill());
        self.child.wait().unwrap();
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test]
async fn a_deployment_swaps_the_image_and_runs() {
    let url = "https://sft.a.example/sfts/sftd-0";
    let sftd = Sftd::start(url).await;
    for (path, expected) in [
        ("/sft/url", format!("{url}\r\n")),
        ("/sft_servers_all.json", format!(r#"{{"sft_servers_all":["{url}"]}}"#)),
    ] {
        let answer = http::get(&sftd.signalling, path).await.unwrap();
        assert_eq!((answer.status, answer.body), (200, expected), "{path}");
    }
    assert!(
        http::get(&sftd.metrics, "/metrics")
            .await
            .unwrap()
            .body
            .contains("sft_uptime ")
    );
    let confconn =
        r#"{"version":"3.0","type":"CONFCONN","sessid":"c0ffee","src_userid":"u1","src_clientid":"_","resp":false}"#;
    for path in ["/sft/c0ffee", "/sfts/sftd-0/sft/c0ffee"] {
        let answer = http::post(&sftd.signalling, path, confconn).await.unwrap();
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer["status"], 2, "-a asks for tokens: {answer}");
    }
}
