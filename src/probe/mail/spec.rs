//! The settings of the kind.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::round_trip::spec::LoopSpec;
use crate::formats::dmarc::Policy;
use crate::formats::dns::Name;

/// A domain, who sends for it, and what its mail has to have.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The domain in the addresses of its mail.
    pub domain: Domain,
    /// The selectors under which its DKIM keys are. Others are never guessed.
    #[serde(default)]
    pub dkim_selectors: Vec<Selector>,
    /// Who sends for it: receivers have to take their mail.
    #[serde(default)]
    pub senders: Vec<SenderSpec>,
    /// What it must have; what is missing is an error, and what cannot be looked at is unknown.
    #[serde(default)]
    pub require: Require,
    /// It neither sends nor receives mail, and its records have to say so.
    #[serde(default)]
    pub parked: bool,
    /// Whether the rules of large receivers (Gmail, Yahoo, Microsoft) are looked at.
    #[serde(default = "yes")]
    pub receiver_rules: bool,
    /// Block lists (RFC 5782) that the senders must not be on, such as `zen.spamhaus.org`.
    #[serde(default)]
    pub dnsbl: Vec<Domain>,
    /// Whether the records are learned, for a person to approve.
    #[serde(default = "yes")]
    pub learn: bool,
    /// So many equal runs make what is learned provisional.
    #[serde(default = "usual_polls")]
    #[schemars(range(min = 3, max = 100))]
    pub learn_polls: u32,
    /// A message that goes out and comes back.
    #[serde(default, rename = "loop")]
    pub round_trip: Option<LoopSpec>,
    /// Mail goes to many: it must be possible to unsubscribe with one click (RFC 8058).
    #[serde(default)]
    pub bulk: bool,
    /// Ports other than the usual.
    #[serde(default)]
    pub ports: Ports,
    /// Only this part is looked at.
    #[serde(skip)]
    pub only: Option<Part>,
}

/// A part of what the kind looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the standards")]
pub enum Part {
    Dkim,
    Dmarc,
    MtaSts,
    Spf,
}

impl Spec {
    /// The settings for one look at a domain, without a config.
    pub fn of_domain(domain: Name) -> Self {
        Self {
            domain: Domain(domain),
            dkim_selectors: Vec::new(),
            senders: Vec::new(),
            require: Require::default(),
            parked: false,
            receiver_rules: true,
            dnsbl: Vec::new(),
            learn: false,
            learn_polls: usual_polls(),
            round_trip: None,
            bulk: false,
            ports: Ports::default(),
            only: None,
        }
    }

    /// The domain, without a dot at its end.
    pub fn name(&self) -> String {
        self.domain.0.without_dot().to_ascii_lowercase()
    }
}

const fn yes() -> bool {
    true
}

const fn usual_polls() -> u32 {
    3
}

/// Who sends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SenderSpec {
    /// The address it sends from.
    pub ip: IpAddr,
    /// Its MAIL FROM, an address or a domain; receivers check SPF for it.
    pub mail_from: MailFrom,
    /// What it says in HELO; the name of its address by default.
    #[serde(default)]
    pub helo: Option<Domain>,
    /// The domain that signs its mail (`d=`), where it signs.
    #[serde(default)]
    pub dkim: Option<Domain>,
    /// The domain of `From`, where it is below the one that is looked at.
    #[serde(default)]
    pub from: Option<Domain>,
}

impl SenderSpec {
    /// Who it is, for people.
    pub fn shown(&self) -> String {
        format!("{} as {}", self.ip, self.mail_from.0)
    }
}

/// What the domain must have.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Require {
    /// A DMARC policy of at least this.
    #[serde(default)]
    pub dmarc: Option<DmarcPolicy>,
    /// An MTA-STS policy of at least this.
    #[serde(default)]
    pub mta_sts: Option<StsMode>,
    /// A record for reports about TLS.
    #[serde(default)]
    pub tls_rpt: bool,
    /// DANE at every mail exchange.
    #[serde(default)]
    pub dane: bool,
    /// A logo.
    #[serde(default)]
    pub bimi: bool,
}

/// A policy of DMARC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum DmarcPolicy {
    None,
    Quarantine,
    Reject,
}

impl From<DmarcPolicy> for Policy {
    fn from(policy: DmarcPolicy) -> Self {
        match policy {
            DmarcPolicy::None => Self::None,
            DmarcPolicy::Quarantine => Self::Quarantine,
            DmarcPolicy::Reject => Self::Reject,
        }
    }
}

/// A mode of MTA-STS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum StsMode {
    Testing,
    Enforce,
}

/// Ports other than the usual.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// Of mail exchanges.
    pub smtp: u16,
    /// Of the server that has the MTA-STS policy.
    pub https: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { smtp: 25, https: 443 }
    }
}

/// A domain name; IDN is turned into A-labels.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Domain(pub Name);

impl Domain {
    /// The name without a dot at its end, in lower case.
    pub fn text(&self) -> String {
        self.0.without_dot().to_ascii_lowercase()
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name: Name = text.parse().map_err(de::Error::custom)?;
        if name.is_root() || text.contains('@') {
            return Err(de::Error::custom(format!("{text:?} is no domain; write such as acme.example")));
        }
        Ok(Self(name))
    }
}

/// The selector of a DKIM key: one label or several.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Selector(pub String);

impl std::str::FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(plain);
        if text.split('.').all(label) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{text:?} is no selector; write what stands in s= of the signatures, such as s1"))
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A sender: an address, or a domain alone.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct MailFrom(pub String);

impl MailFrom {
    /// Its domain, in lower case.
    pub fn domain(&self) -> String {
        let domain = self.0.rsplit_once('@').map_or(self.0.as_str(), |(_, domain)| domain);
        domain.trim_end_matches('.').to_ascii_lowercase()
    }
}

impl<'de> Deserialize<'de> for MailFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let from = Self(String::deserialize(deserializer)?);
        match from.domain().parse::<Name>() {
            Ok(name) if !name.is_root() && from.0.chars().all(|char| char.is_ascii_graphic()) => Ok(from),
            _ => {
                let why = format!("{:?} is no sender; write bounce@acme.example, or a domain", from.0);
                Err(de::Error::custom(why))
            }
        }
    }
}
