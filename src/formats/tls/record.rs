//! Records, and the handshake messages that are spread over them.

use super::Version;

/// RFC 5246 section 6.2.3: the longest record there is.
const MAX_RECORD: usize = (1 << 14) + 2048;
/// The longest handshake message read; a hundred certificates of 64 KiB fit in.
const MAX_MESSAGE: usize = 7 << 20;

/// Why an answer cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The peer speaks something else.
    #[error("not TLS: {0}")]
    NotTls(Stranger),
    /// A field reaches past the end of its message.
    #[error("a {0} message ends too early")]
    Short(&'static str),
    /// A message holds more than it may.
    #[error("a {0} message is too long")]
    Long(&'static str),
    /// A message that has no place here.
    #[error("an unexpected message of type {0}")]
    Unexpected(u8),
    /// A record is longer than the protocol allows.
    #[error("a record of {0} bytes")]
    Record(usize),
}

/// What the first bytes of a peer that does not speak TLS look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// A plain HTTP answer.
    Http,
    /// The greeting of SMTP or FTP.
    SmtpOrFtp,
    /// The greeting of SSH.
    Ssh,
    /// The greeting of IMAP.
    Imap,
    /// The greeting of POP3.
    Pop3,
    /// Something else.
    Unknown,
}

impl std::fmt::Display for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http => "the answer is plain HTTP",
            Self::SmtpOrFtp => "the answer is a greeting of SMTP or FTP, which needs STARTTLS",
            Self::Ssh => "the answer is SSH",
            Self::Imap => "the answer is a greeting of IMAP, which needs STARTTLS",
            Self::Pop3 => "the answer is a greeting of POP3, which needs STARTTLS",
            Self::Unknown => "the first bytes are no TLS record",
        })
    }
}

/// What the first bytes of an answer say about who speaks: `None` for TLS and for too few to tell.
pub fn looks_like(first: &[u8]) -> Option<Stranger> {
    match first {
        [] | [20..=23] | [20..=23, 3, ..] => None,
        _ => Some(match first {
            [b'H', b'T', b'T', b'P', ..] | [b'<', ..] => Stranger::Http,
            [b'2', b'2', b'0', b' ' | b'-', ..] => Stranger::SmtpOrFtp,
            [b'S', b'S', b'H', ..] => Stranger::Ssh,
            [b'*', b' ', ..] => Stranger::Imap,
            [b'+', b'O', b'K', ..] => Stranger::Pop3,
            _ => Stranger::Unknown,
        }),
    }
}

/// What a peer says, message by message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// An alert's description.
    Alert(u8),
    /// A handshake message without its header.
    Handshake { kind: u8, body: Vec<u8> },
    /// From here on records are encrypted.
    Encrypted,
}

/// Joins records and splits them into messages.
#[derive(Debug, Default)]
pub(super) struct Reader {
    input: Vec<u8>,
    handshake: Vec<u8>,
    /// The record version seen first.
    pub(super) version: Option<Version>,
}

impl Reader {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next message; `None` when more has to be read.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Malformed> {
        loop {
            if let Some(message) = self.whole_message()? {
                return Ok(Some(message));
            }
            match self.record()? {
                None => return Ok(None),
                Some((22, content)) => self.handshake.extend_from_slice(&content),
                Some((21, content)) => match content.get(1) {
                    Some(description) if content.len() == 2 => {
                        return Ok(Some(Message::Alert(*description)));
                    }
                    _ => return Err(Malformed::Short("alert")),
                },
                Some(_) => return Ok(Some(Message::Encrypted)),
            }
        }
    }

    fn whole_message(&mut self) -> Result<Option<Message>, Malformed> {
        let [kind, a, b, c, rest @ ..] = self.handshake.as_slice() else { return Ok(None) };
        let length = (usize::from(*a) << 16) | (usize::from(*b) << 8) | usize::from(*c);
        if length > MAX_MESSAGE {
            return Err(Malformed::Long("handshake"));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = Message::Handshake { kind: *kind, body: body.to_vec() };
        self.handshake.drain(..length + 4);
        Ok(Some(message))
    }

    fn record(&mut self) -> Result<Option<(u8, Vec<u8>)>, Malformed> {
        if self.version.is_none()
            && let Some(stranger) = looks_like(&self.input)
        {
            return Err(Malformed::NotTls(stranger));
        }
        let [kind, major, minor, a, b, rest @ ..] = self.input.as_slice() else { return Ok(None) };
        let version = Version::of(u16::from_be_bytes([*major, *minor]));
        if !(20..=23).contains(kind) || version.is_none() {
            return Err(Malformed::NotTls(Stranger::Unknown));
        }
        let length = usize::from(u16::from_be_bytes([*a, *b]));
        if length > MAX_RECORD {
            return Err(Malformed::Record(length));
        }
        let Some(content) = rest.get(..length) else { return Ok(None) };
        let record = (*kind, content.to_vec());
        self.version = self.version.or(version);
        self.input.drain(..length + 5);
        Ok(Some(record))
    }
}
