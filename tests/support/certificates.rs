//! A domain's own CA and a leaf for its SFT, made with `rcgen` and not with the code under test.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Writes `<domain>-ca.pem`, `<domain>.pem` (leaf, then CA) and `<domain>.key` into `folder`.
pub fn write(folder: &Path, domain: &str) {
    let ca_key = KeyPair::generate().unwrap();
    let ca_params = authority(domain);
    let ca = ca_params.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(ca_params, ca_key);
    let leaf = CertificateParams::new([domain.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let file = |name: String, text: String| fs::write(folder.join(name), text).unwrap();
    file(format!("{domain}-ca.pem"), ca.pem());
    file(format!("{domain}.pem"), leaf.pem() + &ca.pem());
    file(format!("{domain}.key"), key.serialize_pem());
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
