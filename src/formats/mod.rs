//! The text formats the program reads, one file or folder per standard: pure, `&str` in, `Result`
//! out, with the position of an error. What is spoken in bytes (`starttls`, `tls`) is as pure.

pub mod har;
pub mod rdap;
pub mod set_cookie;
pub mod starttls;
pub mod tls;
pub mod x509;
pub mod yaml;
