//! What the compiler cannot check about how the source is laid out: layers, locks, clocks, sizes.

use std::fs;
use std::path::Path;

/// Each module of `src/` and the modules it may use. Arrows go up in this table only.
const MAY_USE: &[(&str, &[&str])] = &[
    // 0: vocabulary
    ("limits", &[]),
    ("units", &[]),
    ("private", &[]),
    ("ids", &["limits"]),
    ("config", &["ids", "limits", "private", "units"]),
    // 1: bytes and values
    ("proto", &["ids", "limits", "private", "units"]),
    // 2: cores, told the time
    ("bwe", &["ids", "limits", "private", "proto", "units"]),
    ("session", &["bwe", "ids", "limits", "private", "proto", "units"]),
    ("select", &["ids", "limits", "private", "proto", "units"]),
    ("federation", &["ids", "limits", "private", "proto", "units"]),
    ("token", &["limits", "private", "units"]),
    ("conference", &["ids", "limits", "private", "proto", "select", "units"]),
    (
        "relay",
        &[
            "conference",
            "federation",
            "ids",
            "limits",
            "private",
            "proto",
            "select",
            "token",
            "units",
        ],
    ),
    // 3: shell
    ("metrics", &["ids", "limits", "proto", "relay", "token", "units"]),
    ("admin", &["metrics"]),
    ("log", &["config", "private"]),
    (
        "net",
        &[
            "config",
            "federation",
            "ids",
            "limits",
            "private",
            "proto",
            "session",
            "units",
        ],
    ),
    ("cert", &["ids", "net", "units"]),
    (
        "worker",
        &[
            "config",
            "federation",
            "ids",
            "limits",
            "metrics",
            "net",
            "private",
            "proto",
            "relay",
            "select",
            "session",
            "token",
            "units",
        ],
    ),
    (
        "api",
        &[
            "admin", "config", "ids", "limits", "metrics", "net", "private", "proto", "relay", "token", "units",
            "worker",
        ],
    ),
    (
        "server",
        &[
            "admin",
            "api",
            "config",
            "federation",
            "ids",
            "limits",
            "log",
            "metrics",
            "net",
            "private",
            "proto",
            "relay",
            "session",
            "token",
            "units",
            "worker",
        ],
    ),
    (
        "cli",
        &[
            "cert",
            "config",
            "federation",
            "ids",
            "limits",
            "log",
            "net",
            "private",
            "server",
            "units",
        ],
    ),
];

/// Modules that are told the time and say what to do. What they must not know:
const CORES: &[&str] = &[
    "proto",
    "bwe",
    "session",
    "select",
    "federation",
    "token",
    "conference",
    "relay",
];
const NOT_IN_CORES: &[&str] = &[
    "tokio::",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "rand::rng(",
    "thread_rng",
    "OsRng",
];

/// Words that mean shared memory, and the files that may say them, each for a reason given there.
const LOCKS: &[&str] = &["Mutex", "RwLock", "Condvar"];
const MAY_LOCK: &[&str] = &[];

/// The one clock.
const CLOCK: &str = "src/net/clock.rs";

/// Lines of a file, and of a function with its signature.
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
/// Files that are longer, with the length they may have. This list may only shrink: what fits again must leave it.
const LONG_FILES: &[(&str, usize)] = &[];
/// Functions that are longer, likewise.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// A source file.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module right below `src/`; `None` for `lib.rs`, `main.rs`, programs and tests.
    fn module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let module = below.split('/').next()?.trim_end_matches(".rs");
        (!matches!(module, "lib" | "main" | "bin")).then_some(module)
    }

    /// The lines that are compiled into the program, with their numbers: no comments, nothing after the tests begin.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines
            .take_while(move |(_, line)| !tests && !line.starts_with("#[cfg(test)]"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Functions with the number of lines from `fn` to the closing brace, in formatted code.
    fn functions(&self) -> Vec<(String, usize)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let from = |at: usize| {
            let body = lines.get(at..)?;
            let first = body.first()?;
            let name = function_name(first)?;
            if first.ends_with(['}', ';']) {
                return Some((name, 1));
            }
            let close: String = first.chars().take_while(|c| *c == ' ').chain(['}']).collect();
            let end = body.iter().position(|line| *line == close)?;
            Some((name, end + 1))
        };
        (0..lines.len()).filter_map(from).collect()
    }
}

fn function_name(line: &str) -> Option<String> {
    let words = line.trim_start().split("fn ").collect::<Vec<_>>();
    let [before, after, ..] = words.as_slice() else {
        return None;
    };
    let modifiers = before.split_whitespace();
    let is_modifier =
        |word: &str| word.starts_with("pub") || ["const", "async", "unsafe", "extern", "in", "super)"].contains(&word);
    modifiers
        .clone()
        .all(is_modifier)
        .then(|| after.split(['(', '<']).next().unwrap_or_default().to_owned())
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(Path::new(folder), &mut found);
    assert!(
        !found.is_empty() || !Path::new(folder).exists(),
        "{folder} has no source"
    );
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("source files are UTF-8");
            found.push(Source {
                path: path.display().to_string(),
                text,
            });
        }
    }
}

fn everything() -> Vec<Source> {
    ["src", "tests", "benches"].into_iter().flat_map(sources).collect()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The modules that a line of code reaches through `crate::`.
fn used(line: &str) -> impl Iterator<Item = &str> {
    let end = |c: char| !c.is_alphanumeric() && c != '_';
    line.split("crate::")
        .skip(1)
        .map(move |rest| rest.split(end).next().unwrap_or_default())
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let Some(module) = source.module() else { continue };
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!(
                "{}: tests/tidy.rs does not know the module {module}",
                source.path
            ));
            continue;
        };
        for (at, line) in source.code() {
            for used in used(line).filter(|used| *used != module && !allowed.contains(used)) {
                let rule = if used.is_empty() {
                    "write one `use crate::module::…` a module".to_owned()
                } else {
                    format!("{module} may not use {used}")
                };
                wrong.push(format!("{}:{at}: {rule}", source.path));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn arrows_in_the_table_go_one_way() {
    for (at, (module, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let above = MAY_USE[..at].iter().any(|(name, _)| name == used);
            assert!(above, "{module} uses {used}, which is not above it");
        }
    }
}

#[test]
fn cores_know_no_socket_no_file_and_no_dice() {
    let mut wrong = Vec::new();
    for source in sources("src")
        .iter()
        .filter(|source| source.module().is_some_and(|name| CORES.contains(&name)))
    {
        for (at, line) in source.code() {
            let found = NOT_IN_CORES.iter().filter(|word| line.contains(**word));
            wrong.extend(found.map(|word| format!("{}:{at}: a core may not say {word}", source.path)));
        }
    }
    assert_none(&wrong);
}

#[test]
fn nothing_is_locked_outside_the_list() {
    let mut wrong = Vec::new();
    for source in sources("src")
        .iter()
        .filter(|source| !MAY_LOCK.contains(&source.path.as_str()))
    {
        for (at, line) in source.code() {
            let found = LOCKS.iter().filter(|word| line.contains(**word));
            wrong.extend(found.map(|word| format!("{}:{at}: {word} is not allowed here", source.path)));
        }
    }
    assert_none(&wrong);
}

#[test]
fn one_file_reads_the_clock() {
    let mut wrong = Vec::new();
    for source in sources("src").iter().filter(|source| source.path != CLOCK) {
        for (at, line) in source.code() {
            let reads =
                line.contains("Instant::now") || line.contains("SystemTime::now") || line.contains(".elapsed()");
            wrong.extend(reads.then(|| format!("{}:{at}: only {CLOCK} reads clocks", source.path)));
        }
    }
    assert_none(&wrong);
}

#[test]
fn files_have_a_first_sentence_and_an_end() {
    let mut wrong = Vec::new();
    for source in everything() {
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{}: does not open with `//! ` and what it is", source.path));
        }
        let lines = source.text.lines().count();
        match LONG_FILES.iter().find(|(path, _)| *path == source.path) {
            None if lines > FILE_LINES => wrong.push(format!("{}: {lines} lines, at most {FILE_LINES}", source.path)),
            Some((_, known)) if lines > *known || lines <= FILE_LINES => {
                wrong.push(format!("{}: {lines} lines, the list says {known}", source.path));
            }
            _ => {}
        }
    }
    assert_none(&wrong);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut wrong = Vec::new();
    for source in everything() {
        for (name, lines) in source.functions() {
            let known = LONG_FUNCTIONS
                .iter()
                .find(|(path, long, _)| *path == source.path && *long == name);
            let most = known.map_or(FUNCTION_LINES, |(_, _, known)| *known);
            if lines > most {
                wrong.push(format!("{}: {name} has {lines} lines, at most {most}", source.path));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn exceptions_name_files_that_exist() {
    let paths = MAY_LOCK.iter().chain(LONG_FILES.iter().map(|(path, _)| path));
    for path in paths
        .chain(LONG_FUNCTIONS.iter().map(|(path, _, _)| path))
        .chain([&CLOCK])
    {
        assert!(Path::new(path).exists(), "{path} is gone; remove it from tests/tidy.rs");
    }
}

#[test]
fn these_checks_see_what_they_look_for() {
    let source = Source {
        path: "src/proto/x.rs".to_owned(),
        text: "//! X.\nuse crate::relay::Input;\n// crate::net is only a comment\npub(super) async fn long(\n    a: u8,\n) {\n    x();\n}\n\
               #[cfg(test)]\nuse crate::server;\n"
            .to_owned(),
    };
    assert_eq!(source.module(), Some("proto"));
    let seen: Vec<_> = source.code().flat_map(|(_, line)| used(line)).collect();
    assert_eq!(seen, ["relay"]);
    assert_eq!(source.functions(), [("long".to_owned(), 5)]);
    assert_eq!(used("use crate::{ids, net};").collect::<Vec<_>>(), [""]);
    assert_eq!(function_name("    let call = fn_pointer(x);"), None);
}
