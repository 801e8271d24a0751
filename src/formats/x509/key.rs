//! Public keys and signature algorithms, told apart by their object identifiers (RFC 3279, 4055,
//! 5480, 8410). The size of a key on a curve follows from the curve: the length of its point does not
//! say it (P-521 points have 528 bits, those of Ed25519 carry no size).

use serde::Serialize;

use super::der::{self, BIT_STRING, INTEGER, Malformed, Reader, SEQUENCE};

/// The family of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// RSA, the PSS-only form too.
    Rsa,
    /// A key on a curve for ECDSA.
    Ecdsa,
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// DSA.
    Dsa,
    /// Something else, named by `algorithm`.
    Other,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Its family.
    pub algorithm: KeyKind,
    /// The object identifier of the algorithm.
    pub oid: String,
    /// The curve: its common name, or its object identifier; `explicit` where the key spells its
    /// curve out, which RFC 5480 section 2.1.1 forbids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<String>,
    /// The size in bits; `None` where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// RSA's public exponent where it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponent: Option<u64>,
}

/// What `curve` says of a key that spells its curve out.
pub const EXPLICIT: &str = "explicit";

/// Curves by object identifier.
const CURVES: &[(&str, &str, u32)] = &[
    ("1.2.840.10045.3.1.1", "P-192", 192),
    ("1.3.132.0.33", "P-224", 224),
    ("1.2.840.10045.3.1.7", "P-256", 256),
    ("1.3.132.0.34", "P-384", 384),
    ("1.3.132.0.35", "P-521", 521),
    ("1.3.132.0.10", "secp256k1", 256),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", 256),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1", 384),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1", 512),
];

impl Key {
    pub(super) fn read(spki: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "public key";
        let mut reader = Reader::new(spki);
        let mut fields = reader.inside(SEQUENCE, WHAT)?;
        let mut algorithm = fields.inside(SEQUENCE, WHAT)?;
        let oid = der::oid(algorithm.expect(der::OID, WHAT)?.value, WHAT)?;
        let parameters = if algorithm.is_empty() { None } else { Some(algorithm.any(WHAT)?) };
        let (key, _) = der::bits(fields.expect(BIT_STRING, WHAT)?.value, WHAT)?;
        fields.end(WHAT)?;
        let plain = |algorithm, bits| Self { algorithm, oid: oid.clone(), curve: None, bits, exponent: None };
        Ok(match oid.as_str() {
            "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => {
                let (bits, exponent) = rsa(key)?;
                Self { exponent, ..plain(KeyKind::Rsa, Some(bits)) }
            }
            "1.2.840.10045.2.1" => {
                let (curve, bits) = match parameters {
                    Some(named) if named.tag == der::OID => curve(&der::oid(named.value, WHAT)?),
                    _ => (EXPLICIT.to_owned(), None),
                };
                Self { curve: Some(curve), ..plain(KeyKind::Ecdsa, bits) }
            }
            "1.3.101.112" => plain(KeyKind::Ed25519, Some(256)),
            "1.3.101.113" => plain(KeyKind::Ed448, Some(456)),
            "1.2.840.10040.4.1" => plain(KeyKind::Dsa, parameters.and_then(|all| dsa(all.value).ok())),
            _ => plain(KeyKind::Other, None),
        })
    }

    /// The key in a few words, such as `RSA 2048` or `ECDSA P-256`.
    pub fn words(&self) -> String {
        match (self.algorithm, &self.curve, self.bits) {
            (KeyKind::Ecdsa, Some(curve), _) => format!("ECDSA {curve}"),
            (KeyKind::Rsa, _, Some(bits)) => format!("RSA {bits}"),
            (KeyKind::Dsa, _, Some(bits)) => format!("DSA {bits}"),
            (KeyKind::Dsa, _, None) => "DSA".to_owned(),
            (KeyKind::Ed25519, ..) => "Ed25519".to_owned(),
            (KeyKind::Ed448, ..) => "Ed448".to_owned(),
            _ => self.oid.clone(),
        }
    }
}

fn curve(oid: &str) -> (String, Option<u32>) {
    match CURVES.iter().find(|(known, ..)| *known == oid) {
        Some((_, name, bits)) => ((*name).to_owned(), Some(*bits)),
        None => (oid.to_owned(), None),
    }
}

/// The modulus of an RSA key (`SubjectPublicKeyInfo`), most significant byte first; `None` where the
/// key is of another kind.
pub fn rsa_modulus(spki: &[u8]) -> Option<&[u8]> {
    const WHAT: &str = "RSA key";
    /// `rsaEncryption` and `id-RSASSA-PSS`, but for the last byte.
    const PKCS1: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    let (algorithm, key) = super::spki_parts(spki).ok()?;
    if !matches!(algorithm.strip_prefix(PKCS1)?.first()?, 1 | 10) {
        return None;
    }
    Some(Reader::new(der::only(key, SEQUENCE, WHAT).ok()?.value).expect(INTEGER, WHAT).ok()?.value)
}

/// The size of an RSA key that stands in a `SubjectPublicKeyInfo`, or bare as an `RSAPublicKey`.
///
/// # Errors
/// It is neither.
pub fn rsa_bits(key: &[u8]) -> Result<u32, Malformed> {
    match super::spki_parts(key) {
        Ok((_, bare)) => rsa(bare),
        Err(_) => rsa(key),
    }
    .map(|(bits, _)| bits)
}

/// The size of the modulus and the exponent. A modulus that lacks the zero before its first bit
/// counts as the number that was meant.
fn rsa(key: &[u8]) -> Result<(u32, Option<u64>), Malformed> {
    const WHAT: &str = "RSA key";
    let mut reader = Reader::new(der::only(key, SEQUENCE, WHAT)?.value);
    let modulus = reader.expect(INTEGER, WHAT)?.value;
    let exponent = reader.expect(INTEGER, WHAT)?.value;
    let number = exponent
        .iter()
        .try_fold(0_u64, |number, byte| number.checked_mul(256).map(|number| number | u64::from(*byte)));
    Ok((bit_length(modulus), number))
}

fn dsa(parameters: &[u8]) -> Result<u32, Malformed> {
    const WHAT: &str = "DSA parameters";
    Ok(bit_length(Reader::new(parameters).expect(INTEGER, WHAT)?.value))
}

fn bit_length(number: &[u8]) -> u32 {
    let digits =
        number.iter().position(|byte| *byte != 0).and_then(|at| number.get(at..)).unwrap_or_default();
    let first = digits.first().map_or(0, |first| 8 - first.leading_zeros());
    let rest = u32::try_from(digits.len().saturating_sub(1)).unwrap_or(u32::MAX / 8);
    first + rest.saturating_mul(8)
}

/// A hash that a signature is made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    /// MD2.
    Md2,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a signature is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Its common name, else its object identifier.
    pub name: String,
    /// The object identifier.
    pub oid: String,
    /// The hash, where the algorithm names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
}

/// Signature algorithms by object identifier.
const SIGNATURES: &[(&str, &str, Option<Hash>)] = &[
    ("1.2.840.113549.1.1.2", "RSA with MD2", Some(Hash::Md2)),
    ("1.2.840.113549.1.1.4", "RSA with MD5", Some(Hash::Md5)),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1", Some(Hash::Sha1)),
    ("1.3.14.3.2.29", "RSA with SHA-1", Some(Hash::Sha1)),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224", Some(Hash::Sha224)),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256", Some(Hash::Sha256)),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384", Some(Hash::Sha384)),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512", Some(Hash::Sha512)),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1", Some(Hash::Sha1)),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224", Some(Hash::Sha224)),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256", Some(Hash::Sha256)),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384", Some(Hash::Sha384)),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512", Some(Hash::Sha512)),
    ("1.2.840.10040.4.3", "DSA with SHA-1", Some(Hash::Sha1)),
    ("2.16.840.1.101.3.4.3.1", "DSA with SHA-224", Some(Hash::Sha224)),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256", Some(Hash::Sha256)),
    ("1.3.101.112", "Ed25519", None),
    ("1.3.101.113", "Ed448", None),
];

/// RSA-PSS, whose hash stands in its parameters (RFC 4055 section 3.1).
const PSS: &str = "1.2.840.113549.1.1.10";
const HASHES: &[(&str, Hash, &str)] = &[
    ("1.3.14.3.2.26", Hash::Sha1, "SHA-1"),
    ("2.16.840.1.101.3.4.2.4", Hash::Sha224, "SHA-224"),
    ("2.16.840.1.101.3.4.2.1", Hash::Sha256, "SHA-256"),
    ("2.16.840.1.101.3.4.2.2", Hash::Sha384, "SHA-384"),
    ("2.16.840.1.101.3.4.2.3", Hash::Sha512, "SHA-512"),
];

impl Signature {
    /// Reads the content of an `AlgorithmIdentifier`.
    pub(super) fn read(content: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "signature algorithm";
        let mut reader = Reader::new(content);
        let oid = der::oid(reader.expect(der::OID, WHAT)?.value, WHAT)?;
        if oid == PSS {
            let (hash, name) = pss_hash(reader).unwrap_or((Hash::Sha1, "SHA-1"));
            return Ok(Self { name: format!("RSA-PSS with {name}"), oid, hash: Some(hash) });
        }
        let known = SIGNATURES.iter().find(|(known, ..)| *known == oid);
        let name = known.map_or(oid.clone(), |(_, name, _)| (*name).to_owned());
        Ok(Self { name, oid, hash: known.and_then(|(.., hash)| *hash) })
    }
}

/// Without the field the hash is SHA-1.
fn pss_hash(mut reader: Reader<'_>) -> Option<(Hash, &'static str)> {
    const WHAT: &str = "PSS parameters";
    let mut parameters = reader.inside(SEQUENCE, WHAT).ok()?;
    let mut field = Reader::new(parameters.optional(der::constructed(0), WHAT).ok()??.value);
    let mut algorithm = field.inside(SEQUENCE, WHAT).ok()?;
    let oid = der::oid(algorithm.expect(der::OID, WHAT).ok()?.value, WHAT).ok()?;
    HASHES.iter().find(|(known, ..)| *known == oid).map(|(_, hash, name)| (*hash, *name))
}
