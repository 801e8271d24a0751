//! What was seen: no opinion. Bodies are not kept, only what they say.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::round_trip::signatures::Signature;
use super::spf::{Authorized, Checked};
use crate::formats::dns::RecordType;
use crate::probe::web::facts::{Failure, Skipped};

/// Everything that was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The domain, without a dot at its end.
    pub domain: String,
    /// SPF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spf: Option<Spf>,
    /// Those who send.
    pub senders: Vec<Sender>,
    /// DKIM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dkim: Option<Dkim>,
    /// DMARC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dmarc: Option<Dmarc>,
    /// Mail exchanges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mx: Option<Mx>,
    /// MTA-STS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mta_sts: Option<MtaSts>,
    /// The record at `_smtp._tls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_rpt: Option<Looked>,
    /// BIMI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bimi: Option<Bimi>,
    /// A message that went out and should have come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip: Option<RoundTrip>,
}

/// A record set, as the resolvers gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// The name, without a dot at its end.
    pub name: String,
    /// The type.
    pub kind: RecordType,
    /// The values: of TXT their strings put together, of MX `10 mx.example`, else as in a zone file,
    /// names without a dot at their end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The aliases that led there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The name is there, with or without such records.
    pub exists: bool,
    /// The resolver says that DNSSEC vouches for it (AD).
    pub secure: bool,
    /// Bytes that the records take in an answer.
    pub bytes: usize,
    /// For so many seconds others may keep it.
    pub ttl: u32,
    /// Why it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
}

impl Looked {
    /// The values, where they are known.
    pub fn known(&self) -> Option<&[String]> {
        self.unmeasured.is_none().then_some(&self.values)
    }

    /// The key under which it is compared with what was approved.
    pub fn key(&self) -> String {
        format!("{} {}", self.name, self.kind)
    }

    /// Why it is not known, in words.
    pub fn why(&self) -> Option<String> {
        self.unmeasured.as_ref().map(|skipped| format!("{}: {}", self.key(), skipped.why))
    }
}

/// SPF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spf {
    /// The TXT records of the domain.
    pub texts: Looked,
    /// Its records of type SPF (99), which nobody reads.
    pub old: Looked,
    /// The record as for a sender of IPv4 that only `all` matches …
    pub v4: Checked,
    /// … and for one of IPv6.
    pub v6: Checked,
    /// Who may send; `None` if a question was not answered.
    pub authorized: Option<Authorized>,
    /// The registered domains of those that are included, where their records are missing.
    pub owners: Vec<Looked>,
}

/// Someone who sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sender {
    /// The address.
    pub ip: IpAddr,
    /// MAIL FROM.
    pub mail_from: String,
    /// What receivers say.
    pub spf: Checked,
    /// The names of its address.
    pub names: Looked,
    /// The addresses of these names.
    pub addresses: Vec<Looked>,
    /// What the block lists say of it.
    pub lists: Vec<Listing>,
}

/// What a block list says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The list.
    pub list: String,
    /// What it says of the address.
    pub about: Looked,
    /// What it says of the address that is always listed (RFC 5782 section 5).
    pub always: Looked,
    /// What it says of the address that never is.
    pub never: Looked,
    /// Why, in the list's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Looked>,
}

/// DKIM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dkim {
    /// The record of each declared selector.
    pub selectors: Vec<Key>,
    /// `_domainkey` itself: without it there is nothing below (RFC 8020).
    pub below: Looked,
}

/// The record of a selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The selector.
    pub selector: String,
    /// Its record.
    pub texts: Looked,
}

/// DMARC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dmarc {
    /// The records at `_dmarc` of the domain and of those above it.
    pub walk: Vec<Looked>,
    /// The same for domains of senders, whose organization has to be known.
    pub others: Vec<Looked>,
    /// The TXT records of the domain itself, where a record has no effect.
    pub apex: Looked,
    /// Where reports go.
    pub destinations: Vec<Destination>,
}

/// Where reports go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// The domain of the mailbox.
    pub domain: String,
    /// Which tag names it: `rua` or `ruf`.
    pub tag: String,
    /// Whether it takes them; not asked of its own domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Looked>,
    /// Its mail exchanges, or without these its addresses.
    pub receives: Vec<Looked>,
}

/// Mail exchanges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mx {
    /// The record set.
    pub records: Looked,
    /// Each host, the preferred first.
    pub hosts: Vec<Exchange>,
}

/// A mail exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Its name, without a dot at its end.
    pub name: String,
    /// Its preference.
    pub preference: u16,
    /// Its addresses of both families.
    pub addresses: Vec<Looked>,
    /// Its TLSA records.
    pub tlsa: Looked,
    /// What was seen at each address.
    pub reached: Vec<Reached>,
}

/// What was seen at an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// The address.
    pub address: SocketAddr,
    /// What happened.
    pub came: Came,
}

/// What happened at an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// It showed a certificate.
    Shown(Shown),
    /// It did not.
    Failed(Failure),
    /// Our side failed.
    Unmeasured(Skipped),
}

/// A certificate that was shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Whether it verifies for the host's name: why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// Its end of validity, seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<i64>,
    /// What each TLSA record says of the chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dane: Vec<DaneRow>,
}

/// What a TLSA record says of a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaneRow {
    /// Usage, selector, matching type, and the beginning of the data.
    pub record: String,
    /// What it says.
    pub said: DaneSaid,
}

/// What a TLSA record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaneSaid {
    /// The chain is right.
    Matches,
    /// It is not about this chain.
    Nowhere,
    /// It matches a certificate from which the chain does not verify: why.
    Invalid(String),
    /// Mail servers pass it over: why.
    Unusable(String),
}

/// MTA-STS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MtaSts {
    /// The record.
    pub record: Looked,
    /// The policy; not fetched where there is neither a record nor the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Fetched>,
}

/// What came of fetching something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fetched {
    /// An answer.
    Answer(Answered),
    /// None.
    Failed(Failure),
    /// Our side failed.
    Unmeasured(Skipped),
}

/// An answer over HTTPS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The type, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Where it redirects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// So long the body is, as far as it was read.
    pub bytes: usize,
    /// It was not read to its end.
    pub cut: bool,
    /// The SHA-256 of the body, hexadecimal.
    pub sha256: String,
    /// What the body says.
    pub says: Says,
}

/// What a body says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// A policy of MTA-STS.
    Policy(StsPolicy),
    /// A logo, and what is wrong with it: the words, and whether mail clients refuse it for that.
    Logo(Vec<(String, bool)>),
    /// A mark certificate.
    Mark(Mark),
    /// Nothing that can be read: why.
    Unreadable(String),
}

/// A policy of MTA-STS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StsPolicy {
    /// `enforce`, `testing`, `none`.
    pub mode: String,
    /// The names of mail exchanges.
    pub mx: Vec<String>,
    /// For so many seconds senders keep it.
    pub max_age: u64,
    /// Keys that stand there again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<String>,
}

/// A mark certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// It may vouch for logos.
    pub for_marks: bool,
    /// The names it is for.
    pub names: Vec<String>,
    /// Its end of validity, seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<i64>,
    /// The SHA-256 of the logo within it, where one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// So many certificates came with it.
    pub certificates: usize,
}

/// BIMI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bimi {
    /// The record.
    pub record: Looked,
    /// The logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<Fetched>,
    /// The evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Fetched>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundTrip {
    /// It came.
    Arrived(Box<Arrived>),
    /// It was not sent: why.
    NotSent(String),
    /// It was sent and did not come in time: so many seconds were waited.
    Lost(f64),
    /// Our side failed, or the place where it should arrive could not be looked at.
    Unmeasured(Skipped),
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrived {
    /// So many seconds it took.
    pub took: f64,
    /// Who brought it, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// MAIL FROM.
    pub mail_from: String,
    /// The domains of `From`.
    pub from: Vec<String>,
    /// What SPF says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spf: Option<Checked>,
    /// Its signatures.
    pub signatures: Vec<Signature>,
    /// The hosts that its links lead to.
    pub links: Vec<String>,
    /// It can be unsubscribed from with one click.
    pub one_click: bool,
    /// The DMARC records of the domains in it.
    pub records: Vec<Looked>,
}
