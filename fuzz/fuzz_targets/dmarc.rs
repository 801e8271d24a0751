//! Records of DMARC, and the walk to them: the input's lines are what the names on the way have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portalwatch::formats::dmarc::Record;
use portalwatch::probe::mail::dmarc::Choice;
use portalwatch::probe::mail::dmarc::walk::{domains, walk};

fuzz_target!(|text: &str| {
    if let Some(record) = Record::parse(text) {
        assert!(record.faults.iter().all(|fault| fault.at <= text.len()), "{record:?}");
        let _ = record.applied();
    }
    let (domain, records) = text.split_once('\n').unwrap_or((text, ""));
    let names = domains(domain);
    assert!(names.len() <= 8, "{names:?}");
    let walked = walk(domain, &|at| {
        let at = names.iter().position(|name| name == at).unwrap_or_default();
        Choice::among(records.lines().nth(at))
    });
    assert!(walked.asked.len() <= names.len());
});
