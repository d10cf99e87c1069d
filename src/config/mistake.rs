//! A mistake in the configuration, told so that it can be mended without a manual.

use std::fmt;

use serde::Serialize;

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mistake {
    /// The file, or the environment variable.
    pub file: String,
    /// The key with its section, `media.advertise`; `line 7` where the file is no TOML.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub fix: String,
}

impl Mistake {
    /// Puts one together.
    pub fn new(
        file: impl Into<String>,
        key: impl Into<String>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Mistake {
        Mistake {
            file: file.into(),
            key: key.into(),
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake {
            file,
            key,
            problem,
            fix,
        } = self;
        write!(f, "{file}: {key}: {problem}; {fix}")
    }
}
