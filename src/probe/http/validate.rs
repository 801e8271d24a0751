//! What can only be judged with several keys or the portal in view.

use super::request;
use super::spec::{Addresses, Auth, Spec};
use crate::net::HttpVersion;
use crate::probe::web::tls;
use crate::probe::{Problem, Scope};

fn problem(path: &[&str], message: impl Into<String>) -> Problem {
    Problem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

/// [`super::Http`]'s problems.
pub fn problems(spec: &Spec, scope: &Scope) -> Vec<Problem> {
    let mut problems = Vec::new();
    target(spec, scope, &mut problems);
    let bodies =
        [("body", spec.body.is_some()), ("json", spec.json.is_some()), ("form", spec.form.is_some())];
    let mut given = bodies.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        problems.push(problem(&[second], format!("a request has one body; keep {first} or {second}")));
    }
    headers(spec, &mut problems);
    if let Err(why) = request::prepare(spec, scope, None)
        && problems.is_empty()
    {
        problems.push(problem(&["auth"], why));
    }
    if let Some(proxy) = &spec.proxy {
        proxied(spec, proxy, &mut problems);
    }
    problems.extend(tls::faults(&scope.tls).map(|why| problem(&[], why)));
    problems
}

fn target(spec: &Spec, scope: &Scope, problems: &mut Vec<Problem>) {
    if spec.url.is_some() && spec.path.is_some() {
        problems.push(problem(
            &["path"],
            "url and path exclude each other: path replaces the path of the portal's url",
        ));
    }
    match request::target(spec, scope) {
        Err((key, why)) => problems.push(problem(&[key], why)),
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) => {
            problems.push(problem(&["url"], format!("{url} is no http or https address with a host")));
        }
        Ok(url) if url.scheme() == "http" && spec.version.0 == HttpVersion::Http2 => {
            problems.push(problem(&["version"], "HTTP/2 is agreed on over TLS; use https, or version: auto"));
        }
        Ok(_) => {}
    }
}

fn headers(spec: &Spec, problems: &mut Vec<Problem>) {
    for (name, _, _) in spec.headers.iter().flat_map(|headers| headers.0.iter()) {
        let own = [
            http::header::CONTENT_LENGTH,
            http::header::TRANSFER_ENCODING,
            http::header::CONNECTION,
            http::header::UPGRADE,
        ];
        if own.contains(name) {
            let message = format!("{name} is set by the connection itself; leave it out");
            problems.push(problem(&["headers", name.as_str()], message));
        }
        if *name == http::header::AUTHORIZATION && spec.auth.is_some() {
            let message = "auth sets this header; keep one of the two";
            problems.push(problem(&["headers", name.as_str()], message));
        }
    }
}

fn proxied(spec: &Spec, proxy: &super::spec::ProxySpec, problems: &mut Vec<Problem>) {
    if !matches!(proxy.url.scheme(), "http" | "https" | "socks5h") {
        let message = "a proxy is http://, https:// or socks5h:// host and port";
        problems.push(problem(&["proxy", "url"], message));
    }
    if proxy.url.host_str().is_none_or(str::is_empty) {
        problems.push(problem(&["proxy", "url"], "the proxy's address names no host"));
    }
    if !proxy.url.username().is_empty() || proxy.url.password().is_some() {
        let message = "credentials do not belong in an address; use username and password";
        problems.push(problem(&["proxy", "url"], message));
    }
    if proxy.password.is_some() && proxy.username.is_none() {
        problems.push(problem(&["proxy", "password"], "a password needs a username"));
    }
    if spec.addresses != Addresses::First {
        let message = "behind a proxy the proxy chooses the address; leave addresses out";
        problems.push(problem(&["addresses"], message));
    }
    if spec.connect_to.is_some() {
        let message = "behind a proxy the proxy connects; leave connect_to out";
        problems.push(problem(&["connect_to"], message));
    }
}

/// The hosts a run connects to.
pub fn hosts(spec: &Spec, scope: &Scope) -> Vec<String> {
    let bare = |url: &url::Url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned());
    let main = if let Some(proxy) = &spec.proxy {
        bare(&proxy.url)
    } else if let Some(to) = &spec.connect_to {
        Some(to.host.clone())
    } else {
        request::target(spec, scope).ok().and_then(|url| bare(&url))
    };
    let token = match spec.auth.as_deref() {
        Some(Auth::Oauth2(client)) => bare(&client.token_url.0),
        _ => None,
    };
    let mut hosts: Vec<String> = main.into_iter().chain(token).collect();
    hosts.dedup();
    hosts
}
