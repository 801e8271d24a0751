//! The text formats the program reads, one file or folder per standard: pure, `&str` in, `Result`
//! out, with the position of an error. What is spoken in bytes (`dns`, `starttls`, `tls`) is
//! as pure.

pub mod caa;
pub mod dns;
pub mod dnssec;
pub mod har;
pub mod hsts;
pub mod rdap;
pub mod set_cookie;
pub mod spf;
pub mod starttls;
pub mod tls;
pub mod tlsa;
pub mod x509;
pub mod yaml;
pub mod zonefile;
