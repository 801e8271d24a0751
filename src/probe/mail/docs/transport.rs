//! What can be found about how mail gets to the domain: MX, MTA-STS, TLS-RPT, DANE; and its logo.

use crate::model::finding::{doc, remark};
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

pub const MX_MISSING: FindingDoc = remark(
    "mx.missing",
    Warning,
    [
        "The domain has no MX record.",
        "Mail goes to the address of the domain itself, if it has one, and bounces if not.",
        "Publish an MX record. If the domain takes no mail, publish the null MX: \"0 .\".",
    ],
    "RFC 5321 section 5.1",
);
pub const MX_NULL: FindingDoc = remark(
    "mx.null_mixed",
    Error,
    [
        "There is a null MX (\".\") beside other records, or with a preference other than 0.",
        "Some senders deliver and others do not.",
        "Keep the null MX alone, as \"0 .\", or remove it.",
    ],
    "RFC 7505 section 3",
);
pub const MX_TARGET: FindingDoc = remark(
    "mx.target",
    Error,
    [
        "A mail exchange has no address, is an alias, or is written as an address.",
        "Senders skip it or bounce.",
        "Name a host that has A or AAAA records itself.",
    ],
    "RFC 5321 section 5.1",
);
pub const MX_UNREACHABLE: FindingDoc = remark(
    "mx.unreachable",
    Error,
    [
        "A mail exchange takes no connection, or does not speak SMTP.",
        "Mail is delayed; if no exchange answers, it bounces after days.",
        "Look at the server and at the firewalls before it.",
    ],
    "RFC 5321 section 5.1",
);
pub const MX_BLOCKED: FindingDoc = remark(
    "mx.unmeasured",
    Info,
    [
        "No mail exchange could be spoken to. Many networks let no connection to port 25 out, so this says nothing of the servers.",
        "Nothing is known of STARTTLS, certificates and DANE.",
        "Let connections to port 25 out of the network that portalwatch runs in, or run it elsewhere.",
    ],
    "RFC 5321 section 4.5.4.2",
);
pub const MX_STARTTLS: FindingDoc = remark(
    "mx.starttls",
    Warning,
    [
        "A mail exchange does not begin TLS (STARTTLS), or fails in its handshake.",
        "Mail to the domain goes over the network in clear, and senders that insist on TLS do not deliver.",
        "Set up STARTTLS with a certificate for the host's name.",
    ],
    "RFC 3207",
);
pub const MX_CERTIFICATE: FindingDoc = remark(
    "mx.certificate",
    Notice,
    [
        "The certificate of a mail exchange does not verify for its name.",
        "Most senders do not mind as long as there is neither MTA-STS nor DANE; those that do fail.",
        "Get a certificate for the host's name from an authority that everybody knows.",
    ],
    "RFC 8461 section 4.1",
);
pub const STS_RECORD: FindingDoc = remark(
    "mta_sts.record",
    Error,
    [
        "The record at _mta-sts cannot be used: it breaks the grammar, or there are several.",
        "Senders act as if there were no policy.",
        "Publish exactly one: \"v=STSv1; id=20260101T000000\".",
    ],
    "RFC 8461 section 3.1",
);
pub const STS_NO_RECORD: FindingDoc = remark(
    "mta_sts.no_record",
    Warning,
    [
        "There is a policy of MTA-STS, but no record that says so.",
        "Senders do not look for it.",
        "Publish the TXT record at _mta-sts, or take the policy away.",
    ],
    "RFC 8461 section 3.1",
);
pub const STS_UNREACHABLE: FindingDoc = remark(
    "mta_sts.policy_unreachable",
    Error,
    [
        "The record announces a policy, and it cannot be fetched: no answer, an invalid certificate, a redirect, a status other than 200.",
        "Senders that have none yet act as if there were none; senders that have an older one keep to it until it runs out.",
        "Serve it at https://mta-sts.DOMAIN/.well-known/mta-sts.txt itself, with a certificate for that name; redirects are not followed.",
    ],
    "RFC 8461 section 3.3",
);
pub const STS_POLICY: FindingDoc = remark(
    "mta_sts.policy_invalid",
    Error,
    [
        "The policy cannot be read, or is no text/plain.",
        "Senders act as if there were none.",
        "Correct what the summary names.",
    ],
    "RFC 8461 section 3.2",
);
pub const STS_AGAIN: FindingDoc = remark(
    "mta_sts.repeated_key",
    Warning,
    [
        "A key stands in the policy twice.",
        "Senders take the first one, some refuse the policy.",
        "Keep one of them, and remove the other.",
    ],
    "RFC 8461 section 3.2",
);
pub const STS_MX: FindingDoc = remark(
    "mta_sts.mx_not_listed",
    Warning,
    [
        "A mail exchange is not among those of the policy.",
        "With mode enforce senders do not deliver there; if that is all of them, mail bounces.",
        "Add the host to the policy, then change the id in the record.",
    ],
    "RFC 8461 section 4.1",
);
pub const STS_CERTIFICATE: FindingDoc = remark(
    "mta_sts.mx_certificate",
    Warning,
    [
        "A mail exchange of the policy has no valid certificate for its name, or no TLS.",
        "With mode enforce senders do not deliver there; if that is all of them, mail bounces.",
        "Renew its certificate, for the host's name, from an authority that everybody knows.",
    ],
    "RFC 8461 section 4.2",
);
pub const STS_SAME_ID: FindingDoc = remark(
    "mta_sts.id_unchanged",
    Error,
    [
        "The policy changed, but not the id in the record.",
        "Senders that know the former policy keep to it until it runs out.",
        "Publish the record with a new id.",
    ],
    "RFC 8461 section 3.3",
);
pub const STS_NEW_ID: FindingDoc = remark(
    "mta_sts.id_only",
    Notice,
    [
        "The id in the record changed, but not the policy.",
        "Senders fetch the same policy again; perhaps the new one was not put up.",
        "Nothing, if that is meant.",
    ],
    "RFC 8461 section 3.3",
);
pub const STS_TESTING: FindingDoc = remark(
    "mta_sts.testing",
    Notice,
    [
        "The policy has been in mode testing for more than 90 days, or its mode is none.",
        "It protects the mail from nothing.",
        "Read the reports (TLS-RPT), and switch to mode enforce.",
    ],
    "RFC 8461 section 5",
);
pub const STS_MAX_AGE: FindingDoc = remark(
    "mta_sts.max_age",
    Notice,
    [
        "Senders keep the policy for less than a week.",
        "Whoever can hide it for that long can switch it off.",
        "Write max_age: 604800 or more; weeks are usual.",
    ],
    "RFC 8461 section 3.2",
);
pub const RPT_MISSING: FindingDoc = remark(
    "tls_rpt.missing",
    Warning,
    [
        "The domain has MTA-STS or DANE, and asks nobody for reports.",
        "Senders that can no longer deliver would tell, and nobody asks them.",
        "Publish a TXT record at _smtp._tls: \"v=TLSRPTv1; rua=mailto:…\".",
    ],
    "RFC 8460 section 3",
);
pub const RPT_INVALID: FindingDoc = remark(
    "tls_rpt.invalid",
    Warning,
    [
        "The record at _smtp._tls cannot be used: it breaks the grammar, or there are several.",
        "Senders send no reports.",
        "Publish exactly one: \"v=TLSRPTv1; rua=mailto:…\".",
    ],
    "RFC 8460 section 3",
);
pub const DANE_UNSIGNED: FindingDoc = remark(
    "dane.unsigned",
    Info,
    [
        "There are TLSA records that DNSSEC does not vouch for, at the resolvers that were asked, or the MX record or the host's addresses are not signed.",
        "Senders pass over them.",
        "Sign the zones, or remove the records. If the zones are signed, let portalwatch ask a resolver that validates.",
    ],
    "RFC 7672 section 2.2",
);
pub const DANE_UNUSABLE: FindingDoc = remark(
    "dane.unusable",
    Error,
    [
        "None of the TLSA records of a mail exchange can be used.",
        "Senders use TLS without verifying anything.",
        "Publish \"3 1 1\" with the SHA-256 of the server's key.",
    ],
    "RFC 7672 section 3.1",
);
pub const DANE_MISMATCH: FindingDoc = doc(
    "dane.mismatch",
    Critical,
    true,
    [
        "No TLSA record of a mail exchange matches the certificate that it shows.",
        "Senders that know DANE do not deliver there.",
        "Publish the record of the key in use at once; next time publish it before the certificate changes, and wait for the TTL.",
    ],
    "RFC 7672 section 2.2",
);
pub const DANE_ROLLOVER: FindingDoc = remark(
    "dane.rollover",
    Notice,
    [
        "A mail exchange has one TLSA record alone, or one of the whole certificate (selector 0).",
        "When the certificate is renewed, mail stops until the record is.",
        "Publish the key's record (3 1 1) and the next key's beside it, or that of the issuer (2 1 1).",
    ],
    "RFC 7671 section 8",
);
pub const BIMI_RECORD: FindingDoc = remark(
    "bimi.record",
    Warning,
    [
        "The record at default._bimi cannot be used: it breaks the grammar, or there are several.",
        "Mail clients show no logo.",
        "Correct what the summary names.",
    ],
    "draft-brand-indicators-for-message-identification section 4.2",
);
pub const BIMI_POLICY: FindingDoc = remark(
    "bimi.policy",
    Warning,
    [
        "The domain has a logo, but its DMARC policy is none, for itself or for names below it.",
        "Mail clients show no logo.",
        "Publish p=quarantine or p=reject, and no weaker sp.",
    ],
    "draft-brand-indicators-for-message-identification section 3.2",
);
pub const BIMI_LOGO: FindingDoc = remark(
    "bimi.logo",
    Warning,
    [
        "The logo cannot be fetched, or does not keep to SVG Tiny PS.",
        "Mail clients show no logo.",
        "Correct what the summary names; drawing programs have an export of this profile.",
    ],
    "draft-svg-tiny-ps-abrotman",
);
pub const BIMI_EVIDENCE: FindingDoc = remark(
    "bimi.evidence",
    Warning,
    [
        "The mark certificate cannot be fetched, is not for the domain, has expired, or is about another logo.",
        "Gmail and others show no logo.",
        "Renew it, and publish exactly the logo that it is about.",
    ],
    "draft-fetch-validation-vmc-wchuang",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    MX_MISSING,
    MX_NULL,
    MX_TARGET,
    MX_UNREACHABLE,
    MX_BLOCKED,
    MX_STARTTLS,
    MX_CERTIFICATE,
    STS_RECORD,
    STS_NO_RECORD,
    STS_UNREACHABLE,
    STS_POLICY,
    STS_AGAIN,
    STS_MX,
    STS_CERTIFICATE,
    STS_SAME_ID,
    STS_NEW_ID,
    STS_TESTING,
    STS_MAX_AGE,
    RPT_MISSING,
    RPT_INVALID,
    DANE_UNSIGNED,
    DANE_UNUSABLE,
    DANE_MISMATCH,
    DANE_ROLLOVER,
    BIMI_RECORD,
    BIMI_POLICY,
    BIMI_LOGO,
    BIMI_EVIDENCE,
];
