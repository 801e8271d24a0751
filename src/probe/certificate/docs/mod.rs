//! What the kind can find, as `portalwatch explain` prints it. Those about chains are beside their
//! judge; a file here for each other matter.

mod join;
pub mod staple;

use super::judge;
use crate::model::FindingDoc;

const LISTS: &[&[FindingDoc]] = &[judge::FINDINGS, staple::FINDINGS];

/// Everything the kind can find.
pub const ALL: &[FindingDoc] = &join::join::<{ join::count(LISTS) }>(LISTS);
