//! Hands a message to a mail server.
//!
//! The dialogue is lettre's. The prologue up to the end of STARTTLS is held here, byte by byte, so
//! that nothing a peer on the way slipped in before the handshake is read as an answer after it
//! (RFC 3207 section 5), and so that all TLS has one configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailCommand, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::net::TcpStream;

use super::session::{Session, command, read_reply};
use super::short;
use crate::model::{MailSecurity, MailServer};
use crate::net::{TlsOptions, tls};

/// What went wrong with a mail server.
pub enum Refused {
    /// The server is of no use for now; another one may be.
    Server(String),
    /// The server took a look at the message and does not want it for now.
    Later(String),
    /// The server says that it will never take the message.
    Never(String),
}

impl Refused {
    /// Why, in one line.
    pub fn why(&self) -> &str {
        match self {
            Self::Server(why) | Self::Later(why) | Self::Never(why) => why,
        }
    }
}

/// Hands a message over; the server's answer. `handed` is set while the message is with the server and
/// no reply has come.
///
/// # Errors
/// The server does not take it.
pub async fn deliver(
    stream: TcpStream,
    server: &MailServer,
    options: &TlsOptions,
    message: &Message,
    handed: &AtomicBool,
) -> Result<String, Refused> {
    let hello = ClientId::default();
    let session = secure(Session::plain(stream), server, options, &hello).await.map_err(Refused::Server)?;
    let encrypted = session.is_encrypted();
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(session), &hello)
        .await
        .map_err(|error| Refused::Server(format!("greeting: {}", words(&error))))?;
    let outcome = match log_in(&mut connection, server, encrypted).await {
        Ok(()) => transact(&mut connection, message, handed).await,
        Err(why) => Err(Refused::Server(why)),
    };
    // The answer to DATA is what counts; a peer that hangs after it must not turn success around.
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.quit()).await;
    outcome
}

/// Brings the connection under TLS as far as the settings ask for it.
async fn secure(
    mut session: Session,
    server: &MailServer,
    options: &TlsOptions,
    hello: &ClientId,
) -> Result<Session, String> {
    match server.security {
        MailSecurity::None => return Ok(session),
        MailSecurity::Implicit => return encrypt(session, server, options).await,
        MailSecurity::StartTls | MailSecurity::Opportunistic => {}
    }
    let greeting = read_reply(&mut session).await?;
    if !greeting.starts_with("220") {
        return Err(format!("greeting: {}", short(&greeting)));
    }
    let capabilities = command(&mut session, &format!("EHLO {hello}")).await?;
    let offered = capabilities.lines().any(|line| {
        line.get(4..).is_some_and(|capability| capability.trim().eq_ignore_ascii_case("STARTTLS"))
    });
    if !offered && server.security == MailSecurity::Opportunistic {
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
        return Err(format!("STARTTLS: {}", short(&answer)));
    }
    Ok(encrypt(session, server, options).await?.greeted())
}

async fn encrypt(session: Session, server: &MailServer, options: &TlsOptions) -> Result<Session, String> {
    let name = name(server, options);
    let wanted = tls::server_name(name)?;
    let config = Arc::new(tls::build(options, tls::Alpn::None)?);
    session
        .encrypt(config, wanted)
        .await
        .map_err(|error| format!("TLS with {name}: {}", short(&error.to_string())))
}

/// The name that the certificate has to be for.
pub(super) fn name<'a>(server: &'a MailServer, options: &'a TlsOptions) -> &'a str {
    server.server_name.as_ref().or(options.server_name.as_ref()).unwrap_or(&server.host)
}

/// A refused login may be mended in the config, so it is never final.
async fn log_in(
    connection: &mut AsyncSmtpConnection,
    server: &MailServer,
    encrypted: bool,
) -> Result<(), String> {
    let Some((username, password)) = &server.credentials else { return Ok(()) };
    if !encrypted && server.security != MailSecurity::None {
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
) -> Result<String, Refused> {
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
    let mut refusals: Vec<(String, Refused)> = Vec::new();
    let mut accepted = 0_usize;
    for recipient in envelope.to() {
        match connection.command(Rcpt::new(recipient.clone(), Vec::new())).await {
            Ok(_) => accepted += 1,
            Err(error) => match refused("RCPT", &error) {
                lost @ Refused::Server(_) => return Err(lost),
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
        .map(|(recipient, Refused::Server(why) | Refused::Later(why) | Refused::Never(why))| {
            format!("refused {recipient}: {why}")
        })
        .collect();
    Ok([vec![answer], notes].concat().join("; "))
}

/// Final only if every recipient was refused for good.
fn none_accepted(refusals: Vec<(String, Refused)>) -> Refused {
    let for_good = refusals.iter().all(|(_, refusal)| matches!(refusal, Refused::Never(_)));
    let why: Vec<String> = refusals
        .into_iter()
        .map(|(recipient, Refused::Server(why) | Refused::Later(why) | Refused::Never(why))| {
            format!("{recipient}: {why}")
        })
        .collect();
    if for_good { Refused::Never(why.join("; ")) } else { Refused::Later(why.join("; ")) }
}

/// 4xx is for now, 5xx for good (RFC 5321 section 4.2.1) except 530 and 535, which ask for a login;
/// all else is the connection's end.
fn refused(step: &str, error: &lettre::transport::smtp::Error) -> Refused {
    let why = format!("{step}: {}", words(error));
    let code = error.status().map(|code| code.to_string());
    match code.as_deref() {
        Some("421" | "530" | "535") => Refused::Server(why),
        Some(_) if error.is_permanent() => Refused::Never(why),
        Some(_) => Refused::Later(why),
        None => Refused::Server(why),
    }
}

fn words(error: &lettre::transport::smtp::Error) -> String {
    short(&error.to_string())
}
