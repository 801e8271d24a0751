//! The settings of a round trip.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::model::{self, HumanDuration, MailSecurity, Secret};
use crate::probe::mail::spec::Domain;

/// One message that goes out and comes back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopSpec {
    /// A canary is sent.
    #[serde(default)]
    pub send_via: Option<SendVia>,
    /// The portal is made to send one.
    #[serde(default)]
    pub trigger: Option<Trigger>,
    /// Where it arrives.
    pub receive: Receive,
    /// How long it may take.
    #[serde(default = "usual_time")]
    pub within: HumanDuration,
    /// The hosts that links in it may lead to, with those below them; without it, any.
    #[serde(default)]
    pub links: Vec<Domain>,
}

const fn usual_time() -> HumanDuration {
    HumanDuration(Duration::from_secs(120))
}

/// How a canary is sent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendVia {
    /// The server that takes it.
    pub smtp: MailServer,
    /// Its sender: an address of the domain.
    pub from: Mailbox,
    /// Its recipient: the mailbox that `receive` reads.
    pub to: Mailbox,
}

/// What makes the portal send a message, such as one that resets a password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The name of a journey of the same portal; it is run once.
    pub journey: Box<str>,
    /// A part of the subject by which its message is known.
    pub subject: Box<str>,
}

/// Where it arrives: one of the two.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receive {
    /// A mailbox that is read.
    #[serde(default)]
    pub imap: Option<ImapSpec>,
    /// The check listens itself while it waits.
    #[serde(default)]
    pub smtp_listen: Option<ListenSpec>,
}

/// A mailbox.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImapSpec {
    /// `imaps://host:port` (default port 993) or `imap://host:port` (default port 143).
    pub url: PostUrl,
    /// The user name.
    pub username: Box<str>,
    /// The password.
    pub password: Secret,
    /// The folder.
    #[serde(default = "inbox")]
    pub folder: Box<str>,
    /// For `imap://`: how TLS begins.
    #[serde(default)]
    pub tls: Option<StartTls>,
}

fn inbox() -> Box<str> {
    "INBOX".into()
}

/// Where the check listens, and for whom.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenSpec {
    /// The address and port; mail is sent to port 25, perhaps led here.
    pub listen: SocketAddr,
    /// The one mailbox that mail is taken for.
    pub mailbox: Mailbox,
}

/// A mail server that takes messages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailServer {
    /// `smtps://host:port` (default port 465) or `smtp://host:port` (default port 587).
    pub url: PostUrl,
    /// The user name for AUTH.
    #[serde(default)]
    pub username: Option<Box<str>>,
    /// The password for AUTH.
    #[serde(default)]
    pub password: Option<Secret>,
    /// For `smtp://`: how TLS begins.
    #[serde(default)]
    pub tls: Option<StartTls>,
}

/// How TLS begins on a port that starts in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartTls {
    /// By STARTTLS; nothing is sent without it.
    Required,
    /// By STARTTLS if it is offered.
    Opportunistic,
    /// Never.
    None,
}

/// A host and a port, and whether TLS comes first.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct PostUrl {
    /// `smtp` or `imap`.
    pub protocol: &'static str,
    /// TLS comes first.
    pub implicit: bool,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Schemes, whether TLS comes first, and the usual ports.
const SCHEMES: [(&str, &str, bool, u16); 4] = [
    ("smtp", "smtp", false, 587),
    ("smtps", "smtp", true, 465),
    ("imap", "imap", false, 143),
    ("imaps", "imap", true, 993),
];

impl<'de> Deserialize<'de> for PostUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let form = "write such as smtps://mail.acme.example or imaps://mail.acme.example:993";
        let url = url::Url::parse(&text).map_err(|why| de::Error::custom(format!("{why}; {form}")))?;
        let known = SCHEMES.iter().find(|(scheme, ..)| *scheme == url.scheme());
        let plain = url.username().is_empty() && url.password().is_none() && matches!(url.path(), "" | "/");
        match (known, url.host_str()) {
            (Some((_, protocol, implicit, port)), Some(host)) if plain => Ok(Self {
                protocol,
                implicit: *implicit,
                host: host.trim_matches(['[', ']']).to_owned(),
                port: url.port().unwrap_or(*port),
            }),
            _ => Err(de::Error::custom(format!("it names no mail server; {form}"))),
        }
    }
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Mailbox(pub lettre::Address);

impl<'de> Deserialize<'de> for Mailbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let address =
            text.parse().map_err(|why| de::Error::custom(format!("{text:?} is no mailbox: {why}")))?;
        Ok(Self(address))
    }
}

fn security(url: &PostUrl, tls: Option<StartTls>) -> MailSecurity {
    match (url.implicit, tls) {
        (true, _) => MailSecurity::Implicit,
        (false, None | Some(StartTls::Required)) => MailSecurity::StartTls,
        (false, Some(StartTls::Opportunistic)) => MailSecurity::Opportunistic,
        (false, Some(StartTls::None)) => MailSecurity::None,
    }
}

impl MailServer {
    /// As the network needs it.
    pub fn server(&self) -> model::MailServer {
        let credentials = self.username.as_ref().zip(self.password.as_ref());
        model::MailServer {
            host: self.url.host.clone(),
            port: self.url.port,
            security: security(&self.url, self.tls),
            server_name: None,
            credentials: credentials.map(|(username, password)| (username.to_string(), password.clone())),
        }
    }
}

impl ImapSpec {
    /// As the network needs it.
    pub fn server(&self) -> model::MailServer {
        model::MailServer {
            host: self.url.host.clone(),
            port: self.url.port,
            security: security(&self.url, self.tls),
            server_name: None,
            credentials: Some((self.username.to_string(), self.password.clone())),
        }
    }
}

impl LoopSpec {
    /// What cannot be so, and where.
    pub fn problems(&self, deadline: Duration) -> Vec<(Vec<&'static str>, String)> {
        let mut problems: Vec<(Vec<&'static str>, String)> = Vec::new();
        let mut say = |path: &[&'static str], message: &str| {
            problems.push(([&["loop"], path].concat(), message.to_owned()));
        };
        match (&self.send_via, &self.trigger) {
            (Some(_), Some(_)) => {
                say(&["trigger"], "a canary is sent or the portal sends; keep one of send_via and trigger")
            }
            (None, None) => {
                say(&[], "nothing sends; write send_via: {…}, or trigger: {journey: …, subject: …}")
            }
            _ => {}
        }
        match (&self.receive.imap, &self.receive.smtp_listen) {
            (Some(_), Some(_)) => {
                say(&["receive"], "it arrives in one place; keep one of imap and smtp_listen")
            }
            (None, None) => say(&["receive"], "write imap: {…}, or smtp_listen: {…}"),
            _ => {}
        }
        if self.within.0 >= deadline {
            say(&["within"], &format!("it must be shorter than the run ({})", HumanDuration(deadline)));
        }
        if let Some(send) = &self.send_via {
            let smtp = &send.smtp;
            if smtp.url.protocol != "smtp" {
                say(
                    &["send_via", "smtp", "url"],
                    "it is no server that takes mail; write smtp:// or smtps://",
                );
            }
            if smtp.username.is_some() != smtp.password.is_some() {
                say(&["send_via", "smtp"], "username and password go together");
            }
            if smtp.url.implicit && smtp.tls.is_some() {
                say(
                    &["send_via", "smtp", "tls"],
                    "only for smtp://; smtps:// is TLS from the first byte. Leave it out",
                );
            }
        }
        if let Some(imap) = &self.receive.imap {
            if imap.url.protocol != "imap" {
                say(&["receive", "imap", "url"], "it is no mailbox; write imap:// or imaps://");
            }
            if imap.url.implicit && imap.tls.is_some() {
                say(
                    &["receive", "imap", "tls"],
                    "only for imap://; imaps:// is TLS from the first byte. Leave it out",
                );
            }
        }
        problems
    }
}
