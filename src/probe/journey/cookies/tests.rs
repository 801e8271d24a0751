use http::{HeaderMap, HeaderValue, header};

use super::super::session::Session;
use super::*;

/// What a sign-in at `at` that sets these cookies is judged to be: (id, subject, severity).
fn judged(at: &str, lines: &[&str], rules: &SessionCookies) -> Vec<(String, String, Severity)> {
    let findings = judge(&signing_in(at, lines), rules);
    findings.into_iter().map(|found| (found.id.to_string(), found.subject, found.severity)).collect()
}

fn signing_in(at: &str, lines: &[&str]) -> Vec<CookieSeen> {
    let url = Url::parse(at).unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header::SET_COOKIE, HeaderValue::from_str(line).unwrap());
    }
    let mut seen = Session::new(&url, None).seen(&url, &headers, Timestamp::UNIX_EPOCH);
    seen.iter_mut().for_each(|cookie| cookie.signing_in = true);
    seen
}

fn named(names: &[&str]) -> SessionCookies {
    SessionCookies { names: names.iter().map(|name| (*name).to_owned()).collect(), ..Default::default() }
}

const HTTPS: &str = "https://acme.example/";
const GOOD: &str = "sid=1; Secure; HttpOnly; SameSite=Lax";

#[test]
fn a_session_cookie_as_it_should_be_is_no_finding() {
    assert_eq!(judged(HTTPS, &[GOOD, "id=1; Secure; HttpOnly; SameSite=None"], &named(&[])), []);
}

#[test]
fn each_missing_attribute_is_found() {
    let subject = "sid @ acme.example";
    for (line, id, severity) in [
        ("sid=1; HttpOnly; SameSite=Lax", "journey.cookie_secure", Severity::Warning),
        ("sid=1; Secure; SameSite=Lax", "journey.cookie_http_only", Severity::Warning),
        ("sid=1; Secure; HttpOnly", "journey.cookie_same_site", Severity::Notice),
        ("sid=1; Secure; HttpOnly; SameSite=odd", "journey.cookie_same_site", Severity::Notice),
    ] {
        let expected = [(id.to_owned(), subject.to_owned(), severity)];
        assert_eq!(judged(HTTPS, &[line], &named(&[])), expected, "{line}");
    }
}

#[test]
fn over_plain_http_secure_could_not_be_set() {
    let found = judged("http://acme.example/", &["sid=1; HttpOnly; SameSite=Lax"], &named(&[]));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0.as_str(), found[0].2), ("journey.cookie_secure", Severity::Notice));
}

#[test]
fn same_site_none_without_secure_locks_users_out() {
    let line = "sid=1; HttpOnly; SameSite=None";
    assert!(signing_in(HTTPS, &[line])[0].refused.is_some());
    let found = judged(HTTPS, &[line], &named(&[]));
    let found: Vec<_> = found.iter().map(|(id, _, severity)| (id.as_str(), *severity)).collect();
    let expected =
        [("journey.cookie_secure", Severity::Warning), ("journey.cookie_same_site", Severity::Warning)];
    assert_eq!(found, expected);
}

#[test]
fn what_is_allowed_is_no_finding() {
    let bare = "sid=1";
    let all = [Attribute::Secure, Attribute::HttpOnly, Attribute::SameSite];
    for allowed in all {
        let rules = SessionCookies { allow: vec![allowed], ..Default::default() };
        assert_eq!(judged(HTTPS, &[bare], &rules).len(), 2, "{allowed:?}");
    }
    assert_eq!(judged(HTTPS, &[bare], &SessionCookies { allow: all.to_vec(), ..Default::default() }), []);
    assert_eq!(judged(HTTPS, &[bare], &named(&[])).len(), 3);
}

#[test]
fn csrf_tokens_are_for_scripts_unless_named() {
    for name in ["csrftoken", "XSRF-TOKEN", "_CSRF"] {
        let line = format!("{name}=1; Secure; SameSite=Lax");
        assert_eq!(judged(HTTPS, &[&line], &named(&[])), [], "{name}");
        assert_eq!(judged(HTTPS, &[&line], &named(&[name])).len(), 1, "{name}");
    }
}

#[test]
fn only_cookies_of_the_sign_in_count_unless_named() {
    let mut seen = signing_in(HTTPS, &["theme=dark"]);
    seen[0].signing_in = false;
    assert_eq!(judge(&seen, &named(&[])), []);
    assert_eq!(judge(&seen, &named(&["theme"])).len(), 3);
    assert_eq!(judged(HTTPS, &["sid=1"], &named(&["theme"])), []);
}

#[test]
fn a_cookie_that_no_browser_holds_is_not_judged() {
    for line in ["sid=; Path=/", "sid=1; Max-Age=0", "sid=1; Domain=other.example"] {
        assert_eq!(judged(HTTPS, &[line], &named(&[])), [], "{line}");
    }
}

#[test]
fn the_worst_of_several_settings_is_named_once() {
    let mut seen = signing_in("http://acme.example/", &["sid=1; HttpOnly"]);
    seen.extend(signing_in(HTTPS, &["sid=1; HttpOnly; SameSite=Lax", GOOD]));
    let found = judge(&seen, &named(&[]));
    let found: Vec<_> = found.iter().map(|found| (found.id.as_str(), found.severity)).collect();
    let expected =
        [("journey.cookie_secure", Severity::Warning), ("journey.cookie_same_site", Severity::Notice)];
    assert_eq!(found, expected);
}

#[test]
fn a_finding_tells_the_attributes_and_no_value() {
    let found = judge(&signing_in(HTTPS, &["sid=hunter2; Secure; SameSite=Lax"]), &named(&[]));
    assert_eq!(found[0].summary, "session cookie sid of acme.example is set without HttpOnly");
    let text = serde_json::to_string(&found).unwrap();
    assert!(text.contains("\"http_only\":false") && !text.contains("hunter2"), "{text}");
}

#[test]
fn settings_are_strict() {
    let read = |text: &str| serde_json::from_str::<SessionCookies>(text);
    let rules = read(r#"{"names":["sid"],"allow":["secure","http_only","same_site"]}"#).unwrap();
    assert_eq!((rules.names.len(), rules.allow.len()), (1, 3));
    assert_eq!(read("{}").unwrap(), SessionCookies::default());
    assert!(read(r#"{"allow":["path"]}"#).is_err());
    assert!(read(r#"{"name":"sid"}"#).is_err());
}
