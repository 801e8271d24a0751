//! What can be found about keys of DKIM.

use crate::model::finding::remark;
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

pub const MISSING: FindingDoc = remark(
    "dkim.missing",
    Error,
    [
        "A declared selector has no key record.",
        "Mail that is signed with it fails DKIM, and with it mostly DMARC.",
        "Publish the record that whoever signs gives you, or take the selector out of the settings if nothing is signed with it.",
    ],
    "RFC 6376 section 3.6.2",
);
pub const INVALID: FindingDoc = remark(
    "dkim.invalid",
    Error,
    [
        "The key record of a declared selector cannot be used: it cannot be read, or there are several.",
        "Mail that is signed with it fails DKIM.",
        "Publish exactly one TXT record at the name, as whoever signs gives it; the summary says where it goes wrong.",
    ],
    "RFC 6376 section 3.6.1",
);
pub const REVOKED: FindingDoc = remark(
    "dkim.revoked",
    Error,
    [
        "The key of a declared selector was revoked (p= is empty).",
        "Mail that is signed with it fails DKIM.",
        "Sign with another selector, and take this one out of the settings.",
    ],
    "RFC 6376 section 3.6.1",
);
pub const TOO_SHORT: FindingDoc = remark(
    "dkim.key_too_short",
    Critical,
    [
        "The RSA key of a selector has fewer than 1024 bits.",
        "Receivers must not accept its signatures, and anybody can find its private key.",
        "Make a key of 2048 bits under a new selector, sign with it, and revoke this one.",
    ],
    "RFC 8301 section 3.2",
);
pub const WEAK: FindingDoc = remark(
    "dkim.weak_key",
    Warning,
    [
        "The RSA key of a selector has fewer than 2048 bits.",
        "Keys of 1024 bits are no longer out of reach, and some receivers distrust them.",
        "Make a key of 2048 bits under a new selector, sign with it, and revoke this one.",
    ],
    "RFC 8301 section 3.2",
);
pub const SHA1: FindingDoc = remark(
    "dkim.sha1_only",
    Error,
    [
        "The record allows SHA-1 alone.",
        "Receivers must not accept signatures with SHA-1, so none by this key is.",
        "Remove h= from the record, or write h=sha256.",
    ],
    "RFC 8301 section 3.1",
);
pub const NOT_FOR_MAIL: FindingDoc = remark(
    "dkim.not_for_mail",
    Error,
    [
        "The record says that its key is not for mail (s=).",
        "Receivers pass over signatures of mail that are made with it.",
        "Remove s= from the record, or write s=email.",
    ],
    "RFC 6376 section 3.6.1",
);
pub const TESTING: FindingDoc = remark(
    "dkim.testing",
    Notice,
    [
        "The record says that DKIM is only being tested (t=y).",
        "Some receivers treat its signatures as if there were none.",
        "Remove y from t= once signing works.",
    ],
    "RFC 6376 section 3.6.1",
);
pub const UNKNOWN_TAGS: FindingDoc = remark(
    "dkim.unknown_tags",
    Notice,
    [
        "The record has tags that no standard in force knows.",
        "Receivers pass over them; they may be mistyped.",
        "Remove them from the record.",
    ],
    "RFC 6376 section 3.6.1",
);
pub const OLD_KEY: FindingDoc = remark(
    "dkim.old_key",
    Notice,
    [
        "The key of a selector has been the same for more than a year, as far as this check looked.",
        "The longer a key is in use, the more can have leaked it.",
        "Rotate it: publish a new key under another selector, sign with that, then revoke this one.",
    ],
    "M3AAWG DKIM Key Rotation Best Common Practices",
);
pub const SAME_KEY: FindingDoc = remark(
    "dkim.same_key",
    Notice,
    [
        "Two selectors have the same key.",
        "Rotating from one to the other changes nothing.",
        "Make a key of its own for each selector.",
    ],
    "M3AAWG DKIM Key Rotation Best Common Practices",
);
pub const UNDECLARED: FindingDoc = remark(
    "dkim.undeclared",
    Info,
    [
        "No selector is declared, so nothing is known of the domain's DKIM keys. Selectors cannot be listed, and guessing them proves nothing.",
        "A key that is lost or weak would not be noticed.",
        "Declare the selectors: `dkim_selectors: [s1]`. They stand in s= of DKIM-Signature in the domain's mail.",
    ],
    "RFC 6376 section 3.1",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    MISSING,
    INVALID,
    REVOKED,
    TOO_SHORT,
    WEAK,
    SHA1,
    NOT_FOR_MAIL,
    TESTING,
    UNKNOWN_TAGS,
    OLD_KEY,
    SAME_KEY,
    UNDECLARED,
];
