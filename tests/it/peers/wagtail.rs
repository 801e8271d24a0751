//! Wagtail, a content management system on Django: sign-in by a form with a token that must match the
//! cookie `csrftoken`.
//!
//! | what | request | answer |
//! | --- | --- | --- |
//! | sign-in page | `GET /admin/login/` | 200; cookie `csrftoken`; `form.login-form` with `csrfmiddlewaretoken` and `next` hidden |
//! | sign in | `POST /admin/login/`: `username`, `password`, hidden fields | right: 302 to `/admin/`, cookie `sessionid` (`HttpOnly`, `SameSite=Lax`) and a new `csrftoken`; wrong: 200 with `Your username and password didn't match` |
//! | dashboard | `GET /admin/` | 200 with `Dashboard`; signed out: 302 to `/admin/login/?next=/admin/` |
//! | form of the write | `GET /admin/pages/add/home/homepage/3/` | 200; `form#page-edit-form` with `csrfmiddlewaretoken` and `next` hidden |
//! | write, a draft | `POST` there: `title`, `slug`, hidden fields | 302 to `/admin/pages/N/edit/`, which links `/admin/pages/N/delete/` and no other such. A slug taken or missing: 200 with `.w-field__errors` |
//! | read | `GET /admin/pages/N/edit/` | 200; the title in `<title>` and `input[name=title]`; 404 once it is removed |
//! | remove | `GET /admin/pages/N/delete/` for `form[action$="/delete/"]`, then `POST` there with its hidden fields | 302 to `/admin/pages/3/`; 404 once it is removed |
//! | search | `GET /admin/api/main/pages/?search=TEXT` (words of title and text) or `?slug=SLUG` | 200; `$.items[*].id`, drafts too. In HTML: `GET /admin/pages/search/?q=TEXT`, links `a[href$="/edit/"]` |
//! | sign out | `POST /admin/logout/` with a token | 302; the session is over. By GET it is a 405 that takes the cookie away and leaves the session alive |
//!
//! In place of the field a POST may carry the cookie's value in `X-CSRFToken`. With neither, or with a
//! foreign `Origin`, it is 403. There is no limit on attempts.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::portal::{self, Portal, command, installed, output, site};
use super::{PostOffice, free_port};

/// Writes the access log before the answer is sent; Django's own server does it after.
const ACCESS: &str = r#"
import os


class AccessLog:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        with open(os.environ["ACCESS_LOG"], "a") as log:
            log.write(f'"{request.method} {request.get_full_path()} HTTP/1.1" {response.status_code}\n')
        return response
"#;

const SETTINGS: &str = r#"
import os

from .base import MIDDLEWARE

if "MAIL_PORT" in os.environ:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = "127.0.0.1"
    EMAIL_PORT = int(os.environ["MAIL_PORT"])
    EMAIL_USE_TLS = True
    EMAIL_HOST_USER = os.environ["MAIL_USER"]
    EMAIL_HOST_PASSWORD = os.environ["MAIL_PASSWORD"]
    DEFAULT_FROM_EMAIL = "portal@acme.example"
    WAGTAILADMIN_BASE_URL = "https://portal.acme.example"

MIDDLEWARE = ["portal.access.AccessLog", *MIDDLEWARE]
# The usual one takes a second of a busy machine for each attempt to sign in.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"#;

const ASK: &str = r#"
import json, sqlite3, sys

pages = sqlite3.connect("db.sqlite3").execute("SELECT id, title, live FROM wagtailcore_page ORDER BY id")
print(json.dumps([dict(id=i, title=t, live=bool(l)) for i, t, l in pages if sys.argv[1] in t]))
"#;

const CREATE: &str = r#"
import sys
import django

django.setup()
from home.models import HomePage
from wagtail.models import Page

page = HomePage(title=sys.argv[1], slug=sys.argv[2], live=False)
print(Page.objects.get(id=3).add_child(instance=page).id)
"#;

/// The site that `wagtail start` makes, run by Django's own server.
pub struct Wagtail {
    portal: Portal,
}

/// A page, as the site's own database has it. The site's first page is called `Home`.
#[derive(Debug, Deserialize)]
pub struct Page {
    pub id: u64,
    pub title: String,
    /// Published; otherwise a draft.
    pub live: bool,
}

impl Wagtail {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Sends its mail by an office, whose certificate is of the CA in `ca_file`.
    pub fn start_mailing(office: &PostOffice, ca_file: &Path) -> Self {
        Self::start_with(&[
            ("MAIL_PORT", &office.port().to_string()),
            ("MAIL_USER", PostOffice::USERNAME),
            ("MAIL_PASSWORD", PostOffice::PASSWORD),
            ("SSL_CERT_FILE", ca_file.to_str().unwrap()),
        ])
    }

    fn start_with(environment: &[(&str, &str)]) -> Self {
        let dir = site("wagtail", include_str!("wagtail.rs"), build);
        let port = free_port();
        let mut server = python(dir.path());
        server.env("ACCESS_LOG", portal::access_log(dir.path())).envs(environment.iter().copied());
        server.args(["manage.py", "runserver", "--noreload"]).arg(format!("127.0.0.1:{port}"));
        Self { portal: Portal::start(dir, port, server, "/admin/login/") }
    }

    /// Attempts to sign in, right or wrong.
    pub fn sign_ins(&self) -> usize {
        self.portal.count("POST /admin/login/")
    }

    /// The pages whose title contains the text, drafts too. Works while it is stopped, too.
    pub fn pages(&self, text: &str) -> Vec<Page> {
        serde_json::from_str(&output(python(self.dir()).args(["-c", ASK, text]))).unwrap()
    }

    /// Writes a draft by Wagtail's own classes, and returns its id.
    pub fn create_page(&self, title: &str, slug: &str) -> u64 {
        output(python(self.dir()).args(["-c", CREATE, title, slug])).trim().parse().unwrap()
    }
}

impl Deref for Wagtail {
    type Target = Portal;

    fn deref(&self) -> &Portal {
        &self.portal
    }
}

impl DerefMut for Wagtail {
    fn deref_mut(&mut self) -> &mut Portal {
        &mut self.portal
    }
}

fn python(dir: &Path) -> Command {
    let mut python = command(&installed("venv/bin/python"), dir);
    python.env("DJANGO_SETTINGS_MODULE", "portal.settings.dev").env("PYTHONUNBUFFERED", "1");
    python
}

fn build(dir: &Path) {
    output(command(&installed("venv/bin/wagtail"), dir).args(["start", "portal", "."]));
    std::fs::write(dir.join("portal/access.py"), ACCESS).unwrap();
    std::fs::write(dir.join("portal/settings/local.py"), SETTINGS).unwrap();
    output(python(dir).args(["manage.py", "migrate", "-v0"]));
    output(
        python(dir)
            .env("DJANGO_SUPERUSER_PASSWORD", Portal::PASSWORD)
            .args(["manage.py", "createsuperuser", "--noinput", "--email", "canary@monitor.example"])
            .args(["--username", Portal::USERNAME]),
    );
}
