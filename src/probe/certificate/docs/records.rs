//! What can be found about records of the DNS that speak of certificates and of TLS.

use crate::model::finding::remark;
use crate::model::{FindingDoc, Severity};
use Severity::{Error, Info, Notice, Warning};

pub const CAA_FORBIDS: FindingDoc = remark(
    "cert.caa_forbids",
    Warning,
    [
        "The CAA records do not let the authority issue from which the present certificate comes.",
        "Nothing is broken yet; the next renewal there will be refused. Or the certificate is not one of yours.",
        "Add an `issue` record (`issuewild` for wildcards) that names the authority, or move to one that is named. Where it is not measured: compare the records with what the authority's own documentation names.",
    ],
    "RFC 8659 sections 4.2 and 4.3",
);
pub const CAA_CRITICAL: FindingDoc = remark(
    "cert.caa_critical",
    Warning,
    [
        "A CAA record that is marked critical has a tag that no authority knows.",
        "Every authority has to refuse to issue for the name.",
        "Correct the tag, or take the flag 128 away.",
    ],
    "RFC 8659 section 4.1",
);
pub const CAA_SYNTAX: FindingDoc = remark(
    "cert.caa_syntax",
    Warning,
    [
        "A CAA record cannot be read as its tag wants it.",
        "Authorities take an issuer that they cannot read for nobody, and pass over what else they cannot read.",
        "Write the value as RFC 8659 has it: `0 issue \"letsencrypt.org\"`, parameters after a semicolon.",
    ],
    "RFC 8659 section 4.2",
);
pub const CAA_MISSING: FindingDoc = remark(
    "cert.caa_missing",
    Info,
    [
        "No CAA record stands at the name or above it, or none that says who may issue.",
        "Any authority may issue certificates for it.",
        "Publish `0 issue` with the authority that you use.",
    ],
    "RFC 8659 section 3",
);
pub const TLSA_MISMATCH: FindingDoc = remark(
    "cert.tlsa_mismatch",
    Error,
    [
        "TLSA records are published and validate, and none fits the certificates that are served.",
        "Whoever goes by them refuses the connection. For mail that is delivered here (SMTP) many senders do, and keep their mail.",
        "Publish a record for the present key first (`3 1 1` with the SHA-256 of its SubjectPublicKeyInfo), wait until the old TTL has run out, and only then change keys.",
    ],
    "RFC 7671 section 8; RFC 7672 section 2.2",
);
pub const TLSA_UNUSED: FindingDoc = remark(
    "cert.tlsa_unused",
    Info,
    [
        "A TLSA record fits nothing that is served.",
        "That is right for a key that comes next; one of a former key is left over.",
        "Remove the records of keys that will not come back.",
    ],
    "RFC 7671 section 8.1",
);
pub const TLSA_UNUSABLE: FindingDoc = remark(
    "cert.tlsa_unusable",
    Notice,
    [
        "A TLSA record has parameters that clients pass over.",
        "A record that nobody goes by protects nothing.",
        "Publish `3 1 1`, or `2 1 1` for an authority.",
    ],
    "RFC 7671 section 10.1.1; RFC 7672 section 3.1.3",
);
pub const TLSA_INSECURE: FindingDoc = remark(
    "cert.tlsa_insecure",
    Notice,
    [
        "TLSA records are published, and the resolver did not validate them.",
        "Without DNSSEC no client goes by them.",
        "Sign the zone, or remove the records. If the zone is signed, ask a resolver that validates (`resolvers`).",
    ],
    "RFC 7671 section 4",
);
pub const HTTPS_RECORD: FindingDoc = remark(
    "tls.https_record",
    Warning,
    [
        "The HTTPS record promises what the server does not do: a protocol it does not agree on, or addresses that the name does not have.",
        "Browsers go by the record, and lose time or fail.",
        "Bring the record and the server in line; a CDN that was left behind often leaves its record.",
    ],
    "RFC 9460 sections 7.1 and 7.3",
);
/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    CAA_FORBIDS,
    CAA_CRITICAL,
    CAA_SYNTAX,
    CAA_MISSING,
    TLSA_MISMATCH,
    TLSA_UNUSED,
    TLSA_UNUSABLE,
    TLSA_INSECURE,
    HTTPS_RECORD,
];
