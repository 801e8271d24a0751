//! X.509 certificates and revocation lists (RFC 5280), read and not judged.
//!
//! The reader is our own because a monitor must describe what is broken: the common parsers refuse
//! a whole certificate for a date without a zone or for one name that is not UTF-8, and tell the size
//! of some keys wrong. What cannot be read within an extension is told beside what can.

mod certificate;
pub mod crl;
mod der;
pub mod extensions;
pub mod general;
pub mod key;
pub mod name;
pub mod ocsp;
pub mod pem;
pub mod pkcs7;
pub mod sct;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub use certificate::{Certificate, LONGEST};
pub use crl::Crl;
pub use der::Malformed;
pub use extensions::{Extensions, oid};
pub use general::GeneralName;
pub use key::{Hash, Key, KeyKind, Signature, rsa_bits};
pub use name::Name;
pub use time::Moment;

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

/// Identifiers of certificates as hex: of the longest ones only the beginning, to bound what a
/// certificate can make us keep.
fn short_hex(bytes: &[u8]) -> String {
    const LONGEST: usize = 64;
    hex(bytes.get(..LONGEST).unwrap_or(bytes))
}

/// The parts of an encoded algorithm identifier's or key's outer SEQUENCE that verifiers ask for:
/// the content of the algorithm identifier and the key's bits.
///
/// # Errors
/// The bytes are no `SubjectPublicKeyInfo`.
pub fn spki_parts(spki: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    const WHAT: &str = "public key";
    let mut fields = der::Reader::new(der::only(spki, der::SEQUENCE, WHAT)?.value);
    let algorithm = fields.expect(der::SEQUENCE, WHAT)?.value;
    let (key, _) = der::bits(fields.expect(der::BIT_STRING, WHAT)?.value, WHAT)?;
    Ok((algorithm, key))
}

/// Bytes wrapped as the content of a SEQUENCE.
pub fn sequence(content: &[u8]) -> Vec<u8> {
    wrapped(der::SEQUENCE, content)
}

/// Bytes wrapped as the content of an element.
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = length.iter().position(|byte| *byte != 0).and_then(|at| length.get(at..)).unwrap_or(&[0]);
    let mut der = vec![tag];
    if content.len() >= 0x80 {
        der.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
    }
    der.extend(digits);
    der.extend(content);
    der
}
