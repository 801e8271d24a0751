//! A certificate (RFC 5280 section 4.1).

use aws_lc_rs::digest;
use serde::Serialize;

use super::der::{self, BIT_STRING, INTEGER, Malformed, Reader, SEQUENCE, bad, constructed, context};
use super::extensions::{Extensions, oid};
use super::general::GeneralName;
use super::key::{Key, Signature};
use super::name::Name;
use super::time::Moment;

/// A certificate, read and not judged. Serializes as facts for people and programs; the encoding
/// itself is at [`Certificate::der`].
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// Whom it is about.
    pub subject: Name,
    /// Who signed it.
    pub issuer: Name,
    /// The serial number in hex, of the encoded bytes; a leading zero byte that only says "not
    /// negative" left out.
    pub serial: String,
    /// From when it is valid, that moment included.
    pub not_before: Moment,
    /// Until when it is valid, that moment included.
    pub not_after: Moment,
    /// The public key.
    pub key: Key,
    /// How it is signed.
    pub signature: Signature,
    /// 1, 2 or 3.
    pub version: u32,
    /// What its extensions say.
    #[serde(flatten)]
    pub extensions: Extensions,
    /// SHA-256 of the certificate, in hex.
    pub sha256: String,
    /// SHA-256 of the key with its algorithm (`SubjectPublicKeyInfo`), in hex.
    pub spki_sha256: String,
    /// Whether subject and issuer are the same name.
    pub self_issued: bool,
    #[serde(skip)]
    raw: Raw,
}

/// The parts of the encoding that signatures need.
#[derive(Clone, Debug)]
struct Raw {
    der: Box<[u8]>,
    serial: Box<[u8]>,
    tbs: Box<[u8]>,
    spki: Box<[u8]>,
    signature_algorithm: Box<[u8]>,
    inner_algorithm: Box<[u8]>,
    signature: Box<[u8]>,
}

/// The longest certificate that is read, in bytes.
pub const LONGEST: usize = 1 << 20;

impl Certificate {
    /// Reads one certificate. What is wrong within an extension does not make the certificate
    /// unreadable ([`Extensions::malformed`]), nor does an odd date ([`Moment::irregular`]).
    ///
    /// # Errors
    /// The bytes are no certificate, are more than one, or are longer than [`LONGEST`].
    pub fn parse(der: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "certificate";
        if der.len() > LONGEST {
            return Err(bad(WHAT, "it is longer than 1 MiB"));
        }
        let mut outer = Reader::new(der::only(der, SEQUENCE, WHAT)?.value);
        let tbs = outer.expect(SEQUENCE, WHAT)?;
        let algorithm = outer.expect(SEQUENCE, "signature algorithm")?;
        let (signature, _) = der::bits(outer.expect(BIT_STRING, "signature")?.value, "signature")?;
        outer.end(WHAT)?;

        let mut fields = Reader::new(tbs.value);
        let version = version(&mut fields)?;
        let serial = fields.expect(INTEGER, "serial number")?.value;
        let inner = fields.expect(SEQUENCE, "signature algorithm")?;
        let issuer = Name::read(&mut fields, "issuer")?;
        let mut validity = fields.inside(SEQUENCE, "validity")?;
        let not_before = Moment::read(&validity.any("validity")?);
        let not_after = Moment::read(&validity.any("validity")?);
        validity.end("validity")?;
        let subject = Name::read(&mut fields, "subject")?;
        let spki = fields.expect(SEQUENCE, "public key")?;
        fields.optional(context(1), WHAT)?;
        fields.optional(context(2), WHAT)?;
        let extensions = match fields.optional(constructed(3), "extensions")? {
            Some(wrapped) => Extensions::read(wrapped.value)?,
            None => Extensions::default(),
        };
        fields.end(WHAT)?;
        Ok(Self {
            self_issued: subject == issuer,
            subject,
            issuer,
            serial: super::short_hex(positive(serial)),
            not_before,
            not_after,
            key: Key::read(spki.whole)?,
            signature: Signature::read(algorithm.value)?,
            version,
            extensions,
            sha256: sha256(der),
            spki_sha256: sha256(spki.whole),
            raw: Raw {
                der: der.into(),
                serial: serial.into(),
                tbs: tbs.whole.into(),
                spki: spki.whole.into(),
                signature_algorithm: algorithm.value.into(),
                inner_algorithm: inner.value.into(),
                signature: signature.into(),
            },
        })
    }

    /// The whole encoding.
    pub fn der(&self) -> &[u8] {
        &self.raw.der
    }

    /// The content of the serial number, as encoded.
    pub fn serial_bytes(&self) -> &[u8] {
        &self.raw.serial
    }

    /// What is signed.
    pub fn tbs(&self) -> &[u8] {
        &self.raw.tbs
    }

    /// The key with its algorithm, the whole encoding.
    pub fn spki(&self) -> &[u8] {
        &self.raw.spki
    }

    /// The content of the signature's algorithm identifier.
    pub fn signature_algorithm(&self) -> &[u8] {
        &self.raw.signature_algorithm
    }

    /// Whether both places that name the signature's algorithm agree (RFC 5280 section 4.1.1.2).
    pub fn algorithms_agree(&self) -> bool {
        self.raw.signature_algorithm == self.raw.inner_algorithm
    }

    /// The signature.
    pub fn signature_bytes(&self) -> &[u8] {
        &self.raw.signature
    }

    /// The alternative names; none where the extension is absent.
    pub fn sans(&self) -> &[GeneralName] {
        self.extensions.sans.as_deref().unwrap_or_default()
    }

    /// Whether it says of itself that it may issue certificates.
    pub fn is_ca(&self) -> bool {
        self.extensions.basic.is_some_and(|basic| basic.ca)
    }

    /// Critical extensions that nothing here understands.
    pub fn unknown_critical(&self) -> impl Iterator<Item = &str> {
        let unknown = |oid: &&str| !oid::UNDERSTOOD.contains(oid);
        let critical = self.extensions.present.iter().filter(|present| present.critical);
        critical.map(|present| present.oid.as_str()).filter(unknown)
    }

    /// The length of its validity in seconds, both ends included; `None` where an end is no time.
    pub fn lifetime(&self) -> Option<i64> {
        self.not_after.seconds?.checked_sub(self.not_before.seconds?)?.checked_add(1)
    }

    /// The share of its lifetime that is left at an instant, from 0 to 1; `None` where an end is no
    /// time, or where the ends are in the wrong order.
    pub fn share_left(&self, at: i64) -> Option<f64> {
        let lifetime = self.lifetime().filter(|lifetime| *lifetime > 0)?;
        let left = self.not_after.seconds?.saturating_sub(at).clamp(0, lifetime);
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
        Some(left as f64 / lifetime as f64)
    }

    /// The most telling short name: the common name of an authority, or of who has it among its
    /// alternative names, else the first of these, else the subject.
    pub fn short_name(&self) -> String {
        let common = self.subject.values(super::name::COMMON_NAME).last().map(super::text::clip);
        let listed = |name: &String| self.sans().iter().any(|san| san.to_string() == *name);
        if !self.is_ca()
            && !common.as_ref().is_some_and(listed)
            && let Some(san) = self.sans().first()
        {
            return san.to_string();
        }
        common.map_or_else(|| self.subject.to_string(), |name| name.escape_debug().to_string())
    }
}

fn version(fields: &mut Reader<'_>) -> Result<u32, Malformed> {
    const WHAT: &str = "version";
    let Some(wrapped) = fields.optional(constructed(0), WHAT)? else {
        return Ok(1);
    };
    let number = der::small(der::only(wrapped.value, INTEGER, WHAT)?.value, WHAT)?;
    if number > 2 { Err(bad(WHAT, "it is unknown")) } else { Ok(number + 1) }
}

fn positive(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        serial => serial,
    }
}

fn sha256(bytes: &[u8]) -> String {
    super::hex(digest::digest(&digest::SHA256, bytes).as_ref())
}
