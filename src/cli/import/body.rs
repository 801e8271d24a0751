//! A recorded request's body as fields.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use url::form_urlencoded;

use crate::formats::har::{PostData, Request};

/// What a request sends.
#[derive(Debug, PartialEq)]
pub enum Body {
    Empty,
    Form(Vec<(String, String)>),
    Json(Value),
    Multipart(Vec<Part>),
    Text(String),
}

/// One part of a multipart body.
#[derive(Debug, PartialEq)]
pub struct Part {
    pub name: String,
    /// `None` where it is no file.
    pub file: Option<String>,
    pub mime: String,
    pub content: String,
}

/// The body of a request.
pub fn read(request: &Request) -> Body {
    let Some(data) = &request.post_data else { return Body::Empty };
    let mime = if data.mime_type.is_empty() {
        request.header("content-type").unwrap_or_default()
    } else {
        &data.mime_type
    };
    let mime_lower = mime.to_ascii_lowercase();
    let text = without_headers(&data.text);
    if mime_lower.starts_with("multipart/form-data") {
        return Body::Multipart(multipart(text, mime, data));
    }
    if text.is_empty() {
        return if data.params.is_empty() { Body::Empty } else { Body::Form(params(data)) };
    }
    if mime_lower.starts_with("application/x-www-form-urlencoded") {
        return Body::Form(form_urlencoded::parse(text.as_bytes()).into_owned().collect());
    }
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Body::Json(value),
        _ => Body::Text(text.to_owned()),
    }
}

/// Firefox has put the headers of the upload stream before a form's text.
fn without_headers(text: &str) -> &str {
    let starts = text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
    if !starts {
        return text;
    }
    text.split_once("\r\n\r\n").map_or(text, |(_, body)| body)
}

/// Fields without a text. Chrome leaves them percent-encoded.
fn params(data: &PostData) -> Vec<(String, String)> {
    data.params.iter().map(|param| (percent_decoded(&param.name), percent_decoded(&param.value))).collect()
}

fn multipart(text: &str, mime: &str, data: &PostData) -> Vec<Part> {
    let named =
        mime.split("boundary=").nth(1).map(|rest| rest.split(';').next().unwrap_or(rest).trim_matches('"'));
    let first = text.lines().next().and_then(|line| line.trim_end().strip_prefix("--"));
    let parts: Vec<Part> = match named.or(first) {
        Some(boundary) if !boundary.is_empty() => {
            text.split(&format!("--{boundary}")).filter_map(part).collect()
        }
        _ => Vec::new(),
    };
    if !parts.is_empty() {
        return parts;
    }
    let plain = |param: &crate::formats::har::Param| Part {
        name: param.name.clone(),
        file: param.file_name.clone(),
        mime: String::new(),
        content: param.value.clone(),
    };
    data.params.iter().map(plain).collect()
}

fn part(text: &str) -> Option<Part> {
    let (head, content) = text.split_once("\r\n\r\n")?;
    let disposition = head.lines().find(|line| starts(line, "content-disposition:"))?;
    let mime = head.lines().find(|line| starts(line, "content-type:")).and_then(|line| line.split_once(':'));
    Some(Part {
        name: quoted(disposition, " name=\"")?,
        file: quoted(disposition, "filename=\""),
        mime: mime.map(|(_, mime)| mime.trim().to_owned()).unwrap_or_default(),
        content: content.strip_suffix("\r\n").unwrap_or(content).to_owned(),
    })
}

fn starts(line: &str, name: &str) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

fn quoted(line: &str, key: &str) -> Option<String> {
    let (_, rest) = line.split_once(key)?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

/// Percent-decoding (RFC 3986 section 2.1); what is no UTF-8 stays as it was.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

impl Body {
    /// Every text and number with the name it stands under, at any depth.
    pub fn leaves(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        match self {
            Self::Empty => {}
            Self::Text(text) => text_leaves(text, &mut found),
            Self::Form(fields) => found.clone_from(fields),
            Self::Json(value) => json_leaves("", value, &mut found),
            Self::Multipart(parts) => {
                found.extend(parts.iter().map(|part| (part.name.clone(), part.content.clone())));
            }
        }
        found
    }
}

/// Elements and assignments of a text of an unknown format, so that no password in it is overlooked.
fn text_leaves(text: &str, found: &mut Vec<(String, String)>) {
    static LEAF: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"<([\w:.-]+)[^<>]*>([^<>]+)</|([\w.\[\]-]+)["']?\s*[=:]\s*["']?([^"'&<>\s,;]+)"#).ok()
    });
    let Some(leaf) = LEAF.as_ref() else { return };
    for matched in leaf.captures_iter(text) {
        let name = matched.get(1).or_else(|| matched.get(3));
        let value = matched.get(2).or_else(|| matched.get(4));
        if let (Some(name), Some(value)) = (name, value) {
            found.push((name.as_str().to_owned(), value.as_str().to_owned()));
        }
    }
}

fn json_leaves(name: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| json_leaves(name, value, found)),
        Value::Array(items) => items.iter().for_each(|value| json_leaves(name, value, found)),
        Value::String(text) => found.push((name.to_owned(), text.clone())),
        Value::Number(number) => found.push((name.to_owned(), number.to_string())),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(post_data: &str) -> Body {
        read(
            &serde_json::from_str(&format!(
                r#"{{"method": "POST", "url": "https://a.example/", "postData": {post_data}}}"#
            ))
            .unwrap(),
        )
    }

    fn form(fields: &[(&str, &str)]) -> Body {
        Body::Form(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_form_reads_alike_from_chrome_and_from_firefox() {
        let expected = form(&[("user", "a b"), ("pw", "ä&1")]);
        let chrome = r#"{"mimeType": "application/x-www-form-urlencoded", "text": "user=a+b&pw=%C3%A4%261",
            "params": [{"name": "user", "value": "a%20b"}, {"name": "pw", "value": "%C3%A4%261"}]}"#;
        assert_eq!(body(chrome), expected);
        let firefox = r#"{"mimeType": "application/x-www-form-urlencoded", "params": [],
            "text": "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 26\r\n\r\nuser=a+b&pw=%C3%A4%261"}"#;
        assert_eq!(body(firefox), expected);
        let no_text = r#"{"mimeType": "", "params": [{"name": "user", "value": "a%20b"}, {"name": "pw", "value": "%C3%A4%261"}]}"#;
        assert_eq!(body(no_text), expected);
    }

    #[test]
    fn multipart_keeps_its_parts() {
        let text = r#"{"mimeType": "multipart/form-data; boundary=----X", "text": "------X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n------X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n------X--\r\n"}"#;
        let Body::Multipart(parts) = body(text) else { panic!("multipart") };
        assert_eq!((parts[0].name.as_str(), parts[0].content.as_str(), &parts[0].file), ("a", "1", &None));
        assert_eq!((parts[1].file.as_deref(), parts[1].mime.as_str()), (Some("x.txt"), "text/plain"));
        assert_eq!(parts.len(), 2);
    }

    #[test]
    fn json_is_json_and_the_rest_is_text() {
        assert_eq!(
            body(r#"{"mimeType": "text/plain", "text": "{\"a\": 1}"}"#),
            Body::Json(serde_json::json!({"a": 1}))
        );
        assert_eq!(body(r#"{"mimeType": "text/plain", "text": "12"}"#), Body::Text("12".into()));
        assert_eq!(body(r#"{"mimeType": "", "text": ""}"#), Body::Empty);
    }
}
