//! What can be found about certificates, as `portalwatch explain` prints it.

use crate::model::finding::doc;
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

const REISSUE: &str = "Have the certificate issued again; a public authority does not make this fault, so look at the tool or the internal authority that issued it.";
const REISSUE_CA: &str =
    "Have the authority's certificate issued again with this put right, and serve the new one.";

pub const EXPIRED: FindingDoc = doc(
    "cert.expired",
    Critical,
    true,
    [
        "The certificate, or one that it rests on, is past its end.",
        "Browsers warn users away and programs refuse to connect.",
        "Renew the certificate, install it on every address and reload the server. Then look at why the renewal did not run.",
    ],
    "RFC 5280 section 4.1.2.5",
);
pub const NOT_YET_VALID: FindingDoc = doc(
    "cert.not_yet_valid",
    Critical,
    true,
    [
        "The certificate, or one that it rests on, is not valid yet.",
        "Browsers warn users away and programs refuse to connect until then.",
        "Serve the former certificate until the date. If the date is right, check this host's clock.",
    ],
    "RFC 5280 section 4.1.2.5",
);
pub const EXPIRING: FindingDoc = doc(
    "cert.expiring",
    Warning,
    false,
    [
        "Less of the lifetime is left than a renewal in time leaves: under a third is a warning, under a sixth an error, under 5 % or 24 hours critical. Certificates of at most ten days are told of in their last day alone. An authority's certificate is measured by the leaf's lifetime.",
        "Nothing is broken yet; when it runs out, everything is.",
        "Look at the log of the renewal (certbot, acme.sh, the load balancer), and whether the server was reloaded with what it fetched.",
    ],
    "RFC 5280 section 4.1.2.5; CA/Browser Forum SC-081v3",
);
pub const ROOT_EXPIRED: FindingDoc = doc(
    "cert.root_expired",
    Error,
    true,
    [
        "The root that the chain ends at is outside its validity.",
        "Many clients do not look at a root's dates, others refuse the chain.",
        "Move to a chain that ends at a current root; the authority offers one.",
    ],
    "RFC 5280 section 6.1.1",
);
pub const NAME: FindingDoc = doc(
    "cert.name",
    Critical,
    true,
    [
        "The certificate is not for the name that users ask for.",
        "Browsers warn users away and programs refuse to connect.",
        "Issue a certificate that lists the name among its alternative names, or correct which certificate the server sends for it (SNI).",
    ],
    "RFC 9525 section 6",
);
pub const SELF_SIGNED: FindingDoc = doc(
    "cert.self_signed",
    Critical,
    true,
    [
        "The certificate is signed by itself, and is not among the trusted roots.",
        "Nobody can tell it from a stranger's.",
        "Use a certificate of an authority. If it is meant, name it in `tls.ca_file` (`--root`).",
    ],
    "RFC 5280 section 6.1",
);
pub const UNKNOWN_ISSUER: FindingDoc = doc(
    "cert.unknown_issuer",
    Critical,
    true,
    [
        "The chain does not end at a trusted root.",
        "Browsers warn users away and programs refuse to connect.",
        "Use a certificate of an authority that users trust. For an internal authority name its root in `tls.ca_file` (`--root`).",
    ],
    "RFC 5280 section 6.1",
);
pub const INCOMPLETE: FindingDoc = doc(
    "cert.incomplete",
    Error,
    true,
    [
        "An intermediate certificate is missing; the certificate says where it can be fetched.",
        "Some browsers fetch it, but curl, Java, mobile apps and webhook senders fail.",
        "Serve the full chain: leaf first, then each intermediate certificate. Most tools call it `fullchain.pem`.",
    ],
    "RFC 5280 section 4.2.2.1; RFC 8446 section 4.4.2",
);
pub const SIGNATURE: FindingDoc = doc(
    "cert.signature",
    Critical,
    true,
    [
        "A signature in the chain does not hold.",
        "The certificate is damaged or forged, and clients refuse it.",
        "Install the certificate again from where it was issued. If that does not help, an intermediate certificate of another authority with the same name is served.",
    ],
    "RFC 5280 section 6.1.3",
);
pub const SIGNATURE_UNSUPPORTED: FindingDoc = doc(
    "cert.signature_unsupported",
    Critical,
    true,
    [
        "A signature in the chain is made by an algorithm (SHA-224, DSA, a rare curve) or a key that clients do not accept.",
        "Browsers refuse the chain.",
        "Have the chain issued with RSA of at least 2048 bits or ECDSA on P-256, P-384 or P-521, and SHA-256 or better.",
    ],
    "CA/Browser Forum BR 7.1.3.2; NCSC-NL TLS guidelines 3.3.2",
);
pub const SIGNATURE_WEAK: FindingDoc = doc(
    "cert.signature_weak",
    Critical,
    true,
    [
        "A certificate of the chain is signed over MD5 or SHA-1.",
        "Such signatures can be forged, and clients refuse them.",
        "Have the certificate issued again with SHA-256 or better.",
    ],
    "RFC 9155; NCSC-NL TLS guidelines 3.3.2",
);
pub const CA_AS_LEAF: FindingDoc = doc(
    "cert.ca_as_leaf",
    Error,
    true,
    [
        "The server's own certificate is that of an authority (CA:TRUE).",
        "Many clients refuse it; who takes the server's key could issue certificates.",
        "Issue a certificate for the server with CA:FALSE. `openssl req -x509` makes CA:TRUE unless told otherwise.",
    ],
    "CA/Browser Forum BR 7.1.2.7.8",
);
pub const NOT_A_CA: FindingDoc = doc(
    "cert.not_a_ca",
    Critical,
    true,
    [
        "A certificate that others rest on may not issue certificates.",
        "Clients refuse the chain.",
        "Serve the intermediate certificates of the authority that issued the leaf. An internal authority's certificate needs critical basic constraints with CA:TRUE and the key usage keyCertSign.",
    ],
    "RFC 5280 section 4.2.1.9",
);
pub const PATH_LENGTH: FindingDoc = doc(
    "cert.path_length",
    Critical,
    true,
    [
        "More intermediate certificates follow an authority's than it allows, or than were asked for.",
        "Clients refuse the chain.",
        "Issue the leaf from an authority that is higher up, or renew the authority with a larger path length.",
    ],
    "RFC 5280 section 4.2.1.9",
);
pub const NAME_CONSTRAINTS: FindingDoc = doc(
    "cert.name_constraints",
    Critical,
    true,
    [
        "A name lies outside what an authority of the chain may issue for.",
        "Clients refuse the chain.",
        "Issue the certificate from an authority that may issue for the name.",
    ],
    "RFC 5280 section 4.2.1.10",
);
pub const PURPOSE: FindingDoc = doc(
    "cert.purpose",
    Critical,
    true,
    [
        "The extended key usage of the certificate, or of one above it, does not allow this use.",
        "Clients refuse the chain.",
        "Issue a certificate with serverAuth (for a client: clientAuth) among its extended key usages.",
    ],
    "RFC 5280 section 4.2.1.12",
);
pub const CRITICAL_EXTENSION: FindingDoc = doc(
    "cert.critical_extension",
    Critical,
    true,
    [
        "A critical extension is unknown.",
        "A client that does not know it must refuse the certificate.",
        "Have the certificate issued without it, or with the extension not critical.",
    ],
    "RFC 5280 section 4.2",
);
pub const POLICY: FindingDoc = doc(
    "cert.policy",
    Critical,
    true,
    [
        "An authority of the chain asks for a certificate policy, and none is valid all the way down.",
        "Clients that process policies refuse the chain.",
        "Issue the certificates of the chain with a policy in common.",
    ],
    "RFC 5280 section 6.1.5",
);
pub const REVOKED: FindingDoc = doc(
    "cert.revoked",
    Critical,
    true,
    [
        "The certificate, or one that it rests on, is revoked.",
        "Clients that look refuse it, and the others will learn of it.",
        "Find out who revoked it and why (a leaked key, a mistake in issuing), then replace it with a new key.",
    ],
    "RFC 5280 section 5",
);
pub const CRL_STALE: FindingDoc = doc(
    "cert.crl_stale",
    Warning,
    false,
    [
        "The revocation list is older than its own next update, or not valid yet.",
        "Strict clients refuse what they cannot check.",
        "The authority must publish a new list. For an internal authority run its update again.",
    ],
    "RFC 5280 section 5.1.2.5",
);
pub const CRL_INVALID: FindingDoc = doc(
    "cert.crl_invalid",
    Warning,
    false,
    [
        "The revocation list breaks a rule: its signature, its signer's key usage or its number.",
        "Strict clients refuse what they cannot check.",
        "The authority must publish a correct list. An internal authority's certificate needs the key usage cRLSign, and its lists a CRL number that is not critical.",
    ],
    "RFC 5280 sections 5.2.3 and 6.3.3",
);
pub const CRL_UNSUPPORTED: FindingDoc = doc(
    "cert.crl_unsupported",
    Notice,
    false,
    [
        "The revocation list has a form that is not judged here: delta, indirect, by reasons, or with an unknown critical extension.",
        "Whether the certificate is revoked is not known.",
        "Give the authority's full list.",
    ],
    "RFC 5280 section 5.2",
);
pub const BROWSER: FindingDoc = doc(
    "cert.browser",
    Error,
    true,
    [
        "The verifier of common clients (webpki) refuses the chain for a reason that no other finding names. Where strict clients accept it, it is a warning alone: webpki knows less than the standards.",
        "Programs built on it, and those as strict, do not connect.",
        "The summary has its words; the chain below shows what was looked at.",
    ],
    "RFC 5280 section 6",
);
pub const UNREADABLE: FindingDoc = doc(
    "cert.unreadable",
    Critical,
    true,
    [
        "What is sent as a certificate is none, or is damaged.",
        "Clients end the connection.",
        "Install the certificate again from where it was issued; look for a file that was cut off or holds something else.",
    ],
    "RFC 5280 section 4.1",
);
pub const VERSION: FindingDoc = doc(
    "cert.version",
    Error,
    false,
    [
        "The certificate is not of X.509 version 3.",
        "Strict clients refuse it; without extensions it says neither for what nor for whom it is.",
        REISSUE,
    ],
    "RFC 5280 section 4.1.2.1; CA/Browser Forum BR 7.1.1",
);
pub const SERIAL: FindingDoc = doc(
    "cert.serial",
    Notice,
    false,
    [
        "The serial number is zero, negative or longer than 20 bytes.",
        "Strict clients refuse it, and revocation by such a number does not work everywhere.",
        REISSUE,
    ],
    "RFC 5280 section 4.1.2.2",
);
pub const SUBJECT: FindingDoc = doc(
    "cert.subject",
    Notice,
    false,
    [
        "An authority has no name, or the certificate names no issuer.",
        "Strict clients refuse it, and paths cannot be built by name.",
        REISSUE,
    ],
    "RFC 5280 sections 4.1.2.4 and 4.1.2.6",
);
pub const VALIDITY: FindingDoc = doc(
    "cert.validity",
    Notice,
    false,
    [
        "A date of the certificate is not written as the standard says, or its end lies before its beginning.",
        "Clients differ in how they read it; some refuse the certificate.",
        REISSUE,
    ],
    "RFC 5280 section 4.1.2.5",
);
pub const MALFORMED: FindingDoc = doc(
    "cert.malformed",
    Error,
    false,
    [
        "An extension cannot be read, is there twice, or the certificate names its signature's algorithm in two ways.",
        "Strict clients refuse it, others overlook what it should say.",
        REISSUE,
    ],
    "RFC 5280 sections 4.1.1.2 and 4.2",
);
pub const CRITICALITY: FindingDoc = doc(
    "cert.criticality",
    Notice,
    false,
    [
        "An extension is critical that must not be, or is not critical that must be.",
        "Strict clients refuse it.",
        REISSUE,
    ],
    "RFC 5280 section 4.2",
);
pub const AUTHORITY_KEY: FindingDoc = doc(
    "cert.authority_key",
    Notice,
    false,
    [
        "The authority key identifier is missing, incomplete, says more than it may, or differs from the issuer's key identifier.",
        "Clients find their way through several possible chains by it; strict ones refuse the certificate.",
        REISSUE,
    ],
    "RFC 5280 section 4.2.1.1; CA/Browser Forum BR 7.1.2.11.1",
);
pub const SUBJECT_KEY: FindingDoc = doc(
    "cert.subject_key",
    Notice,
    false,
    [
        "An authority's certificate has no subject key identifier.",
        "Clients find their way through several possible chains by it; strict ones refuse the certificate.",
        REISSUE_CA,
    ],
    "RFC 5280 section 4.2.1.2",
);
pub const ALTERNATIVE_NAMES: FindingDoc = doc(
    "cert.alternative_names",
    Warning,
    false,
    [
        "The alternative names are missing, or one of them is none that a certificate may have: an underscore, a wildcard in the wrong place, an address as a host name, letters beyond ASCII.",
        "Clients overlook the name, or refuse the certificate.",
        "Have the certificate issued with each host name in A-labels and each address as an address.",
    ],
    "RFC 5280 section 4.2.1.6; CA/Browser Forum BR 7.1.2.7.12",
);
pub const WILDCARD: FindingDoc = doc(
    "cert.wildcard",
    Warning,
    false,
    [
        "A wildcard covers a whole public suffix, under which strangers have names.",
        "Authorities may not issue it, and strict clients refuse it.",
        "Issue a certificate for the names that are yours.",
    ],
    "CA/Browser Forum BR 3.2.2.6",
);
pub const INTERNAL_NAME: FindingDoc = doc(
    "cert.internal_name",
    Notice,
    false,
    [
        "A certificate of a public authority is for a name or an address that is not unique on the Internet.",
        "Anyone else may have the same name; public authorities may not issue for it.",
        "Use a name below a domain of your own.",
    ],
    "CA/Browser Forum BR 4.2.2",
);
pub const COMMON_NAME: FindingDoc = doc(
    "cert.common_name",
    Notice,
    false,
    [
        "The common name is not, letter for letter, one of the alternative names.",
        "Old clients may believe it; strict ones refuse the certificate.",
        "Leave the common name out, or have it repeat one of the alternative names.",
    ],
    "CA/Browser Forum BR 7.1.4.3",
);
pub const KEY_WEAK: FindingDoc = doc(
    "cert.key_weak",
    Critical,
    false,
    [
        "The key is weak or of a kind that clients do not accept: RSA under 2048 bits or of an odd size, DSA, a curve beside P-256, P-384, P-521, Ed25519 and Ed448, a curve spelled out.",
        "It can be broken, or many clients refuse it.",
        "Make a new key (ECDSA P-256 or RSA 2048 and longer) and have a certificate issued for it.",
    ],
    "CA/Browser Forum BR 6.1.5; NCSC-NL TLS guidelines 3.3.2.1",
);
pub const KEY_SHORT: FindingDoc = doc(
    "cert.key_short",
    Notice,
    false,
    [
        "The RSA key has less than 3072 bits.",
        "It is fine today and being phased out.",
        "Choose ECDSA P-256 or RSA 3072 when the key is next replaced.",
    ],
    "NCSC-NL TLS guidelines 3.3.2.1",
);
pub const KEY_ROCA: FindingDoc = doc(
    "cert.key_roca",
    Info,
    false,
    [
        "The RSA key has the mark of keys that Infineon's chips made until 2017 (ROCA).",
        "Whoever spends enough computing on it finds the private key; of short keys for little money.",
        "Make a new key with another program or device, and have the certificate issued for it.",
    ],
    "CVE-2017-15361; CA/Browser Forum BR 6.1.1.3",
);
pub const LIFETIME: FindingDoc = doc(
    "cert.lifetime",
    Warning,
    false,
    [
        "A certificate of a public authority is valid for longer than was allowed when it was issued: 825 days from March 2018, 398 from September 2020, 200 from 2026-03-15, 100 from 2027-03-15, 47 from 2029-03-15.",
        "Browsers refuse certificates that live longer.",
        "Renew it; the authority will issue a shorter one.",
    ],
    "CA/Browser Forum BR 6.3.2",
);
pub const USAGE: FindingDoc = doc(
    "cert.usage",
    Warning,
    false,
    [
        "Key usage, extended key usage or basic constraints do not fit what the certificate is: missing, contradictory, or allowing everything.",
        "Strict clients refuse it; what allows too much can be misused.",
        "Have the certificate issued with digitalSignature and serverAuth for a server, keyCertSign and cRLSign for an authority.",
    ],
    "CA/Browser Forum BR 7.1.2.7; RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12",
);
pub const CLIENT_AUTH: FindingDoc = doc(
    "cert.client_auth",
    Severity::Info,
    false,
    [
        "A server's certificate of a public authority may also be used as a client's.",
        "Public authorities stop issuing such certificates in 2026: where the portal signs in elsewhere with this certificate, that will fail at a renewal.",
        "If it is used for mutual TLS, get a client certificate from an authority made for that.",
    ],
    "CA/Browser Forum BR 7.1.2.7.10",
);
pub const ORDER: FindingDoc = doc(
    "cert.order",
    Notice,
    false,
    [
        "The certificates are not sent in the order in which each is signed by the next.",
        "Most clients put them in order; TLS 1.2 does not ask them to.",
        "Put the leaf first, then its issuer, and so on.",
    ],
    "RFC 8446 section 4.4.2; RFC 5246 section 7.4.2",
);
pub const DUPLICATE: FindingDoc = doc(
    "cert.duplicate",
    Notice,
    false,
    [
        "A certificate is sent more than once.",
        "Every handshake carries it in vain.",
        "Remove the copy from the chain file.",
    ],
    "RFC 8446 section 4.4.2",
);
pub const EXTRA: FindingDoc = doc(
    "cert.extra",
    Notice,
    false,
    [
        "Certificates are sent that the chain does not need.",
        "Every handshake carries them in vain, unless old clients need them for another chain.",
        "Remove them from the chain file if no client needs them.",
    ],
    "RFC 8446 section 4.4.2",
);
pub const ROOT_SENT: FindingDoc = doc(
    "cert.root_sent",
    Notice,
    false,
    [
        "The root itself is sent.",
        "A client trusts it already or never will: every handshake carries it in vain.",
        "Remove it from the chain file.",
    ],
    "RFC 8446 section 4.4.2",
);

/// All of them.
pub const ALL: &[FindingDoc] = &[
    EXPIRED,
    NOT_YET_VALID,
    EXPIRING,
    ROOT_EXPIRED,
    NAME,
    SELF_SIGNED,
    UNKNOWN_ISSUER,
    INCOMPLETE,
    SIGNATURE,
    SIGNATURE_UNSUPPORTED,
    SIGNATURE_WEAK,
    CA_AS_LEAF,
    NOT_A_CA,
    PATH_LENGTH,
    NAME_CONSTRAINTS,
    PURPOSE,
    CRITICAL_EXTENSION,
    POLICY,
    REVOKED,
    CRL_STALE,
    CRL_INVALID,
    CRL_UNSUPPORTED,
    BROWSER,
    UNREADABLE,
    VERSION,
    SERIAL,
    SUBJECT,
    VALIDITY,
    MALFORMED,
    CRITICALITY,
    AUTHORITY_KEY,
    SUBJECT_KEY,
    ALTERNATIVE_NAMES,
    WILDCARD,
    INTERNAL_NAME,
    COMMON_NAME,
    KEY_WEAK,
    KEY_SHORT,
    KEY_ROCA,
    LIFETIME,
    USAGE,
    CLIENT_AUTH,
    ORDER,
    DUPLICATE,
    EXTRA,
    ROOT_SENT,
];
