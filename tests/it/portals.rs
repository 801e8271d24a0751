//! The portals by themselves: a journey can only be believed if the portal refuses, counts and
//! remembers as it is said to.

use regex::Regex;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::peers::{NodeRed, Portal, Response, Roundup, Wagtail, get, send};

/// The value of the input of that name in a form.
fn field(html: &str, name: &str) -> String {
    let input = Regex::new(&format!(r#"<input[^>]*name="{}"[^>]*value="([^"]*)""#, regex::escape(name)));
    let found = input.unwrap().captures(html).unwrap_or_else(|| panic!("no {name} in {html}"));
    found[1].to_owned()
}

fn post(portal: &Portal, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Response {
    let (origin, referer) = (portal.url(), format!("{}{path}", portal.url()));
    let form = "application/x-www-form-urlencoded";
    let headers = [("Content-Type", form), ("Cookie", cookie), ("Origin", &origin), ("Referer", &referer)];
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    send(portal.port(), "POST", path, &headers, &body).unwrap()
}

fn visit(portal: &Portal, path: &str, headers: &[(&str, &str)]) -> Response {
    send(portal.port(), "GET", path, headers, "").unwrap()
}

/// The cookies an answer sets, as a browser sends them back.
fn cookies(answer: &Response) -> String {
    let pairs: Vec<&str> =
        answer.header("set-cookie").map(|cookie| cookie.split(';').next().unwrap().trim()).collect();
    pairs.join("; ")
}

fn location(answer: &Response) -> &str {
    answer.header("location").next().unwrap_or_default()
}

pub fn roundup_sign_in(roundup: &Roundup, password: &str) -> Response {
    let page = visit(roundup, "/tracker/", &[]).body;
    let form = page.split("<form").find(|form| form.contains("__login_name")).unwrap();
    let (token, came_from) = (field(form, "@csrf"), field(form, "__came_from"));
    let fields = [
        ("@action", "Login"),
        ("@csrf", &token),
        ("__came_from", &came_from),
        ("__login_name", Portal::USERNAME),
        ("__login_password", password),
    ];
    post(roundup, "/tracker/", "", &fields)
}

#[test]
fn roundup_refuses_a_wrong_password_counts_it_and_remembers_issues() {
    let mut roundup = Roundup::start();
    assert_eq!(roundup.sign_ins(), 0);
    let refused = roundup_sign_in(&roundup, "wrong");
    assert_eq!(refused.status, 302);
    assert!(location(&refused).contains("error_message=Invalid+login"), "{}", refused.head);
    assert_eq!(cookies(&refused), "");
    assert_eq!(roundup.sign_ins(), 1, "{:?}", roundup.requests());

    let taken = roundup_sign_in(&roundup, Portal::PASSWORD);
    let cookie = cookies(&taken);
    assert!(cookie.starts_with("roundup_session_"), "{}", taken.head);
    assert!(visit(&roundup, "/tracker/", &[("Cookie", &cookie)]).body.contains("Hello, probe"));
    assert_eq!(roundup.sign_ins(), 2, "{:?}", roundup.requests());

    assert!(roundup.issues("canary").is_empty());
    let id = roundup.create_issue("a canary of a test");
    let [issue] = &roundup.issues("canary")[..] else { panic!("not one issue") };
    assert_eq!((issue.id.as_str(), issue.title.as_str()), (id.as_str(), "a canary of a test"));
    assert!(!issue.retired && roundup.issues("no such").is_empty());
    assert!(visit(&roundup, &format!("/tracker/issue{id}"), &[]).body.contains("a canary of a test"));

    // The way a clean-up takes it back.
    let page = visit(&roundup, &format!("/tracker/issue{id}"), &[("Cookie", &cookie)]).body;
    let form = page.split("<form").find(|form| form.contains("itemSynopsis")).unwrap();
    let fields = [("@action", "retire"), ("@csrf", &field(form, "@csrf"))];
    let answer = post(&roundup, &format!("/tracker/issue{id}"), &cookie, &fields);
    assert!(answer.body.contains("has been retired"), "{}", answer.body);
    assert!(roundup.issues("canary")[0].retired);

    roundup.stop();
    assert!(get(roundup.port(), "/tracker/").is_err());
    roundup.start_again();
    assert!(roundup.issues("canary")[0].retired);
    let again = roundup.create_issue("a canary once more");
    roundup.retire_issue(&again);
    assert!(roundup.issues("once more")[0].retired);
}

fn wagtail_sign_in(wagtail: &Wagtail, password: &str) -> Response {
    let page = visit(wagtail, "/admin/login/", &[]);
    let token = field(&page.body, "csrfmiddlewaretoken");
    let fields = [
        ("csrfmiddlewaretoken", token.as_str()),
        ("next", "/admin/"),
        ("username", Portal::USERNAME),
        ("password", password),
    ];
    post(wagtail, "/admin/login/", &cookies(&page), &fields)
}

#[test]
fn wagtail_refuses_a_wrong_password_counts_it_and_remembers_pages() {
    let mut wagtail = Wagtail::start();
    assert_eq!(wagtail.sign_ins(), 0);
    let refused = wagtail_sign_in(&wagtail, "wrong");
    assert_eq!(refused.status, 200);
    assert!(refused.body.contains("username and password didn&#x27;t match"), "{}", refused.body);
    assert_eq!(wagtail.sign_ins(), 1, "{:?}", wagtail.requests());

    let taken = wagtail_sign_in(&wagtail, Portal::PASSWORD);
    assert_eq!((taken.status, location(&taken)), (302, "/admin/"));
    let cookie = cookies(&taken);
    let dashboard = visit(&wagtail, "/admin/", &[("Cookie", &cookie)]);
    assert!(dashboard.body.contains("Dashboard"), "{}", dashboard.body);
    assert_eq!(visit(&wagtail, "/admin/", &[]).status, 302);
    assert_eq!(wagtail.sign_ins(), 2, "{:?}", wagtail.requests());

    assert!(wagtail.pages("canary").is_empty());
    let id = wagtail.create_page("a canary of a test", "canary");
    let [page] = &wagtail.pages("canary")[..] else { panic!("not one page") };
    assert_eq!((page.id, page.title.as_str(), page.live), (id, "a canary of a test", false));
    assert!(wagtail.pages("no such").is_empty() && wagtail.pages("Home")[0].live);

    // The way a clean-up takes it back.
    let delete = format!("/admin/pages/{id}/delete/");
    let form = visit(&wagtail, &delete, &[("Cookie", &cookie)]).body;
    let token = field(&form, "csrfmiddlewaretoken");
    let answer = post(&wagtail, &delete, &cookie, &[("csrfmiddlewaretoken", &token)]);
    assert_eq!((answer.status, location(&answer)), (302, "/admin/pages/3/"));
    assert!(wagtail.pages("canary").is_empty());

    let id = wagtail.create_page("a canary once more", "once-more");
    wagtail.stop();
    assert!(get(wagtail.port(), "/admin/login/").is_err());
    wagtail.start_again();
    assert_eq!(wagtail.pages("once more")[0].id, id);
}

pub fn node_red_sign_in(node_red: &NodeRed, password: &str) -> Response {
    let fields = [
        ("client_id", "node-red-admin"),
        ("grant_type", "password"),
        ("scope", "*"),
        ("username", Portal::USERNAME),
        ("password", password),
    ];
    post(node_red, "/auth/token", "", &fields)
}

#[test]
fn node_red_refuses_a_wrong_password_counts_it_and_remembers_flows() {
    let mut node_red = NodeRed::start();
    assert_eq!(node_red.sign_ins(), 0);
    let refused = node_red_sign_in(&node_red, "wrong");
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("invalid_grant"), "{}", refused.body);
    assert_eq!(node_red.sign_ins(), 1, "{:?}", node_red.requests());

    let taken: Value = serde_json::from_str(&node_red_sign_in(&node_red, Portal::PASSWORD).body).unwrap();
    let bearer = format!("Bearer {}", taken["access_token"].as_str().unwrap());
    let settings = visit(&node_red, "/settings", &[("Authorization", &bearer)]);
    assert!(settings.body.contains(r#""username":"probe""#), "{}", settings.body);
    assert_eq!(visit(&node_red, "/settings", &[]).status, 401);

    assert!(node_red.flows("canary").is_empty());
    let id = node_red.create_flow("a canary of a test");
    let [flow] = &node_red.flows("canary")[..] else { panic!("not one flow") };
    assert_eq!((flow.id.as_str(), flow.label.as_str()), (id.as_str(), "a canary of a test"));
    assert!(node_red.flows("no such").is_empty());
    assert_eq!(node_red.sign_ins(), 2, "asking is no attempt: {:?}", node_red.requests());

    node_red.stop();
    assert!(get(node_red.port(), "/auth/login").is_err());
    node_red.start_again();
    assert_eq!(node_red.flows("canary")[0].id, id);

    // The way a clean-up takes it back.
    let flow = format!("/flow/{id}");
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(send(node_red.port(), "DELETE", &flow, &headers, "").unwrap().status, 204);
    assert!(node_red.flows("canary").is_empty());
}

#[test]
fn a_portal_locks_out_who_tries_too_often() {
    let roundup = Roundup::start();
    // It forgives one every 20 seconds, which a slow machine may take for some attempts.
    let first =
        (0..20).find(|_| location(&roundup_sign_in(&roundup, "wrong")).contains("Logins+occurring+too+fast"));
    assert!(first.is_some_and(|refusals| refusals >= 3), "{first:?}: {:?}", roundup.requests());
    let locked_out = roundup_sign_in(&roundup, Portal::PASSWORD);
    assert_eq!(cookies(&locked_out), "", "the right password does not help");
    assert!(locked_out.header("retry-after").next().is_some(), "{}", locked_out.head);

    let node_red = NodeRed::start();
    let tries: Vec<Response> = (0..6).map(|_| node_red_sign_in(&node_red, "wrong")).collect();
    assert_eq!(tries[4].status, 403, "{}", tries[4].body);
    assert_eq!(tries[5].status, 500, "{}", tries[5].body);
    let locked_out = node_red_sign_in(&node_red, Portal::PASSWORD);
    assert!(locked_out.body.contains("Too many login attempts"), "{}", locked_out.body);
}

#[test]
fn a_wagtail_sign_out_by_get_leaves_the_session_alive() {
    let wagtail = Wagtail::start();
    let cookie = cookies(&wagtail_sign_in(&wagtail, Portal::PASSWORD));
    let by_get = visit(&wagtail, "/admin/logout/", &[("Cookie", &cookie)]);
    assert!(cookies(&by_get).contains("sessionid="), "the cookie is taken away: {}", by_get.head);
    assert_eq!(visit(&wagtail, "/admin/", &[("Cookie", &cookie)]).status, 200);

    let token =
        field(&visit(&wagtail, "/admin/account/", &[("Cookie", &cookie)]).body, "csrfmiddlewaretoken");
    let by_post = post(&wagtail, "/admin/logout/", &cookie, &[("csrfmiddlewaretoken", &token)]);
    assert_eq!(by_post.status, 302);
    assert_eq!(visit(&wagtail, "/admin/", &[("Cookie", &cookie)]).status, 302);
}
