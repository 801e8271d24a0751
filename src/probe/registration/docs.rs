//! What the kind can find, as `portalwatch explain` prints it.

use crate::model::{FindingDoc, Severity};

const fn doc(
    id: &'static str,
    severity: Severity,
    broken: bool,
    [meaning, why, fix]: [&'static str; 3],
    reference: Option<&'static str>,
) -> FindingDoc {
    FindingDoc { id, severity, broken, meaning, why, fix, reference, confirm: None }
}

use Severity::{Critical, Error, Info, Warning};

pub const EXPIRED: FindingDoc = doc(
    "registration.expired",
    Critical,
    true,
    [
        "The domain's date of expiry has passed, as the registry says. By a day declared under `expires` it is not marked broken: the declaration may be old.",
        "The registrar may take the domain out of the DNS at any time; web, mail and everything below it stop, and later anybody can register it.",
        "Renew it at the registrar now. Where the day was declared, declare the new one.",
    ],
    Some("RFC 9083 section 4.5"),
);
pub const EXPIRING: FindingDoc = doc(
    "registration.expiring",
    Error,
    false,
    [
        "The domain expires within 30 days; critical within 7.",
        "A lapsed domain takes everything below it along, and may be lost for good.",
        "Renew it, or check that automatic renewal is on and its means of payment are valid. Where the registry cannot be asked, the date is the one it told last, or the one declared under `expires`.",
    ],
    Some("RFC 9083 section 4.5"),
);
pub const HOLD: FindingDoc = doc(
    "registration.hold",
    Critical,
    true,
    [
        "The registry keeps the domain out of the DNS (`client hold` or `server hold`).",
        "Its name does not resolve once caches have run out.",
        "client hold: ask the registrar; usually an invoice is unpaid or an address was not verified. server hold: ask the registry; usually there is a dispute.",
    ],
    Some("RFC 8056, RFC 5731 section 2.3"),
);
pub const REDEMPTION: FindingDoc = doc(
    "registration.redemption",
    Critical,
    true,
    [
        "The domain was deleted and can still be restored by its last holder.",
        "It is out of the DNS; after about 30 days it is deleted for good and anybody can register it.",
        "Have the registrar restore it now; that costs more than a renewal.",
    ],
    Some("RFC 3915 section 3.1"),
);
pub const PENDING_DELETE: FindingDoc = doc(
    "registration.pending_delete",
    Critical,
    true,
    [
        "The domain is about to be deleted and can usually no longer be restored.",
        "Within days anybody can register it, and receive its mail.",
        "Ask the registrar at once whether it can still be restored; else prepare to register it the moment it is free.",
    ],
    Some("RFC 5731 section 2.3, RFC 3915 section 3.1"),
);
pub const NOT_FOUND: FindingDoc = doc(
    "registration.not_found",
    Critical,
    true,
    [
        "The registry's RDAP server says that the domain is not registered.",
        "Nobody reaches it, and anybody can register it.",
        "Check the name in the config and, if it is right, register the domain. If `server` is no registry's server but forwards questions, name the registry's own.",
    ],
    Some("RFC 7480 section 5.3"),
);
pub const UNLOCKED: FindingDoc = doc(
    "registration.unlocked",
    Severity::Notice,
    false,
    [
        "The domain has no lock against transfers (`client` or `server transfer prohibited`). A warning with `lock: required`.",
        "Whoever gets hold of its authorization code can take it to another registrar.",
        "Switch the transfer lock on at the registrar. Where the registry knows no such lock, set `lock: ignored`.",
    ],
    Some("RFC 8056, RFC 5731 section 2.3"),
);
pub const REGISTRAR_CHANGED: FindingDoc = doc(
    "registration.registrar_changed",
    Warning,
    false,
    [
        "The domain is with another registrar than `registrar` names or than was seen before. A change from what was seen stays until the value has been the same for 7 days or is back.",
        "An unplanned transfer is how domains are stolen.",
        "If it was planned, wait or correct `registrar`. If not, call the registrar of before at once; transfers can be undone for some days.",
    ],
    None,
);
pub const NAMESERVERS_CHANGED: FindingDoc = doc(
    "registration.nameservers_changed",
    Warning,
    false,
    [
        "The registry delegates the domain to other name servers than before. Stays until they have been the same for 7 days or the old ones are back.",
        "Whoever runs the name servers decides where web and mail of the domain go.",
        "If it was planned, wait. If not, restore them at the registrar, change its password and look at who signed in.",
    ],
    None,
);
pub const DS_CHANGED: FindingDoc = doc(
    "registration.ds_changed",
    Warning,
    false,
    [
        "The registry holds other DS records for the domain than before. Stays until they have been the same for 7 days or the old ones are back.",
        "DS records that fit no key of the zone make the domain fail at every validating resolver; without them it is no longer protected.",
        "If a key roll-over or a move was planned, wait. If not, compare with the zone's keys (`dig DNSKEY`) and correct them at the registrar.",
    ],
    Some("RFC 4034 section 5"),
);
pub const DATE_DISAGREES: FindingDoc = doc(
    "registration.date_disagrees",
    Info,
    false,
    [
        "The registrar, or `expires`, gives a date of expiry that is more than a day from the registry's. The registry's date is judged.",
        "Registries renew on the day and registrars may take the renewal back if it is not paid: the earlier date is when to act.",
        "Check at the registrar that the domain is renewed. Correct `expires`, or remove it.",
    ],
    Some("RFC 9083 section 4.5"),
);
pub const NO_DATE: FindingDoc = doc(
    "registration.no_date",
    Info,
    false,
    [
        "The registry's answer holds no date of expiry, and none is declared.",
        "The expiry of this domain is not watched.",
        "Look the day up at the registrar and declare it: `expires: YYYY-MM-DD`.",
    ],
    None,
);
pub const NO_RDAP: FindingDoc = doc(
    "registration.no_rdap",
    Info,
    false,
    [
        "No RDAP server is known for the domain, and no date of expiry is declared: nothing was looked at.",
        "Neither the expiry of this domain nor changes of it are watched.",
        "If its registry has an RDAP server, name it: `server: https://…`. Else declare the day of expiry: `expires: YYYY-MM-DD`.",
    ],
    Some("RFC 9224"),
);
pub const UNREACHABLE: FindingDoc = doc(
    "registration.unreachable",
    Info,
    false,
    [
        "The registry's RDAP server gave no answer that could be used.",
        "Nothing is known of the domain's registration now; that says nothing against it. The last known date of expiry is still judged while it lies ahead.",
        "The summary says why. If the server asks for patience (429), make `every` longer; it is not asked before the time it names.",
    ],
    None,
);
pub const REGISTRAR_SILENT: FindingDoc = doc(
    "registration.registrar_silent",
    Info,
    false,
    [
        "The registrar's RDAP server, to which the registry's answer leads, gave no answer that could be used.",
        "Its date of expiry was not compared with the registry's.",
        "Nothing needs to be done; a server at a private address needs `private: true` for the portal.",
    ],
    None,
);
pub const BOOTSTRAP: FindingDoc = doc(
    "registration.bootstrap",
    Info,
    false,
    [
        "The file under `bootstrap` could not be fetched or read; the one of before, else the built-in table, was used.",
        "A new server of the registry may go unnoticed.",
        "The summary says why. Check the address, or remove `bootstrap`.",
    ],
    Some("RFC 9224"),
);

/// All of them.
pub const ALL: &[FindingDoc] = &[
    EXPIRED,
    EXPIRING,
    HOLD,
    REDEMPTION,
    PENDING_DELETE,
    NOT_FOUND,
    UNLOCKED,
    REGISTRAR_CHANGED,
    NAMESERVERS_CHANGED,
    DS_CHANGED,
    DATE_DISAGREES,
    NO_DATE,
    NO_RDAP,
    UNREACHABLE,
    REGISTRAR_SILENT,
    BOOTSTRAP,
];
