//! What is no mistake in a configuration, and yet should be looked at.

use std::fmt;

use serde::Serialize;

use crate::config::Config;

/// One warning.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Warning {
    /// The key with its section.
    pub key: &'static str,
    /// What may not be meant.
    pub problem: &'static str,
    /// What would be safer.
    pub fix: &'static str,
}

impl Config {
    /// What an operator should know before it runs so.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let federates = self
            .federation
            .as_ref()
            .is_some_and(|federation| !federation.peers.is_empty());
        if federates && self.signalling.token_secret.is_none() {
            warnings.push(Warning {
                key: "signalling.auth.required",
                problem: "is not true, but there are peers: anyone who reaches us joins their conferences in our domain's name",
                fix: "set it, with the secret_file that the backend makes tokens with",
            });
        }
        warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning { key, problem, fix } = self;
        write!(f, "warning: {key}: {problem}; {fix}")
    }
}
