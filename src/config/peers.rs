//! What `[[federation.peer]]` means.

use std::collections::HashSet;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::config::check::{Ground, PeerFile, Reader};
use crate::config::file::PeerSection;
use crate::config::{Peer, Trust};
use crate::ids::Domain;
use crate::limits::MAX_LINKS;

/// Reads the peers of the file, then those of the files in `peers_dir`.
pub(super) fn check(
    reader: &mut Reader<'_>,
    written: &[PeerSection],
    more: &[PeerFile],
    own: Option<&Domain>,
) -> Vec<Peer> {
    let mut peers: Vec<Peer> = written
        .iter()
        .enumerate()
        .filter_map(|(at, peer)| one(reader, at, peer))
        .collect();
    refuse(reader, &peers, 0, own);
    for file in more {
        let ground = Ground {
            file: &file.file,
            folder: &file.folder,
            is_local: reader.ground.is_local,
        };
        let mut reader = Reader {
            ground: &ground,
            mistakes: reader.mistakes,
        };
        let known = peers.len();
        peers.extend(
            file.peers
                .iter()
                .enumerate()
                .filter_map(|(at, peer)| one(&mut reader, at, peer)),
        );
        refuse(&mut reader, &peers, known, own);
    }
    peers
}

fn one(reader: &mut Reader<'_>, at: usize, written: &PeerSection) -> Option<Peer> {
    let key = |name: &str| format!("federation.peer[{at}].{name}");
    let domain = reader.domain(&key("domain"), written.domain.as_deref());
    let certificate_name = match &written.certificate_name {
        Some(name) => reader.domain(&key("certificate_name"), Some(name)),
        None => domain.clone(),
    };
    let trust = trust(reader, &key("trust"), written);
    let address = address(reader, &key("address"), written.address.as_deref());
    reader.not_yet(&key("audio_only"), written.audio_only == Some(true));
    reader.not_yet(&key("expires"), written.expires.is_some());
    reader.not_yet(&key("require_post_quantum"), written.require_post_quantum == Some(true));
    reader.not_yet(
        &key("require_authenticated"),
        written.require_authenticated == Some(true),
    );
    reader.not_yet(&key("allow_private"), written.allow_private == Some(true));
    reader.not_yet(&key("limits"), written.limits.is_some());
    Some(Peer {
        domain: domain?,
        certificate_name: certificate_name?,
        trust: trust?,
        address: address?,
        suspended: written.suspended.unwrap_or(false),
    })
}

fn trust(reader: &mut Reader<'_>, key: &str, written: &PeerSection) -> Option<Trust> {
    match (&written.trust, &written.pins) {
        (Some(file), None) => Some(Trust::Ca(reader.path(file))),
        (None, Some(pins)) if !pins.is_empty() => {
            let read: Vec<_> = pins.iter().filter_map(|text| pin(text)).collect();
            if read.len() != pins.len() {
                reader.mistake(
                    key,
                    "a pin is none",
                    "write \"sha256/…\" as `anchor-sft cert show` prints it",
                );
                return None;
            }
            Some(Trust::Pins(read))
        }
        (Some(_), Some(_)) => {
            reader.mistake(key, "trust and pins are both given", "remove one");
            None
        }
        _ => {
            let fix = "name the PEM file of the peer's own CA, or give its pins";
            reader.mistake(key, "is missing: this peer could not be told from anyone else", fix);
            None
        }
    }
}

/// `sha256/` and 32 bytes in base64.
fn pin(text: &str) -> Option<[u8; 32]> {
    let bytes = BASE64_STANDARD.decode(text.strip_prefix("sha256/")?).ok()?;
    bytes.try_into().ok()
}

fn address(reader: &mut Reader<'_>, key: &str, text: Option<&str>) -> Option<String> {
    let fix = "write \"sft.b.example:9191\" or \"[2001:db8::1]:9191\"";
    let Some(text) = text else {
        reader.mistake(key, "is missing, and looking it up by SRV is not in this version", fix);
        return None;
    };
    let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
        let port_fits = port.parse::<u16>().is_ok_and(|port| port != 0);
        let host_fits = Domain::parse(host).is_ok() || text.parse::<std::net::SocketAddr>().is_ok();
        port_fits && host_fits
    });
    if !valid {
        reader.mistake(key, format!("\"{text}\" is no host with a port"), fix);
    }
    valid.then(|| text.to_owned())
}

/// Rules that hold between peers, for those from index `new` on.
fn refuse(reader: &mut Reader<'_>, peers: &[Peer], new: usize, own: Option<&Domain>) {
    let mut seen = HashSet::new();
    for (at, peer) in peers.iter().enumerate() {
        let twice = !seen.insert(&peer.domain);
        if at >= new && twice {
            reader.mistake(
                "federation.peer",
                format!("{} is listed twice", peer.domain),
                "remove one",
            );
        }
        if at >= new && Some(&peer.domain) == own {
            reader.mistake(
                "federation.peer",
                format!("{} is this SFT's own domain", peer.domain),
                "remove it",
            );
        }
    }
    if peers.len() > MAX_LINKS && new <= MAX_LINKS {
        reader.mistake(
            "federation.peer",
            format!("{} peers are too many", peers.len()),
            format!("list at most {MAX_LINKS}"),
        );
    }
}
