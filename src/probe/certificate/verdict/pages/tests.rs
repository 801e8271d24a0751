use std::path::PathBuf;

use serde_json::Value;
use url::Url;

use super::*;
use crate::model::{Cause, Phase};
use crate::probe::certificate::pages::PlainHop;
use crate::probe::web::facts::{Failure, RedirectProblem, Skipped};

type Edit = fn(&mut Page);

const GOOD: &str = "max-age=31536000; includeSubDomains";

fn page(edit: impl FnOnce(&mut Page)) -> Came {
    let mut page = Page {
        status: 200,
        hsts: Some(GOOD.into()),
        content_type: Some("text/html".into()),
        title: Some("Sign in".into()),
        size: 1000,
        sha256: "aa".into(),
        ..Page::default()
    };
    edit(&mut page);
    Came::Page(page)
}

fn failed(kind: FailureKind) -> Failure {
    Failure { phase: Phase::Connect, kind, detail: String::new(), address: None }
}

fn skipped() -> Skipped {
    Skipped { cause: Cause::LocalNetwork, why: "no route".into(), no_route: true }
}

/// IPv4 first, IPv6 second.
fn pages(came: impl IntoIterator<Item = Came>) -> Pages {
    let addresses = ["192.0.2.1:443", "[2001:db8::1]:443"];
    let secure = addresses.iter().zip(came);
    let secure = secure.map(|(address, came)| Secure { address: address.parse().unwrap(), came });
    Pages { name: "portal.example".into(), secure: secure.collect(), ..Pages::default() }
}

fn plain(tos: &[&str], end: PlainEnd) -> Pages {
    let hop = |to: &&str| {
        let url = Url::parse(to).unwrap();
        PlainHop {
            status: 301,
            to: (*to).to_owned(),
            secure: url.scheme() == "https",
            same_host: url.host_str() == Some("portal.example"),
        }
    };
    let hops = tos.iter().map(hop).collect();
    let plain = Plain { address: "192.0.2.1:80".parse().unwrap(), hops, hsts: None, end };
    Pages { plain: Some(plain), ..pages([]) }
}

fn findings(pages: Pages) -> Vec<Finding> {
    let web: Pages = serde_json::from_str(&serde_json::to_string(&pages).unwrap()).unwrap();
    assert_eq!(web, pages, "facts are judged again from what was kept");
    let host = HostFacts { host: "portal.example".into(), port: 443, web: Some(web), ..HostFacts::default() };
    super::super::merge::merge(of_host(&host))
}

/// What was measured, with its severity.
fn told(pages: Pages) -> Vec<(String, Severity)> {
    let measured = findings(pages).into_iter().filter(|finding| finding.measured);
    measured.map(|finding| (finding.id.as_str().to_owned(), finding.severity)).collect()
}

fn only(pages: Pages) -> Finding {
    let mut found = findings(pages);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn nothing(pages: Pages) {
    assert_eq!(findings(pages), []);
}

#[test]
fn a_password_typed_into_plain_http_is_warned_of() {
    let itself = only(plain(&[], PlainEnd::Answered(200)));
    assert_eq!((itself.id.as_str(), itself.severity), ("tls.no_https_redirect", Severity::Warning));
    assert_eq!(itself.subject, "portal.example plain HTTP");
    assert_eq!(itself.summary, "answers 200 itself and does not lead to https");
    let elsewhere = only(plain(&["http://www.portal.example/"], PlainEnd::Answered(200)));
    assert_eq!((elsewhere.id.as_str(), elsewhere.severity), ("tls.no_https_redirect", Severity::Warning));
    assert!(elsewhere.summary.starts_with("redirects to http://www.portal.example/ and there answers 200"));
    let astray = only(plain(&[], PlainEnd::Astray(RedirectProblem::NoLocation)));
    assert_eq!(
        (astray.id.as_str(), astray.severity, astray.summary.as_str()),
        ("tls.no_https_redirect", Severity::Warning, "does not lead to https: its redirect has no Location")
    );
    nothing(plain(&["https://portal.example/"], PlainEnd::Secure));
}

#[test]
fn an_error_or_a_detour_in_the_clear_is_worth_a_notice() {
    for pages in [
        plain(&[], PlainEnd::Answered(403)),
        plain(&["http://portal.example/en", "https://portal.example/en"], PlainEnd::Secure),
        plain(&["http://portal.example/a", "http://portal.example/b"], PlainEnd::Unfinished),
    ] {
        assert_eq!(told(pages), [("tls.no_https_redirect".to_owned(), Severity::Notice)]);
    }
}

#[test]
fn a_host_that_hands_on_in_the_clear_is_warned_of() {
    for tos in [
        &["https://www.portal.example/"][..],
        &["http://www.portal.example/", "https://www.portal.example/"],
        &["http://www.portal.example/", "https://portal.example/"],
    ] {
        let found = only(plain(tos, PlainEnd::Secure));
        assert_eq!((found.id.as_str(), found.severity), ("tls.redirect_other_host_first", Severity::Warning));
        assert!(found.summary.contains(tos[0]), "{}", found.summary);
    }
    nothing(plain(&["https://portal.example:8443/"], PlainEnd::Secure));
}

#[test]
fn a_closed_port_is_fine_and_a_silent_one_is_not_measured() {
    let closed = only(plain(&[], PlainEnd::Failed(failed(FailureKind::Refused))));
    assert_eq!((closed.id.as_str(), closed.severity), ("tls.plain_http_closed", Severity::Info));
    for end in [PlainEnd::Failed(failed(FailureKind::Timeout)), PlainEnd::Skipped(skipped())] {
        let found = findings(plain(&[], end));
        assert_eq!(found.len(), 2, "neither of what pages may close: {found:?}");
        assert!(found.iter().all(|finding| !finding.measured && finding.severity == Severity::Info));
    }
}

#[test]
fn hsts_is_missed_where_it_is_missing() {
    let missing = only(pages([page(|page| page.hsts = None)]));
    assert_eq!((missing.id.as_str(), missing.severity), ("tls.hsts_missing", Severity::Warning));
    assert_eq!(missing.summary, "is missing: the answer with status 200 has no such header (at 192.0.2.1)");
    nothing(pages([page(|_| ())]));
    let away = |page: &mut Page| {
        (page.status, page.hsts) = (301, None);
        page.redirect = Some("https://www.portal.example/".into());
    };
    assert_eq!(only(pages([page(away)])).id.as_str(), "tls.hsts_missing");
    let by_address = Pages { name: "192.0.2.1".into(), ..pages([page(|page| page.hsts = None)]) };
    nothing(by_address);
}

#[test]
fn one_family_without_hsts_is_named() {
    let found = only(pages([page(|_| ()), page(|page| page.hsts = None)]));
    assert_eq!(found.id.as_str(), "tls.hsts_missing");
    assert!(found.summary.ends_with("(at 2001:db8::1)"), "{}", found.summary);
}

#[test]
fn a_short_a_broken_and_a_boastful_header_are_told_apart() {
    for (header, wanted) in [
        ("max-age=31535999", &[("tls.hsts_short", Severity::Warning)][..]),
        ("max-age=0", &[("tls.hsts_short", Severity::Warning)]),
        ("includeSubDomains", &[("tls.hsts_invalid", Severity::Warning)]),
        ("max-age=31536000; preload", &[("tls.hsts_preload", Severity::Notice)]),
        ("max-age=63072000; includeSubDomains; preload", &[]),
        ("max-age=63072000", &[]),
    ] {
        let wanted: Vec<_> = wanted.iter().map(|(id, severity)| ((*id).to_owned(), *severity)).collect();
        assert_eq!(told(pages([page(|page| page.hsts = Some(header.into()))])), wanted, "{header}");
    }
}

fn behind(landing: Option<Came>) -> Pages {
    let to_login = |page: &mut Page| {
        (page.status, page.hsts, page.same_host) = (302, None, true);
        page.redirect = Some("https://portal.example/login".into());
    };
    let address = "192.0.2.1:443".parse().unwrap();
    Pages { landing: landing.map(|came| Secure { address, came }), ..pages([page(to_login)]) }
}

#[test]
fn a_redirect_without_hsts_is_judged_with_the_page_behind_it() {
    let on_redirect = || ("tls.hsts_on_redirect".to_owned(), Severity::Notice);
    assert_eq!(told(behind(Some(page(|_| ())))), [on_redirect()]);
    let short = page(|page| page.hsts = Some("max-age=1".into()));
    assert_eq!(told(behind(Some(short))), [("tls.hsts_short".to_owned(), Severity::Warning), on_redirect()]);
    let without = page(|page| page.hsts = None);
    assert_eq!(told(behind(Some(without))), [("tls.hsts_missing".to_owned(), Severity::Warning)]);
    let unseen = findings(behind(None));
    assert!(unseen.iter().any(|finding| finding.id.as_str() == "tls.hsts_missing" && !finding.measured));
}

#[test]
fn what_was_not_seen_is_neither_missing_nor_well() {
    for came in [
        Came::Failed(failed(FailureKind::Timeout)),
        Came::Skipped(skipped()),
        page(|page| (page.status, page.hsts) = (503, None)),
    ] {
        let found = findings(pages([came]));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|finding| !finding.measured), "{found:?}");
    }
    let refused = || Came::Failed(failed(FailureKind::Certificate));
    nothing(pages([refused()]));
    nothing(pages([page(|_| ()), refused()]));
}

#[test]
fn a_monitor_without_ipv6_does_not_hold_open_what_was_put_right() {
    let half = only(pages([page(|_| ()), Came::Skipped(skipped())]));
    assert_eq!((half.id.as_str(), half.measured), ("tls.families_differ", false));
    let dead = findings(pages([page(|_| ()), Came::Failed(failed(FailureKind::Timeout))]));
    assert_eq!(dead.len(), 4, "an address that should answer is not passed over: {dead:?}");
}

#[test]
fn hsts_in_the_clear_is_noticed() {
    let mut pages = plain(&["https://portal.example/"], PlainEnd::Secure);
    pages.plain.as_mut().unwrap().hsts = Some(GOOD.into());
    assert_eq!(told(pages), [("tls.hsts_over_http".to_owned(), Severity::Notice)]);
}

#[test]
fn inside_a_private_network_hsts_pages_nobody() {
    let private = Pages { private: true, ..pages([page(|page| page.hsts = None)]) };
    assert_eq!(told(private), [("tls.hsts_missing".to_owned(), Severity::Notice)]);
}

#[test]
fn users_of_ipv6_who_get_another_page_are_heard_of() {
    let edits: [(Edit, &str); 5] = [
        (|page| page.status = 404, "status 200 against 404"),
        (
            |page| page.redirect = Some("https://old.example/".into()),
            "a redirect to none against https://old.example/",
        ),
        (|page| page.content_type = Some("text/plain".into()), "content type text/html against text/plain"),
        (
            |page| (page.title, page.sha256) = (Some("Welcome to nginx!".into()), "bb".into()),
            "the title \"Sign in\" against \"Welcome to nginx!\"",
        ),
        (|page| (page.size, page.sha256) = (799, "bb".into()), "a page of 1000 bytes against one of 799"),
    ];
    for (edit, what) in edits {
        let found = only(pages([page(|_| ()), page(edit)]));
        assert_eq!((found.id.as_str(), found.severity), ("tls.families_differ", Severity::Warning));
        assert_eq!(
            found.summary,
            format!("answer differently: {what} (IPv4 at 192.0.2.1, IPv6 at 2001:db8::1)")
        );
    }
}

#[test]
fn pages_that_differ_as_pages_do_are_the_same() {
    for edit in [
        (|page| (page.size, page.sha256) = (800, "bb".into())) as Edit,
        |page| page.title = Some("Sign in (3)".into()),
        |_| (),
    ] {
        nothing(pages([page(|_| ()), page(edit)]));
    }
    let broken_off = only(pages([page(|_| ()), page(|page| page.cut = true)]));
    assert_eq!((broken_off.id.as_str(), broken_off.measured), ("tls.families_differ", false));
}

/// The MDN HTTP Observatory's cases, where they are there.
#[expect(clippy::disallowed_methods, reason = "tests find their vectors by the environment")]
fn cases(test: &str) -> Vec<Value> {
    let named = std::env::var_os("PORTALWATCH_VECTORS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    let file = folder.join("http-observatory/cases.json");
    if !file.is_file() {
        println!("skipped: {test}: no file {}", file.display());
        return Vec::new();
    }
    let all: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let cases: Vec<Value> =
        all["cases"].as_array().unwrap().iter().filter(|case| case["test"] == test).cloned().collect();
    assert!(!cases.is_empty(), "no case of {test}");
    cases
}

#[test]
fn hsts_is_judged_as_the_observatory_does_but_for_its_shorter_year() {
    for case in cases("strict-transport-security") {
        let wanted: &[&str] = match case["expect"]["outcome"].as_str().unwrap_or_default() {
            "hsts-not-implemented" => &["tls.hsts_missing"],
            "hsts-header-invalid" => &["tls.hsts_invalid"],
            "hsts-implemented-max-age-less-than-six-months" => &["tls.hsts_short"],
            // Six months do for it; half a year is no year, and the built-in list does not take it.
            "hsts-implemented-max-age-at-least-six-months" => &["tls.hsts_short", "tls.hsts_preload"],
            "hsts-invalid-cert" => &[],
            other => {
                println!("skipped: {}: {other} is not looked at", case["id"]);
                continue;
            }
        };
        let header = case["https_headers"]["Strict-Transport-Security"].as_str().map(str::to_owned);
        let came = if case["certificate_valid"] == false {
            Came::Failed(failed(FailureKind::Certificate))
        } else {
            page(|page| page.hsts = header)
        };
        let ids: Vec<String> = told(pages([came])).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, wanted, "{}", case["id"]);
    }
}

#[test]
fn redirects_are_judged_as_the_observatory_does() {
    for case in cases("redirection") {
        let outcome = case["expect"]["outcome"].as_str().unwrap_or_default();
        let wanted: &[&str] = match outcome {
            "redirection-not-needed-no-http" => &["tls.plain_http_closed"],
            "redirection-missing" | "redirection-not-to-https" => &["tls.no_https_redirect"],
            "redirection-not-to-https-on-initial-redirection" => {
                &["tls.no_https_redirect", "tls.redirect_other_host_first"]
            }
            "redirection-off-host-from-http" => &["tls.redirect_other_host_first"],
            "redirection-to-https" => &[],
            other => {
                println!("skipped: {}: {other} is not looked at", case["id"]);
                continue;
            }
        };
        let ids: Vec<String> = told(chain(&case)).into_iter().map(|(id, _)| id).collect();
        if wanted.is_empty() {
            assert_eq!(ids, wanted, "{}", case["id"]);
        } else {
            assert!(ids.len() == 1 && wanted.contains(&ids[0].as_str()), "{}: {ids:?}", case["id"]);
        }
    }
}

/// The facts of a chain of redirects.
fn chain(case: &Value) -> Pages {
    let urls: Vec<String> = case["http_chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hop| hop["url"].as_str().unwrap().replace("mozilla.org", "portal.example"))
        .collect();
    let Some((_, tos)) = urls.split_first() else {
        return plain(&[], PlainEnd::Failed(failed(FailureKind::Refused)));
    };
    let end = tos.iter().position(|to| to.starts_with("https"));
    let tos: Vec<&str> = tos.iter().take(end.map_or(usize::MAX, |at| at + 1)).map(String::as_str).collect();
    plain(&tos, if end.is_some() { PlainEnd::Secure } else { PlainEnd::Answered(200) })
}
