//! Telling people. A channel type is one file here and two lines below: its `mod` and its entry in
//! [`notifiers`]. A channel only translates; [`deliver`] is the only sender.

pub mod card;
pub mod deliver;
pub mod email;
mod registry;
pub mod webhook;

pub use self::registry::{ChannelType, NotifierEntry, Problem, notifiers};
use crate::model::{MailServer, Notification, Outgoing, Secret};

/// A channel: pure translation from what is told to what its service takes.
pub trait Notifier: Send + Sync {
    /// The message.
    fn render(&self, notification: &Notification) -> Outgoing;
    /// Where the message goes and what is needed to get in.
    fn transport(&self) -> Transport<'_>;
}

/// Where messages of a channel go.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// To a mail relay.
    Smtp(&'a Smtp),
    /// To a URL.
    Http(&'a HttpTarget),
}

/// The envelope and the relays of a mail channel.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// `From`, as written.
    pub from: lettre::message::Mailbox,
    /// `To`.
    pub to: Vec<lettre::message::Mailbox>,
    /// `Cc`.
    pub cc: Vec<lettre::message::Mailbox>,
    /// Tried in order; never empty.
    pub relays: Vec<MailServer>,
}

/// Where HTTP messages of a channel go.
#[derive(Clone, Debug)]
pub struct HttpTarget {
    /// The URL; it may carry a token, so it is never shown.
    pub url: Secret,
    /// Headers added to each request.
    pub headers: Vec<(String, Secret)>,
    /// The key of Standard Webhooks signatures.
    pub signing: Option<Secret>,
}
