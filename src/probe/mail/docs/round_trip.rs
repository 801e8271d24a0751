//! What can be found about a message that goes out and comes back.

use crate::model::finding::{doc, remark};
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

pub const NOT_SENT: FindingDoc = doc(
    "loop.not_sent",
    Critical,
    true,
    [
        "The message was not sent: the server that sends mail refuses it, or the journey that should make the portal send it fails.",
        "Users get no mail either.",
        "See the summary for what the server or the journey says.",
    ],
    "RFC 5321 section 4.2",
);
pub const LOST: FindingDoc = doc(
    "loop.not_received",
    Critical,
    true,
    [
        "The message was sent and did not arrive in time (`within`).",
        "Mail of the portal is lost or very late: password resets and invitations do not arrive.",
        "Look at the queue of the server that sends, and at the junk folder of the mailbox that is read.",
    ],
    "RFC 5321 section 4.5.4",
);
pub const UNMEASURED: FindingDoc = remark(
    "loop.unmeasured",
    Info,
    [
        "Where the message should arrive could not be looked at, so nothing is known of it.",
        "If mail stops arriving, it is not noticed.",
        "Look at the mailbox and its password, or at the address to listen at.",
    ],
    "RFC 9051 section 6.2.3",
);
pub const DMARC: FindingDoc = doc(
    "loop.dmarc",
    Critical,
    true,
    [
        "The message that arrived fails DMARC: neither SPF nor a signature passes for the domain it shows.",
        "Receivers refuse it or file it as spam, as the domain itself asks them to.",
        "See what SPF and the signatures say in the summary; let the server that sends sign for the domain.",
    ],
    "RFC 9989 section 5.3",
);
pub const DKIM: FindingDoc = remark(
    "loop.dkim",
    Error,
    [
        "The message that arrived has no signature of its domain that holds.",
        "Once it is forwarded, it fails DMARC; large receivers ask for a signature.",
        "Let the server that sends sign for the domain, and publish its key; the summary says why the signatures do not hold.",
    ],
    "RFC 6376 section 6",
);
pub const SPF: FindingDoc = remark(
    "loop.spf",
    Error,
    [
        "SPF does not pass for the message that arrived, or passes for another domain.",
        "Only its signature keeps it from being refused.",
        "Add the address that sent it to the SPF record, and let it send with a MAIL FROM of the domain.",
    ],
    "RFC 7208 section 2.6",
);
pub const LINKS: FindingDoc = remark(
    "loop.links",
    Error,
    [
        "A link in the message leads to a host that it should not lead to (`links`).",
        "Users end up at the wrong place: a test system, or somebody else's.",
        "Correct the address that the portal builds its links with.",
    ],
    "RFC 9110 section 4.2",
);
pub const UNSUBSCRIBE: FindingDoc = remark(
    "loop.unsubscribe",
    Warning,
    [
        "The message cannot be unsubscribed from with one click, though the domain sends to many (`bulk`).",
        "Gmail and Yahoo ask for it, and file mail without it as spam.",
        "Add List-Unsubscribe with an https: address, and List-Unsubscribe-Post: List-Unsubscribe=One-Click.",
    ],
    "RFC 8058 section 2",
);
pub const SKIPPED: FindingDoc = remark(
    "loop.unknown_sender",
    Notice,
    [
        "No header of the message says which address it came from, so SPF could not be looked at.",
        "Only its signatures are judged.",
        "Read a mailbox whose server adds Received headers, or let the check listen itself (smtp_listen).",
    ],
    "RFC 5321 section 4.4",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] =
    &[NOT_SENT, LOST, UNMEASURED, DMARC, DKIM, SPF, LINKS, UNSUBSCRIBE, SKIPPED];
