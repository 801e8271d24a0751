//! A place where journeys wait for the test: a step that asks the gate is answered once it is open.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::peers::{PATIENCE, poll};

/// A gate; it ends with the test's process.
pub struct Gate {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    open: bool,
    /// How often it was opened: who waited before an opening goes through, though it closes again.
    openings: usize,
    waiting: usize,
}

impl Gate {
    /// A closed one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &state));
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Whether a journey stands before the closed gate.
    pub fn is_waited_at(&self) -> bool {
        self.state.seen.lock().unwrap().waiting > 0
    }

    /// Waits for a journey to stand before it.
    #[track_caller]
    pub fn wait(&self, log: impl Fn() -> String) {
        let there = poll(2 * PATIENCE, || self.is_waited_at().then_some(()));
        assert!(there.is_some(), "no journey came to the gate: {}", log());
    }

    /// Lets through who waits, and who comes.
    pub fn open(&self) {
        let mut seen = self.state.seen.lock().unwrap();
        seen.open = true;
        seen.openings += 1;
        drop(seen);
        self.state.changed.notify_all();
    }

    /// Stops who comes from here on.
    pub fn close(&self) {
        self.state.seen.lock().unwrap().open = false;
    }
}

fn answer(mut stream: TcpStream, state: &State) {
    let mut head = [0; 4096];
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    if !stream.read(&mut head).is_ok_and(|read| read > 0) {
        return;
    }
    let mut seen = state.seen.lock().unwrap();
    seen.waiting += 1;
    let openings = seen.openings;
    while !seen.open && seen.openings == openings {
        seen = state.changed.wait(seen).unwrap();
    }
    seen.waiting -= 1;
    drop(seen);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
