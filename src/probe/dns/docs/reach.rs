//! Findings about reaching servers and having an answer from them that can be used.

use std::time::Duration;

use crate::model::{Confirm, FindingDoc, Severity};
use Severity::{Critical, Error, Info, Warning};

/// A look every ten seconds until three in a row agree: the network loses packets, and servers load
/// their zones anew.
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

const fn network(doc: FindingDoc) -> FindingDoc {
    FindingDoc { confirm: NETWORK, ..doc }
}

pub const AUTHORITY_UNREACHABLE: FindingDoc = network(doc(
    "dns.authority_unreachable",
    Error,
    false,
    [
        "A name server of the zone does not answer at this address, over UDP or at all.",
        "Resolvers lose time on it, and the zone hangs on the servers that are left.",
        "Start the server, open UDP and TCP port 53 to it, or take the address out of the zone and out of the delegation.",
    ],
    Some("RFC 9210 section 3"),
));
pub const TCP_FAILS: FindingDoc = network(doc(
    "dns.tcp_fails",
    Error,
    false,
    [
        "A name server of the zone answers over UDP and not over TCP.",
        "Long answers (DNSSEC, TXT) are cut off over UDP and never arrive.",
        "Open TCP port 53 to it, in the firewall and in the server's own settings.",
    ],
    Some("RFC 7766 section 5"),
));
pub const NO_AUTHORITY_ANSWERS: FindingDoc = network(doc(
    "dns.no_authority_answers",
    Critical,
    true,
    [
        "Of all name servers of the zone, none gives an answer with authority.",
        "Nobody can resolve the zone once what resolvers keep has run out.",
        "Look at the evidence for what each server does: silence points to the network or to dead servers, SERVFAIL to a zone that expired or does not load, REFUSED to servers that do not have the zone.",
    ],
    Some("RFC 1034 section 4.2"),
));
pub const LAME: FindingDoc = network(doc(
    "dns.lame",
    Error,
    false,
    [
        "A name server that the delegation or the zone names does not serve the zone: it refuses, fails, or answers without authority (AA).",
        "Resolvers lose time on it, and some fail.",
        "Set the zone up on that server (a secondary whose transfers fail loses it after its expire time), or take the server out of the delegation.",
    ],
    Some("RFC 1912 section 2.8"),
));
pub const NO_DELEGATION: FindingDoc = network(doc(
    "dns.no_delegation",
    Critical,
    true,
    [
        "The servers of the parent zone say that they delegate no such zone.",
        "Nobody can resolve the zone: it was deleted, put on hold or never registered.",
        "Look at the registration (`registration` checks, RDAP) and at the name servers given to the registrar.",
    ],
    Some("RFC 1034 section 4.2.1"),
));
pub const PARENT_UNREACHABLE: FindingDoc = doc(
    "dns.parent_unreachable",
    Info,
    false,
    [
        "The servers of the parent zone could not be asked, or said nothing of use; what is registered was not compared.",
        "The verdict rests on what the zone's own servers say.",
        "If it lasts, look at the way from this host to the root and to the parent's servers; `parent` and `roots` of the check name others.",
    ],
    None,
);
pub const RESOLVER_UNMEASURED: FindingDoc = doc(
    "dns.resolver_unmeasured",
    Info,
    false,
    [
        "A resolver does not answer its control query either: it is ours that is broken, not the zone.",
        "What its users see is not known.",
        "Look at the resolver, or take it out of `resolvers`.",
    ],
    None,
);
pub const NOT_ASKED: FindingDoc = doc(
    "dns.not_asked",
    Info,
    false,
    [
        "A name server could not be asked for a reason on our side.",
        "The verdict rests on the others.",
        "The summary names the reason: a private address needs `private: true`, a run out of time a longer `deadline`, a name that could not be looked up a resolver that works.",
    ],
    None,
);
pub const LEFT_OUT: FindingDoc = doc(
    "dns.addresses_left_out",
    Info,
    false,
    [
        "The zone's name servers have more addresses than are asked in one run.",
        "The addresses named are not covered by this check.",
        "Nothing, if so many are meant; resolvers try only a few of them.",
    ],
    None,
);
pub const NO_ROUTE: FindingDoc = doc(
    "dns.no_route",
    Info,
    false,
    [
        "This host has no route for the address family; name servers were not asked over it.",
        "Resolvers with that family may see what this check does not.",
        "Give the monitoring host that family.",
    ],
    None,
);
pub const UNDECODABLE: FindingDoc = doc(
    "dns.undecodable",
    Warning,
    false,
    [
        "An answer holds records that cannot be read, or more than is kept. The rest of it is judged all the same.",
        "Some resolvers throw such an answer away whole, and the good records with it.",
        "Look at the record with `portalwatch inspect dns` and write it anew; if the zone is right, update the server.",
    ],
    Some("RFC 1035 section 3"),
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    AUTHORITY_UNREACHABLE,
    TCP_FAILS,
    NO_AUTHORITY_ANSWERS,
    LAME,
    NO_DELEGATION,
    PARENT_UNREACHABLE,
    RESOLVER_UNMEASURED,
    NOT_ASKED,
    LEFT_OUT,
    NO_ROUTE,
    UNDECODABLE,
];
