//! What can be found by comparing what servers say: with what was declared, and with each other.

use crate::model::finding::{doc, remark};
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

pub const UNEXPECTED: FindingDoc = remark(
    "dns.unexpected",
    Error,
    [
        "A record set at the authorities is not what the settings declare.",
        "Somebody changed it by mistake or on purpose, or the settings are behind. Wrong name servers or keys hand the whole zone over, wrong mail records lose mail.",
        "Compare the lines under `diff` (`-` is missing, `+` should not be there) with what was meant, and correct the zone or the check.",
    ],
    "RFC 1034 section 3.6",
);
pub const DELEGATION_DIFFERS: FindingDoc = remark(
    "dns.delegation_differs",
    Error,
    [
        "The parent zone names other name servers, or other addresses of them, than the zone itself.",
        "Users are sent to servers that may no longer serve the zone, or may belong to somebody else by now.",
        "Bring the registrar's entry and the zone's NS records in line.",
    ],
    "RFC 1034 section 4.2.2",
);
pub const PROPAGATING: FindingDoc = remark(
    "dns.propagating",
    Notice,
    [
        "Authorities of the zone give different answers, and have not for long: a change is on its way. Sets that are served in turns look like this too.",
        "Until they agree, it depends on the server what users get.",
        "Wait for twice the zone's refresh time, or an hour; it is told as dns.split then.",
    ],
    "RFC 1034 section 4.3.5",
);
pub const SPLIT: FindingDoc = remark(
    "dns.split",
    Error,
    [
        "Authorities of the zone give different answers for longer than twice the zone's refresh time, and an hour.",
        "A secondary has stopped fetching the zone, or somebody edits it in two places: users get one or the other.",
        "Look at the transfers of the server that is named (its log, the primary's `allow-transfer` and NOTIFY), and at its serial.",
    ],
    "RFC 1034 section 4.3.5",
);
pub const RESOLVER_DIFFERS: FindingDoc = remark(
    "dns.resolver_differs",
    Info,
    [
        "A resolver gives another answer than every authority, for longer than its copy may live.",
        "Its users get something else: an old copy, a filter, or an answer for their region.",
        "Flush the name in the resolver's cache, or ask its operator.",
    ],
    "RFC 2181 section 5.4.1",
);
pub const PUBLIC_VIEW_DIFFERS: FindingDoc = remark(
    "dns.public_view_differs",
    Error,
    [
        "Two or more resolvers agree on an answer that no authority gives, for longer than a copy may live.",
        "Most users get something else than the zone says: an attack on the way, or servers that answer by region.",
        "Ask the authorities from elsewhere. Where answers by region are meant, declare the set with subset_of or unmanaged.",
    ],
    "RFC 5452",
);

/// Servers say different things; told by `inspect dns`.
pub const ANSWERS_DIFFER: FindingDoc = remark(
    "dns.answers_differ",
    Warning,
    [
        "Servers that were asked the same at the same time give different answers. Told by `portalwatch inspect dns`.",
        "It depends on the server what users get; for a while after a change, or where answers go by turns or by region, that is meant.",
        "Look at the rows: a resolver that is behind, an authority that is stale, or a set that is served in turns.",
    ],
    "RFC 1034 section 4.3.5",
);
/// No server has the record; told by `inspect dns`.
pub const NO_ANSWER: FindingDoc = doc(
    "dns.no_answer",
    Critical,
    true,
    [
        "No server that was asked has such a record: the name does not exist, has none of the type, or every server fails. Told by `portalwatch inspect dns`.",
        "Who needs the record gets nothing.",
        "Check the name and the type. SERVFAIL everywhere is mostly a matter of DNSSEC or of the zone's servers.",
    ],
    "RFC 2308 section 2",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    UNEXPECTED,
    DELEGATION_DIFFERS,
    PROPAGATING,
    SPLIT,
    RESOLVER_DIFFERS,
    PUBLIC_VIEW_DIFFERS,
    ANSWERS_DIFFER,
    NO_ANSWER,
];
