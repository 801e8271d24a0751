//! The request a spec stands for.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

use super::spec::{Addresses, Auth, Spec};
use crate::model::Secret;
use crate::net::{ConnectTo, Family, Origin, Proxy, Via};
use crate::probe::Scope;
use crate::probe::web::mask;
use crate::probe::web::values::{Fields, basic_credentials};

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The method.
    pub method: Method,
    /// Where to, with the query.
    pub url: Url,
    /// All headers.
    pub headers: HeaderMap,
    /// The headers that must not reach another origin.
    pub private_headers: Vec<HeaderName>,
    /// The body.
    pub body: Bytes,
    /// The body holds secrets.
    pub secret_body: bool,
}

/// The address a spec means, without its extra query.
///
/// # Errors
/// The key that is wrong, and what is wrong with it.
pub fn target(spec: &Spec, scope: &Scope) -> Result<Url, (&'static str, String)> {
    if let Some(url) = &spec.url {
        return Ok((*url.0).clone());
    }
    let Some(portal) = &scope.portal.url else {
        let key = if spec.path.is_some() { "path" } else { "url" };
        return Err((key, "the portal has no url; give it one, or the check a url of its own".to_owned()));
    };
    let mut url = portal.clone();
    let Some(path) = &spec.path else {
        return Ok(url);
    };
    if !path.starts_with('/') {
        return Err(("path", format!("{path:?} does not start with a slash; write \"/{path}\"")));
    }
    let (path, query) = path.split_once('?').map_or((&**path, None), |(path, query)| (path, Some(query)));
    url.set_path(path);
    url.set_query(query);
    url.set_fragment(None);
    Ok(url)
}

/// The names of query parameters that are secrets.
pub fn secret_parameters(spec: &Spec) -> Vec<&str> {
    spec.query
        .iter()
        .flat_map(|query| query.0.iter())
        .filter(|(_, text)| text.is_secret())
        .map(|(name, _)| &**name)
        .collect()
}

/// The method: the one given, else GET, or POST where there is a body.
pub fn method(spec: &Spec) -> Method {
    spec.method.as_ref().map(|verb| verb.0.clone()).unwrap_or_else(|| {
        let body = spec.body.is_some() || spec.json.is_some() || spec.form.is_some();
        if body { Method::POST } else { Method::GET }
    })
}

/// Builds the request; `token` is the access token where the spec asks for one.
///
/// # Errors
/// One sentence about the setting that makes no request.
pub fn prepare(spec: &Spec, scope: &Scope, token: Option<&Secret>) -> Result<Prepared, String> {
    let mut url = target(spec, scope).map_err(|(_, why)| why)?;
    if let Some(query) = &spec.query {
        url.query_pairs_mut().extend_pairs(query.0.iter().map(|(name, text)| (&**name, text.expose())));
    }
    let mut headers = HeaderMap::new();
    let mut private_headers = vec![header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];
    for (name, value, text) in spec.headers.iter().flat_map(|headers| headers.0.iter()) {
        headers.append(name.clone(), value.clone());
        if text.is_secret() || mask::looks_secret(name.as_str()) {
            private_headers.push(name.clone());
        }
    }
    if let Some(value) = authorization(spec.auth.as_deref(), token)? {
        headers.insert(header::AUTHORIZATION, value);
    }
    let (body, kind, secret_body) = body(spec)?;
    if let Some(kind) = kind
        && !headers.contains_key(header::CONTENT_TYPE)
    {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Ok(Prepared { method: method(spec), url, headers, private_headers, body, secret_body })
}

fn authorization(auth: Option<&Auth>, token: Option<&Secret>) -> Result<Option<HeaderValue>, String> {
    let text = match (auth, token) {
        (None, _) | (Some(Auth::Oauth2(_)), None) => return Ok(None),
        (Some(Auth::Basic(basic)), _) => basic_credentials(&basic.username, &basic.password),
        (Some(Auth::Bearer(token)), _) | (Some(Auth::Oauth2(_)), Some(token)) => {
            format!("Bearer {}", token.expose())
        }
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| "the credentials hold characters that no header can hold".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn body(spec: &Spec) -> Result<(Bytes, Option<&'static str>, bool), String> {
    if let Some(text) = &spec.body {
        return Ok((Bytes::copy_from_slice(text.expose().as_bytes()), None, text.is_secret()));
    }
    if let Some(json) = &spec.json {
        let text = serde_json::to_vec(json).map_err(|error| format!("json cannot be written: {error}"))?;
        return Ok((text.into(), Some("application/json"), false));
    }
    if let Some(Fields(fields)) = spec.form.as_deref() {
        let text: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields.iter().map(|(name, text)| (&**name, text.expose())))
            .finish();
        let secret = fields.iter().any(|(name, text)| text.is_secret() || mask::looks_secret(name));
        return Ok((text.into(), Some("application/x-www-form-urlencoded"), secret));
    }
    Ok((Bytes::new(), None, false))
}

/// How the host is reached.
pub fn via(spec: &Spec, scope: &Scope) -> Via {
    Via {
        origin: Origin::Portal { private: scope.portal.private },
        resolvers: scope.resolvers.clone(),
        tls: scope.tls.clone(),
        family: match spec.addresses {
            Addresses::First | Addresses::All => Family::Any,
            Addresses::V4 => Family::V4,
            Addresses::V6 => Family::V6,
        },
        connect_to: spec.connect_to.as_ref().map(|to| ConnectTo::Host(to.host.clone(), to.port)),
        proxy: spec.proxy.as_ref().map(|proxy| Proxy {
            url: proxy.url.clone(),
            credentials: proxy.username.clone().map(|name| {
                (name, proxy.password.clone().unwrap_or_else(|| Secret::new(String::new(), "no password")))
            }),
        }),
        version: spec.version.0,
    }
}
