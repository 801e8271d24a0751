//! What the kind can find, as `portalwatch explain` prints it; a file for each matter.

pub mod reach;

use crate::model::FindingDoc;

/// Everything the kind can find.
pub const ALL: &[FindingDoc] = &[
    reach::AUTHORITY_UNREACHABLE,
    reach::TCP_FAILS,
    reach::NO_AUTHORITY_ANSWERS,
    reach::LAME,
    reach::NO_DELEGATION,
    reach::PARENT_UNREACHABLE,
    reach::RESOLVER_UNMEASURED,
    reach::NOT_ASKED,
    reach::LEFT_OUT,
    reach::NO_ROUTE,
    reach::UNDECODABLE,
];
