//! What the kind can find, as `portalwatch explain` prints it. Those about chains are beside their
//! judge; a file here for each other matter.

pub mod change;
mod join;

use super::judge;
use crate::model::FindingDoc;

const LISTS: &[&[FindingDoc]] = &[judge::FINDINGS, change::FINDINGS];

/// Everything the kind can find.
pub const ALL: &[FindingDoc] = &join::join::<{ join::count(LISTS) }>(LISTS);
