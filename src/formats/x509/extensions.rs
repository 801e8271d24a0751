//! The extensions of a certificate (RFC 5280 section 4.2, RFC 6962, RFC 7633).

mod values;

use serde::Serialize;

use super::der::{self, BOOLEAN, INTEGER, Malformed, OCTET_STRING, Reader, SEQUENCE, bad};
use super::general::{self, Form, GeneralName};

/// What extensions say. A field is `None` where the extension is absent or cannot be read; the
/// latter are named in `malformed`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Extensions {
    /// Object identifiers in their order, and whether each is critical.
    pub present: Vec<Present>,
    /// Those whose content cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub malformed: Vec<String>,
    /// Alternative names.
    pub sans: Option<Vec<GeneralName>>,
    /// Basic constraints.
    pub basic: Option<BasicConstraints>,
    /// Key usage: bit `n` is bit `n` of RFC 5280 section 4.2.1.3.
    pub key_usage: Option<KeyUsage>,
    /// Extended key usages as object identifiers.
    pub eku: Option<Vec<String>>,
    /// Authority key identifier.
    pub aki: Option<AuthorityKey>,
    /// Subject key identifier, in hex.
    pub ski: Option<String>,
    /// Name constraints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_constraints: Option<NameConstraints>,
    /// Policies as object identifiers.
    pub policies: Option<Vec<String>>,
    /// Policy mappings: the issuer's policy and the subject's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_mappings: Option<Vec<(String, String)>>,
    /// Policy constraints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_constraints: Option<PolicyConstraints>,
    /// After how many certificates "any policy" no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inhibit_any_policy: Option<u32>,
    /// Where certificate revocation lists are.
    pub crl_urls: Vec<String>,
    /// Where the issuer's certificate is.
    pub ca_issuers: Vec<String>,
    /// Where OCSP responders are.
    pub ocsp: Vec<String>,
    /// Embedded signed certificate timestamps.
    pub scts: Vec<Sct>,
    /// The certificate demands a stapled OCSP response (RFC 7633).
    pub must_staple: bool,
}

/// An extension that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Present {
    /// Its object identifier.
    pub oid: String,
    /// Whether who does not know it must refuse the certificate.
    pub critical: bool,
}

/// Basic constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BasicConstraints {
    /// Whether it may issue certificates.
    pub ca: bool,
    /// How many intermediate certificates may follow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_len: Option<u32>,
}

/// Key usage bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeyUsage(pub u16);

impl KeyUsage {
    /// Whether signatures of handshakes may be made with the key.
    pub const fn digital_signature(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether certificates may be signed with it.
    pub const fn cert_sign(self) -> bool {
        self.0 & (1 << 5) != 0
    }

    /// Whether revocation lists may be signed with it.
    pub const fn crl_sign(self) -> bool {
        self.0 & (1 << 6) != 0
    }
}

/// An authority key identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuthorityKey {
    /// The identifier, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether it names the issuer's own issuer.
    pub issuer: bool,
    /// Whether it names the issuer's serial number.
    pub serial: bool,
}

/// Name constraints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NameConstraints {
    /// Names must lie in one of these, form by form.
    pub permitted: Vec<GeneralName>,
    /// No name may lie in one of these.
    pub excluded: Vec<GeneralName>,
}

impl NameConstraints {
    /// Reads the content of the extension.
    ///
    /// # Errors
    /// It is empty, or no name constraints.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        values::name_constraints(content)
    }
}

/// Policy constraints: after how many certificates each begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolicyConstraints {
    /// An acceptable policy is needed.
    pub require_explicit: Option<u32>,
    /// Mappings no longer count.
    pub inhibit_mapping: Option<u32>,
}

/// A signed certificate timestamp (RFC 6962 section 3.2), its signature not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sct {
    /// The log, as hex of the SHA-256 of its key.
    pub log: String,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// Object identifiers of extensions.
pub mod oid {
    /// Subject key identifier.
    pub const SKI: &str = "2.5.29.14";
    /// Key usage.
    pub const KEY_USAGE: &str = "2.5.29.15";
    /// Subject alternative name.
    pub const SAN: &str = "2.5.29.17";
    /// Basic constraints.
    pub const BASIC: &str = "2.5.29.19";
    /// Name constraints.
    pub const NAME_CONSTRAINTS: &str = "2.5.29.30";
    /// CRL distribution points.
    pub const CRL_POINTS: &str = "2.5.29.31";
    /// Certificate policies.
    pub const POLICIES: &str = "2.5.29.32";
    /// Policy mappings.
    pub const POLICY_MAPPINGS: &str = "2.5.29.33";
    /// Authority key identifier.
    pub const AKI: &str = "2.5.29.35";
    /// Policy constraints.
    pub const POLICY_CONSTRAINTS: &str = "2.5.29.36";
    /// Extended key usage.
    pub const EKU: &str = "2.5.29.37";
    /// Inhibit anyPolicy.
    pub const INHIBIT_ANY: &str = "2.5.29.54";
    /// Authority information access.
    pub const AIA: &str = "1.3.6.1.5.5.7.1.1";
    /// TLS features (RFC 7633).
    pub const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    /// Embedded SCTs (RFC 6962).
    pub const SCTS: &str = "1.3.6.1.4.1.11129.2.4.2";
    /// Those that a path validation here takes account of; any other that is critical must be
    /// refused (RFC 5280 section 4.2).
    pub const UNDERSTOOD: &[&str] = &[
        SKI,
        KEY_USAGE,
        SAN,
        BASIC,
        NAME_CONSTRAINTS,
        CRL_POINTS,
        POLICIES,
        POLICY_MAPPINGS,
        AKI,
        POLICY_CONSTRAINTS,
        EKU,
        INHIBIT_ANY,
        AIA,
        TLS_FEATURE,
        SCTS,
    ];
}

/// More extensions than this make a certificate unreadable; real ones have ten.
const MOST_EXTENSIONS: usize = 128;
/// At most this many items of a list are kept for showing. Names of the certificate itself are all
/// kept: they are bounded by its size, and each counts.
const MOST: usize = 64;

impl Extensions {
    pub(super) fn read(content: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "extension";
        let mut list = Reader::new(der::only(content, SEQUENCE, "extensions")?.value);
        let mut all = Self::default();
        while !list.is_empty() {
            if all.present.len() == MOST_EXTENSIONS {
                return Err(bad("extensions", "there are too many"));
            }
            let mut fields = list.inside(SEQUENCE, WHAT)?;
            let oid = der::oid(fields.expect(der::OID, WHAT)?.value, WHAT)?;
            let critical = match fields.optional(BOOLEAN, WHAT)? {
                Some(flag) => der::boolean(flag.value, WHAT)?,
                None => false,
            };
            let value = fields.expect(OCTET_STRING, WHAT)?.value;
            fields.end(WHAT)?;
            // Of several with the same identifier the first counts; that there are several is told
            // by the list.
            let first = all.present.iter().all(|present| present.oid != oid);
            if first && all.take(&oid, value).is_err() {
                all.malformed.push(oid.clone());
            }
            all.present.push(Present { oid, critical });
        }
        Ok(all)
    }

    /// Whether an extension is there, and critical.
    pub fn critical(&self, oid: &str) -> Option<bool> {
        self.present.iter().find(|present| present.oid == oid).map(|present| present.critical)
    }

    fn take(&mut self, oid: &str, value: &[u8]) -> Result<(), Malformed> {
        match oid {
            oid::SAN => self.sans = Some(general::names(value, "alternative names")?),
            oid::BASIC => self.basic = Some(values::basic(value)?),
            oid::KEY_USAGE => self.key_usage = Some(values::key_usage(value)?),
            oid::EKU => self.eku = Some(values::oids(value, "extended key usage")?),
            oid::AKI => self.aki = Some(values::authority_key(value)?),
            oid::SKI => {
                self.ski =
                    Some(super::short_hex(der::only(value, OCTET_STRING, "subject key identifier")?.value))
            }
            oid::NAME_CONSTRAINTS => self.name_constraints = Some(values::name_constraints(value)?),
            oid::POLICIES => self.policies = Some(values::policies(value)?),
            oid::POLICY_MAPPINGS => self.policy_mappings = Some(values::policy_mappings(value)?),
            oid::POLICY_CONSTRAINTS => self.policy_constraints = Some(values::policy_constraints(value)?),
            oid::INHIBIT_ANY => {
                let number = der::only(value, INTEGER, "inhibit any-policy")?.value;
                self.inhibit_any_policy = Some(der::small(number, "inhibit any-policy")?);
            }
            oid::CRL_POINTS => self.crl_urls = values::crl_urls(value)?,
            oid::AIA => self.access(value)?,
            oid::TLS_FEATURE => self.must_staple = values::tls_features(value)?,
            oid::SCTS => self.scts = values::scts(value)?,
            _ => {}
        }
        Ok(())
    }

    /// RFC 5280 section 4.2.2.1.
    fn access(&mut self, value: &[u8]) -> Result<(), Malformed> {
        const WHAT: &str = "authority information access";
        let mut list = Reader::new(der::only(value, SEQUENCE, WHAT)?.value);
        if list.is_empty() {
            return Err(bad(WHAT, "it is empty"));
        }
        while !list.is_empty() {
            let mut fields = list.inside(SEQUENCE, WHAT)?;
            let method = der::oid(fields.expect(der::OID, WHAT)?.value, WHAT)?;
            let place = general::read(&mut fields, Form::Name, WHAT)?;
            fields.end(WHAT)?;
            let urls = match method.as_str() {
                "1.3.6.1.5.5.7.48.1" => &mut self.ocsp,
                "1.3.6.1.5.5.7.48.2" => &mut self.ca_issuers,
                _ => continue,
            };
            values::push_url(urls, &place);
        }
        Ok(())
    }
}
