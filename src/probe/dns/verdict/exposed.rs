//! What is exposed as metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Case;
use crate::formats::dns::{Data, Name, RecordType};
use crate::model::{Finding, Series, SeriesDoc};
use crate::probe::dns::facts::{Asked, Authority, Facts, Question, Resolver};
use crate::probe::dns::memory::Memory;

const DRIFT: SeriesDoc = SeriesDoc {
    name: "portalwatch_dns_drift",
    help: "1 if a record set is not what was declared or approved, 0 if it is.",
};
const SERIAL: SeriesDoc =
    SeriesDoc { name: "portalwatch_dns_soa_serial", help: "Serial of the zone at each authority." };

const EXPIRY: SeriesDoc = SeriesDoc {
    name: "portalwatch_dns_rrsig_expiry_timestamp_seconds",
    help: "When the first signature of the zone's record sets expires, at each authority.",
};
const TIME: SeriesDoc = SeriesDoc {
    name: "portalwatch_dns_query_seconds",
    help: "How long the zone's SOA took at each authority, and the first record set at each resolver, whose address is empty.",
};

/// What is exposed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exposed {
    zone: String,
    /// By name and type.
    records: BTreeMap<String, bool>,
    /// By server and address.
    serials: BTreeMap<String, u32>,
    /// By server and address, in seconds since the epoch.
    expiries: BTreeMap<String, i64>,
    /// By server and address, in seconds; of resolvers by the resolver alone.
    times: BTreeMap<String, f64>,
}

impl Exposed {
    /// Forgets record sets of former settings.
    pub fn forget_records(&mut self) {
        self.records.clear();
    }

    /// Whether what is remembered is of this zone, as far as that is known: the settings may have named
    /// another one.
    pub fn is_of(&self, zone: &Name) -> bool {
        self.zone.is_empty() || self.zone == zone.without_dot()
    }

    /// Keeps when the first signature expires, by server and address.
    pub fn expire(&mut self, expiries: BTreeMap<String, i64>) {
        self.expiries = expiries;
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
    memory.exposed.times = times(facts);
    Vec::new()
}

fn times(facts: &Facts) -> BTreeMap<String, f64> {
    let answered = |asked: &&Asked| asked.answer.is_some();
    let of_authority = |authority: &Authority| {
        let asked = authority.server.asked(&facts.zone, RecordType::SOA).filter(answered)?;
        Some((authority.server.place(), asked.took))
    };
    let of_resolver = |resolver: &Resolver| {
        let asked = resolver.asked.iter().find(|asked| answered(asked) && !asked.unchecked)?;
        Some((resolver.server.clone(), asked.took))
    };
    let authorities = facts.authorities.iter().filter_map(of_authority);
    authorities.chain(facts.resolvers.iter().filter_map(of_resolver)).collect()
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
    let by_server = |key: &str| {
        let (server, address) = parted(key).unwrap_or_else(|| (key.to_owned(), String::new()));
        vec![("zone", exposed.zone.clone()), ("server", bare(&server)), ("address", address)]
    };
    let serials = exposed.serials.iter().map(|(key, serial)| Series {
        doc: &SERIAL,
        labels: by_server(key),
        value: f64::from(*serial),
    });
    let expiries = exposed.expiries.iter().map(|(key, at)| {
        // Seconds since the epoch have fewer than 53 bits for a while.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let value = *at as f64;
        Series { doc: &EXPIRY, labels: by_server(key), value }
    });
    let times =
        exposed.times.iter().map(|(key, took)| Series { doc: &TIME, labels: by_server(key), value: *took });
    drift.chain(serials).chain(expiries).chain(times).collect()
}
