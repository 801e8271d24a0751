//! What can be found about SPF beside what one look at the record tells.

use crate::model::finding::remark;
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Notice, Warning};

pub const OLD: FindingDoc = remark(
    "spf.old_record",
    Notice,
    [
        "There is a record of type SPF (99) or of Sender ID (spf2.0).",
        "Nobody reads them; whoever changes one of them changes nothing.",
        "Remove it. The TXT record that begins with v=spf1 is the one that counts.",
    ],
    "RFC 7208 section 3.1",
);
pub const SIZE: FindingDoc = remark(
    "spf.size",
    Notice,
    [
        "The record has more than 450 bytes, or the domain's TXT records together more than 1232.",
        "The answer does not fit into one packet. Receivers whose way to DNS over TCP is blocked see no record.",
        "Move networks into an include, and remove TXT records that are no longer needed.",
    ],
    "RFC 7208 section 3.4",
);
pub const DUPLICATE: FindingDoc = remark(
    "spf.duplicate_terms",
    Notice,
    [
        "A term stands in the record twice.",
        "The second one never matters, and may cost a lookup.",
        "Remove one of the two.",
    ],
    "RFC 7208 section 4.6.2",
);
pub const WIDE: FindingDoc = remark(
    "spf.wide",
    Warning,
    [
        "The record, with what it includes, allows more than 65,536 IPv4 addresses to send.",
        "Somebody else can get one of them and send in the domain's name, and it passes.",
        "Name the addresses of the service instead of its whole network; remove includes of services that are not used.",
    ],
    "RFC 7208 section 11.4",
);
pub const LAPSED: FindingDoc = remark(
    "spf.lapsed_include",
    Critical,
    [
        "The record includes a name below a domain that is not registered.",
        "Whoever registers it decides who may send in the domain's name.",
        "Remove the term from the record.",
    ],
    "RFC 7208 section 11.4",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[OLD, SIZE, DUPLICATE, WIDE, LAPSED];
