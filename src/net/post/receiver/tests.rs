#![expect(clippy::disallowed_methods, reason = "peers on loopback are sockets too")]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

async fn receiver() -> (Receiver, SocketAddr) {
    let receiver = Receiver::listen(([127, 0, 0, 1], 0).into(), "monitor.example", "Canary@monitor.example")
        .await
        .unwrap();
    let address = receiver.address().unwrap();
    (receiver, address)
}

/// Says all of it at once, and returns all that is answered until the connection ends.
async fn say(address: SocketAddr, words: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

const PATIENCE: Duration = Duration::from_secs(20);
const BEGIN: &str =
    "EHLO a.example\r\nMAIL FROM:<b@a.example> SIZE=10\r\nRCPT TO:<canary@MONITOR.example>\r\nDATA\r\n";

#[tokio::test]
async fn a_message_comes_whole_and_without_its_dots() {
    let (receiver, address) = receiver().await;
    let words = format!("{BEGIN}Subject: x\r\n\r\n..dot\r\nbare\n.\nend\r\n.\r\nQUIT\r\n");
    let any = |_: &Received| true;
    let (came, answer) =
        tokio::join!(receiver.receive(Instant::now() + PATIENCE, &any), say(address, &words));
    let came = came.unwrap();
    assert_eq!(String::from_utf8(came.message).unwrap(), "Subject: x\r\n\r\n.dot\r\nbare\n.\nend\r\n");
    assert_eq!((came.helo.as_str(), came.mail_from.as_str()), ("a.example", "b@a.example"));
    assert!(answer.ends_with("250 taken\r\n221 bye\r\n"), "{answer}");
}

#[tokio::test]
async fn nothing_is_relayed_and_what_is_not_wanted_is_waited_past() {
    let (receiver, address) = receiver().await;
    let wanted = |came: &Received| came.message.starts_with(b"Subject: right");
    let peers = async {
        let other =
            say(address, "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<root@else.example>\r\nDATA\r\nQUIT\r\n").await;
        let wrong = say(address, &format!("{BEGIN}Subject: wrong\r\n\r\n.\r\nQUIT\r\n")).await;
        let right = say(address, &format!("{BEGIN}Subject: right\r\n\r\n.\r\nQUIT\r\n")).await;
        (other, wrong, right)
    };
    let (came, (other, wrong, right)) =
        tokio::join!(receiver.receive(Instant::now() + PATIENCE, &wanted), peers);
    assert!(came.unwrap().message.starts_with(b"Subject: right"));
    assert!(other.contains("550 no such mailbox") && other.contains("503 no recipient"), "{other}");
    assert!(wrong.contains("250 taken") && right.contains("250 taken"), "{wrong}{right}");
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_or_is_refused() {
    let (receiver, address) = receiver().await;
    let any = |_: &Received| true;
    let endless = "x".repeat(4_096);
    let long = format!("{BEGIN}{}\r\n.\r\n", "y".repeat(MESSAGE + 10));
    let peers = async {
        assert_eq!(say(address, &endless).await, "220 monitor.example portalwatch\r\n");
        let answer = say(address, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nMAIL FROM a\r\nXYZ\r\nQUIT\r\n").await;
        let codes: Vec<&str> = answer.lines().filter_map(|line| line.get(..3)).collect();
        assert_eq!(codes, ["220", "503", "503", "503", "502", "221"], "{answer}");
        let _ = say(address, &long).await;
        say(address, &format!("{BEGIN}Subject: last\r\n\r\n.\r\nQUIT\r\n")).await
    };
    let (came, _) = tokio::join!(receiver.receive(Instant::now() + PATIENCE, &any), peers);
    assert!(came.unwrap().message.starts_with(b"Subject: last"));
}

#[tokio::test]
async fn the_wait_has_an_end() {
    let (receiver, _) = receiver().await;
    assert_eq!(receiver.receive(Instant::now() + Duration::from_millis(50), &|_| true).await, None);
}
