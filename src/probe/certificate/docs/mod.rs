//! What the kind can find, as `portalwatch explain` prints it. Those about chains are beside their
//! judge; a file here for each other matter.

pub mod change;
pub mod pages;
pub mod posture;
pub mod reach;
pub mod records;
pub mod staple;

use super::judge;
use crate::model::FindingDoc;
use crate::model::finding::{count, join};

const LISTS: &[&[FindingDoc]] = &[
    reach::FINDINGS,
    records::FINDINGS,
    judge::FINDINGS,
    change::FINDINGS,
    pages::FINDINGS,
    posture::FINDINGS,
    staple::FINDINGS,
];

/// Everything the kind can find.
pub const ALL: &[FindingDoc] = &join::<{ count(LISTS) }>(LISTS);
