//! A mail relay that does what a script says, in clear text.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::mail::Mail;
use crate::peers::{PATIENCE, poll};

/// What the relay answers at a step (the start of a command, `greeting`, or `end` of a mail) in the
/// place of the usual. An empty reply is none: the connection hangs.
pub type Script = Vec<(&'static str, &'static str)>;

#[derive(Default)]
struct Shared {
    /// One script for each connection to come; after them all is well.
    scripts: Vec<Script>,
    /// What followed DATA, whether it was taken or not.
    handed: Vec<String>,
    taken: Vec<String>,
    commands: Vec<String>,
    connections: usize,
}

/// A running relay. Its threads end with the test's process.
pub struct Relay {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

impl Relay {
    pub fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared { scripts, ..Shared::default() }));
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    /// The channel `mail`, with these keys of `smtp` besides its `url`.
    pub fn channel(&self, smtp: &str) -> String {
        format!(
            "    mail:\n      email:\n        from: alerts@acme.example\n        to: [oncall@acme.example]\n        \
             smtp: {{ url: 'smtp://127.0.0.1:{}', {smtp} }}\n",
            self.port
        )
    }

    /// What was handed over, answered or not; at least `n`.
    pub fn handed(&self, n: usize) -> Vec<Mail> {
        let found = poll(PATIENCE * 3, || {
            Some(self.shared.lock().unwrap().handed.clone()).filter(|handed| handed.len() >= n)
        });
        let found = found.unwrap_or_else(|| panic!("fewer than {n}: {:?}", self.commands()));
        found.iter().map(|raw| Mail::parse(raw)).collect()
    }

    /// What was taken with a 250; at least `n`.
    pub fn taken(&self, n: usize) -> Vec<Mail> {
        let found = poll(PATIENCE * 3, || {
            Some(self.shared.lock().unwrap().taken.clone()).filter(|taken| taken.len() >= n)
        });
        let found = found.unwrap_or_else(|| panic!("fewer than {n}: {:?}", self.commands()));
        found.iter().map(|raw| Mail::parse(raw)).collect()
    }

    pub fn commands(&self) -> Vec<String> {
        self.shared.lock().unwrap().commands.clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.lock().unwrap().connections
    }
}

/// The dialogue; ends when either side does.
fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> Option<()> {
    let script = {
        let mut shared = shared.lock().unwrap();
        shared.connections += 1;
        if shared.scripts.is_empty() { Vec::new() } else { shared.scripts.remove(0) }
    };
    let mut writer = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    let mut answer = |step: &str, usual: &str| -> Option<String> {
        let scripted = script.iter().find(|(start, _)| step.starts_with(start));
        let reply = scripted.map_or(usual, |(_, reply)| reply).to_owned();
        if !reply.is_empty() {
            writer.write_all(format!("{reply}\r\n").as_bytes()).ok()?;
        }
        Some(reply)
    };
    answer("greeting", "220 relay")?;
    loop {
        let line = lines.next()?.ok()?;
        shared.lock().unwrap().commands.push(line.clone());
        let usual = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250-relay\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            "DATA" => "354 go ahead",
            "AUTH" => "235 welcome",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        let reply = answer(&line, usual)?;
        if line != "DATA" || !reply.starts_with('3') {
            continue;
        }
        let mut mail = String::new();
        loop {
            let line = lines.next()?.ok()?;
            if line == "." {
                break;
            }
            mail += line.strip_prefix('.').unwrap_or(&line);
            mail.push('\n');
        }
        shared.lock().unwrap().handed.push(mail.clone());
        if answer("end", "250 queued")?.starts_with('2') {
            shared.lock().unwrap().taken.push(mail);
        }
    }
}
