//! A mail server that an operator wrote down.

use super::Secret;

/// A mail server: one that takes messages, or one that has a mailbox.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// The name asked for and verified in TLS; default: that of the TLS settings, else the host.
    pub server_name: Option<String>,
    /// User name and password.
    pub credentials: Option<(String, Secret)>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte (RFC 8314 section 3.3).
    Implicit,
    /// STARTTLS, and nothing is sent without it (RFC 3207).
    StartTls,
    /// STARTTLS if it is offered; credentials are never sent without it.
    Opportunistic,
    /// None, by explicit wish.
    None,
}
