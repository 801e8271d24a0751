//! From a step to the request that is sent. Pure.

use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::capture::Form;
use super::fields::{Multipart, Part, WordFields};
use super::step::{Action, Step};
use super::template::{Place, Vars};
use crate::probe::web::mask;
use crate::probe::web::values::Name;

/// What a browser accepts when it navigates, and what its scripts accept.
const ACCEPTS: &str = "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8";
const ACCEPTS_JSON: &str = "application/json,*/*;q=0.8";

/// What earlier steps left for later ones.
pub struct Found<'a> {
    /// The variables of templates.
    pub vars: &'a Vars,
    /// A captured form, by name.
    pub form: &'a dyn Fn(&str) -> Option<Form>,
    /// A captured link, by name.
    pub link: &'a dyn Fn(&str) -> Option<Url>,
    /// The portal's address.
    pub portal: &'a Url,
}

/// A request of a step.
#[derive(Debug)]
pub struct Rendered {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The headers that the step wrote, and what describes the body.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The headers that must not reach another origin.
    pub private_headers: Vec<HeaderName>,
}

/// Makes the request of a step.
///
/// # Errors
/// One sentence about why there is none to send; it holds no value.
pub fn render(step: &Step, found: &Found<'_>) -> Result<Rendered, String> {
    let (method, mut url, form) = target(step, found)?;
    let (mut headers, private_headers) = written_headers(step, found.vars)?;
    let mut query = fields(step.query.as_deref(), found.vars)?;
    let (body, kind) = match &form {
        Some(form) => form_body(step, form, found, &mut url, &mut query)?,
        None => body(step, found.vars)?,
    };
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    if let Some(kind) = kind.and_then(|kind| HeaderValue::try_from(kind).ok()) {
        headers.entry(CONTENT_TYPE).or_insert(kind);
    }
    let accepts = if step.json.is_some() { ACCEPTS_JSON } else { ACCEPTS };
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static(accepts));
    Ok(Rendered { method, url, headers, body, private_headers })
}

/// The headers of the config, and which of them must not reach another origin.
fn written_headers(step: &Step, vars: &Vars) -> Result<(HeaderMap, Vec<HeaderName>), String> {
    let mut headers = HeaderMap::new();
    let mut private = Vec::new();
    for (Name(name), words) in step.headers.iter().flat_map(|headers| headers.0.iter()) {
        let text = words.render(Place::Header, vars).map_err(|error| error.to_string())?;
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| format!("header {name} holds a character that no header can hold"))?;
        let telling = *name == COOKIE || mask::looks_secret(name.as_str());
        if telling || !words.is_plain() {
            value.set_sensitive(true);
            private.push(name.clone());
        }
        headers.append(name.clone(), value);
    }
    Ok((headers, private))
}

/// The method and the address, and the form that is submitted.
fn target(step: &Step, found: &Found<'_>) -> Result<(Method, Url, Option<Form>), String> {
    match step.action() {
        Some(Action::Request(method, template)) => {
            let path = template.render(Place::Path, found.vars).map_err(|error| error.to_string())?;
            let url = address(template.source(), &path, found.portal)?;
            Ok((method, url, None))
        }
        Some(Action::Submit(name)) => {
            let form = (found.form)(name).ok_or_else(|| format!("no step has captured the form {name:?}"))?;
            leads_home("the form", name, &form.action, step, found.portal)?;
            let method = form.method.clone();
            // A form that GETs replaces the query of its address (HTML, "mutate action URL").
            let mut url = form.action.clone();
            if method == Method::GET {
                url.set_query(None);
            }
            Ok((method, url, Some(form)))
        }
        Some(Action::Follow(name)) => {
            let url = (found.link)(name).ok_or_else(|| format!("no step has captured the link {name:?}"))?;
            leads_home("the link", name, &url, step, found.portal)?;
            Ok((Method::GET, url, None))
        }
        None => Err("the step has no request".to_owned()),
    }
}

/// The origin that a template names literally, before its first value.
pub fn literal_origin(source: &str) -> Option<Url> {
    let literal = source.split("{{").next().unwrap_or_default();
    let rest = literal.strip_prefix("https://").or_else(|| literal.strip_prefix("http://"))?;
    // Without a slash, question mark or the end of the text the value would be a part of the host.
    let whole = literal.len() == source.len() || rest.contains(['/', '?']);
    let url = Url::parse(literal).ok()?;
    (whole && url.host_str().is_some_and(|host| !host.is_empty())).then_some(url)
}

fn address(source: &str, rendered: &str, portal: &Url) -> Result<Url, String> {
    if let Some(origin) = literal_origin(source) {
        let url = Url::parse(rendered).map_err(|error| format!("{source:?} makes no address: {error}"))?;
        let same = url.origin() == origin.origin() && url.username().is_empty() && url.password().is_none();
        return if same { Ok(url) } else { Err(format!("{source:?} would lead to another origin")) };
    }
    if !rendered.starts_with('/') {
        return Err(format!("{source:?} makes no path: it does not start with a slash"));
    }
    let mut url = portal.clone();
    let rendered = rendered.split('#').next().unwrap_or_default();
    let (path, query) =
        rendered.split_once('?').map_or((rendered, None), |(path, query)| (path, Some(query)));
    url.set_path(path);
    url.set_query(query);
    url.set_fragment(None);
    Ok(url)
}

/// A page may name any address as the target of its form; what is typed into it stays with the portal
/// and the origin that the step names.
fn leads_home(what: &str, name: &str, to: &Url, step: &Step, portal: &Url) -> Result<(), String> {
    let named = step.origin.as_ref().map(|origin| origin.0.origin());
    if to.origin() == portal.origin() || named == Some(to.origin()) {
        return Ok(());
    }
    let origin = to.origin().ascii_serialization();
    Err(format!("{what} {name:?} leads to {origin}; if that is meant, write `origin: {origin}` in the step"))
}

fn fields(fields: Option<&WordFields>, vars: &Vars) -> Result<Vec<(String, String)>, String> {
    let mut rendered = Vec::new();
    for (name, words) in fields.iter().flat_map(|fields| fields.0.iter()) {
        let value = words.render(Place::Text, vars).map_err(|error| error.to_string())?;
        rendered.push((name.to_string(), value.into_owned()));
    }
    Ok(rendered)
}

type Body = (Bytes, Option<String>);

const URLENCODED: &str = "application/x-www-form-urlencoded";

fn body(step: &Step, vars: &Vars) -> Result<Body, String> {
    if let Some(json) = &step.json {
        let document = json.render(vars).map_err(|error| error.to_string())?;
        let text =
            serde_json::to_vec(&document).map_err(|error| format!("json cannot be written: {error}"))?;
        return Ok((text.into(), Some("application/json".to_owned())));
    }
    if step.form.is_some() {
        return Ok((urlencoded(&fields(step.form.as_deref(), vars)?), Some(URLENCODED.to_owned())));
    }
    if let Some(parts) = &step.multipart {
        return multipart(parts, vars);
    }
    if let Some(words) = &step.body {
        let text = words.render(Place::Text, vars).map_err(|error| error.to_string())?;
        return Ok((Bytes::copy_from_slice(text.as_bytes()), None));
    }
    Ok((Bytes::new(), None))
}

fn urlencoded(fields: &[(String, String)]) -> Bytes {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into()
}

/// The form as a browser submits it (HTML, "form submission algorithm"): the fields of the page, with
/// those of the step in their places.
fn form_body(
    step: &Step,
    form: &Form,
    found: &Found<'_>,
    url: &mut Url,
    query: &mut Vec<(String, String)>,
) -> Result<Body, String> {
    let mut all = form.fields.clone();
    for (name, value) in fields(step.form.as_deref(), found.vars)? {
        // All of that name give way, such as the hidden "0" that stands before a checkbox.
        let place = all.iter().position(|(known, _)| *known == name).unwrap_or(all.len());
        all.retain(|(known, _)| *known != name);
        all.insert(place, (name, value));
    }
    if form.method == Method::GET {
        all.append(query);
        *query = all;
        url.set_fragment(None);
        return Ok((Bytes::new(), None));
    }
    if form.multipart {
        let parts = all.iter().map(|(name, value)| Ready { name, file: None, content: value.as_bytes() });
        return Ok(joined(parts.collect()));
    }
    Ok((urlencoded(&all), Some(URLENCODED.to_owned())))
}

/// A part, ready to be written.
struct Ready<'a> {
    name: &'a str,
    /// Its file name and media type.
    file: Option<(String, &'a str)>,
    content: &'a [u8],
}

fn multipart(parts: &Multipart, vars: &Vars) -> Result<Body, String> {
    let mut contents = Vec::new();
    for (name, part) in &parts.0 {
        let (file, template) = match part {
            Part::Field(template) => (None, template),
            Part::File(file) => {
                let name = file.file_name.render(Place::Text, vars).map_err(|error| error.to_string())?;
                let kind = file.content_type.as_deref().unwrap_or("application/octet-stream");
                (Some((name.into_owned(), kind)), &file.content)
            }
        };
        let content = template.render(Place::Text, vars).map_err(|error| error.to_string())?;
        contents.push((name, file, content));
    }
    let ready = contents.iter().map(|(name, file, content)| Ready {
        name,
        file: file.clone(),
        content: content.as_bytes(),
    });
    Ok(joined(ready.collect()))
}

/// `multipart/form-data` (RFC 7578), names escaped as browsers do it (HTML, "multipart/form-data
/// encoding algorithm").
fn joined(parts: Vec<Ready<'_>>) -> Body {
    let boundary = boundary(&parts);
    let escape = |text: &str| text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut body: Vec<u8> = Vec::new();
    for part in parts {
        let mut head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", escape(part.name));
        if let Some((name, kind)) = part.file {
            head.push_str(&format!("; filename=\"{}\"\r\nContent-Type: {kind}", escape(&name)));
        }
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(part.content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (body.into(), Some(format!("multipart/form-data; boundary={boundary}")))
}

/// A boundary that no part can hold: made of their digest.
fn boundary(parts: &[Ready<'_>]) -> String {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    parts.iter().for_each(|part| digest.update(part.content));
    let digest = digest.finish();
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_ref());
    format!("portalwatch{}", text.replace(['-', '_'], "x"))
}

#[cfg(test)]
mod tests;
