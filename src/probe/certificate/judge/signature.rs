//! Signatures of certificates, revocation lists and OCSP responses.

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RsaParameters, UnparsedPublicKey,
};
use webpki::ALL_VERIFICATION_ALGS;

use crate::formats::x509::ocsp::Basic;
use crate::formats::x509::{Certificate, Crl, spki_parts};

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It holds.
    Good,
    /// It holds, but by an algorithm or a key that clients refuse.
    Weak,
    /// It cannot be verified here: the algorithm is not known.
    Unsupported,
    /// It does not hold.
    Bad,
}

/// Verifies a certificate's signature by its issuer's key.
pub fn of_certificate(certificate: &Certificate, issuer_spki: &[u8]) -> Check {
    let (algorithm, signature) = (certificate.signature_algorithm(), certificate.signature_bytes());
    check(issuer_spki, algorithm, certificate.tbs(), signature)
}

/// Verifies a revocation list's signature by its issuer's key.
pub fn of_crl(crl: &Crl, issuer_spki: &[u8]) -> Check {
    check(issuer_spki, crl.signature_algorithm(), crl.tbs(), crl.signature_bytes())
}

/// Verifies an OCSP response's signature by its responder's key.
pub fn of_ocsp(basic: &Basic, responder_spki: &[u8]) -> Check {
    check(responder_spki, basic.signature_algorithm(), basic.tbs(), basic.signature_bytes())
}

fn check(spki: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> Check {
    let Ok((key_algorithm, key)) = spki_parts(spki) else {
        return Check::Unsupported;
    };
    let of_signature =
        || ALL_VERIFICATION_ALGS.iter().filter(|known| known.signature_alg_id().as_ref() == algorithm);
    let of_both = of_signature().filter(|known| known.public_key_alg_id().as_ref() == key_algorithm);
    let mut known_key = ALL_VERIFICATION_ALGS.iter().map(|known| known.public_key_alg_id());
    for known in of_both {
        if known.verify_signature(key, message, signature).is_ok() {
            return Check::Good;
        }
    }
    if let Some(legacy) = legacy(key_algorithm, algorithm) {
        let holds = UnparsedPublicKey::new(legacy, key).verify(message, signature).is_ok();
        return if holds { Check::Weak } else { Check::Bad };
    }
    let known = of_signature().next().is_some() && known_key.any(|known| known.as_ref() == key_algorithm);
    if known { Check::Bad } else { Check::Unsupported }
}

/// RSA as it was once used: keys of 1024 bits, SHA-1. Verified so that what is wrong can be told
/// apart; never taken for good.
fn legacy(key_algorithm: &[u8], algorithm: &[u8]) -> Option<&'static RsaParameters> {
    const PKCS1: [u8; 10] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    let number = |content: &[u8]| content.strip_prefix(&PKCS1).and_then(|rest| rest.first().copied());
    if number(key_algorithm) != Some(1) {
        return None;
    }
    match number(algorithm)? {
        5 => Some(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
        11 => Some(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        13 => Some(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        _ => None,
    }
}
