//! The key of any certificate. Keys from Debian's broken generator of 2008 (CVE-2008-0166) are not
//! looked for: that takes a list of all of them.

use super::super::docs;
use super::super::fault::Fault;
use super::{Role, Seen};
use crate::formats::x509::key::{EXPLICIT, rsa_modulus};
use crate::formats::x509::{Key, KeyKind};
use crate::model::Severity;

/// BR 6.1.5 and 6.1.6. Ed25519 and Ed448 are not for public authorities, but sound.
pub fn weak(seen: &Seen<'_>) -> Option<Fault> {
    let (why, severity) = trouble(&seen.certificate.key)?;
    let summary = format!("its key ({}) {why}", seen.certificate.key.words());
    Some(Fault { severity, ..Fault::strict(&docs::KEY_WEAK, seen.position, summary) })
}

fn trouble(key: &Key) -> Option<(&'static str, Severity)> {
    use Severity::{Critical, Warning};
    match (key.algorithm, key.bits, key.curve.as_deref()) {
        (KeyKind::Rsa, None | Some(0..2048), _) => Some(("is too short", Critical)),
        (KeyKind::Rsa, Some(bits), _) if bits % 8 != 0 => {
            Some(("has a size that is no whole number of bytes", Warning))
        }
        (KeyKind::Rsa, ..) if key.exponent.is_some_and(|e| e < 3 || e % 2 == 0) => {
            Some(("has a weak exponent", Critical))
        }
        (KeyKind::Rsa | KeyKind::Ed25519 | KeyKind::Ed448, ..) => None,
        (KeyKind::Ecdsa, _, Some("P-256" | "P-384" | "P-521")) => None,
        (KeyKind::Ecdsa, _, Some(EXPLICIT)) => Some(("spells its curve out instead of naming it", Critical)),
        (KeyKind::Ecdsa, Some(256..), _) => Some(("is on a curve that browsers do not know", Warning)),
        (KeyKind::Ecdsa, ..) => Some(("is on a weak or unknown curve", Critical)),
        (KeyKind::Dsa, ..) => Some(("is of a kind that clients gave up", Critical)),
        (KeyKind::Other, ..) => Some(("is of a kind that clients do not know", Critical)),
    }
}

/// NCSC-NL asks for 3072 bits from new keys; the leaf's is the one that the user chooses.
pub fn short(seen: &Seen<'_>) -> Option<Fault> {
    let key = &seen.certificate.key;
    let short =
        seen.role == Role::Leaf && key.algorithm == KeyKind::Rsa && matches!(key.bits, Some(2048..3072));
    short.then(|| Fault::note(&docs::KEY_SHORT, seen.position, format!("its key is {}", key.words())))
}

/// CVE-2017-15361.
pub fn roca(seen: &Seen<'_>) -> Option<Fault> {
    let modulus = rsa_modulus(seen.certificate.spki())?;
    let summary = "its RSA key has the mark of a broken generator (ROCA)";
    is_roca(modulus).then(|| Fault::note(&docs::KEY_ROCA, seen.position, summary))
}

/// Whether a modulus is a power of 65537 modulo each small prime, as those of the broken generator are:
/// the test of "The Return of Coppersmith's Attack" (2017), section 3. Of other keys one in 2^27 is.
fn is_roca(modulus: &[u8]) -> bool {
    let prime = |number: &u32| (2..*number).all(|divisor| !number.is_multiple_of(divisor));
    (3..=167).filter(prime).all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * 65_537 % prime;
            power == rest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 65537 to some power, most significant byte first.
    fn power(exponent: u32) -> Vec<u8> {
        let mut digits = vec![1_u8];
        for _ in 0..exponent {
            // Times 2^16, plus itself.
            let mut sum = [&[0, 0][..], &digits].concat();
            let mut carry = 0;
            for (at, digit) in sum.iter_mut().enumerate() {
                let all = u32::from(*digit) + u32::from(digits.get(at).copied().unwrap_or(0)) + carry;
                *digit = u8::try_from(all % 256).unwrap();
                carry = all / 256;
            }
            sum.extend(u8::try_from(carry).ok().filter(|carry| *carry > 0));
            digits = sum;
        }
        digits.reverse();
        digits
    }

    #[test]
    fn keys_of_the_broken_generator_are_known_by_their_mark_and_others_are_not() {
        assert_eq!(power(1), [1, 0, 1]);
        assert_eq!(power(2), [1, 0, 2, 0, 1]);
        for exponent in [1, 64, 127, 128] {
            let mut modulus = power(exponent);
            assert!(is_roca(&modulus), "{exponent}");
            *modulus.last_mut().unwrap() ^= 6;
            assert!(!is_roca(&modulus), "{exponent}");
        }
        assert!(!is_roca(&[]));
    }

    #[test]
    fn the_modulus_of_a_certificate_is_what_is_looked_at() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        assert_eq!(rsa_modulus(&rcgen::PublicKeyData::subject_public_key_info(&key)), None);
        let rsa = webpki_roots::TLS_SERVER_ROOTS.iter().find_map(|root| {
            let spki = crate::formats::x509::sequence(&root.subject_public_key_info);
            rsa_modulus(&spki).map(<[u8]>::to_vec)
        });
        let rsa = rsa.unwrap();
        assert!(rsa.len() > 256 && !is_roca(&rsa));
    }
}
