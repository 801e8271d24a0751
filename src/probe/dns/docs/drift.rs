//! What can be found by comparing a zone with what was learned and approved.

use crate::model::finding::{doc, remark};
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

pub const DRIFT: FindingDoc = remark(
    "dns.drift",
    Error,
    [
        "A record set is no longer what a person approved (or is what a person rejected). At least two looks and two authorities, or all of them, say so.",
        "Somebody changed it by mistake or on purpose. Wrong name servers or keys hand the whole zone over, wrong mail records lose mail, wrong addresses lead users elsewhere.",
        "Compare the lines under `diff`. If it is right as it is: `portalwatch baseline approve`. If not, put the zone back; it is over when the authorities agree on the old values.",
    ],
    "RFC 1034 section 3.6",
);
pub const SUSPECTED: FindingDoc = remark(
    "dns.drift_suspected",
    Notice,
    [
        "A record set is not what was approved, so far at one look or by too few authorities.",
        "It is a change on its way, or a slip of one server.",
        "Wait for the next run: it is told as dns.drift if it stays.",
    ],
    "RFC 1034 section 3.6",
);
pub const UNAPPROVED_CHANGE: FindingDoc = remark(
    "dns.unapproved_change",
    Notice,
    [
        "A record set that was learned, and that nobody approved, changed.",
        "As long as nobody said what it should be, a change is not judged.",
        "Look at the lines under `diff`, and approve what is right: `portalwatch baseline approve`.",
    ],
    "RFC 1034 section 3.6",
);
pub const MASS_CHANGE: FindingDoc = doc(
    "dns.mass_change",
    Critical,
    false,
    [
        "More than three in ten of the zone's approved record sets (of ten or more) are something else at once.",
        "The zone was overwritten, moved to other servers, or taken over.",
        "Look at who serves the zone, at its registrar and at the last change of the zone, before looking at single records.",
    ],
    "RFC 1034 section 4.2",
);
pub const TO_APPROVE: FindingDoc = remark(
    "dns.to_approve",
    Info,
    [
        "Record sets were learned, and nobody has approved them.",
        "Their changes are remarks and alert nobody.",
        "Look at them with `portalwatch baseline list`, and approve them with `portalwatch baseline approve`.",
    ],
    "RFC 1034 section 3.6",
);
pub const ANNOUNCED_MISSED: FindingDoc = remark(
    "dns.announced_missed",
    Notice,
    [
        "A change was announced, and its time is over without it.",
        "Somebody expects it to have happened.",
        "Make the change, or take its announcement out of the settings.",
    ],
    "RFC 1034 section 3.6",
);
pub const BASELINES_UNREAD: FindingDoc = remark(
    "dns.baselines_unread",
    Error,
    [
        "What was approved could not be read from the store, so nothing was compared with it.",
        "A change would not be noticed.",
        "See the summary for what the store says.",
    ],
    "RFC 1034 section 3.6",
);

pub const TTL_CHANGED: FindingDoc = remark(
    "dns.ttl_changed",
    Notice,
    [
        "The time for which others may keep a record set is four times what it was, or a quarter, at five looks.",
        "Somebody prepares a change, or changes will take longer to arrive.",
        "Nothing, if it is meant; after a while it counts as usual.",
    ],
    "RFC 1035 section 3.2.1",
);
pub const TTL_LOW: FindingDoc = remark(
    "dns.ttl_low",
    Warning,
    [
        "The time for which others may keep a record set is below `min_ttl`, at five looks.",
        "Resolvers ask more often, and an outage of the name servers is felt sooner.",
        "Raise the TTL again, or lower `min_ttl`.",
    ],
    "RFC 1912 section 2.2",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    DRIFT,
    SUSPECTED,
    UNAPPROVED_CHANGE,
    MASS_CHANGE,
    TO_APPROVE,
    ANNOUNCED_MISSED,
    BASELINES_UNREAD,
    TTL_CHANGED,
    TTL_LOW,
];
