//! Who we are to a client, and who it is to us: certificate, ICE credentials, fingerprint.

use std::fmt;

use rand::Rng;

use crate::session::channel;
use crate::session::dtls;

/// Characters of our ufrag: 48 bits, so that sessions of one process do not meet (RFC 8445 §5.3 asks for 24).
const UFRAG_CHARS: usize = 8;
/// Characters of our password: 144 bits (RFC 8445 §5.3 asks for 128).
const PASSWORD_CHARS: usize = 24;
/// The ICE characters (RFC 8839 §5.4): 64, so that six random bits are one.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Our DTLS certificate and what every session shares; made once per process.
pub struct Identity {
    pub(super) dtls: dtls::Setup,
    pub(super) channel: channel::Setup,
}

/// No certificate could be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no DTLS certificate could be made")]
pub struct NoIdentity;

impl Identity {
    /// Makes a P-256 key and a self-signed certificate, valid for a year (nobody checks; the fingerprint counts).
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn generate() -> Result<Identity, NoIdentity> {
        let dtls = dtls::Setup::generate().ok_or(NoIdentity)?;
        Ok(Identity {
            dtls,
            channel: channel::Setup::new(),
        })
    }

    /// SHA-256 of the certificate, for `a=fingerprint` (RFC 8122 §5).
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.dtls.fingerprint()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// Our half of a session's ICE credentials, for the offer.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// `a=ice-ufrag`; addresses the session among all of the process.
    pub ufrag: String,
    /// `a=ice-pwd`; whoever knows it can validate an address.
    pub password: String,
}

impl Credentials {
    /// Draws new ones. The generator must be fit for keys.
    pub fn random(rng: &mut impl Rng) -> Credentials {
        Credentials {
            ufrag: ice_chars(rng, UFRAG_CHARS),
            password: ice_chars(rng, PASSWORD_CHARS),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

fn ice_chars(rng: &mut impl Rng, count: usize) -> String {
    let mut bytes = vec![0; count];
    rng.fill_bytes(&mut bytes);
    let char_of = |byte: u8| ICE_CHARS.get(usize::from(byte & 63)).copied().map(char::from);
    bytes.into_iter().filter_map(char_of).collect()
}

/// What a client's answer says of its transport.
#[derive(Clone, Eq, PartialEq)]
pub struct Remote {
    /// Its `a=ice-ufrag`. Unused while we are ICE-lite: we send no checks.
    pub ufrag: String,
    /// Its `a=ice-pwd`. Unused while we are ICE-lite.
    pub password: String,
    /// SHA-256 of the only certificate that we accept.
    pub fingerprint: [u8; 32],
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote(…)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha12Rng;

    use super::*;

    #[test]
    fn credentials_are_ice_characters_and_never_printed() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let one = Credentials::random(&mut rng);
        let two = Credentials::random(&mut rng);
        assert_eq!((one.ufrag.len(), one.password.len()), (8, 24));
        assert_ne!(one, two);
        let ice = |text: &str| text.bytes().all(|byte| ICE_CHARS.contains(&byte));
        assert!(ice(&one.ufrag) && ice(&one.password));
        assert!(!format!("{one:?}").contains(&one.ufrag));
    }

    #[test]
    fn identities_differ() {
        let one = Identity::generate().unwrap();
        let two = Identity::generate().unwrap();
        assert_ne!(one.fingerprint(), two.fingerprint());
    }
}
