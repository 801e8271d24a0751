//! One property.

use super::value::{self, Fault, Reader, bad};
use crate::formats::dns::Caa;

/// A property, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// An authority that does not know the tag must not issue.
    pub critical: bool,
    /// The other bits of its flags. They mean nothing and authorities pass them over (RFC 8659 section
    /// 4.1); who sets them, mostly as 1, meant "critical".
    pub reserved: u8,
    /// The tag in lower case.
    pub tag: String,
    /// What it says.
    pub kind: Kind,
}

/// What a property says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who may issue certificates (RFC 8659 section 4.2).
    Issue(Issuer),
    /// Who may issue certificates with a wildcard (RFC 8659 section 4.3).
    IssueWild(Issuer),
    /// Who may issue certificates for mail (RFC 9495).
    IssueMail(Issuer),
    /// Who may issue mark certificates (BIMI).
    IssueVmc(Issuer),
    /// Where violations are reported: a `mailto:`, `http:` or `https:` URL (RFC 8659 section 4.4).
    Iodef(String),
    /// Whom authorities may write to (baseline requirements, appendix A.1.1).
    ContactEmail(String),
    /// Whom authorities may call (baseline requirements, appendix A.1.2).
    ContactPhone(String),
    /// A tag that is not known here.
    Unknown(Vec<u8>),
}

/// An authority, or nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuer {
    /// The domain that the authority goes by; `None` is nobody.
    pub domain: Option<String>,
    /// What else has to hold, in the order written.
    pub parameters: Vec<Parameter>,
}

/// A parameter of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The tag as written.
    pub tag: String,
    /// The value.
    pub value: String,
}

impl Parameter {
    fn is(&self, tag: &str) -> bool {
        self.tag.eq_ignore_ascii_case(tag)
    }
}

impl Issuer {
    /// The account that has to ask (RFC 8657 section 3).
    pub fn account_uri(&self) -> Option<&str> {
        self.parameters.iter().find(|parameter| parameter.is("accounturi")).map(|found| &*found.value)
    }

    /// The ways of validation that are allowed (RFC 8657 section 4); `None` allows all.
    pub fn validation_methods(&self) -> Option<Vec<&str>> {
        let found = self.parameters.iter().find(|parameter| parameter.is("validationmethods"))?;
        Some(found.value.split(',').filter(|method| !method.is_empty()).collect())
    }
}

const CRITICAL: u8 = 128;
const KNOWN: [&str; 7] =
    ["issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone"];
/// What [`Fault::why`] says of a way of validation that is not known here, though the authority may know
/// it.
pub const UNKNOWN_WAY: &str = "an unknown way of validation; those of an authority's own begin with `ca-`";
/// The registry of ACME's ways of validation, with those that are drafts and in use.
const METHODS: [&str; 8] = [
    "http-01",
    "dns-01",
    "tls-alpn-01",
    "email-reply-00",
    "tkauth-01",
    "onion-csr-01",
    "dns-account-01",
    "dns-persist-01",
];

pub(super) const fn is_critical(flags: u8) -> bool {
    flags & CRITICAL != 0
}

pub(super) fn is_known(tag: &[u8]) -> bool {
    KNOWN.iter().any(|known| tag.eq_ignore_ascii_case(known.as_bytes()))
}

impl Property {
    /// Reads a record.
    ///
    /// # Errors
    /// The tag or the value breaks its grammar: where, and how. A tag that is not known has no grammar.
    pub fn parse(record: &Caa) -> Result<Self, Fault> {
        let tag = String::from_utf8_lossy(&record.tag).to_ascii_lowercase();
        if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Fault {
                tag: value::printable(&record.tag),
                at: 0,
                why: "a tag has only letters and digits",
            });
        }
        let kind = kind(&tag, &record.value).map_err(|bad| bad.of(&tag))?;
        let (critical, reserved) = (is_critical(record.flags), record.flags & !CRITICAL);
        Ok(Self { critical, reserved, tag, kind })
    }
}

fn kind(tag: &str, bytes: &[u8]) -> Result<Kind, value::Bad> {
    Ok(match tag {
        "issue" => Kind::Issue(issuer(bytes)?),
        "issuewild" => Kind::IssueWild(issuer(bytes)?),
        "issuemail" => Kind::IssueMail(issuer(bytes)?),
        "issuevmc" => Kind::IssueVmc(issuer(bytes)?),
        "iodef" => Kind::Iodef(value::report_url(bytes)?),
        "contactemail" => Kind::ContactEmail(value::email(bytes)?),
        "contactphone" => Kind::ContactPhone(value::phone(bytes)?),
        _ => Kind::Unknown(bytes.to_vec()),
    })
}

/// The grammar of RFC 8659 section 4.2.
fn issuer(bytes: &[u8]) -> Result<Issuer, value::Bad> {
    let mut reader = Reader::new(bytes);
    reader.space();
    let mut issuer = Issuer::default();
    if !reader.is_empty() && reader.peek() != Some(b';') {
        issuer.domain = Some(reader.domain()?);
        reader.space();
    }
    if reader.is_empty() {
        return Ok(issuer);
    }
    reader.expect(b';', "after the issuer's domain name there can only be `;`")?;
    reader.space();
    while !reader.is_empty() {
        let at = reader.at();
        let parameter = Parameter { tag: reader.tag()?, value: reader.assigned()? };
        judge(&issuer, &parameter).map_err(|why| bad(at, why))?;
        issuer.parameters.push(parameter);
        reader.space();
        if reader.is_empty() {
            break;
        }
        reader.expect(b';', "a character that no parameter's value may have")?;
        reader.space();
        if reader.is_empty() {
            return Err(bad(reader.at(), "a parameter is missing after `;`"));
        }
    }
    Ok(issuer)
}

/// What RFC 8657 asks of its two parameters.
fn judge(before: &Issuer, parameter: &Parameter) -> Result<(), &'static str> {
    let repeated = |tag: &str| before.parameters.iter().any(|earlier| earlier.is(tag));
    if parameter.is("accounturi") {
        if repeated("accounturi") {
            return Err("a second `accounturi`, which no account can satisfy");
        }
        if url::Url::parse(&parameter.value).is_err() {
            return Err("`accounturi` is no URI");
        }
    }
    if parameter.is("validationmethods") {
        if repeated("validationmethods") {
            return Err("a second `validationmethods`, which nothing can satisfy");
        }
        let known = |method: &str| METHODS.contains(&method) || method.starts_with("ca-");
        if !parameter.value.is_empty() && !parameter.value.split(',').all(known) {
            return Err(UNKNOWN_WAY);
        }
    }
    Ok(())
}
