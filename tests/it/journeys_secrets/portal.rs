//! The portal. Its paths say what it does: `/leak/WHO/STATUS` answers with all that a run of that kind
//! has shown or been given so far, a part of it in each answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{
    CSRF, EARLY, ISSUED_TOKEN, OF_CLIENT, OF_FIXED, OF_SERVICE, OF_USER, PAGE_TOKEN, SESSION, SIGNED_IN,
    WITH_FORM, WRITERS, html, json,
};

/// So many headers of leaks in an answer: a run keeps 32 lines.
const HEADERS: usize = 18;
/// How long an excerpt of evidence may be; what is cut there must not show its beginning.
const EXCERPT: usize = 256;

pub struct Portal {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answers: AtomicUsize,
    hooks: Mutex<Vec<String>>,
    codes: Mutex<Vec<String>>,
}

impl Portal {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&serving);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The bodies of webhooks.
    pub fn hooks(&self) -> Vec<String> {
        self.state.hooks.lock().unwrap().clone()
    }

    /// The one-time codes that were shown.
    pub fn codes(&self) -> Vec<String> {
        self.state.codes.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, state: &State) {
    let Some((head, body)) = read(&mut stream) else { return };
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let mut code = None;
    for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
        if name == "code" {
            state.codes.lock().unwrap().push(value.to_string());
            code = Some(value.into_owned());
        }
    }
    let leaks = Leaks { from: state.answers.fetch_add(1, Ordering::Relaxed), code };
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let answer = match parts.as_slice() {
        ["hook"] => {
            state.hooks.lock().unwrap().push(body);
            answer("200 OK", "application/json", &[], "{}")
        }
        ["form"] => login("/signed-in"),
        ["form", how] => login(&format!("/{how}")),
        ["signed-in"] => answer("303 See Other", "text/html", &[leaks.location(&WITH_FORM, "/welcome")], ""),
        ["welcome", ..] => answer("200 OK", "text/html", &leaks.headers(&WITH_FORM), &leaks.page(&WITH_FORM)),
        ["refusing"] => answer("401 No", "text/html", &leaks.headers(&WITH_FORM), &leaks.page(&WITH_FORM)),
        ["throttling"] => {
            answer("429 Slow", "text/html", &leaks.headers(&WITH_FORM), &leaks.page(&WITH_FORM))
        }
        ["token-page"] => {
            let token = format!(r#"{{"token":"{PAGE_TOKEN}"}}"#);
            answer("200 OK", "application/json", &leaks.headers(&WITH_FORM), &token)
        }
        ["write"] => answer("201 Created", "application/json", &leaks.headers(&SIGNED_IN), "{}"),
        ["oauth"] => {
            let token = format!(r#"{{"access_token":"{ISSUED_TOKEN}","token_type":"Bearer"}}"#);
            answer("200 OK", "application/json", &[], &token)
        }
        ["oauth", _] => {
            let said = format!(
                r#"{{"error":"invalid_grant","error_description":"{}"}}"#,
                json(&leaks.text(&OF_CLIENT, EXCERPT + 100))
            );
            answer("400 Bad", "application/json", &leaks.headers(&OF_CLIENT), &said)
        }
        ["garbage", ..] => leaks.text(&SIGNED_IN, 400).into_bytes(),
        [what, who, how, ..] => leaks.answer(what, secrets_of(who), how),
        _ => answer("404 Not Found", "text/html", &[], ""),
    };
    let _ = stream.write_all(&answer);
}

fn secrets_of(who: &str) -> &'static [&'static str] {
    match who {
        "early" => &EARLY,
        "fixed" => &OF_FIXED,
        "service" => &OF_SERVICE,
        "user" => &OF_USER,
        _ => &SIGNED_IN,
    }
}

fn login(action: &str) -> Vec<u8> {
    let page = format!(
        "<form id=login method=post action='{action}'><input type=hidden name=csrf value=\"{}\">\
         <input name=username><input type=password name=password></form>",
        html(CSRF)
    );
    answer("200 OK", "text/html", &[], &page)
}

fn answer(status: &str, kind: &str, headers: &[String], body: &str) -> Vec<u8> {
    let mut lines = vec![
        format!("HTTP/1.1 {status}"),
        format!("Content-Type: {kind}"),
        format!("Content-Length: {}", body.len()),
        "Connection: close".to_owned(),
        format!("Set-Cookie: sid={SESSION}; Path=/"),
    ];
    lines.extend_from_slice(headers);
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

/// The leaks of one answer: another part of them in each.
struct Leaks {
    from: usize,
    code: Option<String>,
}

impl Leaks {
    fn answer(&self, what: &str, secrets: &[&str], how: &str) -> Vec<u8> {
        let headers = self.headers(secrets);
        let to =
            |place: String| answer("302 Found", "text/html", &[headers.as_slice(), &[place]].concat(), "");
        match (what, how) {
            ("away", _) => to(self.location(secrets, &format!("/leak/api-like/{how}"))),
            // The address that comes back is the one it was asked at.
            ("loop", "0") => to("Location: /loop/signed-in/1".to_owned()),
            ("loop", _) => to(self.location(secrets, "/loop/signed-in/1")),
            ("scheme", _) => to(format!("Location: {}:x", name(&self.one(secrets, 0)))),
            ("site", _) => to(self.location(secrets, "https://elsewhere.example/a")),
            (_, "json") => {
                let echo = |salt| serde_json::Value::from(self.one(secrets, salt));
                let body = serde_json::json!({
                    "echo": echo(0),
                    "deep": { "echo": self.text(secrets, EXCERPT + 40) },
                    self.one(secrets, 3): 1,
                });
                answer("200 OK", "application/json", &headers, &body.to_string())
            }
            (_, status) => answer(&format!("{status} So"), "text/html", &headers, &self.page(secrets)),
        }
    }

    /// One secret in one writing.
    fn one(&self, secrets: &[&str], salt: usize) -> String {
        let number = self.from * (HEADERS + 1) + salt;
        let secret = secrets[number % secrets.len()];
        WRITERS[number / secrets.len() % WRITERS.len()](secret)
    }

    fn headers(&self, secrets: &[&str]) -> Vec<String> {
        let leak = |salt| format!("X-Leak-{salt}: a {} b", self.one(secrets, salt));
        let mut headers: Vec<String> = (0..HEADERS).map(leak).collect();
        headers.push(format!("Set-Cookie: other={}; Path=/", self.one(secrets, HEADERS)));
        headers.push(format!(
            "Set-Cookie: {}=1; Path=/{}",
            name(&self.one(secrets, 1)),
            self.one(secrets, 2)
        ));
        headers.push(format!("X-{}: 1", name(&self.one(secrets, 2))));
        headers.push(format!("X-Got: code {}", self.code.as_deref().unwrap_or("none")));
        headers.push(format!("X-Long: {}", self.text(secrets, EXCERPT + 20)));
        headers
    }

    /// A place with secrets in a segment of its path and in its query.
    fn location(&self, secrets: &[&str], place: &str) -> String {
        let number = self.from;
        let secret = secrets[number % secrets.len()];
        let write = [WRITERS[2], WRITERS[3], WRITERS[4], WRITERS[5], WRITERS[13], WRITERS[6]]
            [number / secrets.len() % 6];
        format!("Location: {place}/{}/end?state={}", write(secret), self.one(secrets, 4))
    }

    /// A text with a secret where evidence is cut, each time at another of its letters.
    fn text(&self, secrets: &[&str], length: usize) -> String {
        let leak = self.one(secrets, 5);
        let before = EXCERPT.saturating_sub(3 + self.from % leak.len());
        let mut text = format!(
            "{} {}",
            self.one(secrets, 6),
            self.code.as_deref().map_or(String::new(), |code| format!("code {code}"))
        );
        while text.len() < before {
            text.push('.');
        }
        text.push_str(&leak);
        while text.len() < length {
            text.push('.');
        }
        text
    }

    fn page(&self, secrets: &[&str]) -> String {
        format!(
            "{}<a title=\"{}\">{}</a><form><input name=\"{}\" value=x></form>",
            self.text(secrets, EXCERPT + 40),
            html(&self.one(secrets, 7)),
            self.one(secrets, 8),
            html(&self.one(secrets, 9)),
        )
    }
}

/// The value as a name, where it can be one.
fn name(value: &str) -> &str {
    let fits = |char: char| char.is_ascii_alphanumeric() || "-._~%+".contains(char);
    if value.chars().all(fits) { value } else { "plain" }
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
