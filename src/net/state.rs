//! What a process keeps between its starts, in the state directory.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::federation::capability::Key;
use crate::net::entropy::{self, NoEntropy};
use crate::net::files::{self, Existing, Readers};

/// The file with the capability keys: 32 bytes, or 64 while a domain rotates (the issuing key first).
const CAPABILITY_KEY: &str = "capability.key";
/// Permission bits of everyone else: whoever reads the key can open every conference.
const OTHERS: u32 = 0o007;

/// Why the state directory is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BadState {
    /// It cannot be read or written.
    #[error("the state directory cannot be used: {0}")]
    Io(#[from] io::Error),
    /// The key file is neither 32 nor 64 bytes long.
    #[error("{CAPABILITY_KEY} is damaged: it must hold one or two keys of 32 bytes")]
    BadKey,
    /// Everyone can read the key.
    #[error("{CAPABILITY_KEY} can be read by others: set its mode to 0600")]
    Exposed,
    /// The system has no randomness to make a key from.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// The keys of capabilities, the issuing one first. Makes one on the first start.
///
/// # Errors
/// [`BadState`]; without a key no conference can span domains, and a new key would cut off those that do.
pub fn capability_keys(state_dir: &Path) -> Result<Vec<Key>, BadState> {
    let path = state_dir.join(CAPABILITY_KEY);
    if !path.try_exists()? {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
        create(&path)?;
    }
    if fs::metadata(&path)?.permissions().mode() & OTHERS != 0 {
        return Err(BadState::Exposed);
    }
    parse(&fs::read(&path)?)
}

/// Another node of the domain may be faster; then its key is the one.
fn create(path: &Path) -> Result<(), BadState> {
    match files::write(path, &entropy::seed()?, Readers::Owner, Existing::Keep) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Key>, BadState> {
    match bytes.as_chunks() {
        (keys @ ([_] | [_, _]), []) => Ok(keys.iter().copied().map(Key::new).collect()),
        _ => Err(BadState::BadKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::files::tests::Scratch;

    #[test]
    fn the_first_start_makes_a_key_and_the_next_finds_it() {
        let scratch = Scratch::new();
        let dir = scratch.0.join("state");
        let made = capability_keys(&dir).unwrap();
        assert_eq!(made.len(), 1);
        assert_eq!(capability_keys(&dir).unwrap(), made);
        let mode = fs::metadata(dir.join(CAPABILITY_KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(
            capability_keys(&scratch.0).unwrap(),
            made,
            "no two domains have the same"
        );
    }

    #[test]
    fn a_damaged_key_is_an_error_and_never_replaced() {
        let scratch = Scratch::new();
        let path = scratch.0.join(CAPABILITY_KEY);
        for (bytes, keys) in [
            (0, None),
            (31, None),
            (32, Some(1)),
            (64, Some(2)),
            (65, None),
            (96, None),
        ] {
            files::write(&path, &vec![7; bytes], Readers::Owner, Existing::Replace).unwrap();
            assert_eq!(capability_keys(&scratch.0).ok().map(|keys| keys.len()), keys, "{bytes}");
            assert_eq!(fs::metadata(&path).unwrap().len(), bytes as u64);
        }
    }

    #[test]
    fn a_key_that_everyone_can_read_is_none() {
        let scratch = Scratch::new();
        let path = scratch.0.join(CAPABILITY_KEY);
        files::write(&path, &[7; 32], Readers::Everyone, Existing::Keep).unwrap();
        assert!(matches!(capability_keys(&scratch.0), Err(BadState::Exposed)));
    }
}
