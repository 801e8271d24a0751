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
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;

use super::session::{Session, command, read_reply};
use super::{Security, Server, short};
use crate::net::TlsOptions;

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
    server: &Server,
    tls: &TlsOptions,
    message: &Message,
    handed: &AtomicBool,
) -> Result<String, Refused> {
    let hello = ClientId::default();
    let session = secure(Session::plain(stream), server, tls, &hello).await.map_err(Refused::Server)?;
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
pub(super) async fn secure(
    mut session: Session,
    server: &Server,
    tls: &TlsOptions,
    hello: &ClientId,
) -> Result<Session, String> {
    match server.security {
        Security::None => return Ok(session),
        Security::Implicit => return encrypt(session, server, tls).await,
        Security::StartTls | Security::Opportunistic => {}
    }
    let greeting = read_reply(&mut session).await?;
    if !greeting.starts_with("220") {
        return Err(format!("greeting: {}", short(&greeting)));
    }
    let capabilities = command(&mut session, &format!("EHLO {hello}")).await?;
    let offered = capabilities.lines().any(|line| {
        line.get(4..).is_some_and(|capability| capability.trim().eq_ignore_ascii_case("STARTTLS"))
    });
    if !offered && server.security == Security::Opportunistic {
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
    Ok(encrypt(session, server, tls).await?.greeted())
}

async fn encrypt(session: Session, server: &Server, tls: &TlsOptions) -> Result<Session, String> {
    let name = server.server_name.as_ref().or(tls.server_name.as_ref()).unwrap_or(&server.host);
    let wanted = ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is no name for TLS"))?;
    let config = client_config(tls)?;
    session
        .encrypt(config, wanted)
        .await
        .map_err(|error| format!("TLS with {name}: {}", short(&error.to_string())))
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
async fn log_in(
    connection: &mut AsyncSmtpConnection,
    server: &Server,
    encrypted: bool,
) -> Result<(), String> {
    let Some((username, password)) = &server.credentials else { return Ok(()) };
    if !encrypted && server.security != Security::None {
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
