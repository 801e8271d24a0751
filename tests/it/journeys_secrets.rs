//! A portal that gives back all it was ever sent, in every encoding, at every place of a journey:
//! nothing that is kept, shown or sent may hold any of it.

mod portal;

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use tempfile::TempDir;

use self::portal::Portal;
use crate::command::portalwatch_with;
use crate::peers::{Daemon, PATIENCE, SmtpServer, free_port, poll};

const PASSWORD: &str = "Pl4nted-pw/\"&<é>+%\\ 31415";
const TOTP: &str = "KRUGS4ZANFZSA5DPOA======";
const SESSION: &str = "Sess10n+value/92653==";
const CSRF: &str = "Csrf-t0ken&<58979>";
const PAGE_TOKEN: &str = "Page.T0ken-32384_62643";
const API_KEY: &str = "Ap1-key 38327";
const STATIC_TOKEN: &str = "St4tic-token~95028";
const CLIENT_SECRET: &str = "Cl1ent secret:84197";
const ISSUED_TOKEN: &str = "Issu3d-token/16939+";

/// What a run holds from its beginning on, or from its first answer on.
const EARLY: [&str; 3] = [PASSWORD, TOTP, SESSION];
/// What it holds once it has seen the form.
const WITH_FORM: [&str; 5] = [PASSWORD, TOTP, SESSION, API_KEY, CSRF];
/// What it holds once it has captured the token.
const SIGNED_IN: [&str; 6] = [PASSWORD, TOTP, SESSION, API_KEY, CSRF, PAGE_TOKEN];
const OF_CLIENT: [&str; 2] = [CLIENT_SECRET, PASSWORD];
const OF_FIXED: [&str; 2] = [STATIC_TOKEN, SESSION];
const OF_SERVICE: [&str; 3] = [CLIENT_SECRET, ISSUED_TOKEN, SESSION];
const OF_USER: [&str; 4] = [CLIENT_SECRET, PASSWORD, ISSUED_TOKEN, SESSION];

const ALL: [&str; 9] =
    [PASSWORD, TOTP, SESSION, CSRF, PAGE_TOKEN, API_KEY, STATIC_TOKEN, CLIENT_SECRET, ISSUED_TOKEN];

const ENVIRONMENT: [(&str, &str); 6] = [
    ("PW", PASSWORD),
    ("TOTP", TOTP),
    ("API_KEY", API_KEY),
    ("STATIC_TOKEN", STATIC_TOKEN),
    ("CLIENT_SECRET", CLIENT_SECRET),
    ("SMTP_PASSWORD", SmtpServer::PASSWORD),
];

/// One way to write a text.
type Writer = fn(&str) -> String;

fn percent(text: &str, small: bool) -> String {
    let write = |byte: u8| if small { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
    text.bytes().map(write).collect()
}

fn form(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Escapes in capitals and small letters by turns.
fn mixed(text: &str) -> String {
    let mut turn = 0;
    let escape = |byte: u8| {
        turn += 1;
        if turn % 2 == 0 { format!("%{byte:02X}") } else { format!("%{byte:02x}") }
    };
    text.bytes().map(escape).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const WRITERS: [Writer; 14] = [
    str::to_owned,
    form,
    |text| form(text).replace('+', "%20"),
    |text| percent(text, false),
    |text| percent(text, true),
    mixed,
    |text| percent(&form(text).replace('+', "%20"), false),
    json,
    |text| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
    html,
    |text| text.chars().map(|char| format!("&#{};", u32::from(char))).collect(),
    |text| text.chars().map(|char| format!("&#x{:X};", u32::from(char))).collect(),
    |text| STANDARD.encode(text),
    |text| URL_SAFE.encode(text),
];

/// All that is searched for: each value, and its beginning, which a cut could leave, in each writing;
/// in base64 at each alignment, without what depends on the neighbours.
fn traces() -> Vec<(&'static str, String)> {
    let mut traces = Vec::new();
    for secret in ALL {
        let beginning = &secret[..8];
        for part in [secret, beginning] {
            traces.extend(WRITERS[..12].iter().map(|write| (secret, write(part))));
            for before in 0..3 {
                for alphabet in [STANDARD, URL_SAFE] {
                    let text = alphabet.encode([&[b'u'; 2][..before], part.as_bytes()].concat());
                    let inner = &text[[0, 2, 3][before]..text.trim_end_matches('=').len() - 1];
                    traces.push((secret, inner.to_owned()));
                }
            }
        }
    }
    traces
}

struct Search {
    traces: Vec<(&'static str, String)>,
    portal: Portal,
}

impl Search {
    #[track_caller]
    fn through(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let codes = self.portal.codes();
        let codes = codes.iter().map(|code| ("a one-time code", format!("code {code}")));
        for (name, trace) in self.traces.iter().cloned().chain(codes) {
            if let Some(at) = text.find(&trace) {
                let start = text[..at].char_indices().rev().nth(200).map_or(0, |(at, _)| at);
                let end = text.ceil_char_boundary((at + trace.len() + 200).min(text.len()));
                panic!("{place} holds {name} as {trace:?}: {}", &text[start..end]);
            }
        }
    }

    /// Each file of the folder; their names.
    fn through_files(&self, folder: &Path) -> Vec<String> {
        let mut searched = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_file() {
                self.through(&name, &std::fs::read(&path).unwrap());
                searched.push(name);
            }
        }
        searched
    }

    fn through_mail(&self, mail: &str) {
        let joined = mail.replace("=\r\n", "").replace("=\n", "");
        self.through("a mail", joined.as_bytes());
        for part in mail.split("\n\n").chain(mail.split("\r\n\r\n")) {
            let packed: String = part.split_whitespace().collect();
            if let Ok(decoded) = STANDARD.decode(packed) {
                self.through("a part of a mail", &decoded);
            }
        }
    }
}

/// The steps of a sign-in: the form, what is typed into it, and the token of the page behind it.
const SIGN_IN: &str = r##"
            - {name: page, get: /form, capture: {login: {form: "#login"}, csrf: {field: csrf}}}
            - name: sign in
              submit: login
              headers: {x-api-key: {env: API_KEY}}
              form: {username: "{{ identity.username }}", password: "{{ identity.password }}", code: "{{ totp(identity.totp) }}"}
            - {name: token, get: /token-page, capture: {token: {json: $.token}}}
"##;

/// Journeys that fail each at another place; those that sign in first begin with [`SIGN_IN`].
const AFTER_SIGN_IN: [(&str, &str); 14] = [
    ("dashboard", "{name: look, get: /leak/signed-in/500}"),
    ("body", "{name: look, get: /leak/signed-in/200, expect: {body: {contains: nothing-like-it}}}"),
    ("values", "{name: look, get: /leak/signed-in/json, expect: {json: {'$.echo': x, '$.deep.echo': y}}}"),
    ("headers", "{name: look, get: /leak/signed-in/200, expect: {headers: {x-leak-0: x, x-leak-1: y}}}"),
    ("address", "{name: look, get: /away/signed-in/200, expect: {final_url: 'http://b.example/'}}"),
    ("path", "{name: look, get: /away/signed-in/404}"),
    ("loop", "{name: look, get: /loop/signed-in/0}"),
    ("scheme", "{name: look, get: /scheme/signed-in/0}"),
    ("site", "{name: look, get: /site/signed-in/0, expect: {redirects: {same_site: true}}}"),
    ("json-capture", "{name: look, get: /leak/signed-in/json, capture: {it: {json: $.absent}}}"),
    ("header-capture", "{name: look, get: /leak/signed-in/200, capture: {it: {header: x-absent}}}"),
    ("cookie-capture", "{name: look, get: /leak/signed-in/200, capture: {it: {cookie: absent}}}"),
    ("field-capture", "{name: look, get: /leak/signed-in/200, capture: {it: {field: absent}}}"),
    ("garbage", "{name: look, get: /garbage/signed-in/0}"),
];

fn checks() -> String {
    let mut checks = String::new();
    let mut add = |name: &str, settings: &str, steps: &str, after: &str| {
        // Writing to a String cannot fail.
        let _ = write!(
            checks,
            "      {name}:\n        journey:\n          {settings}\n          steps:{steps}\n{after}"
        );
    };
    for (index, (name, step)) in AFTER_SIGN_IN.iter().enumerate() {
        let evidence = if index % 2 == 0 { "\n          evidence: body" } else { "" };
        let settings = format!("as: staff\n          bearer: token{evidence}");
        add(name, &settings, &format!("{SIGN_IN}            - {step}\n"), "");
    }
    let first = "\n            - {name: page, get: /leak/early/503}\n";
    add("first", "as: staff", first, "");
    let refused = SIGN_IN.replace("/form", "/form/refusing");
    add("refused", "as: staff\n          evidence: body", &refused, "");
    let asked = SIGN_IN.replace(
        "form: {username",
        "expect: {final_url: {contains: /dashboard}}\n              form: {username",
    );
    add("asked-again", "as: staff\n          evidence: body", &asked, "");
    let out = "          sign_out: {post: /leak/signed-in/500, replay: /token-page}\n";
    add("sign-out", "as: staff\n          bearer: token", SIGN_IN, out);
    let written = format!(
        "{SIGN_IN}            - {{name: write, write: true, post: /write, json: {{title: '{{{{ run.id }}}}'}}}}\n"
    );
    let left = "          cleanup: [{delete: /away/signed-in/500}]\n          sweep: [{get: '/leak/signed-in/200?q={{ run.id }}', each: '$[*]', then: {delete: '/x/{{ item }}'}}]\n";
    add("left-behind", "as: staff\n          bearer: token", &written, left);
    add("throttled", "as: staff", &SIGN_IN.replace("/form", "/form/throttling"), "");
    for identity in ["fixed", "service", "user"] {
        let steps = format!(
            "\n            - {{name: look, get: /leak/{identity}/json, expect: {{json: {{'$.echo': x}}}}}}\n"
        );
        add(identity, &format!("as: {identity}\n          evidence: body"), &steps, "");
    }
    add("no-token", "as: refused", first, "");
    checks
}

fn config(port: u16, portal: &Portal, smtp: &SmtpServer) -> String {
    format!(
        "server: {{listen: '127.0.0.1:{port}'}}
defaults: {{every: 3s, timeout: 3s, confirm: {{failures: 1, successes: 1}}}}
portals:
  acme:
    url: {url}
    private: true
    identities:
      staff: {{username: probe, password: {{env: PW}}, totp: {{env: TOTP}}}}
      fixed: {{token: {{env: STATIC_TOKEN}}}}
      service: {{oauth2: {{token_url: '{url}/oauth', client_id: me, client_secret: {{env: CLIENT_SECRET}}}}}}
      user: {{username: probe, password: {{env: PW}}, oauth2: {{token_url: '{url}/oauth', client_id: me, client_secret: {{env: CLIENT_SECRET}}, grant: password}}}}
      refused: {{username: probe, password: {{env: PW}}, oauth2: {{token_url: '{url}/oauth/refusing', client_id: me, client_secret: {{env: CLIENT_SECRET}}, grant: password}}}}
    checks:
{checks}
notify:
  channels:
    mail:
      tls: {{ca_file: '{ca}'}}
      email:
        from: portalwatch@acme.example
        to: [oncall@acme.example]
        smtp: {{url: 'smtp://localhost:{smtp_port}', username: {user}, password: {{env: SMTP_PASSWORD}}}}
    hook: {{webhook: {{url: '{url}/hook'}}}}
  routes: [{{to: [mail, hook], group_wait: 0s}}]
",
        url = portal.url(),
        checks = checks(),
        ca = smtp.ca_file().display(),
        smtp_port = smtp.port(),
        user = SmtpServer::USERNAME,
    )
}

/// Findings that the checks must come to, so that the search is one for something.
const FOUND: [&str; 8] = [
    "journey.status",
    "journey.expectation",
    "journey.redirect",
    "journey.capture",
    "journey.unreachable",
    "journey.refused",
    "journey.sign_out",
    "journey.left_behind",
];

#[test]
fn nothing_that_a_portal_gives_back_gets_out() {
    let (portal, smtp) = (Portal::start(), SmtpServer::start());
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let file = folder.path().join("monitor.yaml");
    std::fs::write(&file, config(port, &portal, &smtp)).unwrap();
    let search = Search { traces: traces(), portal };
    let mut environment = ENVIRONMENT.to_vec();
    environment.push(("RUST_LOG", "debug"));

    let all = "check --explain --format json --write";
    let commands = ["config validate", "config show", "config show --format json", "check --explain --write"];
    let mut told = String::new();
    for command in commands.into_iter().chain(["check --format nagios"]).chain([all; 6]) {
        let arguments: Vec<&str> = command.split(' ').collect();
        let said = portalwatch_with(folder.path(), &environment, &arguments);
        assert!([0, 2].contains(&said.code), "{command}: {said:?}");
        search.through(command, format!("{}{}", said.stdout, said.stderr).as_bytes());
        told += &said.stdout;
    }
    // What was searched for was there.
    let marks = ["<env:PW>", "<env:TOTP>", "<cookie sid>", "<csrf>", "<token>", "<env:API_KEY>"];
    let missing: Vec<_> = FOUND.iter().chain(&marks).filter(|sign| !told.contains(**sign)).collect();
    assert!(missing.is_empty(), "{missing:?}: {told}");

    let mut daemon = Daemon::start(&file, port, &environment);
    daemon.wait_ready(PATIENCE);
    smtp.mailbox().wait_for(1, PATIENCE);
    let names = AFTER_SIGN_IN.iter().map(|(name, _)| *name);
    let names: Vec<_> = names.chain(["first", "refused", "sign-out", "left-behind", "no-token"]).collect();
    let told = poll(PATIENCE, || {
        let hooks = search.portal.hooks().concat();
        let missing: Vec<_> = names.iter().filter(|name| !hooks.contains(&format!("acme/{name}"))).collect();
        missing.is_empty().then_some(())
    });
    assert!(told.is_some(), "{:?}\n{}", search.portal.hooks(), daemon.log());
    smtp.mailbox().messages().iter().for_each(|mail| search.through_mail(mail));
    for hook in search.portal.hooks() {
        search.through("a webhook's body", hook.as_bytes());
    }
    for path in ["/", "/metrics", "/healthz", "/readyz"] {
        search.through(path, daemon.get(path).body.as_bytes());
    }
    let page = daemon.page();
    assert!(page.contains("&lt;env:PW&gt;"), "the page shows what the portal gave back, masked: {page}");
    let log = daemon.log();
    assert!(!log.contains("panic"), "{log}");
    let searched = search.through_files(folder.path());
    for expected in ["portalwatch.db", "portalwatch.db-wal", "daemon.log"] {
        assert!(searched.iter().any(|name| name == expected), "{searched:?}");
    }
    assert!(daemon.terminate(PATIENCE).success());
    search.through_files(folder.path());
}
