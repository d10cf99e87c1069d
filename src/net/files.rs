//! Writes files that must be whole, and must not be read by others or overwritten by mistake.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::net::entropy;

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Readers {
    /// Our own user (mode 0600).
    Owner,
    /// Everyone (mode 0644).
    Everyone,
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    /// It stays, and writing fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
    /// It is replaced in one step.
    Replace,
}

/// Writes a file so that nobody ever sees a part of it.
///
/// # Errors
/// As the system says; nothing is left behind then.
pub fn write(path: &Path, contents: &[u8], readers: Readers, existing: Existing) -> io::Result<()> {
    let draft = draft(path)?;
    let placed = fill(&draft, contents, readers).and_then(|()| match existing {
        Existing::Keep => fs::hard_link(&draft, path),
        Existing::Replace => fs::rename(&draft, path),
    });
    // After a rename it is gone already.
    let _ = fs::remove_file(&draft);
    placed
}

/// A name in the same directory that nobody else uses.
fn draft(path: &Path) -> io::Result<PathBuf> {
    let seed = entropy::seed().map_err(io::Error::other)?;
    let unique: String = seed.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(path.with_file_name(format!(".draft-{unique}")))
}

fn fill(draft: &Path, contents: &[u8], readers: Readers) -> io::Result<()> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everyone => 0o644,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(draft)?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory of its own for a test, gone with it.
    #[derive(Debug)]
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Scratch {
            let unique: String = entropy::seed()
                .unwrap()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let path = std::env::temp_dir().join(format!("anchor-sft-{unique}"));
            fs::create_dir(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_kept_unless_it_is_to_be_replaced() {
        let scratch = Scratch::new();
        let path = scratch.0.join("key");
        write(&path, b"first", Readers::Owner, Existing::Keep).unwrap();
        let again = write(&path, b"second", Readers::Owner, Existing::Keep).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        write(&path, b"third", Readers::Owner, Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "no drafts stay");
    }

    #[test]
    fn modes_are_as_asked() {
        let scratch = Scratch::new();
        for (readers, expected) in [(Readers::Owner, 0o600), (Readers::Everyone, 0o644)] {
            let path = scratch.0.join(format!("{readers:?}"));
            write(&path, b"x", readers, Existing::Keep).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, expected);
        }
    }
}
