//! What the kind can find, as `portalwatch explain` prints it.

use crate::model::{FindingDoc, Severity};

const fn broken(
    id: &'static str,
    severity: Severity,
    [meaning, why, fix]: [&'static str; 3],
    reference: Option<&'static str>,
) -> FindingDoc {
    FindingDoc { id, severity, broken: true, meaning, why, fix, reference, confirm: None }
}

const fn note(id: &'static str, [meaning, why, fix]: [&'static str; 3]) -> FindingDoc {
    FindingDoc {
        id,
        severity: Severity::Info,
        broken: false,
        meaning,
        why,
        fix,
        reference: None,
        confirm: None,
    }
}

use Severity::{Critical, Error};

pub const STATUS: FindingDoc = broken(
    "http.status",
    Critical,
    [
        "The answer's status is not one that `expect.status` names (200–299 by default).",
        "Users get this answer too: an error page, a refusal or a page that moved.",
        "5xx: look at the application's and the proxy's logs. 4xx: check path, credentials and rate limits. 3xx: name the status if it is meant, or follow it by fixing its Location.",
    ],
    Some("RFC 9110 section 15"),
);
pub const HEADER: FindingDoc = broken(
    "http.header",
    Error,
    [
        "A response header is missing or does not say what `expect.headers` asks for.",
        "Browsers and clients act on headers: content type, caching and security policies depend on them.",
        "Compare the header with `portalwatch inspect http URL`; a proxy, a CDN or a new release often drops or rewrites it.",
    ],
    Some("RFC 9110 section 6.3"),
);
pub const BODY: FindingDoc = broken(
    "http.body",
    Error,
    [
        "The body is not what `expect.body` asks for, or too little of it was read to tell.",
        "A page can answer 200 and still be an error page, a maintenance page or empty.",
        "Fetch the page with the command under `reproduce`. If the body is longer than `max_body`, raise that or ask for something nearer the start.",
    ],
    None,
);
pub const JSON: FindingDoc = broken(
    "http.json",
    Error,
    [
        "The body is no JSON, or a JSON path does not select what `expect.json` asks for.",
        "An API or a health endpoint reports trouble although it answers.",
        "Fetch the document with the command under `reproduce` and look at the path; a health endpoint usually names the part that fails.",
    ],
    Some("RFC 8259, RFC 9535"),
);
pub const FINAL_URL: FindingDoc = broken(
    "http.final_url",
    Error,
    [
        "The answer came from another address than `expect.final_url` names.",
        "Users end up elsewhere: on a login page, an old host or a parked domain.",
        "Follow the redirects listed in the evidence and correct the one that leads away.",
    ],
    Some("RFC 9110 section 15.4"),
);
pub const REDIRECT: FindingDoc = broken(
    "http.redirect",
    Critical,
    [
        "A redirect cannot be followed (no Location, a loop, too many, another scheme, a guarded address) or breaks a rule of `expect.redirects`.",
        "Browsers stop with an error, or users are led over an insecure or foreign address.",
        "Correct the Location of the redirect named in the evidence. If its target is a private address on purpose, set `private: true` for the portal.",
    ],
    Some("RFC 9110 section 15.4"),
);
pub const AUTH: FindingDoc = broken(
    "http.auth",
    Critical,
    [
        "The token endpoint gave no access token, so the request could not be made.",
        "Everything that logs in by this identity provider fails in the same way.",
        "Check that the provider is up, that the client's secret has not expired and that the scopes are granted.",
    ],
    Some("RFC 6749 section 4.4"),
);
pub const UNRESOLVABLE: FindingDoc = broken(
    "http.unresolvable",
    Critical,
    [
        "The host's name does not resolve, while our resolver answers its control query.",
        "Nobody can reach the portal by this name.",
        "Check the domain's registration, its name servers and the record itself (`dig NAME`).",
    ],
    Some("RFC 2308"),
);
pub const REFUSED: FindingDoc = broken(
    "http.refused",
    Critical,
    [
        "The address refuses the connection: nothing listens on the port.",
        "Users see \"connection refused\".",
        "Start the web server or load balancer, and check its port and the firewall.",
    ],
    Some("RFC 9293 section 3.5.2"),
);
pub const RESET: FindingDoc = broken(
    "http.reset",
    Critical,
    [
        "The peer, or something on the way, reset the connection.",
        "Users see a broken page.",
        "The phase says where to look: connect is a firewall, tls a terminator, ttfb and transfer the application or its proxy.",
    ],
    Some("RFC 9293 section 3.5.3"),
);
pub const CLOSED: FindingDoc = broken(
    "http.closed",
    Critical,
    [
        "The peer closed the connection before its answer was complete.",
        "Users get an empty or a torn page.",
        "Look for crashed workers and for timeouts between proxy and application.",
    ],
    Some("RFC 9112 section 8"),
);
pub const TIMEOUT: FindingDoc = broken(
    "http.timeout",
    Critical,
    [
        "The time ran out before the answer was complete; the phase says where.",
        "Users wait and give up.",
        "connect: a firewall that drops or a host that is down. ttfb: an application that is stuck or overloaded. transfer: a slow or endless body. Raise `timeout` only if the page may be that slow.",
    ],
    None,
);
pub const UNREACHABLE: FindingDoc = broken(
    "http.unreachable",
    Critical,
    [
        "A router reports that the address cannot be reached, while other destinations can.",
        "Users on many networks cannot connect.",
        "Check routing and announcements of the address and whether the host is up.",
    ],
    Some("RFC 1812 section 5.2.7.1"),
);
pub const TLS: FindingDoc = broken(
    "http.tls",
    Critical,
    [
        "The TLS handshake ended with an alert of the peer.",
        "Browsers show an error instead of the page.",
        "Check the terminator's protocol versions and suites, its SNI configuration and, where one is asked for, the client certificate.",
    ],
    Some("RFC 8446 section 6"),
);
pub const CERTIFICATE: FindingDoc = broken(
    "http.certificate",
    Critical,
    [
        "The server's certificate does not verify.",
        "Browsers warn users away from the portal.",
        "Renew the certificate, serve its full chain and check that it covers the name. For an internal authority set `tls.ca_file`.",
    ],
    Some("RFC 5280 section 6"),
);
pub const PROTOCOL: FindingDoc = broken(
    "http.protocol",
    Critical,
    [
        "The answer does not keep to HTTP: contradictory lengths, an oversized header, garbage.",
        "Clients differ in how they read it; some fail, some can be deceived.",
        "Find which server or proxy writes the answer, and whether another protocol listens on the port.",
    ],
    Some("RFC 9112"),
);
pub const TRUNCATED: FindingDoc = note(
    "http.truncated",
    [
        "The body is longer than `max_body`; the rest was not read.",
        "Expectations on the body are judged by its beginning.",
        "Raise `max_body` if the rest matters.",
    ],
);
pub const FAMILY_SKIPPED: FindingDoc = note(
    "http.family_skipped",
    [
        "This host has no route for the address family; its addresses were not looked at.",
        "Users of that family may see what this check does not.",
        "Give the monitoring host that family, or set `addresses: v4` or `v6` to ask for one alone.",
    ],
);
pub const ADDRESS_SKIPPED: FindingDoc = note(
    "http.address_skipped",
    [
        "One address could not be looked at for a reason on our side.",
        "The verdict rests on the other addresses.",
        "The summary names the reason: a private address needs `private: true`, exhaustion needs higher limits.",
    ],
);
pub const ADDRESSES_LEFT_OUT: FindingDoc = note(
    "http.addresses_left_out",
    [
        "The name has more addresses than are looked at in one run.",
        "The addresses named are not covered by this check.",
        "Give them checks of their own with `connect_to`.",
    ],
);

/// All of them.
pub const ALL: &[FindingDoc] = &[
    STATUS,
    HEADER,
    BODY,
    JSON,
    FINAL_URL,
    REDIRECT,
    AUTH,
    UNRESOLVABLE,
    REFUSED,
    RESET,
    CLOSED,
    TIMEOUT,
    UNREACHABLE,
    TLS,
    CERTIFICATE,
    PROTOCOL,
    TRUNCATED,
    FAMILY_SKIPPED,
    ADDRESS_SKIPPED,
    ADDRESSES_LEFT_OUT,
];
