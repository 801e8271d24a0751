//! Findings about reaching a server and speaking TLS with it, and about who trusts its chain.

use std::time::Duration;

use crate::model::{Confirm, FindingDoc, Severity};
use Severity::{Critical, Error, Info, Notice};

/// A look every ten seconds until three in a row agree: the network loses packets.
const NETWORK: Option<Confirm> =
    Some(Confirm { failures: 3, successes: 2, recheck: Some(Duration::from_secs(10)) });

const fn doc(
    id: &'static str,
    severity: Severity,
    broken: bool,
    [meaning, why, fix]: [&'static str; 3],
    reference: Option<&'static str>,
) -> FindingDoc {
    FindingDoc { id, severity, broken, meaning, why, fix, reference, confirm: None }
}

pub const UNRESOLVABLE: FindingDoc = FindingDoc {
    confirm: NETWORK,
    ..doc(
        "cert.unresolvable",
        Critical,
        true,
        [
            "The host's name does not resolve, while our resolver answers its control query.",
            "Nobody can reach the host by this name.",
            "Check the domain's registration, its name servers and the record itself (`dig NAME`).",
        ],
        Some("RFC 2308"),
    )
};
pub const UNREACHABLE: FindingDoc = FindingDoc {
    confirm: NETWORK,
    ..doc(
        "cert.unreachable",
        Critical,
        true,
        [
            "An address refuses the connection, resets or closes it, or does not answer in time; a second try one second later went no better.",
            "Users who are given this address cannot connect.",
            "The phase says where to look: connect is a host that is down, a firewall or a missing listener, tls a terminator that hangs. Take an address that no longer serves out of DNS.",
        ],
        Some("RFC 9293 section 3.5"),
    )
};
pub const NOT_TLS: FindingDoc = doc(
    "cert.not_tls",
    Critical,
    true,
    [
        "The port answers, but not in TLS: in plain HTTP, or in a protocol that begins in the clear.",
        "Clients that expect TLS cannot connect.",
        "Switch TLS on for this port, or correct the port. For mail, directory and database servers set `starttls`.",
    ],
    Some("RFC 8446 section 5.1"),
);
pub const HANDSHAKE: FindingDoc = doc(
    "cert.handshake",
    Critical,
    true,
    [
        "The server ends the handshake with an alert, or breaks the protocol, where a usual client (TLS 1.3 and 1.2, suites with forward secrecy) says hello.",
        "Browsers show an error instead of the page.",
        "The alert says what it is about: `handshake_failure` and `protocol_version` suites and versions, `unrecognized_name` the name, `internal_error` often a certificate or key file that is missing.",
    ],
    Some("RFC 8446 section 6"),
);
pub const OLD_TLS_ONLY: FindingDoc = doc(
    "cert.old_tls_only",
    Critical,
    true,
    [
        "The server speaks TLS only in a version or with suites that usual clients have given up. Its certificate was read without finishing the handshake.",
        "Browsers cannot connect where they offer neither that version nor that suite; other current clients cannot either.",
        "Switch on TLS 1.2 or 1.3 with suites of ECDHE and AES-GCM or ChaCha20.",
    ],
    Some("RFC 8996; RFC 9325 section 4"),
);
pub const STARTTLS: FindingDoc = doc(
    "cert.starttls",
    Critical,
    true,
    [
        "The server does not begin TLS where STARTTLS asks for it, or does not speak the protocol of `starttls`.",
        "Clients that insist on TLS cannot connect, and others send everything in the clear.",
        "Give the server a certificate and switch STARTTLS on; something on the way, such as a mail gateway, may take the offer out. Check `starttls` and the port too.",
    ],
    Some("RFC 3207; RFC 8314"),
);
pub const STARTTLS_INJECTION: FindingDoc = doc(
    "cert.starttls_injection",
    Error,
    false,
    [
        "Between the go-ahead of STARTTLS and the handshake, bytes came in the clear.",
        "A client that takes them for what comes over TLS can be made to believe what an attacker wrote.",
        "Update the server or the gateway before it; if it is current, look at who is on the way.",
    ],
    Some("CVE-2011-0411"),
);
pub const NO_ROUTE: FindingDoc = doc(
    "cert.no_route",
    Info,
    false,
    [
        "This host has no route for the address family; its addresses were not looked at.",
        "Users of that family may see what this check does not.",
        "Give the monitoring host that family.",
    ],
    None,
);
pub const NOT_LOOKED_AT: FindingDoc = doc(
    "cert.not_looked_at",
    Info,
    false,
    [
        "A host or an address could not be looked at for a reason on our side.",
        "The verdict rests on what else was looked at.",
        "The summary names the reason: a private address needs `private: true`, exhaustion needs higher limits, a run out of time a longer `deadline`.",
    ],
    None,
);
pub const ADDRESSES_LEFT_OUT: FindingDoc = doc(
    "cert.addresses_left_out",
    Info,
    false,
    [
        "The name has more addresses than are looked at in one run.",
        "The addresses named are not covered by this check.",
        "Give them checks of their own with `connect_to`.",
    ],
    None,
);
pub const TRUNCATED_CHAIN: FindingDoc = doc(
    "cert.truncated_chain",
    Notice,
    false,
    [
        "The server sends more certificates, or longer ones, than are kept; the rest was not judged.",
        "Clients have lower limits still, and each handshake carries all of it.",
        "Serve the leaf and the intermediate certificates it needs, and nothing else.",
    ],
    Some("RFC 8446 section 4.4.2"),
);
pub const PROOF: FindingDoc = doc(
    "cert.proof",
    Critical,
    true,
    [
        "The server does not prove that it holds the key of the certificate it shows.",
        "Clients end the connection: it could be anybody.",
        "Install the key that belongs to the certificate and reload the server. Where the key or the signature is only too weak to be verified, replace the key.",
    ],
    Some("RFC 8446 section 4.4.3"),
);
pub const CLIENT_CERTIFICATE: FindingDoc = doc(
    "cert.client_certificate",
    Info,
    false,
    [
        "The server asks for a client certificate. None was shown to it; its own certificate was seen all the same.",
        "What it serves to those who have one is not looked at by this check.",
        "Nothing, if it is meant.",
    ],
    Some("RFC 8446 section 4.3.2"),
);
pub const NO_SNI: FindingDoc = doc(
    "cert.no_sni",
    Info,
    false,
    [
        "Who does not name the host in the handshake (SNI) is shown another certificate, or none.",
        "Browsers always name it; some old programs, health checks of load balancers and scanners do not.",
        "If such clients matter, make this host's certificate the default of the server.",
    ],
    Some("RFC 6066 section 3"),
);
pub const PLATFORM_ONLY: FindingDoc = doc(
    "cert.platform_only",
    Notice,
    false,
    [
        "The chain ends at a root that this system trusts and Mozilla's store does not.",
        "Those who use the same roots can connect: an organisation's own computers, or some systems and not others.",
        "Nothing, if the root is your organisation's; name it in `tls.ca_file` then. For the public use an authority that all stores trust.",
    ],
    Some("RFC 5280 section 6.1"),
);
pub const PLATFORM_DISTRUSTS: FindingDoc = doc(
    "cert.platform_distrusts",
    Notice,
    false,
    [
        "Mozilla's store trusts the chain, this system's roots do not.",
        "Programs that use the roots of a system like this one do not connect.",
        "Update the system's roots (`ca-certificates`). If they are current, serve a chain to a root that older stores know.",
    ],
    Some("RFC 5280 section 6.1"),
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    UNRESOLVABLE,
    UNREACHABLE,
    NOT_TLS,
    HANDSHAKE,
    OLD_TLS_ONLY,
    STARTTLS,
    STARTTLS_INJECTION,
    NO_ROUTE,
    NOT_LOOKED_AT,
    ADDRESSES_LEFT_OUT,
    TRUNCATED_CHAIN,
    PROOF,
    CLIENT_CERTIFICATE,
    NO_SNI,
    PLATFORM_ONLY,
    PLATFORM_DISTRUSTS,
];
