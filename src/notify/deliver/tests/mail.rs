//! Mail against a relay on loopback that can be told to misbehave where a real one cannot.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::fakes::*;
use crate::model::{Delivery, Notification, Outgoing, Reason};
use crate::net::TlsOptions;
use crate::notify::deliver::smtp;
use crate::notify::email::Email;
use crate::notify::registry::ChannelType;
use crate::notify::{Notifier, Transport};

/// How the relay behaves.
#[derive(Clone)]
struct Behaviour {
    greeting: &'static str,
    starttls: bool,
    implicit: bool,
    /// Step and reply, in the place of the usual one; an empty reply hangs.
    replies: Vec<(&'static str, &'static str)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { greeting: "220 relay", starttls: false, implicit: false, replies: Vec::new() }
    }
}

struct Relay {
    port: u16,
    ca_pem: String,
    /// Each command and line of mail, marked `tls ` or `clear `.
    log: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["relay.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let log = Arc::new(Mutex::new(Vec::new()));
        let relay = Self { port, ca_pem: cert.pem(), log: log.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (behaviour, acceptor, log) = (behaviour.clone(), acceptor.clone(), log.clone());
                tokio::spawn(async move {
                    if behaviour.implicit {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        serve(stream, &behaviour, &log, true, true).await;
                    } else if let Some(stream) = serve(stream, &behaviour, &log, false, true).await {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        serve(stream, &behaviour, &log, true, false).await;
                    }
                });
            }
        });
        relay
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    fn settings(&self, scheme: &str, tls: Option<&str>) -> serde_json::Value {
        serde_json::json!({
            "url": format!("{scheme}://127.0.0.1:{}", self.port),
            "username": "alerts",
            "password": { "value": "hunter2-secret", "shown": "env:SMTP_PASSWORD" },
            "tls": tls,
            "server_name": "relay.test",
        })
    }

    async fn send(&self, scheme: &str, tls: Option<&str>) -> Delivery {
        send(vec![self.settings(scheme, tls)], Some(&self.ca_pem), Duration::from_secs(20)).await
    }
}

/// The dialogue. Returns the stream when it is to be put under TLS.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    behaviour: &Behaviour,
    log: &Mutex<Vec<String>>,
    encrypted: bool,
    greet: bool,
) -> Option<S> {
    let mark = if encrypted { "tls" } else { "clear" };
    let mut stream = BufReader::new(stream);
    if greet {
        if behaviour.greeting.is_empty() {
            std::future::pending::<()>().await;
        }
        stream.write_all(format!("{}\r\n", behaviour.greeting).as_bytes()).await.ok()?;
    }
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        log.lock().unwrap().push(format!("{mark} {line}"));
        let step = match (in_data, line.as_str()) {
            (true, ".") => "end",
            (true, _) => continue,
            (false, command) => command,
        };
        let scripted = behaviour.replies.iter().find(|(start, _)| step.starts_with(start));
        let reply = match scripted {
            Some((_, "")) => std::future::pending().await,
            Some((_, reply)) => (*reply).to_owned(),
            None if step.starts_with("EHLO") => {
                let starttls = if behaviour.starttls && !encrypted { "250-STARTTLS\r\n" } else { "" };
                format!("250-relay\r\n{starttls}250-AUTH PLAIN LOGIN\r\n250 8BITMIME")
            }
            None if step.starts_with("STARTTLS") => "220 go ahead".into(),
            None if step.starts_with("AUTH") => "235 welcome".into(),
            None if step == "DATA" => "354 go ahead".into(),
            None if step == "QUIT" => "221 bye".into(),
            None if step == "end" => "250 queued as 4711".into(),
            None => "250 ok".into(),
        };
        in_data = step == "DATA" && reply.starts_with('3');
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
        if step == "STARTTLS" && reply.starts_with('2') {
            return Some(stream.into_inner());
        }
    }
}

fn notification(reason: Reason) -> Notification {
    let row = row("key-1", "mail", "acme/home", reason);
    Notification {
        key: row.key,
        channel: row.channel,
        group_key: row.group_key,
        group_labels: row.group_labels,
        notices: vec![row.notice],
        shares: None,
        replies_to: None,
        external_url: "https://status.acme.example".into(),
        timezone: jiff::tz::TimeZone::UTC,
        now: start(),
    }
}

async fn send(relays: Vec<serde_json::Value>, ca_pem: Option<&str>, timeout: Duration) -> Delivery {
    let settings = serde_json::json!({
        "from": "portalwatch <alerts@acme.example>",
        "to": ["oncall@acme.example", "second@acme.example"],
        "smtp": relays,
    });
    let email =
        Email::build(serde_json::from_value(settings).unwrap()).unwrap_or_else(|all| panic!("{all:?}"));
    let Outgoing::Mail(mail) = email.render(&notification(Reason::Opened)) else { panic!("no mail") };
    let Transport::Smtp(target) = email.transport() else { panic!("no relay") };
    assert!(!format!("{target:?}").contains("hunter2"), "a secret in Debug");
    let tls = TlsOptions { ca_pem: ca_pem.map(Into::into), ..TlsOptions::default() };
    smtp::send(&Loopback, target, &tls, &mail, "key-1", timeout).await
}

fn sent(delivery: &Delivery) -> &str {
    match delivery {
        Delivery::Sent { answer } => answer,
        other => panic!("{other:?}"),
    }
}

fn retried(delivery: &Delivery) -> &str {
    match delivery {
        Delivery::Retry { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn starttls_comes_before_credentials_and_mail() {
    let relay = Relay::start(Behaviour { starttls: true, ..Behaviour::default() }).await;
    let delivery = relay.send("smtp", None).await;
    assert!(sent(&delivery).contains("queued as 4711"), "{delivery:?}");
    let log = relay.log();
    let token = base64::engine::general_purpose::STANDARD.encode("\0alerts\0hunter2-secret");
    assert!(log.contains(&format!("tls AUTH PLAIN {token}")), "{log}");
    assert!(
        log.contains("clear STARTTLS") && !log.contains("clear AUTH") && !log.contains("clear MAIL"),
        "{log}"
    );
    for line in [
        "tls Subject: [acme] DOWN home: answered 502 (3/3)",
        "tls Auto-Submitted: auto-generated",
        "tls X-Portalwatch-Key: key-1",
        "tls RCPT TO:<second@acme.example>",
        "tls Date: Tue, 24 Nov 2026 12:00:00 +0000",
    ] {
        assert!(log.contains(line), "{line} is missing in\n{log}");
    }
}

#[tokio::test]
async fn tls_from_the_first_byte_works() {
    let relay = Relay::start(Behaviour { implicit: true, ..Behaviour::default() }).await;
    sent(&relay.send("smtps", None).await);
    assert!(!relay.log().contains("clear"));
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_in_clear() {
    let relay = Relay::start(Behaviour::default()).await;
    let delivery = relay.send("smtp", None).await;
    assert!(retried(&delivery).contains("STARTTLS"), "{delivery:?}");
    let log = relay.log();
    assert!(!log.contains("AUTH") && !log.contains("MAIL"), "{log}");
    let delivery = relay.send("smtp", Some("opportunistic")).await;
    assert!(retried(&delivery).contains("credentials were not sent"), "{delivery:?}");
    assert!(!relay.log().contains("AUTH"));
}

#[tokio::test]
async fn clear_text_is_possible_where_it_is_asked_for() {
    let relay = Relay::start(Behaviour::default()).await;
    sent(&relay.send("smtp", Some("none")).await);
    assert!(relay.log().contains("clear AUTH"));
}

#[tokio::test]
async fn opportunistic_without_credentials_goes_through_in_clear() {
    let relay = Relay::start(Behaviour::default()).await;
    let settings = serde_json::json!({
        "url": format!("smtp://127.0.0.1:{}", relay.port), "tls": "opportunistic",
    });
    sent(&send(vec![settings], None, Duration::from_secs(20)).await);
}

#[tokio::test]
async fn an_unknown_certificate_gets_neither_credentials_nor_mail() {
    let relay = Relay::start(Behaviour { starttls: true, ..Behaviour::default() }).await;
    let delivery = send(vec![relay.settings("smtp", None)], None, Duration::from_secs(20)).await;
    assert!(retried(&delivery).contains("TLS with relay.test"), "{delivery:?}");
    let log = relay.log();
    assert!(!log.contains("AUTH") && !log.contains("MAIL"), "{log}");
}

#[tokio::test]
async fn a_refusal_is_tried_again_even_one_for_good() {
    let cases: [(&'static str, &'static str); 6] = [
        ("AUTH", "535 5.7.8 bad credentials"),
        ("MAIL", "451 4.7.1 greylisted"),
        ("RCPT", "450 4.2.1 later"),
        ("RCPT", "550 5.1.1 no such user"),
        ("end", "554 5.7.1 policy"),
        ("end", "452 4.3.1 full"),
    ];
    for (step, reply) in cases {
        let relay =
            Relay::start(Behaviour { implicit: true, replies: vec![(step, reply)], ..Behaviour::default() })
                .await;
        let delivery = relay.send("smtps", None).await;
        let why = match &delivery {
            Delivery::Retry { why, unsure: false, .. } => why,
            other => panic!("{step} {reply}: {other:?}"),
        };
        assert!(why.contains(&reply[..3]) && !why.contains("hunter2"), "{why}");
    }
}

#[tokio::test]
async fn a_refused_recipient_does_not_keep_the_mail_from_the_other() {
    let relay = Relay::start(Behaviour {
        implicit: true,
        replies: vec![("RCPT TO:<second", "550 5.1.1 no such user")],
        ..Behaviour::default()
    })
    .await;
    let delivery = relay.send("smtps", None).await;
    assert!(sent(&delivery).contains("refused second@acme.example"), "{delivery:?}");
    assert!(relay.log().contains("tls DATA"));
}

#[tokio::test]
async fn the_next_relay_is_tried_when_one_is_out_of_order() {
    let good = Relay::start(Behaviour { implicit: true, ..Behaviour::default() }).await;
    let silent = Relay::start(Behaviour { greeting: "", implicit: true, ..Behaviour::default() }).await;
    let busy =
        Relay::start(Behaviour { greeting: "421 too busy", implicit: true, ..Behaviour::default() }).await;
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = serde_json::json!({ "url": format!("smtps://{}", unused.local_addr().unwrap()) });
    drop(unused);
    let trust = format!("{}{}{}", good.ca_pem, silent.ca_pem, busy.ca_pem);
    let relays = vec![
        refused,
        silent.settings("smtps", None),
        busy.settings("smtps", None),
        good.settings("smtps", None),
    ];
    let delivery = send(relays.clone(), Some(&trust), Duration::from_secs(12)).await;
    assert!(sent(&delivery).contains(&good.port.to_string()), "{delivery:?}");

    let delivery = send(relays[..3].to_vec(), Some(&trust), Duration::from_secs(3)).await;
    let why = retried(&delivery);
    assert!(why.contains("refused") && why.contains("no answer within") && why.contains("421"), "{why}");
}

#[tokio::test]
async fn a_relay_that_hangs_after_the_mail_was_taken_has_taken_it() {
    let relay =
        Relay::start(Behaviour { implicit: true, replies: vec![("QUIT", "")], ..Behaviour::default() }).await;
    sent(&relay.send("smtps", None).await);
}

#[tokio::test]
async fn only_a_mail_that_was_handed_over_without_an_answer_may_have_arrived() {
    let doubt = async |step: &'static str, reply: &'static str| {
        let replies = vec![(step, reply)];
        let relay = Relay::start(Behaviour { starttls: true, replies, ..Behaviour::default() }).await;
        let settings = vec![relay.settings("smtp", None)];
        match send(settings, Some(&relay.ca_pem), Duration::from_secs(1)).await {
            Delivery::Retry { unsure, .. } => unsure,
            other => panic!("{step} {reply}: {other:?}"),
        }
    };
    assert!(doubt("end", "").await, "no answer to the mail");
    assert!(!doubt("end", "451 later").await, "a refusal is an answer");
    assert!(!doubt("end", "421 closing").await, "a refusal is an answer");
    assert!(!doubt("DATA", "").await, "the mail was not sent");
    assert!(!doubt("RCPT", "").await, "the mail was not sent");
}

#[tokio::test]
async fn what_is_slipped_in_before_the_handshake_is_no_answer_after_it() {
    let relay = Relay::start(Behaviour {
        starttls: true,
        replies: vec![("STARTTLS", "220 go ahead\r\n250 AUTH LOGIN")],
        ..Behaviour::default()
    })
    .await;
    retried(&relay.send("smtp", None).await);
    assert!(!relay.log().contains("AUTH"), "{}", relay.log());
}

#[tokio::test]
async fn a_relay_that_only_knows_login_is_logged_in_to() {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let password: &'static str = encode("hunter2-secret").leak();
    let relay = Relay::start(Behaviour {
        implicit: true,
        replies: vec![
            ("EHLO", "250-relay\r\n250 AUTH LOGIN"),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("YWxlcnRz", "334 UGFzc3dvcmQ6"),
            (password, "235 welcome"),
        ],
        ..Behaviour::default()
    })
    .await;
    sent(&relay.send("smtps", None).await);
    assert!(relay.log().contains("tls YWxlcnRz"), "{}", relay.log());
}

#[tokio::test]
async fn a_relay_that_answers_without_end_is_left() {
    let flood: &'static str = "250-more\r\n".repeat(2_000).leak();
    let relay =
        Relay::start(Behaviour { starttls: true, replies: vec![("EHLO", flood)], ..Behaviour::default() })
            .await;
    let delivery = relay.send("smtp", None).await;
    assert!(retried(&delivery).contains("longer than"), "{delivery:?}");
}
