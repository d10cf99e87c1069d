//! What operators and scripts see of the program: exit codes, JSON, and that nothing is overwritten.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("anchor-sft-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder takes folders");
        Folder(path)
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let program = env!("CARGO_BIN_EXE_anchor-sft");
        let Output { status, stdout, stderr } = Command::new(program)
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .expect("the program starts");
        (
            status.code(),
            String::from_utf8(stdout).expect("it prints text"),
            String::from_utf8(stderr).expect("it prints text"),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("what was made can be removed");
    }
}

#[test]
fn a_wrong_configuration_is_2_for_check_and_for_run() {
    let folder = Folder::new("mistakes");
    fs::write(folder.0.join("x.toml"), "domain = \"a.example\"\nnoed = \"sft-0\"\n").unwrap();
    let (code, _, told) = folder.run(&["check-config", "x.toml"]);
    assert_eq!(code, Some(2));
    assert!(
        told.lines()
            .any(|line| line.starts_with("x.toml: noed: unknown field `noed`")),
        "{told}"
    );
    assert!(
        told.lines()
            .any(|line| line.starts_with("x.toml: signalling.public_url: is missing;")),
        "{told}"
    );
    assert_eq!(
        folder.run(&["run", "--config", "x.toml"]),
        (Some(2), String::new(), told)
    );

    let (code, json, _) = folder.run(&["check-config", "--json", "x.toml"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, Some(2));
    assert_eq!(json["ok"], false);
    assert_eq!(json["mistakes"][0]["key"], "noed");
    assert_eq!(folder.run(&["check-config", "absent.toml"]).0, Some(2));
    assert_eq!(folder.run(&["fly"]).0, Some(2));
}

#[test]
fn a_right_configuration_is_0() {
    let folder = Folder::new("right");
    let text = "domain = \"a.localhost\"\nmedia.listen = \"127.0.0.1:10000\"\n\
                signalling.public_url = \"http://127.0.0.1:8585\"\n";
    fs::write(folder.0.join("x.toml"), text).unwrap();
    let (code, told, _) = folder.run(&["check-config", "x.toml"]);
    assert_eq!((code, told.as_str()), (Some(0), "x.toml: no mistakes\n"));
    let (code, json, _) = folder.run(&["check-config", "--json", "x.toml"]);
    assert_eq!(
        (code, json.as_str()),
        (Some(0), "{\"mistakes\":[],\"ok\":true,\"warnings\":[]}\n")
    );
}

#[test]
fn peers_without_tokens_are_a_warning_and_no_mistake() {
    let folder = Folder::new("warnings");
    for file in ["a.pem", "a.key", "b.pem", "secret"] {
        fs::write(folder.0.join(file), "x").unwrap();
    }
    let check = |auth: &str| {
        let text = format!(
            "domain = \"a.localhost\"\nmedia.listen = \"127.0.0.1:10000\"\n\
             signalling.public_url = \"http://127.0.0.1:8585\"\n{auth}\n\
             [federation]\ncertificate = \"a.pem\"\nprivate_key = \"a.key\"\n\
             [[federation.peer]]\ndomain = \"b.localhost\"\ntrust = \"b.pem\"\naddress = \"127.0.0.1:9192\"\n"
        );
        fs::write(folder.0.join("x.toml"), text).unwrap();
        let (code, json, _) = folder.run(&["check-config", "x.toml", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((code, &json["ok"]), (Some(0), &true.into()), "{json}");
        let (code, told, warned) = folder.run(&["check-config", "x.toml"]);
        assert_eq!((code, told.as_str()), (Some(0), "x.toml: no mistakes\n"));
        (json["warnings"][0]["key"].clone(), warned)
    };
    for open in ["", "signalling.auth = { required = false, secret_file = \"secret\" }"] {
        let (key, warned) = check(open);
        assert_eq!(key, "signalling.auth.required", "{open}");
        assert!(
            warned.starts_with("x.toml: warning: signalling.auth.required: "),
            "{warned}"
        );
    }
    let (key, warned) = check("signalling.auth = { required = true, secret_file = \"secret\" }");
    assert_eq!((key, warned.as_str()), (serde_json::Value::Null, ""));
}

#[test]
fn the_incumbents_flags_are_printed_as_a_configuration_that_is_right() {
    let folder = Folder::new("flags");
    fs::write(folder.0.join("secret"), "s\n").unwrap();
    let flags = "sftd --print-config -I 127.0.0.1 -p 18585 -M 127.0.0.1 -r 19090 -O lo -u https://sft.a.example/sfts/sftd-0 \
                 -b <9.10.14 -a -s secret -w 16 -q -T -l /var/log/sftd -t turn:192.0.2.1:3478 -k 500 -f http://x -x name -c pass";
    let (code, config, told) = folder.run(&flags.split_whitespace().collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{told}");
    let written: toml::Table = config.parse().unwrap();
    let expected = "listen = \"127.0.0.1:18585\"\npublic_url = \"https://sft.a.example/sfts/sftd-0\"\n\
                    version_blacklist = [\"<9.10.14\"]\nauth = { required = true, secret_file = \"secret\" }\n";
    assert_eq!(written["signalling"], toml::Value::Table(expected.parse().unwrap()));
    assert_eq!(
        (&written["domain"], &written["node"]),
        (&"sft.a.example".into(), &"sftd-0".into())
    );
    for flag in ["-w", "-T", "-l", "-t", "-k", "-f", "-x", "-c"] {
        let note = format!("sftd: {flag} is not used any more: ");
        assert!(told.lines().any(|line| line.starts_with(&note)), "{flag}: {told}");
    }
    fs::write(folder.0.join("x.toml"), config).unwrap();
    let (code, _, mistakes) = folder.run(&["check-config", "x.toml"]);
    assert_eq!((code, mistakes.as_str()), (Some(0), ""));

    let (code, version, _) = folder.run(&["sftd", "-v"]);
    assert_eq!(
        (code, version),
        (Some(0), format!("anchor-sft {}\n", env!("CARGO_PKG_VERSION")))
    );
    let (code, _, told) = folder.run(&["sftd", "-a", "-O", "lo"]);
    assert_eq!(code, Some(2), "-a without a secret");
    assert!(told.contains("sftd: signalling.auth.secret_file: is missing"), "{told}");
    assert_eq!(folder.run(&["sftd", "-Z"]).0, Some(2));
}

#[test]
fn certificates_are_made_once_renewed_and_shown() {
    let folder = Folder::new("certificates");
    assert_eq!(
        folder.run(&["cert", "issue", "a.example"]).0,
        Some(1),
        "there is no CA yet"
    );
    assert_eq!(folder.run(&["cert", "init", "a.example"]).0, Some(0));
    let (code, config, _) = folder.run(&["cert", "issue", "a.example"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        config,
        "[federation]\ncertificate = \"certs/a.example.pem\"\nprivate_key = \"certs/a.example.key\"\n"
    );

    let show = || {
        let (code, json, _) = folder.run(&["cert", "show", "certs/a.example.pem", "--json"]);
        assert_eq!(code, Some(0));
        serde_json::from_str::<serde_json::Value>(&json).unwrap()
    };
    let first = show();
    assert_eq!(first[0]["names"], serde_json::json!(["a.example"]));
    let (code, _, told) = folder.run(&["cert", "issue", "a.example"]);
    assert_eq!(
        (code, told.as_str()),
        (Some(1), "anchor-sft: certs/a.example.pem is there already\n")
    );
    assert_eq!(folder.run(&["cert", "renew", "a.example"]).0, Some(0));
    assert_eq!(
        show()[0]["pin"],
        first[0]["pin"],
        "renewing keeps the key, so pins stay valid"
    );
    assert_eq!(folder.run(&["cert", "issue", "a.example", "--force"]).0, Some(0));
    assert_ne!(show()[0]["pin"], first[0]["pin"]);

    let (_, people, _) = folder.run(&["cert", "show", "certs/a.example.pem"]);
    assert!(people.contains("  names   a.example\n"), "{people}");
    assert_eq!(folder.run(&["cert", "init", "*.example"]).0, Some(1));
}

#[test]
fn the_version_is_told_to_people_and_programs() {
    let folder = Folder::new("version");
    let (code, told, _) = folder.run(&["version"]);
    assert_eq!(
        (code, told),
        (
            Some(0),
            concat!("anchor-sft ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
        )
    );
    let (_, json, _) = folder.run(&["version", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}
