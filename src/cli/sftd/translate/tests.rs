//! Command lines as deployments have them, and what becomes of them.

use clap::Parser;

use super::*;

#[derive(Parser)]
#[command(args_override_self = true)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

fn interfaces() -> Vec<Interface> {
    [
        ("lo", "127.0.0.1"),
        ("eth0", "10.0.0.5"),
        ("eth1", "203.0.113.20"),
        ("lo", "::1"),
        ("eth1", "2001:db8::5"),
        ("eth1", "fe80::5"),
    ]
    .map(|(name, address)| Interface {
        name: name.to_owned(),
        address: address.parse().unwrap(),
    })
    .to_vec()
}

fn translated(line: &str) -> Translation {
    let flags = Line::parse_from(["sftd"].into_iter().chain(line.split_whitespace())).flags;
    translate(&flags, &interfaces(), Path::new("/state"))
}

fn notes(line: &str) -> Vec<String> {
    let mut notes = translated(line).notes;
    notes.retain(|note| !note.starts_with("media of all clients"));
    notes
}

#[test]
fn the_command_line_of_the_deployment_chart_becomes_a_configuration() {
    let chart = "-I 10.0.0.5 -M 10.0.0.5 -A 198.51.100.7 -u https://sftd.a.example/sfts/sftd-0 -q \
                 -b <9.10.14,10.0.1 -s /secrets/sftTokenSecret.txt -a";
    let expected = "domain = \"sftd.a.example\"\nnode = \"sftd-0\"\nstate_dir = \"/state\"\nlog.level = \"warn\"\n\
        [media]\nlisten = [\"0.0.0.0:10000\"]\nadvertise = [{ public = \"198.51.100.7\", local = \"10.0.0.5\" }]\n\
        [metrics]\nlisten = \"10.0.0.5:49090\"\n\
        [signalling]\nlisten = \"10.0.0.5:8585\"\npublic_url = \"https://sftd.a.example/sfts/sftd-0\"\n\
        version_blacklist = [\"<9.10.14\", \"10.0.1\"]\n\
        auth = { required = true, secret_file = \"/secrets/sftTokenSecret.txt\" }\n";
    assert_eq!(translated(chart).table, expected.parse::<Table>().unwrap());
    assert_eq!(notes(chart), Vec::<String>::new());
}

#[test]
fn without_flags_it_is_as_the_incumbent_without_flags() {
    let expected = "domain = \"localhost\"\nstate_dir = \"/state\"\n\
        [media]\nlisten = [\"0.0.0.0:10000\", \"[::]:10000\"]\nadvertise = [\"10.0.0.5\", \"203.0.113.20\", \"2001:db8::5\"]\n\
        [metrics]\nlisten = \"127.0.0.1:49090\"\n\
        [signalling]\nlisten = \"127.0.0.1:8585\"\npublic_url = \"http://127.0.0.1:8585\"\n";
    assert_eq!(translated("").table, expected.parse::<Table>().unwrap());
}

#[test]
fn media_takes_the_addresses_of_the_interfaces_that_are_named() {
    for (line, listen, advertise) in [
        ("-O eth0", "[\"0.0.0.0:10000\"]", "[\"10.0.0.5\"]"),
        (
            "-O eth0,eth1",
            "[\"0.0.0.0:10000\", \"[::]:10000\"]",
            "[\"10.0.0.5\", \"203.0.113.20\", \"2001:db8::5\"]",
        ),
        (
            "-O lo",
            "[\"127.0.0.1:10000\", \"[::1]:10000\"]",
            "[\"127.0.0.1\", \"::1\"]",
        ),
        ("-A 203.0.113.20", "[\"0.0.0.0:10000\"]", "[\"203.0.113.20\"]"),
        ("-A 127.0.0.1 -O lo", "[\"127.0.0.1:10000\"]", "[\"127.0.0.1\"]"),
        (
            "-A 198.51.100.7 -O eth1",
            "[\"0.0.0.0:10000\"]",
            "[{ public = \"198.51.100.7\", local = \"203.0.113.20\" }]",
        ),
        (
            "-A 2001:db8::99",
            "[\"[::]:10000\"]",
            "[{ public = \"2001:db8::99\", local = \"2001:db8::5\" }]",
        ),
    ] {
        let expected: Table = format!("listen = {listen}\nadvertise = {advertise}").parse().unwrap();
        assert_eq!(translated(line).table["media"], Value::Table(expected), "{line}");
    }
    assert_eq!(
        notes("-O eth7"),
        ["-O names no interface that has an address; all are taken"]
    );
    let flags = Line::parse_from(["sftd", "-I", "192.0.2.7"]).flags;
    let blind = translate(&flags, &[], Path::new("/state")).table;
    assert_eq!(blind["media"]["advertise"], Value::from(vec!["192.0.2.7"]));
}

#[test]
fn the_last_of_two_flags_counts_as_with_getopt() {
    let table = translated("-p 1 -p2 -aq -s x -s y").table;
    assert_eq!(table["signalling"]["listen"], "127.0.0.1:2".into());
    assert_eq!(table["signalling"]["auth"]["secret_file"], "y".into());
}

#[test]
fn what_makes_no_sense_any_more_is_told_without_its_value() {
    for (line, flag) in [
        ("-w 16", "-w"),
        ("-l value", "-l"),
        ("-T", "-T"),
        ("-t turn:value:3478", "-t"),
        ("-k 1000", "-k"),
        ("-f http://value", "-f"),
        ("-x value", "-x"),
        ("-c -value", "-c"),
        ("-s value", "-s"),
    ] {
        let [note] = &notes(line)[..] else {
            panic!("one note for {line}")
        };
        assert!(note.starts_with(&format!("{flag} is not used any more: ")), "{note}");
        assert!(!note.contains("value"), "{note}");
        assert!(translated(line).table["signalling"].get("auth").is_none());
    }
    assert_eq!(
        notes("-b nonsense,1.2.3"),
        ["-b: \"nonsense\" is no version; it is left out"]
    );
}

#[test]
fn a_url_without_a_name_has_no_domain_and_one_without_a_pod_no_node() {
    for (url, domain, node) in [
        ("https://sft.a.example", "sft.a.example", None),
        ("https://sft.a.example:8443/sfts/sft-1/", "sft.a.example", Some("sft-1")),
        ("http://[::1]:8585", "localhost", None),
        ("http://192.0.2.7:8585/sfts/sft-0/x", "localhost", None),
    ] {
        let table = translated(&format!("-u {url}")).table;
        assert_eq!(table["domain"], domain.into(), "{url}");
        assert_eq!(table.get("node"), node.map(Value::from).as_ref(), "{url}");
    }
}
