//! The draft as data: what a journey's config says, with what a person must look at beside it.

use serde_json::Value;
use url::Url;

use super::sources::Source;

/// A whole config with one portal and one check.
pub struct Draft {
    pub portal: String,
    pub check: String,
    pub origin: Url,
    /// About the whole.
    pub notes: Vec<String>,
    pub identity: Option<Identity>,
    /// Cookie and header.
    pub csrf: Option<Noted<(String, String)>>,
    /// The name of a capture.
    pub bearer: Option<Noted<String>>,
    pub steps: Vec<Step>,
    pub cleanup: Vec<Step>,
    pub sweep: Vec<Sweep>,
    pub sign_out: Option<Step>,
}

/// A thing, and what to look at.
pub struct Noted<T> {
    pub what: T,
    pub notes: Vec<String>,
}

/// Who signs in; secrets are references to the environment.
#[derive(Default)]
pub struct Identity {
    pub username: Option<String>,
    pub password: bool,
    pub totp: bool,
    pub token: bool,
    pub oauth2: Option<Grant>,
    pub notes: Vec<String>,
}

/// A password grant (RFC 6749 section 4.3).
#[derive(Clone)]
pub struct Grant {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: bool,
    pub scopes: Vec<String>,
}

/// One step.
pub struct Step {
    pub name: Option<String>,
    pub notes: Vec<String>,
    pub write: bool,
    pub ask: Ask,
    /// Where a form leads beside the portal's origin.
    pub origin: Option<String>,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, Text)>,
    pub payload: Payload,
    /// Statuses; empty for the default.
    pub status: Vec<i64>,
    pub final_url: Option<Landing>,
    pub captures: Vec<Capture>,
}

/// What a step asks.
pub enum Ask {
    /// The method in lower case, and a path or an address.
    Request(String, String),
    /// A captured form.
    Submit(String),
}

/// A template, or the variable of a secret.
#[derive(Clone)]
pub enum Text {
    Template(String),
    Env(String),
}

/// What a step sends; texts are templates.
pub enum Payload {
    Empty,
    Form(Vec<(String, String)>),
    Json(Value),
    Multipart(Vec<(String, Field)>),
    Text(String),
}

/// One part of a multipart body.
pub enum Field {
    Text(String),
    File { file_name: String, content_type: String, content: String },
}

/// Where redirects end.
pub enum Landing {
    Equals(String),
    Contains(String),
}

/// What a step takes from its answer.
#[derive(Clone)]
pub struct Capture {
    pub name: String,
    pub source: Source,
    pub keep: bool,
    pub notes: Vec<String>,
}

/// Finds what a crash left behind.
pub struct Sweep {
    pub notes: Vec<String>,
    pub find: Step,
    pub each: Source,
    pub then: Step,
}

impl Step {
    pub fn request(method: &str, target: String) -> Self {
        Self {
            name: None,
            notes: Vec::new(),
            write: false,
            ask: Ask::Request(method.to_ascii_lowercase(), target),
            origin: None,
            query: Vec::new(),
            headers: Vec::new(),
            payload: Payload::Empty,
            status: Vec::new(),
            final_url: None,
            captures: Vec::new(),
        }
    }
}
