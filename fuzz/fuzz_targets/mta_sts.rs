//! Records and policies of MTA-STS.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portalwatch::formats::mta_sts::{Policy, Record, matches};

fuzz_target!(|text: &str| {
    if let Err(fault) = Record::parse(text) {
        assert!(fault.at <= text.len(), "{fault}");
    }
    match Policy::parse(text) {
        Ok(policy) => assert!(policy.mx.iter().all(|mx| matches(&mx.replace('*', "a"), &policy.mx))),
        Err(fault) => assert!(fault.at <= text.len(), "{fault}"),
    }
});
