//! Secrets are planted in every place that takes one, a server gives all of them back, a check
//! fails and alerts go out: nothing that is kept, shown or sent may hold any of them.
#![expect(clippy::disallowed_methods, reason = "the webhook's receiver is written by hand")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::command::portalwatch_with;
use crate::peers::{Daemon, PATIENCE, Postgres, SmtpServer, free_port, poll};

/// Each secret: the environment variable that holds it, and its value.
const SECRETS: [(&str, &str); 9] = [
    ("BASIC", "basic pass/w0rd+31415"),
    ("BEARER", "bearer-t0ken-92653"),
    ("HEADER", "header \"va1ue\" & 58979"),
    ("QUERY", "query va1ue=32384&62643"),
    ("FORM", "form <va1ue> 38327"),
    ("CLIENT_SECRET", "oauth c1ient secret 95028"),
    ("HOOK_SECRET", "whsec_aG9vay1zaWduaW5nLWtleS04NDE5Nw=="),
    ("HOOK_TOKEN", "hook t0ken 16939"),
    ("SERVER_TOKEN", "server-t0ken-93751"),
];

/// A server that gives back whatever it is asked, in every form; a POST to `/hook/…` is kept.
struct Echo {
    port: u16,
    hooks: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let hooks = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&hooks);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { port, hooks }
    }
}

fn serve(mut stream: TcpStream, hooks: &Mutex<Vec<String>>) {
    let Some((head, body)) = read(&mut stream) else { return };
    let request = head.lines().next().unwrap_or_default().to_owned();
    let said = if request.contains("/hook/") {
        hooks.lock().unwrap().push(body);
        "{}".to_owned()
    } else if request.contains("/token") {
        r#"{"access_token":"issued-t0ken-05820","token_type":"Bearer"}"#.to_owned()
    } else {
        let all = format!("{head}\n{body}");
        let plain = all.split_once("asic ").map(|(_, rest)| rest.lines().next().unwrap_or_default());
        let decoded = plain.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        let decoded = String::from_utf8_lossy(&decoded.unwrap_or_default()).into_owned();
        serde_json::json!({ "echo": all, "decoded": decoded }).to_string()
    };
    let status = if request.contains("/redirect") { "302 Found" } else { "200 OK" };
    let target = request.split(' ').nth(1).unwrap_or_default().replace("/redirect", "/echo");
    let seen =
        head.lines().find(|line| line.to_ascii_lowercase().starts_with("x-mine")).unwrap_or("X-Mine: no");
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nLocation: {target}\r\nX-Echo-{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
        &seen[2..],
        said.len()
    );
}

fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:").and_then(|n| n.trim().parse().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// The forms in which a secret could stand in a text.
fn forms(secret: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::to_string(secret).unwrap();
    let escaped =
        secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut forms =
        vec![secret.to_owned(), form.replace('+', "%20"), form, json.trim_matches('"').to_owned(), escaped];
    // At each alignment, without what depends on the neighbours.
    for before in 0..3 {
        let text = base64::engine::general_purpose::STANDARD
            .encode([&[b'u'; 2][..before], secret.as_bytes()].concat());
        let inner = &text[[0, 2, 3][before]..text.trim_end_matches('=').len() - 1];
        forms.push(inner.to_owned());
    }
    forms
}

#[track_caller]
fn sweep(place: &str, bytes: &[u8], secrets: &[(String, String)]) {
    let text = String::from_utf8_lossy(bytes);
    for (name, secret) in secrets {
        for form in forms(secret) {
            if let Some(at) = text.find(&form) {
                let start = text[..at].char_indices().rev().nth(60).map_or(0, |(at, _)| at);
                panic!("{place} holds {name} as {form:?}: {}", &text[start..at + form.len()]);
            }
        }
    }
}

fn config(port: u16, echo: &Echo, smtp: &SmtpServer) -> String {
    let url = format!("http://127.0.0.1:{}", echo.port);
    let expect =
        "expect: {json: {'$.echo': nothing-like-it, '$.decoded': nothing}, headers: {x-echo-mine: no}}";
    format!(
        "server:
  listen: 127.0.0.1:{port}
  auth: {{tokens: [{{name: t, scope: read, secret: {{env: SERVER_TOKEN}}}}]}}
defaults: {{every: 1s, timeout: 1s, confirm: {{failures: 1, successes: 1}}}}
portals:
  acme:
    url: {url}/echo
    private: true
    tls: {{client: {{cert: client.pem, key: client.key}}}}
    checks:
      basic: {{http: {{auth: {{basic: {{username: probe, password: {{env: BASIC}}}}}}, {expect}}}}}
      bearer: {{http: {{auth: {{bearer: {{env: BEARER}}}}, {expect}}}}}
      header: {{http: {{headers: {{X-Mine: {{env: HEADER}}}}, {expect}}}}}
      query: {{http: {{query: {{q: {{env: QUERY}}}}, expect: {{json: {{'$.echo': x}}, final_url: 'http://b.example/'}}}}}}
      redirect: {{http: {{path: /redirect, query: {{q: {{env: QUERY}}}}, expect: {{json: {{'$.echo': x}}}}}}}}
      form: {{http: {{form: {{f: {{env: FORM}}}}, {expect}}}}}
      refused: {{http: {{url: 'http://127.0.0.1:1/', query: {{q: {{env: QUERY}}}}, auth: {{basic: {{username: probe, password: {{env: BASIC}}}}}}}}}}
      oauth:
        http:
          auth: {{oauth2: {{token_url: '{url}/token', client_id: me, client_secret: {{env: CLIENT_SECRET}}}}}}
          {expect}
notify:
  channels:
    mail:
      tls: {{ca_file: '{ca}'}}
      email:
        from: portalwatch@acme.example
        to: [oncall@acme.example]
        smtp: {{url: 'smtp://localhost:{smtp_port}', username: {user}, password: {{env: SMTP_PASSWORD}}}}
    hook:
      webhook:
        url: {{env: HOOK_URL}}
        headers: {{X-Token: {{env: HOOK_TOKEN}}}}
        secret: {{env: HOOK_SECRET}}
    dead: {{webhook: {{url: {{env: DEAD_URL}}}}}}
  routes: [{{to: [mail, hook, dead], group_wait: 0s}}]
",
        ca = smtp.ca_file().display(),
        smtp_port = smtp.port(),
        user = SmtpServer::USERNAME,
    )
}

fn ask(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let token = SECRETS.iter().find(|(name, _)| *name == "SERVER_TOKEN").unwrap().1;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "{path}: {text}");
    text
}

fn sweep_files(folder: &Path, secrets: &[(String, String)]) -> Vec<String> {
    let mut swept = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() && name != "client.key" {
            sweep(&name, &std::fs::read(&path).unwrap(), secrets);
            swept.push(name);
        }
    }
    swept
}

#[test]
fn no_secret_leaves_by_any_door() {
    let (echo, smtp) = (Echo::start(), SmtpServer::start());
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["probe".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.path().join("client.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("client.key"), key.serialize_pem()).unwrap();
    let port = free_port();
    let file = folder.path().join("monitor.yaml");
    std::fs::write(&file, config(port, &echo, &smtp)).unwrap();

    let hook = "hook-pa7h-74944";
    let dead = "dead-pa7h-59230";
    let hook_url = format!("http://127.0.0.1:{}/hook/{hook}", echo.port);
    let dead_url = format!("http://127.0.0.1:1/{dead}");
    let mut environment: Vec<(&str, &str)> = SECRETS.to_vec();
    environment.extend([
        ("HOOK_URL", hook_url.as_str()),
        ("DEAD_URL", dead_url.as_str()),
        ("SMTP_PASSWORD", SmtpServer::PASSWORD),
        ("RUST_LOG", "debug"),
    ]);
    let mut secrets: Vec<(String, String)> = environment
        .iter()
        .filter(|(name, _)| *name != "RUST_LOG")
        .map(|(n, v)| ((*n).into(), (*v).into()))
        .collect();
    secrets.extend([
        ("hook path".to_owned(), hook.to_owned()),
        ("dead path".to_owned(), dead.to_owned()),
        ("issued token".to_owned(), "issued-t0ken-05820".to_owned()),
        ("client key".to_owned(), key.serialize_pem().lines().nth(1).unwrap().to_owned()),
    ]);

    for arguments in [
        &["config", "validate"] as &[&str],
        &["config", "show"],
        &["config", "show", "--format", "json"],
        &["check", "--explain"],
        &["check", "--explain", "--format", "json"],
        &["check", "--format", "nagios"],
        &["notify", "test", "dead"],
        &["notify", "test", "hook", "--format", "json"],
    ] {
        let said = portalwatch_with(folder.path(), &environment, arguments);
        sweep(&arguments.join(" "), format!("{}{}", said.stdout, said.stderr).as_bytes(), &secrets);
        assert!([0, 2].contains(&said.code), "{arguments:?}: {said:?}");
        if arguments.contains(&"check") && !arguments.contains(&"nagios") {
            assert!(
                said.stdout.contains("env:BASIC") && said.stdout.contains("env:BEARER"),
                "{}",
                said.stdout
            );
        }
    }

    let mut daemon = Daemon::start(&file, port, &environment);
    daemon.wait_ready(PATIENCE);
    let mails = smtp.mailbox().wait_for(1, PATIENCE);
    // The test message, and the eight checks that fail.
    let told = poll(PATIENCE, || {
        let hooks = echo.hooks.lock().unwrap().concat();
        ["basic", "bearer", "header", "query", "form", "refused", "oauth"]
            .iter()
            .all(|check| hooks.contains(&format!("acme/{check}")) || hooks.contains(&format!("\"{check}\"")))
            .then_some(())
    });
    assert!(told.is_some(), "{:?}\n{}", echo.hooks.lock().unwrap(), daemon.log());
    for mail in mails.iter().chain(&smtp.mailbox().messages()) {
        let joined = mail.replace("=\r\n", "").replace("=\n", "");
        sweep("a mail", joined.as_bytes(), &secrets);
        for part in mail.split("\n\n").chain(mail.split("\r\n\r\n")) {
            let packed: String = part.split_whitespace().collect();
            if let Ok(decoded) = base64::engine::general_purpose::STANDARD.decode(packed) {
                sweep("a part of a mail", &decoded, &secrets);
            }
        }
    }
    for hook in echo.hooks.lock().unwrap().iter() {
        sweep("a webhook's body", hook.as_bytes(), &secrets);
    }
    for path in ["/", "/metrics", "/healthz", "/readyz"] {
        sweep(path, ask(port, path).as_bytes(), &secrets);
    }
    assert!(ask(port, "/").contains("env:BEARER"), "the page shows what the server gave back, masked");
    let swept = sweep_files(folder.path(), &secrets);
    for expected in ["portalwatch.db", "portalwatch.db-wal", "daemon.log"] {
        assert!(swept.iter().any(|name| name == expected), "{swept:?}");
    }
    assert!(daemon.terminate(PATIENCE).success());
    sweep_files(folder.path(), &secrets);
}

/// In the URL as it is written there, so that both places of a password are tried.
const WRITTEN: &str = "wri773n pa55+42&27";

#[test]
fn no_password_of_a_database_leaves_by_any_door() {
    let mut server = Postgres::start(
        &["fsync=off", "hba_file=hba"],
        &[("hba", "host all postgres all trust\nhost all all all scram-sha-256\n")],
    );
    let kept = "da7abase pa55/w0rd+31";
    let encoded: String = url::form_urlencoded::byte_serialize(WRITTEN.as_bytes()).collect();
    let encoded = encoded.replace('+', "%20");
    for (role, password) in [("portalwatch", kept), ("writer", WRITTEN)] {
        server.query("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'"));
        server.query("postgres", &format!("CREATE DATABASE {role} OWNER {role}"));
    }
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let config = |storage: &str| {
        format!(
            "server: {{listen: '127.0.0.1:{port}'}}\nstorage: {{{storage}}}\nportals:\n  own:\n    url: http://127.0.0.1:{port}\n    \
             private: true\n    checks: {{health: {{every: 1s, timeout: 1s, http: {{path: /healthz}}}}}}\n"
        )
    };
    let at = server.port();
    let file = folder.path().join("monitor.yaml");
    let url = format!("postgres://writer:{encoded}@127.0.0.1:{at}/writer");
    let write =
        |name: &str, storage: &str| std::fs::write(folder.path().join(name), config(storage)).unwrap();
    write(
        "monitor.yaml",
        &format!("url: 'postgres://portalwatch@127.0.0.1:{at}/portalwatch', password: {{env: DB}}"),
    );
    write(
        "refused.yaml",
        &format!("url: 'postgres://portalwatch@127.0.0.1:{at}/none', password: {{env: DB}}"),
    );
    write("written.yaml", &format!("url: '{url}'"));
    let environment = [("DB", kept), ("RUST_LOG", "trace")];
    let secrets = [("DB".to_owned(), kept.to_owned()), ("the URL".to_owned(), WRITTEN.to_owned())];

    let mut daemon = Daemon::start(&file, port, &environment);
    daemon.wait_ready(PATIENCE);
    let recorded =
        poll(PATIENCE, || (server.query("portalwatch", "SELECT count(*) FROM results") != "0").then_some(()));
    assert!(recorded.is_some(), "{}", daemon.log());
    let run = |expected: i32, arguments: &[&str]| {
        let said = portalwatch_with(folder.path(), &environment, arguments);
        sweep(&arguments.join(" "), format!("{}{}", said.stdout, said.stderr).as_bytes(), &secrets);
        assert_eq!(said.code, expected, "{arguments:?}: {said:?}");
    };
    for name in ["monitor.yaml", "written.yaml", "refused.yaml"] {
        run(0, &["config", "validate", "-c", name]);
        run(0, &["config", "show", "-c", name]);
        run(0, &["config", "show", "-c", name, "--format", "json"]);
    }
    run(0, &["report", "uptime", "--format", "html"]);
    run(0, &["report", "uptime", "--format", "json"]);
    run(0, &["replay"]);
    run(0, &["store", "check"]);
    run(70, &["store", "check", "-c", "refused.yaml"]);
    run(70, &["report", "uptime", "-c", "refused.yaml"]);
    run(0, &["store", "backup", "copy.db"]);
    run(0, &["store", "migrate", "--from", "sqlite://copy.db", "--to", &url]);
    run(70, &["store", "migrate", "--from", "sqlite://copy.db", "--to", &url]);
    run(70, &["store", "migrate", "--from", "sqlite://copy.db", "--to", &url.replace("/writer", "/none")]);
    run(0, &["report", "uptime", "-c", "written.yaml"]);
    for path in ["/", "/metrics", "/healthz", "/readyz"] {
        sweep(path, daemon.get(path).body.as_bytes(), &secrets);
    }
    for role in ["portalwatch", "writer"] {
        let tables = server.query(role, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
        let rows = |table| {
            let all = format!("SELECT string_agg(t::text, ' ') FROM \"{table}\" t");
            server.query(role, &format!("SET bytea_output = escape; {all}"))
        };
        let all: String = tables.lines().map(rows).collect();
        sweep(role, all.as_bytes(), &secrets);
    }
    server.kill();
    let degraded = poll(PATIENCE, || daemon.get("/readyz").body.contains("degraded").then_some(()));
    assert!(degraded.is_some(), "{}", daemon.get("/readyz").body);
    sweep("/readyz", daemon.get("/readyz").body.as_bytes(), &secrets);
    assert!(daemon.terminate(PATIENCE).success());
    let swept = sweep_files(folder.path(), &secrets[..1]);
    assert!(swept.iter().any(|name| name == "daemon.log"), "{swept:?}");
}
