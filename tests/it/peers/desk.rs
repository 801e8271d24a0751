//! A portal that misbehaves on command: a desk that takes tickets.
//!
//! Written by hand, because a real portal cannot be made to store a write and hold or cut its answer,
//! to say 201 and store nothing, to refuse deletes for a while, to open another user's page, to lock
//! out or throttle at a given moment, or to list everything whatever was searched. All else (sign-in
//! with a cookie, search, sign-out) is done as simply as it can be.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::poll;

/// How long a held answer waits between two looks at whether it may go.
const LOOK: Duration = Duration::from_millis(10);

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    /// `POST /api/tickets`, with the query.
    pub line: String,
    pub body: String,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// It is stored and answered 201.
    #[default]
    Work,
    /// It is stored, and its answer is held.
    StoredAndHeld,
    /// It is stored, and the connection is cut before the answer.
    StoredAndCut,
    /// It is read, and neither stored nor answered.
    Swallowed,
    /// It is stored as soon as writes do anything else, whether or not somebody still waits.
    Late,
    /// It is answered 201, and not stored.
    Forgotten,
    /// It is stored and answered, and then nobody answers any more.
    StoredAndDown,
}

/// How sign-ins are turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 429 with `Retry-After: 1`, for every request.
    Throttled,
    /// A sign-in is answered with a page that says that the account is locked.
    LockedOut,
}

/// How the desk behaves.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    pub writes: Writes,
    /// Every connection is closed without an answer.
    pub down: bool,
    /// Deletes are answered 500 and do nothing.
    pub refuses_deletes: bool,
    /// Pages are those of another user.
    pub other_user: bool,
    /// Searches list everything.
    pub lists_all: bool,
    pub refusal: Option<Refusal>,
    /// Requests whose line begins so are held.
    pub holds: Option<&'static str>,
    /// Once a request whose line begins so is answered, connections are refused.
    pub closes_after: Option<&'static str>,
}

#[derive(Default)]
struct State {
    ways: Ways,
    asked: Vec<Asked>,
    tickets: BTreeMap<u64, Value>,
    /// Tickets that were ever stored, and the most there were at once.
    stored: u64,
    most: usize,
    sessions: Vec<String>,
    open: bool,
}

/// The running desk.
pub struct Desk {
    port: u16,
    state: Arc<Mutex<State>>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Desk {
    pub const USERNAME: &str = "probe";
    pub const PASSWORD: &str = "desk-pw-27182";

    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let desk = Self { port, state: Arc::default(), listening: Mutex::default() };
        desk.listen(listener);
        desk
    }

    fn listen(&self, listener: TcpListener) {
        let (state, port) = (Arc::clone(&self.state), self.port);
        lock(&state).open = true;
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if !lock(&state).open {
                    return;
                }
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(stream, &state, port));
            }
        });
        *self.listening.lock().unwrap() = Some(thread);
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Changes how it behaves. What is held and no longer to be goes.
    pub fn set(&self, change: impl FnOnce(&mut Ways)) {
        change(&mut lock(&self.state).ways);
    }

    /// Takes connections again after `closes_after`.
    pub fn reopen(&self) {
        lock(&self.state).ways.closes_after = None;
        if let Some(thread) = self.listening.lock().unwrap().take() {
            thread.join().unwrap();
        }
        let listener =
            poll(super::PATIENCE, || TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).ok()).unwrap();
        self.listen(listener);
    }

    /// The titles of the tickets that are there.
    pub fn tickets(&self) -> Vec<String> {
        let state = lock(&self.state);
        state.tickets.values().map(|ticket| ticket["title"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Stores a ticket of somebody else.
    pub fn store(&self, title: &str) {
        store(&mut lock(&self.state), json!({ "title": title }));
    }

    /// The most tickets there were at once, and how many were ever stored.
    pub fn most_and_stored(&self) -> (usize, u64) {
        let state = lock(&self.state);
        (state.most, state.stored)
    }

    /// What was asked so far by requests whose line begins so.
    pub fn asked(&self, beginning: &str) -> Vec<Asked> {
        let state = lock(&self.state);
        state.asked.iter().filter(|asked| asked.line.starts_with(beginning)).cloned().collect()
    }

    /// Waits until at least so many requests whose line begins so have arrived.
    #[track_caller]
    pub fn wait_asked(&self, beginning: &str, times: usize, deadline: Duration) {
        let arrived = poll(deadline, || (self.asked(beginning).len() >= times).then_some(()));
        assert!(arrived.is_some(), "{beginning} was not asked {times} times: {:#?}", self.asked(""));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        close(&self.state, self.port);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

/// No more connections; returns once they are refused.
fn close(state: &Mutex<State>, port: u16) {
    lock(state).open = false;
    // The first wakes the listener; it is gone as soon as one is refused.
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {}
}

struct Request {
    method: String,
    path: String,
    query: String,
    session: Option<String>,
    body: String,
}

struct Answer {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, fields: Vec::new(), body: body.into() }
    }

    fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).with("Content-Type", "application/json")
    }

    fn page(body: impl Into<String>) -> Self {
        Self::new(200, body).with("Content-Type", "text/html")
    }

    fn to(path: &str) -> Self {
        Self::new(303, "").with("Location", path)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, port: u16) {
    if lock(state).ways.down {
        return;
    }
    let Some(request) = read(&mut stream) else { return };
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let line = format!("{} {}{query}", request.method, request.path);
    let asked = Asked { at: Instant::now(), line: line.clone(), body: request.body.clone() };
    let begins = |beginning: Option<&str>| beginning.is_some_and(|text| line.starts_with(text));
    lock(state).asked.push(asked);
    wait_while(state, &stream, |ways| begins(ways.holds));
    let writes = request.method == "POST" && request.path == "/api/tickets";
    while writes && lock(state).ways.writes == Writes::Late && lock(state).open {
        std::thread::sleep(LOOK);
    }
    let found = answer(&mut lock(state), &request);
    let Some(answer) = found else {
        return wait_while(state, &stream, |ways| ways.writes == Writes::Swallowed);
    };
    if writes {
        let way = lock(state).ways.writes;
        if way == Writes::StoredAndCut {
            return;
        }
        lock(state).ways.down |= way == Writes::StoredAndDown;
        wait_while(state, &stream, |ways| ways.writes == Writes::StoredAndHeld);
    }
    if begins(lock(state).ways.closes_after) {
        close(state, port);
    }
    let fields: String = answer.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let _ = write!(
        stream,
        "HTTP/1.1 {} Desk\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        answer.status,
        answer.body.len(),
        answer.body
    );
}

/// Holds an answer as long as it is to be and somebody waits for it.
fn wait_while(state: &Mutex<State>, stream: &TcpStream, holds: impl Fn(&Ways) -> bool) {
    stream.set_nonblocking(true).unwrap();
    while holds(&lock(state).ways) && lock(state).open && !matches!(stream.peek(&mut [0]), Ok(0)) {
        std::thread::sleep(LOOK);
    }
    stream.set_nonblocking(false).unwrap();
}

fn answer(state: &mut State, request: &Request) -> Option<Answer> {
    match state.ways.refusal {
        Some(Refusal::Throttled) => return Some(Answer::new(429, "slow down").with("Retry-After", "1")),
        Some(Refusal::LockedOut) if request.method == "POST" && request.path == "/login" => {
            let page = "Your account has been locked due to too many failed login attempts.";
            return Some(Answer::new(403, page).with("Content-Type", "text/html"));
        }
        _ => {}
    }
    let signed_in = request.session.as_ref().is_some_and(|sid| state.sessions.contains(sid));
    let number = request.path.strip_prefix("/api/tickets/").and_then(|number| number.parse::<u64>().ok());
    Some(match (request.method.as_str(), request.path.as_str(), number) {
        ("GET", "/login", _) => Answer::page(LOGIN),
        ("POST", "/login", _) => sign_in(state, &request.body),
        _ if !signed_in => Answer::to("/login"),
        ("POST", "/logout", _) => {
            state.sessions.retain(|sid| Some(sid) != request.session.as_ref());
            Answer::to("/login")
        }
        ("GET", "/dashboard", _) => {
            let who = if state.ways.other_user { "somebody else" } else { Desk::USERNAME };
            Answer::page(format!("<h1>Signed in as {who}</h1>"))
        }
        ("GET", "/new", _) => Answer::page("<form id=new method=post action=/api/tickets></form>"),
        ("GET", "/api/tickets", _) => search(state, &request.query),
        ("POST", "/api/tickets", _) => return create(state, &request.body),
        ("GET", _, Some(number)) => {
            state.tickets.get(&number).map_or_else(|| Answer::new(404, ""), |found| Answer::json(200, found))
        }
        ("DELETE", _, Some(_)) if state.ways.refuses_deletes => Answer::new(500, "no"),
        ("DELETE", _, Some(number)) => {
            Answer::new(if state.tickets.remove(&number).is_some() { 204 } else { 404 }, "")
        }
        _ => Answer::new(404, ""),
    })
}

const LOGIN: &str = "<form id=login method=post action=/login><input type=hidden name=token value=csrf-31415>\
                     <input name=username><input type=password name=password></form>";

fn sign_in(state: &mut State, body: &str) -> Answer {
    let fields: BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let is = |name: &str, value: &str| fields.get(name).is_some_and(|given| given == value);
    if !(is("token", "csrf-31415") && is("username", Desk::USERNAME) && is("password", Desk::PASSWORD)) {
        return Answer::page(format!("wrong {LOGIN}"));
    }
    let sid = format!("session-{}-{}", state.sessions.len(), state.asked.len());
    state.sessions.push(sid.clone());
    Answer::to("/dashboard").with("Set-Cookie", format!("sid={sid}; Path=/; HttpOnly; SameSite=Lax"))
}

fn search(state: &State, query: &str) -> Answer {
    let wanted = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q");
    let wanted = wanted.map(|(_, text)| text.into_owned()).unwrap_or_default();
    let found = state.tickets.values().filter(|ticket| {
        state.ways.lists_all || ticket["title"].as_str().is_some_and(|title| title.contains(&wanted))
    });
    Answer::json(200, &found.cloned().collect())
}

/// None: the write is swallowed.
fn create(state: &mut State, body: &str) -> Option<Answer> {
    let ticket: Value = serde_json::from_str(body).unwrap_or_default();
    match state.ways.writes {
        Writes::Swallowed => None,
        Writes::Forgotten => Some(Answer::json(201, &json!({ "id": 999_999 }))),
        _ => Some(Answer::json(201, &json!({ "id": store(state, ticket) }))),
    }
}

fn store(state: &mut State, mut ticket: Value) -> u64 {
    state.stored += 1;
    let number = state.stored;
    ticket["id"] = number.into();
    state.tickets.insert(number, ticket);
    state.most = state.most.max(state.tickets.len());
    number
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(super::PATIENCE)).ok()?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let (head, body) = loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = field(head, "content-length").and_then(|length| length.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    };
    let mut words = head.split(' ');
    let method = words.next()?.to_owned();
    let target = words.next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let cookies = field(&head, "cookie").unwrap_or_default();
    let session = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("sid=")).map(str::to_owned);
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), session, body })
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
