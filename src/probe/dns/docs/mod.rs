//! What the kind can find, as `portalwatch explain` prints it; a file for each matter.

pub mod dnssec;
pub mod drift;
pub mod health;
pub mod reach;
pub mod views;

use crate::model::FindingDoc;
use crate::model::finding::{count, join};

const LISTS: &[&[FindingDoc]] =
    &[reach::FINDINGS, views::FINDINGS, drift::FINDINGS, health::FINDINGS, dnssec::FINDINGS];

/// Everything the kind can find.
pub const ALL: &[FindingDoc] = &join::<{ count(LISTS) }>(LISTS);
