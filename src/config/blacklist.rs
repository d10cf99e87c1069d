//! Versions of clients that are told to update (`signalling.version_blacklist`).

use crate::limits::MAX_BLACKLIST;

/// What a build of `local`, made by a developer, counts as.
const LOCAL_BUILD: u32 = 999;

/// The blacklist.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Blacklist(Vec<Entry>);

/// An entry of the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Entry {
    /// `1.2.3`: this version.
    Exactly(Version),
    /// `<1.2.3`: every one before it.
    Before(Version),
}

/// `major.minor.build`, as clients write it into `toolver`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Version([u32; 3]);

/// Why texts are no blacklist.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadBlacklist {
    /// Neither `1.2.3` nor `<1.2.3`.
    #[error("\"{0}\" is no version")]
    Entry(String),
    /// More than [`MAX_BLACKLIST`].
    #[error("there are more than {MAX_BLACKLIST} entries")]
    TooMany,
}

impl Blacklist {
    /// Reads the entries.
    ///
    /// # Errors
    /// [`BadBlacklist`] names the first that is none.
    pub fn parse(texts: &[String]) -> Result<Blacklist, BadBlacklist> {
        if texts.len() > MAX_BLACKLIST {
            return Err(BadBlacklist::TooMany);
        }
        let entries = texts
            .iter()
            .map(|text| Entry::parse(text).ok_or_else(|| BadBlacklist::Entry(text.clone())));
        entries.collect::<Result<_, _>>().map(Blacklist)
    }

    /// Whether a client of this version (`toolver`) is refused. Developers' builds (`0.0.x`) never are, nor is what we cannot read:
    /// a version that nobody had when the list was written.
    #[must_use]
    pub fn has(&self, version: &str) -> bool {
        let Some(version) = Version::parse(version) else {
            return false;
        };
        let is_ours = matches!(version, Version([0, 0, _]));
        !is_ours && self.0.iter().any(|entry| entry.covers(version))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        let text = text.trim();
        match text.strip_prefix('<') {
            Some(version) => Version::parse(version.trim_start()).map(Entry::Before),
            None => Version::parse(text).map(Entry::Exactly),
        }
    }

    fn covers(self, version: Version) -> bool {
        match self {
            Entry::Exactly(listed) => version == listed,
            Entry::Before(listed) => version < listed,
        }
    }
}

impl Version {
    fn parse(text: &str) -> Option<Version> {
        let mut parts = text.split('.');
        let [major, minor] = [number(parts.next()?)?, number(parts.next()?)?];
        let build = match parts.next()? {
            "local" => LOCAL_BUILD,
            build => number(build)?,
        };
        parts.next().is_none().then_some(Version([major, minor, build]))
    }
}

/// Digits only: a sign is no part of a version.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Result<Blacklist, BadBlacklist> {
        Blacklist::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn listed_versions_are_refused_and_no_others() {
        for (entries, version, expected) in [
            (&["9.10.14"][..], "9.10.14", true),
            (&["9.10.14"], "9.10.15", false),
            (&["9.10.14"], "9.10", false),
            (&["<9.10.14"], "9.10.14", false),
            (&["<9.10.14"], "9.10.13", true),
            (&["<9.10.14"], "9.9.99", true),
            (&["<9.10.14"], "8.20.20", true),
            (&["<9.10.14"], "10.0.0", false),
            (&["< 9.10.14 "], "9.10.13", true),
            (&["1.2.3", "<1.0.0"], "1.2.3", true),
            (&["1.2.3", "<1.0.0"], "0.9.0", true),
            (&["1.2.3", "<1.0.0"], "1.0.0", false),
            (&["<10.5.8"], "10.5.local", false),
            (&["<10.5.1000"], "10.5.local", true),
            (&["10.5.999"], "10.5.local", true),
            (&["10.5.local"], "10.5.999", true),
            (&["<99.0.0", "0.0.1"], "0.0.1", false),
            (&["<99.0.0"], "0.0.local", false),
            (&["<99.0.0"], "", false),
            (&["<99.0.0"], "next", false),
            (&["<99.0.0"], "-1.0.0", false),
            (&["<99.0.0"], "1.2.99999999999", false),
            (&[], "1.2.3", false),
        ] {
            assert_eq!(list(entries).unwrap().has(version), expected, "{entries:?} {version}");
        }
    }

    #[test]
    fn entries_that_are_no_versions_are_named() {
        for entry in [
            "",
            "<",
            "9",
            "9.10",
            "9.10.14.1",
            "a.b.c",
            "<=1.2.3",
            ">1.2.3",
            "1.2.+3",
            "1.2.",
        ] {
            assert_eq!(
                list(&["1.2.3", entry]),
                Err(BadBlacklist::Entry(entry.to_owned())),
                "{entry}"
            );
        }
        assert_eq!(list(&["1.2.3"; MAX_BLACKLIST + 1]), Err(BadBlacklist::TooMany));
    }
}
