//! Mail: handing a message to a server, taking one, and reading a mailbox.

mod imap;
mod receiver;
mod session;
mod smtp;

pub use self::imap::{Found, Inbox, InboxError};
pub use self::receiver::{Received, Receiver};
pub use self::smtp::{Refused, deliver};
/// Words of a peer, in one line and bounded.
fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    let line: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}
