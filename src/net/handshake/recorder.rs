//! What the library asks while it shakes hands, answered by writing it down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme, SupportedCipherSuite};

use crate::formats::tls::Certificates;
use crate::formats::tls::names;
use crate::net::error::one_line;
use crate::net::tls::ClientPair;

/// The kind of certificate asked for: by offering only its signature schemes and, in TLS 1.2, only
/// its suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyType {
    /// Whichever the server prefers.
    #[default]
    Any,
    /// RSA alone.
    Rsa,
    /// ECDSA and EdDSA alone.
    Ecdsa,
}

/// Whether the server proved that it holds the key of its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Signature {
    /// The handshake ended before.
    #[default]
    NotReached,
    /// It did.
    Verified,
    /// The signature does not verify, or by a key or scheme too weak to be verified: why.
    Invalid(String),
}

/// What one kind of key needs, built once.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) provider: Arc<CryptoProvider>,
    schemes: Vec<SignatureScheme>,
}

const RSA: [SignatureScheme; 7] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    // Without it old servers refuse.
    SignatureScheme::RSA_PKCS1_SHA1,
];

const ECDSA: [SignatureScheme; 6] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    // Not verified by the library, which is told as such.
    SignatureScheme::ED448,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

impl Kit {
    fn new(key_type: KeyType) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        let schemes = match key_type {
            KeyType::Any => [&ECDSA[..], &RSA[..]].concat(),
            KeyType::Rsa => RSA.to_vec(),
            KeyType::Ecdsa => ECDSA.to_vec(),
        };
        let unwanted = match key_type {
            KeyType::Any => None,
            KeyType::Rsa => Some("_ECDSA_"),
            KeyType::Ecdsa => Some("_RSA_"),
        };
        let fits = |suite: &SupportedCipherSuite| {
            let name = names::suite(suite.suite().into());
            unwanted.is_none_or(|unwanted| !name.contains(unwanted))
        };
        provider.cipher_suites.retain(fits);
        Self { provider: Arc::new(provider), schemes }
    }
}

/// The kit of a key type.
pub(super) fn kit(key_type: KeyType) -> &'static Kit {
    static ANY: LazyLock<Kit> = LazyLock::new(|| Kit::new(KeyType::Any));
    static RSA: LazyLock<Kit> = LazyLock::new(|| Kit::new(KeyType::Rsa));
    static ECDSA: LazyLock<Kit> = LazyLock::new(|| Kit::new(KeyType::Ecdsa));
    match key_type {
        KeyType::Any => &ANY,
        KeyType::Rsa => &RSA,
        KeyType::Ecdsa => &ECDSA,
    }
}

/// What was written down.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) chain: Certificates,
    pub(super) staple: Option<Vec<u8>>,
    pub(super) signature: Signature,
}

/// Stands where a verifier would, and lets everything pass.
#[derive(Debug)]
pub(super) struct Recorder {
    kit: &'static Kit,
    record: Mutex<Record>,
}

impl Recorder {
    pub(super) fn new(kit: &'static Kit) -> Self {
        Self { kit, record: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written down, which is then no longer here.
    pub(super) fn take(&self) -> Record {
        std::mem::take(&mut *self.lock())
    }

    fn signature(&self, verdict: Result<HandshakeSignatureValid, Error>) {
        self.lock().signature = match verdict {
            Ok(_) => Signature::Verified,
            Err(error) => Signature::Invalid(one_line(&error)),
        };
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        staple: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut record = self.lock();
        for der in std::iter::once(leaf).chain(rest) {
            record.chain.push(der);
        }
        record.staple = (!staple.is_empty()).then(|| staple.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.kit.provider.signature_verification_algorithms;
        self.signature(verify_tls12_signature(message, leaf, signed, algorithms));
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.kit.provider.signature_verification_algorithms;
        self.signature(verify_tls13_signature(message, leaf, signed, algorithms));
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.kit.schemes.clone()
    }
}

/// Notices that a client certificate is asked for, and gives it if there is one.
#[derive(Debug, Default)]
pub(super) struct Client {
    asked: AtomicBool,
    key: Option<Arc<CertifiedKey>>,
}

impl Client {
    pub(super) fn with((chain, key): ClientPair, kit: &Kit) -> Result<Self, String> {
        let key = CertifiedKey::from_der(chain, key, &kit.provider)
            .map_err(|error| format!("the client certificate and its key cannot be used: {error}"))?;
        Ok(Self { asked: AtomicBool::new(false), key: Some(Arc::new(key)) })
    }

    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Client {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}
