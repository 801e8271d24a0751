//! The settings of the kind.

use std::net::SocketAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{DomainName, Owner, Type};
use crate::judge::drift::Expectation;

/// One zone: its registry, its authorities and the resolvers people use, against what was declared and
/// what was approved.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The zone.
    pub zone: DomainName,
    /// What its records should be.
    #[serde(default)]
    pub records: Vec<RecordSpec>,
    /// Learn the record sets that nothing is declared for: those of the zone's apex, and of every
    /// entry of `records` that names a type and no expectation. A person approves what was learned
    /// (`portalwatch baseline approve`).
    #[serde(default)]
    pub learn: bool,
    /// Changes that are meant to come.
    #[serde(default)]
    pub announced: Vec<Announced>,
    /// The zone is to be signed: a chain of trust from its parent. Without it that is learned.
    #[serde(default)]
    pub signed: Option<bool>,
    /// Servers of the parent zone, asked instead of walking down from the root.
    #[serde(default)]
    pub parent: Vec<SocketAddr>,
    /// Servers of the root, instead of the usual.
    #[serde(default)]
    pub roots: Vec<SocketAddr>,
    /// The port of name servers that are found by name.
    #[serde(default = "usual_port")]
    pub port: u16,
}

const fn usual_port() -> u16 {
    53
}

/// One record set and what it should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "WrittenRecord")]
#[schemars(with = "WrittenRecord")]
pub struct RecordSpec {
    /// The name within the zone: `@`, `www`, or with a final dot a whole name.
    pub name: Owner,
    /// The type: `A`, `MX`, …
    pub kind: Type,
    /// What it should be; without it, it is learned.
    pub expect: Option<Expectation>,
}

/// One record set and what it should be: at most one of the expectations.
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
    /// No such records.
    #[serde(default)]
    absent: bool,
    /// Looked at, never judged.
    #[serde(default)]
    unmanaged: bool,
}

impl TryFrom<WrittenRecord> for RecordSpec {
    type Error = String;

    fn try_from(written: WrittenRecord) -> Result<Self, String> {
        let mut expectations: Vec<Expectation> = Vec::new();
        expectations.extend(written.equals.map(Expectation::Equals));
        expectations.extend(written.contains.map(Expectation::Contains));
        expectations.extend(written.any_of.map(Expectation::AnyOf));
        expectations.extend(written.absent.then_some(Expectation::Absent));
        expectations.extend(written.unmanaged.then_some(Expectation::Unmanaged));
        if expectations.len() > 1 {
            return Err("a record set has one expectation; write one entry for each".to_owned());
        }
        Ok(Self { name: written.name, kind: written.kind, expect: expectations.pop() })
    }
}

/// A change announced beforehand.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Announced {
    /// The name within the zone.
    pub name: Owner,
    /// The type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// The values it will have; none: it will be gone.
    pub value: Vec<String>,
    /// From when.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// Until when.
    #[schemars(with = "String")]
    pub until: Timestamp,
}
