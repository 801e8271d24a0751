//! The `email` channel: text and HTML, in threads.
//!
//! **Threads.** Every message carries a `Message-ID` made from its own idempotency key, so that a
//! repeated copy is recognized. `In-Reply-To` and `References` (RFC 5322 section 3.6.4) name the message
//! in which this channel first heard of the incident, and only once that one was delivered: where
//! several incidents opened in one message, all their later messages reply to it; the end of an
//! incident whose opening never went out replies to nothing. A message about several incidents
//! replies for the first of them that was told before, since a mail reader has one parent for each.

use aws_lc_rs::digest;
use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::Deserialize;

use super::card::Card;
use super::registry::{ChannelType, Problem};
use super::{Notifier, Smtp, Transport};
use crate::formats::yaml::{Node, Value};
use crate::model::{Mail, MailSecurity, MailServer, Notification, Outgoing, Secret};

/// A mail channel.
pub struct Email {
    smtp: Smtp,
    domain: String,
}

/// Settings of a mail channel.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EmailSettings")]
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
        .filter_map(|(index, text)| mailbox(&[key, &format!("[{index}]")], text, problems))
        .collect()
}

fn relays(settings: Vec<RelaySettings>, problems: &mut Vec<Problem>) -> Vec<MailServer> {
    if settings.is_empty() {
        problems.push(Problem::at(&["smtp"], "no relay; write smtp: { url: smtps://host }"));
    }
    let single = settings.len() == 1;
    let mut relays = Vec::new();
    for (index, settings) in settings.into_iter().enumerate() {
        let index = format!("[{index}]");
        let path: &[&str] = if single { &["smtp"] } else { &["smtp", &index] };
        relays.extend(relay(path, settings, problems));
    }
    relays
}

fn relay(path: &[&str], settings: RelaySettings, problems: &mut Vec<Problem>) -> Option<MailServer> {
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
        (true, None) => MailSecurity::Implicit,
        (true, Some(_)) => {
            let message = "only for smtp://; smtps:// is TLS from the first byte. Leave it out";
            problems.push(Problem::at(&[path, &["tls"]].concat(), message));
            MailSecurity::Implicit
        }
        (false, None | Some(StartTls::Required)) => MailSecurity::StartTls,
        (false, Some(StartTls::Opportunistic)) => MailSecurity::Opportunistic,
        (false, Some(StartTls::None)) => MailSecurity::None,
    };
    let server_name = settings.server_name;
    (problems.len() == before).then_some(MailServer { host, port, security, server_name, credentials })
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
        let parent = notification.replies_to.as_ref().filter(|parent| **parent != notification.key);
        Outgoing::Mail(Mail {
            message_id: self.id(&notification.key),
            in_reply_to: parent.map(|parent| self.id(parent)),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{CheckId, Finding, Incident, IncidentId, Labels, Notice, Reason, Severity};

    fn problems(settings: serde_json::Value) -> Vec<String> {
        match Email::build(serde_json::from_value(settings).unwrap()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems
                .into_iter()
                .map(|problem| format!("{}: {}", problem.path.join("."), problem.message))
                .collect(),
        }
    }

    fn channel() -> Email {
        let settings = json!({
            "from": "portalwatch <alerts@acme.example>", "to": ["oncall@acme.example"],
            "smtp": [{ "url": "smtps://smtp.acme.example" }],
        });
        Email::build(serde_json::from_value(settings).unwrap()).unwrap_or_else(|all| panic!("{all:?}"))
    }

    fn notice(check: &str, reason: Reason) -> Notice {
        let check = CheckId::from(check);
        let started = "2026-11-24T12:00:00Z".parse().unwrap();
        Notice {
            reason,
            incident: Incident {
                id: IncidentId::new(&check, started),
                check,
                kind: "http".into(),
                labels: Labels::new(),
                alertname: "http.status".into(),
                severity: Severity::Critical,
                started,
                opened: started,
                last_good: None,
                findings: vec![Finding {
                    id: "http.status".into(),
                    subject: "home".into(),
                    severity: Severity::Critical,
                    broken: true,
                    measured: true,
                    summary: "body held <script>alert(1)</script>".into(),
                    evidence: serde_json::Map::new(),
                    reference: None,
                }],
                worst: None,
                ended: None,
                closed: None,
                flapping: false,
                not_recorded: false,
            },
            severity_before: None,
            at: started,
            confirmed: String::new(),
            reproduce: Vec::new(),
            collapsed: false,
        }
    }

    fn mail(key: &str, notices: Vec<Notice>) -> Mail {
        reply(key, None, notices)
    }

    fn reply(key: &str, to: Option<&str>, notices: Vec<Notice>) -> Mail {
        let rendered = channel().render(&Notification {
            key: key.into(),
            channel: "mail".into(),
            group_key: "group".into(),
            group_labels: Labels::new(),
            notices,
            shares: None,
            replies_to: to.map(str::to_owned),
            external_url: "https://status.acme.example/?a=1&b=2".into(),
            timezone: jiff::tz::TimeZone::UTC,
            now: "2026-11-24T12:00:30Z".parse().unwrap(),
        });
        match rendered {
            Outgoing::Mail(mail) => mail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_resolution_replies_to_the_message_that_was_delivered() {
        let opened =
            mail("k1", vec![notice("acme/home", Reason::Opened), notice("acme/api", Reason::Opened)]);
        assert_eq!(opened.in_reply_to, None);
        for check in ["acme/home", "acme/api"] {
            let resolved = reply("k2", Some("k1"), vec![notice(check, Reason::Resolved)]);
            assert_eq!(resolved.in_reply_to.as_ref(), Some(&opened.message_id), "{check}");
            assert_ne!(resolved.message_id, opened.message_id);
        }
        let untold = mail("k3", vec![notice("acme/home", Reason::Resolved)]);
        assert_eq!(untold.in_reply_to, None);
        assert!(opened.message_id.starts_with('<') && opened.message_id.ends_with("@acme.example>"));
    }

    #[test]
    fn no_message_replies_to_itself() {
        assert_eq!(reply("k1", Some("k1"), vec![notice("acme/home", Reason::Opened)]).in_reply_to, None);
    }

    #[test]
    fn a_repeated_copy_carries_the_id_of_the_first() {
        let copy = || mail("k2", vec![notice("acme/home", Reason::Updated)]).message_id;
        assert_eq!(copy(), copy());
        assert_ne!(copy(), mail("k4", vec![notice("acme/home", Reason::Updated)]).message_id);
    }

    #[test]
    fn text_of_a_portal_is_no_markup() {
        let html = mail("k1", vec![notice("acme/home", Reason::Opened)]).html;
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"), "{html}");
        assert!(html.contains("href=\"https://status.acme.example/?a=1&amp;b=2\""), "{html}");
    }

    #[test]
    fn all_faults_of_the_settings_are_told_with_the_way_out() {
        let found = problems(json!({
            "from": "nobody", "to": ["a@acme.example", "b@"],
            "smtp": [
                { "url": "https://smtp.acme.example" },
                { "url": "smtps:///", "password": { "value": "hunter2", "shown": "env:X" } },
                { "url": "smtps://smtp.acme.example", "tls": "none", "username": "alerts" },
                { "url": "smtp://alerts:hunter2@smtp.acme.example" },
            ],
        }));
        insta::assert_snapshot!(found.join("\n"), @r#"
        from: "nobody" is no mail address; write name@domain or "Name <name@domain>"
        to.[1]: "b@" is no mail address; write name@domain or "Name <name@domain>"
        smtp.[0].url: https:// is no mail relay; write smtps://host:port or smtp://host:port
        smtp.[1].url: it names no host; write smtps://host:port or smtp://host:port
        smtp.[1].password: a password without a username
        smtp.[2].username: a username without a password
        smtp.[2].tls: only for smtp://; smtps:// is TLS from the first byte. Leave it out
        smtp.[3].url: credentials do not belong into the URL; write username and password beside it
        "#);
        assert!(!found.join("").contains("hunter2"));
        assert_eq!(problems(json!({ "from": "a@acme.example", "to": [], "smtp": [] })).len(), 2);
    }

    #[test]
    fn ports_and_protection_follow_the_scheme() {
        let relays = |smtp: serde_json::Value| {
            let settings = json!({ "from": "a@acme.example", "to": ["a@acme.example"], "smtp": [smtp] });
            let email = Email::build(serde_json::from_value(settings).unwrap())
                .unwrap_or_else(|all| panic!("{all:?}"));
            let relay = email.smtp.relays[0].clone();
            (relay.host, relay.port, relay.security)
        };
        assert_eq!(relays(json!({ "url": "smtps://mx" })), ("mx".into(), 465, MailSecurity::Implicit));
        assert_eq!(relays(json!({ "url": "smtp://mx" })), ("mx".into(), 587, MailSecurity::StartTls));
        assert_eq!(
            relays(json!({ "url": "smtp://[::1]:25", "tls": "none" })),
            ("::1".into(), 25, MailSecurity::None)
        );
    }

    #[test]
    fn unknown_keys_are_refused() {
        let settings = json!({ "from": "a@acme.example", "to": [], "smtp": [], "subjekt": 1 });
        assert!(serde_json::from_value::<Settings>(settings).is_err());
    }
}
