//! What can be found about how a zone is kept.

use crate::model::finding::{doc, remark};
use crate::model::{FindingDoc, Severity};
use Severity::{Critical, Error, Notice, Warning};

pub const FEW_SERVERS: FindingDoc = remark(
    "dns.few_servers",
    Warning,
    [
        "The zone has fewer than two name servers, or fewer than two addresses.",
        "When the one server is down, nobody reaches anything of the domain.",
        "Add a secondary at another place; most registrars and DNS hosts offer one.",
    ],
    "RFC 2182 section 5",
);
pub const ONE_NETWORK: FindingDoc = remark(
    "dns.one_network",
    Warning,
    [
        "All name servers stand in one network (one IPv4 /24 and one IPv6 /48).",
        "One failure of that network takes the domain away.",
        "Put a secondary into another network.",
    ],
    "RFC 2182 section 3.1",
);
pub const SERVER_UNRESOLVABLE: FindingDoc = remark(
    "dns.name_server_unresolvable",
    Error,
    [
        "A name server's name has no address.",
        "Resolvers try it in vain, and if its domain lapses somebody else may register it and answer for the zone.",
        "Correct the name, or take it out of the zone and of the registrar's entry.",
    ],
    "RFC 1912 section 2.8",
);
pub const SERIAL_DIFFERS: FindingDoc = remark(
    "dns.serial_differs",
    Notice,
    [
        "The authorities have different serials. For longer than the zone's refresh time it is an error.",
        "A secondary that no longer fetches the zone serves yesterday's records.",
        "Look at the transfers of the server with the older serial.",
    ],
    "RFC 1912 section 2.2",
);
pub const TRANSFER_OPEN: FindingDoc = remark(
    "dns.transfer_open",
    Warning,
    [
        "A name server gives the whole zone to anybody who asks (AXFR).",
        "All names of the domain can be read at once, those of internal and test systems too.",
        "Allow transfers to the secondaries alone.",
    ],
    "RFC 5936 section 5",
);
pub const OPEN_RECURSOR: FindingDoc = remark(
    "dns.open_recursor",
    Warning,
    [
        "A name server of the zone finds out foreign names for anybody.",
        "It is used for attacks on others, and its cache can be poisoned.",
        "Turn recursion off on authorities, or allow it to your own networks alone.",
    ],
    "RFC 5358",
);
pub const EDNS: FindingDoc = remark(
    "dns.edns",
    Warning,
    [
        "A name server does not take EDNS as the standard says: another version is not answered with BADVERS, an unknown option is not ignored, or the letters' case matters.",
        "Resolvers that rely on it are slow with the zone or fail.",
        "Update the server, or the firewall in front of it.",
    ],
    "RFC 6891 section 6.1; RFC 8906; RFC 4343",
);
pub const DANGLING: FindingDoc = doc(
    "dns.dangling",
    Critical,
    false,
    [
        "A record leads to a name that does not exist.",
        "Whoever registers that name, or claims it at the service it belonged to, answers in your name.",
        "Remove the record, or create again what it leads to.",
    ],
    "RFC 1912 section 2.4",
);
pub const POINTS_TO_ALIAS: FindingDoc = remark(
    "dns.points_to_alias",
    Error,
    [
        "An NS or MX record leads to an alias (CNAME).",
        "Some servers pass such records over: mail is lost or servers are not found.",
        "Let the record name the host itself.",
    ],
    "RFC 2181 section 10.3",
);
pub const ALIAS_AT_APEX: FindingDoc = remark(
    "dns.alias_at_apex",
    Error,
    [
        "The zone's own name is an alias (CNAME).",
        "An alias hides every other record of the name: NS, SOA and MX among them.",
        "Use address records, or the provider's ALIAS or ANAME.",
    ],
    "RFC 1034 section 3.6.2",
);

pub const SOA_DIFFERS: FindingDoc = remark(
    "dns.soa_differs",
    Notice,
    [
        "The authorities name another keeper of the zone (MNAME, RNAME) or other times in their SOA.",
        "A change is on its way, or the zone is kept in two places.",
        "Let every secondary fetch the zone from the same primary.",
    ],
    "RFC 1035 section 3.3.13",
);
pub const SOA_TIMERS: FindingDoc = remark(
    "dns.soa_timers",
    Notice,
    [
        "The times in the zone's SOA are unusual.",
        "Secondaries ask too often, or give the zone up after a short outage of the primary; what does not exist yet is remembered for too long.",
        "Set refresh to an hour or more, retry below it, expire to two to four weeks, and minimum to an hour.",
    ],
    "RFC 1912 section 2.2",
);
pub const ALIAS_LOOP: FindingDoc = doc(
    "dns.alias_loop",
    Error,
    true,
    [
        "The aliases of a name lead in a circle.",
        "The name has no address: nobody reaches it.",
        "Correct the CNAME that leads back.",
    ],
    "RFC 1034 section 3.6.2",
);
pub const ALIAS_CHAIN: FindingDoc = remark(
    "dns.alias_chain",
    Warning,
    [
        "A name is reached over more than eight aliases.",
        "Each costs users a lookup, and some resolvers give up.",
        "Let the name lead to the end of the chain.",
    ],
    "RFC 1034 section 3.6.2",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    FEW_SERVERS,
    ONE_NETWORK,
    SERVER_UNRESOLVABLE,
    SERIAL_DIFFERS,
    TRANSFER_OPEN,
    OPEN_RECURSOR,
    EDNS,
    DANGLING,
    POINTS_TO_ALIAS,
    ALIAS_AT_APEX,
    SOA_DIFFERS,
    SOA_TIMERS,
    ALIAS_LOOP,
    ALIAS_CHAIN,
];
