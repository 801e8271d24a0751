//! What can be found about DNSSEC.

use crate::model::finding::{doc, remark};
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

pub const BOGUS: FindingDoc = doc(
    "dns.dnssec_bogus",
    Critical,
    true,
    [
        "The parent says that the zone is signed, and at every authority its keys or signatures do not hold.",
        "Every resolver that validates, and that is most of those people use, answers SERVFAIL: the zone does not exist for its users.",
        "If the DS at the parent names no key of the zone, publish the key again or have the registrar replace the DS. If signatures expired, have the zone signed again. Do not simply remove the keys.",
    ],
    "RFC 4035 section 5",
);
pub const SERVER: FindingDoc = remark(
    "dns.dnssec_server",
    Critical,
    [
        "One authority serves keys or signatures that do not hold, while others are right.",
        "Users whose resolver asks this server get SERVFAIL, now and then.",
        "Look at how this server gets the zone: it may serve an old copy, or strip signatures.",
    ],
    "RFC 4035 section 5.3",
);
pub const LOST: FindingDoc = remark(
    "dns.dnssec_lost",
    Critical,
    [
        "The zone was signed (or is to be, by `signed: true`), and the parent has no DS for it.",
        "Answers can be forged again. A DS that vanishes is also what happens right after a domain was taken over.",
        "Ask the registrar who removed it. If it is meant: `signed: false`, or approve the empty DS with `portalwatch baseline approve`.",
    ],
    "RFC 4035 section 5.2",
);
pub const ISLAND: FindingDoc = remark(
    "dns.dnssec_island",
    Notice,
    [
        "The zone has keys, and its parent has no DS for it: nobody checks its signatures.",
        "The signing is work without effect.",
        "Have the registrar publish a DS, or publish CDS records if it looks for them.",
    ],
    "RFC 4033 section 5",
);
pub const EXPIRING: FindingDoc = remark(
    "dns.rrsig_expiring",
    Error,
    [
        "Signatures of the zone expire soon: in less than two days, or where they are made for less than eight days, with less than a fifth of that left. A warning where less than 15 % is left.",
        "Once they have expired, resolvers that validate answer SERVFAIL for the whole zone.",
        "Look at whoever signs the zone: its timer, its keys, its log.",
    ],
    "RFC 6781 section 4.4.2",
);
pub const ALGORITHM: FindingDoc = remark(
    "dns.dnssec_algorithm",
    Warning,
    [
        "The zone is signed with an algorithm that is given up (SHA-1) or broken, or with a short RSA key.",
        "Resolvers treat such zones as unsigned, or soon will; a short key can be broken.",
        "Roll over to ECDSAP256SHA256 (13) or ED25519 (15).",
    ],
    "RFC 8624 section 3.1",
);
pub const DIGEST: FindingDoc = remark(
    "dns.ds_digest",
    Warning,
    [
        "All DS records at the parent were made with SHA-1.",
        "Validators are giving it up.",
        "Have the registrar publish a DS made with SHA-256 (2).",
    ],
    "RFC 8624 section 3.3",
);
pub const NSEC3: FindingDoc = remark(
    "dns.nsec3_parameters",
    Warning,
    [
        "NSEC3 is used with additional iterations or with a salt.",
        "Resolvers may treat zones with iterations as unsigned or answer SERVFAIL; neither protects from anything.",
        "Set iterations to 0 and the salt to nothing.",
    ],
    "RFC 9276 section 3.1",
);
pub const CDS: FindingDoc = remark(
    "dns.cds",
    Warning,
    [
        "The CDS or CDNSKEY records, by which the zone tells its parent which DS it wants, name none of its keys, or differ between authorities.",
        "A registry that follows them would break the zone.",
        "Let the signer publish them again, or remove them.",
    ],
    "RFC 7344 section 4.1",
);
pub const RESOLVER_BOGUS: FindingDoc = doc(
    "dns.bogus_at_resolver",
    Critical,
    true,
    [
        "Every resolver that was asked answers SERVFAIL, and gives an answer when told not to validate: it takes the zone's signatures for forged. At some resolvers alone it is not broken.",
        "Users of such resolvers, and that is most, get nothing.",
        "The summary has the resolver's own reason. See also dns.dnssec_bogus and dns.dnssec_server.",
    ],
    "RFC 8914",
);
pub const NOT_VALIDATED: FindingDoc = remark(
    "dns.not_validated",
    Info,
    [
        "The zone is signed, and a resolver does not say that it checked that (no AD).",
        "Its users are not protected from forged answers.",
        "Use a resolver that validates.",
    ],
    "RFC 4035 section 3.2.3",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] =
    &[BOGUS, SERVER, LOST, ISLAND, EXPIRING, ALGORITHM, DIGEST, NSEC3, CDS, RESOLVER_BOGUS, NOT_VALIDATED];
