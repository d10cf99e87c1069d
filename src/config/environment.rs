//! Keys from the environment: `ANCHOR_SFT_MEDIA__WORKERS=1` is `workers = 1` in `[media]`.
//!
//! Two underscores step into a section, one belongs to the key; letters become small. The value is read as TOML where it is TOML,
//! else as text. Keys in arrays of tables (`[[federation.peer]]`) cannot be reached.

use toml::{Table, Value};

use crate::config::file;
use crate::config::mistake::Mistake;

/// What the names of our variables start with.
pub const PREFIX: &str = "ANCHOR_SFT_";

/// Puts what the environment says over what the file says; a variable that names no key is a mistake.
pub fn overlay(table: &mut Table, variables: impl IntoIterator<Item = (String, String)>, mistakes: &mut Vec<Mistake>) {
    let mut ours: Vec<_> = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    ours.sort();
    for (name, text) in ours {
        let path = path(&name);
        let nested = nest(&path, value(&text));
        let before = mistakes.len();
        file::read(&name, &nested, mistakes);
        if mistakes.len() == before {
            merge(table, nested);
        }
    }
}

fn path(name: &str) -> Vec<String> {
    let keys = name.strip_prefix(PREFIX).unwrap_or(name);
    keys.split("__").map(str::to_ascii_lowercase).collect()
}

fn value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok();
    let one = parsed
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"));
    one.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn nest(path: &[String], value: Value) -> Table {
    match path {
        [] => Table::new(),
        [key] => Table::from_iter([(key.clone(), value)]),
        [section, rest @ ..] => Table::from_iter([(section.clone(), Value::Table(nest(rest, value)))]),
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaid(text: &str, variables: &[(&str, &str)]) -> (Table, Vec<Mistake>) {
        let mut table: Table = text.parse().unwrap();
        let mut mistakes = Vec::new();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        overlay(&mut table, variables, &mut mistakes);
        (table, mistakes)
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let (table, mistakes) = overlaid(
            "domain = \"a.example\"\n[media]\nworkers = 0\nlisten = \"127.0.0.1:10000\"",
            &[
                ("ANCHOR_SFT_DOMAIN", "b.example"),
                ("ANCHOR_SFT_MEDIA__WORKERS", "1"),
                ("ANCHOR_SFT_SIGNALLING__AUTH__REQUIRED", "false"),
                ("ANCHOR_SFT_MEDIA__ADVERTISE", "[\"127.0.0.1\"]"),
                ("PATH", "/bin"),
            ],
        );
        assert_eq!(mistakes, []);
        let expected = "domain = \"b.example\"\n[media]\nworkers = 1\nlisten = \"127.0.0.1:10000\"\n\
                        advertise = [\"127.0.0.1\"]\n[signalling.auth]\nrequired = false";
        assert_eq!(table, expected.parse::<Table>().unwrap());
    }

    #[test]
    fn a_variable_that_names_no_key_is_a_mistake_that_names_the_variable() {
        let (table, mistakes) = overlaid(
            "",
            &[("ANCHOR_SFT_MEDIA__WORKER", "1"), ("ANCHOR_SFT_MEDIA__WORKERS", "two")],
        );
        let told: Vec<_> = mistakes
            .iter()
            .map(|mistake| (mistake.file.as_str(), mistake.key.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("ANCHOR_SFT_MEDIA__WORKER", "media.worker"),
                ("ANCHOR_SFT_MEDIA__WORKERS", "media.workers")
            ]
        );
        assert!(table.is_empty());
    }
}
