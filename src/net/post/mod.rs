//! Mail: handing a message to a server, taking one, and reading a mailbox.

mod imap;
mod receiver;
mod session;
mod smtp;

pub use self::imap::{Found, Inbox, InboxError};
pub use self::receiver::{Received, Receiver};
pub use self::smtp::{Refused, deliver};
use crate::model::Secret;

/// A mail server that an operator wrote down.
#[derive(Clone, Debug)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// The name asked for and verified in TLS; default: that of the TLS settings, else the host.
    pub server_name: Option<String>,
    /// User name and password.
    pub credentials: Option<(String, Secret)>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314 section 3.3).
    Implicit,
    /// STARTTLS, and nothing is sent without it (RFC 3207).
    StartTls,
    /// STARTTLS if it is offered; credentials are never sent without it.
    Opportunistic,
    /// None, by explicit wish.
    None,
}

/// Words of a peer, in one line and bounded.
fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    let line: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}
