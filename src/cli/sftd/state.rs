//! Where state is kept by a process that was never told: the incumbent has none, and its containers may write nowhere.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::config::{STATE_DIR, environment};

/// Permission bits of everyone but the owner.
const NOT_OWNER: u32 = 0o077;

/// A directory for state.
#[derive(Debug)]
pub struct State {
    /// Which.
    pub dir: PathBuf,
    /// What the operator should know about it.
    pub note: Option<String>,
    temporary: bool,
}

/// The usual directory, if we may write there or the environment names one; else a temporary one.
pub fn choose() -> State {
    let usual = PathBuf::from(STATE_DIR);
    let named = std::env::var_os(format!("{}STATE_DIR", environment::PREFIX)).is_some();
    if named || is_writable(&usual) {
        return State {
            dir: usual,
            note: None,
            temporary: false,
        };
    }
    let dir = std::env::temp_dir().join(format!("anchor-sft-{}", own_user().unwrap_or_default()));
    let note = format!(
        "{STATE_DIR} cannot be written, so keys are in {} and may not outlive a restart; set {}STATE_DIR",
        dir.display(),
        environment::PREFIX
    );
    State {
        dir,
        note: Some(note),
        temporary: true,
    }
}

impl State {
    /// Makes a temporary directory, where anybody could have been first, ours alone.
    ///
    /// # Errors
    /// It cannot be made, or is somebody else's.
    pub fn prepare(&self) -> anyhow::Result<()> {
        if !self.temporary {
            return Ok(());
        }
        let name = self.dir.display();
        match DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("{name} cannot be made"));
            }
            _ => {}
        }
        let found = fs::symlink_metadata(&self.dir).with_context(|| format!("{name} cannot be looked at"))?;
        let ours = found.is_dir() && found.uid() == own_user()? && found.mode() & NOT_OWNER == 0;
        ensure!(ours, "{name} is there already and not ours alone");
        Ok(())
    }
}

fn own_user() -> io::Result<u32> {
    Ok(fs::metadata("/proc/self")?.uid())
}

/// Tries, in the directory or where it would be made: nothing else tells for certain.
fn is_writable(dir: &Path) -> bool {
    let Some(place) = dir.ancestors().find(|place| place.is_dir()) else {
        return false;
    };
    let probe = place.join(format!(".anchor-sft-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe);
    made.is_ok() && fs::remove_file(&probe).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn temporary(dir: &Path) -> State {
        State {
            dir: dir.to_owned(),
            note: None,
            temporary: true,
        }
    }

    #[test]
    fn a_temporary_directory_is_ours_alone_or_not_taken() {
        let folder = std::env::temp_dir().join(format!("anchor-sft-state-test-{}", std::process::id()));
        let state = temporary(&folder);
        state.prepare().unwrap();
        state.prepare().unwrap();
        assert!(is_writable(&folder) && is_writable(&folder.join("not/there")));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let refused = state.prepare().unwrap_err().to_string();
        assert!(refused.ends_with("is there already and not ours alone"), "{refused}");
        let link = folder.join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(temporary(&link).prepare().is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
