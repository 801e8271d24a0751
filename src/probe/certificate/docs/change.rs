//! What can be found by comparing certificates: with earlier ones, from address to address, and with
//! what public logs hold.

use crate::model::finding::remark;
use crate::model::{FindingDoc, Severity};
use Severity::{Error, Info, Notice, Warning};

pub const RENEWED: FindingDoc = remark(
    "cert.renewed",
    Info,
    [
        "Another certificate is served than before, as a renewal does it: from the same organisation, and with the same key or when less than half of the old one's lifetime was left (two thirds, where it lived ten days or less; more, where earlier renewals came as early). A change that reached some addresses and not others is told as this too, beside cert.addresses_differ, until it reached all. Told for a day.",
        "All is well: it says that a renewal arrived.",
        "Nothing, if you or your renewal did this.",
    ],
    "RFC 9773",
);
pub const ISSUER_CHANGED: FindingDoc = remark(
    "cert.issuer_changed",
    Warning,
    [
        "Another organisation issued the certificate than the one before. Another intermediate certificate of the same organisation is no change. Told for a day after the change.",
        "Someone moved the host, changed how it is renewed, or has got between it and its users; CAA records, pins and clients that know one authority may not fit any more.",
        "If you changed the authority, check that CAA records allow the new one. If not, find out who can have certificates issued for the name, and where it points.",
    ],
    "RFC 8659 section 1",
);
pub const REPLACED_EARLY: FindingDoc = remark(
    "cert.replaced_early",
    Warning,
    [
        "A certificate with another key took the place of one that had more than half of its lifetime left (two thirds, where it lived ten days or less), and renewals of this host did not come as early before. Told for a day after the change.",
        "A renewal comes later. This was a new installation, a lost key, or somebody else's certificate.",
        "If you did not do this, find out who did. If the old key may have been lost, have the old certificate revoked.",
    ],
    "RFC 9773; RFC 5280 section 5.3.1",
);
pub const RENEWAL_LATE: FindingDoc = remark(
    "cert.renewal_late",
    Notice,
    [
        "Earlier certificates of this host were replaced with a larger share of their lifetime left (the median of at least two renewals). Past that by a tenth of the lifetime, or by how much the renewals vary if that is more, it is a notice; by 15 %, a warning. Once cert.expiring tells, this is left out.",
        "The renewal that always came did not come. There is still time.",
        "Look at the log of the renewal (certbot, acme.sh, the load balancer), and whether its timer runs.",
    ],
    "RFC 9773",
);
pub const PIN: FindingDoc = remark(
    "cert.pin",
    Error,
    [
        "The leaf's public key is none of the `pins`.",
        "Clients that pin the key refuse to connect; if the change was not yours, somebody else holds the key of what users talk to.",
        "If the key was changed on purpose, put the new key's SHA-256 under `pins` here and in the clients, before the old one goes. If not, treat it as an attack.",
    ],
    "RFC 7469 section 2.4",
);
pub const ADDRESSES_DIFFER: FindingDoc = remark(
    "cert.addresses_differ",
    Error,
    [
        "Addresses of one host show different certificates for the same name and the same kind of key, or one address shows now this one, now that. Addresses that could not be measured do not count. It falls to a notice when clients accept every one of them, one organisation issued them all, and no new one came for a day: then it is how the host is built. One that came beside the others and replaced none looks like a renewal that got stuck half way, and takes a week to fall.",
        "A renewal reached some servers and not the others: what is not renewed there runs out, for some users and not for others, and nobody who looks once sees it.",
        "Install the newer certificate at the addresses that still show the older one, and reload them.",
    ],
    "RFC 5280 section 4.1.2.5",
);
pub const UNEXPECTED_ISSUANCE: FindingDoc = remark(
    "cert.unexpected_issuance",
    Warning,
    [
        "Public logs (Certificate Transparency) show a certificate for a name of this domain whose key was never seen on the hosts of this check. What was there when the logs were first read is taken as known. One that renews a certificate seen here, for the same names and from the same organisation, is given a day to arrive. Told for a week, or until the key is seen.",
        "Whoever holds that key can pose as the host. Mostly it is a renewal still on its way, or a certificate of another server of yours.",
        "If nobody of yours asked for it, have the authority revoke it, look at who can change DNS and web servers of the domain, and limit authorities by CAA records.",
    ],
    "RFC 9162 section 1; RFC 8659",
);
pub const CT_UNREAD: FindingDoc = remark(
    "cert.ct_unread",
    Notice,
    [
        "The service that searches the public logs could not be asked, or did not answer as it should.",
        "Certificates issued meanwhile are seen later: the next answer has them.",
        "If it lasts: check the url and the token under `ct`, and whether this host may connect there.",
    ],
    "RFC 9162",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] = &[
    RENEWED,
    ISSUER_CHANGED,
    REPLACED_EARLY,
    RENEWAL_LATE,
    PIN,
    ADDRESSES_DIFFER,
    UNEXPECTED_ISSUANCE,
    CT_UNREAD,
];
