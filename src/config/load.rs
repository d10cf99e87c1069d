//! Reads the files and asks the machine.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use toml::Table;

use crate::config::check::{Ground, PeerFile, check_with};
use crate::config::environment;
use crate::config::file::{self, FileConfig};
use crate::config::mistake::Mistake;
use crate::config::{Config, Trust};

/// Reads a configuration file with what the environment adds and the files of `peers_dir`.
///
/// # Errors
/// All mistakes that can be found without starting.
pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
    let name = path.display().to_string();
    let table = read_table(path).map_err(|mistake| vec![mistake])?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    load_table(&name, table, &folder)
}

/// As [`load`], with what a file called `name` in `folder` would say.
///
/// # Errors
/// As [`load`].
pub fn load_table(name: &str, mut table: Table, folder: &Path) -> Result<Config, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    environment::overlay(&mut table, std::env::vars_os().filter_map(text_pair), &mut mistakes);
    let written = file::read(name, &table, &mut mistakes);
    let more = more_peers(&written, name, folder, &mut mistakes);
    let ground = Ground {
        file: name,
        folder,
        is_local,
    };
    let config = check_with(&written, &more, &ground, &mut mistakes);
    if let Some(config) = &config {
        missing_files(config, name, &mut mistakes);
    }
    config.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

fn text_pair((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

fn read_table(path: &Path) -> Result<Table, Mistake> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        Mistake::new(
            &name,
            "",
            format!("cannot be read: {error}"),
            "name a file that this user may read",
        )
    })?;
    file::parse(&name, &text)
}

/// The files of `peers_dir`, in the order of their names.
fn more_peers(written: &FileConfig, file: &str, folder: &Path, mistakes: &mut Vec<Mistake>) -> Vec<PeerFile> {
    let Some(dir) = written
        .federation
        .as_ref()
        .and_then(|federation| federation.peers_dir.as_ref())
    else {
        return Vec::new();
    };
    let dir = folder.join(dir);
    let Ok(entries) = fs::read_dir(&dir) else {
        let problem = format!("{} is no folder that can be read", dir.display());
        mistakes.push(Mistake::new(
            file,
            "federation.peers_dir",
            problem,
            "make it, or remove the key",
        ));
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths.iter().filter_map(|path| peer_file(path, mistakes)).collect()
}

fn peer_file(path: &Path, mistakes: &mut Vec<Mistake>) -> Option<PeerFile> {
    let file = path.display().to_string();
    let table = read_table(path).map_err(|mistake| mistakes.push(mistake)).ok()?;
    let federation = table.get("federation").and_then(toml::Value::as_table);
    let only_peers = table.len() == 1 && federation.is_some_and(|section| section.keys().all(|key| key == "peer"));
    if !only_peers {
        let fix = "put [[federation.peer]] entries there and nothing else";
        mistakes.push(Mistake::new(
            &file,
            "federation.peer",
            "the file has other keys than peers",
            fix,
        ));
        return None;
    }
    let written = file::read(&file, &table, mistakes);
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    Some(PeerFile {
        file,
        folder,
        peers: written.federation.unwrap_or_default().peer,
    })
}

/// Whether a socket can have this address, which is how the kernel is asked without reading its tables.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

fn missing_files(config: &Config, file: &str, mistakes: &mut Vec<Mistake>) {
    if let Some(secret) = &config.signalling.token_secret {
        missing_secret(secret, file, mistakes);
    }
    let Some(federation) = &config.federation else { return };
    let own = [
        ("federation.certificate", &federation.certificate),
        ("federation.private_key", &federation.private_key),
    ];
    let trust = federation.peers.iter().filter_map(|peer| match &peer.trust {
        Trust::Ca(path) => Some(("federation.peer.trust", path)),
        Trust::Pins(_) => None,
    });
    for (key, path) in own.into_iter().chain(trust) {
        if let Err(error) = fs::File::open(path) {
            let problem = format!("{} cannot be read: {error}", path.display());
            mistakes.push(Mistake::new(
                file,
                key,
                problem,
                "name a PEM file that this user may read",
            ));
        }
    }
}

/// A secret of nothing would let everybody make tokens.
fn missing_secret(path: &Path, file: &str, mistakes: &mut Vec<Mistake>) {
    let problem = match fs::read(path) {
        Ok(text) if !text.trim_ascii().is_empty() => return,
        Ok(_) => "is empty".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    mistakes.push(Mistake::new(
        file,
        "signalling.auth.secret_file",
        format!("{} {problem}", path.display()),
        "name a file that this user may read, with the secret as its first word",
    ));
}
