//! Records of TLS-RPT.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portalwatch::formats::tls_rpt::Record;

fuzz_target!(|text: &str| match Record::parse(text) {
    Ok(record) => assert!(!record.rua.is_empty()),
    Err(fault) => assert!(fault.at <= text.len(), "{fault}"),
});
