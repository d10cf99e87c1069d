//! The first words on a link: who speaks, since when, in which version (`docs/link-protocol.md`).

use crate::ids::{Domain, NodeName};
use crate::proto::link::message::{Code, Hello};

/// The minor versions of the protocol that we speak.
pub const VERSIONS: [u32; 1] = [0];

/// A peer that introduced itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Greeted {
    /// Its node.
    pub node: NodeName,
    /// Grows with every start of its process.
    pub boot: u64,
    /// The highest version that both speak.
    pub version: u32,
}

/// What we say first.
#[must_use]
pub fn hello(domain: &Domain, node: &NodeName, boot: u64) -> Hello {
    Hello {
        domain: domain.as_str().to_owned(),
        node: node.as_str().to_owned(),
        boot,
        software: concat!("anchor-sft ", env!("CARGO_PKG_VERSION")).to_owned(),
        versions: VERSIONS.to_vec(),
        features: Vec::new(),
    }
}

/// Judges what a peer says first against the domain that its certificate proved.
///
/// # Errors
/// `wrong_name` where it names another domain, `version` where there is no common one, `protocol` where it names no node.
pub fn judge(said: &Hello, proven: &Domain) -> Result<Greeted, Code> {
    if Domain::parse(&said.domain).ok().as_ref() != Some(proven) {
        return Err(Code::WrongName);
    }
    let node = NodeName::parse(&said.node).map_err(|_| Code::Protocol)?;
    let common = said
        .versions
        .iter()
        .copied()
        .filter(|version| VERSIONS.contains(version))
        .max();
    let version = common.ok_or(Code::Version)?;
    Ok(Greeted {
        node,
        boot: said.boot,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_must_be_of_the_proven_domain_and_a_common_version() {
        let proven = Domain::parse("b.example").unwrap();
        let node = NodeName::parse("sft-0").unwrap();
        let good = hello(&proven, &node, 7);
        assert_eq!(
            judge(&good, &proven),
            Ok(Greeted {
                node,
                boot: 7,
                version: 0
            })
        );
        for (said, code) in [
            (
                Hello {
                    domain: "c.example".to_owned(),
                    ..good.clone()
                },
                Code::WrongName,
            ),
            (
                Hello {
                    versions: vec![9],
                    ..good.clone()
                },
                Code::Version,
            ),
            (
                Hello {
                    versions: vec![],
                    ..good.clone()
                },
                Code::Version,
            ),
            (
                Hello {
                    node: String::new(),
                    ..good.clone()
                },
                Code::Protocol,
            ),
        ] {
            assert_eq!(judge(&said, &proven), Err(code));
        }
    }
}
