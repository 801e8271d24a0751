//! The `email` channel: text and HTML, in threads.
//!
//! **Threads.** Each incident has a thread: its root is a `Message-ID` made from the incident and the
//! channel, and the message that opens the incident carries it. All later messages name the root in
//! `In-Reply-To` and `References` (RFC 5322 section 3.6.4) and carry a `Message-ID` made from their own
//! idempotency key, so that a repeated copy is recognized. Where several incidents open in one
//! message, that message is the root of the first; the others' later messages name a root that was
//! not sent by itself, which mail readers gather in one thread all the same. A message that was
//! collapsed replies to nothing: its opening was never delivered.

use aws_lc_rs::digest;
use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::Deserialize;

use super::card::Card;
use super::registry::{ChannelType, Problem};
use super::{Notifier, Relay, Security, Smtp, Transport};
use crate::formats::yaml::{Node, Value};
use crate::model::{Mail, Notice, Notification, Outgoing, Reason, Secret};

/// A mail channel.
pub struct Email {
    smtp: Smtp,
    domain: String,
}

/// Settings of a mail channel.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The sender: `alerts@acme.example` or `portalwatch <alerts@acme.example>`.
    from: String,
    /// The recipients.
    #[schemars(length(min = 1))]
    to: Vec<String>,
    /// More recipients, in copy.
    #[serde(default)]
    cc: Vec<String>,
    /// The relay, or a list of relays that are tried in order.
    #[schemars(with = "OneOrMany")]
    smtp: Vec<RelaySettings>,
}

/// The schema of one relay or a list of them; [`prepare`] makes a list of one.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "only its schema is used: serde loses the positions of faults in untagged enums"
)]
enum OneOrMany {
    One(RelaySettings),
    Many(Vec<RelaySettings>),
}

fn prepare(node: &Node) -> Node {
    let mut prepared = node.clone();
    if let Value::Map(entries) = &mut prepared.value {
        for entry in entries.iter_mut().filter(|entry| entry.key == "smtp") {
            if matches!(entry.value.value, Value::Map(_)) {
                let one = entry.value.clone();
                entry.value.value = Value::List(vec![one]);
            }
        }
    }
    prepared
}

/// A mail relay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RelaySettings {
    /// `smtps://host:port` (default port 465) or `smtp://host:port` (default port 587).
    url: String,
    /// The user name for AUTH.
    #[serde(default)]
    username: Option<String>,
    /// The password for AUTH.
    #[serde(default)]
    password: Option<Secret>,
    /// With `smtp://` only; default `required`.
    #[serde(default)]
    tls: Option<StartTls>,
    /// The name asked for and verified in TLS, where it is not the host's; lets a relay be named by
    /// its address, so that a dead resolver cannot mute it.
    #[serde(default)]
    server_name: Option<String>,
}

/// How `smtp://` is protected.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum StartTls {
    /// STARTTLS; nothing is sent without it.
    Required,
    /// STARTTLS if it is offered; credentials are never sent without it.
    Opportunistic,
    /// Clear text, credentials included.
    None,
}

impl ChannelType for Email {
    const NAME: &'static str = "email";
    const EXAMPLE: &'static str = r#"from: "portalwatch <alerts@acme.example>"
to: [oncall@acme.example]
smtp:
  url: smtps://smtp.acme.example
  username: alerts
  password: { insecure_literal: example-password }
"#;
    type Settings = Settings;

    fn prepare(node: &Node) -> Node {
        prepare(node)
    }

    fn build(settings: Settings) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let from = mailbox(&["from"], &settings.from, &mut problems);
        let to = mailboxes("to", &settings.to, &mut problems);
        let cc = mailboxes("cc", &settings.cc, &mut problems);
        if settings.to.is_empty() {
            problems.push(Problem::at(&["to"], "no recipient; name at least one address"));
        }
        let relays = relays(settings.smtp, &mut problems);
        match from {
            Some(from) if problems.is_empty() => {
                let domain = from.email.domain().to_owned();
                Ok(Self { smtp: Smtp { from, to, cc, relays }, domain })
            }
            _ => Err(problems),
        }
    }
}

fn mailbox(path: &[&str], text: &str, problems: &mut Vec<Problem>) -> Option<Mailbox> {
    match text.parse() {
        Ok(mailbox) => Some(mailbox),
        Err(_) => {
            let message = format!("{text:?} is no mail address; write name@domain or \"Name <name@domain>\"");
            problems.push(Problem::at(path, message));
            None
        }
    }
}

fn mailboxes(key: &str, texts: &[String], problems: &mut Vec<Problem>) -> Vec<Mailbox> {
    texts
        .iter()
        .enumerate()
        .filter_map(|(index, text)| mailbox(&[key, &index.to_string()], text, problems))
        .collect()
}

fn relays(settings: Vec<RelaySettings>, problems: &mut Vec<Problem>) -> Vec<Relay> {
    if settings.is_empty() {
        problems.push(Problem::at(&["smtp"], "no relay; write smtp: { url: smtps://host }"));
    }
    let single = settings.len() == 1;
    let mut relays = Vec::new();
    for (index, settings) in settings.into_iter().enumerate() {
        let index = index.to_string();
        let path: &[&str] = if single { &["smtp"] } else { &["smtp", &index] };
        relays.extend(relay(path, settings, problems));
    }
    relays
}

fn relay(path: &[&str], settings: RelaySettings, problems: &mut Vec<Problem>) -> Option<Relay> {
    let before = problems.len();
    let place = parse_url(&settings.url);
    if let Err(message) = &place {
        problems.push(Problem::at(&[path, &["url"]].concat(), message.clone()));
    }
    let credentials = match (settings.username, settings.password) {
        (Some(username), Some(password)) => Some((username, password)),
        (None, None) => None,
        (None, Some(_)) => {
            problems.push(Problem::at(&[path, &["password"]].concat(), "a password without a username"));
            None
        }
        (Some(_), None) => {
            problems.push(Problem::at(&[path, &["username"]].concat(), "a username without a password"));
            None
        }
    };
    let (implicit, host, port) = place.ok()?;
    let security = match (implicit, settings.tls) {
        (true, None) => Security::Implicit,
        (true, Some(_)) => {
            let message = "only for smtp://; smtps:// is TLS from the first byte. Leave it out";
            problems.push(Problem::at(&[path, &["tls"]].concat(), message));
            Security::Implicit
        }
        (false, None | Some(StartTls::Required)) => Security::StartTls,
        (false, Some(StartTls::Opportunistic)) => Security::Opportunistic,
        (false, Some(StartTls::None)) => Security::None,
    };
    let server_name = settings.server_name;
    (problems.len() == before).then_some(Relay { host, port, security, server_name, credentials })
}

/// (TLS from the first byte, host, port)
fn parse_url(text: &str) -> Result<(bool, String, u16), String> {
    let form = "write smtps://host:port or smtp://host:port";
    let url = url::Url::parse(text).map_err(|error| format!("{error}; {form}"))?;
    let implicit = match url.scheme() {
        "smtps" => true,
        "smtp" => false,
        other => return Err(format!("{other}:// is no mail relay; {form}")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong into the URL; write username and password beside it".into());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("nothing may follow the port; {form}"));
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(format!("it names no host; {form}"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((implicit, host, url.port().unwrap_or(if implicit { 465 } else { 587 })))
}

impl Notifier for Email {
    fn render(&self, notification: &Notification) -> Outgoing {
        let card = Card::of(notification);
        let root = notification.notices.first().map(|notice| self.root(notice, &notification.channel));
        let (message_id, in_reply_to) = match (notification.notices.first(), root) {
            (Some(first), Some(root)) => match first.reason {
                Reason::Opened if !first.collapsed => (root, None),
                Reason::Test => (self.id(&notification.key), None),
                _ if first.collapsed => (self.id(&notification.key), None),
                _ => (self.id(&notification.key), Some(root)),
            },
            _ => (self.id(&notification.key), None),
        };
        Outgoing::Mail(Mail {
            message_id,
            in_reply_to,
            text: card.text(),
            html: html(&card),
            subject: card.subject,
            date: notification.now,
        })
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Smtp(&self.smtp)
    }
}

impl Email {
    fn root(&self, notice: &Notice, channel: &str) -> String {
        self.id(&format!("{channel}\n{}", notice.incident.id))
    }

    /// A `Message-ID` that only depends on `seed`.
    fn id(&self, seed: &str) -> String {
        let digest = digest::digest(&digest::SHA256, seed.as_bytes());
        let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("<{hex}.portalwatch@{}>", self.domain)
    }
}

fn html(card: &Card) -> String {
    let is_link = card.dashboard.starts_with("http://") || card.dashboard.starts_with("https://");
    maud::html! {
        (maud::DOCTYPE)
        html {
            head { meta charset="utf-8"; title { (card.subject) } }
            body style="font-family:sans-serif;font-size:14px;line-height:1.4" {
                @for item in &card.items {
                    h2 style="font-size:16px;margin:16px 0 4px" { (item.headline) }
                    p { strong { (item.summary) } }
                    @if !item.facts.is_empty() {
                        table style="border-collapse:collapse" {
                            @for (label, value) in &item.facts {
                                tr {
                                    th style="text-align:left;vertical-align:top;padding:2px 12px 2px 0" { (label) }
                                    td style="padding:2px 0" { (value) }
                                }
                            }
                        }
                    }
                    @if !item.reproduce.is_empty() {
                        p { "To reproduce:" }
                        pre style="white-space:pre-wrap" { @for command in &item.reproduce { (command) "\n" } }
                    }
                    @if let Some(explain) = &item.explain { p { "What it means: " code { (explain) } } }
                }
                p {
                    "Dashboard: "
                    @if is_link { a href=(card.dashboard) { (card.dashboard) } } @else { (card.dashboard) }
                }
            }
        }
    }
    .into_string()
}
