//! What is said in the clear before TLS begins, protocol by protocol. Pure: bytes read go in, bytes
//! to send and the state come out. All that is read is bounded.

mod binary;
mod lines;
#[cfg(test)]
mod tests;
mod xmpp;

use std::fmt;
use std::str::FromStr;

/// The most bytes read before TLS begins.
const MAX_READ: usize = 64 * 1024;

/// A protocol that begins in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RFC 3207.
    Smtp,
    /// RFC 2595, 9051 section 6.2.1.
    Imap,
    /// RFC 2595 section 4.
    Pop3,
    /// RFC 4217.
    Ftp,
    /// RFC 4511 section 4.14.
    Ldap,
    /// RFC 6120 section 5, client to server.
    Xmpp,
    /// The SSLRequest of PostgreSQL's protocol 3.0.
    Postgres,
    /// The SSLRequest of MySQL's and MariaDB's protocol 10.
    Mysql,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Smtp, Self::Imap, Self::Pop3, Self::Ftp, Self::Ldap, Self::Xmpp, Self::Postgres, Self::Mysql];

    /// The name in configs and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Ftp => "ftp",
            Self::Ldap => "ldap",
            Self::Xmpp => "xmpp",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// The port where it begins in the clear, when none is given.
    pub const fn port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Imap => 143,
            Self::Pop3 => 110,
            Self::Ftp => 21,
            Self::Ldap => 389,
            Self::Xmpp => 5222,
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{name}` has no STARTTLS here; known are {known}")
        })
    }
}

/// Where a dialogue stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// More has to be read.
    Wait,
    /// TLS may begin once what is to be sent is sent.
    Ready {
        /// Bytes that came after the go-ahead in the clear: whoever sent them hopes that they are
        /// taken for what comes over TLS (CVE-2011-0411). They are to be thrown away.
        injected: usize,
    },
    /// The server does not begin TLS: its words.
    Refused(String),
    /// The server does not speak this protocol: why.
    Garbage(String),
}

/// What follows from what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// To be sent first.
    pub send: Vec<u8>,
    /// Then this.
    pub state: State,
}

impl Turn {
    fn wait() -> Self {
        Self::say("")
    }

    fn say(text: impl Into<Vec<u8>>) -> Self {
        Self { send: text.into(), state: State::Wait }
    }

    fn refused(words: impl Into<String>) -> Self {
        Self { send: Vec::new(), state: State::Refused(words.into()) }
    }

    fn garbage(why: impl Into<String>) -> Self {
        Self { send: Vec::new(), state: State::Garbage(why.into()) }
    }

    /// The go-ahead; what is left in the input was injected.
    fn ready(input: &[u8]) -> Self {
        Self { send: Vec::new(), state: State::Ready { injected: input.len() } }
    }

    fn goes_on(&self) -> bool {
        self.state == State::Wait
    }
}

enum Talk {
    Lines(lines::Lines),
    Xmpp(xmpp::Xmpp),
    Ldap,
    Postgres,
    Mysql,
}

/// One dialogue.
pub struct Dialogue {
    talk: Talk,
    first: Vec<u8>,
    input: Vec<u8>,
    read: usize,
}

impl Dialogue {
    /// `client` is how SMTP is told who we are (RFC 5321 section 4.1.4: a name or an address
    /// literal); `server` is the name that XMPP is asked for.
    pub fn new(protocol: Protocol, client: &str, server: &str) -> Self {
        let lines = |kind| Talk::Lines(lines::Lines::new(kind, client));
        let (talk, first) = match protocol {
            Protocol::Smtp => (lines(lines::Kind::Smtp), Vec::new()),
            Protocol::Imap => (lines(lines::Kind::Imap), Vec::new()),
            Protocol::Pop3 => (lines(lines::Kind::Pop3), Vec::new()),
            Protocol::Ftp => (lines(lines::Kind::Ftp), Vec::new()),
            Protocol::Xmpp => (Talk::Xmpp(xmpp::Xmpp::default()), xmpp::opening(server)),
            Protocol::Ldap => (Talk::Ldap, binary::LDAP_REQUEST.to_vec()),
            Protocol::Postgres => (Talk::Postgres, binary::POSTGRES_REQUEST.to_vec()),
            Protocol::Mysql => (Talk::Mysql, Vec::new()),
        };
        Self { talk, first, input: Vec::new(), read: 0 }
    }

    /// What is to be sent before anything is read; empty where the server speaks first.
    pub fn opening(&self) -> &[u8] {
        &self.first
    }

    /// Takes what was read.
    pub fn feed(&mut self, bytes: &[u8]) -> Turn {
        self.read = self.read.saturating_add(bytes.len());
        if self.read > MAX_READ {
            return Turn::garbage(format!("more than {MAX_READ} bytes before TLS"));
        }
        self.input.extend_from_slice(bytes);
        match &mut self.talk {
            Talk::Lines(lines) => lines.take(&mut self.input),
            Talk::Xmpp(xmpp) => xmpp.take(&mut self.input),
            Talk::Ldap => binary::ldap(&self.input),
            Talk::Postgres => binary::postgres(&self.input),
            Talk::Mysql => binary::mysql(&self.input),
        }
    }
}
