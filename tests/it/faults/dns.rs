//! A name server that knows one name.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Answers over UDP until it is dropped: `known.example` is loopback, the root has a name server,
/// and nothing else exists.
pub struct NameServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A port on which no name server listens.
pub fn closed_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

impl NameServer {
    pub fn start(port: u16) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut query = [0; 1_500];
            while !stopping.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                if let Some(answer) = answer(&query[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

const A: u16 = 1;
const NS: u16 = 2;

/// RFC 1035, section 4: the header, the question again, and at most one record.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let question = query.get(12..)?;
    let name_length = question.iter().position(|&byte| byte == 0)? + 1;
    let kind = u16::from_be_bytes([*question.get(name_length)?, *question.get(name_length + 1)?]);
    let question = question.get(..name_length + 4)?;
    let name = question[..name_length].to_ascii_lowercase();
    let known = name == b"\x05known\x07example\x00";
    let root = name_length == 1;
    let data: Option<Vec<u8>> = match kind {
        A if known => Some(vec![127, 0, 0, 1]),
        NS if root => Some(b"\x01a\x00".to_vec()),
        _ => None,
    };
    let code = if known || root { 0 } else { 3 };
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, 0x80 | code, 0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(data) = data {
        // The name by a pointer to the question, the type, the class, a minute to live.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60]);
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}
