//! Whether a domain's mail authenticates, judged as receivers judge it; a folder for each standard.

pub mod dmarc;
pub mod spf;
