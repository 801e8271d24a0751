//! A real message: what a receiver reads of it, and whether its signatures hold.

pub mod message;
pub mod signatures;
pub mod spec;

use jiff::Timestamp;

use crate::model::CheckId;

/// How the subjects of all canaries of a check begin, those of earlier runs among them, and of no other's.
pub fn own_subjects(check: &CheckId) -> String {
    // Names hold no spaces, so that `acme/mail` is not the beginning of `acme/mail-2`.
    format!("portalwatch canary {check} ")
}

/// The subject of the canary of one run.
pub fn subject(check: &CheckId, at: Timestamp) -> String {
    format!("{}{:x}", own_subjects(check), at.as_nanosecond())
}

#[cfg(test)]
mod tests;
