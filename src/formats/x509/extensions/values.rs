//! The contents of single extensions.

use super::super::der::{
    self, BIT_STRING, BOOLEAN, INTEGER, Malformed, OCTET_STRING, Reader, SEQUENCE, bad, constructed, context,
};
use super::super::general::{self, Form, GeneralName};
use super::super::{hex, sct, short_hex};
use super::{AuthorityKey, BasicConstraints, KeyUsage, MOST, NameConstraints, PolicyConstraints, Sct};

pub(super) fn push_url(urls: &mut Vec<String>, place: &GeneralName) {
    if let GeneralName::Uri(uri) = place
        && urls.len() < MOST
    {
        urls.push(uri.shown().to_owned());
    }
}

pub(super) fn basic(value: &[u8]) -> Result<BasicConstraints, Malformed> {
    const WHAT: &str = "basic constraints";
    let mut fields = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
    let ca = match fields.optional(BOOLEAN, WHAT)? {
        Some(flag) => der::boolean(flag.value, WHAT)?,
        None => false,
    };
    let path_len =
        fields.optional(INTEGER, WHAT)?.map(|number| der::small(number.value, WHAT)).transpose()?;
    fields.end(WHAT)?;
    Ok(BasicConstraints { ca, path_len })
}

pub(super) fn key_usage(value: &[u8]) -> Result<KeyUsage, Malformed> {
    const WHAT: &str = "key usage";
    let (bytes, _) = der::bits(der::only(value, BIT_STRING, WHAT)?.value, WHAT)?;
    if bytes.len() > 2 {
        return Err(bad(WHAT, "it has too many bits"));
    }
    let bit = |number: usize| {
        let byte = bytes.get(number / 8).copied().unwrap_or(0);
        u16::from(byte & (0x80 >> (number % 8)) != 0) << number
    };
    Ok(KeyUsage((0..9).map(bit).sum()))
}

pub(super) fn oids(value: &[u8], what: &'static str) -> Result<Vec<String>, Malformed> {
    let mut list = Reader::new(der::only(value, SEQUENCE, what)?.value);
    let mut oids = Vec::new();
    while !list.is_empty() {
        oids.push(der::oid(list.expect(der::OID, what)?.value, what)?);
    }
    if oids.is_empty() { Err(bad(what, "it is empty")) } else { Ok(oids) }
}

pub(super) fn authority_key(value: &[u8]) -> Result<AuthorityKey, Malformed> {
    const WHAT: &str = "authority key identifier";
    let mut fields = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
    let key = fields.optional(context(0), WHAT)?.map(|key| short_hex(key.value));
    let issuer = fields.optional(constructed(1), WHAT)?.is_some();
    let serial = fields.optional(context(2), WHAT)?.is_some();
    fields.end(WHAT)?;
    Ok(AuthorityKey { key, issuer, serial })
}

pub(super) fn name_constraints(value: &[u8]) -> Result<NameConstraints, Malformed> {
    const WHAT: &str = "name constraints";
    let mut fields = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
    let permitted = fields.optional(constructed(0), WHAT)?.map(|list| subtrees(list.value)).transpose()?;
    let excluded = fields.optional(constructed(1), WHAT)?.map(|list| subtrees(list.value)).transpose()?;
    fields.end(WHAT)?;
    if permitted.is_none() && excluded.is_none() {
        return Err(bad(WHAT, "it is empty"));
    }
    Ok(NameConstraints { permitted: permitted.unwrap_or_default(), excluded: excluded.unwrap_or_default() })
}

/// `GeneralSubtrees`; RFC 5280 section 4.2.1.10 forbids `minimum` (DER leaves its default out) and
/// `maximum`.
pub(super) fn subtrees(content: &[u8]) -> Result<Vec<GeneralName>, Malformed> {
    const WHAT: &str = "name constraints";
    let mut list = Reader::new(content);
    let mut bases = Vec::new();
    while !list.is_empty() {
        let mut fields = list.inside(SEQUENCE, WHAT)?;
        bases.push(general::read(&mut fields, Form::Subtree, WHAT)?);
        fields.end(WHAT)?;
    }
    if bases.is_empty() { Err(bad(WHAT, "it is empty")) } else { Ok(bases) }
}

pub(super) fn policies(value: &[u8]) -> Result<Vec<String>, Malformed> {
    const WHAT: &str = "certificate policies";
    let mut list = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
    let mut policies = Vec::new();
    while !list.is_empty() {
        let mut fields = list.inside(SEQUENCE, WHAT)?;
        let policy = der::oid(fields.expect(der::OID, WHAT)?.value, WHAT)?;
        if policies.contains(&policy) {
            return Err(bad(WHAT, "it names a policy twice"));
        }
        if policies.len() == MOST {
            return Err(bad(WHAT, "it has too many policies"));
        }
        policies.push(policy);
    }
    if policies.is_empty() { Err(bad(WHAT, "it is empty")) } else { Ok(policies) }
}

pub(super) fn policy_mappings(value: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    const WHAT: &str = "policy mappings";
    let mut list = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
    let mut mappings = Vec::new();
    while !list.is_empty() {
        let mut fields = list.inside(SEQUENCE, WHAT)?;
        let mut next = || der::oid(fields.expect(der::OID, WHAT)?.value, WHAT);
        mappings.push((next()?, next()?));
        if mappings.len() > MOST {
            return Err(bad(WHAT, "it has too many mappings"));
        }
    }
    if mappings.is_empty() { Err(bad(WHAT, "it is empty")) } else { Ok(mappings) }
}

pub(super) fn policy_constraints(value: &[u8]) -> Result<PolicyConstraints, Malformed> {
    const WHAT: &str = "policy constraints";
    let mut fields = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
    let mut count = |tag| fields.optional(context(tag), WHAT)?.map(|n| der::small(n.value, WHAT)).transpose();
    let constraints = PolicyConstraints { require_explicit: count(0)?, inhibit_mapping: count(1)? };
    fields.end(WHAT)?;
    if constraints == PolicyConstraints::default() { Err(bad(WHAT, "it is empty")) } else { Ok(constraints) }
}

/// The URIs of the distribution points (RFC 5280 section 4.2.1.13).
pub(super) fn crl_urls(value: &[u8]) -> Result<Vec<String>, Malformed> {
    const WHAT: &str = "CRL distribution points";
    let mut list = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
    let mut urls = Vec::new();
    while !list.is_empty() {
        let mut point = list.inside(SEQUENCE, WHAT)?;
        let Some(name) = point.optional(constructed(0), WHAT)? else { continue };
        let mut name = Reader::new(name.value);
        let Some(full) = name.optional(constructed(0), WHAT)? else { continue };
        let mut full = Reader::new(full.value);
        while !full.is_empty() {
            push_url(&mut urls, &general::read(&mut full, Form::Name, WHAT)?);
        }
    }
    Ok(urls)
}

/// Whether `status_request` is among the TLS features.
pub(super) fn tls_features(value: &[u8]) -> Result<bool, Malformed> {
    const WHAT: &str = "TLS features";
    const STATUS_REQUEST: u32 = 5;
    let mut list = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
    let mut demanded = false;
    while !list.is_empty() {
        demanded |= der::small(list.expect(INTEGER, WHAT)?.value, WHAT)? == STATUS_REQUEST;
    }
    Ok(demanded)
}

/// The list of RFC 6962 section 3.3: TLS encoding inside an OCTET STRING.
pub(super) fn scts(value: &[u8]) -> Result<Vec<Sct>, Malformed> {
    let list = der::only(value, OCTET_STRING, "certificate timestamps")?.value;
    let stamps = sct::list(list)?.into_iter();
    Ok(stamps.map(|stamp| Sct { log: hex(&stamp.log), timestamp_ms: stamp.timestamp_ms }).collect())
}
