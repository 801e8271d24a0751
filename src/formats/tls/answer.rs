//! A server's first flight, put together message by message.

use super::Version;
use super::message::{Certificates, KeyShare, ServerHello, staple};
use super::names::key_exchange;
use super::record::{Malformed, Message, Reader};

/// The most bytes read of one flight.
const MAX_FLIGHT: usize = 8 << 20;

/// How far a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More has to be read.
    More,
    /// All that comes in the clear is there, or an alert ended it.
    Done,
}

/// What a server said in the clear.
#[derive(Debug, Default)]
pub struct Answer {
    reader: Reader,
    read: usize,
    /// What it chose.
    pub hello: Option<ServerHello>,
    /// Its chain (TLS 1.2 and earlier).
    pub certificates: Option<Certificates>,
    /// The stapled OCSP response (TLS 1.2 and earlier), DER.
    pub staple: Option<Vec<u8>>,
    /// Its part of the key exchange (TLS 1.2 and earlier).
    pub key: Option<KeyShare>,
    /// It asks for a client certificate (TLS 1.2 and earlier).
    pub wants_client: bool,
    /// The fatal alert that ended the flight.
    pub alert: Option<u8>,
}

/// RFC 6066 section 3: a server that does not know the name may warn and go on.
const UNRECOGNIZED_NAME: u8 = 112;

impl Answer {
    /// Takes what was read.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, Malformed> {
        self.read = self.read.saturating_add(bytes.len());
        if self.read > MAX_FLIGHT {
            return Err(Malformed::Long("first flight's last"));
        }
        self.reader.feed(bytes);
        while let Some(message) = self.reader.next()? {
            if self.take(message)? == Progress::Done {
                return Ok(Progress::Done);
            }
        }
        Ok(Progress::More)
    }

    fn take(&mut self, message: Message) -> Result<Progress, Malformed> {
        match message {
            Message::Alert(UNRECOGNIZED_NAME) if self.hello.is_none() => {
                // It ends the handshake if nothing follows; the caller then meets the end.
                self.alert = Some(UNRECOGNIZED_NAME);
                Ok(Progress::More)
            }
            Message::Alert(description) => {
                self.alert = Some(description);
                Ok(Progress::Done)
            }
            Message::Encrypted => Ok(Progress::Done),
            Message::Handshake { kind, body } => self.handshake(kind, &body),
        }
    }

    fn handshake(&mut self, kind: u8, body: &[u8]) -> Result<Progress, Malformed> {
        match (kind, &self.hello) {
            // A HelloRequest says nothing to who is saying hello.
            (0, _) => Ok(Progress::More),
            (2, None) => {
                let hello = ServerHello::parse(body)?;
                let rest_is_encrypted = Version::of(hello.version).is_none_or(|v| v >= Version::Tls13);
                self.hello = Some(hello);
                self.alert = None;
                Ok(if rest_is_encrypted { Progress::Done } else { Progress::More })
            }
            (11, Some(_)) if self.certificates.is_none() => {
                self.certificates = Some(Certificates::parse(body)?);
                Ok(Progress::More)
            }
            (22, Some(_)) => {
                self.staple = Some(staple(body)?);
                Ok(Progress::More)
            }
            (12, Some(hello)) => {
                self.key = KeyShare::parse(body, key_exchange(hello.suite), Version::of(hello.version))?;
                Ok(Progress::More)
            }
            (13, Some(_)) => {
                self.wants_client = true;
                Ok(Progress::More)
            }
            (14, Some(_)) => Ok(Progress::Done),
            (kind, _) => Err(Malformed::Unexpected(kind)),
        }
    }
}
