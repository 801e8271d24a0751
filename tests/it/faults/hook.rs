//! A webhook's other end, and a target that is slow on purpose.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::peers::poll;

/// One alert of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `opened`, `resolved`, …
    pub reason: String,
    /// `portal/check`.
    pub check: String,
    /// The finding it opened with.
    pub alert: String,
    /// Marked "not recorded".
    pub not_recorded: bool,
    /// The facts in words.
    pub description: String,
}

/// Serves connections until it is dropped, each in a thread of its own.
struct Server {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl Server {
    fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopping, serve) = (Arc::clone(&stop), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                let serve = Arc::clone(&serve);
                let stream = stream.unwrap();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { port, stop }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// Takes messages.
pub struct Hook {
    server: Server,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    pub fn start() -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        let server = Server::start(move |stream| {
            if let Some(body) = take(&stream) {
                kept.lock().unwrap().push(body);
            }
        });
        Self { server, bodies }
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Every alert told so far, in order.
    pub fn told(&self) -> Vec<Told> {
        self.bodies.lock().unwrap().iter().flat_map(alerts).collect()
    }

    /// Waits for an alert.
    pub fn wait(&self, reason: &str, alert: &str, deadline: Duration) -> Told {
        let wanted = |told: &Told| told.reason == reason && told.alert == alert;
        poll(deadline, || self.told().into_iter().find(wanted))
            .unwrap_or_else(|| panic!("no {reason} {alert} after {deadline:?}: {:#?}", self.told()))
    }

    /// What was told, short: `reason alert check`.
    pub fn lines(&self) -> Vec<String> {
        let line = |told: Told| format!("{} {} {}", told.reason, told.alert, told.check);
        self.told().into_iter().map(line).collect()
    }
}

fn alerts(body: &Value) -> Vec<Told> {
    let reason = body["notification_reason"].as_str().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = |alert: &Value| {
        let labels = &alert["labels"];
        Told {
            reason: reason.to_owned(),
            check: format!("{}/{}", text(&labels["portal"]), text(&labels["check"])),
            alert: text(&labels["alertname"]),
            not_recorded: alert["annotations"]["not_recorded"] == "true",
            description: text(&alert["annotations"]["description"]),
        }
    };
    body["alerts"].as_array().into_iter().flatten().map(told).collect()
}

fn take(mut stream: &TcpStream) -> Option<Value> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
            if body.len() >= length.trim().parse().ok()? {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .ok()?;
                return serde_json::from_str(body).ok();
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// A healthy web server that takes its time over every answer.
pub struct SlowServer {
    server: Server,
    millis: Arc<AtomicU64>,
}

impl SlowServer {
    pub fn start(delay: Duration) -> Self {
        let millis = Arc::new(AtomicU64::new(u64::try_from(delay.as_millis()).unwrap()));
        let waits = Arc::clone(&millis);
        let server = Server::start(move |mut stream| {
            let mut piece = [0; 4_096];
            let _ = stream.read(&mut piece);
            std::thread::sleep(Duration::from_millis(waits.load(Ordering::Relaxed)));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        });
        Self { server, millis }
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Answers at once from here on.
    pub fn hurry(&self) {
        self.millis.store(0, Ordering::Relaxed);
    }
}
