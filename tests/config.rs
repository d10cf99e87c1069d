//! The documented configuration is the real one: it parses, equals the defaults, and names every key. Mistakes are told, all of them.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anchor_sft::config::file::{self, FileConfig};
use anchor_sft::config::{Advertised, Config, Ground, Mistake, Origins, Trust, check, load};

const REFERENCE: &str = include_str!("../config/anchor-sft.toml");

/// What every installation must say, as the reference says it.
const NEEDED: &str = "domain = \"a.example\"\nsignalling.public_url = \"https://sft.a.example\"\n\
                      media.advertise = [\"203.0.113.20\"]\n";

const FEDERATION: &str = "[federation]\ncertificate = \"a.pem\"\nprivate_key = \"a.key\"\n";
const PEER: &str = "[[federation.peer]]\ndomain = \"b.example\"\ntrust = \"b.pem\"\naddress = \"b.example:9191\"\n";

fn read(text: &str) -> (FileConfig, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let table = file::parse("anchor-sft.toml", text).expect("it is TOML");
    let written = file::read("anchor-sft.toml", &table, &mut mistakes);
    (written, mistakes)
}

fn checked(text: &str) -> Result<Config, Vec<Mistake>> {
    let is_local: fn(IpAddr) -> bool = |ip| ip.is_loopback() || ip.to_string() == "203.0.113.20";
    let ground = Ground {
        file: "anchor-sft.toml",
        folder: Path::new("/etc/anchor-sft"),
        is_local,
    };
    let (written, mut mistakes) = read(text);
    match check(&written, &ground) {
        Ok(config) if mistakes.is_empty() => Ok(config),
        Ok(_) => Err(mistakes),
        Err(more) => {
            mistakes.extend(more);
            Err(mistakes)
        }
    }
}

fn mistaken_keys(text: &str) -> Vec<String> {
    checked(text)
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|mistake| mistake.key)
        .collect()
}

/// The reference with its commented keys as keys.
fn everything() -> String {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key.to_owned(),
        _ => line.to_owned(),
    };
    REFERENCE.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_equals_the_defaults() {
    assert_eq!(checked(REFERENCE), checked(NEEDED));
    assert!(checked(REFERENCE).is_ok());
}

#[test]
fn the_reference_names_every_key() {
    let (written, mistakes) = read(&everything());
    assert_eq!(mistakes, [], "a commented key is none");
    let debug = format!("{written:#?}");
    let unnamed: Vec<_> = debug.lines().filter(|line| line.contains("None")).collect();
    assert!(unnamed.is_empty(), "not in config/anchor-sft.toml: {unnamed:?}");
}

#[test]
fn a_key_whose_part_does_not_exist_is_never_ignored() {
    let told = |key: &str, text: &str| {
        let mistakes = checked(&format!("{NEEDED}{text}")).expect_err(key);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!(mistakes[0].key, key);
        assert!(mistakes[0].problem.ends_with("not in this version"), "{}", mistakes[0]);
    };
    for (key, value) in [
        ("signalling.tls", "{ certificate = \"a\", private_key = \"b\" }"),
        ("signalling.trusted_proxies", "[\"10.0.0.1\"]"),
        ("media.workers", "2"),
        ("admin.socket", "\"/run/x\""),
        ("admin.listen", "\"127.0.0.1:8586\""),
        ("admin.token_file", "\"x\""),
        ("drain.deadline", "\"30m\""),
        ("registry.redis_url", "\"redis://127.0.0.1\""),
    ] {
        told(key, &format!("{key} = {value}"));
    }
    for (key, value) in [
        ("exchange", "\"demand\""),
        ("max_link_age", "\"24h\""),
        ("audit_log", "\"x\""),
        ("audit_on_full", "\"continue\""),
    ] {
        told(&format!("federation.{key}"), &format!("{FEDERATION}{key} = {value}"));
    }
    for (key, value) in [
        ("audio_only", "true"),
        ("expires", "2027-01-01"),
        ("require_post_quantum", "true"),
        ("require_authenticated", "true"),
        ("allow_private", "true"),
        ("limits", "{ streams = 1 }"),
    ] {
        told(
            &format!("federation.peer[0].{key}"),
            &format!("{FEDERATION}{PEER}{key} = {value}"),
        );
    }
    let harmless = format!("{NEEDED}{FEDERATION}exchange = \"all\"\n{PEER}audio_only = false");
    assert!(checked(&harmless).is_ok());
}

#[test]
fn all_mistakes_are_told_at_once() {
    let keys = mistaken_keys(
        "domain = \"*.example\"\nnoed = \"sft-0\"\n[media]\nworkers = \"four\"\nlisten = [\"0.0.0.0\"]\n[drain]\ndeadline = 30\n",
    );
    let expected = [
        "drain.deadline",
        "media.workers",
        "noed",
        "domain",
        "signalling.public_url",
        "media.listen",
    ];
    assert_eq!(
        keys.iter().take(6).map(String::as_str).collect::<Vec<_>>(),
        expected,
        "{keys:?}"
    );
}

#[test]
fn an_unknown_key_in_any_section_is_told_with_its_section() {
    for (text, key) in [
        ("x = 1", "x"),
        ("[signalling.auth]\nrequird = true", "signalling.auth.requird"),
        ("[[federation.peer]]\ndomian = \"b.example\"", "federation.peer.domian"),
        ("[[federation.peer]]\nlimits.x = 1", "federation.peer.limits.x"),
        ("[federation.peer]\ndomain = \"b.example\"", "federation.peer"),
        ("signalling = 1", "signalling"),
        (
            "[media]\nadvertise = [{ public = \"203.0.113.20\" }]",
            "media.advertise",
        ),
    ] {
        let (_, mistakes) = read(text);
        assert_eq!(
            mistakes.iter().map(|mistake| mistake.key.as_str()).collect::<Vec<_>>(),
            [key],
            "{mistakes:?}"
        );
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let mistake = file::parse("anchor-sft.toml", "domain = \"a.example\"\nnode = \n").unwrap_err();
    assert_eq!(mistake.key, "line 2");
}

#[test]
fn clients_are_told_addresses_that_reach_this_machine() {
    let advertised = |media: &str| {
        let text =
            format!("domain = \"a.example\"\nsignalling.public_url = \"http://127.0.0.1:8585\"\n[media]\n{media}");
        let advertised = checked(&text).map(|config| config.media.advertise);
        advertised.map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.fix).collect::<Vec<_>>())
    };
    let own = |public: &str, local: &str| Advertised {
        public: public.parse().unwrap(),
        local: local.parse().unwrap(),
    };
    for (media, expected) in [
        (
            "listen = \"127.0.0.1:10000\"",
            vec![own("127.0.0.1:10000", "127.0.0.1")],
        ),
        (
            "advertise = [\"203.0.113.20\"]",
            vec![own("203.0.113.20:10000", "203.0.113.20")],
        ),
        (
            "advertise = [\"203.0.113.20:443\", \"::1\"]",
            vec![own("203.0.113.20:443", "203.0.113.20"), own("[::1]:10000", "::1")],
        ),
        (
            "advertise = [{ public = \"198.51.100.9\", local = \"203.0.113.20\" }]",
            vec![own("198.51.100.9:10000", "203.0.113.20")],
        ),
        (
            "listen = \"127.0.0.1:10000\"\nadvertise = [\"::ffff:127.0.0.1\"]",
            vec![own("127.0.0.1:10000", "127.0.0.1")],
        ),
    ] {
        assert_eq!(advertised(media), Ok(expected), "{media}");
    }
    for (media, fix) in [
        (
            "",
            "list the addresses that clients can reach, such as [\"203.0.113.20\"]",
        ),
        (
            "advertise = [\"198.51.100.9\"]",
            "behind NAT write { public = \"198.51.100.9\", local = \"<this machine's address>\" }",
        ),
        (
            "listen = \"127.0.0.1:10000\"\nadvertise = [\"::1\"]",
            "add it to media.listen",
        ),
        (
            "advertise = [\"0.0.0.0\"]",
            "write an IPv4 or IPv6 address, with or without a port",
        ),
        (
            "advertise = [\"sft.a.example\"]",
            "write an IPv4 or IPv6 address, with or without a port",
        ),
    ] {
        assert_eq!(advertised(media), Err(vec![fix.to_owned()]), "{media}");
    }
}

#[test]
fn urls_origins_and_listen_addresses_are_what_they_should_be() {
    let with = |text: &str| {
        let base = "domain = \"a.example\"\nmedia.advertise = [\"203.0.113.20\"]\n";
        checked(&format!("{base}{text}"))
    };
    for url in [
        "https://sft.a.example",
        "https://sft.a.example/",
        "http://127.0.0.1:8585",
        "https://h/sfts/sft-0",
    ] {
        let config = with(&format!("signalling.public_url = \"{url}\"")).expect(url);
        assert_eq!(config.signalling.public_url, url.trim_end_matches('/'));
    }
    for url in [
        "",
        "sft.a.example",
        "ftp://a",
        "https://",
        "https://a?x",
        "https://u@a",
        "https://a b",
    ] {
        assert!(with(&format!("signalling.public_url = \"{url}\"")).is_err(), "{url}");
    }
    let url = "signalling.public_url = \"https://sft.a.example\"\n";
    let any = with(&format!("{url}signalling.allow_origins = [\"*\"]")).unwrap();
    assert_eq!(any.signalling.allow_origins, Origins::Any);
    assert!(with(&format!("{url}signalling.allow_origins = [\"https://a/path\"]")).is_err());
    for listen in [
        "\"127.0.0.1\"",
        "\"127.0.0.1:0\"",
        "[]",
        "[\"127.0.0.1:1\", \"[::ffff:127.0.0.1]:1\"]",
    ] {
        assert!(with(&format!("{url}signalling.listen = {listen}")).is_err(), "{listen}");
    }
}

#[test]
fn tokens_need_a_secret_and_blacklists_versions() {
    let with = |text: &str| checked(&format!("{NEEDED}{text}"));
    for (text, expected) in [
        ("", None),
        ("signalling.auth = { required = false, secret_file = \"x\" }", None),
        (
            "signalling.auth = { required = true, secret_file = \"x\" }",
            Some("/etc/anchor-sft/x"),
        ),
    ] {
        let signalling = with(text).expect(text).signalling;
        assert_eq!(signalling.token_secret, expected.map(PathBuf::from), "{text}");
    }
    let listed = with("signalling.version_blacklist = [\"9.10.14\", \"<9.0.0\"]").unwrap();
    assert!(listed.signalling.version_blacklist.has("8.9.9") && !listed.signalling.version_blacklist.has("9.0.0"));
    for (text, key) in [
        ("signalling.auth.required = true", "signalling.auth.secret_file"),
        (
            "signalling.version_blacklist = [\"3.0\"]",
            "signalling.version_blacklist",
        ),
    ] {
        assert_eq!(mistaken_keys(&format!("{NEEDED}{text}")), [key]);
    }
}

#[test]
fn a_peer_needs_proof_and_a_name_of_its_own() {
    let with = |peers: &str| {
        let federation = "[federation]\ncertificate = \"a.pem\"\nprivate_key = \"/keys/a.key\"\n";
        checked(&format!("{NEEDED}{federation}{peers}"))
    };
    let peer = |domain: &str, proof: &str| {
        format!("[[federation.peer]]\ndomain = \"{domain}\"\naddress = \"127.0.0.1:9191\"\n{proof}\n")
    };
    let pin = "pins = [\"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]";
    let config = with(&(peer("B.Example.", "trust = \"certs/b.pem\"") + &peer("c.example", pin))).unwrap();
    let federation = config.federation.unwrap();
    assert_eq!(federation.private_key, PathBuf::from("/keys/a.key"));
    let [b, c] = federation.peers.try_into().unwrap();
    assert_eq!(
        (b.domain.as_str(), b.certificate_name.as_str()),
        ("b.example", "b.example")
    );
    assert_eq!(b.trust, Trust::Ca(PathBuf::from("/etc/anchor-sft/certs/b.pem")));
    assert!(matches!(c.trust, Trust::Pins(pins) if pins.len() == 1 && pins[0][0] == 0xe3));

    for (peers, key) in [
        (peer("b.example", ""), "federation.peer[0].trust"),
        (peer("b.example", "pins = []"), "federation.peer[0].trust"),
        (
            peer("b.example", "pins = [\"sha256/AAAA\"]"),
            "federation.peer[0].trust",
        ),
        (
            peer("b.example", &format!("trust = \"b.pem\"\n{pin}")),
            "federation.peer[0].trust",
        ),
        (peer("*.example", pin), "federation.peer[0].domain"),
        (peer("a.example", pin), "federation.peer"),
        (peer("b.example", pin) + &peer("b.example", pin), "federation.peer"),
        (
            format!("[[federation.peer]]\ndomain = \"b.example\"\n{pin}"),
            "federation.peer[0].address",
        ),
        (
            peer("b.example", pin).replace(":9191", ""),
            "federation.peer[0].address",
        ),
    ] {
        let keys: Vec<_> = with(&peers)
            .expect_err(&peers)
            .into_iter()
            .map(|mistake| mistake.key)
            .collect();
        assert_eq!(keys, [key], "{peers}");
    }
}

#[test]
fn a_configuration_is_loaded_with_its_further_files_and_missing_ones_are_told() {
    let folder = std::env::temp_dir().join(format!("anchor-sft-config-{}", std::process::id()));
    fs::create_dir_all(folder.join("peers.d")).unwrap();
    let text = "domain = \"a.localhost\"\nsignalling.public_url = \"http://127.0.0.1:8585\"\n\
                media.listen = \"127.0.0.1:10000\"\n\
                [federation]\ncertificate = \"a.pem\"\nprivate_key = \"a.key\"\npeers_dir = \"peers.d\"\n";
    let path = folder.join("anchor-sft.toml");
    fs::write(&path, text).unwrap();
    let peer = "[[federation.peer]]\ndomain = \"b.localhost\"\ntrust = \"b.pem\"\naddress = \"127.0.0.1:9192\"\n";
    fs::write(folder.join("peers.d/b.toml"), peer).unwrap();
    for file in ["a.pem", "a.key"] {
        fs::write(folder.join(file), "").unwrap();
    }

    let missing = load(&path).unwrap_err();
    assert_eq!(
        missing.iter().map(|mistake| mistake.key.as_str()).collect::<Vec<_>>(),
        ["federation.peer.trust"]
    );
    fs::write(folder.join("peers.d/b.pem"), "").unwrap();
    let config = load(&path).unwrap();
    assert_eq!(config.federation.unwrap().peers.len(), 1);

    fs::write(folder.join("peers.d/c.toml"), "domain = \"c.localhost\"\n").unwrap();
    let foreign = load(&path).unwrap_err();
    assert!(
        foreign.iter().any(|mistake| mistake.file.ends_with("c.toml")),
        "{foreign:?}"
    );
    assert!(load(&folder.join("absent.toml")).is_err());
    fs::remove_dir_all(&folder).unwrap();
}
