//! Reading one mailbox over IMAP (RFC 9051, RFC 3501): waiting for a message, and deleting it again. The
//! dialogue is the library's; what comes before TLS is read here, byte by byte.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_imap::Session as ImapSession;
use async_imap::types::Fetch;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout_at};

use super::session::Session;
use super::short;
use super::smtp::name;
use crate::model::{MailSecurity, MailServer};
use crate::net::limits::Permit;
use crate::net::{Net, Origin, TlsOptions, tls};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest message that is read, in bytes.
const MESSAGE: u32 = 1 << 20;
/// The longest line before TLS, in bytes.
const LINE: usize = 2_048;
/// The most messages that one look fetches or deletes.
const MOST: usize = 50;

/// Why a mailbox cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox at {place} cannot be read: {why}")]
pub struct InboxError {
    /// The server.
    pub place: String,
    /// What happened.
    pub why: String,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The message.
    pub message: Vec<u8>,
    /// When it was put into the mailbox, as far as the server says.
    pub at: Option<Timestamp>,
}

/// An open mailbox.
pub struct Inbox {
    session: ImapSession<Session>,
    place: String,
    /// Messages from here on came after it was opened.
    next: u32,
    _permit: Permit,
}

impl Inbox {
    /// Opens a folder of a server that an operator wrote down.
    ///
    /// # Errors
    /// Why it cannot be opened; credentials are never part of it.
    pub async fn open(
        net: &Net,
        server: &MailServer,
        folder: &str,
        tls: &TlsOptions,
        deadline: Instant,
    ) -> Result<Self, InboxError> {
        let place = format!("{}:{}", server.host, server.port);
        let failed = |why: String| InboxError { place: place.clone(), why };
        let opened = timeout_at(deadline, open(net, server, folder, tls, deadline)).await;
        let (session, next, permit) = match opened {
            Ok(opened) => opened.map_err(failed)?,
            Err(_) => return Err(failed("the time ran out".to_owned())),
        };
        Ok(Self { session, place, next, _permit: permit })
    }

    /// Waits for a message that came since the mailbox was opened and whose subject contains a text;
    /// `None` when the time is over. It is deleted, and so is what `leftover` names from earlier runs.
    ///
    /// # Errors
    /// The connection broke, or the server refuses.
    pub async fn wait_for(
        &mut self,
        subject: &str,
        leftover: Option<&str>,
        deadline: Instant,
    ) -> Result<Option<Found>, InboxError> {
        let place = self.place.clone();
        let failed = |why: async_imap::error::Error| InboxError { place: place.clone(), why: words(&why) };
        loop {
            let look = async {
                let found = self.look(subject).await?;
                if found.is_some()
                    && let Some(leftover) = leftover
                {
                    self.delete(&format!("SUBJECT {}", quoted(leftover))).await?;
                }
                Ok(found)
            };
            match timeout_at(deadline, look).await {
                Err(_) => return Ok(None),
                Ok(Err(why)) => return Err(failed(why)),
                Ok(Ok(Some(found))) => return Ok(Some(found)),
                Ok(Ok(None)) => {}
            }
            if Instant::now() + PAUSE >= deadline {
                return Ok(None);
            }
            sleep(PAUSE).await;
        }
    }

    /// Says good-bye.
    pub async fn close(mut self) {
        // It is closed one way or the other.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.session.logout()).await;
    }

    async fn look(&mut self, subject: &str) -> async_imap::error::Result<Option<Found>> {
        self.session.noop().await?;
        let query = format!("UID {}:* SUBJECT {}", self.next, quoted(subject));
        // `n:*` names the last message even if its number is below n (RFC 9051 section 9).
        let found = self.session.uid_search(&query).await?.into_iter().filter(|uid| *uid >= self.next).min();
        let Some(uid) = found else { return Ok(None) };
        let query = format!("(UID INTERNALDATE BODY.PEEK[]<0.{MESSAGE}>)");
        let fetched: Vec<Fetch> =
            self.session.uid_fetch(uid.to_string(), &query).await?.try_collect().await?;
        let message = fetched.iter().find_map(|one| one.body().map(<[u8]>::to_vec));
        let at = fetched.iter().find_map(|one| one.internal_date());
        let at = at.and_then(|at| Timestamp::from_second(at.timestamp()).ok());
        self.delete(&format!("UID {uid}")).await?;
        Ok(message.map(|message| Found { message, at }))
    }

    /// Deletes what a search finds, and nothing else: without UIDPLUS (RFC 4315) it is only marked.
    async fn delete(&mut self, query: &str) -> async_imap::error::Result<()> {
        let found = self.session.uid_search(query).await?;
        let uids: Vec<String> = found.into_iter().take(MOST).map(|uid| uid.to_string()).collect();
        if uids.is_empty() {
            return Ok(());
        }
        let set = uids.join(",");
        let _: Vec<Fetch> =
            self.session.uid_store(&set, "+FLAGS.SILENT (\\Deleted)").await?.try_collect().await?;
        if self.session.capabilities().await?.has_str("UIDPLUS") {
            let _: Vec<u32> = self.session.uid_expunge(&set).await?.try_collect().await?;
        }
        Ok(())
    }
}

/// A text as a quoted string (RFC 9051 section 4.3).
fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|char| char.is_ascii() && !char.is_ascii_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

fn words(error: &async_imap::error::Error) -> String {
    short(&error.to_string())
}

async fn open(
    net: &Net,
    server: &MailServer,
    folder: &str,
    tls: &TlsOptions,
    deadline: Instant,
) -> Result<(ImapSession<Session>, u32, Permit), String> {
    let left = deadline.saturating_duration_since(Instant::now());
    let connected = net.connect_stream(&server.host, server.port, Origin::Operator, left).await;
    let connected = connected.map_err(|error| error.to_string())?;
    let config = net.tls_config(tls)?;
    let name = name(server, tls);
    let mut session = Session::plain(connected.stream);
    let encrypt = async |session: Session, config: Arc<rustls::ClientConfig>| {
        let wanted = tls::server_name(name)?;
        session
            .encrypt(config, wanted)
            .await
            .map_err(|error| format!("TLS with {name}: {}", short(&error.to_string())))
    };
    if server.security == MailSecurity::Implicit {
        session = encrypt(session, config.clone()).await?;
    }
    let greeting = line(&mut session).await?;
    if !greeting.starts_with("* OK") {
        return Err(format!("it greets with: {}", short(&greeting)));
    }
    if matches!(server.security, MailSecurity::StartTls | MailSecurity::Opportunistic) {
        session.write_all(b"s1 STARTTLS\r\n").await.map_err(|error| error.to_string())?;
        let answer = loop {
            let answer = line(&mut session).await?;
            if !answer.starts_with("* ") {
                break answer;
            }
        };
        if !answer.starts_with("s1 OK") {
            return Err(format!("it does not begin TLS: {}", short(&answer)));
        }
        session = encrypt(session, config).await?;
    }
    let client = async_imap::Client::new(session);
    let Some((username, password)) = &server.credentials else {
        return Err("a mailbox needs a username and a password".to_owned());
    };
    let logged_in = client.login(username, password.expose()).await;
    let mut session =
        logged_in.map_err(|(error, _)| format!("it refuses the login of {username}: {}", words(&error)))?;
    let selected =
        session.select(folder).await.map_err(|error| format!("the folder {folder}: {}", words(&error)))?;
    let next = selected.uid_next.unwrap_or(1);
    Ok((session, next, connected.permit))
}

/// One line, and not a byte more.
async fn line(session: &mut Session) -> Result<String, String> {
    let mut line = Vec::new();
    loop {
        let byte = session.read_u8().await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => error.to_string(),
        })?;
        match byte {
            b'\n' => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            _ if line.len() >= LINE => return Err(format!("its greeting is longer than {LINE} bytes")),
            byte => line.push(byte),
        }
    }
}
