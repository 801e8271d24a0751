//! Certificate revocation lists (RFC 5280 section 5).

use std::collections::HashMap;

use super::der::{
    self, BIT_STRING, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, Reader, SEQUENCE, UTC_TIME, bad,
    constructed, context,
};
use super::general::{self, Form, GeneralName};
use super::name::Name;
use super::time::Moment;

/// A revocation list, read and not judged.
#[derive(Clone, Debug)]
pub struct Crl {
    /// Who signed it.
    pub issuer: Name,
    /// When it was made.
    pub this_update: Moment,
    /// When the next one is due; RFC 5280 section 5.1.2.5 asks for it.
    pub next_update: Option<Moment>,
    /// Whether its number is there and whether that extension is critical.
    pub number_critical: Option<bool>,
    /// Critical extensions that nothing here understands.
    pub unknown_critical: Vec<String>,
    /// Why a list of this form says nothing for sure here: delta, indirect, by reasons.
    pub unsupported: Option<&'static str>,
    /// Which certificates it covers.
    pub scope: Scope,
    /// Where it is published, if it covers only certificates that name one of these places: large
    /// authorities split their lists. `None` for a whole list.
    pub places: Option<Vec<String>>,
    /// Whether the algorithm is named alike in both places.
    pub algorithms_agree: bool,
    revoked: HashMap<Box<[u8]>, Revoked>,
    tbs: Box<[u8]>,
    signature_algorithm: Box<[u8]>,
    signature: Box<[u8]>,
}

/// One revoked certificate.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// Since when.
    pub since: Moment,
    /// The reason's number (RFC 5280 section 5.3.1), if one is given.
    pub reason: Option<u8>,
}

/// Which certificates a list covers (RFC 5280 section 5.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of the issuer's.
    #[default]
    All,
    /// Those that may not issue certificates.
    Users,
    /// Those that may.
    Authorities,
    /// None that this program looks at.
    Neither,
}

/// The longest list that is read, in bytes; the largest of public authorities have tens of MiB.
pub const LONGEST: usize = 64 << 20;

impl Crl {
    /// Reads one list.
    ///
    /// # Errors
    /// The bytes are no revocation list, or are longer than [`LONGEST`].
    pub fn parse(der: &[u8]) -> Result<Self, Malformed> {
        Self::parse_entries(der, &|_| true)
    }

    /// Reads one list, of its entries only those of these serial numbers, given as their encoded
    /// content: a list of tens of MiB is asked about a handful.
    ///
    /// # Errors
    /// The same as of [`Crl::parse`].
    pub fn parse_about(der: &[u8], serials: &[&[u8]]) -> Result<Self, Malformed> {
        Self::parse_entries(der, &|serial| serials.contains(&serial))
    }

    fn parse_entries(der: &[u8], wanted: &dyn Fn(&[u8]) -> bool) -> Result<Self, Malformed> {
        const WHAT: &str = "revocation list";
        if der.len() > LONGEST {
            return Err(bad(WHAT, "it is longer than 64 MiB"));
        }
        let mut outer = Reader::new(der::only(der, SEQUENCE, WHAT)?.value);
        let tbs = outer.expect(SEQUENCE, WHAT)?;
        let algorithm = outer.expect(SEQUENCE, "signature algorithm")?;
        let (signature, _) = der::bits(outer.expect(BIT_STRING, "signature")?.value, "signature")?;
        outer.end(WHAT)?;

        let mut fields = Reader::new(tbs.value);
        fields.optional(INTEGER, "version")?;
        let inner = fields.expect(SEQUENCE, "signature algorithm")?;
        let issuer = Name::read(&mut fields, "issuer")?;
        let this_update = Moment::read(&fields.any("this update")?);
        let next_update = match fields.peek() {
            Some(UTC_TIME | GENERALIZED_TIME) => Some(Moment::read(&fields.any("next update")?)),
            _ => None,
        };
        let revoked = match fields.optional(SEQUENCE, "revoked certificates")? {
            Some(list) => entries(list.value, wanted)?,
            None => Entries::default(),
        };
        let mut list = Self {
            issuer,
            this_update,
            next_update,
            number_critical: None,
            unknown_critical: revoked.unknown_critical,
            unsupported: revoked.indirect.then_some("it is indirect"),
            scope: Scope::All,
            places: None,
            algorithms_agree: algorithm.value == inner.value,
            revoked: revoked.by_serial,
            tbs: tbs.whole.into(),
            signature_algorithm: algorithm.value.into(),
            signature: signature.into(),
        };
        if let Some(wrapped) = fields.optional(constructed(0), "extensions")? {
            list.extensions(wrapped.value)?;
        }
        fields.end(WHAT)?;
        Ok(list)
    }

    /// The entry of a serial number, given as its encoded content.
    pub fn entry(&self, serial: &[u8]) -> Option<&Revoked> {
        self.revoked.get(serial)
    }

    /// How many entries were read.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether no entry was read.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
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

    fn extensions(&mut self, content: &[u8]) -> Result<(), Malformed> {
        let mut list = Reader::new(der::only(content, SEQUENCE, "extensions")?.value);
        while !list.is_empty() {
            let (oid, critical, value) = extension(&mut list)?;
            match oid.as_str() {
                "2.5.29.20" => {
                    der::integer(der::only(value, INTEGER, "CRL number")?.value, "CRL number")?;
                    self.number_critical = Some(critical);
                }
                "2.5.29.27" => self.unsupported = Some("it is a delta"),
                "2.5.29.28" => self.distribution_point(value)?,
                // The key identifier of the authority: a hint that nothing depends on.
                "2.5.29.35" => {}
                _ if critical => self.unknown_critical.push(oid),
                _ => {}
            }
        }
        Ok(())
    }

    /// RFC 5280 section 5.2.5.
    fn distribution_point(&mut self, value: &[u8]) -> Result<(), Malformed> {
        const WHAT: &str = "issuing distribution point";
        let mut fields = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
        if let Some(point) = fields.optional(constructed(0), WHAT)? {
            let mut name = Reader::new(point.value);
            match name.optional(constructed(0), WHAT)? {
                Some(full) => self.places = Some(places(full.value)?),
                None => self.unsupported = Some("it is published at a relative place"),
            }
        }
        let mut flag = |tag| match fields.optional(context(tag), WHAT)? {
            Some(flag) => der::boolean(flag.value, WHAT),
            None => Ok(false),
        };
        let (users, authorities) = (flag(1)?, flag(2)?);
        let reasons = fields.optional(context(3), WHAT)?.is_some();
        let mut flag = |tag| match fields.optional(context(tag), WHAT)? {
            Some(flag) => der::boolean(flag.value, WHAT),
            None => Ok(false),
        };
        let (indirect, attributes) = (flag(4)?, flag(5)?);
        fields.end(WHAT)?;
        if indirect {
            self.unsupported = Some("it is indirect");
        } else if reasons {
            self.unsupported = Some("it covers some reasons alone");
        }
        self.scope = match (users, authorities, attributes) {
            (false, false, false) => Scope::All,
            (true, false, false) => Scope::Users,
            (false, true, false) => Scope::Authorities,
            _ => Scope::Neither,
        };
        Ok(())
    }
}

fn places(content: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut names = Reader::new(content);
    let mut places = Vec::new();
    while !names.is_empty() {
        if let GeneralName::Uri(uri) = general::read(&mut names, Form::Name, "issuing distribution point")? {
            places.push(uri.shown().to_owned());
        }
    }
    Ok(places)
}

#[derive(Default)]
struct Entries {
    by_serial: HashMap<Box<[u8]>, Revoked>,
    unknown_critical: Vec<String>,
    indirect: bool,
}

fn entries(content: &[u8], wanted: &dyn Fn(&[u8]) -> bool) -> Result<Entries, Malformed> {
    const WHAT: &str = "revoked certificate";
    let mut list = Reader::new(content);
    let mut all = Entries::default();
    while !list.is_empty() {
        let mut fields = list.inside(SEQUENCE, WHAT)?;
        let serial = fields.expect(INTEGER, WHAT)?.value;
        let (since, mut reason) = (fields.any(WHAT)?, None);
        if let Some(extensions) = fields.optional(SEQUENCE, WHAT)? {
            let mut extensions = Reader::new(extensions.value);
            while !extensions.is_empty() {
                let (oid, critical, value) = extension(&mut extensions)?;
                match oid.as_str() {
                    "2.5.29.21" => reason = der::only(value, 0x0a, WHAT)?.value.first().copied(),
                    "2.5.29.29" => all.indirect = true,
                    _ if critical && all.unknown_critical.len() < 8 => all.unknown_critical.push(oid),
                    _ => {}
                }
            }
        }
        if wanted(serial) {
            all.by_serial.insert(serial.into(), Revoked { since: Moment::read(&since), reason });
        }
    }
    Ok(all)
}

/// One extension: its identifier, whether it is critical, and its value.
pub(super) fn extension<'a>(list: &mut Reader<'a>) -> Result<(String, bool, &'a [u8]), Malformed> {
    const WHAT: &str = "extension";
    let mut fields = list.inside(SEQUENCE, WHAT)?;
    let oid = der::oid(fields.expect(der::OID, WHAT)?.value, WHAT)?;
    let critical = match fields.optional(der::BOOLEAN, WHAT)? {
        Some(flag) => der::boolean(flag.value, WHAT)?,
        None => false,
    };
    let value = fields.expect(OCTET_STRING, WHAT)?.value;
    fields.end(WHAT)?;
    Ok((oid, critical, value))
}
