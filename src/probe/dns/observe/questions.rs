//! Which record sets are compared.

use super::ask::question;
use crate::formats::dns::RecordType;
use crate::probe::dns::facts::Question;
use crate::probe::dns::spec::Spec;

/// The most record sets of one zone.
pub const MOST_QUESTIONS: usize = 64;

/// What of every zone's apex is looked at.
const OF_APEX: [RecordType; 6] =
    [RecordType::NS, RecordType::MX, RecordType::TXT, RecordType::A, RecordType::AAAA, RecordType::CAA];

/// Those of the apex, its DMARC policy, then those of the settings; each once.
pub fn questions(spec: &Spec) -> Vec<Question> {
    let zone = &spec.zone.0;
    let apex = OF_APEX.iter().map(|kind| question(zone, *kind));
    let policy = zone.child("_dmarc").ok().map(|name| question(&name, RecordType::TXT));
    let records = spec.records.iter().map(|record| (&record.name, record.kind.0));
    let announced = spec.announced.iter().map(|announced| (&announced.name, announced.kind.0));
    let declared = records
        .chain(announced)
        .filter_map(|(name, kind)| Some(Question { name: name.within(zone).ok()?, kind }));
    let mut questions: Vec<Question> = Vec::new();
    for question in apex.chain(policy).chain(declared) {
        if questions.len() < MOST_QUESTIONS && !questions.contains(&question) {
            questions.push(question);
        }
    }
    questions
}
