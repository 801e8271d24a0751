//! What can be found about the domain's mail as a whole.

use crate::model::finding::{doc, remark};
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Warning};

pub const NO_DOMAIN: FindingDoc = doc(
    "mail.no_domain",
    Critical,
    true,
    [
        "The domain does not exist (NXDOMAIN).",
        "Mail to it bounces, and mail from it is refused.",
        "Look at its registration and its delegation: `portalwatch inspect zone`.",
    ],
    "RFC 5321 section 2.3.5",
);
pub const UNANSWERED: FindingDoc = remark(
    "mail.unanswered",
    Info,
    [
        "A question to the DNS was not answered, so it is not known whether there is such a record. That is never taken for a missing one.",
        "While it lasts, nothing is known of what the record is about; receivers that cannot ask either put mail off.",
        "Look at the domain's name servers: `portalwatch inspect zone`.",
    ],
    "RFC 7208 section 2.6.6",
);
pub const REQUIRED: FindingDoc = remark(
    "mail.required",
    Error,
    [
        "Something that the settings require of the domain (`require`) is missing or weaker.",
        "It was there when it was required, or has to come.",
        "Publish it, or change the settings.",
    ],
    "RFC 9989 section 4.7",
);
pub const RULES: FindingDoc = remark(
    "receivers.rules",
    Warning,
    [
        "The domain does not keep to what Gmail, Yahoo and Microsoft ask of those who send to many: SPF, DKIM and DMARC, one of them aligned, and names for sending addresses.",
        "They refuse its mail (550 5.7.515) or file it as spam.",
        "Set up what the summary names.",
    ],
    "Email sender guidelines of Gmail, Yahoo and Microsoft, 2024 and 2025",
);
pub const PARKED: FindingDoc = remark(
    "parked.record",
    Error,
    [
        "A domain that sends and takes no mail does not say so.",
        "Others can send in its name, or mail to it waits for days before it bounces.",
        "Publish the record in the summary.",
    ],
    "RFC 7505 section 4.2",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[NO_DOMAIN, UNANSWERED, REQUIRED, RULES, PARKED];
