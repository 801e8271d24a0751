//! Sends a mail through the first relay that can be reached.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Message, MultiPart};

use super::wire::Wire;
use crate::model::{Delivery, Mail, MailServer};
use crate::net::TlsOptions;
use crate::net::post::{Refused, deliver};
use crate::notify::Smtp;
use crate::notify::card::bounded;

/// Sends `mail` under `key`; the whole of it takes at most `timeout`.
///
/// A refusal for good (5xx) is tried again as well, at the next relay and later: most of them are
/// settings of a relay that somebody mends (relaying denied, a full mailbox, a block list), and an
/// alert that is given up at once is lost without anybody knowing.
pub(super) async fn send(
    wire: &dyn Wire,
    smtp: &Smtp,
    tls: &TlsOptions,
    mail: &Mail,
    key: &str,
    timeout: Duration,
) -> Delivery {
    let message = match compose(smtp, mail, key) {
        Ok(message) => message,
        Err(why) => return Delivery::Dead { why },
    };
    let share = timeout / u32::try_from(smtp.relays.len().max(1)).unwrap_or(1);
    let mut why = Vec::new();
    let mut unsure = false;
    for relay in &smtp.relays {
        let place = format!("{}:{}", relay.host, relay.port);
        let handed = AtomicBool::new(false);
        let attempt = through(wire, relay, tls, &message, share, &handed);
        let refused = match tokio::time::timeout(share, attempt).await {
            Ok(Ok(answer)) => return Delivery::Sent { answer: bounded(&format!("{place}: {answer}"), 300) },
            Ok(Err(refused)) => refused,
            Err(_) => Refused::Server(format!("no answer within {} s", share.as_secs())),
        };
        unsure |= handed.load(Ordering::Relaxed);
        match refused {
            Refused::Server(reason) | Refused::Never(reason) => why.push(format!("{place}: {reason}")),
            Refused::Later(reason) => {
                return Delivery::Retry {
                    after: None,
                    why: bounded(&format!("{place}: {reason}"), 300),
                    unsure,
                };
            }
        }
    }
    Delivery::Retry { after: None, why: bounded(&why.join("; "), 500), unsure }
}

/// A header that lettre has no type for.
#[derive(Clone)]
struct Raw<const AUTO: bool>(String);

impl<const AUTO: bool> Header for Raw<AUTO> {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str(if AUTO { "Auto-Submitted" } else { "X-Portalwatch-Key" })
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

/// The mail in transport form. `Auto-Submitted` keeps vacation responders quiet (RFC 3834 section 5).
fn compose(smtp: &Smtp, mail: &Mail, key: &str) -> Result<Message, String> {
    let mut builder = Message::builder()
        .from(smtp.from.clone())
        .date(mail.date.into())
        .message_id(Some(mail.message_id.clone()))
        .subject(mail.subject.clone())
        .header(Raw::<true>("auto-generated".into()))
        .header(Raw::<false>(bounded(key, 400)));
    for to in &smtp.to {
        builder = builder.to(to.clone());
    }
    for cc in &smtp.cc {
        builder = builder.cc(cc.clone());
    }
    if let Some(root) = &mail.in_reply_to {
        builder = builder.in_reply_to(root.clone()).references(root.clone());
    }
    builder
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|error| format!("the mail cannot be composed: {error}"))
}

async fn through(
    wire: &dyn Wire,
    relay: &MailServer,
    tls: &TlsOptions,
    message: &Message,
    timeout: Duration,
    handed: &AtomicBool,
) -> Result<String, Refused> {
    let dialed = wire.dial(&relay.host, relay.port, timeout).await.map_err(Refused::Server)?;
    let _permit = dialed.permit;
    deliver(dialed.stream, relay, tls, message, handed).await
}
