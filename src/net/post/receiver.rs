//! A mail server that waits for one message (RFC 5321), for one mailbox alone: it relays nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::short;
use crate::clock::{Clock as _, SystemClock};

/// The longest line of a command that is read, in bytes (RFC 5321 section 4.5.3.1.4 has 512).
const LINE: u64 = 2_048;
/// The longest message that is taken, in bytes.
const MESSAGE: usize = 1 << 20;
/// So many connections are served at a time.
const CONNECTIONS: usize = 10;
/// So many commands a connection may give.
const COMMANDS: usize = 100;
/// So long a peer may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who brought it.
    pub peer: IpAddr,
    /// What it said in HELO or EHLO.
    pub helo: String,
    /// MAIL FROM, without brackets; empty for bounces.
    pub mail_from: String,
    /// The message.
    pub message: Vec<u8>,
    /// When its end came.
    pub at: Timestamp,
}

/// Waits for mail at an address.
pub struct Receiver {
    listener: TcpListener,
    name: String,
    mailbox: String,
}

impl Receiver {
    /// Listens at `address`, as a host called `name`, for mail to `mailbox`.
    ///
    /// # Errors
    /// The operating system does not let us: why, with the address.
    pub async fn listen(address: SocketAddr, name: &str, mailbox: &str) -> Result<Self, String> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|why| format!("cannot listen at {address} for mail: {why}"))?;
        Ok(Self { listener, name: name.to_owned(), mailbox: mailbox.to_ascii_lowercase() })
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes messages until one is `wanted`; `None` when the time is over.
    pub async fn receive(
        &self,
        deadline: Instant,
        wanted: &(dyn Fn(&Received) -> bool + Sync),
    ) -> Option<Received> {
        let (sender, mut came) = mpsc::channel::<Received>(CONNECTIONS);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return None,
                message = came.recv() => {
                    if let Some(message) = message.filter(|message| wanted(message)) {
                        // Its sender still waits for the answer.
                        let _ = timeout(Duration::from_secs(1), async { while connections.join_next().await.is_some() {} }).await;
                        return Some(message);
                    }
                }
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS => {
                    let Ok((stream, peer)) = accepted else { continue };
                    let (name, mailbox, sender) = (self.name.clone(), self.mailbox.clone(), sender.clone());
                    connections.spawn(async move {
                        let dialogue = Dialogue { name, mailbox, peer: peer.ip().to_canonical(), sender };
                        // A peer that breaks off has said all it had to say.
                        let _ = timeout_at(deadline, dialogue.hold(stream)).await;
                    });
                }
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }
}

/// One connection.
struct Dialogue {
    name: String,
    mailbox: String,
    peer: IpAddr,
    sender: mpsc::Sender<Received>,
}

/// What a command asks for.
enum Next {
    Reply(String),
    Data,
    Quit,
}

/// What was said so far.
#[derive(Default)]
struct Said {
    helo: String,
    mail_from: Option<String>,
    recipient: bool,
}

impl Dialogue {
    async fn hold(self, stream: TcpStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        write.write_all(format!("220 {} portalwatch\r\n", self.name).as_bytes()).await?;
        let mut said = Said::default();
        for _ in 0..COMMANDS {
            let Some(line) = line(&mut read, LINE).await? else { return Ok(()) };
            match self.command(&line, &mut said) {
                Next::Reply(reply) => write.write_all(format!("{reply}\r\n").as_bytes()).await?,
                Next::Quit => return write.write_all(b"221 bye\r\n").await,
                Next::Data => {
                    write.write_all(b"354 go on\r\n").await?;
                    let reply = match data(&mut read).await? {
                        None => return write.write_all(b"552 too long\r\n").await,
                        Some(message) => self.take(message, &mut said).await,
                    };
                    write.write_all(format!("{reply}\r\n").as_bytes()).await?;
                }
            }
        }
        write.write_all(b"421 too many commands\r\n").await
    }

    fn command(&self, line: &str, said: &mut Said) -> Next {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let reply = |text: &str| Next::Reply(text.to_owned());
        match verb.to_ascii_uppercase().as_str() {
            "HELO" => {
                *said = Said { helo: short(rest), ..Said::default() };
                Next::Reply(format!("250 {}", self.name))
            }
            "EHLO" => {
                *said = Said { helo: short(rest), ..Said::default() };
                Next::Reply(format!(
                    "250-{}\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SIZE {MESSAGE}",
                    self.name
                ))
            }
            "MAIL" if said.helo.is_empty() => reply("503 say EHLO first"),
            "MAIL" => match path(rest, "FROM:") {
                Some(from) => {
                    (said.mail_from, said.recipient) = (Some(from), false);
                    reply("250 ok")
                }
                None => reply("501 write MAIL FROM:<address>"),
            },
            "RCPT" if said.mail_from.is_none() => reply("503 say MAIL first"),
            "RCPT" => match path(rest, "TO:") {
                Some(to) if to.to_ascii_lowercase() == self.mailbox => {
                    said.recipient = true;
                    reply("250 ok")
                }
                Some(_) => reply("550 no such mailbox; nothing is relayed"),
                None => reply("501 write RCPT TO:<address>"),
            },
            "DATA" if said.recipient => Next::Data,
            "DATA" => reply("503 no recipient"),
            "RSET" => {
                (said.mail_from, said.recipient) = (None, false);
                reply("250 ok")
            }
            "NOOP" => reply("250 ok"),
            "QUIT" => Next::Quit,
            _ => reply("502 not known here"),
        }
    }

    async fn take(&self, message: Vec<u8>, said: &mut Said) -> &'static str {
        let received = Received {
            peer: self.peer,
            helo: said.helo.clone(),
            mail_from: said.mail_from.take().unwrap_or_default(),
            message,
            at: SystemClock.now(),
        };
        said.recipient = false;
        match self.sender.send(received).await {
            Ok(()) => "250 taken",
            Err(_) => "451 nobody waits for it any more",
        }
    }
}

/// The address of `MAIL` or `RCPT`, without brackets; parameters behind it are passed over.
fn path(rest: &str, begin: &str) -> Option<String> {
    let start = rest.get(..begin.len())?;
    let rest = rest.get(begin.len()..).filter(|_| start.eq_ignore_ascii_case(begin))?.trim_start();
    let (address, _) = rest.strip_prefix('<')?.split_once('>')?;
    (address.len() <= 254 && !address.chars().any(char::is_control)).then(|| address.to_owned())
}

/// One line without its end; `None` at the end of the connection, after too long a line, or after
/// silence.
async fn line<R: tokio::io::AsyncBufRead + Unpin>(
    read: &mut R,
    longest: u64,
) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let until = async { read.take(longest).read_until(b'\n', &mut bytes).await };
    match timeout(SILENCE, until).await {
        Ok(read) => read?,
        Err(_) => return Ok(None),
    };
    if bytes.pop() != Some(b'\n') {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A message up to the line that is a dot alone (section 4.5.2); `None` if it is too long. Only CRLF
/// ends a line, so that a bare LF and a dot cannot end the message early.
async fn data<R: tokio::io::AsyncBufRead + Unpin>(read: &mut R) -> std::io::Result<Option<Vec<u8>>> {
    let mut message: Vec<u8> = Vec::new();
    let mut begin = 0;
    loop {
        let room = u64::try_from(MESSAGE.saturating_sub(message.len())).unwrap_or_default() + 3;
        let until = async { (&mut *read).take(room).read_until(b'\n', &mut message).await };
        let count = match timeout(SILENCE, until).await {
            Ok(read) => read?,
            Err(_) => 0,
        };
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if message.len() > MESSAGE {
            return Ok(None);
        }
        if !message.ends_with(b"\r\n") {
            continue;
        }
        let own = message.get(begin..).unwrap_or_default();
        if own == b".\r\n" {
            message.truncate(begin);
            return Ok(Some(message));
        }
        if own.first() == Some(&b'.') {
            message.remove(begin);
        }
        begin = message.len();
    }
}

#[cfg(test)]
mod tests;
