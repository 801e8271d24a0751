//! Whether an answer is a throttle, a lock-out or a bot challenge rather than the portal's verdict.
//! Asked only about answers that did not meet what was expected of them. Pure.

use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;
use regex::Regex;

use super::html::Document;
use crate::judge::clip;

/// How much of a body is read.
const READ: usize = 256 << 10;

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What kept the portal's verdict from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockedKind {
    /// Too many requests.
    Throttle,
    /// Too many sign-ins: the account or our address is locked for a while.
    LockOut,
    /// Something in front of the portal takes us for a robot.
    Challenge,
}

/// An answer that says nothing of whether the portal works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The evidence, such as `429 with Retry-After: 30`.
    pub why: String,
    /// How long to wait, as the answer says; at most a day.
    pub retry_after: Option<Duration>,
    /// What it is.
    pub kind: BlockedKind,
}

/// Judges an answer that did not meet expectations. `credentials_sent`: its request carried a
/// password, code or token, so that words about a lock-out are about us. Ordinary refusals (401,
/// 403, "wrong password") and outages are not blocked.
pub fn blocked(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    credentials_sent: bool,
    now: Timestamp,
) -> Option<Blocked> {
    let retry_after = retry_after(headers, now);
    let found = |kind, why| Some(Blocked { why, retry_after, kind });
    if let Some(why) = challenge_header(headers) {
        return found(BlockedKind::Challenge, why);
    }
    let reading = Reading::new(status, headers, body);
    if let Some(why) = challenge_page(&reading) {
        return found(BlockedKind::Challenge, why);
    }
    // A server error is an outage, whatever its page says of accounts; some portals count sign-ins and
    // give up with one, though.
    let patterns = if status < 500 { &*LOCKED } else { std::slice::from_ref(&*SIGN_INS) };
    if credentials_sent && let Some(words) = lock_out(patterns, &reading.text) {
        return found(BlockedKind::LockOut, clip(&format!("{status} saying {words:?}")));
    }
    if status == 429 {
        return found(BlockedKind::Throttle, with_wait("429", headers));
    }
    if status == 423 {
        return found(BlockedKind::LockOut, with_wait("423 Locked", headers));
    }
    if let Some(why) = throttle(&reading) {
        return found(BlockedKind::Throttle, why);
    }
    let why = captcha(&reading, credentials_sent)?;
    found(BlockedKind::Challenge, why)
}

/// An answer in the forms that evidence is sought in.
struct Reading<'a> {
    status: u16,
    headers: &'a HeaderMap,
    /// The body in lower case.
    raw: String,
    /// What a reader of the page sees, in lower case, with plain apostrophes and no underscores.
    text: String,
    page: Option<Document>,
}

impl<'a> Reading<'a> {
    fn new(status: u16, headers: &'a HeaderMap, body: &[u8]) -> Self {
        let head = String::from_utf8_lossy(body.get(..READ).unwrap_or(body));
        let is_html = head.trim_start_matches('\u{feff}').trim_start().starts_with('<');
        let page = if is_html { Document::new(&head, true).ok() } else { None };
        let text = match &page {
            Some(page) => page.visible_text(),
            None if is_html => String::new(),
            None => head.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let text = text.to_lowercase().replace('’', "'").replace('_', " ");
        Self { status, headers, raw: head.to_lowercase(), text, page }
    }

    fn says(&self, marker: &str) -> bool {
        self.raw.contains(marker) || self.text.contains(marker)
    }
}

fn is(headers: &HeaderMap, name: &str, wanted: &[&str]) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim().to_ascii_lowercase();
    wanted.contains(&&*value).then_some(value)
}

/// Headers by which the firewalls themselves tell a challenge.
fn challenge_header(headers: &HeaderMap) -> Option<String> {
    let by = |name: &str, wanted: &[&str]| is(headers, name, wanted).map(|value| format!("{name}: {value}"));
    by("cf-mitigated", &["challenge"]).or_else(|| by("x-amzn-waf-action", &["challenge", "captcha"]))
}

/// A page of a firewall: on which statuses, by which words (in lower case), behind which server.
struct Challenge {
    of: &'static str,
    statuses: &'static [u16],
    server: Option<&'static str>,
    markers: &'static [&'static str],
}

/// Markers that stand on the challenge only. Scripts which these products also add to ordinary pages
/// (`challenge-platform/scripts`, `_Incapsula_Resource`, a DataDome cookie) are none.
const CHALLENGES: &[Challenge] = &[
    Challenge {
        of: "Cloudflare",
        statuses: &[403, 503],
        server: Some("cloudflare"),
        markers: &[
            "_cf_chl_opt",
            "cf-browser-verification",
            "id=\"challenge-form\"",
            "id=\"challenge-running\"",
        ],
    },
    Challenge {
        of: "Cloudflare",
        statuses: &[403],
        server: Some("cloudflare"),
        markers: &[
            "sorry, you have been blocked",
            "error code: 1006",
            "error code: 1010",
            "error code: 1012",
            "error code: 1015",
            "error code: 1020",
        ],
    },
    Challenge {
        of: "Akamai",
        statuses: &[403, 428],
        server: None,
        markers: &["errors.edgesuite.net", "sec-if-cpt-container", "/_sec/cp_challenge/"],
    },
    Challenge {
        of: "Imperva",
        statuses: &[200, 403, 405, 503],
        server: None,
        markers: &["request unsuccessful. incapsula incident id"],
    },
    Challenge {
        of: "DataDome",
        statuses: &[401, 403, 405, 429],
        server: None,
        markers: &["captcha-delivery.com"],
    },
    Challenge { of: "HUMAN", statuses: &[403, 429], server: None, markers: &["px-captcha"] },
    Challenge {
        of: "Sucuri",
        statuses: &[403],
        server: None,
        markers: &["sucuri website firewall - access denied"],
    },
];

fn challenge_page(reading: &Reading<'_>) -> Option<String> {
    let marker = |challenge: &'static Challenge| {
        let fits = challenge.statuses.contains(&reading.status)
            && challenge.server.is_none_or(|server| is(reading.headers, "server", &[server]).is_some());
        if !fits {
            return None;
        }
        challenge.markers.iter().find(|marker| reading.says(marker)).map(|marker| (challenge.of, marker))
    };
    let (of, marker) = CHALLENGES.iter().find_map(marker)?;
    Some(format!("{} with a page of {of} ({marker})", reading.status))
}

/// A captcha that someone would have to solve: on the page that answers a sign-in, or instead of the
/// portal. One that stands on every login page says nothing beside "wrong password".
fn captcha(reading: &Reading<'_>, credentials_sent: bool) -> Option<String> {
    const WIDGETS: [&str; 3] = ["g-recaptcha", "h-captcha", "cf-turnstile"];
    let page = reading.page.as_ref()?;
    let widget = page.elements().find_map(|element| {
        let name = WIDGETS.into_iter().find(|name| element.value().classes().any(|class| class == *name))?;
        let unseen = element.attr("data-size").is_some_and(|size| size.eq_ignore_ascii_case("invisible"));
        // Where the widget is part of a button, it acts unseen.
        (!unseen && element.attr("data-sitekey").is_some() && element.value().name() != "button")
            .then_some(name)
    })?;
    let interstitial = matches!(reading.status, 403 | 405 | 503) && !page.asks_for_password();
    let asked = credentials_sent && reading.status < 500;
    let is_verdict = REFUSED.is_match(&reading.text);
    ((interstitial || asked) && !is_verdict).then(|| format!("{} with a captcha ({widget})", reading.status))
}

fn throttle(reading: &Reading<'_>) -> Option<String> {
    let retry = reading.headers.contains_key(header::RETRY_AFTER);
    let spent = is(reading.headers, "x-ratelimit-remaining", &["0"]).is_some();
    match reading.status {
        503 if retry => {
            let words = THROTTLED.find(&reading.text)?.as_str();
            Some(format!("{} and {words:?}", with_wait("503", reading.headers)))
        }
        403 if spent => {
            let words = THROTTLED.find(&reading.text)?.as_str();
            Some(format!("403 with X-RateLimit-Remaining: 0 and {words:?}"))
        }
        _ => None,
    }
}

/// The words of a lock-out that is in force. A page that warns of one ("one more attempt before your
/// account is locked") is an ordinary refusal.
fn lock_out<'a>(patterns: &[Regex], text: &'a str) -> Option<&'a str> {
    patterns.iter().flat_map(|pattern| pattern.find_iter(text)).find_map(|found| {
        let before = text.get(..found.start()).unwrap_or_default();
        let clause = before.rsplit(['.', '!', '?', ';', ':', '"', '{']).next().unwrap_or_default();
        let behind = text.get(found.end()..).unwrap_or_default();
        (!CONDITION.is_match(clause) && !CONDITION_BEHIND.is_match(behind)).then_some(found.as_str())
    })
}

/// Wording of Django (axes, defender, allauth), Rails (Devise), Laravel, Keycloak, WordPress (Limit
/// Login Attempts, Wordfence), Drupal, phpBB, Discourse, Nextcloud, Roundup, ASP.NET Identity, Auth0 and
/// Firebase, and of translations.
static LOCKED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // "Too many failed login attempts", "TOO_MANY_ATTEMPTS_TRY_LATER", "too many failed logins"
        r"\btoo many (?:[a-z-]+ ){0,4}(?:attempts|tries|logins|log-ins|sign-ins|login failures|failures)\b",
        r"\b(?:log|sign|logged|signed) ?-?in too many times\b",
        r"\b(?:logins|log-ins|sign-ins|login attempts) (?:are )?occurring too (?:fast|often)\b",
        r"\baccount (?:is |was |has been |have been |got )?(?:now |currently |temporarily |automatically )*(?:locked|blocked (?:after|due to|because))\b",
        r"\b(?:account|user|login|sign-in|ip(?: address)?) (?:is |was |has been )?(?:currently )?temporarily (?:locked|blocked|disabled|suspended|banned)\b",
        r"\b(?:you are|you're|you have been|you've been|user is|user has been) (?:currently |temporarily )?(?:locked out|blocked due to)\b",
        r"\buser locked out\b",
        r"\bmore than \d+ failed log-?in attempts\b",
        r"\bexceeded (?:the |your )?(?:[a-z]+ ){0,6}(?:attempts|tries)\b",
        r"\bmaximum (?:number of )?(?:[a-z-]+ ){0,3}attempts (?:[a-z]+ ){0,7}(?:exceeded|reached)\b",
        r"\bnext login is throttled\b",
        r"\bzu viele (?:[a-zäöüß]+ ){0,2}(?:anmelde|login|log-in-)?versuche\b",
        r"\b(?:konto|benutzer|zugang) (?:ist|wurde) (?:vorübergehend |zeitweise |derzeit )?gesperrt\b",
        r"\btrop de tentatives\b",
        r"\bcompte (?:est )?temporairement (?:bloqué|verrouillé)",
        r"\bdemasiados intentos\b",
        r"\bcuenta (?:est[áa] |ha sido )?(?:bloqueada temporalmente|temporalmente (?:bloqueada|deshabilitada))",
        r"\bconta (?:est[áa] |foi )?temporariamente bloqueada",
        r"\bmuitas tentativas de login\b",
    ]
    .into_iter()
    .map(compiled)
    .collect()
});

/// Words of a lock-out that are about sign-ins and nothing else, as Node-RED says them with a 500.
static SIGN_INS: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\btoo many (?:failed |unsuccessful |invalid )?(?:log-?in|sign-?in|authentication) (?:attempts|tries|failures)\b",
    )
});

static THROTTLED: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\b(?:too many requests|rate[ -]?limit(?:ed|ing)?|request limit|throttl(?:ed|ing)|slow down|quota exceeded)\b",
    )
});

/// "Wrong password" in its usual forms: the portal's verdict.
static REFUSED: LazyLock<Regex> = LazyLock::new(|| {
    compiled(concat!(
        r"\b(?:invalid|incorrect|wrong|bad|unknown) (?:[a-z-]+ ){0,2}(?:e-?mail|user(?:name)?|login|password|credentials)\b",
        r"|\b(?:password|credentials|username|e-?mail)(?: [a-z'-]+){0,4} (?:invalid|incorrect|wrong|not match|didn't match|don't match|doesn't match|not recognized)\b",
        r"|\benter a correct\b|\b(?:falsch|ungültig|incorrecte?s?\b|inválid)",
    ))
});

/// What makes a clause a warning, before the words of a lock-out and right behind them.
static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"\b(?:before|if|until|unless|when|once|will|would|may|might|avoid|prevent|bevor|wenn|avant)\b")
});
static CONDITION_BEHIND: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"^,? (?:if|when|whenever|once|unless)\b"));

#[expect(clippy::expect_used, reason = "the patterns are constants, and the tests compile each of them")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern that compiles")
}

fn with_wait(what: &str, headers: &HeaderMap) -> String {
    let wait = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::trim);
    // A number of seconds or a date; anything else is not repeated.
    let is_plain = |wait: &&str| {
        wait.len() <= 40 && wait.chars().all(|c| c.is_ascii_alphanumeric() || ", :".contains(c))
    };
    match wait.filter(is_plain) {
        Some(wait) => format!("{what} with Retry-After: {wait}"),
        None => what.to_owned(),
    }
}

/// `Retry-After` as seconds or as a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn judged(
        status: u16,
        lines: &[(&'static str, &'static str)],
        body: &str,
        sent: bool,
    ) -> Option<Blocked> {
        blocked(status, &headers(lines), body.as_bytes(), sent, now())
    }

    const CLOUDFLARE: &[(&str, &str)] = &[("server", "cloudflare"), ("content-type", "text/html")];

    #[test]
    fn what_firewalls_and_limits_say_is_not_the_portals_verdict() {
        use BlockedKind::{Challenge, Throttle};
        for (status, lines, body, kind, why) in [
            (429, &[("retry-after", "30")][..], "", Throttle, "429 with Retry-After: 30"),
            (429, &[], "{}", Throttle, "429"),
            (200, &[("cf-mitigated", "challenge")], "", Challenge, "cf-mitigated: challenge"),
            (202, &[("x-amzn-waf-action", "challenge")], "", Challenge, "x-amzn-waf-action: challenge"),
            (405, &[("x-amzn-waf-action", "captcha")], "", Challenge, "x-amzn-waf-action: captcha"),
            (
                403,
                CLOUDFLARE,
                "<html><title>Just a moment...</title><script>window._cf_chl_opt={cvId:'3'};</script>",
                Challenge,
                "Cloudflare (_cf_chl_opt)",
            ),
            (
                503,
                CLOUDFLARE,
                "<div class=\"cf-browser-verification cf-im-under-attack\"><h1>Checking your browser before accessing</h1></div>",
                Challenge,
                "Cloudflare",
            ),
            (403, CLOUDFLARE, "error code: 1020", Challenge, "error code: 1020"),
            (
                403,
                CLOUDFLARE,
                "<h1>Sorry, you have been <b>blocked</b></h1><h2>You are unable to access portal.example</h2>",
                Challenge,
                "sorry, you have been blocked",
            ),
            (
                403,
                &[("server", "AkamaiGHost")],
                "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1>Reference&#32;&#35;18&#46;2a\
                 <P>https&#58;&#47;&#47;errors&#46;edgesuite&#46;net&#47;18&#46;2a</P></BODY></HTML>",
                Challenge,
                "Akamai",
            ),
            (
                200,
                &[],
                "<html><body><iframe src=\"/_Incapsula_Resource?CWUDNSAI=9\">Request unsuccessful. Incapsula incident ID: 1-2</iframe>",
                Challenge,
                "Imperva",
            ),
            (
                403,
                &[("x-datadome", "protected")],
                "<script>var dd={'rt':'c','host':'geo.captcha-delivery.com'}</script>\
                 <script src=\"https://ct.captcha-delivery.com/c.js\"></script>",
                Challenge,
                "DataDome",
            ),
            (403, &[], "<div id=\"px-captcha\"></div>", Challenge, "HUMAN"),
            (403, &[], "<title>Sucuri WebSite Firewall - Access Denied</title>", Challenge, "Sucuri"),
            (
                403,
                &[],
                "<p>Are you a robot?</p><div class=h-captcha data-sitekey=x></div>",
                Challenge,
                "a captcha (h-captcha)",
            ),
            (
                503,
                &[("retry-after", "5")],
                "Rate limit exceeded",
                Throttle,
                "503 with Retry-After: 5 and \"rate limit\"",
            ),
            (
                403,
                &[("x-ratelimit-remaining", "0")],
                "{\"message\": \"You have exceeded a secondary rate limit.\"}",
                Throttle,
                "X-RateLimit-Remaining: 0",
            ),
        ] {
            let blocked = judged(status, lines, body, false).unwrap_or_else(|| panic!("{status} {body}"));
            assert_eq!(blocked.kind, kind, "{status} {body}");
            assert!(blocked.why.contains(why), "{body}: {}", blocked.why);
        }
    }

    #[test]
    fn an_outage_or_a_refusal_is_the_portals_verdict() {
        let unrelated =
            "<html><head><script src=\"/cdn-cgi/challenge-platform/scripts/jsd/main.js\"></script>";
        for (status, lines, body) in [
            (401, &[][..], "{\"error\": \"invalid_client\"}"),
            (401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
            (403, &[("server", "nginx")], "<html><title>403 Forbidden</title><center><h1>403 Forbidden</h1>"),
            (403, &[], "<h1>Access Denied</h1>You don't have permission to access this page."),
            (403, CLOUDFLARE, unrelated),
            (403, &[], "<h1>Just a moment...</h1> <a href=\"https://support.example/_cf_chl_opt\">help</a>"),
            (500, CLOUDFLARE, "<script>window._cf_chl_opt={}</script>"),
            (503, &[("retry-after", "3600")], "<h1>Down for maintenance</h1>We will be back soon."),
            (503, &[], "Rate limit exceeded"),
            (503, CLOUDFLARE, "<h1>Error 503</h1><span>Ray ID: 1</span>"),
            (502, CLOUDFLARE, "<title>portal.example | 502: Bad gateway</title><p>cloudflare</p>"),
            (404, &[], "Not found"),
            (200, &[("x-amzn-waf-action", "allow")], ""),
            (200, &[], "<script src=\"/_Incapsula_Resource?SWJIYLWA=1\"></script><h1>Dashboard</h1>"),
            (200, &[("x-datadome", "protected")], "<h1>Dashboard</h1>"),
            (403, &[("x-ratelimit-remaining", "12")], "secondary rate limit"),
            (
                200,
                &[],
                "<form><input type=password name=p><div class=g-recaptcha data-sitekey=x></div></form>",
            ),
            (403, &[], "<form><input type=password><div class=g-recaptcha data-sitekey=x></div></form>"),
        ] {
            assert_eq!(judged(status, lines, body, false), None, "{status} {body}");
        }
    }

    #[test]
    fn a_locked_account_is_not_a_broken_portal() {
        for (status, body) in [
            (403, "Account locked: too many login attempts. Please try again later."),
            (403, "<p>Too many failed login attempts. Try again later.</p>"),
            (200, "<p class=alert>Your account is locked.</p><form><input type=password></form>"),
            (200, "<strong>ERROR</strong>: Too many failed login attempts. Please try again in 20 minutes."),
            (200, "<p>Account is temporarily disabled; contact your administrator or retry later.</p>"),
            (200, "<p>Account is temporarily disabled, contact your administrator or try again later.</p>"),
            (422, "{\"message\": \"Too many login attempts. Please try again in 57 seconds.\"}"),
            (
                200,
                "There have been more than 5 failed login attempts for this account. It is temporarily blocked.",
            ),
            (
                403,
                "Too many failed login attempts from your IP address. This IP address is temporarily blocked.",
            ),
            (200, "<p>You exceeded the maximum allowed number of login attempts.</p>"),
            (200, "<p>You’ve tried to log in too many times. Please wait.</p>"),
            (400, "{\"error\": {\"message\": \"TOO_MANY_ATTEMPTS_TRY_LATER\"}}"),
            (401, "{\"error\": \"account_locked\"}"),
            (
                401,
                "{\"error\": \"too_many_attempts\", \"error_description\": \"Your account has been blocked after multiple consecutive login attempts.\"}",
            ),
            (200, "<h2>This account has been locked out, please try again later.</h2>"),
            (200, "<p>You are temporarily locked out</p>"),
            (200, "<p>Your <b>account</b> has been\n temporarily <i>locked</i>.</p>"),
            (200, "Maximum number of attempts to login to this account exceeded, try again later"),
            (200, "<p>Zu viele Anmeldeversuche. Ihr Konto ist vorübergehend gesperrt.</p>"),
            (200, "<p>Compte temporairement bloqué. Réessayez plus tard.</p>"),
            (200, "<p>Cuenta temporalmente deshabilitada.</p>"),
            (
                500,
                "Error: Too many login attempts. Wait 10 minutes and try again<br> &nbsp; at /srv/lib/auth.js:42:1",
            ),
            (200, "<p class=error-message>Logins occurring too fast. Please wait: 20 seconds.</p>"),
            (429, "Account locked: too many login attempts. Contact an admin to unlock your account."),
            (423, "{}"),
        ] {
            let blocked = judged(status, &[], body, true).unwrap_or_else(|| panic!("{status} {body}"));
            assert_eq!(blocked.kind, BlockedKind::LockOut, "{body}");
        }
        let blocked = judged(403, &[("retry-after", "900")], "Your account is locked", true).unwrap();
        assert_eq!(blocked.why, "403 saying \"account is locked\"");
        assert_eq!(blocked.retry_after, Some(Duration::from_secs(900)));
    }

    #[test]
    fn a_wrong_password_is_a_refusal_however_the_page_talks_about_locking() {
        for body in [
            "<p>Invalid username or password.</p>",
            "<p>You have one more attempt before your account is locked.</p>",
            "<p>Wrong password. 3 attempts remaining.</p>",
            "<p>Wrong password. If you fail again your account will be locked.</p>",
            "<p>Your account is locked if you enter a wrong password five times.</p>",
            "<p>Your account has been disabled.</p>",
            "<p>Invalid password</p><script>var i18n = {locked: 'Your account is locked.'}</script>",
            "<p>Invalid password</p><div hidden>Too many failed login attempts</div>",
            "<p>Invalid password</p><!-- Too many login attempts -->",
            "<p>Invalid password</p><script src=https://www.google.com/recaptcha/api.js></script>",
            "<p>Wrong email or password</p><div class=g-recaptcha data-sitekey=x></div>",
            "<p>Your username and password didn't match.</p><div class=h-captcha data-sitekey=x></div>",
            "<form><div class=g-recaptcha data-sitekey=x data-size=invisible></div></form>",
        ] {
            for status in [200, 401, 403] {
                assert_eq!(judged(status, &[], body, true), None, "{status} {body}");
            }
        }
        let news = "<h1>Dashboard</h1><p>News: too many login attempts shut a bank's accounts; account locked, he says.</p>";
        assert_eq!(judged(200, &[], news, false), None);
        assert!(judged(200, &[], news, true).is_some());
        assert_eq!(judged(500, &[], "account is locked: deadlock", true), None);
        assert_eq!(judged(500, &[], "too many attempts to reach the database", true), None);
        assert_eq!(judged(500, &[], "Too many login attempts", false), None);
    }

    #[test]
    fn a_captcha_in_answer_to_a_sign_in_is_a_challenge() {
        let page = "<p>Please confirm</p><form><input type=password><div class='x cf-turnstile' data-sitekey=k></div></form>";
        assert_eq!(judged(200, &[], page, true).map(|blocked| blocked.kind), Some(BlockedKind::Challenge));
        assert_eq!(judged(200, &[], page, false), None);
        assert_eq!(judged(500, &[], page, true), None);
    }

    #[test]
    fn how_long_to_wait_is_read_and_bounded() {
        for (value, expected) in [
            ("30", Some(30)),
            (" 0 ", Some(0)),
            ("Sun, 01 Mar 2026 12:02:00 GMT", Some(120)),
            ("Sun, 01 Mar 2026 11:00:00 GMT", Some(0)),
            ("99999999", Some(86_400)),
            ("Sun, 01 Mar 2099 11:00:00 GMT", Some(86_400)),
            ("soon", None),
            ("-5", None),
        ] {
            let blocked = judged(429, &[("retry-after", value)], "", false).unwrap();
            assert_eq!(blocked.retry_after, expected.map(Duration::from_secs), "{value}");
        }
        let odd = judged(429, &[("retry-after", "<b>\"5\"</b>")], "", false).unwrap();
        assert_eq!(odd.why, "429");
    }

    #[test]
    fn a_hostile_body_is_judged_too() {
        for body in ["<div>".repeat(100_000), "\u{fffd}".repeat(1 << 20), "account ".repeat(100_000)] {
            assert_eq!(judged(200, &[], &body, true), None);
        }
        assert_eq!(blocked(403, &HeaderMap::new(), &[0xff; 10_000], true, now()), None);
    }

    #[test]
    fn every_pattern_compiles() {
        assert!(!LOCKED.is_empty());
        for pattern in [&*SIGN_INS, &*THROTTLED, &*REFUSED, &*CONDITION, &*CONDITION_BEHIND] {
            assert!(!pattern.as_str().is_empty());
        }
    }
}
