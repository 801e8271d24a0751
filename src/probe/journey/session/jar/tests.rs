use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn store(jar: &mut Jar, at: &str, line: &str) -> Result<(), Refused> {
    jar.store(&url(at), &SetCookie::parse(line).unwrap(), now())
}

fn sent(jar: &Jar, to: &str) -> Vec<String> {
    let cookies = jar.matching(&url(to));
    cookies.into_iter().map(|cookie| format!("{}={}", cookie.name, cookie.value.expose())).collect()
}

/// What one cookie does: refused, or whether it goes to the address.
fn goes(at: &str, line: &str, to: &str) -> bool {
    let mut jar = Jar::default();
    store(&mut jar, at, line).unwrap();
    !sent(&jar, to).is_empty()
}

#[test]
fn domains_match_as_rfc_6265_section_5_1_3_says() {
    for (at, domain, to, matches) in [
        ("www.acme.example", "acme.example", "acme.example", true),
        ("www.acme.example", "acme.example", "www.acme.example", true),
        ("www.acme.example", ".acme.example", "a.b.acme.example", true),
        ("www.acme.example", "ACME.Example", "WWW.acme.example", true),
        ("www.acme.example", "acme.example", "notacme.example", false),
        ("www.acme.example", "acme.example", "acme.example.evil.example", false),
        ("www.acme.example", "www.acme.example", "acme.example", false),
        ("www.acme.example", "www.acme.example", "a.www.acme.example", true),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", true),
        ("bücher.example.com", "bücher.example.com", "xn--bcher-kva.example.com", true),
    ] {
        let line = format!("a=1; Domain={domain}");
        let found = goes(&format!("https://{at}/"), &line, &format!("https://{to}/"));
        assert_eq!(found, matches, "{domain} set by {at}, sent to {to}");
    }
}

#[test]
fn a_cookie_without_domain_stays_with_its_host() {
    for line in ["a=1", "a=1; Domain="] {
        assert!(goes("https://acme.example/", line, "https://acme.example/"));
        assert!(goes("https://acme.example:8443/", line, "https://acme.example:8443/"));
        assert!(!goes("https://acme.example/", line, "https://acme.example:8443/"));
        assert!(goes("http://acme.example/", line, "https://acme.example/"), "the schemes' own ports");
        assert!(!goes("https://acme.example/", line, "https://www.acme.example/"));
    }
    assert!(goes("https://acme.example/", "a=1; Domain=acme.example", "https://acme.example:8443/"));
}

#[test]
fn a_host_sets_no_cookies_for_others() {
    for (at, domain) in [
        ("acme.example", "www.acme.example"),
        ("acme.example", "other.example"),
        ("acme.example", "cme.example"),
        ("127.0.0.1", "0.0.1"),
    ] {
        let refused = store(&mut Jar::default(), &format!("https://{at}/"), &format!("a=1; Domain={domain}"));
        let strange = matches!(refused, Err(Refused::OtherDomain(_) | Refused::NoDomain(_)));
        assert!(strange, "{at} {domain}: {refused:?}");
    }
    assert!(store(&mut Jar::default(), "https://[::1]/", "a=1; Domain=::1").is_err());
    assert!(goes("https://[::1]/", "a=1; Domain=[::1]", "https://[::1]/"));
}

#[test]
fn a_public_suffix_shares_nothing_among_strangers() {
    for (at, domain) in [
        ("acme.co.uk", "co.uk"),
        ("acme.com", ".com"),
        ("acme.com", "com."),
        ("acme.github.io", "github.io"),
        ("a.internal", "internal"),
    ] {
        let refused = store(&mut Jar::default(), &format!("https://{at}/"), &format!("a=1; Domain={domain}"));
        assert!(matches!(refused, Err(Refused::PublicSuffix(_))), "{at} {domain}: {refused:?}");
    }
    let own = "a=1; Domain=github.io";
    assert!(goes("https://github.io/", own, "https://github.io/"));
    assert!(!goes("https://github.io/", own, "https://acme.github.io/"));
    assert!(goes("http://localhost/", "a=1; Domain=localhost", "http://localhost/"));
}

#[test]
fn paths_match_as_rfc_6265_section_5_1_4_says() {
    for (at, path, to, matches) in [
        ("/", "/docs", "/docs", true),
        ("/", "/docs", "/docs/", true),
        ("/", "/docs", "/docs/web", true),
        ("/", "/docs/", "/docs/web", true),
        ("/", "/docs/", "/docs", false),
        ("/", "/docs", "/docsets", false),
        ("/", "/docs", "/", false),
        ("/", "/docs", "/fr/docs", false),
        ("/", "/Docs", "/docs", false),
        ("/a/b", "", "/a", true),
        ("/a/b", "", "/a/c/d", true),
        ("/a/b", "", "/ab", false),
        ("/a/b/", "", "/a/b", true),
        ("/a/b/", "", "/a", false),
        ("/a", "", "/anything", true),
        ("/a/b", "relative", "/a/c", true),
        ("/a/b", "relative", "/relative", false),
    ] {
        let base = "https://acme.example";
        let found = goes(&format!("{base}{at}"), &format!("a=1; Path={path}"), &format!("{base}{to}"));
        assert_eq!(found, matches, "{path:?} set by {at}, sent to {to}");
    }
}

#[test]
fn secure_cookies_stay_off_the_open_wire() {
    let line = "a=1; Secure";
    assert!(goes("https://acme.example/", line, "https://acme.example/"));
    assert!(!goes("https://acme.example/", line, "http://acme.example/"));
    assert!(goes("https://acme.example/", "a=1", "http://acme.example/"));
    assert_eq!(store(&mut Jar::default(), "http://acme.example/", line), Err(Refused::Insecure));
}

#[test]
fn the_own_machine_counts_as_secure() {
    for host in ["localhost", "a.localhost", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]"] {
        let at = format!("http://{host}:8080/");
        assert!(goes(&at, "a=1; Secure", &at), "{host}");
    }
    for host in ["localhost.acme.example", "notlocalhost", "128.0.0.1", "[::2]", "10.0.0.1"] {
        assert!(!trustworthy(&url(&format!("http://{host}/"))), "{host}");
    }
}

#[test]
fn a_prefix_keeps_its_promise() {
    let https = "https://acme.example/x";
    for (line, refused) in [
        ("__Secure-a=1; Secure", None),
        ("__Secure-a=1", Some(Refused::SecurePrefix)),
        ("__SECURE-a=1", Some(Refused::SecurePrefix)),
        ("__Host-a=1; Secure; Path=/", None),
        ("__Host-a=1; Path=/", Some(Refused::HostPrefix)),
        ("__Host-a=1; Secure", Some(Refused::HostPrefix)),
        ("__Host-a=1; Secure; Path=/x", Some(Refused::HostPrefix)),
        ("__host-a=1; Secure; Path=/; Domain=acme.example", Some(Refused::HostPrefix)),
        ("=__Host-a=1; Secure; Path=/", Some(Refused::DisguisedPrefix)),
        ("__secure-a", Some(Refused::DisguisedPrefix)),
        ("_Secure-a=1", None),
    ] {
        assert_eq!(store(&mut Jar::default(), https, line).err(), refused, "{line}");
    }
}

#[test]
fn same_site_none_asks_for_secure() {
    let mut jar = Jar::default();
    let at = "https://acme.example/";
    assert_eq!(store(&mut jar, at, "a=1; SameSite=None"), Err(Refused::NoneWithoutSecure));
    assert_eq!(store(&mut jar, at, "a=1; SameSite=None; Secure"), Ok(()));
}

#[test]
fn plain_http_cannot_hide_a_secure_cookie() {
    let mut jar = Jar::default();
    store(&mut jar, "https://www.acme.example/", "sid=good; Secure; Path=/app").unwrap();
    for line in ["sid=bad; Path=/app", "sid=bad; Path=/app/x", "sid=bad; Path=/app; Domain=acme.example"] {
        assert_eq!(store(&mut jar, "http://www.acme.example/", line), Err(Refused::HidesSecure), "{line}");
    }
    for line in ["sid=ok; Path=/", "sid=ok; Path=/application", "other=ok; Path=/app"] {
        assert_eq!(store(&mut jar, "http://www.acme.example/", line), Ok(()), "{line}");
    }
    assert_eq!(store(&mut jar, "https://www.acme.example/", "sid=new; Path=/app"), Ok(()));
}

#[test]
fn setting_again_replaces_and_keeps_the_place() {
    let mut jar = Jar::default();
    let at = "https://acme.example/";
    for line in ["a=1", "b=2", "a=3", "a=4; Path=/x", "a=5; Domain=acme.example"] {
        store(&mut jar, at, line).unwrap();
    }
    assert_eq!(sent(&jar, "https://acme.example/x"), ["a=4", "a=3", "b=2", "a=5"]);
}

#[test]
fn longer_paths_come_first_then_the_earlier_created() {
    let mut jar = Jar::default();
    for line in ["one=1; Path=/", "two=2; Path=/a/b", "three=3; Path=/a", "four=4; Path=/"] {
        store(&mut jar, "https://acme.example/", line).unwrap();
    }
    assert_eq!(sent(&jar, "https://acme.example/a/b"), ["two=2", "three=3", "one=1", "four=4"]);
}

#[test]
fn a_cookie_that_has_ended_deletes() {
    let at = "https://acme.example/";
    for end in ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
        let mut jar = Jar::default();
        store(&mut jar, at, "a=1").unwrap();
        store(&mut jar, at, &format!("a=; Path=/other; {end}")).unwrap();
        assert_eq!(jar.count(), 1, "another path is another cookie");
        store(&mut jar, at, &format!("a=; {end}")).unwrap();
        assert_eq!(jar.count(), 0, "{end}");
    }
}

#[test]
fn a_cookie_ends_by_the_clock_of_the_run() {
    let mut jar = Jar::default();
    let at = "https://acme.example/";
    for line in ["a=1; Max-Age=60", "b=2", "c=3; Expires=Thu, 01 Jan 2026 00:02:00 GMT"] {
        store(&mut jar, at, line).unwrap();
    }
    for (later, left) in [(59, vec!["a=1", "b=2", "c=3"]), (60, vec!["b=2", "c=3"]), (120, vec!["b=2"])] {
        jar.forget(now() + jiff::SignedDuration::from_secs(later));
        assert_eq!(sent(&jar, at), left, "after {later} s");
    }
}

#[test]
fn a_cookie_too_long_is_refused() {
    let at = "https://acme.example/";
    let mut jar = Jar::default();
    assert_eq!(store(&mut jar, at, &format!("ab={}", "x".repeat(LONGEST - 2))), Ok(()));
    let long = format!("ab={}", "x".repeat(LONGEST - 1));
    assert_eq!(store(&mut jar, at, &long), Err(Refused::Long(LONGEST + 1)));
}

#[test]
fn a_cookie_bomb_pushes_out_its_own_oldest() {
    let mut jar = Jar::default();
    store(&mut jar, "https://other.example/", "sid=1").unwrap();
    let at = "https://acme.example/";
    for number in 0..MOST_OF_A_DOMAIN {
        store(&mut jar, at, &format!("c{number}=1")).unwrap();
    }
    store(&mut jar, at, "c0=again").unwrap();
    assert_eq!(jar.count(), MOST_OF_A_DOMAIN + 1);
    store(&mut jar, at, "last=1").unwrap();
    assert_eq!(jar.count(), MOST_OF_A_DOMAIN + 1);
    let kept = sent(&jar, at);
    assert!(kept.contains(&"c0=again".to_owned()) && kept.contains(&"last=1".to_owned()));
    assert!(!kept.contains(&"c1=1".to_owned()));
    assert_eq!(sent(&jar, "https://other.example/"), ["sid=1"]);
}

#[test]
fn cookies_of_countless_hosts_are_bounded() {
    let mut jar = Jar::default();
    for number in 0..=MOST {
        store(&mut jar, &format!("https://h{number}.example/"), "a=1").unwrap();
    }
    assert_eq!(jar.count(), MOST);
    assert!(sent(&jar, "https://h0.example/").is_empty());
    assert_eq!(sent(&jar, &format!("https://h{MOST}.example/")).len(), 1);
}

proptest::proptest! {
    #[test]
    fn no_cookie_goes_to_a_host_that_its_domain_does_not_cover(
        at in "([a-c]{1,2}\\.){0,3}(com|co\\.uk|example|localhost)|127\\.0\\.0\\.[12]",
        to in "([a-c]{1,2}\\.){0,3}(com|co\\.uk|example|localhost)|127\\.0\\.0\\.[12]",
        domain in proptest::option::of("\\.?([a-c]{1,2}\\.){0,3}(com|co\\.uk|example|localhost)|127\\.0\\.0\\.[12]|0\\.0\\.1"),
    ) {
        let line = domain.as_ref().map_or("a=1".to_owned(), |domain| format!("a=1; Domain={domain}"));
        let mut jar = Jar::default();
        let _ = store(&mut jar, &format!("https://{at}/"), &line);
        if !sent(&jar, &format!("https://{to}/")).is_empty() {
            let covers = |domain: &str| {
                let is_address = to.starts_with("127");
                let below = format!(".{domain}");
                let listed = ["com", "co.uk", "example", "localhost"].contains(&domain);
                !listed && !is_address && to.ends_with(&below) && at.ends_with(&below[1..])
            };
            let covered = domain.as_deref().is_some_and(|domain| covers(domain.trim_start_matches('.')));
            proptest::prop_assert!(to == at || covered, "{} of {} went to {}", line, at, to);
        }
    }
}
