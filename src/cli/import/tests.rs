//! Recorded sign-ins of the usual kinds, and what must never be in a draft.

mod recorder;

use serde_json::{Value, json};

use self::recorder::{Exchange, ask, imported, made, readable};

const P: &str = "https://portal.acme.example";
const PASSWORD: &str = "c0rrect h&rse/Stäple";
const FORM_PASSWORD: &str = "c0rrect+h%26rse%2FSt%C3%A4ple";
const SESSION: &str = "s3ss10n9f86d081884c7d659a2feaa0c55ad015";
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlLXBsYW50ZWQ";
const CODE: &str = "914207";

fn at(path: &str) -> String {
    format!("{P}{path}")
}

/// The journey of a draft.
fn journey(yaml: &str) -> Value {
    let config = readable(yaml);
    let portal = config["portals"].as_object().unwrap().values().next().unwrap().clone();
    portal["checks"].as_object().unwrap().values().next().unwrap()["journey"].clone()
}

fn names(journey: &Value) -> Vec<&str> {
    journey["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect()
}

/// Searches for a secret raw and in every encoding a recording may hold it in.
fn assert_absent(yaml: &str, secret: &str) {
    use base64::Engine as _;
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = Value::from(secret).to_string();
    let base64 = base64::engine::general_purpose::STANDARD.encode(secret);
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("probe@acme.example:{secret}"));
    for planted in [secret, &percent, &form, json.trim_matches('"'), base64.trim_end_matches('='), &pair] {
        assert!(!yaml.contains(planted), "{planted} is in\n{yaml}");
    }
}

fn django() -> Vec<Exchange> {
    let page = |token: &str| {
        format!(
            r#"<html><form id="search" action="/find"><input name="q"></form>
            <form method="post" id="login-form"><input type="hidden" name="csrfmiddlewaretoken" value="{token}">
            <input type="hidden" name="next" value="/dashboard/"><input name="username"><input type="password" name="password">
            <input type="submit" name="go" value="Log in"></form></html>"#
        )
    };
    let masked = "mAsk3dT0kenAAAAbbbbCCCCddddEEEE1111222233334444555566667777abcdEF";
    vec![
        ask("GET", &at("/")).redirect("/login/?next=/dashboard/"),
        ask("GET", &at("/login/?next=/dashboard/"))
            .answered("set-cookie", "csrftoken=c5rfC00kieValue0123456789abcdef; Path=/; SameSite=Lax")
            .page(&page(masked)),
        ask("GET", &at("/static/app.css")).kind("stylesheet"),
        ask("GET", &at("/static/logo.png")).kind("image"),
        ask("GET", "https://www.google-analytics.com/collect?v=1").kind("fetch"),
        ask("OPTIONS", &at("/api/me")).kind("preflight"),
        ask("POST", &at("/login/?next=/dashboard/"))
            .header("cookie", "csrftoken=c5rfC00kieValue0123456789abcdef")
            .form(&format!("csrfmiddlewaretoken={masked}&next=%2Fdashboard%2F&username=probe%40acme.example&password={FORM_PASSWORD}&go=Log+in"))
            .answered("set-cookie", &format!("sessionid={SESSION}; HttpOnly; Path=/"))
            .redirect("/dashboard/"),
        ask("GET", &at("/dashboard/"))
            .header("cookie", &format!("sessionid={SESSION}"))
            .page("<h1>Signed in as probe</h1><form action=/logout/ method=post></form>"),
        ask("GET", &at("/favicon.ico")).kind("other").status(404),
    ]
}

#[test]
fn a_form_login_is_three_lines() {
    let yaml = imported(django());
    insta::assert_snapshot!("form_login", yaml);
    let journey = journey(&yaml);
    assert_eq!(names(&journey), ["get /", "sign in"]);
    assert_eq!(journey["steps"][0]["capture"], json!({"login": {"form": "form#login-form"}}));
    let sign_in = &journey["steps"][1];
    assert_eq!(sign_in["submit"], "login");
    assert_eq!(sign_in["form"]["password"], "{{ identity.password }}");
    assert!(sign_in["form"].get("csrfmiddlewaretoken").is_none(), "hidden fields come with the form");
    assert_eq!(sign_in["expect"]["final_url"], at("/dashboard/"));
    for secret in [PASSWORD, SESSION, "c5rfC00kieValue0123456789abcdef", "mAsk3dT0ken"] {
        assert_absent(&yaml, secret);
    }
}

#[test]
fn without_the_page_s_body_the_csrf_field_is_guessed_and_said_to_be() {
    let token = "r4ilsT0ken9f86d081884c7d659a2feaa0c55ad015==";
    let yaml = imported(vec![
        ask("GET", &at("/users/sign_in")),
        ask("POST", &at("/users/sign_in"))
            .form(&format!("authenticity_token={token}&user%5Bemail%5D=probe%40acme.example&user%5Bpassword%5D={FORM_PASSWORD}"))
            .redirect("/home"),
        ask("GET", &at("/home")),
    ]);
    let journey = journey(&yaml);
    assert_eq!(
        journey["steps"][0]["capture"],
        json!({"authenticity_token": {"field": "authenticity_token"}})
    );
    assert_eq!(journey["steps"][1]["post"], "/users/sign_in");
    assert_eq!(journey["steps"][1]["form"]["authenticity_token"], "{{ authenticity_token }}");
    assert_eq!(journey["steps"][1]["form"]["user[email]"], "{{ identity.username }}");
    assert!(yaml.contains("# look at this: the page's body is not in the recording"), "{yaml}");
    assert_absent(&yaml, PASSWORD);
    assert_absent(&yaml, token);
}

#[test]
fn rails_meta_tag_and_hidden_field_are_captured_where_they_stood() {
    let token = "r4ilsMeta9f86d081884c7d659a2feaa0c55ad015";
    let yaml = imported(vec![
        ask("GET", &at("/app")).page(&format!(r#"<meta name="csrf-token" content="{token}">"#)),
        ask("POST", &at("/session"))
            .header("x-csrf-token", token)
            .json(&json!({"session": {"email": "probe@acme.example", "password": PASSWORD}}))
            .data(&json!({"ok": true})),
        ask("GET", &at("/api/me")).data(&json!({"name": "Probe"})),
    ]);
    let journey = journey(&yaml);
    assert_eq!(
        journey["steps"][0]["capture"]["x_csrf_token"],
        json!({"css": "meta[name=csrf-token]", "attr": "content"})
    );
    assert_eq!(journey["steps"][1]["headers"]["x-csrf-token"], "{{ x_csrf_token }}");
    assert_eq!(journey["steps"][1]["json"]["session"]["password"], "{{ identity.password }}");
    assert_absent(&yaml, token);
}

fn spa() -> Vec<Exchange> {
    let bearer = format!("Bearer {TOKEN}");
    vec![
        ask("GET", &at("/")).page("<div id=app></div><script src=/app.js></script>"),
        ask("GET", &at("/app.js")).kind("script"),
        ask("POST", &at("/api/login"))
            .header("accept", "application/json, text/plain, */*")
            .json(&json!({"email": "probe@acme.example", "password": PASSWORD, "otp": CODE}))
            .data(&json!({"data": {"accessToken": TOKEN, "expires": 3600}})),
        ask("GET", &at("/api/tickets?_=1700000000000"))
            .header("authorization", &bearer)
            .data(&json!({"items": [{"id": 7, "title": "old"}]})),
        ask("GET", &at("/api/tickets?_=1700000000000"))
            .header("authorization", &bearer)
            .data(&json!({"items": [{"id": 7}]})),
        ask("POST", &at("/api/tickets"))
            .header("authorization", &bearer)
            .header("x-tenant", "acme")
            .header("x-request-id", "9f86d081884c7d659a2feaa0c55ad015")
            .json(&json!({"title": "Printer on fire", "priority": 3, "owner": "probe@acme.example"}))
            .status(201)
            .data(&json!({"id": 42, "title": "Printer on fire"})),
        ask("GET", &at("/api/tickets/42")).header("authorization", &bearer).data(&json!({"id": 42})),
        ask("POST", &at("/api/logout")).header("authorization", &bearer).kind("fetch").status(204),
        ask("GET", &at("/")).page("<div id=app></div>"),
    ]
}

#[test]
fn a_write_carries_the_run_and_is_removed_again() {
    let yaml = imported(spa());
    insta::assert_snapshot!("spa_with_write", yaml);
    let journey = journey(&yaml);
    assert_eq!(
        names(&journey),
        ["get /", "sign in", "get /api/tickets", "post /api/tickets", "get /api/tickets/id"]
    );
    assert_eq!(journey["bearer"], "token");
    assert_eq!(journey["steps"][1]["capture"], json!({"token": {"json": "$.data.accessToken"}}));
    assert_eq!(journey["steps"][1]["json"]["otp"], "{{ totp(identity.totp) }}");
    assert_eq!(journey["steps"][2]["get"], "/api/tickets");
    let write = &journey["steps"][3];
    assert_eq!(write["write"], true);
    assert_eq!(
        write["json"],
        json!({"title": "Printer on fire {{ run.id }}", "priority": 3, "owner": "{{ identity.username }}"})
    );
    assert_eq!(write["headers"], json!({"x-tenant": "acme"}));
    assert_eq!(write["expect"]["status"], 201);
    assert_eq!(write["capture"], json!({"ticket": {"json": "$.id", "keep": true}}));
    assert_eq!(journey["steps"][4]["get"], "/api/tickets/{{ ticket }}");
    assert_eq!(journey["cleanup"][0]["delete"], "/api/tickets/{{ ticket }}");
    assert_eq!(journey["sweep"][0]["each"], json!({"json": "$.items[*].id"}));
    assert_eq!(journey["sweep"][0]["then"]["delete"], "/api/tickets/{{ item }}");
    assert_eq!(journey["sign_out"], json!({"post": "/api/logout"}));
    for secret in [PASSWORD, TOKEN, CODE] {
        assert_absent(&yaml, secret);
    }
}

#[test]
fn a_recorded_removal_becomes_the_cleanup() {
    let mut exchanges = spa();
    exchanges.insert(7, ask("DELETE", &at("/api/tickets/42")).kind("fetch").status(204));
    exchanges.insert(8, ask("DELETE", &at("/api/tickets/7")).kind("fetch").status(204));
    let yaml = imported(exchanges);
    let journey = journey(&yaml);
    assert_eq!(journey["cleanup"].as_array().unwrap().len(), 1);
    assert_eq!(journey["cleanup"][0]["delete"], "/api/tickets/{{ ticket }}");
    assert_eq!(journey["sweep"][0]["then"]["delete"], "/api/tickets/{{ item }}");
    assert!(yaml.contains("a DELETE of /api/tickets/7 was left out"), "{yaml}");
    assert!(!names(&journey).iter().any(|name| name.starts_with("delete")));
}

#[test]
fn a_password_grant_belongs_to_the_identity() {
    let yaml = imported(vec![
        ask("GET", &at("/")).page("<div id=app></div>"),
        ask("POST", "https://id.acme.example/oauth/token")
            .form(&format!("grant_type=password&username=probe&password={FORM_PASSWORD}&client_id=web&client_secret=sup3rS3cretCl1ent&scope=openid+tickets"))
            .data(&json!({"access_token": TOKEN})),
        ask("GET", &at("/api/me")).header("authorization", &format!("Bearer {TOKEN}")).data(&json!({"name": "Probe"})),
    ]);
    insta::assert_snapshot!("password_grant", yaml);
    let config = readable(&yaml);
    let staff = &config["portals"]["acme"]["identities"]["staff"];
    assert_eq!(staff["oauth2"]["token_url"], "https://id.acme.example/oauth/token");
    assert_eq!(staff["oauth2"]["client_secret"], json!({"env": "PORTAL_CLIENT_SECRET"}));
    assert_eq!(staff["oauth2"]["scopes"], json!(["openid", "tickets"]));
    let journey = journey(&yaml);
    assert_eq!(names(&journey), ["get /", "get /api/me"]);
    assert!(journey.get("bearer").is_none());
    for secret in [PASSWORD, TOKEN, "sup3rS3cretCl1ent"] {
        assert_absent(&yaml, secret);
    }
}

#[test]
fn a_cookie_repeated_in_a_header_is_said_once_for_the_journey() {
    let cookie = "x5rf9f86d081884c7d659a2feaa0c55ad015%3D";
    let header = "x5rf9f86d081884c7d659a2feaa0c55ad015=";
    let yaml = imported(vec![
        ask("GET", &at("/"))
            .answered(
                "Set-Cookie",
                &format!("XSRF-TOKEN={cookie}; Path=/\nlaravel=abcdef0123456789abcdef; Path=/"),
            )
            .page("<p>"),
        ask("POST", &at("/login"))
            .header("X-XSRF-TOKEN", header)
            .json(&json!({"email": "a@b.example", "password": PASSWORD}))
            .status(204),
        ask("POST", &at("/api/notes"))
            .header("X-XSRF-TOKEN", header)
            .json(&json!({"text": "hi"}))
            .data(&json!({"note": {"id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"}})),
    ]);
    let journey = journey(&yaml);
    assert_eq!(journey["csrf"], json!({"cookie": "XSRF-TOKEN", "header": "X-XSRF-TOKEN"}));
    assert!(journey["steps"].as_array().unwrap().iter().all(|step| step.get("headers").is_none()), "{yaml}");
    assert_eq!(journey["steps"][2]["capture"]["note"], json!({"json": "$.note.id", "keep": true}));
    for secret in [cookie, header, "abcdef0123456789abcdef"] {
        assert_absent(&yaml, secret);
    }
}

#[test]
fn what_chrome_leaves_out_is_guessed_and_said_to_be() {
    let yaml = imported(vec![
        ask("GET", &at("/")).page("<div id=app></div>"),
        ask("POST", &at("/api/login"))
            .header("X-CSRFToken", "n0where9f86d081884c7d659a2f")
            .json(&json!({"username": "probe", "password": PASSWORD}))
            .data(&json!({"token": TOKEN})),
        ask("GET", &at("/api/me")).data(&json!({"name": "Probe"})),
    ]);
    let journey = journey(&yaml);
    assert_eq!(journey["bearer"], "token");
    assert_eq!(journey["csrf"]["cookie"], "csrftoken");
    assert_eq!(yaml.matches("Chrome leaves them out").count(), 2, "{yaml}");
    assert_absent(&yaml, "n0where9f86d081884c7d659a2f");
}

#[test]
fn firefox_is_read_by_fetch_metadata_and_answers() {
    let yaml = imported(vec![
        ask("GET", &at("/login")).firefox().header("Sec-Fetch-Dest", "document").page("<form action=/login><input name=login><input type=password name=geheim></form>"),
        ask("GET", &at("/style")).firefox().header("Sec-Fetch-Dest", "style"),
        ask("GET", &at("/frame")).firefox().header("Sec-Fetch-Dest", "iframe").page("<p>"),
        ask("GET", "wss://portal.acme.example/live").firefox().status(101),
        ask("GET", &at("/blocked")).firefox().status(0),
        ask("POST", &at("/login"))
            .firefox()
            .raw("application/x-www-form-urlencoded", &format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nlogin=probe&geheim={FORM_PASSWORD}"))
            .redirect("/home"),
        ask("GET", &at("/home")).firefox().page("<p>hello"),
        ask("GET", &at("/api/list")).firefox().data(&json!([1, 2])),
    ]);
    let journey = journey(&yaml);
    assert_eq!(names(&journey), ["get /login", "sign in", "get /api/list"]);
    assert_eq!(journey["steps"][1]["submit"], "login");
    assert_eq!(
        journey["steps"][1]["form"],
        json!({"login": "{{ identity.username }}", "geheim": "{{ identity.password }}"})
    );
    assert_eq!(journey["steps"][0]["capture"]["login"], json!({"form": "form:has(input[type=password])"}));
    for what in ["1 × websockets", "1 × requests without an answer", "2 × images"] {
        assert!(yaml.contains(what), "{what}: {yaml}");
    }
    assert_absent(&yaml, PASSWORD);
}

#[test]
fn of_several_attempts_the_last_counts_and_no_password_of_them_is_written() {
    let page = |token: &str| {
        format!(
            "<form id=f action=/login method=post><input type=hidden name=csrf value={token}><input name=user><input type=password name=pw></form>"
        )
    };
    let yaml = imported(vec![
        ask("GET", &at("/login")).page(&page("t0ken1111aaaa2222bbbb")),
        ask("POST", &at("/login"))
            .form("csrf=t0ken1111aaaa2222bbbb&user=probe&pw=wr0ngPassw0rd")
            .page(&page("t0ken3333cccc4444dddd")),
        ask("POST", &at("/login"))
            .form(&format!("csrf=t0ken3333cccc4444dddd&user=probe&pw={FORM_PASSWORD}"))
            .redirect("/in"),
        ask("GET", &at("/in")).page("<p>"),
    ]);
    let journey = journey(&yaml);
    assert_eq!(names(&journey), ["get /login", "sign in"]);
    assert_eq!(
        journey["steps"][1]["form"],
        json!({"user": "{{ identity.username }}", "pw": "{{ identity.password }}"})
    );
    assert_absent(&yaml, "wr0ngPassw0rd");
    assert_absent(&yaml, PASSWORD);
}

#[test]
fn a_code_asked_for_afterwards_still_belongs_to_signing_in() {
    let yaml = imported(vec![
        ask("GET", &at("/login")).page("<p>"),
        ask("POST", &at("/login")).form("user=probe&password=hunter2hunter2").redirect("/mfa"),
        ask("GET", &at("/mfa")).page("<form id=mfa action=/mfa><input name=code></form>"),
        ask("POST", &at("/mfa")).form(&format!("code={CODE}")).redirect("/home"),
        ask("GET", &at("/home")).page("<p>"),
    ]);
    let journey = journey(&yaml);
    assert_eq!(names(&journey), ["get /login", "sign in", "one-time code"]);
    assert_eq!(journey["steps"][2]["form"]["code"], "{{ totp(identity.totp) }}");
    assert!(journey["steps"].as_array().unwrap().iter().all(|step| step.get("write").is_none()));
    assert_eq!(
        readable(&yaml)["portals"]["acme"]["identities"]["staff"]["totp"],
        json!({"env": "PORTAL_TOTP"})
    );
    assert_absent(&yaml, CODE);
}

#[test]
fn graphql_queries_read_and_mutations_write() {
    let login = json!({"query": "mutation login($e: String!, $p: String!) { login(e: $e, p: $p) { token } }", "variables": {"email": "probe", "password": PASSWORD}});
    let create = json!({"query": "mutation ($input: NewTicket!) { createTicket(input: $input) { id } }", "variables": {"input": {"title": "On fire"}}});
    let yaml = imported(vec![
        ask("GET", &at("/")).page("<p>"),
        ask("POST", &at("/graphql")).json(&login).data(&json!({"data": {"login": {"token": TOKEN}}})),
        ask("POST", &at("/graphql"))
            .header("authorization", &format!("bearer {TOKEN}"))
            .json(&json!({"query": "{ tickets { id } }"}))
            .data(&json!({"data": {"tickets": []}})),
        ask("POST", &at("/graphql")).json(&create).data(&json!({"data": {"createTicket": {"id": "T-1"}}})),
    ]);
    let journey = journey(&yaml);
    let writes: Vec<bool> =
        journey["steps"].as_array().unwrap().iter().map(|step| step["write"] == true).collect();
    assert_eq!(writes, [false, false, false, true]);
    assert_eq!(journey["steps"][3]["json"]["variables"]["input"]["title"], "On fire {{ run.id }}");
    assert_eq!(
        journey["steps"][3]["capture"],
        json!({"ticket": {"json": "$.data.createTicket.id", "keep": true}})
    );
    assert!(journey["cleanup"][0]["json"]["query"].as_str().unwrap().contains("deleteTicket"), "{yaml}");
}

#[test]
fn a_form_that_writes_is_found_again_by_its_page() {
    let form = "<form id=new-issue action=/issues><input type=hidden name=csrf value=abcdef0123456789aa><input name=title></form>";
    let yaml = imported(vec![
        ask("GET", &at("/login")).page("<p>"),
        ask("POST", &at("/login")).form("user=probe&password=hunter2hunter2").redirect("/"),
        ask("GET", &at("/")).page(form),
        ask("POST", &at("/issues")).form("csrf=abcdef0123456789aa&title=On+fire").redirect("/issues/17"),
        ask("GET", &at("/issues/17")).page("<a href=/issues/17/edit>edit</a>"),
        ask("POST", &at("/issues/17/retire")).form("csrf=abcdef0123456789aa").redirect("/"),
        ask("GET", &at("/")).page("<p>gone"),
    ]);
    let journey = journey(&yaml);
    let write = journey["steps"].as_array().unwrap().iter().find(|step| step["write"] == true).unwrap();
    assert_eq!(
        (write["submit"].as_str(), &write["form"]),
        (Some("new_issue"), &json!({"title": "On fire {{ run.id }}"}))
    );
    assert_eq!(write["capture"]["issue"], json!({"regex": "/issues/([0-9]+)", "keep": true}));
    assert_eq!(journey["cleanup"][0]["post"], "/issues/{{ issue }}/retire");
    assert_eq!(journey["sweep"][0]["then"]["post"], "/issues/{{ item }}/retire");
    assert_eq!(journey["sweep"][0]["each"], json!({"regex": "/issues/([0-9]+)"}));
}

#[test]
fn planted_secrets_are_nowhere_whatever_form_they_were_sent_in() {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("probe@acme.example:{PASSWORD}"));
    let mut exchanges = vec![
        ask("GET", &at(&format!("/login?session={SESSION}&debug={FORM_PASSWORD}"))).page(&format!("<meta name=state content={SESSION}>")),
        ask("POST", &at("/soap")).raw("text/xml", &format!("<login><user>probe</user><password>{}</password></login>", PASSWORD.replace('&', "&amp;"))).data(&json!({"sessionId": SESSION})),
        ask("POST", &at("/upload")).raw("multipart/form-data; boundary=B", &format!("--B\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n{PASSWORD}\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{SESSION}.txt\"\r\n\r\nx\r\n--B--")).data(&json!({"id": 5})),
        ask("GET", &at(&format!("/api/{TOKEN}/x?code={CODE}&h={basic}"))).header("x-trace", &basic).header("x-auth-token", SESSION).header("cookie", &format!("sid={SESSION}")).data(&json!({"a": 1})),
        ask("POST", &at("/api/echo")).header("authorization", &format!("Basic {basic}")).json(&json!({"note": format!("my password is {PASSWORD}"), "deep": [{"x": basic, "cookie": format!("sid={SESSION}")}], PASSWORD: 1})).data(&json!({})),
    ];
    exchanges.extend(django());
    exchanges.push(
        ask("POST", &at("/api/otp")).json(&json!({"otp": CODE, "note": CODE, "n": 914_207})).data(&json!({})),
    );
    let yaml = imported(exchanges);
    for secret in [PASSWORD, SESSION, TOKEN, CODE, &basic, "c5rfC00kieValue0123456789abcdef"] {
        assert_absent(&yaml, secret);
    }
}

#[test]
fn a_password_that_is_also_a_field_s_name_does_not_break_the_draft() {
    let yaml = imported(vec![
        ask("GET", &at("/login"))
            .page("<form action=/login><input name=username><input type=password name=password></form>"),
        ask("POST", &at("/login"))
            .form("username=admin&password=password&again=password")
            .redirect("/password"),
        ask("GET", &at("/password")).page("<p>"),
    ]);
    let journey = journey(&yaml);
    assert_eq!(journey["steps"][0]["capture"]["login"], json!({"form": "form:has(input[type=password])"}));
    let form = &journey["steps"][1]["form"];
    assert_eq!(
        (&form["password"], &form["again"]),
        (&json!("{{ identity.password }}"), &json!("{{ identity.password }}"))
    );
}

#[test]
fn basic_credentials_become_the_identity_s() {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode("probe:hunter2hunter2");
    let yaml = imported(vec![
        ask("GET", "http://127.0.0.1:8080/").header("Authorization", &format!("Basic {basic}")).page("<p>"),
    ]);
    let config = readable(&yaml);
    let portal = &config["portals"]["portal"];
    assert_eq!(
        (portal["private"].as_bool(), portal["identities"]["staff"]["username"].as_str()),
        (Some(true), Some("probe"))
    );
    assert!(
        journey(&yaml)["steps"][0]["headers"]["authorization"]
            .as_str()
            .unwrap()
            .contains("identity.password")
    );
    assert_absent(&yaml, "hunter2hunter2");
    assert!(!yaml.contains(&basic));
}

#[test]
fn recorded_templates_mean_themselves() {
    let yaml = imported(vec![
        ask("GET", &at("/")).page("<p>"),
        ask("POST", &at("/login"))
            .form("user=probe&password=hunter2hunter2&theme={{ boom }}&q={%25 x")
            .status(200),
    ]);
    let form = &journey(&yaml)["steps"][1]["form"];
    assert_eq!(form["theme"], "{{ '{{' }} boom }}");
    assert_eq!(form["q"], "{{ '{%' }} x");
}

#[test]
fn values_from_nowhere_are_pointed_out() {
    let yaml = imported(vec![
        ask("GET", &at("/")).page("<p>"),
        ask(
            "GET",
            &at("/api/boards/9f86d081884c7d659a2feaa0c55ad015?device=1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
        )
        .data(&json!({})),
    ]);
    assert!(yaml.contains("the part after /boards/ looks random"), "{yaml}");
    assert!(yaml.contains("device was a UUID") && yaml.contains("device={{ uuid() }}"), "{yaml}");
    assert!(yaml.contains("no password was typed in this recording"), "{yaml}");
}

#[test]
fn nothing_to_import_is_said() {
    let har =
        recorder::recording(vec![ask("GET", &at("/a.png")).kind("image"), ask("GET", &at("/")).status(0)]);
    assert!(super::draft(&har, None, super::build::Names { portal: None, check: None }).is_none());
}

/// Exchanges that do not fit together: ids of nothing, forms of no page, tokens of no answer.
fn misfits() -> Vec<Exchange> {
    let bearer = format!("Bearer {TOKEN}");
    let form = "<form id=new action=/issues><input type=hidden name=csrf value=abcdef0123456789aa><input name=title></form>";
    vec![
        ask("GET", &at("/issues/new")).page(form),
        ask("POST", &at("/issues"))
            .form("csrf=abcdef0123456789aa&title=On+fire&title=twice")
            .redirect("/issues/17"),
        ask("GET", &at("/issues/17")).page("<a href=/issues/17/edit>edit</a>"),
        ask("POST", &at("/issues/17/retire")).form("csrf=abcdef0123456789aa").redirect("/"),
        ask("PUT", &at("/api/settings"))
            .header("authorization", &bearer)
            .json(&json!({"theme": "dark"}))
            .data(&json!({})),
        ask("PATCH", &at("/api/tickets/42"))
            .header("x-csrf-token", "n0where9f86d081884c7d659a2f")
            .json(&json!({"state": "done"}))
            .data(&json!({"id": 42})),
        ask("POST", &at("/api/files"))
            .raw(
                "multipart/form-data; boundary=B",
                "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nx\r\n--B--",
            )
            .status(201)
            .answered("location", "/api/files/9"),
        ask("DELETE", &at("/api/tickets/42"))
            .header("authorization", &bearer)
            .header("x-csrf-token", "abcdef0123456789aa")
            .kind("fetch")
            .status(204),
        ask("POST", &at("/graphql"))
            .json(&json!({"query": "mutation { addNote(text: \"a\") { id } }"}))
            .data(&json!({"data": {"addNote": {"id": "n1"}}})),
        ask("POST", "https://id.acme.example/login")
            .form(&format!("login=probe&password={FORM_PASSWORD}"))
            .redirect(&at("/dashboard/")),
        ask("POST", &at("/token"))
            .form(&format!("grant_type=password&username=probe&password={FORM_PASSWORD}&client_id=web"))
            .data(&json!({"access_token": TOKEN})),
        ask("POST", "https://api.acme.example/run")
            .header("authorization", &bearer)
            .header("x-api-key", "k3yk3yk3yk3yk3yk3yk3y")
            .raw("text/plain", "go {{ now")
            .data(&json!({})),
        ask("GET", &at("/search?q=On+fire&q=%7B%7B&state=9f86d081884c7d659a2feaa0c55ad015")).page("<p>"),
        ask("POST", &at("/issues/9f86d081884c7d659a2feaa0c55ad015/close")).kind("fetch").status(204),
        ask("GET", &at("/logout")).redirect("/login/"),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_part_of_a_recording_in_any_order_gives_a_draft_without_secrets(
        order in proptest::sample::subsequence((0..33).collect::<Vec<usize>>(), 1..=33),
        turn in 0_usize..33,
    ) {
        let mut pool: Vec<Option<Exchange>> =
            django().into_iter().chain(spa()).chain(misfits()).map(Some).collect();
        assert_eq!(pool.len(), 33);
        let turned = order.iter().map(|at| (at + turn) % 33);
        let chosen: Vec<Exchange> = turned.filter_map(|at| pool[at].take()).collect();
        let har = recorder::recording(chosen);
        if let Some(made) = super::draft(&har, None, super::build::Names { portal: None, check: None }) {
            recorder::valid(&made.yaml);
            for secret in [PASSWORD, SESSION, TOKEN, "k3yk3yk3yk3yk3yk3yk3y", "abcdef0123456789aa", "c5rfC00kieValue0123456789abcdef"] {
                assert_absent(&made.yaml, secret);
            }
        }
    }
}

#[test]
fn ten_thousand_requests_end_in_at_most_fifty_steps() {
    let mut exchanges = django();
    for number in 0..10_000 {
        exchanges.push(
            ask("GET", &at(&format!("/api/items/{number}")))
                .header("cookie", &format!("sid=c00kie{number:032}"))
                .data(&json!({"id": number, "token": format!("{number:032x}")})),
        );
    }
    exchanges
        .push(ask("POST", &at("/api/items")).json(&json!({"title": "last"})).data(&json!({"id": 10_001})));
    let made = made(exchanges);
    let journey = journey(&made.yaml);
    assert_eq!(names(&journey).len(), 50);
    assert!(
        names(&journey).contains(&"sign in") && names(&journey).contains(&"post /api/items"),
        "{:?}",
        names(&journey)
    );
    assert!(made.summary.starts_with("50 steps from 10010 requests"), "{}", made.summary);
}
