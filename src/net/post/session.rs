//! One connection to a relay: in clear text or under TLS, with what must be read before SMTP proper
//! begins.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The longest reply that is read, in bytes.
const MAX_REPLY: usize = 8192;

/// What lettre reads as the greeting of a connection that was greeted before: after STARTTLS the
/// server is silent, and lettre's dialogue begins with a greeting.
const GREETING: &[u8] = b"220 greeted before\r\n";

/// A connection to a relay.
#[derive(Debug)]
pub(super) struct Session {
    stream: Stream,
    unread: &'static [u8],
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Session {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), unread: &[] }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Notes that the greeting was read already.
    pub(super) fn greeted(self) -> Self {
        Self { unread: GREETING, ..self }
    }

    pub(super) async fn encrypt(
        self,
        config: Arc<rustls::ClientConfig>,
        server: ServerName<'static>,
    ) -> io::Result<Self> {
        let Stream::Plain(stream) = self.stream else { return Ok(self) };
        let stream = tokio_rustls::TlsConnector::from(config).connect(server, stream).await?;
        Ok(Self { stream: Stream::Tls(Box::new(stream)), unread: &[] })
    }
}

/// Sends one command and reads the reply.
pub(super) async fn command(session: &mut Session, command: &str) -> Result<String, String> {
    session.write_all(format!("{command}\r\n").as_bytes()).await.map_err(|error| error.to_string())?;
    session.flush().await.map_err(|error| error.to_string())?;
    read_reply(session).await
}

/// Reads one reply, all its lines (RFC 5321 section 4.2.1), and not a byte more.
pub(super) async fn read_reply(session: &mut Session) -> Result<String, String> {
    let mut reply = Vec::new();
    let mut line_start = 0;
    loop {
        let byte = session.read_u8().await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => error.to_string(),
        })?;
        reply.push(byte);
        if reply.len() > MAX_REPLY {
            return Err(format!("its reply is longer than {MAX_REPLY} bytes"));
        }
        if byte == b'\n' {
            let continues = reply.get(line_start + 3) == Some(&b'-');
            if !continues {
                return Ok(String::from_utf8_lossy(&reply).into_owned());
            }
            line_start = reply.len();
        }
    }
}

impl AsyncRead for Session {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let (now, later) = self.unread.split_at(self.unread.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.unread = later;
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Session {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncTokioStream for Session {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.stream {
            Stream::Plain(stream) => stream.peer_addr(),
            Stream::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}
