//! Commands that show a finding to whoever looks into it; secrets appear by their names.

use std::borrow::Cow;

use super::request;
use super::spec::{Addresses, Auth, Spec};
use crate::model::Text;
use crate::net::HttpVersion;
use crate::probe::Scope;
use crate::probe::web::mask;
use crate::probe::web::shell::quote;

/// [`super::Http`]'s commands.
pub fn commands(spec: &Spec, scope: &Scope) -> Vec<String> {
    let mut commands = Vec::new();
    if let Some(Auth::Oauth2(client)) = spec.auth.as_deref() {
        let user = format!("{}:<{}>", client.client_id, client.client_secret.shown());
        let mut parts = vec!["curl -sS -u".to_owned(), quote(&user)];
        parts.extend(["-d".to_owned(), quote("grant_type=client_credentials")]);
        if !client.scopes.is_empty() {
            parts.extend([
                "--data-urlencode".to_owned(),
                quote(&format!("scope={}", client.scopes.join(" "))),
            ]);
        }
        parts.push(quote(client.token_url.0.as_str()));
        commands.push(parts.join(" "));
    }
    commands.extend(curl(spec, scope));
    commands.push(format!("portalwatch check {} --explain", quote(scope.check.as_str())));
    commands
}

fn curl(spec: &Spec, scope: &Scope) -> Option<String> {
    let url = shown_url(spec, scope)?;
    let mut parts = vec![format!("curl -sS -i --max-time {}", scope.timeout.as_secs().max(1))];
    match request::method(spec) {
        http::Method::GET => {}
        http::Method::HEAD => parts.push("-I".to_owned()),
        method => parts.push(format!("-X {}", quote(method.as_str()))),
    }
    let mut option = |name: &str, value: &str| parts.extend([name.to_owned(), quote(value)]);
    for (name, _, text) in spec.headers.iter().flat_map(|headers| headers.0.iter()) {
        let private = *name == http::header::COOKIE || mask::looks_secret(name.as_str());
        let shown = shown(text, private);
        option("-H", &format!("{name}: {shown}"));
    }
    match spec.auth.as_deref() {
        Some(Auth::Basic(basic)) => {
            option("-u", &format!("{}:<{}>", basic.username, basic.password.shown()));
        }
        Some(Auth::Bearer(token)) => option("-H", &format!("Authorization: Bearer <{}>", token.shown())),
        Some(Auth::Oauth2(_)) => option("-H", "Authorization: Bearer <access token>"),
        None => {}
    }
    if let Some(text) = &spec.body {
        option("--data-raw", &text.shown());
    }
    if let Some(json) = &spec.json {
        option("-H", "Content-Type: application/json");
        option("--data-raw", &json.to_string());
    }
    for (name, text) in spec.form.iter().flat_map(|form| form.0.iter()) {
        let shown = shown(text, mask::looks_secret(name));
        option("--data-urlencode", &format!("{name}={shown}"));
    }
    if let Some(to) = &spec.connect_to {
        option("--connect-to", &format!("::{to}"));
    }
    if let Some(proxy) = &spec.proxy {
        option("-x", &mask::url(&proxy.url, &[]));
        if let Some(user) = &proxy.username {
            let password = proxy
                .password
                .as_ref()
                .map_or_else(String::new, |password| format!("<{}>", password.shown()));
            option("-U", &format!("{user}:{password}"));
        }
    }
    let flags = [
        (spec.version.0 == HttpVersion::Http1, "--http1.1"),
        (spec.version.0 == HttpVersion::Http2, "--http2"),
        (spec.addresses == Addresses::V4, "-4"),
        (spec.addresses == Addresses::V6, "-6"),
    ];
    parts.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag.to_owned()));
    parts.push(quote(&url));
    Some(parts.join(" "))
}

/// The text; a secret by its name, and one that was written down in plain not at all.
fn shown(text: &Text, private: bool) -> Cow<'_, str> {
    if private && !text.is_secret() { Cow::Borrowed("***") } else { text.shown() }
}

/// The address with the spec's query; a secret stands there by its name, as it is.
fn shown_url(spec: &Spec, scope: &Scope) -> Option<String> {
    let url = request::target(spec, scope).ok()?;
    let mut address = mask::url(&url, &[]);
    for (name, text) in spec.query.iter().flat_map(|query| query.0.iter()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        let encode = |part: &str| url::form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>();
        let private = text.is_secret() || mask::looks_secret(name);
        let value = if private { shown(text, true).into_owned() } else { encode(text.expose()) };
        address.push_str(&format!("{}={value}", encode(name)));
    }
    Some(address)
}
