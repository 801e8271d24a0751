//! Key records of DKIM.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portalwatch::formats::dkim::{KeyRecord, is_key};

fuzz_target!(|text: &str| {
    let _ = is_key(text);
    if let Err(fault) = KeyRecord::parse(text) {
        assert!(fault.at <= text.len(), "{fault}");
    }
});
