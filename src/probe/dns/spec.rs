//! The settings of the kind.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{DomainName, Owner, Type};
use crate::formats::dns::written::comparable;
use crate::formats::dns::{Name, RecordType};
use crate::judge::Pattern;
use crate::judge::drift::{Announced, Expectation};
use crate::model::HumanDuration;

/// One zone: its registry, its authorities and the resolvers people use, against what was declared.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The zone.
    pub zone: DomainName,
    /// What its records should be.
    #[serde(default)]
    pub records: Vec<RecordSpec>,
    /// Servers of the parent zone, asked instead of walking down from the root.
    #[serde(default)]
    pub parent: Vec<SocketAddr>,
    /// Servers of the root, instead of the usual.
    #[serde(default)]
    pub roots: Vec<SocketAddr>,
    /// The port of name servers that are found by name.
    #[serde(default = "usual_port")]
    pub port: u16,
    /// Whether record sets that are not declared are learned, for a person to approve.
    #[serde(default = "yes")]
    pub learn: bool,
    /// So many equal runs make what is learned provisional.
    #[serde(default = "usual_polls")]
    #[schemars(range(min = 3, max = 100))]
    pub learn_polls: u32,
    /// Changes that will come.
    #[serde(default)]
    pub announced: Vec<AnnouncedSpec>,
    /// Whether the zone is signed with DNSSEC. Without it: as it was before.
    #[serde(default)]
    pub signed: Option<bool>,
}

impl Spec {
    /// The settings for one look at a zone, without a config.
    pub fn of_zone(zone: Name, parent: Vec<SocketAddr>, roots: Vec<SocketAddr>, port: u16) -> Self {
        Self {
            zone: DomainName(zone),
            records: Vec::new(),
            parent,
            roots,
            port,
            learn: false,
            learn_polls: usual_polls(),
            announced: Vec::new(),
            signed: None,
        }
    }
}

const fn yes() -> bool {
    true
}

const fn usual_polls() -> u32 {
    3
}

const fn usual_port() -> u16 {
    53
}

/// One record set and what it should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenRecord")]
#[schemars(with = "WrittenRecord")]
pub struct RecordSpec {
    /// The name within the zone: `@`, `www`, or with a final dot a whole name.
    pub name: Owner,
    /// The type: `A`, `MX`, …
    pub kind: Type,
    /// What it should be.
    pub expect: Expectation,
    /// How long others may keep it at least.
    pub min_ttl: Option<Duration>,
}

/// One record set and what it should be: one of the expectations.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenRecord {
    /// The name within the zone: `@`, `www`, or with a final dot a whole name.
    name: Owner,
    /// The type: `A`, `MX`, …
    #[serde(rename = "type")]
    kind: Type,
    /// Exactly these values.
    equals: Option<Vec<String>>,
    /// These values among others.
    contains: Option<Vec<String>>,
    /// One of these sets of values.
    any_of: Option<Vec<Vec<String>>>,
    /// Addresses within these networks: `192.0.2.0/24`.
    subset_of: Option<Vec<String>>,
    /// Names that are this one or below it.
    suffix: Option<DomainName>,
    /// Each value, written as in a zone file, matches this regular expression.
    matches: Option<Pattern>,
    /// No such records.
    #[serde(default)]
    absent: bool,
    /// Looked at, never judged.
    #[serde(default)]
    unmanaged: bool,
    /// Others may keep it for at least so long; a shorter TTL is a warning.
    min_ttl: Option<HumanDuration>,
    /// Learned like the record sets of the apex, for a person to approve.
    #[serde(default)]
    learned: bool,
}

impl TryFrom<WrittenRecord> for RecordSpec {
    type Error = String;

    fn try_from(written: WrittenRecord) -> Result<Self, String> {
        let kind = written.kind.0;
        let set = |values: Vec<String>| set(kind, &values);
        let mut all: Vec<Expectation> = Vec::new();
        all.extend(written.equals.map(set).transpose()?.map(Expectation::Equals));
        all.extend(written.contains.map(set).transpose()?.map(Expectation::Contains));
        let sets = |sets: Vec<Vec<String>>| sets.into_iter().map(set).collect::<Result<Vec<_>, _>>();
        all.extend(written.any_of.map(sets).transpose()?.map(Expectation::AnyOf));
        let networks = |texts: Vec<String>| texts.iter().map(|text| network(text)).collect::<Result<_, _>>();
        all.extend(written.subset_of.map(networks).transpose()?.map(Expectation::SubsetOf));
        all.extend(written.suffix.map(|suffix| Expectation::Suffix(suffix.0.to_lowercase().to_string())));
        all.extend(written.matches.map(Expectation::Matches));
        all.extend(written.absent.then_some(Expectation::Absent));
        all.extend(written.unmanaged.then_some(Expectation::Unmanaged));
        all.extend(written.learned.then_some(Expectation::Learned));
        let mut all = all.into_iter();
        let (Some(expect), None) = (all.next(), all.next()) else {
            return Err(ONE.to_owned());
        };
        let min_ttl = written.min_ttl.map(|HumanDuration(least)| least);
        Ok(Self { name: written.name, kind: written.kind, expect, min_ttl })
    }
}

/// One record set and the values it will have.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenAnnounced")]
#[schemars(with = "WrittenAnnounced")]
pub struct AnnouncedSpec {
    /// The name within the zone.
    pub name: Owner,
    /// The type.
    pub kind: Type,
    /// What will be, from when and until when at the latest.
    pub change: Announced,
}

/// A change that will come: it is no drift while its time lasts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenAnnounced {
    /// The name within the zone: `@`, `www`, or with a final dot a whole name.
    name: Owner,
    /// The type: `A`, `MX`, …
    #[serde(rename = "type")]
    kind: Type,
    /// The values it will have; none: it will be gone.
    values: Vec<String>,
    /// From when it may have them (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    from: Timestamp,
    /// Until when it may still have the old ones (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    until: Timestamp,
}

impl TryFrom<WrittenAnnounced> for AnnouncedSpec {
    type Error = String;

    fn try_from(written: WrittenAnnounced) -> Result<Self, String> {
        let WrittenAnnounced { name, kind, values, from, until } = written;
        if until <= from {
            return Err(format!("until {until} is not after from {from}; a change needs time to arrive"));
        }
        Ok(Self { name, kind, change: Announced { values: set(kind.0, &values)?, from, until } })
    }
}

/// Values as they are compared.
fn set(kind: RecordType, values: &[String]) -> Result<Vec<String>, String> {
    let mut values: Vec<String> =
        values.iter().map(|value| comparable(kind, value)).collect::<Result<_, _>>()?;
    values.sort_unstable();
    Ok(values)
}

const ONE: &str = "a record set has one expectation: equals, contains, any_of, subset_of, suffix, matches, \
                   absent: true, unmanaged: true or learned: true";

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| one())
        .map_err(|_| format!("{text:?} is no network; write 192.0.2.0/24 or 2001:db8::/32"))
}
