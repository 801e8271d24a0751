//! Roundup, an issue tracker: sign-in by a form with a one-time token, checks of `Origin` and
//! `Referer`, and refusals that are redirects.
//!
//! Everything is under `/tracker/`, and the `Host` must be the one of [`Portal::url`].
//!
//! | what | request | answer |
//! | --- | --- | --- |
//! | sign-in page | `GET /tracker/` | 200; `form:has(input[name=__login_name])` (no id, no name) has the hidden `@action=Login`, `@csrf`, `__came_from` and more; two other forms have an `@csrf` of their own or none |
//! | sign in | `POST /tracker/`: `__login_name`, `__login_password`, hidden fields | right: 302 to `/tracker/?@ok_message=Welcome+probe!` and the cookie `roundup_session_…` (`HttpOnly`, `SameSite=Lax`, `Path=/tracker/`, `/` and `+` in its value); wrong: 302 to `?@error_message=Invalid+login`, no cookie; from the fourth refusal in a minute on, right or wrong: 302 to `?@error_message=Logins+occurring+too+fast…` with `Retry-After` |
//! | dashboard | `GET /tracker/` | 200 for everyone, with `Hello, probe` for those signed in |
//! | for members alone | `GET /tracker/rest/data/issue` | 200; 403 for others. All HTML pages are 200 for everyone, at most with a message |
//! | form of the write | `GET /tracker/issue?@template=item` | 200; `form[name=itemSynopsis]`, with `@action=new`, `@csrf`, `@template`, `@required` hidden |
//! | write | `POST /tracker/issue`: `title`, `priority` (`bug` or its id), optional `@note`, hidden fields; urlencoded or multipart | 302 to `/tracker/issueN?@ok_message=…`; there the `action` of `form[name=itemSynopsis]` is `issueN`. A field missing: 200 with `.error-message` |
//! | read | `GET /tracker/issueN` | 200; `input[name=title]` has the title as `value`; retired issues look the same |
//! | remove | `POST /tracker/issueN`: `form[name=itemSynopsis]` of that page with `@action=retire` | 200 with `Issue N has been retired`, also when it was already |
//! | search | `GET /tracker/rest/data/issue?title=TEXT` | 200; `$.data.collection[*].id`, retired ones left out |
//! | sign out | `GET /tracker/?@action=logout` | 302; the session is over |
//!
//! A POST with a foreign `Origin` or `Referer`, or with an `@csrf` used before, is a 200 with a message
//! in `.error-message`. Anonymous visitors may read issues in HTML.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::portal::{self, Portal, command, installed, output, site};
use super::{free_port, is_root};

/// The port of the prepared tracker's address, replaced in each copy.
const PREPARED: &str = "http://127.0.0.1:1/";

const ASK: &str = r#"
import json, sys
import roundup.instance

db = roundup.instance.open(sys.argv[1]).open("admin")
issues = [(id, db.issue.get(id, "title"), bool(db.issue.is_retired(id))) for id in db.issue.getnodeids()]
print(json.dumps([dict(id=i, title=t, retired=r) for i, t, r in issues if sys.argv[2] in (t or "")]))
"#;

/// A tracker of the classic template. Users may also retire issues, which is how a test cleans up.
pub struct Roundup {
    portal: Portal,
}

/// An issue, as the tracker's own database has it.
#[derive(Debug, Deserialize)]
pub struct Issue {
    pub id: String,
    pub title: String,
    pub retired: bool,
}

impl Roundup {
    pub fn start() -> Self {
        let dir = site("roundup", include_str!("roundup.rs"), build);
        let port = free_port();
        let config = dir.path().join("tracker/config.ini");
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains(PREPARED), "no address in {}", config.display());
        std::fs::write(&config, text.replace(PREPARED, &format!("http://127.0.0.1:{port}/"))).unwrap();
        let mut server = command(&installed("venv/bin/roundup-server"), dir.path());
        if is_root() {
            // It refuses to run as root, unless it is told so.
            server.args(["-u", "root", "-g", "root"]);
        }
        // A forked child would go on serving its connection after the server is gone.
        server.args(["-t", "thread", "-n", "127.0.0.1", "-p", &port.to_string(), "-l"]);
        server.arg(portal::access_log(dir.path())).arg("tracker=tracker");
        Self { portal: Portal::start(dir, port, server, "/tracker/") }
    }

    /// Attempts to sign in, right or wrong.
    pub fn sign_ins(&self) -> usize {
        self.portal.count("POST /tracker/ ")
    }

    /// The issues, alive and retired, whose title contains the text. Works while it is stopped, too.
    pub fn issues(&self, text: &str) -> Vec<Issue> {
        let mut ask = command(&installed("venv/bin/python"), self.dir());
        serde_json::from_str(&output(ask.args(["-c", ASK, "tracker", text]))).unwrap()
    }

    /// Writes an issue by `roundup-admin`, and returns its id.
    pub fn create_issue(&self, title: &str) -> String {
        let title = format!("title={title}");
        output(admin(self.dir()).args(["create", "issue", &title, "priority=bug"])).trim().to_owned()
    }

    /// Retires an issue by `roundup-admin`.
    pub fn retire_issue(&self, id: &str) {
        output(admin(self.dir()).arg("retire").arg(format!("issue{id}")));
    }
}

impl Deref for Roundup {
    type Target = Portal;

    fn deref(&self) -> &Portal {
        &self.portal
    }
}

impl DerefMut for Roundup {
    fn deref_mut(&mut self) -> &mut Portal {
        &mut self.portal
    }
}

fn admin(dir: &Path) -> Command {
    let mut admin = command(&installed("venv/bin/roundup-admin"), dir);
    admin.args(["-i", "tracker"]);
    admin
}

fn build(dir: &Path) {
    // Mail goes to a file: this machine may have a relay. Hashing a password takes little time.
    let settings = [
        &format!("tracker_web={PREPARED}tracker/"),
        "mail_domain=portal.example",
        "mail_host=localhost",
        "mail_debug=mail.log",
        "password_pbkdf2_default_rounds=1000",
    ]
    .join(",");
    std::fs::create_dir(dir.join("tracker")).unwrap();
    output(admin(dir).args(["install", "classic", "sqlite", &settings]));
    let schema = dir.join("tracker/schema.py");
    let text = std::fs::read_to_string(&schema).unwrap();
    let text = text + "\ndb.security.addPermissionToRole('User', 'Retire', 'issue')\n";
    std::fs::write(&schema, text).unwrap();
    output(admin(dir).args(["initialise", Portal::PASSWORD]));
    let (user, password) = (Portal::USERNAME, Portal::PASSWORD);
    output(
        admin(dir)
            .args(["create", "user", "roles=User", "address=probe@portal.example"])
            .args([format!("username={user}"), format!("password={password}")]),
    );
}
