//! What is exposed as metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Case;
use crate::formats::dns::{Data, RecordType};
use crate::model::{Finding, Series, SeriesDoc};
use crate::probe::dns::facts::Question;
use crate::probe::dns::memory::Memory;

const DRIFT: SeriesDoc = SeriesDoc {
    name: "portalwatch_dns_drift",
    help: "1 if a record set is not what was declared or approved, 0 if it is.",
};
const SERIAL: SeriesDoc =
    SeriesDoc { name: "portalwatch_dns_soa_serial", help: "Serial of the zone at each authority." };

/// What is exposed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exposed {
    zone: String,
    /// By name and type.
    records: BTreeMap<String, bool>,
    /// By server and address.
    serials: BTreeMap<String, u32>,
}

impl Exposed {
    /// Forgets record sets of former settings.
    pub fn forget_records(&mut self) {
        self.records.clear();
    }

    /// Keeps whether a record set is as it should be.
    pub fn record(&mut self, question: &Question, drifted: bool) {
        self.records.insert(question.key(), drifted);
    }
}

/// Keeps the serials.
pub fn look(case: &Case<'_>, memory: &mut Memory) -> Vec<Finding> {
    let facts = case.facts;
    memory.exposed.zone = facts.zone.without_dot();
    let serial = |authority: &crate::probe::dns::facts::Authority| {
        let answer = authority.server.answer(&facts.zone, RecordType::SOA)?;
        let soa = answer.answers.iter().find_map(|record| match &record.data {
            Ok(Data::Soa(soa)) => Some(soa.serial),
            _ => None,
        });
        Some((authority.server.place(), soa?))
    };
    memory.exposed.serials = facts.authorities.iter().filter_map(serial).collect();
    Vec::new()
}

/// The series.
pub fn series(exposed: &Exposed) -> Vec<Series> {
    let parted = |key: &str| key.split_once(' ').map(|(one, two)| (one.to_owned(), two.to_owned()));
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_owned();
    let drift = exposed.records.iter().filter_map(|(key, drifted)| {
        let (name, kind) = parted(key)?;
        let labels = vec![("zone", exposed.zone.clone()), ("name", bare(&name)), ("type", kind)];
        Some(Series { doc: &DRIFT, labels, value: f64::from(u8::from(*drifted)) })
    });
    let serials = exposed.serials.iter().map(|(key, serial)| {
        let (server, address) = parted(key).unwrap_or_else(|| (String::new(), key.clone()));
        let labels = vec![("zone", exposed.zone.clone()), ("server", bare(&server)), ("address", address)];
        Series { doc: &SERIAL, labels, value: f64::from(*serial) }
    });
    drift.chain(serials).collect()
}
