//! What the incumbent's flags mean in our configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use toml::{Table, Value};

use crate::cli::sftd::Flags;
use crate::cli::sftd::interfaces::Interface;
use crate::config::Blacklist;
use crate::ids::{Domain, NodeName};

/// The one port for media; the incumbent takes one of the kernel's for each client.
const MEDIA_PORT: u16 = 10000;
/// The domain of a process whose URL has no name in it. It matters to peers only.
const NO_DOMAIN: &str = "localhost";

/// A configuration, and what the operator should know about it.
#[derive(Debug)]
pub struct Translation {
    /// As `run` would read it from a file.
    pub table: Table,
    /// One sentence each.
    pub notes: Vec<String>,
}

/// Translates.
pub fn translate(flags: &Flags, interfaces: &[Interface], state_dir: &Path) -> Translation {
    let mut notes = unused(flags);
    let url = flags.url.clone().unwrap_or_else(|| {
        let listen = SocketAddr::new(flags.signalling, flags.signalling_port);
        format!("http://{listen}")
    });
    let mut table = Table::new();
    table.insert("domain".to_owned(), domain(&url).into());
    if let Some(node) = node(&url) {
        table.insert("node".to_owned(), node.into());
    }
    table.insert("state_dir".to_owned(), state_dir.display().to_string().into());
    table.insert("media".to_owned(), media(flags, interfaces, &mut notes).into());
    table.insert("metrics".to_owned(), metrics(flags).into());
    table.insert("signalling".to_owned(), signalling(flags, url, &mut notes).into());
    if flags.quiet {
        table.insert("log".to_owned(), table_of([("level", "warn".into())]).into());
    }
    Translation { table, notes }
}

fn table_of<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn address(ip: IpAddr, port: u16) -> Value {
    SocketAddr::new(ip, port).to_string().into()
}

fn metrics(flags: &Flags) -> Table {
    table_of([("listen", address(flags.metrics, flags.metrics_port))])
}

fn signalling(flags: &Flags, url: String, notes: &mut Vec<String>) -> Table {
    let mut table = table_of([
        ("listen", address(flags.signalling, flags.signalling_port)),
        ("public_url", url.into()),
    ]);
    let listed = flags.blacklist.as_deref().map(|list| blacklist(list, notes));
    if let Some(listed) = listed.filter(|listed| !listed.is_empty()) {
        table.insert("version_blacklist".to_owned(), listed.into());
    }
    if flags.authorize {
        let mut auth = table_of([("required", true.into())]);
        if let Some(file) = &flags.secret {
            auth.insert("secret_file".to_owned(), file.clone().into());
        }
        table.insert("auth".to_owned(), auth.into());
    }
    table
}

/// Entries that are no versions stop nobody there, so they stop no start here.
fn blacklist(list: &str, notes: &mut Vec<String>) -> Vec<String> {
    let mut entries: Vec<String> = list.split(',').map(|entry| entry.trim().to_owned()).collect();
    entries.retain(|entry| !entry.is_empty());
    entries.retain(|entry| match Blacklist::parse(std::slice::from_ref(entry)) {
        Ok(_) => true,
        Err(error) => {
            notes.push(format!("-b: {error}; it is left out"));
            false
        }
    });
    entries
}

/// The host in the URL, if it is a name.
fn domain(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    Domain::parse(host).map_or_else(|_| NO_DOMAIN.to_owned(), |domain| domain.as_str().to_owned())
}

/// The pod in `https://<host>/sfts/<pod>`.
fn node(url: &str) -> Option<String> {
    let (_, pod) = url.trim_end_matches('/').rsplit_once("/sfts/")?;
    NodeName::parse(pod).ok().map(|node| node.as_str().to_owned())
}

fn media(flags: &Flags, interfaces: &[Interface], notes: &mut Vec<String>) -> Table {
    notes.push(format!(
        "media of all clients takes one port, UDP {MEDIA_PORT}: let it in"
    ));
    let own = own_addresses(flags, interfaces, notes);
    let (local, advertised): (Vec<IpAddr>, Vec<Value>) = match flags.advertise {
        Some(public) => {
            let local = behind(public, &own, interfaces);
            (vec![local], vec![translated(public, local)])
        }
        None => (own.clone(), own.iter().map(|ip| ip.to_string().into()).collect()),
    };
    let listen = [IpAddr::is_ipv4, IpAddr::is_ipv6].map(|family| listen(local.iter().filter(|ip| family(ip))));
    table_of([("advertise", advertised.into()), ("listen", listen.concat().into())])
}

/// The addresses that clients could send to: those of `-O`, or all that are not for this machine or its cable only.
fn own_addresses(flags: &Flags, interfaces: &[Interface], notes: &mut Vec<String>) -> Vec<IpAddr> {
    let names: Vec<&str> = flags
        .interfaces
        .iter()
        .flat_map(|names| names.split(','))
        .map(str::trim)
        .collect();
    let mut of_names = interfaces
        .iter()
        .filter(|interface| names.contains(&interface.name.as_str()));
    let mut own: Vec<IpAddr> = of_names
        .by_ref()
        .map(|interface| interface.address)
        .filter(is_routed)
        .collect();
    if own.is_empty() && !names.is_empty() {
        notes.push("-O names no interface that has an address; all are taken".to_owned());
    }
    if own.is_empty() {
        let all = interfaces.iter().map(|interface| interface.address);
        own = all.filter(is_routed).filter(|ip| !ip.is_loopback()).collect();
    }
    if own.is_empty() {
        own.push(flags.signalling);
    }
    own
}

/// Not of one cable only.
fn is_routed(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    }
}

/// Which of our addresses a NAT sends a public one's packets to; itself where there is none to choose.
fn behind(public: IpAddr, own: &[IpAddr], interfaces: &[Interface]) -> IpAddr {
    if interfaces.iter().any(|interface| interface.address == public) {
        return public;
    }
    let same_family = own.iter().find(|ip| ip.is_ipv4() == public.is_ipv4());
    same_family.copied().unwrap_or(public)
}

fn translated(public: IpAddr, local: IpAddr) -> Value {
    if public == local {
        return public.to_string().into();
    }
    table_of([
        ("public", public.to_string().into()),
        ("local", local.to_string().into()),
    ])
    .into()
}

/// Every address of a family that is used, but what is for this machine only stays so.
fn listen<'a>(family: impl Iterator<Item = &'a IpAddr> + Clone) -> Vec<Value> {
    let everywhere = family.clone().find(|ip| !ip.is_loopback()).map(|ip| {
        let any = if ip.is_ipv4() { "0.0.0.0" } else { "[::]" };
        vec![format!("{any}:{MEDIA_PORT}").into()]
    });
    everywhere.unwrap_or_else(|| family.map(|ip| address(*ip, MEDIA_PORT)).collect())
}

/// Flags that have nothing to say here, each with its reason. Never with its value: some are secrets.
fn unused(flags: &Flags) -> Vec<String> {
    let no_turn = "this SFT needs no TURN server";
    [
        (
            "-w",
            flags.workers.is_some(),
            "media.workers says how many media threads there are",
        ),
        ("-l", flags.log_prefix.is_some(), "logs go to standard output"),
        (
            "-T",
            flags.turn_of_clients,
            "clients reach this SFT directly or through their own TURN server",
        ),
        (
            "-t",
            flags.turn.is_some(),
            "domains are linked directly, see [federation] in config/anchor-sft.toml",
        ),
        (
            "-k",
            flags.key_frames.is_some(),
            "key frames are asked for when somebody needs one",
        ),
        (
            "-f",
            flags.federation.is_some(),
            "domains are linked directly, see [federation] in config/anchor-sft.toml",
        ),
        ("-x", flags.turn_user.is_some(), no_turn),
        ("-c", flags.turn_password.is_some(), no_turn),
        (
            "-s",
            flags.secret.is_some() && !flags.authorize,
            "without -a the secret is for a TURN server only",
        ),
    ]
    .into_iter()
    .filter(|(_, given, _)| *given)
    .map(|(flag, _, why)| format!("{flag} is not used any more: {why}"))
    .collect()
}

#[cfg(test)]
mod tests;
