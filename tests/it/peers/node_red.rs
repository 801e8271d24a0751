//! Node-RED, a flow editor: an API with bearer tokens of the OAuth2 password grant.
//!
//! | what | request | answer |
//! | --- | --- | --- |
//! | sign-in page | `GET /auth/login` | 200; `$.type` is `credentials` |
//! | sign in | `POST /auth/token`, a form or JSON: `client_id=node-red-admin`, `grant_type=password`, `scope=*`, `username`, `password` | right: 200, `$.access_token` (base64 with `+`, `/` and `=`), `$.expires_in` 604800; wrong: **403** with `{"error":"invalid_grant",…}`; after 5 refusals in 10 minutes: **500** with `Too many login attempts. Wait 10 minutes and try again` |
//! | dashboard | `GET /settings` with `Authorization: Bearer` | 200; `$.user.username`; without or with a dead token: 401 |
//! | write | `POST /flow`, JSON: `label`, `nodes: []`, `disabled`, `info` | 200; `$.id`, 16 hex digits |
//! | read | `GET /flow/ID` | 200; `$.label`; 404 once it is removed |
//! | remove | `DELETE /flow/ID` | 204; 404 once it is removed |
//! | search | `GET /flows` | 200; an array of all nodes, of which `$[?(@.type=='tab')]` are the flows with `label`; there is no search by text |
//! | sign out | `POST /auth/revoke`, form or JSON: `token` | 200; the token is dead |
//!
//! The client names itself in the body, without a secret; with HTTP Basic it is 401. No cookies, and
//! nothing asks for `Origin` or `Referer`.

use std::ops::{Deref, DerefMut};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::portal::{self, Portal, command, installed};
use super::{free_port, program, send};

const KEEPER_TOKEN: &str = "keeper-of-the-flows";

/// Node-RED without flows.
pub struct NodeRed {
    portal: Portal,
}

/// A flow, as Node-RED itself lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct Flow {
    pub id: String,
    pub label: String,
}

impl NodeRed {
    pub fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let port = free_port();
        std::fs::write(dir.path().join("settings.js"), include_str!("node_red.js")).unwrap();
        let mut server = command(&program("node"), dir.path());
        server
            .env("MODULES", installed("node_modules"))
            .env("PORT", port.to_string())
            .env("USERNAME", Portal::USERNAME)
            .env("PASSWORD", Portal::PASSWORD)
            .env("KEEPER_TOKEN", KEEPER_TOKEN)
            .env("ACCESS_LOG", portal::access_log(dir.path()))
            .arg(installed("node_modules/node-red/red.js"))
            .args(["--settings", "settings.js", "--userDir"])
            .arg(dir.path());
        Self { portal: Portal::start(dir, port, server, "/auth/login") }
    }

    /// Attempts to sign in, right or wrong.
    pub fn sign_ins(&self) -> usize {
        self.portal.count("POST /auth/token ")
    }

    /// The flows whose label contains the text. It must be running.
    pub fn flows(&self, text: &str) -> Vec<Flow> {
        let all: Value = self.ask("GET", "/flows", "");
        let nodes = all.as_array().unwrap_or_else(|| panic!("no array of nodes: {all}"));
        let tabs = nodes.iter().filter(|node| node["type"] == "tab");
        tabs.map(|tab| Flow {
            id: tab["id"].as_str().unwrap_or_default().to_owned(),
            label: tab["label"].as_str().unwrap_or_default().to_owned(),
        })
        .filter(|flow| flow.label.contains(text))
        .collect()
    }

    /// Writes an empty flow, and returns its id.
    pub fn create_flow(&self, label: &str) -> String {
        let flow = json!({ "label": label, "disabled": true, "nodes": [] }).to_string();
        self.ask("POST", "/flow", &flow)["id"].as_str().unwrap().to_owned()
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let authorization = format!("Bearer {KEEPER_TOKEN}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let answer = send(self.port(), method, path, &headers, body)
            .unwrap_or_else(|error| panic!("{path}: {error}; {}", self.log()));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

impl Deref for NodeRed {
    type Target = Portal;

    fn deref(&self) -> &Portal {
        &self.portal
    }
}

impl DerefMut for NodeRed {
    fn deref_mut(&mut self) -> &mut Portal {
        &mut self.portal
    }
}
