//! OCSP responses (RFC 6960 section 4.2), read and not judged.

use super::certificate::Certificate;
use super::crl;
use super::der::{
    self, BIT_STRING, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, Reader, SEQUENCE, bad, constructed,
    context,
};
use super::name::Name;
use super::time::Moment;

/// What a responder answered.
#[derive(Clone, Debug)]
pub enum Response {
    /// It answered the question.
    Answered(Box<Basic>),
    /// It answered with an error, by its number (section 4.2.1).
    Refused(u8),
}

/// A signed answer.
#[derive(Clone, Debug)]
pub struct Basic {
    /// Who says to have signed it.
    pub responder: Responder,
    /// When it was signed.
    pub produced_at: Moment,
    /// What is said, certificate by certificate.
    pub singles: Vec<Single>,
    /// Certificates sent along to check the signature with; those that cannot be read are left out.
    pub certificates: Vec<Certificate>,
    /// Critical extensions that nothing here understands.
    pub unknown_critical: Vec<String>,
    tbs: Box<[u8]>,
    signature_algorithm: Box<[u8]>,
    signature: Box<[u8]>,
}

/// How a responder names itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Responder {
    /// By its certificate's subject.
    Name(Name),
    /// By SHA-1 of its key's bits.
    Key(Box<[u8]>),
}

/// What is said of one certificate.
#[derive(Clone, Debug)]
pub struct Single {
    /// Which one.
    pub certificate: CertificateId,
    /// Its state.
    pub status: Status,
    /// From when on that was known to be right.
    pub this_update: Moment,
    /// When the next answer is due.
    pub next_update: Option<Moment>,
    /// Certificate timestamps as [`wrapped_list`](super::sct::wrapped_list) takes them (RFC 6962
    /// section 3.3).
    pub timestamps: Option<Box<[u8]>>,
}

/// A certificate, by hashes of its issuer's name and key and by its serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateId {
    /// The object identifier of the hash.
    pub hash: String,
    /// The hash of the issuer's name.
    pub issuer_name: Box<[u8]>,
    /// The hash of the bits of the issuer's key.
    pub issuer_key: Box<[u8]>,
    /// The content of the encoded serial number.
    pub serial: Box<[u8]>,
}

/// The state of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// Since when.
        since: Moment,
        /// The reason's number (RFC 5280 section 5.3.1).
        reason: Option<u8>,
    },
    /// The responder does not know it.
    Unknown,
}

/// The longest response that is read, in bytes.
pub const LONGEST: usize = 1 << 20;
const MOST_SINGLES: usize = 256;
const MOST_CERTIFICATES: usize = 16;
const ENUMERATED: u8 = 0x0a;
const WHAT: &str = "OCSP response";
const SUCCESSFUL: u8 = 0;
const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";
const TIMESTAMPS: &str = "1.3.6.1.4.1.11129.2.4.5";

impl Response {
    /// Reads one response.
    ///
    /// # Errors
    /// The bytes are no response of the basic type, or are longer than [`LONGEST`].
    pub fn parse(der: &[u8]) -> Result<Self, Malformed> {
        if der.len() > LONGEST {
            return Err(bad(WHAT, "it is longer than 1 MiB"));
        }
        let mut outer = Reader::new(der::only(der, SEQUENCE, WHAT)?.value);
        let status = match outer.expect(ENUMERATED, "response status")?.value {
            [status] => *status,
            _ => return Err(bad("response status", "it is unknown")),
        };
        if status != SUCCESSFUL {
            return Ok(Self::Refused(status));
        }
        let bytes = outer.expect(constructed(0), WHAT)?.value;
        outer.end(WHAT)?;
        let mut bytes = Reader::new(der::only(bytes, SEQUENCE, WHAT)?.value);
        if der::oid(bytes.expect(der::OID, "response type")?.value, "response type")? != BASIC {
            return Err(bad("response type", "it is not the basic one"));
        }
        let answer = bytes.expect(OCTET_STRING, WHAT)?.value;
        bytes.end(WHAT)?;
        Basic::read(answer).map(|basic| Self::Answered(Box::new(basic)))
    }
}

impl Basic {
    fn read(der: &[u8]) -> Result<Self, Malformed> {
        let mut outer = Reader::new(der::only(der, SEQUENCE, WHAT)?.value);
        let tbs = outer.expect(SEQUENCE, WHAT)?;
        let algorithm = outer.expect(SEQUENCE, "signature algorithm")?.value;
        let (signature, _) = der::bits(outer.expect(BIT_STRING, "signature")?.value, "signature")?;
        let certificates = match outer.optional(constructed(0), "certificates")? {
            Some(wrapped) => certificates(wrapped.value)?,
            None => Vec::new(),
        };
        outer.end(WHAT)?;

        let mut fields = Reader::new(tbs.value);
        fields.optional(constructed(0), "version")?;
        let responder = responder(&mut fields)?;
        let produced_at = Moment::read(&fields.expect(GENERALIZED_TIME, "produced at")?);
        let mut unknown_critical = Vec::new();
        let mut list = fields.inside(SEQUENCE, "responses")?;
        let mut singles = Vec::new();
        while !list.is_empty() {
            if singles.len() == MOST_SINGLES {
                return Err(bad("responses", "there are too many"));
            }
            singles.push(single(list.inside(SEQUENCE, "single response")?, &mut unknown_critical)?);
        }
        if let Some(wrapped) = fields.optional(constructed(1), "extensions")? {
            extensions(wrapped.value, &mut unknown_critical)?;
        }
        fields.end(WHAT)?;
        Ok(Self {
            responder,
            produced_at,
            singles,
            certificates,
            unknown_critical,
            tbs: tbs.whole.into(),
            signature_algorithm: algorithm.into(),
            signature: signature.into(),
        })
    }

    /// What is signed.
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// The content of the signature's algorithm identifier.
    pub fn signature_algorithm(&self) -> &[u8] {
        &self.signature_algorithm
    }

    /// The signature.
    pub fn signature_bytes(&self) -> &[u8] {
        &self.signature
    }
}

fn certificates(content: &[u8]) -> Result<Vec<Certificate>, Malformed> {
    let mut list = Reader::new(der::only(content, SEQUENCE, "certificates")?.value);
    let mut certificates = Vec::new();
    while !list.is_empty() {
        let certificate = list.any("certificate")?.whole;
        if certificates.len() < MOST_CERTIFICATES {
            certificates.extend(Certificate::parse(certificate));
        }
    }
    Ok(certificates)
}

fn responder(fields: &mut Reader<'_>) -> Result<Responder, Malformed> {
    const WHAT: &str = "responder";
    let field = fields.any(WHAT)?;
    if field.tag == constructed(1) {
        Name::parse(field.value).map(Responder::Name)
    } else if field.tag == constructed(2) {
        Ok(Responder::Key(der::only(field.value, OCTET_STRING, WHAT)?.value.into()))
    } else {
        Err(bad(WHAT, "it has another type"))
    }
}

fn single(mut fields: Reader<'_>, unknown_critical: &mut Vec<String>) -> Result<Single, Malformed> {
    const WHAT: &str = "single response";
    let certificate = certificate_id(fields.inside(SEQUENCE, WHAT)?)?;
    let status = status(&mut fields)?;
    let this_update = Moment::read(&fields.expect(GENERALIZED_TIME, "this update")?);
    let next_update = match fields.optional(constructed(0), "next update")? {
        Some(wrapped) => Some(Moment::read(&der::only(wrapped.value, GENERALIZED_TIME, "next update")?)),
        None => None,
    };
    let timestamps = match fields.optional(constructed(1), "extensions")? {
        Some(wrapped) => extensions(wrapped.value, unknown_critical)?,
        None => None,
    };
    fields.end(WHAT)?;
    Ok(Single { certificate, status, this_update, next_update, timestamps })
}

fn certificate_id(mut fields: Reader<'_>) -> Result<CertificateId, Malformed> {
    const WHAT: &str = "certificate's identifier";
    let mut algorithm = fields.inside(SEQUENCE, WHAT)?;
    let id = CertificateId {
        hash: der::oid(algorithm.expect(der::OID, WHAT)?.value, WHAT)?,
        issuer_name: fields.expect(OCTET_STRING, WHAT)?.value.into(),
        issuer_key: fields.expect(OCTET_STRING, WHAT)?.value.into(),
        serial: fields.expect(INTEGER, WHAT)?.value.into(),
    };
    fields.end(WHAT)?;
    Ok(id)
}

fn status(fields: &mut Reader<'_>) -> Result<Status, Malformed> {
    const WHAT: &str = "certificate's status";
    let field = fields.any(WHAT)?;
    if field.tag == context(0) {
        return Ok(Status::Good);
    }
    if field.tag == context(2) {
        return Ok(Status::Unknown);
    }
    if field.tag != constructed(1) {
        return Err(bad(WHAT, "it is unknown"));
    }
    let mut revoked = Reader::new(field.value);
    let since = Moment::read(&revoked.expect(GENERALIZED_TIME, WHAT)?);
    let reason = match revoked.optional(constructed(0), WHAT)? {
        Some(wrapped) => der::only(wrapped.value, ENUMERATED, WHAT)?.value.first().copied(),
        None => None,
    };
    Ok(Status::Revoked { since, reason })
}

/// Gives the timestamps among them.
fn extensions(content: &[u8], unknown_critical: &mut Vec<String>) -> Result<Option<Box<[u8]>>, Malformed> {
    let mut list = Reader::new(der::only(content, SEQUENCE, "extensions")?.value);
    let mut timestamps = None;
    while !list.is_empty() {
        let (oid, critical, value) = crl::extension(&mut list)?;
        if oid == TIMESTAMPS {
            timestamps = Some(value.into());
        } else if critical && unknown_critical.len() < 8 {
            unknown_critical.push(oid);
        }
    }
    Ok(timestamps)
}
