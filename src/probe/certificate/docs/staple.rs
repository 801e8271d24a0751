//! What can be found about revocation as it is served and fetched, and about timestamps of logs.

use crate::model::finding::doc;
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

const RENEW_STAPLE: &str = "Look at the server's log for why it does not fetch a new response: it needs a resolver and a way out to the responder (nginx: `resolver`, `ssl_trusted_certificate`). Reload it afterwards.";

pub const STAPLE_REQUIRED: FindingDoc = doc(
    "cert.staple_required",
    Critical,
    true,
    [
        "The certificate demands a stapled OCSP response (must-staple), and the server sends none.",
        "Firefox refuses the connection; other browsers may follow.",
        "Turn stapling on (nginx: `ssl_stapling on`, Apache: `SSLUseStapling on`), or have the certificate issued again without must-staple: many authorities have given OCSP up.",
    ],
    "RFC 7633 section 4",
);
pub const STAPLE_NONE: FindingDoc = doc(
    "cert.staple_none",
    Notice,
    false,
    [
        "The certificate names an OCSP responder, and the server staples no response.",
        "Clients that look ask the responder themselves: that takes time, and tells the authority who visits.",
        "Turn stapling on (nginx: `ssl_stapling on`, Apache: `SSLUseStapling on`).",
    ],
    "RFC 6066 section 8; RFC 9325 section 7.5",
);
pub const STAPLE_STALE: FindingDoc = doc(
    "cert.staple_stale",
    Error,
    false,
    [
        "The stapled OCSP response is past its end, or does not hold yet.",
        "Strict clients refuse the connection; others take the staple for missing.",
        RENEW_STAPLE,
    ],
    "RFC 6960 section 4.2.2.1",
);
pub const STAPLE_OTHER: FindingDoc = doc(
    "cert.staple_other",
    Error,
    false,
    [
        "The stapled OCSP response is about another certificate, is an error of the responder's, or is signed by someone who may not.",
        "Strict clients refuse the connection; others take the staple for missing.",
        "A staple that is kept in a file or a cache must be replaced together with the certificate. Reload the server, and look at its log for what the responder says.",
    ],
    "RFC 6960 sections 3.2 and 4.2.2.2",
);
pub const STAPLE_INVALID: FindingDoc = doc(
    "cert.staple_invalid",
    Error,
    true,
    [
        "The stapled OCSP response cannot be read, or its signature does not hold.",
        "Firefox refuses the connection, and so do strict clients.",
        "Clear the server's cache of responses and reload it. If that does not help, turn stapling off and tell the authority.",
    ],
    "RFC 6960 section 3.2",
);
pub const STAPLE_UNKNOWN: FindingDoc = doc(
    "cert.staple_unknown",
    Error,
    true,
    [
        "The responder says in the stapled OCSP response that it does not know the certificate.",
        "Firefox refuses the connection, and so do strict clients.",
        "Right after issuing, wait some minutes and reload the server. If it stays, ask the authority whether it issued this certificate.",
    ],
    "RFC 6960 section 2.2",
);
pub const SCT_FEW: FindingDoc = doc(
    "cert.sct_few",
    Warning,
    false,
    [
        "A certificate of a public authority has too few valid timestamps of public logs: two of different operators, three timestamps where it lives longer than 180 days.",
        "Chrome, Safari and Firefox refuse certificates that are not logged. A certificate without any is broken now.",
        "Have the certificate issued again; authorities put the timestamps in unless asked not to.",
    ],
    "RFC 6962 section 5.2; Chrome's certificate transparency policy",
);
pub const SCT_INVALID: FindingDoc = doc(
    "cert.sct_invalid",
    Notice,
    false,
    [
        "A timestamp that is served does not count, though there are enough without it.",
        "Nobody is cut off, but what put it there makes a mistake.",
        "Timestamps beside the certificate (TLS extension, OCSP) must be replaced together with it. For one inside it tell the authority.",
    ],
    "RFC 6962 section 3.2",
);
pub const CRL_UNREACHABLE: FindingDoc = doc(
    "cert.crl_unreachable",
    Warning,
    false,
    [
        "The revocation list cannot be fetched from where the certificate says.",
        "Whether the certificate is revoked is not known, and strict clients refuse what they cannot check.",
        "A public authority must keep its lists up: tell it. For an internal authority publish the list at the URL again.",
    ],
    "RFC 5280 section 4.2.1.13",
);
pub const CRL_REFUSED: FindingDoc = doc(
    "cert.crl_refused",
    Notice,
    false,
    [
        "The certificate says that its revocation list is at a place from which nothing is fetched: a private address, or another scheme than HTTP.",
        "Whether the certificate is revoked is not known here; clients elsewhere cannot find out either.",
        "Publish the list by HTTP where all clients reach it, and name that place in the certificates.",
    ],
    "RFC 5280 section 4.2.1.13",
);
pub const CRL_NONE: FindingDoc = doc(
    "cert.crl_none",
    Info,
    false,
    [
        "A certificate of a public authority names neither a revocation list nor an OCSP responder, and lives longer than ten days.",
        "If its key leaks, nobody can be told before it runs out.",
        "Have the certificate issued again. If it stays so, tell the authority: it must name a list.",
    ],
    "CA/Browser Forum BR 7.1.2.11.2",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    STAPLE_REQUIRED,
    STAPLE_NONE,
    STAPLE_STALE,
    STAPLE_OTHER,
    STAPLE_INVALID,
    STAPLE_UNKNOWN,
    SCT_FEW,
    SCT_INVALID,
    CRL_UNREACHABLE,
    CRL_REFUSED,
    CRL_NONE,
];
