//! What the kind can find, as `portalwatch explain` prints it; a file for each matter.

use crate::model::FindingDoc;

/// Everything the kind can find.
pub const ALL: &[FindingDoc] = &[];
