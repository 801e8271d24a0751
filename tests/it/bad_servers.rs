//! Servers that do what no server should: what a person is told, and that nothing hangs or grows.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{portalwatch, portalwatch_with};
use crate::peers::{Nginx, free_port};

/// A server on loopback that handles each connection by the given function, on a thread that ends
/// with the test process.
fn server(handle: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || handle(stream));
        }
    });
    port
}

/// Reads a request's head.
fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers with these bytes and waits for the client to go.
fn answer(mut stream: TcpStream, bytes: &[u8]) {
    request(&mut stream);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0]);
}

/// Closes with what was sent still unread, which resets the connection.
fn reset(stream: TcpStream) {
    let _ = stream.peek(&mut [0]);
}

/// Writes one byte at a time for as long as somebody listens.
fn trickle(mut stream: TcpStream, head: &[u8]) {
    request(&mut stream);
    let _ = stream.write_all(head);
    while stream.write_all(b"a").is_ok() {
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn inspect(url: &str, code: i32) -> Value {
    portalwatch(&["inspect", "http", url, "--timeout", "2s", "--format", "json"]).ended(code).json()
}

/// The one broken finding and the phase it names must be these.
#[track_caller]
fn fails(port: u16, id: &str, phase: &str) -> Value {
    let json = inspect(&format!("http://127.0.0.1:{port}/"), 2);
    assert_failed(&json, id, phase);
    json
}

#[track_caller]
fn assert_failed(json: &Value, id: &str, phase: &str) {
    assert_eq!(json["verdict"], "fail", "{json:#}");
    let broken = json["findings"].as_array().unwrap().iter().filter(|finding| finding["broken"] == true);
    assert_eq!(broken.count(), 1, "{json:#}");
    let finding = &json["findings"][0];
    assert_eq!((finding["id"].as_str(), finding["broken"].as_bool()), (Some(id), Some(true)), "{json:#}");
    assert_eq!(finding["evidence"]["phase"].as_str().unwrap_or_default(), phase, "{json:#}");
}

#[test]
fn a_server_that_never_answers_times_out_before_the_first_byte() {
    let port = server(|mut stream| {
        request(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    fails(port, "http.timeout", "ttfb");
}

#[test]
fn a_body_byte_by_byte_times_out_in_the_transfer() {
    let port = server(|stream| trickle(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"));
    fails(port, "http.timeout", "transfer");
}

#[test]
fn a_head_byte_by_byte_times_out_before_the_transfer() {
    let port = server(|stream| trickle(stream, b"HTTP/1.1 200 OK\r\nX-Slow: "));
    fails(port, "http.timeout", "ttfb");
}

#[test]
fn an_endless_body_is_read_up_to_the_limit() {
    let port = server(|mut stream| {
        request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let json = inspect(&format!("http://127.0.0.1:{port}/"), 0);
    assert_eq!(json["observation"]["truncated"], true, "{json:#}");
    assert_eq!(json["observation"]["size"], 1_048_576, "{json:#}");
}

/// What `check` says of a server, with these expectations.
fn check(url: &str, expect: &str, code: i32) -> Value {
    let folder = TempDir::new().unwrap();
    let text = format!(
        "portals: {{acme: {{url: '{url}', private: true, checks: {{home: {{http: {{expect: {expect}}}}}}}}}}}"
    );
    std::fs::write(folder.path().join("monitor.yaml"), text).unwrap();
    let said = portalwatch_with(folder.path(), &[], &["check", "--timeout", "5s", "--format", "json"]);
    said.ended(code).json()["checks"][0].clone()
}

#[test]
fn a_bomb_is_not_unpacked_beyond_the_limit() {
    let nginx = Nginx::start("gzip on; gzip_min_length 0; gzip_types *; default_type text/plain; root www;");
    let www = nginx.dir().join("www");
    std::fs::create_dir(&www).unwrap();
    std::fs::File::create(www.join("bomb")).unwrap().set_len(1 << 30).unwrap();
    let url = format!("{}/bomb", nginx.url());
    let json = inspect(&url, 0);
    assert_eq!(json["observation"]["size"], 1_048_576, "{json:#}");
    assert_eq!(json["observation"]["truncated"], true, "{json:#}");
    assert_eq!(json["observation"]["headers"]["content-encoding"][0], "gzip", "it was packed: {json:#}");
    // What was not read decides nothing, and an expectation that is undecided fails.
    let json = check(&url, "{body: {contains: needle}}", 2);
    assert_failed(&json, "http.body", "");
}

#[test]
fn redirects_that_lead_nowhere_are_named() {
    let nginx = Nginx::start(
        "location = /loop { return 302 /loop2; }
         location = /loop2 { return 302 /loop; }
         location = /scheme { return 302 ftp://files.example/; }
         location = /file { return 302 file:///etc/passwd; }
         location = /metadata { return 302 http://169.254.169.254/latest/meta-data/; }
         location = /mapped { return 302 http://[::ffff:169.254.169.254]/; }
         location ~ ^/more { return 302 $uri/x; }
         location = /good { return 200 fine; }",
    );
    for (path, told) in [
        ("loop", "loop"),
        ("scheme", "ftp"),
        ("file", "file"),
        ("metadata", "169.254.169.254"),
        ("mapped", "169.254.169.254"),
        ("more", "10"),
    ] {
        let json = inspect(&format!("{}/{path}", nginx.url()), 2);
        assert_failed(&json, "http.redirect", "");
        let summary = json["findings"][0]["summary"].as_str().unwrap();
        assert!(summary.contains(told), "{path}: {summary}");
    }
    inspect(&format!("{}/good", nginx.url()), 0);
}

#[test]
fn a_metadata_address_is_never_asked() {
    let json = inspect("http://169.254.169.254/", 3);
    assert_eq!(json["cause"], "config", "{json:#}");
}

#[test]
fn answers_that_are_no_http_are_protocol_errors() {
    fails(
        server(|stream| {
            answer(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")
        }),
        "http.protocol",
        "ttfb",
    );
    fails(
        server(|stream| {
            let long =
                format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(1 << 20));
            answer(stream, long.as_bytes());
        }),
        "http.protocol",
        "ttfb",
    );
    fails(server(|stream| answer(stream, b"\xff\xfe\xfd garbage\r\n\r\n")), "http.protocol", "ttfb");
}

#[test]
fn what_is_not_utf8_is_shown_without_harm() {
    let port = server(|stream| {
        answer(stream, b"HTTP/1.1 200 OK\r\nX-Odd: a\xffb\r\nContent-Length: 4\r\n\r\n{\xff\xfe}");
    });
    let url = format!("http://127.0.0.1:{port}/");
    let json = inspect(&url, 0);
    assert!(json["observation"]["headers"]["x-odd"][0].as_str().unwrap().starts_with('a'), "{json:#}");
    assert_failed(&check(&url, "{json: {'$.ok': true}}", 2), "http.json", "");
    assert_failed(&check(&url, "{body: {contains: ok}}", 2), "http.body", "");
}

/// A certificate of a CA whose validity ended long ago, and the CA's certificate.
fn expired() -> ((String, String), String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    ((params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem()), ca)
}

#[test]
fn an_expired_certificate_is_named_as_such() {
    let (pair, ca) = expired();
    let nginx = Nginx::start_tls("location / { return 200 fine; }", &pair);
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("ca.pem"), ca).unwrap();
    let arguments = ["inspect", "http", &nginx.url(), "--ca-file", "ca.pem", "--format", "json"];
    let json = portalwatch_with(folder.path(), &[], &arguments).ended(2).json();
    assert_failed(&json, "http.certificate", "tls");
    let summary = json["findings"][0]["summary"].as_str().unwrap();
    assert!(summary.contains("expired"), "{summary}");
}

#[test]
fn a_reset_is_told_with_its_phase() {
    fails(free_port(), "http.refused", "connect");
    let port = server(reset);
    let json = inspect(&format!("https://127.0.0.1:{port}/"), 2);
    assert_failed(&json, "http.reset", "tls");
    fails(port, "http.reset", "ttfb");
    let port = server(|mut stream| {
        let _ = stream.peek(&mut [0]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        // The head must be there before the reset is.
        std::thread::sleep(Duration::from_millis(200));
    });
    fails(port, "http.reset", "transfer");
    let port = server(|stream| answer(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"));
    fails(port, "http.closed", "transfer");
}
