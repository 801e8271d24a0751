use serde_json::{Value, json};

use super::*;
use crate::model::Secret;
use crate::probe::journey::fields::{Fields, Words};
use crate::probe::journey::template::IdentityVars;

const PORTAL: &str = "https://portal.example/app/";

fn step(value: Value) -> Step {
    serde_json::from_value(value).unwrap()
}

fn vars(captures: &[(&str, Value)]) -> Vars {
    let password = Secret::new("p&ss wörd", "env:P");
    let identity =
        IdentityVars { username: Some("probe"), password: Some(&password), ..IdentityVars::default() };
    let mut vars = Vars::new("pw-1", jiff::Timestamp::UNIX_EPOCH, identity);
    captures.iter().for_each(|(name, value)| vars.set(name, value));
    vars
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn made_with(
    step: &Step,
    captures: &[(&str, Value)],
    form: Option<Form>,
    link: Option<&str>,
) -> Result<Rendered, String> {
    let found = Found {
        vars: &vars(captures),
        form: &|_| form.clone(),
        link: &|_| link.map(url),
        portal: &url(PORTAL),
    };
    render(step, &found)
}

fn made(value: Value, captures: &[(&str, Value)]) -> Result<Rendered, String> {
    made_with(&step(value), captures, None, None)
}

fn text(body: &Bytes) -> &str {
    std::str::from_utf8(body).unwrap()
}

fn kind(rendered: &Rendered) -> &str {
    rendered.headers.get(CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap())
}

#[test]
fn a_step_becomes_the_request_that_it_says() {
    let captures = [("id", json!(7)), ("name", json!("a/b c"))];
    for (written, method, address, body, content_type) in [
        (json!({ "get": "/x" }), "GET", "/x", "", ""),
        (json!({ "head": "/x?a=1" }), "HEAD", "/x?a=1", "", ""),
        (json!({ "options": "/" }), "OPTIONS", "/", "", ""),
        (json!({ "delete": "/t/{{ id }}" }), "DELETE", "/t/7", "", ""),
        (json!({ "get": "/t/{{ name }}?q={{ name }}#top" }), "GET", "/t/a%2Fb%20c?q=a%2Fb%20c", "", ""),
        (
            json!({ "get": "/t?a=1", "query": { "b": "{{ name }}", "c": 2 } }),
            "GET",
            "/t?a=1&b=a%2Fb+c&c=2",
            "",
            "",
        ),
        (
            json!({ "post": "/t", "json": { "id": "{{ id }}", "title": "run {{ run.id }}" } }),
            "POST",
            "/t",
            r#"{"id":7,"title":"run pw-1"}"#,
            "application/json",
        ),
        (
            json!({ "put": "/t", "form": { "p": "{{ identity.password }}" } }),
            "PUT",
            "/t",
            "p=p%26ss+w%C3%B6rd",
            URLENCODED,
        ),
        (json!({ "patch": "/t", "body": "<{{ id }}>" }), "PATCH", "/t", "<7>", ""),
    ] {
        let rendered = made(written.clone(), &captures).unwrap();
        assert_eq!(rendered.method, method, "{written}");
        assert_eq!(rendered.url.as_str(), format!("https://portal.example{address}"), "{written}");
        assert_eq!((text(&rendered.body), kind(&rendered)), (body, content_type), "{written}");
    }
    let elsewhere = made(json!({ "get": "https://id.example:8443/{{ id }}" }), &captures).unwrap();
    assert_eq!(elsewhere.url.as_str(), "https://id.example:8443/7");
}

#[test]
fn headers_of_the_step_win_and_what_may_be_secret_stays_with_its_origin() {
    let written = json!({
        "post": "/", "json": {},
        "headers": {
            "content-type": "application/vnd.api+json", "accept": "text/csv", "x-plain": "1",
            "x-csrf": "{{ id }}", "cookie": "a=b", "authorization": "Basic abc"
        },
    });
    let rendered = made(written, &[("id", json!(7))]).unwrap();
    assert_eq!(kind(&rendered), "application/vnd.api+json");
    assert_eq!(rendered.headers[ACCEPT], "text/csv");
    let mut private: Vec<&str> = rendered.private_headers.iter().map(HeaderName::as_str).collect();
    private.sort_unstable();
    assert_eq!(private, ["authorization", "cookie", "x-csrf"]);
    assert!(rendered.headers["x-csrf"].is_sensitive() && !rendered.headers["x-plain"].is_sensitive());
    let mut secret = step(json!({ "get": "/" }));
    let words = Words::Secret(Secret::new("k3y", "env:K"));
    secret.headers = Some(Box::new(Fields([(Name(HeaderName::from_static("x-plain")), words)].into())));
    let rendered = made_with(&secret, &[], None, None).unwrap();
    assert_eq!((rendered.headers["x-plain"].to_str().unwrap(), rendered.private_headers.len()), ("k3y", 1));
}

#[test]
fn a_value_that_would_change_the_request_never_leaves() {
    for value in ["", ".", "..", "a\r\nb", "a\0"] {
        for target in ["/t/{{ x }}", "/t/{{ x }}/edit", "https://id.example/{{ x }}"] {
            let refused = made(json!({ "get": target }), &[("x", json!(value))]);
            assert!(refused.is_err(), "{target} {value:?}: {refused:?}");
        }
    }
    assert!(made(json!({ "get": "/t/{{ x }}" }), &[("x", Value::Null)]).is_err());
    assert!(made(json!({ "get": "/t/.{{ x }}" }), &[("x", json!("."))]).is_err());
    for value in ["a\r\nx-evil: 1", "a\nb", "a\u{7f}"] {
        let written = json!({ "get": "/", "headers": { "x-id": "{{ x }}" } });
        assert!(made(written, &[("x", json!(value))]).is_err(), "{value:?}");
    }
    let missing = made(json!({ "get": "/{{ y }}" }), &[]).unwrap_err();
    assert!(missing.contains('y'), "{missing}");
}

#[test]
fn a_value_stays_within_its_segment_or_parameter() {
    for (value, segment) in [
        ("1?all=true", "1%3Fall%3Dtrue"),
        ("1/../..", "1%2F..%2F.."),
        ("a#b", "a%23b"),
        ("a\\..\\b", "a%5C..%5Cb"),
        ("%2e%2e", "%252e%252e"),
        ("@evil.example", "%40evil.example"),
    ] {
        let rendered = made(json!({ "delete": "/t/{{ x }}" }), &[("x", json!(value))]).unwrap();
        let decoded = rendered.url.path().to_owned();
        assert!(decoded.eq_ignore_ascii_case(&format!("/t/{segment}")), "{value}: {decoded}");
        assert_eq!(
            (rendered.url.query(), rendered.url.host_str()),
            (None, Some("portal.example")),
            "{value}"
        );
    }
    let rendered = made(json!({ "get": "/t?q={{ x }}" }), &[("x", json!("1&all=true#x"))]).unwrap();
    assert_eq!(rendered.url.query(), Some("q=1%26all%3Dtrue%23x"));
}

#[test]
fn no_value_chooses_the_host() {
    for (target, value) in [
        ("{{ x }}", "https://evil.example/"),
        ("https://{{ x }}/login", "evil.example"),
        ("https://portal.example{{ x }}", ".evil.example/"),
        ("https://portal.example:{{ x }}/", "1"),
        ("https://user{{ x }}@portal.example/", "a"),
        ("{{ x }}/login", "//evil.example"),
    ] {
        let refused = made(json!({ "get": target }), &[("x", json!(value))]);
        assert!(refused.is_err(), "{target}: {refused:?}");
    }
    let path = made(json!({ "get": "//evil.example/x" }), &[]).unwrap();
    assert_eq!(path.url.host_str(), Some("portal.example"));
}

fn form(method: Method, action: &str, multipart: bool) -> Form {
    let fields = [("csrf", "t0k"), ("remember", "0"), ("user", ""), ("remember", "1")];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Form { method, action: url(action), fields, multipart }
}

fn submitted(written: Value, form: Form) -> Result<Rendered, String> {
    made_with(&step(written), &[], Some(form), None)
}

#[test]
fn a_form_is_sent_as_the_page_has_it_with_the_fields_of_the_step_in_their_places() {
    let written = json!({ "submit": "login", "form": { "user": "{{ identity.username }}", "remember": "yes", "more": "1" } });
    let action = "https://portal.example/login?next=%2F";
    let rendered = submitted(written.clone(), form(Method::POST, action, false)).unwrap();
    assert_eq!((rendered.method.as_str(), rendered.url.as_str()), ("POST", action));
    assert_eq!(text(&rendered.body), "csrf=t0k&remember=yes&user=probe&more=1");
    assert_eq!(kind(&rendered), URLENCODED);
    let rendered = submitted(written.clone(), form(Method::GET, action, false)).unwrap();
    assert_eq!(
        rendered.url.as_str(),
        "https://portal.example/login?csrf=t0k&remember=yes&user=probe&more=1",
        "a GET replaces the query"
    );
    assert!(rendered.body.is_empty() && kind(&rendered).is_empty());
    let rendered = submitted(written, form(Method::POST, action, true)).unwrap();
    assert!(kind(&rendered).starts_with("multipart/form-data; boundary="));
    assert!(text(&rendered.body).contains("name=\"user\"\r\n\r\nprobe\r\n"));
}

#[test]
fn what_is_typed_into_a_form_stays_with_the_origins_the_config_names() {
    for action in ["https://evil.example/", "http://portal.example/", "https://portal.example:8443/"] {
        let refused = submitted(json!({ "submit": "login" }), form(Method::POST, action, false)).unwrap_err();
        assert!(refused.contains("leads to") && refused.contains("origin:"), "{refused}");
        let followed = made_with(&step(json!({ "follow": "more" })), &[], None, Some(action));
        assert!(followed.is_err());
    }
    let named = json!({ "submit": "login", "origin": "https://id.example/any" });
    assert!(submitted(named, form(Method::POST, "https://id.example/login", false)).is_ok());
    let followed =
        made_with(&step(json!({ "follow": "more" })), &[], None, Some("https://portal.example/p?x=1"));
    assert_eq!(followed.unwrap().url.as_str(), "https://portal.example/p?x=1");
    let absent = made(json!({ "submit": "login" }), &[]).unwrap_err();
    assert!(absent.contains("no step has captured the form \"login\""), "{absent}");
}

#[test]
fn a_multipart_body_is_bytes_that_servers_take_apart_again() {
    let written = json!({
        "post": "/up",
        "multipart": {
            "ti\"tle": "run {{ run.id }}", "count": 3,
            "file": { "file_name": "a\"b{{ id }}.txt", "content_type": "text/plain", "content": "--x\r\n" },
        },
    });
    let rendered = made(written, &[("id", json!(7))]).unwrap();
    let boundary = kind(&rendered).strip_prefix("multipart/form-data; boundary=").unwrap();
    let mut parts: Vec<&str> = text(&rendered.body).split(&format!("--{boundary}")).collect();
    parts.sort_unstable();
    assert_eq!(
        parts,
        [
            "",
            "\r\nContent-Disposition: form-data; name=\"count\"\r\n\r\n3\r\n",
            "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22b7.txt\"\r\nContent-Type: text/plain\r\n\r\n--x\r\n\r\n",
            "\r\nContent-Disposition: form-data; name=\"ti%22tle\"\r\n\r\nrun pw-1\r\n",
            "--\r\n",
        ]
    );
    assert!(boundary.len() <= 70, "RFC 2046 section 5.1.1");
}

#[test]
fn no_message_holds_a_value() {
    for written in [
        json!({ "get": "/{{ x }}" }),
        json!({ "get": "/", "headers": { "a": "{{ x }}" } }),
        json!({ "get": "{{ x }}" }),
    ] {
        let refused = made(written, &[("x", json!("hunter2\r\nhunter2"))]).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
