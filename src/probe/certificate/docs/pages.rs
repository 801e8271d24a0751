//! Findings about a host's pages: the redirect from plain HTTP, HSTS, IPv4 and IPv6.

use crate::model::{Confirm, FindingDoc, Severity};
use Severity::{Info, Notice, Warning};

const fn doc(
    id: &'static str,
    severity: Severity,
    [meaning, why, fix]: [&'static str; 3],
    reference: Option<&'static str>,
) -> FindingDoc {
    FindingDoc { id, severity, broken: false, meaning, why, fix, reference, confirm: None }
}

pub const NO_HTTPS_REDIRECT: FindingDoc = doc(
    "tls.no_https_redirect",
    Warning,
    [
        "Plain HTTP answers by itself, or redirects elsewhere than to HTTPS. An error over plain HTTP, or a detour over plain HTTP that may still end at HTTPS, is a notice.",
        "Whoever types the name or follows an old link reads and writes in the clear, and anyone on the way can read along and change the page.",
        "Answer every request on port 80 with a permanent redirect (301 or 308) to the same address with https, and with nothing else.",
    ],
    Some("RFC 6797 section 7.2"),
);
pub const REDIRECT_OTHER_HOST_FIRST: FindingDoc = doc(
    "tls.redirect_other_host_first",
    Warning,
    [
        "Plain HTTP redirects to another host before it redirects to HTTPS on its own.",
        "Browsers never see the host's own HSTS header, so each visit by this name begins in the clear.",
        "Redirect in two steps: first to https on the same host, there with an HSTS header to the other host.",
    ],
    Some("RFC 6797 section 7.2"),
);
pub const PLAIN_CLOSED: FindingDoc = doc(
    "tls.plain_http_closed",
    Info,
    [
        "Nothing listens on the port of plain HTTP.",
        "Nothing is sent in the clear, but old clients and old links that begin with http do not arrive.",
        "Nothing to do, unless people still come that way; then redirect to https there.",
    ],
    None,
);
pub const HSTS_MISSING: FindingDoc = doc(
    "tls.hsts_missing",
    Warning,
    [
        "No Strict-Transport-Security header is sent over HTTPS.",
        "Browsers try plain HTTP again on later visits, where someone on the way can take over before the redirect.",
        "Send `Strict-Transport-Security: max-age=31536000` with every answer over HTTPS, redirects and errors too. Begin with a short max-age while you make sure that HTTPS stays.",
    ],
    Some("RFC 6797 section 7.1"),
);
pub const HSTS_SHORT: FindingDoc = doc(
    "tls.hsts_short",
    Warning,
    [
        "HSTS lasts less than a year; max-age=0 makes browsers forget it.",
        "Whoever comes back later than that begins in the clear again.",
        "Raise max-age to 31536000, or more.",
    ],
    Some("RFC 6797 section 11.2"),
);
pub const HSTS_INVALID: FindingDoc = doc(
    "tls.hsts_invalid",
    Warning,
    [
        "The Strict-Transport-Security header breaks the grammar. Only the first such header counts.",
        "Browsers ignore a header with any fault in it, as if there were none.",
        "Write `max-age=31536000; includeSubDomains`, each directive once, and see that no proxy adds a second header or joins two.",
    ],
    Some("RFC 6797 section 6.1"),
);
pub const HSTS_ON_REDIRECT: FindingDoc = doc(
    "tls.hsts_on_redirect",
    Notice,
    [
        "The redirect that the host's first address answers with has no HSTS header, though the page behind it has.",
        "A visit that is cut short after the redirect teaches the browser nothing, and the built-in list of browsers asks for the header there.",
        "Send the header with redirects too; in nginx write `add_header … always`, in Apache `Header always set`.",
    ],
    Some("RFC 6797 section 7.1"),
);
pub const HSTS_PRELOAD: FindingDoc = doc(
    "tls.hsts_preload",
    Notice,
    [
        "The HSTS header asks to be built into browsers, but does not fulfil the conditions for that.",
        "The host is not taken into the list, or is dropped from it.",
        "Set a max-age of at least 31536000 and includeSubDomains, if all subdomains have HTTPS; else leave preload out.",
    ],
    Some("hstspreload.org: submission requirements"),
);
pub const HSTS_OVER_HTTP: FindingDoc = doc(
    "tls.hsts_over_http",
    Notice,
    [
        "An HSTS header is sent over plain HTTP.",
        "Browsers ignore it there, since anyone on the way could have written it.",
        "Send it over HTTPS alone.",
    ],
    Some("RFC 6797 section 7.2"),
);
pub const FAMILIES_DIFFER: FindingDoc = FindingDoc {
    // Two requests during a deployment may well meet two versions.
    confirm: Some(Confirm { failures: 2, successes: 1, recheck: None }),
    ..doc(
        "tls.families_differ",
        Warning,
        [
            "IPv4 and IPv6 answer differently: another status, another redirect, another kind or another page. Times, counters and tokens in a page are left out, and a page of the same title and nearly the same length counts as the same.",
            "Which page users see depends on their network; mostly one of the two leads to an old or a wrong server.",
            "Compare the virtual hosts of both families (`curl -4`, `curl -6`): often the IPv6 listener is missing in one of them, or the AAAA record is old.",
        ],
        None,
    )
};

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    NO_HTTPS_REDIRECT,
    REDIRECT_OTHER_HOST_FIRST,
    PLAIN_CLOSED,
    HSTS_MISSING,
    HSTS_SHORT,
    HSTS_INVALID,
    HSTS_ON_REDIRECT,
    HSTS_PRELOAD,
    HSTS_OVER_HTTP,
    FAMILIES_DIFFER,
];
