//! HTTP messages against a listener on loopback.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::fakes::*;
use crate::model::Delivery;
use crate::notify::deliver::{SEND_TIMEOUT, send_test};
use crate::notify::webhook::signature;

/// Answers one request, and returns it.
async fn once(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        let mut buffer = [0; 65_536];
        loop {
            let read = stream.read(&mut buffer).await.unwrap();
            request += std::str::from_utf8(&buffer[..read]).unwrap();
            if let Some((head, body)) = request.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if body.len() >= length.parse().unwrap() {
                    break;
                }
            }
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    (url, task)
}

async fn answer_to(answer: &'static str) -> Delivery {
    let (url, task) = once(answer).await;
    let channel = webhook("hook", serde_json::json!({ "url": url }));
    let delivery = send_test(&channel, &channels(Vec::new()), &Loopback, start()).await;
    task.await.unwrap();
    delivery
}

#[tokio::test]
async fn a_request_is_signed_over_what_is_sent() {
    let (url, task) = once("HTTP/1.1 204 No Content\r\n\r\n").await;
    let settings = serde_json::json!({
        "url": url,
        "headers": { "x-team": "ops" },
        "secret": { "value": "a plain secret", "shown": "env:HOOK" },
    });
    let channel = webhook("hook", settings);
    let delivery = send_test(&channel, &channels(Vec::new()), &Loopback, start()).await;
    assert_eq!(delivery, Delivery::Sent { answer: "HTTP 204".into() });
    let request = task.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
    };
    assert_eq!(header("x-team"), "ops");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("webhook-timestamp"), start().as_second().to_string());
    let expected = signature(b"a plain secret", &header("webhook-id"), start().as_second(), body);
    assert_eq!(header("webhook-signature"), expected);
    assert!(!request.contains("a plain secret"));
}

#[tokio::test]
async fn answers_mean_what_they_say() {
    let retry = |after: Option<u64>, why: &str| Delivery::Retry {
        after: after.map(Duration::from_secs),
        why: why.into(),
        unsure: false,
    };
    assert_eq!(
        answer_to("HTTP/1.1 429 Too Many Requests\r\nretry-after: 90\r\n\r\nslow down").await,
        retry(Some(90), "HTTP 429 slow down")
    );
    assert_eq!(
        answer_to("HTTP/1.1 503 X\r\nretry-after: Tue, 24 Nov 2026 12:05:00 GMT\r\n\r\n").await,
        retry(Some(300), "HTTP 503")
    );
    assert_eq!(answer_to("HTTP/1.1 401 X\r\n\r\n").await, retry(None, "HTTP 401"));
    assert_eq!(answer_to("HTTP/1.1 410 X\r\n\r\n").await, Delivery::Dead { why: "HTTP 410".into() });
    let moved = answer_to("HTTP/1.1 302 X\r\nlocation: https://elsewhere.example/\r\n\r\n").await;
    assert!(matches!(moved, Delivery::Retry { why, .. } if why.contains("https://elsewhere.example/")));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_is_left_within_the_lease() {
    let script = Script::new([("a", &[(3600, 200)])]);
    let channel = webhook("a", serde_json::json!({ "url": "https://a/" }));
    let delivery = send_test(&channel, &channels(Vec::new()), &*script, start()).await;
    assert!(matches!(delivery, Delivery::Retry { unsure: true, .. }), "{delivery:?}");
    assert!(SEND_TIMEOUT < crate::notify::deliver::LEASE);
}
