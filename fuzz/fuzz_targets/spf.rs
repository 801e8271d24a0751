//! Records of SPF.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portalwatch::formats::spf::{Record, is_spf};

fuzz_target!(|text: &[u8]| {
    match Record::parse(text) {
        Ok(record) => assert!(record.directives.iter().all(|one| one.at < text.len()), "{record:?}"),
        Err(fault) => assert!(fault.at <= text.len(), "{fault}"),
    }
    assert!(is_spf(text) || Record::parse(text).is_err());
});
