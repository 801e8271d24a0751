//! What the kind can find, as `portalwatch explain` prints it; a file for each matter.

pub mod dkim;
pub mod dmarc;
pub mod drift;
pub mod round_trip;
pub mod senders;
pub mod spf;
pub mod transport;
pub mod whole;

use crate::model::FindingDoc;
use crate::model::finding::{count, join};
use crate::probe::mail::spf::findings;

const LISTS: &[&[FindingDoc]] = &[
    findings::FINDINGS,
    spf::FINDINGS,
    dkim::FINDINGS,
    dmarc::FINDINGS,
    transport::FINDINGS,
    senders::FINDINGS,
    whole::FINDINGS,
    round_trip::FINDINGS,
    drift::FINDINGS,
];

/// Everything the kind can find.
pub const ALL: &[FindingDoc] = &join::<{ count(LISTS) }>(LISTS);
