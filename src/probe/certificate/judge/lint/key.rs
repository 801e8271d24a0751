//! The key of any certificate.

use super::super::docs;
use super::super::fault::Fault;
use super::{Role, Seen};
use crate::formats::x509::key::EXPLICIT;
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
