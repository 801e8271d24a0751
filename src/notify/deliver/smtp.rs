//! Sends a mail through the first relay that can be reached.
//!
//! The dialogue is lettre's. The prologue up to the end of STARTTLS is held here, byte by byte, so
//! that nothing a peer on the way slipped in before the handshake is read as an answer after it
//! (RFC 3207 section 5), and so that all TLS has one configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Message, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailCommand, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};

use super::session::{Session, command, read_reply};
use super::wire::Wire;
use crate::model::{Delivery, Mail};
use crate::net::TlsOptions;
use crate::notify::card::bounded;
use crate::notify::{Relay, Security, Smtp};

/// What went wrong with one relay.
enum Failed {
    /// The relay is of no use for now; the next one may be.
    Relay(String),
    /// The relay took a look at the message and does not want it for now.
    Later(String),
    /// The relay says that it will never take the message.
    Never(String),
}

/// Sends `mail` under `key`; the whole of it takes at most `timeout`.
///
/// A refusal for good (5xx) is tried again as well, at the next relay and later: most of them are
/// settings of a relay that somebody mends (relaying denied, a full mailbox, a block list), and an
/// alert that is given up at once is lost without anybody knowing.
pub(super) async fn send(
    wire: &dyn Wire,
    smtp: &Smtp,
    tls: &TlsOptions,
    mail: &Mail,
    key: &str,
    timeout: Duration,
) -> Delivery {
    let message = match compose(smtp, mail, key) {
        Ok(message) => message,
        Err(why) => return Delivery::Dead { why },
    };
    let share = timeout / u32::try_from(smtp.relays.len().max(1)).unwrap_or(1);
    let mut why = Vec::new();
    let mut unsure = false;
    for relay in &smtp.relays {
        let place = format!("{}:{}", relay.host, relay.port);
        let handed = AtomicBool::new(false);
        let attempt = through(wire, relay, tls, &message, share, &handed);
        let failed = match tokio::time::timeout(share, attempt).await {
            Ok(Ok(answer)) => return Delivery::Sent { answer: bounded(&format!("{place}: {answer}"), 300) },
            Ok(Err(failed)) => failed,
            Err(_) => Failed::Relay(format!("no answer within {} s", share.as_secs())),
        };
        unsure |= handed.load(Ordering::Relaxed);
        match failed {
            Failed::Relay(reason) | Failed::Never(reason) => why.push(format!("{place}: {reason}")),
            Failed::Later(reason) => {
                return Delivery::Retry {
                    after: None,
                    why: bounded(&format!("{place}: {reason}"), 300),
                    unsure,
                };
            }
        }
    }
    Delivery::Retry { after: None, why: bounded(&why.join("; "), 500), unsure }
}

/// A header that lettre has no type for.
#[derive(Clone)]
struct Raw<const AUTO: bool>(String);

impl<const AUTO: bool> Header for Raw<AUTO> {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str(if AUTO { "Auto-Submitted" } else { "X-Portalwatch-Key" })
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

/// The mail in transport form. `Auto-Submitted` keeps vacation responders quiet (RFC 3834 section 5).
fn compose(smtp: &Smtp, mail: &Mail, key: &str) -> Result<Message, String> {
    let mut builder = Message::builder()
        .from(smtp.from.clone())
        .date(mail.date.into())
        .message_id(Some(mail.message_id.clone()))
        .subject(mail.subject.clone())
        .header(Raw::<true>("auto-generated".into()))
        .header(Raw::<false>(bounded(key, 400)));
    for to in &smtp.to {
        builder = builder.to(to.clone());
    }
    for cc in &smtp.cc {
        builder = builder.cc(cc.clone());
    }
    if let Some(root) = &mail.in_reply_to {
        builder = builder.in_reply_to(root.clone()).references(root.clone());
    }
    builder
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|error| format!("the mail cannot be composed: {error}"))
}

async fn through(
    wire: &dyn Wire,
    relay: &Relay,
    tls: &TlsOptions,
    message: &Message,
    timeout: Duration,
    handed: &AtomicBool,
) -> Result<String, Failed> {
    let dialed = wire.dial(&relay.host, relay.port, timeout).await.map_err(Failed::Relay)?;
    let _permit = dialed.permit;
    let hello = ClientId::default();
    let session = secure(Session::plain(dialed.stream), relay, tls, &hello).await.map_err(Failed::Relay)?;
    let encrypted = session.is_encrypted();
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(session), &hello)
        .await
        .map_err(|error| Failed::Relay(format!("greeting: {}", words(&error))))?;
    let outcome = match log_in(&mut connection, relay, encrypted).await {
        Ok(()) => transact(&mut connection, message, handed).await,
        Err(why) => Err(Failed::Relay(why)),
    };
    // The answer to DATA is what counts; a peer that hangs after it must not turn success around.
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.quit()).await;
    outcome
}

/// Brings the connection under TLS as far as the relay's settings ask for it.
async fn secure(
    mut session: Session,
    relay: &Relay,
    tls: &TlsOptions,
    hello: &ClientId,
) -> Result<Session, String> {
    match relay.security {
        Security::None => return Ok(session),
        Security::Implicit => return encrypt(session, relay, tls).await,
        Security::StartTls | Security::Opportunistic => {}
    }
    let greeting = read_reply(&mut session).await?;
    if !greeting.starts_with("220") {
        return Err(format!("greeting: {}", bounded(&greeting, 200)));
    }
    let capabilities = command(&mut session, &format!("EHLO {hello}")).await?;
    let offered = capabilities.lines().any(|line| {
        line.get(4..).is_some_and(|capability| capability.trim().eq_ignore_ascii_case("STARTTLS"))
    });
    if !offered && relay.security == Security::Opportunistic {
        return Ok(session.greeted());
    }
    if !offered {
        return Err(
            "it does not offer STARTTLS, so nothing was sent; use smtps://, or tls: opportunistic if clear text is acceptable"
                .into(),
        );
    }
    let answer = command(&mut session, "STARTTLS").await?;
    if !answer.starts_with("220") {
        return Err(format!("STARTTLS: {}", bounded(&answer, 200)));
    }
    Ok(encrypt(session, relay, tls).await?.greeted())
}

async fn encrypt(session: Session, relay: &Relay, tls: &TlsOptions) -> Result<Session, String> {
    let name = relay.server_name.as_ref().or(tls.server_name.as_ref()).unwrap_or(&relay.host);
    let server = ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is no name for TLS"))?;
    let config = client_config(tls)?;
    session
        .encrypt(config, server)
        .await
        .map_err(|error| format!("TLS with {name}: {}", bounded(&error.to_string(), 200)))
}

/// The system's roots (the public ones where it has none), the channel's own CA, and its client
/// certificate.
fn client_config(tls: &TlsOptions) -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(pem) = &tls.ca_pem {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("tls.ca_file: {error}"))?;
            roots.add(certificate).map_err(|error| format!("tls.ca_file: {error}"))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|error| format!("tls.client.cert: {error}"))?;
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                .map_err(|_| "tls.client.key: no private key in PEM form".to_owned())?;
            builder.with_client_auth_cert(chain, key).map_err(|error| format!("tls.client: {error}"))?
        }
    };
    Ok(Arc::new(config))
}

/// A refused login may be mended in the config, so it is never final.
async fn log_in(connection: &mut AsyncSmtpConnection, relay: &Relay, encrypted: bool) -> Result<(), String> {
    let Some((username, password)) = &relay.credentials else { return Ok(()) };
    if !encrypted && relay.security != Security::None {
        return Err("it offers no STARTTLS, so the credentials were not sent in clear text".into());
    }
    let credentials = Credentials::new(username.clone(), password.expose().to_owned());
    connection
        .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
        .await
        .map(drop)
        .map_err(|error| format!("AUTH as {username}: {}", words(&error)))
}

/// MAIL, RCPT for each recipient, DATA. Recipients that are refused do not keep the message from
/// the others. `handed` is set while the message is with the relay and no reply has come: it may
/// have been taken then (RFC 5321 section 4.5.4.1 has the client send it again).
async fn transact(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    handed: &AtomicBool,
) -> Result<String, Failed> {
    let body = message.formatted();
    let envelope: &Envelope = message.envelope();
    let mut parameters = Vec::new();
    if !body.is_ascii() && connection.server_info().supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection
        .command(MailCommand::new(envelope.from().cloned(), parameters))
        .await
        .map_err(|error| refused("MAIL", &error))?;
    let mut refusals: Vec<(String, Failed)> = Vec::new();
    let mut accepted = 0_usize;
    for recipient in envelope.to() {
        match connection.command(Rcpt::new(recipient.clone(), Vec::new())).await {
            Ok(_) => accepted += 1,
            Err(error) => match refused("RCPT", &error) {
                lost @ Failed::Relay(_) => return Err(lost),
                refusal => refusals.push((recipient.to_string(), refusal)),
            },
        }
    }
    if accepted == 0 {
        return Err(none_accepted(refusals));
    }
    connection.command(Data).await.map_err(|error| refused("DATA", &error))?;
    handed.store(true, Ordering::Relaxed);
    let response = connection.message(&body).await;
    let replied = response.as_ref().err().is_none_or(|error| error.status().is_some());
    handed.store(!replied, Ordering::Relaxed);
    let response = response.map_err(|error| refused("message", &error))?;
    let answer = format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" "));
    let notes: Vec<String> = refusals
        .into_iter()
        .map(|(recipient, Failed::Relay(why) | Failed::Later(why) | Failed::Never(why))| {
            format!("refused {recipient}: {why}")
        })
        .collect();
    Ok([vec![answer], notes].concat().join("; "))
}

/// Final only if every recipient was refused for good.
fn none_accepted(refusals: Vec<(String, Failed)>) -> Failed {
    let for_good = refusals.iter().all(|(_, refusal)| matches!(refusal, Failed::Never(_)));
    let why: Vec<String> = refusals
        .into_iter()
        .map(|(recipient, Failed::Relay(why) | Failed::Later(why) | Failed::Never(why))| {
            format!("{recipient}: {why}")
        })
        .collect();
    if for_good { Failed::Never(why.join("; ")) } else { Failed::Later(why.join("; ")) }
}

/// 4xx is for now, 5xx for good (RFC 5321 section 4.2.1) except 530 and 535, which ask for a login;
/// all else is the connection's end.
fn refused(step: &str, error: &lettre::transport::smtp::Error) -> Failed {
    let why = format!("{step}: {}", words(error));
    let code = error.status().map(|code| code.to_string());
    match code.as_deref() {
        Some("421" | "530" | "535") => Failed::Relay(why),
        Some(_) if error.is_permanent() => Failed::Never(why),
        Some(_) => Failed::Later(why),
        None => Failed::Relay(why),
    }
}

fn words(error: &lettre::transport::smtp::Error) -> String {
    bounded(&error.to_string(), 200)
}
