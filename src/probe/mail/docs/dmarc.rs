//! What can be found about DMARC.

use crate::model::finding::remark;
use crate::model::{FindingDoc, Severity};
use Severity::{Error, Notice, Warning};

pub const MISSING: FindingDoc = remark(
    "dmarc.missing",
    Warning,
    [
        "Neither the domain nor its organization has a DMARC record.",
        "Anybody can send mail that shows the domain as its sender, and large receivers refuse or file bulk mail without one.",
        "Publish a TXT record at _dmarc: begin with \"v=DMARC1; p=none; rua=mailto:…\", read the reports, then go on to p=quarantine and p=reject.",
    ],
    "RFC 9989 section 4.10",
);
pub const SEVERAL: FindingDoc = remark(
    "dmarc.several",
    Error,
    [
        "There are several DMARC records at one name.",
        "Receivers discard all of them, as if there were none.",
        "Keep one of them, and remove the others.",
    ],
    "RFC 9989 section 4.10",
);
pub const INVALID: FindingDoc = remark(
    "dmarc.invalid",
    Error,
    [
        "The DMARC record breaks the grammar. Receivers pass over what they cannot read; if that is a policy, they apply none at all.",
        "It does not say what whoever wrote it meant.",
        "Correct what the summary names.",
    ],
    "RFC 9989 section 4.7",
);
pub const MISPLACED: FindingDoc = remark(
    "dmarc.misplaced",
    Warning,
    [
        "A DMARC record stands at the domain itself, or begins with a space.",
        "Receivers look at _dmarc alone, for records that begin with v=DMARC1.",
        "Move it to _dmarc, without anything before v=DMARC1.",
    ],
    "RFC 9989 section 4.10",
);
pub const STRANGERS: FindingDoc = remark(
    "dmarc.unrelated",
    Notice,
    [
        "There are TXT records at _dmarc that are none of DMARC.",
        "Receivers pass over them; they are mistyped or misplaced.",
        "Remove them from the record.",
    ],
    "RFC 9989 section 4.10",
);
pub const REMOVED: FindingDoc = remark(
    "dmarc.removed_tags",
    Notice,
    [
        "The record has tags that DMARC no longer has: pct, rf or ri, or limits of size behind addresses.",
        "Receivers pass over them. With pct=0 or another share the policy applies to all mail now.",
        "Remove them; to try a policy out, write t=y.",
    ],
    "RFC 9989 appendix C.5.2",
);
pub const UNKNOWN: FindingDoc = remark(
    "dmarc.unknown_tags",
    Notice,
    [
        "The record has tags that no standard knows.",
        "Receivers pass over them; they may be mistyped.",
        "Remove them from the record.",
    ],
    "RFC 9989 section 4.7",
);
pub const ORDER: FindingDoc = remark(
    "dmarc.order",
    Notice,
    [
        "p is missing (then it is none), or does not follow v.",
        "Receivers that keep to the former standard (RFC 7489) discard the record.",
        "Write p directly behind v=DMARC1.",
    ],
    "RFC 9989 section 4.7",
);
pub const NOT_ENFORCED: FindingDoc = remark(
    "dmarc.not_enforced",
    Warning,
    [
        "The policy that applies is none: receivers do nothing about mail that fails.",
        "Anybody can send mail that shows the domain as its sender.",
        "Read the reports until all of your own mail passes, then publish p=quarantine, and p=reject.",
    ],
    "RFC 9989 section 4.7",
);
pub const WEAKER_BELOW: FindingDoc = remark(
    "dmarc.subdomains_weaker",
    Warning,
    [
        "The policy for names below the domain (sp, or np for those that do not exist) is weaker than its own.",
        "Whoever forges mail takes a name below the domain.",
        "Remove sp and np, or make them as strict as p.",
    ],
    "RFC 9989 section 4.7",
);
pub const TESTING: FindingDoc = remark(
    "dmarc.testing",
    Warning,
    [
        "The policy is only being tested (t=y): receivers apply one level less, so that quarantine is none.",
        "It protects less than it seems to.",
        "Remove t=y once your own mail passes.",
    ],
    "RFC 9989 section 4.7",
);
pub const NO_REPORTS: FindingDoc = remark(
    "dmarc.no_reports",
    Notice,
    [
        "The record asks nobody for reports (rua).",
        "Mail of your own that fails, and who forges the domain, stays unseen.",
        "Add rua=mailto: with a mailbox, or with the address of a service that reads them.",
    ],
    "RFC 9989 section 4.7",
);
pub const UNUSABLE_ADDRESS: FindingDoc = remark(
    "dmarc.report_address",
    Warning,
    [
        "An address for reports is no mailbox, or its domain receives no mail.",
        "Reports are not sent, or come back.",
        "Write mailto: and a mailbox that exists.",
    ],
    "RFC 9990 section 3",
);
pub const UNAUTHORIZED: FindingDoc = remark(
    "dmarc.report_unauthorized",
    Warning,
    [
        "Reports are to go to another organization, and that does not say that it takes them.",
        "Reporters send nothing there.",
        "Ask it to publish \"v=DMARC1\" at the name in the summary, or take another address.",
    ],
    "RFC 9990 section 3",
);
pub const ALIGNMENT: FindingDoc = remark(
    "dmarc.alignment",
    Error,
    [
        "A declared sender authenticates a domain that is not near enough to the one it shows: by neither SPF nor DKIM.",
        "Its mail fails DMARC, whatever SPF and DKIM say.",
        "Let it send with a MAIL FROM of the domain, or sign for it; or relax aspf and adkim.",
    ],
    "RFC 9989 section 4.4",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    MISSING,
    SEVERAL,
    INVALID,
    MISPLACED,
    STRANGERS,
    REMOVED,
    UNKNOWN,
    ORDER,
    NOT_ENFORCED,
    WEAKER_BELOW,
    TESTING,
    NO_REPORTS,
    UNUSABLE_ADDRESS,
    UNAUTHORIZED,
    ALIGNMENT,
];
