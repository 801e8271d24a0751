//! The receiving end of a webhook.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::peers::{PATIENCE, poll};

/// One request.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether it is signed with the secret, as Standard Webhooks has it.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let signed = format!("{id}.{time}.{}", self.body);
        let signature = self.header("webhook-signature").strip_prefix("v1,").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::verify(&key, signed.as_bytes(), &STANDARD.decode(signature).unwrap()).is_ok()
    }
}

/// A server that answers with the statuses it is given, then with 200. Its threads end with the
/// test's process.
pub struct Hook {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Hook {
    pub fn start<const N: usize>(statuses: [u16; N]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (log, mut statuses) = (Arc::clone(&received), statuses.into_iter());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &log, &mut statuses);
            }
        });
        Self { port, received }
    }

    /// Where to post.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// A channel that posts here, with these keys besides its `url`.
    pub fn channel(&self, name: &str, keys: &str) -> String {
        format!("    {name}: {{ webhook: {{ url: '{}', {keys} }} }}\n", self.url())
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// What came, once it is enough.
    pub fn wait_for(&self, what: &str, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        poll(PATIENCE * 3, || Some(self.received()).filter(|received| enough(received)))
            .unwrap_or_else(|| panic!("{what}: {:#?}", self.received()))
    }

    /// At least `n` requests.
    pub fn wait(&self, n: usize) -> Vec<Received> {
        self.wait_for(&format!("{n} requests"), |received| received.len() >= n)
    }
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Received>>,
    statuses: &mut impl Iterator<Item = u16>,
) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    log.lock().unwrap().push(Received { headers, body: String::from_utf8(body).unwrap() });
    let status = statuses.next().unwrap_or(200);
    write!(writer, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()
}
