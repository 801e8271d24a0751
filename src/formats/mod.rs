//! The text formats the program reads, one file or folder per standard: pure, `&str` in, `Result`
//! out, with the position of an error.

pub mod har;
pub mod set_cookie;
pub mod x509;
pub mod yaml;
