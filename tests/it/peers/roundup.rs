//! Roundup, an issue tracker: sign-in by a form with a one-time token, checks of `Origin` and
//! `Referer`, and refusals that are redirects.
//!
//! Everything is under `/tracker/`, and the `Host` must be the one of [`Portal::url`].
//!
//! | what | request | answer |
//! | --- | --- | --- |
//! | sign-in page, dashboard | `GET /tracker/` | 200; the form that holds `__login_name` (the second with POST, without id or name) has the hidden `@action=Login`, `@csrf` and `__came_from` |
//! | sign in | `POST /tracker/`: `__login_name`, `__login_password`, hidden fields | right: 302 to `/tracker/?@ok_message=Welcome+probe!` and the cookie `roundup_session_…` (`HttpOnly`, `SameSite=Lax`, `Path=/tracker/`); wrong: 302 to `?@error_message=Invalid+login`, no cookie; too often, 3 refusals in a minute: 302 to `?@error_message=Logins+occurring+too+fast…` |
//! | signed in | `GET /tracker/` | 200 with `Hello, probe` |
//! | form of the write | `GET /tracker/issue?@template=item` | 200; `form[name=itemSynopsis]`, with `@action=new`, `@csrf`, `@template`, `@required` hidden |
//! | write | `POST /tracker/issue`: `title`, `priority` (`3`), optional `@note`, hidden fields | 302 to `/tracker/issueN?@ok_message=…` |
//! | read | `GET /tracker/issueN` | 200; `input[name=title]`; retired issues are shown too |
//! | remove | `POST /tracker/issueN`: `@action=retire` and the `@csrf` of that page's `itemSynopsis` | 200 with `Issue N has been retired` |
//! | search | `GET /tracker/rest/data/issue?title=TEXT` | 200; `$.data.collection[*].id`, retired ones left out |
//! | sign out | `GET /tracker/?@action=logout` | 302; the session is over |
//!
//! A POST with a foreign `Origin` or `Referer`, or with a token used before, is a 200 or 400 with a
//! message. Anonymous visitors may read issues.

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
    // Mail goes to a file: this machine may have a relay.
    let settings = format!(
        "tracker_web={PREPARED}tracker/,mail_domain=portal.example,mail_host=localhost,mail_debug=mail.log"
    );
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
