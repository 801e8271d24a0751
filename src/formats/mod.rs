//! The text formats the program reads, one file or folder per standard: pure, `&str` in, `Result`
//! out, with the position of an error. What is spoken in bytes (`dns`, `starttls`, `tls`) is
//! as pure.

pub mod bimi;
pub mod caa;
pub mod dkim;
pub mod dmarc;
pub mod dns;
pub mod dnssec;
mod fault;
pub mod har;
pub mod hsts;
pub mod mta_sts;
pub mod rdap;
pub mod set_cookie;
pub mod spf;
pub mod starttls;
pub mod tag_list;
pub mod tls;
pub mod tls_rpt;
pub mod tlsa;
#[cfg(test)]
pub mod vectors;
pub mod x509;
pub mod yaml;
pub mod zonefile;

pub use fault::Fault;
