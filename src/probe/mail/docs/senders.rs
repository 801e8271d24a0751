//! What can be found about the addresses that send.

use crate::model::finding::remark;
use crate::model::{FindingDoc, Severity};
use Severity::{Error, Info, Warning};

pub const NO_NAME: FindingDoc = remark(
    "sender.reverse",
    Warning,
    [
        "The address of a declared sender has no name, or its name does not lead back to it.",
        "Many receivers refuse mail from such addresses.",
        "Ask whoever owns the address for a PTR record with the host's name, and give that name the address.",
    ],
    "RFC 1912 section 2.1",
);
pub const LISTED: FindingDoc = remark(
    "sender.listed",
    Error,
    [
        "A block list has the address of a declared sender.",
        "Receivers that use the list refuse its mail.",
        "Find out what it sent, stop that, then ask the list to take it off.",
    ],
    "RFC 5782 section 2",
);
pub const LIST_UNUSABLE: FindingDoc = remark(
    "sender.list_unusable",
    Info,
    [
        "A block list does not answer as it should: what it always lists is not listed, or what it never lists is. Many refuse questions from open resolvers.",
        "Nothing is known of the address there.",
        "Ask by a resolver of your own, get a key of the list, or take the list out of the settings.",
    ],
    "RFC 5782 section 5",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[NO_NAME, LISTED, LIST_UNUSABLE];
