use http::HeaderValue;
use serde_json::json;

use super::super::html::looks_like_login;
use super::*;

const SECRET: &str = "S3cr3t-Planted";

/// A page and what it came with, for a table of cases.
#[derive(Clone)]
struct Given {
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
    whole: bool,
    cookies: Vec<(&'static str, &'static str)>,
}

impl Given {
    fn html(body: &str) -> Self {
        Self::new("text/html; charset=utf-8", body)
    }

    fn json(body: &str) -> Self {
        Self::new("application/json", body)
    }

    fn new(content_type: &'static str, body: &str) -> Self {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self {
            url: Url::parse("https://portal.example/app/login?next=%2F#top").unwrap(),
            headers: headers.into_iter().collect(),
            body: body.as_bytes().to_vec(),
            whole: true,
            cookies: Vec::new(),
        }
    }

    fn cut(mut self) -> Self {
        self.whole = false;
        self
    }

    fn page<R>(&self, read: impl FnOnce(&Page<'_>) -> R) -> R {
        read(&Page::new(Answer {
            url: &self.url,
            status: 200,
            headers: &self.headers,
            body: &self.body,
            whole: self.whole,
            cookies: &self.cookies,
        }))
    }

    fn take(&self, source: Value) -> Result<Captured, Missing> {
        let taken: Capture = serde_json::from_value(source).unwrap();
        self.page(|page| capture(&taken.source, page))
    }

    fn value(&self, source: Value) -> Value {
        match self.take(source.clone()) {
            Ok(Captured::Value(value)) => value,
            other => panic!("{source}: {other:?}"),
        }
    }

    fn form(&self, selector: &str) -> Form {
        match self.take(json!({ "form": selector })) {
            Ok(Captured::Form(form)) => form,
            other => panic!("{selector}: {other:?}"),
        }
    }

    fn link(&self, selector: &str) -> String {
        match self.take(json!({ "link": selector })) {
            Ok(Captured::Link(url)) => url.into(),
            other => panic!("{selector}: {other:?}"),
        }
    }

    fn missing(&self, source: Value) -> String {
        self.take(source).unwrap_err().why
    }
}

fn fields(form: &Form) -> Vec<(&str, &str)> {
    form.fields.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[test]
fn a_capture_that_cannot_work_is_refused_while_it_is_read() {
    for good in [
        json!({ "json": "$.id", "keep": true }),
        json!({ "header": "X-Token" }),
        json!({ "cookie": "csrftoken" }),
        json!({ "regex": "id=(\\d+)" }),
        json!({ "css": "meta[name=csrf]", "attr": "content" }),
        json!({ "field": "csrf" }),
        json!({ "form": "form#login, form.login" }),
        json!({ "link": "a[rel=next]" }),
    ] {
        let capture = serde_json::from_value::<Capture>(good.clone()).unwrap();
        assert_eq!(capture.keep, good.get("keep").is_some(), "{good}");
    }
    for (bad, says) in [
        (json!({}), "no source; write one of json, header, cookie"),
        (json!({ "keep": true }), "no source"),
        (json!({ "json": "$.a", "css": "a" }), "2 sources"),
        (json!({ "jsn": "$.a" }), "`json`, `header`"),
        (json!({ "json": "a.b" }), "no JSONPath"),
        (json!({ "regex": "(" }), "does not compile"),
        (json!({ "css": "a[" }), "no CSS selector"),
        (json!({ "form": "" }), "no CSS selector"),
        (json!({ "header": "x token" }), "no header name"),
        (json!({ "field": "a", "attr": "value" }), "attr belongs to css"),
        (json!({ "field": "" }), "names nothing"),
        (json!({ "json": "$.a", "keep": "yes" }), "boolean"),
    ] {
        let error = serde_json::from_value::<Capture>(bad.clone()).unwrap_err().to_string();
        assert!(error.contains(says), "{bad}: {error}");
    }
    for (each, good) in [
        (json!("$[*].id"), true),
        (json!({ "css": "a", "attr": "href" }), true),
        (json!({ "regex": "x" }), true),
        (json!("[*]"), false),
        (json!({}), false),
        (json!({ "field": "x" }), false),
        (json!({ "json": "$", "regex": "x" }), false),
        (json!(3), false),
    ] {
        assert_eq!(serde_json::from_value::<Each>(each.clone()).is_ok(), good, "{each}");
    }
}

#[test]
fn settings_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Capture>();
    shared::<Each>();
    shared::<Captured>();
}

#[test]
fn the_schema_knows_every_source() {
    let schema = schemars::schema_for!(Capture).to_value();
    for key in ["json", "header", "cookie", "regex", "css", "attr", "field", "form", "link", "keep"] {
        assert!(schema.pointer(&format!("/properties/{key}")).is_some(), "{key}");
    }
    assert_eq!(schema.pointer("/additionalProperties"), Some(&json!(false)));
    assert!(schemars::schema_for!(Each).to_value().pointer("/anyOf/1/properties/css").is_some());
}

#[test]
fn each_source_gives_what_is_there() {
    let mut page = Given::json(r#"{"id": 7, "data": {"items": [{"id": "a"}, {"id": "b"}]}, "none": null}"#);
    page.headers.insert("x-token", HeaderValue::from_static("t0k"));
    page.cookies = vec![("csrftoken", "c00k"), ("sessionid", "x")];
    for (source, expected) in [
        (json!({ "json": "$.id" }), json!(7)),
        (json!({ "json": "$.data.items[*].id" }), json!("a")),
        (json!({ "json": "$..items[?@.id == 'b']" }), json!({ "id": "b" })),
        (json!({ "json": "$.none" }), json!(null)),
        (json!({ "header": "X-Token" }), json!("t0k")),
        (json!({ "cookie": "csrftoken" }), json!("c00k")),
        (json!({ "regex": "\"id\": (?:x|(\\d))" }), json!("7")),
        (json!({ "regex": "\"(?:x)?id\": \"(?<value>.)\"" }), json!("a")),
        (json!({ "regex": "\"id\": .," }), json!("\"id\": 7,")),
    ] {
        assert_eq!(page.value(source.clone()), expected, "{source}");
    }
    let page = Given::html(
        r#"<html lang=de><meta name=csrf content="m3ta"><p class=a>  One <b>two</b>
           </p><p class=a>three</p><template><p class=b>no</p></template>"#,
    );
    for (source, expected) in [
        (json!({ "css": "meta[name=csrf]", "attr": "content" }), "m3ta"),
        (json!({ "css": "meta[name=csrf]", "attr": "CONTENT" }), "m3ta"),
        (json!({ "css": "p.a" }), "One two"),
        (json!({ "css": "html", "attr": "lang" }), "de"),
    ] {
        assert_eq!(page.value(source.clone()), json!(expected), "{source}");
    }
    assert!(page.missing(json!({ "css": "p.b" })).starts_with("nothing matches p.b; the page has"));
}

#[test]
fn what_was_there_instead_is_told() {
    let mut page = Given::json(r#"{"error": {"code": 3, "text": "x"}, "list": [1, 2], "none": null}"#);
    page.headers.insert("server", HeaderValue::from_static("nginx"));
    page.cookies = vec![("sessionid", "x")];
    let html = Given::html(
        "<form id=login><input name=username><input name=password type=password><input name=off disabled></form>\
         <form name=search><input name=q value=1></form><a class=x>a</a><p id=par>text</p><b id=bold></b>",
    );
    let cases = [
        (&page, json!({ "json": "$.id" }), "$.id is absent; the document has the keys error, list, none"),
        (&page, json!({ "json": "$.error.id" }), "$.error.id is absent; $.error has the keys code, text"),
        (&page, json!({ "json": "$.list[2]" }), "$.list[2] is absent; $.list is a list of 2"),
        (&page, json!({ "json": "$.none.id" }), "$.none.id is absent; $.none is null"),
        (&page, json!({ "header": "x-token" }), "no header x-token; the answer has content-type, server"),
        (&page, json!({ "cookie": "csrftoken" }), "no cookie csrftoken; the jar has sessionid"),
        (
            &page,
            json!({ "regex": "id=(\\d+)" }),
            "the pattern id=(\\d+) matches nothing in the body (status 200, application/json, 65 bytes)",
        ),
        (&page, json!({ "form": "form" }), "no form matches form; the page has no form"),
        (&page, json!({ "css": "p" }), "nothing matches p; the body holds no HTML elements"),
        (
            &html,
            json!({ "json": "$.id" }),
            "the body is not JSON (status 200, text/html, 199 bytes): expected value at line 1 column 1",
        ),
        (
            &html,
            json!({ "field": "authenticity_token" }),
            "no input is named authenticity_token; the page has the fields username, password, off, q",
        ),
        (
            &html,
            json!({ "field": "off" }),
            "the input off has nothing to send: it is disabled, not checked, or a button",
        ),
        (
            &html,
            json!({ "form": "form.login" }),
            "no form matches form.login; the page has the forms form#login, form[name=search]",
        ),
        (
            &html,
            json!({ "form": "#par" }),
            "#par selects an element p, no form; the page has the forms form#login, form[name=search]",
        ),
        (
            &html,
            json!({ "form": "form" }),
            "form selects 2 different forms; name one: form#login, form[name=search]",
        ),
        (
            &html,
            json!({ "link": "a.next" }),
            "no link matches a.next; the page has 12 elements, 2 forms, 1 links; ids: login, par, bold",
        ),
        (&html, json!({ "link": "a.x" }), "a.x selects a link without href; it has class"),
        (&html, json!({ "link": "p" }), "p selects an element p, which is no link"),
        (
            &html,
            json!({ "css": "p", "attr": "data-id" }),
            "p selects an element p without the attribute data-id; it has id",
        ),
    ];
    for (page, source, expected) in cases {
        assert_eq!(page.missing(source.clone()), expected, "{source}");
    }
}

#[test]
fn a_form_sends_what_a_browser_would() {
    let page = Given::html(
        r#"<input name=outside form=login value=o>
        <form id=login action="/sign-in?a=1#x" method=POST>
          <input type=hidden name=csrf value=c> <input name=user> <input type=password name=pw value=p>
          <input type=checkbox name=c1 checked> <input type=checkbox name=c2 value=2>
          <input type=radio name=r value=1><input type=radio name=r value=2 checked>
          <select name=s1><option disabled>0</option><option>  A  b </option><option value=2>B</option></select>
          <select name=s2><option value=1 selected>A<option value=2 selected>B</select>
          <select name=s3 multiple><option value=1 selected>A<option value=2 selected>B</select>
          <select name=s4 multiple><option value=1>A</select> <select name=s5 size=3><option value=1>A</select>
          <textarea name=t>
two
lines</textarea>
          <input type=submit name=go value=Go><button name=b value=b>B</button><input type=image name=i>
          <input type=reset name=re value=x><input type=file name=f><input type=button name=bu value=x>
          <input name=off value=x disabled> <input value=nameless> <input name="" value=x>
          <fieldset disabled><legend><input name=leg value=l></legend><input name=fs value=x></fieldset>
          <datalist><input name=dl value=x></datalist> <template><input name=tp value=x></template>
          <input name=other form=nothing value=x> <input type=hidden name=_charset_>
        </form>"#,
    );
    let form = page.form("#login");
    assert_eq!(form.method, Method::POST);
    assert_eq!(form.action.as_str(), "https://portal.example/sign-in?a=1");
    assert!(!form.multipart);
    assert_eq!(
        fields(&form),
        [
            ("outside", "o"),
            ("csrf", "c"),
            ("user", ""),
            ("pw", "p"),
            ("c1", "on"),
            ("r", "2"),
            ("s1", "A b"),
            ("s2", "2"),
            ("s3", "1"),
            ("s3", "2"),
            ("t", "two\nlines"),
            ("leg", "l"),
            ("_charset_", "UTF-8"),
        ]
    );
}

#[test]
fn fields_of_a_form_between_the_parts_of_a_table_are_its_fields() {
    let page = Given::html(
        "<table><form id=f action=go><tr><td><input name=a value=1></td></tr></form>\
         <tr><td><input name=b value=2></td></tr></table>",
    );
    assert_eq!(fields(&page.form("#f")), [("a", "1")]);
    assert_eq!(page.value(json!({ "field": "b" })), json!("2"));
}

#[test]
fn a_form_leads_where_a_browser_would_send_it() {
    for (html, expected) in [
        ("<form>", "GET https://portal.example/app/login?next=%2F"),
        ("<form action=''>", "GET https://portal.example/app/login?next=%2F"),
        ("<base href=/other/><form action=''>", "GET https://portal.example/app/login?next=%2F"),
        ("<base href=/other/><form action=x method=post>", "POST https://portal.example/other/x"),
        ("<base href='javascript:1'><form action=x>", "GET https://portal.example/app/x"),
        ("<form action=' //id.example/a ' method=put>", "GET https://id.example/a"),
        (
            "<form method=post enctype=multipart/form-data>",
            "POST https://portal.example/app/login?next=%2F multipart",
        ),
        ("<form enctype=multipart/form-data>", "GET https://portal.example/app/login?next=%2F"),
    ] {
        let form = Given::html(html).form("form");
        let multipart = if form.multipart { " multipart" } else { "" };
        assert_eq!(format!("{} {}{multipart}", form.method, form.action), expected, "{html}");
    }
    for (html, says) in [
        ("<form action='javascript:alert(1)'>", "the form form leads to a javascript: address"),
        ("<form action='mailto:a@b.example'>", "mailto:"),
        ("<form action='data:text/html,x'>", "data:"),
        ("<form action='https://['>", "leads to no address"),
        ("<form method=dialog>", "closes a dialog"),
        ("<form method=post enctype=text/plain>", "text/plain"),
    ] {
        let why = Given::html(html).missing(json!({ "form": "form" }));
        assert!(why.contains(says), "{html}: {why}");
    }
}

#[test]
fn a_link_leads_where_a_browser_would_go() {
    let page = Given::html(
        "<base href='https://cdn.example/b/'><a id=a href='next?p=2#there'>n</a><a id=b href='javascript:1'>\
         <map><area id=c href='/area'></map><link id=d href=style.css>",
    );
    assert_eq!(page.link("#a"), "https://cdn.example/b/next?p=2");
    assert_eq!(page.link("a"), "https://cdn.example/b/next?p=2");
    assert_eq!(page.link("#c"), "https://cdn.example/area");
    assert_eq!(page.link("#d"), "https://cdn.example/b/style.css");
    assert!(page.missing(json!({ "link": "#b" })).contains("javascript: address"));
}

#[test]
fn a_field_that_could_be_either_of_two_is_a_fault() {
    let two = |a: &str, b: &str| {
        Given::html(&format!(
            "<form id=one><input name=csrf value={a}></form><form id=two><input name=csrf value={b}></form>"
        ))
    };
    assert_eq!(two("x", "x").value(json!({ "field": "csrf" })), json!("x"));
    let why = two("x", "y").missing(json!({ "field": "csrf" }));
    assert!(why.contains("two forms have a field csrf with different values"), "{why}");
    assert!(why.contains("form#one [name=csrf]"), "{why}");
    let one = Given::html("<form><input name=csrf value=x><input name=csrf value=y></form>");
    assert!(one.missing(json!({ "field": "csrf" })).contains("a form has several fields csrf"));
    let alone = Given::html("<input name=csrf value=x><textarea name=t>y</textarea>");
    assert_eq!(alone.value(json!({ "field": "csrf" })), json!("x"));
    assert_eq!(alone.value(json!({ "field": "t" })), json!("y"));
}

#[test]
fn nothing_is_taken_from_where_a_body_was_cut() {
    let page = Given::html("<input name=a value=1><form><input name=b value=2><p>tex").cut();
    assert_eq!(page.value(json!({ "field": "b" })), json!("2"));
    assert!(page.missing(json!({ "form": "form" })).contains("cut off inside it"));
    assert!(page.missing(json!({ "css": "p" })).contains("cut off inside the element"));
    assert!(page.missing(json!({ "regex": "<p>(\\w+)" })).contains("cut end"));
    assert_eq!(page.value(json!({ "regex": "name=(\\w+)" })), json!("a"));
    let page = Given::html("<form><input name=b value=2></form><p>text</p><p>x").cut();
    assert_eq!(fields(&page.form("form")), [("b", "2")]);
    assert_eq!(page.value(json!({ "css": "p" })), json!("text"));
    let why = Given::json(r#"{"id": 1}"#).cut().missing(json!({ "json": "$.id" }));
    assert!(why.contains("not whole") && why.contains("cut off"), "{why}");
}

#[test]
fn a_value_too_long_to_be_one_is_refused() {
    let long = "x".repeat(LONGEST + 1);
    let json = Given::json(&format!(r#"{{"a": "{long}", "b": ["{long}"], "c": "{}"}}"#, "x".repeat(LONGEST)));
    assert!(json.missing(json!({ "json": "$.a" })).contains("at most 65536 are captured"));
    assert!(json.missing(json!({ "json": "$.b" })).contains("at most 65536"));
    assert!(json.take(json!({ "json": "$.c" })).is_ok());
    assert!(Given::html(&format!("<p>{long}")).missing(json!({ "css": "p" })).contains("at most 65536"));
    // A view state is often longer, and goes back with its form only.
    let form = Given::html(&format!("<form><input name=v value={long}></form>")).form("form");
    assert_eq!(form.fields.len(), 1);
    let huge = Given::html(&format!("<form><input name=v value={}></form>", "x".repeat(1 << 20)));
    assert!(huge.missing(json!({ "form": "form" })).contains("more than"));
}

#[test]
fn a_sweep_finds_all_of_a_kind_and_counts_the_rest() {
    let read = |page: &Given, each_of: Value| {
        let written: Each = serde_json::from_value(each_of).unwrap();
        page.page(|page| each(&written, page)).map(|items| (items.values, items.more))
    };
    let json = Given::json(r#"[{"id": 1}, {"id": "b"}]"#);
    assert_eq!(read(&json, json!("$[*].id")), Ok((vec![json!(1), json!("b")], 0)));
    assert_eq!(read(&json, json!({ "json": "$[*].no" })), Ok((vec![], 0)));
    assert_eq!(read(&json, json!({ "regex": "\"id\": \"?(\\w)" })), Ok((vec![json!("1"), json!("b")], 0)));
    let html = Given::html("<a data-id=1>x</a><a>y</a><a data-id=2>z</a>");
    assert_eq!(read(&html, json!({ "css": "a", "attr": "data-id" })), Ok((vec![json!("1"), json!("2")], 0)));
    assert_eq!(read(&html, json!({ "css": "a" })).unwrap().0.len(), 3);
    assert_eq!(read(&html, json!({ "css": "p" })), Ok((vec![], 0)));
    assert!(read(&html, json!({ "css": "a", "attr": "no" })).is_err());
    assert!(read(&html, json!("$[*].id")).is_err());
    let many = Given::json(&json!((0..250).collect::<Vec<_>>()).to_string());
    let (values, more) = read(&many, json!("$[*]")).unwrap();
    assert_eq!((values.len(), more), (100, 150));
}

#[test]
fn no_value_of_a_page_reaches_a_message() {
    let html = Given::html(&format!(
        "<base href='https://{SECRET}.example/{SECRET}'><!-- {SECRET} --><title>{SECRET}</title><p id=p class={SECRET}>{SECRET}</p>\
         <form id=a action='/{SECRET}'><input name=csrf value={SECRET}1><input name=one value={SECRET} disabled></form>\
         <form id=b action='javascript:{SECRET}'><input name=csrf value={SECRET}2><textarea name=t>{SECRET}</textarea></form>\
         <form id=c action='https://[{SECRET}'></form><a href='mailto:{SECRET}'>{SECRET}</a><area href='https://[{SECRET}'>\
         <script>{SECRET}</script><select name=s><option value={SECRET}>{SECRET}</select>"
    ));
    let json = Given::json(&format!(r#"{{"a": "{SECRET}", "b": {{"c": ["{SECRET}"]}}, "d": "{SECRET}"}}"#));
    let broken = Given::json(&format!(r#"{{"a": "{SECRET}", {SECRET}: 1}}"#));
    let sources = [
        json!({ "json": "$.x" }),
        json!({ "json": "$.a.x" }),
        json!({ "json": "$.b.c.x" }),
        json!({ "json": "$..x" }),
        json!({ "json": "$.b.c[?length(@) > 99]" }),
        json!({ "header": "x-token" }),
        json!({ "header": "x-binary" }),
        json!({ "cookie": "csrftoken" }),
        json!({ "regex": "nowhere" }),
        json!({ "regex": "(x)?S3c" }),
        json!({ "css": ".nowhere" }),
        json!({ "css": "p", "attr": "nowhere" }),
        json!({ "field": "nowhere" }),
        json!({ "field": "csrf" }),
        json!({ "field": "one" }),
        json!({ "form": "form" }),
        json!({ "form": "#b" }),
        json!({ "form": "#c" }),
        json!({ "form": ".nowhere" }),
        json!({ "form": "p" }),
        json!({ "link": "a" }),
        json!({ "link": "area" }),
        json!({ "link": "p" }),
        json!({ "link": ".nowhere" }),
    ];
    let mut told = 0;
    for mut page in [html, json, broken] {
        page.url = Url::parse(&format!("https://portal.example/{SECRET}?t={SECRET}")).unwrap();
        page.headers.insert(header::CONTENT_TYPE, format!("text/html; x={SECRET}").parse().unwrap());
        page.headers.insert("x-other", HeaderValue::from_static(SECRET));
        page.headers.insert("x-binary", HeaderValue::from_bytes(b"S3cr3t-Planted\xff").unwrap());
        page.cookies = vec![("sessionid", SECRET)];
        for page in [page.clone(), page.cut()] {
            for source in &sources {
                if let Err(missing) = page.take(source.clone()) {
                    told += 1;
                    let why = missing.to_string().to_lowercase();
                    assert!(!why.contains("s3cr3t"), "{source}: {why}");
                    assert!(why.len() <= crate::judge::LONGEST_VALUE, "{source}: {why}");
                }
            }
        }
    }
    assert!(told > 100, "{told} messages");
}

#[test]
fn names_in_a_message_are_few_and_short() {
    let body: String = (0..500).map(|n| format!("<input name={}{n}>", "n".repeat(300))).collect();
    let why = Given::html(&body).missing(json!({ "field": "x" }));
    assert!(why.len() <= crate::judge::LONGEST_VALUE && why.contains("nnn…"), "{why}");
    let body: String = (0..500).map(|n| format!("<input name=n{n}>")).collect();
    let why = Given::html(&body).missing(json!({ "field": "x" }));
    assert!(why.ends_with("n8, n9 and 490 more"), "{why}");
    let why = Given::html("<input name='a\u{1b}[31m\n'>").missing(json!({ "field": "x" }));
    assert!(!why.chars().any(char::is_control), "{why}");
}

/// Reads with a stack as small as that of the threads that will.
fn with_small_stack(read: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(read).unwrap().join().unwrap();
}

#[test]
fn a_hostile_page_is_refused_in_bounded_time_and_stack() {
    let attributes: String = (0..1_000_000).map(|n| format!(" a{n}")).collect();
    let formatting = (0..400).map(|n| format!("<b a={n}>")).collect::<String>();
    for (html, says) in [
        ("<div>".repeat(100_000), "deep"),
        ("<b><i>".repeat(100_000), "deep"),
        ("<table><tr><td>".repeat(30_000), "deep"),
        ("<svg>".repeat(100_000), "deep"),
        (format!("<p {attributes}>"), "excessive length"),
        (format!("<p/{}>", attributes.replace(' ', "/")), "excessive length"),
        (format!("<p>{formatting}{}", "<p>x".repeat(100_000)), "elements"),
        ("<i></i>".repeat(300_000), "elements"),
    ] {
        with_small_stack(move || {
            let given = Given::html(&html);
            given.page(|page| {
                for source in [json!({ "field": "x" }), json!({ "css": "p" }), json!({ "form": "form" })] {
                    let source = serde_json::from_value::<Capture>(source).unwrap().source;
                    let why = capture(&source, page).unwrap_err().why;
                    assert!(why.contains(says), "{why}");
                }
            });
        });
    }
    with_small_stack(|| {
        let deep = |open: &str, close: &str| Given::json(&(open.repeat(10_000) + &close.repeat(10_000)));
        let why = deep("[", "]").missing(json!({ "json": "$..x" }));
        assert!(why.contains("recursion limit"), "{why}");
        let why = deep("{\"a\":", "}").missing(json!({ "json": "$.a" }));
        assert!(why.contains("recursion limit"), "{why}");
    });
}

#[test]
fn a_long_name_above_many_values_does_not_fill_the_memory() {
    let page = Given::json(&format!("{{\"{}\": [{}0]}}", "k".repeat(60_000), "0,".repeat(20_000)));
    assert!(page.missing(json!({ "json": "$.*[*]" })).contains("too long"));
    assert!(page.missing(json!({ "json": "$.id" })).contains("is absent"));
}

#[test]
fn a_large_page_and_one_that_is_no_text_are_read() {
    let row = "<tr><td class=x>some text in a cell of a long table, and more</td></tr>";
    let mut large = Given::html(&format!("<table>{}</table><input name=csrf value=x>", row.repeat(30_000)));
    let comment = format!("<!-- {} -->", "word ".repeat(1_600_000));
    large.body.splice(0..0, format!("<script>{}</script>", comment.replace('-', "x")).into_bytes());
    assert!(large.body.len() > 10_000_000);
    with_small_stack(move || assert_eq!(large.value(json!({ "field": "csrf" })), json!("x")));
    let mut page = Given::html("");
    page.body = b"\xff\xfe<input name=a value=\xff1>\x00\xc3".to_vec();
    assert_eq!(page.value(json!({ "field": "a" })), json!("\u{fffd}1"));
    page.body = vec![0xff; 100_000];
    assert!(page.missing(json!({ "field": "a" })).contains("no fields"));
    assert!(page.missing(json!({ "json": "$.a" })).contains("not JSON"));
    page.body.clear();
    assert!(page.missing(json!({ "json": "$.a" })).contains("not JSON"));
    assert!(page.missing(json!({ "form": "form" })).contains("no form"));
}

#[test]
fn a_body_is_parsed_once_however_many_captures_there_are() {
    let html = Given::html("<input name=a value=1>");
    html.page(|page| {
        let first: *const Document = page.html().unwrap();
        assert!(capture(&Source::Field("a".into()), page).is_ok());
        assert!(std::ptr::eq(first, page.html().unwrap()));
    });
    let json = Given::json("{}");
    json.page(|page| assert!(std::ptr::eq(page.json().unwrap(), page.json().unwrap())));
}

#[test]
fn a_page_that_asks_for_a_password_is_a_login_page() {
    for (html, login) in [
        ("<form><input type=password name=p></form>", true),
        ("<INPUT TYPE=' Password '>", true),
        ("<input type=password disabled>", false),
        ("<div style='display: none'><input type=password></div>", false),
        ("<div hidden><input type=password></div>", false),
        ("<input type=hidden name=password>", false),
        ("<p>type=password", false),
        ("<!-- <input type=password> -->", false),
        ("<script>'<input type=password>'</script>", false),
        ("<template><input type=password></template>", false),
        ("{\"password\": 1}", false),
        ("", false),
    ] {
        assert_eq!(looks_like_login(html.as_bytes()), login, "{html}");
    }
}
