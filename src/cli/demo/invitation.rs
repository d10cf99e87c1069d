//! The two addresses that put two browsers into one call. What follows `#` never leaves the browser.

use anyhow::Context as _;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};

use super::domain::DemoDomain;
use crate::config;
use crate::federation::capability::{self, NodeTag};
use crate::ids::{ConferenceId, Domain, NodeName};
use crate::net::entropy;

/// A conference anchored in the first domain.
pub struct Invitation {
    conference: String,
    key: String,
    anchor_url: String,
    tuple: String,
}

impl Invitation {
    /// Draws a conference and a key, and the tuple that `anchor`'s own SFT would give out for it.
    ///
    /// # Errors
    /// Where its capability key, made at its first start, cannot be read.
    pub fn make(anchor: &DemoDomain) -> anyhow::Result<Invitation> {
        let conference = hex(entropy::seed()?.iter().take(16));
        let key = BASE64_URL_SAFE_NO_PAD.encode(entropy::seed()?);
        let path = anchor.folder.join("state/capability.key");
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let bytes: [u8; 32] = bytes.try_into().ok().context("the capability key is not 32 bytes")?;
        let node = NodeName::parse(config::NODE)?;
        let tuple = capability::issue(
            &capability::Key::new(bytes),
            &Domain::parse(anchor.name)?,
            &ConferenceId::parse(&conference)?,
            NodeTag::of(&node),
        );
        Ok(Invitation {
            conference,
            key,
            anchor_url: anchor.url(),
            tuple,
        })
    }

    /// For the caller, in the anchor's domain.
    pub fn anchor_page(&self) -> String {
        format!("{}/#conference={}&key={}", self.anchor_url, self.conference, self.key)
    }

    /// For a participant of the other domain.
    pub fn member_page(&self, member: &DemoDomain) -> String {
        let Invitation {
            conference,
            key,
            anchor_url,
            tuple,
        } = self;
        let (url, tuple) = (escaped(anchor_url), escaped(tuple));
        format!(
            "{}/#conference={conference}&key={key}&sft_url={url}&sft_tuple={tuple}",
            member.url()
        )
    }
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Percent-encodes what could be taken for the fragment's own punctuation (RFC 3986 §2.1).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn both_pages_name_one_conference_and_only_the_members_names_the_anchor() {
        let [a, b] = DemoDomain::pair(Path::new("/demo"), 0);
        let invitation = Invitation {
            conference: "c0ffee".to_owned(),
            key: "k-_".to_owned(),
            anchor_url: a.url(),
            tuple: "a.localhost/AbC-_".to_owned(),
        };
        assert_eq!(
            invitation.anchor_page(),
            "http://127.0.0.1:8585/#conference=c0ffee&key=k-_"
        );
        assert_eq!(
            invitation.member_page(&b),
            "http://127.0.0.1:8685/#conference=c0ffee&key=k-_&sft_url=http%3A%2F%2F127.0.0.1%3A8585&sft_tuple=a.localhost%2FAbC-_"
        );
    }
}
