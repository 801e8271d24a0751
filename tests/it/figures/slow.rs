//! A page that takes as long as it is told to, which no real server can be made to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Its threads end with the test's process.
pub struct Slow {
    port: u16,
    millis: Arc<AtomicU64>,
}

impl Slow {
    pub fn start(takes: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let millis = Arc::new(AtomicU64::new(0));
        let page = Self { port, millis: Arc::clone(&millis) };
        page.answer_after(takes);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let millis = Arc::clone(&millis);
                std::thread::spawn(move || serve(stream, &millis));
            }
        });
        page
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn answer_after(&self, takes: Duration) {
        self.millis.store(u64::try_from(takes.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

fn serve(mut stream: TcpStream, millis: &AtomicU64) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    // This is the answer's own time, not a wait for something.
    std::thread::sleep(Duration::from_millis(millis.load(Ordering::Relaxed)));
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
}
