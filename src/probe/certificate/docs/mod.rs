//! What the kind can find, as `portalwatch explain` prints it. Those about chains are beside their
//! judge; a file here for each other matter.

use super::judge;
use crate::model::FindingDoc;

/// Everything the kind can find.
pub const ALL: &[FindingDoc] = judge::FINDINGS;
