//! Records and logos of BIMI.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portalwatch::formats::bimi::{Record, svg};

fuzz_target!(|text: &str| {
    if let Err(fault) = Record::parse(text) {
        assert!(fault.at <= text.len(), "{fault}");
    }
    let _ = svg::flaws(text);
});
