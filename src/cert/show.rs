//! Says what a certificate says.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::cert::CertError;
use crate::net::clock;
use crate::net::tls::files::{self, BadFile};
use crate::net::tls::verify;
use crate::units::WallTime;

/// One day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What a person wants to know of a certificate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CertificateView {
    /// Its subject's distinguished name.
    pub subject: String,
    /// Its DNS names, as they are written in it.
    pub names: Vec<String>,
    /// Its issuer's distinguished name.
    pub issuer: String,
    /// It may vouch for others.
    pub authority: bool,
    /// The first moment of its validity (RFC 3339).
    pub not_before: String,
    /// The last moment of its validity (RFC 3339).
    pub not_after: String,
    /// Full days until then; negative once it is over.
    pub days_left: i64,
    /// Its public key as `pins` in the configuration take it: `sha256/…`.
    pub pin: String,
}

/// Every certificate of a file, in its order.
///
/// # Errors
/// [`CertError::BadFile`].
pub fn show(file: &Path) -> Result<Vec<CertificateView>, CertError> {
    let bad = |error| CertError::BadFile(file.to_owned(), error);
    let found = files::certificates(file).map_err(bad)?;
    let views = found.iter().map(|certificate| view(certificate, clock::wall()));
    views.collect::<Option<_>>().ok_or_else(|| bad(BadFile::BadCertificate))
}

/// `None`: it is damaged.
fn view(certificate: &CertificateDer<'_>, at: WallTime) -> Option<CertificateView> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some(CertificateView {
        subject: parsed.subject().to_string(),
        names: names(&parsed),
        issuer: parsed.issuer().to_string(),
        authority: parsed.is_ca(),
        not_before: date(validity.not_before)?,
        not_after: date(validity.not_after)?,
        days_left: days_between(at, validity.not_after),
        pin: verify::pin(&parsed).to_string(),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(dns).collect()
}

fn date(time: ASN1Time) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(time.timestamp())
        .ok()?
        .format(&Rfc3339)
        .ok()
}

fn days_between(at: WallTime, end: ASN1Time) -> i64 {
    let now = i64::try_from(at.0).unwrap_or(i64::MAX);
    end.timestamp()
        .saturating_mul(1000)
        .saturating_sub(now)
        .div_euclid(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert;
    use crate::ids::Domain;
    use crate::net::files::Existing;
    use crate::net::files::tests::Scratch;

    #[test]
    fn a_leaf_and_its_authority_are_shown() {
        let scratch = Scratch::new();
        let domain = Domain::parse("a.example").unwrap();
        cert::init(&domain, &scratch.0, Existing::Keep).unwrap();
        let leaf = cert::issue(&domain, &domain, &scratch.0, Existing::Keep).unwrap();
        let [leaf, authority] = show(&leaf.certificate).unwrap().try_into().unwrap();
        assert_eq!(leaf.names, ["a.example"]);
        assert_eq!((leaf.authority, authority.authority), (false, true));
        assert_eq!((leaf.days_left, authority.days_left), (89, 3649));
        assert_eq!(leaf.issuer, authority.subject);
        assert_eq!(authority.subject, "CN=a.example federation CA");
        assert!(leaf.pin.starts_with("sha256/") && leaf.pin != authority.pin);
        assert!(leaf.not_after.ends_with('Z'), "{}", leaf.not_after);
    }

    #[test]
    fn days_left_count_down_through_zero() {
        let end = ASN1Time::from_timestamp(864_000).unwrap();
        for (at, expected) in [(0, 10), (1, 9), (864_000_000, 0), (864_000_001, -1)] {
            assert_eq!(days_between(WallTime(at), end), expected, "{at}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_an_error() {
        let scratch = Scratch::new();
        let path = scratch.0.join("none.pem");
        std::fs::write(&path, "nothing here").unwrap();
        assert!(matches!(
            show(&path),
            Err(CertError::BadFile(_, BadFile::NoCertificate))
        ));
        assert!(matches!(
            show(&scratch.0.join("missing.pem")),
            Err(CertError::BadFile(_, BadFile::Unreadable(_)))
        ));
    }
}
