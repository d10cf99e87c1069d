//! The rules of [`verify`] as rustls wants them.
//!
//! Whatever is wrong with a certificate, the peer gets the same alert with the same text (QUIC carries both): otherwise the
//! difference would tell a stranger whom we list. That includes a bad signature with somebody else's certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::federation::Side;
use crate::federation::allow::{AllowList, Peer};
use crate::net::tls::{Refused, Verdict, verify};
use crate::proto::link::message::Code;
use crate::units::WallTime;

/// Judges whoever dials us.
#[derive(Debug)]
pub(super) struct Accepting {
    allow: Arc<AllowList>,
    judge: Judge,
}

/// Judges the one peer whom we dial.
#[derive(Debug)]
pub(super) struct Dialling {
    peer: Peer,
    judge: Judge,
}

#[derive(Debug)]
struct Judge {
    verdict: Verdict,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    fn refuse(&self, refused: Refused) -> Error {
        self.verdict.refuse(refused);
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
    }

    fn check(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms).map_err(|_| {
            self.refuse(Refused {
                code: Code::Untrusted,
                claimed: None,
            })
        })
    }
}

impl Accepting {
    pub(super) fn new(allow: Arc<AllowList>, verdict: Verdict, provider: &CryptoProvider) -> Accepting {
        let algorithms = provider.signature_verification_algorithms;
        Accepting {
            allow,
            judge: Judge { verdict, algorithms },
        }
    }
}

impl Dialling {
    pub(super) fn new(peer: Peer, verdict: Verdict, provider: &CryptoProvider) -> Dialling {
        let algorithms = provider.signature_verification_algorithms;
        Dialling {
            peer,
            judge: Judge { verdict, algorithms },
        }
    }
}

/// The leaf and what came behind it as one chain.
fn chain<'a>(leaf: &CertificateDer<'a>, rest: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    std::iter::once(leaf).chain(rest).cloned().collect()
}

fn wall(now: UnixTime) -> WallTime {
    WallTime(now.as_secs().saturating_mul(1000))
}

/// TLS 1.2 is never offered, so that nobody gets here.
fn no_tls12() -> Error {
    PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into()
}

impl ClientCertVerifier for Accepting {
    /// Empty: hints would tell every stranger who our peers are.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match verify::dialler(&chain(leaf, rest), &self.allow, wall(now)) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(refused) => Err(self.judge.refuse(refused)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.check(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Dialling {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = verify::peer(&chain(leaf, rest), &self.peer, Side::Dialled, wall(now));
        verdict.map(|()| ServerCertVerified::assertion()).map_err(|code| {
            self.judge.refuse(Refused {
                code,
                claimed: Some(self.peer.domain.clone()),
            })
        })
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.check(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.algorithms.supported_schemes()
    }
}
