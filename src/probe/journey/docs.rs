//! What the kind can find, as `portalwatch explain` prints it.

use std::time::Duration;

use super::cookies;
use crate::model::{Confirm, FindingDoc, Severity};

const AT_ONCE: Confirm = Confirm { failures: 1, successes: 1, recheck: None };
const NETWORK: Confirm = Confirm { failures: 3, successes: 2, recheck: Some(Duration::from_secs(10)) };

const fn doc(
    id: &'static str,
    severity: Severity,
    broken: bool,
    [meaning, why, fix]: [&'static str; 3],
    confirm: Option<Confirm>,
) -> FindingDoc {
    FindingDoc { id, severity, broken, meaning, why, fix, reference: None, confirm }
}

use Severity::{Critical, Error, Info, Notice, Warning};

pub const UNREACHABLE: FindingDoc = doc(
    "journey.unreachable",
    Critical,
    true,
    [
        "A step got no answer, or none that was whole: the name, the connection, TLS or the time failed.",
        "Users cannot go on at this step either.",
        "The summary names the phase. Look at the server and what stands before it; `portalwatch inspect http URL` looks at one address alone.",
    ],
    Some(NETWORK),
);
pub const STATUS: FindingDoc = doc(
    "journey.status",
    Critical,
    true,
    [
        "A step was answered with a status that it does not expect (200–299 if it does not say).",
        "Users get the same answer: they cannot do what this step does.",
        "5xx: look at the portal's logs at this time. 4xx: the page moved, or the identity lacks a right. 3xx: expect the status, or follow it.",
    ],
    None,
);
pub const EXPECTATION: FindingDoc = doc(
    "journey.expectation",
    Critical,
    true,
    [
        "A step was answered, but the answer does not say what it should: a header, the body, a JSON value or the address it ended at.",
        "The page is there and wrong: an error in place of a dashboard, another user's data, a write that cannot be read back.",
        "Compare the expectation with what the page says (`portalwatch check NAME --explain`). If the portal has changed on purpose, change the expectation.",
    ],
    None,
);
pub const REDIRECT: FindingDoc = doc(
    "journey.redirect",
    Critical,
    true,
    [
        "A redirect of a step leads in a circle, nowhere, or where it must not be followed to.",
        "Browsers stop here too. A circle through the sign-in page often means that the session cookie is not accepted.",
        "Follow the hops in the evidence; look at the cookies they set (Domain, Path, Secure) and at the portal's idea of its own address.",
    ],
    None,
);
pub const CAPTURE: FindingDoc = doc(
    "journey.capture",
    Critical,
    true,
    [
        "Something that later steps need is not in the answer: a form, a field, a JSON value, a cookie.",
        "The page lacks what users need to go on, or the portal was rebuilt.",
        "The summary says what is there instead. Adjust `capture` if the page is right.",
    ],
    None,
);
pub const NOT_SENT: FindingDoc = doc(
    "journey.not_sent",
    Critical,
    true,
    [
        "A step was not sent, because its request cannot be made of what the portal gave: a value is missing, empty, or would change the address.",
        "What the steps before should have given is not there; a request made of it could hit something else.",
        "Look at the capture it comes from. A path never takes an empty value, `.` or `..`.",
    ],
    None,
);
pub const NO_TOKEN: FindingDoc = doc(
    "journey.no_token",
    Critical,
    true,
    [
        "The token endpoint answered, without a token and without refusing the credential.",
        "Nothing behind the token can be used: users and programs that sign in the same way are shut out as well.",
        "The summary holds the status or the error of RFC 6749 section 5.2. Look at the identity provider, and at token_url, scopes and grant of the identity.",
    ],
    None,
);
pub const UNTIL: FindingDoc = doc(
    "journey.until",
    Critical,
    true,
    [
        "A repeated step ended without its `until` coming true.",
        "What users wait for does not come.",
        "Look at the portal's background jobs; if it is meant to take longer, raise `times` or add a pause by `eventually`.",
    ],
    None,
);
pub const OUT_OF_TIME: FindingDoc = doc(
    "journey.out_of_time",
    Critical,
    true,
    [
        "The journey was not over in its time; the step named was not begun, not repeated or not waited for. A part of the time is kept for clean-up and sign-out.",
        "Users wait at least as long.",
        "The step times show which step is slow. If the portal is meant to be so slow, raise `deadline` (default: `every`, at most 5m).",
    ],
    None,
);
pub const REFUSED: FindingDoc = doc(
    "journey.refused",
    Critical,
    true,
    [
        "The portal refused the credential of the identity. It was shown once, and is not shown again before `lockout_guard` has passed.",
        "Either nobody can sign in, or the monitor's own account is broken and everything behind the sign-in is unwatched.",
        "Sign in by hand with the same account. Expired or changed password: put the new one where the config refers to; a changed secret is tried at once. Wrong one-time code: compare the clocks.",
    ],
    Some(AT_ONCE),
);
pub const OPTIONAL: FindingDoc = doc(
    "journey.optional",
    Notice,
    false,
    [
        "A step marked `optional` failed; the journey went on.",
        "Something that users can do without does not work.",
        "See the evidence; it is that of any failing step.",
    ],
    None,
);
pub const LEFT_BEHIND: FindingDoc = doc(
    "journey.left_behind",
    Warning,
    false,
    [
        "The clean-up after a write failed, so that what the run wrote may still be there. Nothing more is written until it is swept.",
        "Test data stands among real data. It carries the run's id.",
        "The next run that comes to its first write searches for it by `sweep`; after a sweep that failed the next waits a minute (or the check's `deadline`, if that is shorter), and twice as long with each, up to 6h. If it does not go away, look at the step of the clean-up that failed.",
    ],
    Some(AT_ONCE),
);
pub const ORPHAN: FindingDoc = doc(
    "journey.orphan",
    Error,
    false,
    [
        "What an earlier run wrote could not be removed in three tries, clean-up and sweeps together. Nothing more is written until it is gone.",
        "Test data stands among real data, and the write path is not watched.",
        "Search the portal for the run's id and remove what is found by hand; the next sweep then finds nothing and writing goes on. Then mend `sweep` or `cleanup`.",
    ],
    Some(AT_ONCE),
);
pub const SWEPT: FindingDoc = doc(
    "journey.swept",
    Info,
    false,
    [
        "Something that an earlier run left behind was looked for and is gone.",
        "It shows that a run was cut off between its write and its clean-up, and that nothing remains of it.",
        "Nothing to do. If it happens often, look at why runs end early.",
    ],
    None,
);
pub const NOT_WRITTEN: FindingDoc = doc(
    "journey.not_written",
    Info,
    false,
    [
        "The first step that writes was not sent, and what comes after it was not done. The summary says why.",
        "The write path was not looked at in this run.",
        "By hand, add `--write`. `daily_writes` bounds the writes of 24 hours. What an earlier run left behind is swept first.",
    ],
    None,
);
pub const SESSION_OUTLIVES: FindingDoc = doc(
    "journey.session_outlives",
    Error,
    false,
    [
        "After the sign-out the old cookies or token still open a page that only a session should.",
        "Whoever has a copy of the cookie (a shared computer, a proxy's log) stays signed in after the user has left.",
        "End the session on the server when a user signs out; for tokens keep their life short or keep a list of revoked ones.",
    ],
    None,
);
pub const SIGN_OUT: FindingDoc = doc(
    "journey.sign_out",
    Warning,
    false,
    [
        "The sign-out failed, or what came of it could not be seen.",
        "Users cannot leave safely, and sessions of the monitor pile up.",
        "See the evidence; it is that of any failing step.",
    ],
    None,
);
pub const TOKEN_ROTATED: FindingDoc = doc(
    "journey.token_rotated",
    Notice,
    false,
    [
        "The token endpoint gave a new refresh token in place of the configured one. It is not kept: portalwatch stores no secrets.",
        "If the endpoint takes each refresh token only once, the next run is refused.",
        "Turn rotation off for this client, or use the grant client_credentials or password.",
    ],
    None,
);

/// All that is found.
pub const ALL: &[FindingDoc] = &[
    UNREACHABLE,
    STATUS,
    EXPECTATION,
    REDIRECT,
    CAPTURE,
    NOT_SENT,
    NO_TOKEN,
    UNTIL,
    OUT_OF_TIME,
    REFUSED,
    OPTIONAL,
    LEFT_BEHIND,
    ORPHAN,
    SWEPT,
    NOT_WRITTEN,
    SESSION_OUTLIVES,
    SIGN_OUT,
    TOKEN_ROTATED,
    cookies::SECURE,
    cookies::HTTP_ONLY,
    cookies::SAME_SITE,
];
