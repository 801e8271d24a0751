//! What can be found by comparing records with what was learned and approved.

use crate::model::finding::remark;
use crate::model::{FindingDoc, Severity};
use Severity::{Error, Info, Notice};

pub const DRIFT: FindingDoc = remark(
    "mail.drift",
    Error,
    [
        "A record, a policy or the set of addresses that may send is no longer what a person approved (or is what a person rejected), at two looks in a row.",
        "Somebody changed it by mistake or on purpose: mail may be lost, or somebody else may send in the domain's name.",
        "Compare the lines under `diff`. If it is right as it is: `portalwatch baseline approve`. If not, put it back.",
    ],
    "RFC 7208 section 11",
);
pub const SUSPECTED: FindingDoc = remark(
    "mail.drift_suspected",
    Notice,
    [
        "Something is not what was approved, so far at one look.",
        "It is a change on its way, or a slip of one server.",
        "Wait for the next run: it is told as mail.drift if it stays.",
    ],
    "RFC 7208 section 11",
);
pub const UNAPPROVED: FindingDoc = remark(
    "mail.unapproved_change",
    Notice,
    [
        "Something that was learned, and that nobody approved, changed. Services change the addresses behind their includes now and then.",
        "As long as nobody said what it should be, a change is not judged.",
        "Look at the lines under `diff`, and approve what is right: `portalwatch baseline approve`.",
    ],
    "RFC 7208 section 11",
);
pub const TO_APPROVE: FindingDoc = remark(
    "mail.to_approve",
    Info,
    [
        "Records were learned, and nobody has approved them.",
        "Their changes are remarks and alert nobody.",
        "Look at them with `portalwatch baseline list`, and approve them with `portalwatch baseline approve`.",
    ],
    "RFC 7208 section 11",
);
pub const UNREAD: FindingDoc = remark(
    "mail.baselines_unread",
    Error,
    [
        "What was approved could not be read from the store, so nothing was compared with it.",
        "A change would not be noticed.",
        "See the summary for what the store says.",
    ],
    "RFC 7208 section 11",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[DRIFT, SUSPECTED, UNAPPROVED, TO_APPROVE, UNREAD];
