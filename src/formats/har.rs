//! HTTP Archive 1.2: what browsers write as "Save all as HAR"
//! (<http://www.softwareishard.com/blog/har-12-spec/>).
//!
//! What is read is what other programs need of a recording: requests, answers, and the hints of
//! Chrome and Firefox. Everything else is passed over. A recording is full of secrets, so that
//! nothing here can be printed, and errors never quote a value.

use serde::{Deserialize, Deserializer};

/// The longest file that is read, in bytes.
pub const LARGEST: usize = 64 * 1024 * 1024;

/// Why a file is no HAR.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HarError {
    /// Longer than [`LARGEST`].
    #[error("longer than 64 MiB; record again with fewer pages")]
    TooLong,
    /// No bytes, or white space.
    #[error("is empty")]
    Empty,
    /// It ends in the middle.
    #[error("ends in the middle (line {line}, column {column}); export it again")]
    Truncated {
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
    },
    /// No JSON.
    #[error("is no JSON (line {line}, column {column}); a HAR is what a browser's network tab exports")]
    Syntax {
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
    },
    /// JSON, but not of this format.
    #[error("is no HAR (line {line}, column {column}): {what}")]
    Shape {
        /// What is missing or wrong.
        what: String,
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
    },
}

/// A recording.
#[derive(Deserialize)]
pub struct Har {
    /// What was recorded.
    pub log: Log,
}

/// What was recorded.
#[derive(Deserialize)]
pub struct Log {
    /// Requests with their answers, in the order of the requests.
    pub entries: Vec<Entry>,
}

/// One request and its answer.
#[derive(Deserialize)]
pub struct Entry {
    /// What was asked.
    pub request: Request,
    /// What was answered; with status 0 if nothing was.
    #[serde(default, deserialize_with = "null_is_default")]
    pub response: Response,
    /// Chrome's kind of resource, such as `document`, `xhr` or `preflight`.
    #[serde(rename = "_resourceType", default)]
    pub resource: Option<String>,
}

/// A request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The method as sent.
    pub method: String,
    /// The absolute address.
    pub url: String,
    /// Header fields. Chrome lists HTTP/2's pseudo-headers too.
    #[serde(default, deserialize_with = "null_is_default")]
    pub headers: Vec<Pair>,
    /// Cookies sent.
    #[serde(default, deserialize_with = "null_is_default")]
    pub cookies: Vec<Pair>,
    /// The body.
    #[serde(default)]
    pub post_data: Option<PostData>,
}

/// A request's body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostData {
    /// Its content type.
    #[serde(default, deserialize_with = "null_is_default")]
    pub mime_type: String,
    /// Its text; preferred to `params`, whose values Chrome leaves percent-encoded.
    #[serde(default, deserialize_with = "null_is_default")]
    pub text: String,
    /// Its fields.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Vec<Param>,
}

/// One field of a form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Param {
    /// The field's name.
    pub name: String,
    /// Its value.
    #[serde(default, deserialize_with = "null_is_default")]
    pub value: String,
    /// The name of an uploaded file.
    #[serde(default)]
    pub file_name: Option<String>,
}

/// An answer.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The status; 0 or less where a request was blocked or given up.
    #[serde(default, deserialize_with = "null_is_default")]
    pub status: i64,
    /// Header fields.
    #[serde(default, deserialize_with = "null_is_default")]
    pub headers: Vec<Pair>,
    /// Cookies set.
    #[serde(default, deserialize_with = "null_is_default")]
    pub cookies: Vec<Pair>,
    /// The body.
    #[serde(default, deserialize_with = "null_is_default")]
    pub content: Content,
    /// Where a redirect leads, or "".
    #[serde(rename = "redirectURL", default, deserialize_with = "null_is_default")]
    pub redirect: String,
}

/// An answer's body.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Its content type.
    #[serde(default, deserialize_with = "null_is_default")]
    pub mime_type: String,
    /// The text; browsers often leave it out.
    #[serde(default)]
    pub text: Option<String>,
    /// `base64`, if `text` is that.
    #[serde(default)]
    pub encoding: Option<String>,
}

/// A name and its value.
#[derive(Deserialize)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value.
    #[serde(default, deserialize_with = "null_is_default")]
    pub value: String,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a recording.
///
/// # Errors
///
/// [`HarError`], with the place.
pub fn parse(bytes: &[u8]) -> Result<Har, HarError> {
    use serde_json::error::Category;

    if bytes.len() > LARGEST {
        return Err(HarError::TooLong);
    }
    // The format allows a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(HarError::Empty);
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => HarError::Truncated { line, column },
            Category::Data => HarError::Shape { what: without_values(&error.to_string()), line, column },
            Category::Syntax | Category::Io => HarError::Syntax { line, column },
        }
    })
}

/// A message of serde's without the value it quotes and without the place it repeats.
fn without_values(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if message.starts_with("missing field") => message.to_owned(),
        None => "not of the form of HTTP Archive 1.2".to_owned(),
    }
}

impl Response {
    /// The first header field of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text, if it was recorded and is text.
    pub fn text(&self) -> Option<String> {
        use base64::Engine as _;

        let text = self.content.text.as_ref().filter(|text| !text.is_empty())?;
        if self.content.encoding.as_deref() != Some("base64") {
            return Some(text.clone());
        }
        // Firefox has called plain text base64 (its bug 1762313).
        match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(bytes) => String::from_utf8(bytes).ok(),
            Err(_) => Some(text.clone()),
        }
    }
}

impl Request {
    /// The first header field of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(pairs: &'a [Pair], name: &str) -> Option<&'a str> {
    pairs.iter().find(|pair| pair.name.eq_ignore_ascii_case(name)).map(|pair| pair.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> HarError {
        parse(text.as_bytes()).err().unwrap()
    }

    #[test]
    fn what_is_no_har_is_refused_with_its_place() {
        assert_eq!(error(" \n"), HarError::Empty);
        assert_eq!(error("{\n  \"log\": {"), HarError::Truncated { line: 2, column: 10 });
        assert_eq!(error("<html>"), HarError::Syntax { line: 1, column: 1 });
        let HarError::Shape { what, .. } = error(r#"{"portals": {}}"#) else { panic!("a shape") };
        assert_eq!(what, "missing field `log`");
        assert_eq!(parse(&vec![b' '; LARGEST + 1]).err(), Some(HarError::TooLong));
    }

    #[test]
    fn an_error_never_quotes_what_was_recorded() {
        for text in [
            r#"{"log": {"entries": "hunter2 at line 7"}}"#,
            r#"{"log": {"entries": [{"request": {"method": "GET", "url": "/", "headers": "a, expected hunter2"}}]}}"#,
            r#"{"log": {"entries": [{"request": "hunter2"}]}}"#,
        ] {
            let said = error(text).to_string();
            assert!(!said.contains("hunter2") && said.contains("line 1, column "), "{said}");
        }
    }

    #[test]
    fn nulls_gaps_and_a_byte_order_mark_are_read() {
        let text = "\u{feff}{\"log\": {\"entries\": [
            {\"request\": {\"method\": \"GET\", \"url\": \"https://a.example/\", \"headers\": null}, \"response\": null},
            {\"request\": {\"method\": \"GET\", \"url\": \"https://a.example/\"},
             \"response\": {\"status\": 200, \"content\": {\"text\": \"aGk=\", \"encoding\": \"base64\"}}},
            {\"request\": {\"method\": \"GET\", \"url\": \"https://a.example/\"},
             \"response\": {\"status\": 200, \"content\": {\"text\": \"<p>hi</p>\", \"encoding\": \"base64\"}}}]}}";
        let har = parse(text.as_bytes()).ok().unwrap();
        assert_eq!(har.log.entries[0].response.status, 0);
        assert_eq!(har.log.entries[1].response.text().as_deref(), Some("hi"));
        assert_eq!(har.log.entries[2].response.text().as_deref(), Some("<p>hi</p>"));
    }
}
