use super::*;
use crate::model::Masker;

const PORTAL: &str = "https://portal.acme.example/";

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn csrf() -> Csrf {
    Csrf { cookie: "XSRF-TOKEN".to_owned(), header: HeaderName::from_static("x-xsrf-token") }
}

fn session(lines: &[&str]) -> Session {
    let mut session = Session::new(&url(PORTAL), Some(csrf()));
    see(&mut session, PORTAL, lines);
    session
}

fn see(session: &mut Session, at: &str, lines: &[&str]) -> Vec<CookieSeen> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(SET_COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    session.seen(&url(at), &headers, now())
}

/// What a request looks like when it leaves.
struct Sent {
    headers: HeaderMap,
    notes: Vec<String>,
}

impl Sent {
    fn get(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()).unwrap())
    }
}

fn send(session: &Session, method: Method, to: &str, from: Option<&str>, hops: &[&str]) -> Sent {
    let hops: Vec<Url> = hops.iter().copied().map(url).collect();
    let mut headers = HeaderMap::new();
    let from = from.map(url);
    let notes = session.dress_redirected(&method, &url(to), from.as_ref(), &hops, &mut headers);
    Sent { headers, notes }
}

#[test]
fn a_session_goes_back_to_where_it_came_from() {
    let session = session(&["sid=abcdef; Path=/; HttpOnly; Secure", "theme=dark; Path=/app"]);
    let sent = send(&session, Method::GET, "https://portal.acme.example/app/x", None, &[]);
    assert_eq!(sent.get(COOKIE), Some("theme=dark; sid=abcdef"));
    assert!(sent.headers[COOKIE].is_sensitive());
    assert!(sent.notes.is_empty());
    for elsewhere in ["https://evil.example/", "https://acme.example/", "http://portal.acme.example/"] {
        assert_eq!(send(&session, Method::GET, elsewhere, None, &[]).get(COOKIE), None, "{elsewhere}");
    }
    assert_eq!(session.cookie(&url(PORTAL), "sid").as_deref(), Some("abcdef"));
    assert_eq!(session.cookie(&url(PORTAL), "theme"), None);
    assert_eq!(session.cookie_names(&url("https://portal.acme.example/app")), ["theme", "sid"]);
}

#[test]
fn a_snapshot_keeps_what_sign_out_deletes() {
    let mut session = session(&["sid=abcdef; Path=/"]);
    let before = session.clone();
    see(&mut session, PORTAL, &["sid=; Path=/; Max-Age=0"]);
    assert_eq!(send(&session, Method::GET, PORTAL, None, &[]).get(COOKIE), None);
    assert_eq!(send(&before, Method::GET, PORTAL, None, &[]).get(COOKIE), Some("sid=abcdef"));
}

#[test]
fn a_cookie_ends_while_the_run_waits() {
    let mut session = session(&["sid=abcdef; Path=/; Max-Age=5"]);
    session.forget(now() + jiff::SignedDuration::from_secs(4));
    assert!(session.cookie(&url(PORTAL), "sid").is_some());
    session.forget(now() + jiff::SignedDuration::from_secs(5));
    assert!(session.cookie(&url(PORTAL), "sid").is_none());
}

#[test]
fn same_site_holds_back_what_browsers_hold_back() {
    let session = session(&[
        "strict=1; Path=/; SameSite=Strict",
        "lax=1; Path=/; SameSite=Lax",
        "none=1; Path=/; SameSite=None; Secure",
        "plain=1; Path=/",
    ]);
    let all = "strict=1; lax=1; none=1; plain=1";
    let (id, own) = (Some("https://id.example/login"), Some("https://www.acme.example/"));
    for (method, from, expected) in [
        (Method::GET, None, all),
        (Method::POST, None, all),
        (Method::GET, own, all),
        (Method::POST, own, all),
        (Method::GET, id, "lax=1; none=1; plain=1"),
        (Method::POST, id, "none=1; plain=1"),
        (Method::GET, Some("http://www.acme.example/"), "lax=1; none=1; plain=1"),
    ] {
        let sent = send(&session, method.clone(), PORTAL, from, &[]);
        assert_eq!(sent.get(COOKIE), Some(expected), "{method} from {from:?}");
    }
    let back = send(&session, Method::GET, PORTAL, own, &["https://id.example/login"]);
    assert_eq!(back.get(COOKIE), Some(all), "who redirects does not count");
}

#[test]
fn neighbours_below_a_public_suffix_are_other_sites() {
    let site = |text: &str| {
        let url = url(text);
        let (scheme, domain) = site(&url);
        format!("{scheme} {domain}")
    };
    assert_ne!(site("https://a.github.io/"), site("https://b.github.io/"));
    assert_eq!(site("https://a.acme.co.uk/"), site("https://b.acme.co.uk:8443/"));
    assert_ne!(site("https://127.0.0.1/"), site("https://127.0.0.2/"));
}

#[test]
fn a_request_names_the_page_it_comes_from() {
    let session = session(&[]);
    let from = Some("https://portal.acme.example/login?next=%2F#top");
    let sent = send(&session, Method::POST, PORTAL, from, &[]);
    assert_eq!(sent.get(REFERER), Some("https://portal.acme.example/login?next=%2F"));
    assert_eq!(sent.get(ORIGIN), Some("https://portal.acme.example"));
    let sent = send(&session, Method::GET, "https://id.example/", from, &[]);
    assert_eq!((sent.get(REFERER), sent.get(ORIGIN)), (Some(PORTAL), None));
    let typed = send(&session, Method::POST, PORTAL, None, &[]);
    assert_eq!((typed.get(REFERER), typed.get(ORIGIN)), (None, None));
    let redirected = send(&session, Method::POST, PORTAL, from, &["https://id.example/"]);
    assert_eq!(redirected.get(ORIGIN), Some("null"));
}

#[test]
fn a_page_that_states_a_policy_is_obeyed() {
    let mut session = session(&[]);
    let (page, hop) = ("https://portal.acme.example/login", "https://portal.acme.example/go");
    let state = |session: &mut Session, at: &str, policy: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        if let Some(policy) = policy {
            headers.insert("referrer-policy", HeaderValue::from_static(policy));
        }
        session.seen(&url(at), &headers, now());
    };
    state(&mut session, page, Some("no-referrer"));
    assert_eq!(send(&session, Method::GET, PORTAL, Some(page), &[]).get(REFERER), None);
    assert_eq!(send(&session, Method::GET, PORTAL, Some(PORTAL), &[]).get(REFERER), Some(PORTAL));
    state(&mut session, hop, Some("origin"));
    assert_eq!(send(&session, Method::GET, PORTAL, Some(page), &[hop]).get(REFERER), Some(PORTAL));
    state(&mut session, page, None);
    assert_eq!(send(&session, Method::GET, PORTAL, Some(page), &[]).get(REFERER), Some(page));
    for number in 0..2 * MOST_POLICIES {
        state(&mut session, &format!("{PORTAL}{number}"), Some("origin"));
    }
    assert_eq!(session.policies.len(), MOST_POLICIES);
}

#[test]
fn a_token_goes_to_the_portal_alone() {
    let mut session = session(&[]);
    assert!(session.bearer().is_none());
    assert_eq!(send(&session, Method::GET, PORTAL, None, &[]).get(AUTHORIZATION), None);
    session.set_bearer(Secret::new("t0ken-t0ken", "bearer"));
    let sent = send(&session, Method::GET, PORTAL, None, &[]);
    assert_eq!(sent.get(AUTHORIZATION), Some("Bearer t0ken-t0ken"));
    assert!(sent.headers[AUTHORIZATION].is_sensitive());
    for elsewhere in [
        "http://portal.acme.example/",
        "https://portal.acme.example:8443/",
        "https://acme.example/",
        "https://portal.acme.example.evil.example/",
    ] {
        assert_eq!(send(&session, Method::GET, elsewhere, None, &[]).get(AUTHORIZATION), None, "{elsewhere}");
        let back = send(&session, Method::GET, PORTAL, None, &[elsewhere]);
        assert_eq!(back.get(AUTHORIZATION), None, "redirected by {elsewhere}");
    }
    let within = send(&session, Method::GET, PORTAL, None, &["https://portal.acme.example/a"]);
    assert!(within.get(AUTHORIZATION).is_some());
}

#[test]
fn a_token_that_no_header_can_hold_is_told_without_its_value() {
    let mut session = session(&[]);
    session.set_bearer(Secret::new("t0ken\r\nx: y", "bearer"));
    let sent = send(&session, Method::GET, PORTAL, None, &[]);
    assert!(sent.headers.is_empty());
    assert!(sent.notes[0].contains("bearer token left out") && !sent.notes[0].contains("t0ken"));
}

#[test]
fn the_csrf_cookie_is_repeated_where_something_changes() {
    let session = session(&["XSRF-TOKEN=a%2Bb%3D+c; Path=/"]);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let sent = send(&session, method, PORTAL, Some(PORTAL), &[]);
        assert_eq!(sent.get("x-xsrf-token"), Some("a+b=+c"));
        assert_eq!(sent.get(COOKIE), Some("XSRF-TOKEN=a%2Bb%3D+c"));
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert_eq!(send(&session, method, PORTAL, Some(PORTAL), &[]).get("x-xsrf-token"), None);
    }
    let elsewhere = send(&session, Method::POST, "https://id.example/", Some(PORTAL), &[]);
    assert_eq!((elsewhere.get("x-xsrf-token"), elsewhere.notes.len()), (None, 0));
    let back = send(&session, Method::POST, PORTAL, Some(PORTAL), &["https://id.example/"]);
    assert_eq!(back.get("x-xsrf-token"), None);
}

#[test]
fn a_csrf_cookie_that_scripts_cannot_read_is_missed_as_users_miss_it() {
    for (line, why) in [
        ("XSRF-TOKEN=secret-value; Path=/; HttpOnly", "HttpOnly"),
        ("XSRF-TOKEN=secret-value; Path=/api", "is not set"),
        ("XSRF-TOKEN=secret%0Avalue; Path=/", "no header can hold"),
    ] {
        let sent =
            send(&session(&[line]), Method::POST, "https://portal.acme.example/api", Some(PORTAL), &[]);
        assert_eq!(sent.get("x-xsrf-token"), None, "{line}");
        assert!(sent.notes[0].contains(why) && !sent.notes[0].contains("secret"), "{:?}", sent.notes);
    }
    let raw = send(&session(&["XSRF-TOKEN=100%; Path=/"]), Method::POST, PORTAL, None, &[]);
    assert_eq!(raw.get("x-xsrf-token"), Some("100%"));
}

#[test]
fn decoding_is_that_of_the_browser() {
    for (text, decoded) in [
        ("a%20b+c", Some("a b+c")),
        ("%C3%BC", Some("ü")),
        ("%c3%bC", Some("ü")),
        ("%", None),
        ("%2", None),
        ("%+2", None),
        ("%zz", None),
        ("%ff", None),
        ("", Some("")),
    ] {
        assert_eq!(decode_uri_component(text).as_deref(), decoded, "{text}");
    }
}

#[test]
fn what_the_step_wrote_itself_wins() {
    let mut session = session(&["sid=1; Path=/", "XSRF-TOKEN=2; Path=/"]);
    session.set_bearer(Secret::new("t0ken", "bearer"));
    let mut headers = HeaderMap::new();
    for name in ["cookie", "referer", "origin", "x-xsrf-token", "authorization"] {
        headers.insert(name, HeaderValue::from_static("mine"));
    }
    let before = headers.clone();
    session.dress(&Method::POST, &url(PORTAL), Some(&url(PORTAL)), &mut headers);
    assert_eq!(headers, before);
}

#[test]
fn a_header_too_long_leaves_out_the_oldest_and_says_so() {
    let mut session = session(&["first=1; Path=/app"]);
    let half = "x".repeat(4000);
    for number in 0..4 {
        see(&mut session, PORTAL, &[&format!("c{number}={half}; Path=/")]);
    }
    let sent = send(&session, Method::GET, PORTAL, None, &[]);
    assert_eq!((sent.get(COOKIE).unwrap().matches('=').count(), sent.notes.len()), (4, 0));
    see(&mut session, PORTAL, &[&format!("c4={half}; Path=/")]);
    let sent = send(&session, Method::GET, "https://portal.acme.example/app", None, &[]);
    let header = sent.get(COOKIE).unwrap();
    assert!(header.len() <= LONGEST_COOKIE_HEADER && header.starts_with("c1=") && header.contains("; c4="));
    assert_eq!(sent.notes.len(), 2);
    assert!(sent.notes.iter().any(|note| note.contains("cookie first left out")));
    assert!(sent.notes.iter().all(|note| note.len() < 200));
}

#[test]
fn an_answer_with_countless_cookies_is_read_in_part() {
    let mut session = session(&[]);
    let lines: Vec<String> = (0..MOST_LINES + 50).map(|number| format!("c{number}=1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(see(&mut session, PORTAL, &lines[..MOST_LINES]).iter().all(|seen| seen.refused.is_none()));
    let seen = see(&mut session, PORTAL, &lines);
    assert_eq!((seen.len(), session.jar.count()), (MOST_LINES + 1, MOST_LINES));
    assert!(seen[MOST_LINES].refused.as_ref().unwrap().contains("100"));
}

#[test]
fn what_is_seen_tells_attributes_and_no_value() {
    let mut session = session(&[]);
    let seen = see(
        &mut session,
        "https://portal.acme.example/a/b",
        &[
            "sid=hunter2; Domain=acme.example; Secure; HttpOnly; SameSite=lax; Max-Age=60",
            "gone=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "bad=hunter2; Domain=example",
        ],
    );
    assert!(!serde_json::to_string(&seen).unwrap().contains("hunter2"));
    assert!(!format!("{session:?}").contains("hunter2"));
    let [sid, gone, bad] = seen.try_into().unwrap();
    assert_eq!(
        (sid.name.as_str(), sid.host.as_str(), sid.path.as_str()),
        ("sid", "portal.acme.example", "/a")
    );
    assert_eq!((sid.domain.as_deref(), sid.same_site.as_deref()), (Some("acme.example"), Some("Lax")));
    assert!(sid.secure && sid.http_only && sid.persistent && sid.https);
    assert!(!sid.deleted && !sid.signing_in && sid.refused.is_none());
    assert!(gone.deleted && !gone.secure && !gone.http_only);
    assert!(bad.refused.unwrap().contains("public suffix"));
}

#[test]
fn a_line_that_cannot_be_read_is_told() {
    let mut headers = HeaderMap::new();
    headers.append(SET_COOKIE, HeaderValue::from_bytes(b"a=\xff").unwrap());
    headers.append(SET_COOKIE, HeaderValue::from_static("=; Path=/"));
    let mut session = session(&[]);
    let seen = session.seen(&url(PORTAL), &headers, now());
    let why: Vec<_> = seen.into_iter().map(|seen| seen.refused.unwrap()).collect();
    assert!(why[0].contains("UTF-8") && why[1].contains("neither a name nor a value"), "{why:?}");
    assert_eq!(session.jar.count(), 0);
}

#[test]
fn no_value_of_the_run_escapes_the_masker() {
    let mut session =
        session(&["sid=old-value; Path=/", "q=\"quoted-value\"", "p=percent%3Dvalue", "t=true"]);
    see(&mut session, PORTAL, &["sid=new-value; Path=/", "x=refused-value; Domain=com"]);
    session.set_bearer(Secret::new("old-token", "bearer"));
    session.set_bearer(Secret::new("new-token", "bearer"));
    let masker = Masker::new(&session.secrets());
    for text in [
        "old-value",
        "new-value",
        "quoted-value",
        "percent%3Dvalue",
        "percent=value",
        "refused-value",
        "old-token",
        "new-token",
    ] {
        let masked = masker.mask(text);
        assert!(!masked.contains("value") && !masked.contains("token"), "{text}: {masked}");
    }
    assert_eq!(masker.mask("sid=new-value"), "sid=<cookie sid>");
    assert_eq!(masker.mask("true"), "true");
}

#[test]
fn what_cannot_be_remembered_for_masking_is_not_held() {
    let mut session = session(&["sid=abcdef; Path=/"]);
    session.known.bytes = MOST_VALUE_BYTES;
    let seen = see(&mut session, PORTAL, &["new=value1; Path=/", "again=abcdef; Path=/"]);
    assert!(seen[0].refused.as_ref().unwrap().contains("remember"));
    assert!(seen[1].refused.is_none());
    assert_eq!(session.cookie(&url(PORTAL), "new"), None);
}

#[test]
fn settings_of_the_double_submit_are_strict() {
    let read = |text: &str| serde_json::from_str::<Csrf>(text);
    assert_eq!(read(r#"{"cookie":"XSRF-TOKEN","header":"X-XSRF-TOKEN"}"#).unwrap(), csrf());
    let wrong = read(r#"{"cookie":"a","header":"a b"}"#).unwrap_err().to_string();
    assert!(wrong.contains("\"a b\" cannot be the name of a header"), "{wrong}");
    assert!(read(r#"{"cookie":"a"}"#).is_err());
    assert!(read(r#"{"cookie":"a","header":"b","c":1}"#).is_err());
}

proptest::proptest! {
    #[test]
    fn no_line_makes_the_session_panic(line in "\\PC{0,80}", path in "(/\\PC{0,10}){0,3}") {
        let mut session = session(&[]);
        let at = format!("{PORTAL}{path}");
        see(&mut session, &at, &[&line]);
        send(&session, Method::POST, &at, Some(PORTAL), &[]);
        session.secrets();
    }
}
