//! A domain's own CA and a leaf for its SFT, made with `rcgen` and not with the code under test.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

/// What a leaf says and who signed it.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a> {
    /// Its DNS name.
    pub name: &'a str,
    /// Its time is over.
    pub expired: bool,
    /// An authority signed it that says it is the domain's, and is not.
    pub forged: bool,
}

impl<'a> Leaf<'a> {
    /// As it should be.
    pub fn of(name: &'a str) -> Leaf<'a> {
        Leaf {
            name,
            expired: false,
            forged: false,
        }
    }
}

/// Writes `<domain>-ca.pem`, `<domain>-ca.key`, `<domain>.pem` (leaf, then CA) and `<domain>.key` into `folder`.
pub fn write(folder: &Path, domain: &str) {
    let key = KeyPair::generate().unwrap();
    let ca = authority(domain).self_signed(&key).unwrap();
    fs::write(folder.join(format!("{domain}-ca.pem")), ca.pem()).unwrap();
    fs::write(folder.join(format!("{domain}-ca.key")), key.serialize_pem()).unwrap();
    issue(folder, domain, Leaf::of(domain));
}

/// Puts another leaf into `<domain>.pem` and `<domain>.key`; the domain's CA stays.
pub fn issue(folder: &Path, domain: &str, leaf: Leaf<'_>) {
    let ca_key = if leaf.forged {
        KeyPair::generate().unwrap()
    } else {
        KeyPair::from_pem(&fs::read_to_string(folder.join(format!("{domain}-ca.key"))).unwrap()).unwrap()
    };
    let ca = authority(domain).self_signed(&ca_key).unwrap();
    let mut params = CertificateParams::new([leaf.name.to_owned()]).unwrap();
    if leaf.expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    }
    let key = KeyPair::generate().unwrap();
    let signed = params.signed_by(&key, &Issuer::new(authority(domain), ca_key)).unwrap();
    fs::write(folder.join(format!("{domain}.pem")), signed.pem() + &ca.pem()).unwrap();
    fs::write(folder.join(format!("{domain}.key")), key.serialize_pem()).unwrap();
}

fn authority(domain: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("CA of {domain}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
