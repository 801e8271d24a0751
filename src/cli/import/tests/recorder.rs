//! Recordings as browsers write them.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::super::{Made, build::Names, draft};
use crate::formats::har;

/// One request with its answer.
pub struct Exchange(Value);

pub fn ask(method: &str, url: &str) -> Exchange {
    Exchange(json!({
        "startedDateTime": "2026-11-25T10:00:00.000Z",
        "time": 12.5,
        "request": { "method": method, "url": url, "httpVersion": "h2", "headers": [
            {"name": ":authority", "value": "portal.acme.example"},
            {"name": "user-agent", "value": "Mozilla/5.0"},
            {"name": "referer", "value": "https://portal.acme.example/"},
            {"name": "sec-ch-ua", "value": "\"Chromium\""},
        ], "cookies": [], "queryString": [], "headersSize": -1, "bodySize": 0 },
        "response": { "status": 200, "statusText": "", "headers": [], "cookies": [], "redirectURL": "",
            "content": { "size": 0, "mimeType": "x-unknown" }, "headersSize": -1, "bodySize": -1 },
        "cache": {}, "timings": {}, "_resourceType": "document",
    }))
}

impl Exchange {
    pub fn kind(mut self, kind: &str) -> Self {
        self.0["_resourceType"] = kind.into();
        self
    }

    /// As Firefox has it: without Chrome's own members.
    pub fn firefox(mut self) -> Self {
        self.0.as_object_mut().unwrap().remove("_resourceType");
        self
    }

    pub fn status(mut self, status: i64) -> Self {
        self.0["response"]["status"] = status.into();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0["request"]["headers"].as_array_mut().unwrap().push(json!({"name": name, "value": value}));
        self
    }

    pub fn form(mut self, text: &str) -> Self {
        self.0["request"]["postData"] =
            json!({"mimeType": "application/x-www-form-urlencoded", "text": text});
        self
    }

    pub fn json(mut self, value: &Value) -> Self {
        self.0["_resourceType"] = "fetch".into();
        self.0["request"]["postData"] = json!({"mimeType": "application/json", "text": value.to_string()});
        self
    }

    pub fn raw(mut self, mime: &str, text: &str) -> Self {
        self.0["request"]["postData"] = json!({"mimeType": mime, "text": text});
        self
    }

    pub fn answered(mut self, name: &str, value: &str) -> Self {
        self.0["response"]["headers"].as_array_mut().unwrap().push(json!({"name": name, "value": value}));
        self
    }

    pub fn page(mut self, html: &str) -> Self {
        self.0["response"]["content"] = json!({"mimeType": "text/html; charset=utf-8", "text": html});
        self
    }

    pub fn data(mut self, value: &Value) -> Self {
        self.0["response"]["content"] = json!({"mimeType": "application/json", "text": value.to_string()});
        if self.0["_resourceType"] == "document" {
            self.0["_resourceType"] = "xhr".into();
        }
        self
    }

    pub fn redirect(mut self, location: &str) -> Self {
        self.0["response"]["status"] = 302.into();
        self.0["response"]["redirectURL"] = location.into();
        self.answered("location", location)
    }
}

pub fn recording(exchanges: Vec<Exchange>) -> har::Har {
    let entries: Vec<Value> = exchanges.into_iter().map(|exchange| exchange.0).collect();
    let har = json!({"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"}, "pages": [], "entries": entries}});
    har::parse(har.to_string().as_bytes()).ok().unwrap()
}

pub fn made(exchanges: Vec<Exchange>) -> Made {
    draft(&recording(exchanges), None, Names { portal: None, check: None }).unwrap()
}

/// The draft's text, which is a config without faults.
pub fn imported(exchanges: Vec<Exchange>) -> String {
    let yaml = made(exchanges).yaml;
    valid(&yaml);
    yaml
}

/// Panics at what `config validate` would refuse once the variables are set.
pub fn valid(yaml: &str) {
    static VARIABLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{ env: [A-Z0-9_]+ \}").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("draft.yaml");
    // The environment of a test cannot be set. The value is base32, as a TOTP secret must be.
    let set = VARIABLE.replace_all(yaml, "{ insecure_literal: GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ }");
    std::fs::write(&path, set.as_bytes()).unwrap();
    if let Err(faults) = crate::app::plan(&path) {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("{}\n{yaml}", lines.join("\n"));
    }
}

/// The draft as a value; panics at what is no YAML.
pub fn readable(yaml: &str) -> Value {
    crate::formats::yaml::from_str("draft.yaml", yaml).unwrap_or_else(|faults| panic!("{faults:?}\n{yaml}"))
}
