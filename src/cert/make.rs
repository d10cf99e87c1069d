//! Makes authorities and leaves.

use std::fs;
use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use time::{Duration, OffsetDateTime};

use crate::cert::{CertError, Paths};
use crate::ids::Domain;
use crate::net::clock;
use crate::net::files::{self, Existing, Readers};
use crate::net::tls::files::BadFile;

/// An authority outlives its administrators' memory of it; its end shows in the metrics years ahead.
const AUTHORITY_LIFE: Duration = Duration::days(3650);
/// A leaf's life: a stolen key is of use for a quarter, and renewal is practised often enough to work.
const LEAF_LIFE: Duration = Duration::days(90);
/// Certificates are good from a little before now: clocks differ.
const BACKDATED: Duration = Duration::hours(1);

/// Makes a domain's authority in `dir` (which is made where it is missing). It may vouch for names at or below the domain only.
///
/// # Errors
/// [`CertError`]; with [`Existing::Keep`] an authority that is there stays untouched.
pub fn init(domain: &Domain, dir: &Path, existing: Existing) -> Result<Paths, CertError> {
    let paths = Paths::authority(domain, dir);
    fs::create_dir_all(dir).map_err(|error| CertError::Unwritable(dir.to_owned(), error))?;
    refuse_existing(&paths, existing)?;
    let key = KeyPair::generate()?;
    let certificate = authority(domain)?.self_signed(&key)?;
    write(&paths.private_key, &key.serialize_pem(), Readers::Owner, existing)?;
    write(&paths.certificate, &certificate.pem(), Readers::Everyone, existing)?;
    Ok(paths)
}

/// Makes a key and a leaf for `name` (the domain itself, as a rule), signed by the domain's authority in `dir`.
///
/// # Errors
/// [`CertError`]; with [`Existing::Keep`] a leaf that is there stays untouched.
pub fn issue(domain: &Domain, name: &Domain, dir: &Path, existing: Existing) -> Result<Paths, CertError> {
    let paths = Paths::leaf(name, dir);
    refuse_existing(&paths, existing)?;
    let key = KeyPair::generate()?;
    let chain = sign(domain, name, dir, &key)?;
    write(&paths.private_key, &key.serialize_pem(), Readers::Owner, existing)?;
    write(&paths.certificate, &chain, Readers::Everyone, existing)?;
    Ok(paths)
}

/// Makes a fresh leaf for the key that `name` has, so that pins of that key hold.
///
/// # Errors
/// [`CertError`]; the leaf that is there stays then.
pub fn renew(domain: &Domain, name: &Domain, dir: &Path) -> Result<Paths, CertError> {
    let paths = Paths::leaf(name, dir);
    let key = read_key(&paths.private_key)?;
    let chain = sign(domain, name, dir, &key)?;
    write(&paths.certificate, &chain, Readers::Everyone, Existing::Replace)?;
    Ok(paths)
}

/// The leaf and its authority in PEM: peers that pin the authority's key need to see it.
fn sign(domain: &Domain, name: &Domain, dir: &Path, key: &KeyPair) -> Result<String, CertError> {
    if !is_within(name, domain) {
        let (name, domain) = (name.clone(), domain.clone());
        return Err(CertError::Outside { name, domain });
    }
    let from = Paths::authority(domain, dir);
    let vouching = read(&from.certificate)?;
    let issuer = Issuer::from_ca_cert_pem(&vouching, read_key(&from.private_key)?)
        .map_err(|_| CertError::BadFile(from.certificate.clone(), BadFile::BadCertificate))?;
    let leaf: Certificate = leaf(name)?.signed_by(key, &issuer)?;
    Ok(leaf.pem() + &vouching)
}

fn authority(domain: &Domain) -> Result<CertificateParams, rcgen::Error> {
    let mut params = dated(AUTHORITY_LIFE, Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{domain} federation CA"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(domain.as_str().to_owned())],
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

fn leaf(name: &Domain) -> Result<CertificateParams, rcgen::Error> {
    let mut params = dated(LEAF_LIFE, vec![name.as_str().to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "anchor-sft");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn dated(life: Duration, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let now = OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_millis(clock::wall().0);
    params.not_before = now - BACKDATED;
    params.not_after = now + life;
    Ok(params)
}

/// What the authority's name constraint allows (RFC 5280 §4.2.1.10).
fn is_within(name: &Domain, domain: &Domain) -> bool {
    let below = name.as_str().strip_suffix(domain.as_str());
    below.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// Looks before anything is written, so that no half of a pair is.
fn refuse_existing(paths: &Paths, existing: Existing) -> Result<(), CertError> {
    let there = [&paths.certificate, &paths.private_key]
        .into_iter()
        .find(|path| path.exists());
    match (existing, there) {
        (Existing::Keep, Some(path)) => Err(CertError::Exists(path.clone())),
        _ => Ok(()),
    }
}

fn write(path: &Path, pem: &str, readers: Readers, existing: Existing) -> Result<(), CertError> {
    files::write(path, pem.as_bytes(), readers, existing).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CertError::Exists(path.to_owned()),
        _ => CertError::Unwritable(path.to_owned(), error),
    })
}

fn read(path: &Path) -> Result<String, CertError> {
    fs::read_to_string(path).map_err(|error| CertError::BadFile(path.to_owned(), BadFile::Unreadable(error)))
}

fn read_key(path: &Path) -> Result<KeyPair, CertError> {
    KeyPair::from_pem(&read(path)?).map_err(|_| CertError::BadFile(path.to_owned(), BadFile::NoKey))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::federation::Side;
    use crate::federation::allow::{Peer, Pin, Trust};
    use crate::net::files::tests::Scratch;
    use crate::net::tls::{Identity, files as tls_files, verify};
    use crate::proto::link::message::Code;
    use crate::units::WallTime;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn judge(leaf: &Path, domain: &Domain, trust: Trust, at: WallTime) -> Result<(), Code> {
        let chain = tls_files::certificates(leaf).unwrap();
        verify::peer(&chain, &Peer::new(domain.clone(), trust), Side::Dialled, at)
    }

    #[test]
    fn a_leaf_proves_its_domain_to_whoever_has_the_authority() {
        let scratch = Scratch::new();
        let (here, now) = (domain("a.example"), clock::wall());
        let authority = init(&here, &scratch.0, Existing::Keep).unwrap();
        let leaf = issue(&here, &here, &scratch.0, Existing::Keep).unwrap();
        let trust = tls_files::trust(&authority.certificate).unwrap();
        assert_eq!(judge(&leaf.certificate, &here, trust.clone(), now), Ok(()));
        assert_eq!(
            judge(&leaf.certificate, &domain("b.example"), trust.clone(), now),
            Err(Code::WrongName)
        );
        let days = |days: u64| WallTime(now.0 + days * 86_400_000);
        assert_eq!(judge(&leaf.certificate, &here, trust.clone(), days(89)), Ok(()));
        assert_eq!(
            judge(&leaf.certificate, &here, trust.clone(), days(91)),
            Err(Code::Expired)
        );
        assert_eq!(judge(&leaf.certificate, &here, trust, days(3651)), Err(Code::Expired));
        Identity::load(&leaf.certificate, &leaf.private_key).unwrap();
        for key in [authority.private_key, leaf.private_key] {
            assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn an_authority_vouches_for_its_own_domain_only() {
        let scratch = Scratch::new();
        let here = domain("a.example");
        init(&here, &scratch.0, Existing::Keep).unwrap();
        for (name, allowed) in [
            ("sft.a.example", true),
            ("b.example", false),
            ("aa.example", false),
            ("example", false),
        ] {
            let issued = issue(&here, &domain(name), &scratch.0, Existing::Keep);
            assert_eq!(issued.is_ok(), allowed, "{name}");
        }
        // Even one that was made with the authority's key by other means is refused.
        let from = Paths::authority(&here, &scratch.0);
        let issuer = Issuer::from_ca_cert_pem(&read(&from.certificate).unwrap(), read_key(&from.private_key).unwrap());
        let foreign = leaf(&domain("b.example")).unwrap();
        let foreign = foreign
            .signed_by(&KeyPair::generate().unwrap(), &issuer.unwrap())
            .unwrap();
        let peer = Peer::new(domain("b.example"), tls_files::trust(&from.certificate).unwrap());
        let verdict = verify::peer(&[foreign.der().clone()], &peer, Side::Dialled, clock::wall());
        assert_eq!(verdict, Err(Code::Untrusted));
    }

    #[test]
    fn nothing_is_overwritten_unless_asked() {
        let scratch = Scratch::new();
        let here = domain("a.example");
        let paths = init(&here, &scratch.0, Existing::Keep).unwrap();
        let before = read(&paths.private_key).unwrap();
        fs::remove_file(&paths.certificate).unwrap();
        assert!(matches!(
            init(&here, &scratch.0, Existing::Keep),
            Err(CertError::Exists(_))
        ));
        assert_eq!(read(&paths.private_key).unwrap(), before);
        init(&here, &scratch.0, Existing::Replace).unwrap();
        assert_ne!(read(&paths.private_key).unwrap(), before);
    }

    #[test]
    fn renewal_keeps_the_key_so_that_pins_hold() {
        let scratch = Scratch::new();
        let (here, now) = (domain("a.example"), clock::wall());
        let authority = init(&here, &scratch.0, Existing::Keep).unwrap();
        let leaf = issue(&here, &here, &scratch.0, Existing::Keep).unwrap();
        let pin = |path: &Path| crate::cert::show(path).unwrap()[0].pin.clone();
        let (of_leaf, of_authority) = (pin(&leaf.certificate), pin(&authority.certificate));
        let old = read(&leaf.certificate).unwrap();
        renew(&here, &here, &scratch.0).unwrap();
        assert_ne!(read(&leaf.certificate).unwrap(), old);
        for pin in [of_leaf, of_authority] {
            let trust = Trust::pins(vec![Pin::parse(&pin).unwrap()]);
            assert_eq!(judge(&leaf.certificate, &here, trust, now), Ok(()), "{pin}");
        }
        let other = Trust::pins(vec![Pin([0; 32])]);
        assert_eq!(judge(&leaf.certificate, &here, other, now), Err(Code::Untrusted));
    }
}
