//! What can be found about versions, suites, groups and the rest of the handshake.

use crate::model::finding::remark;
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice, Warning};

pub const VERSION_INSECURE: FindingDoc = remark(
    "tls.version_insecure",
    Critical,
    [
        "The server accepts SSL 3.0. Whether it accepts SSL 2.0 is not looked at.",
        "Whoever is on the way can read what is encrypted with it (POODLE), and may make clients fall back to it.",
        "Turn SSL 3.0 and SSL 2.0 off; TLS 1.2 and 1.3 are enough for every client of the last ten years.",
    ],
    "RFC 7568 section 3",
);
pub const VERSION_OLD: FindingDoc = remark(
    "tls.version_old",
    Error,
    [
        "The server accepts TLS 1.0 or 1.1. Where the profile is `old` this is a notice.",
        "Both rest on MD5 and SHA-1 and are withdrawn; browsers have dropped them, and audits (PCI DSS) fail.",
        "Allow TLS 1.2 and 1.3 alone (nginx: `ssl_protocols TLSv1.2 TLSv1.3;`). If a client needs an older version, set `profile: old`.",
    ],
    "RFC 8996 sections 4 and 5",
);
pub const NO_TLS13: FindingDoc = remark(
    "tls.no_tls13",
    Notice,
    [
        "The server does not accept TLS 1.3.",
        "Connections take a round trip longer, the certificate is sent in the clear, and there is no key exchange that a quantum computer cannot break.",
        "Update the TLS library (OpenSSL 1.1.1 or newer) and allow TLS 1.3.",
    ],
    "RFC 9325 section 3.1.1",
);
pub const SUITE_UNPROTECTED: FindingDoc = remark(
    "tls.suite_unprotected",
    Critical,
    [
        "The server accepts suites without encryption (NULL), without a certificate (anon), or with keys that break in hours (EXPORT, DES, RC2).",
        "Whoever is on the way can read along or pose as the server, if a client offers such a suite too.",
        "Take them out of the list of suites (OpenSSL: append `!aNULL:!eNULL:!EXPORT:!DES` to it).",
    ],
    "RFC 9325 section 4.1; NCSC-NL 2025 appendix B",
);
pub const SUITE_BROKEN: FindingDoc = remark(
    "tls.suite_broken",
    Error,
    [
        "The server accepts RC4, or a cipher of 64-bit blocks (3DES, IDEA). What the profile lists is a notice.",
        "RC4 leaks what it encrypts, and 64-bit blocks give away cookies over a long connection (Sweet32).",
        "Take them out of the list of suites (OpenSSL: append `!RC4:!3DES:!IDEA` to it).",
    ],
    "RFC 7465 section 2; RFC 9325 section 4.1; NCSC-NL 2025 appendix B",
);
pub const SUITE_WEAK: FindingDoc = remark(
    "tls.suite_weak",
    Warning,
    [
        "The server accepts suites that are to be phased out: CBC, keys without forward secrecy (RSA, static Diffie-Hellman), DSA, or a short authentication tag (CCM_8). What the profile lists is a notice.",
        "CBC was attacked again and again (Lucky 13, POODLE); without forward secrecy whoever gets the key later can decrypt everything recorded until then.",
        "Allow ECDHE with AES-GCM or ChaCha20-Poly1305 alone; https://ssl-config.mozilla.org writes the list for your server.",
    ],
    "RFC 9325 section 4.1; NCSC-NL 2025 appendix B",
);
pub const SUITE_ORDER: FindingDoc = remark(
    "tls.suite_order",
    Notice,
    [
        "Good and weak suites are accepted side by side, and the server lets the client choose, or itself chooses the weaker one first.",
        "A client may end up with a weak suite although both sides have a good one.",
        "Remove the weak suites, or list the good ones first and let the server's order count (nginx: `ssl_prefer_server_ciphers on;`).",
    ],
    "RFC 9325 section 4.2.1; NCSC-NL 2025 section 3.3.4",
);
pub const GROUP_WEAK: FindingDoc = remark(
    "tls.group_weak",
    Warning,
    [
        "The server accepts curves that are withdrawn: under 200 bits an error, under 256 a warning, others a notice.",
        "Keys on a short curve can be broken; the others are hardly used and little tested.",
        "Allow X25519, P-256 and P-384 (nginx: `ssl_ecdh_curve X25519:prime256v1:secp384r1;`).",
    ],
    "RFC 8422 section 5.1.1; NCSC-NL 2025 section 3.3.3.1",
);
pub const DH_SHORT: FindingDoc = remark(
    "tls.dh_short",
    Error,
    [
        "The server's Diffie-Hellman prime is shorter than 2048 bits.",
        "Under 1024 bits it breaks in minutes, at 1024 bits a state can break it (Logjam).",
        "Drop DHE suites, or use ffdhe2048 or a longer one of RFC 7919.",
    ],
    "RFC 9325 section 4.5; RFC 7919 section 4",
);
pub const DH_PRIME: FindingDoc = remark(
    "tls.dh_prime",
    Warning,
    [
        "The server's Diffie-Hellman prime is none of RFC 7919. Where it is one of RFC 3526, which many servers ship, this is a notice.",
        "Clients cannot tell a home-made prime from one with a back door, nor agree on it beforehand.",
        "Drop DHE suites, or use ffdhe2048 or a longer one of RFC 7919.",
    ],
    "RFC 7919 section 1; NCSC-NL 2025 section 3.3.3.1",
);
pub const POST_QUANTUM: FindingDoc = remark(
    "tls.post_quantum",
    Info,
    [
        "Whether the server offers a key exchange that a quantum computer cannot break: a hybrid with ML-KEM such as X25519MLKEM768.",
        "What is recorded today may be decrypted when there are such computers. Browsers offer it already.",
        "Nothing has to be done. OpenSSL 3.5 and Go 1.24 have it by default; put X25519MLKEM768 first in the list of groups.",
    ],
    "draft-ietf-tls-ecdhe-mlkem",
);
pub const SIGNATURE_HASH: FindingDoc = remark(
    "tls.signature_hash",
    Error,
    [
        "With TLS 1.2 the server signs its keys with MD5 (critical), SHA-1 (error) or SHA-224 (warning) for a client that asks for nothing better. TLS 1.3 signs where this cannot see it, and has none of them.",
        "Collisions of MD5 and SHA-1 are cheap enough to pose as the server.",
        "Allow SHA-256 and longer alone (OpenSSL: `SignatureAlgorithms`, or security level 2 and up; OpenSSL 3 does not sign with SHA-1 there).",
    ],
    "RFC 9155 section 4; NCSC-NL 2025 section 3.3.5",
);
pub const COMPRESSION: FindingDoc = remark(
    "tls.compression",
    Warning,
    [
        "The server compresses before it encrypts.",
        "Lengths then give away cookies and tokens (CRIME).",
        "Turn compression of TLS off (Apache: `SSLCompression off`), or update the TLS library. That of HTTP is another matter.",
    ],
    "RFC 9325 section 3.3",
);
pub const RENEGOTIATION: FindingDoc = remark(
    "tls.renegotiation",
    Warning,
    [
        "The server does not bind renegotiation to the connection. Whether it lets clients renegotiate is not measured: that takes a finished handshake and a request.",
        "Whoever is on the way can put a request of his own before the user's.",
        "Update the TLS library: every one since 2010 has it.",
    ],
    "RFC 5746 section 3.6",
);
pub const EXTENDED_MASTER_SECRET: FindingDoc = remark(
    "tls.extended_master_secret",
    Notice,
    [
        "With TLS 1.2 and older the server does not bind its secrets to the whole handshake.",
        "Two connections can be made to have the same keys, which defeats what binds logins to connections; some clients (FIPS) refuse such servers.",
        "Update the TLS library (OpenSSL 1.1.0 or newer), or allow TLS 1.3 alone.",
    ],
    "RFC 7627 section 5.3",
);
pub const FALLBACK: FindingDoc = remark(
    "tls.fallback",
    Warning,
    [
        "The server accepts several versions older than TLS 1.3 and does not notice when a client fell back to an older one needlessly (TLS_FALLBACK_SCSV).",
        "Whoever is on the way can push such clients down to the oldest version.",
        "Turn the old versions off, or update the TLS library.",
    ],
    "RFC 7507 section 3; RFC 9325 section 3.1.3",
);
pub const PROFILE: FindingDoc = remark(
    "tls.profile",
    Warning,
    [
        "The server departs from the profile of Mozilla's guidelines 5.8 that the check names: it accepts more, or its certificate is of another kind. A notice where what is beyond is not weak, or where the server lacks a version that clients of the profile need. Being stricter in suites and groups is no departure; stapling is not judged.",
        "The profile is what the server was meant to be: what is beyond is rarely meant, and seldom tested.",
        "Take the list for your server from https://ssl-config.mozilla.org, or choose another `profile` (`modern`, `intermediate`, `old`, `off`).",
    ],
    "Mozilla server-side TLS guidelines 5.8",
);
pub const ADDRESSES_DIFFER: FindingDoc = remark(
    "tls.addresses_differ",
    Warning,
    [
        "The addresses of the host accept different versions, suites, groups or the like.",
        "One of them was forgotten when the others were changed, so some users get the weaker one, or one that their client cannot speak with.",
        "Bring the configuration of all of them to the same state, those of IPv6 too.",
    ],
    "RFC 9325 section 3.9",
);
pub const ALPN: FindingDoc = remark(
    "tls.alpn",
    Notice,
    [
        "No protocol of HTTP is agreed on in the handshake, or (info) another one at another address.",
        "Without it browsers cannot use HTTP/2, and a mixed-up server is not noticed (cross-protocol attacks).",
        "Turn HTTP/2 on (nginx: `http2 on;`), on every address.",
    ],
    "RFC 7301 section 3.2; RFC 9113 section 3.2",
);
pub const SCAN_INCOMPLETE: FindingDoc = remark(
    "tls.scan_incomplete",
    Info,
    [
        "Not everything that the server accepts could be found out; what was known before is taken to be so still. Never looked at: SSL 2.0, and what takes a finished handshake (renegotiation that clients ask for, early data and tickets of TLS 1.3).",
        "A weakness may be there that is not told.",
        "Nothing, if it happens once. If it stays, the server or a firewall limits connections: let this host's address make 250 of them, or scan less often (`scan_every`).",
    ],
    "RFC 8446 section 4.1.1",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    VERSION_INSECURE,
    VERSION_OLD,
    NO_TLS13,
    SUITE_UNPROTECTED,
    SUITE_BROKEN,
    SUITE_WEAK,
    SUITE_ORDER,
    GROUP_WEAK,
    DH_SHORT,
    DH_PRIME,
    POST_QUANTUM,
    SIGNATURE_HASH,
    COMPRESSION,
    RENEGOTIATION,
    EXTENDED_MASTER_SECRET,
    FALLBACK,
    PROFILE,
    ADDRESSES_DIFFER,
    ALPN,
    SCAN_INCOMPLETE,
];
