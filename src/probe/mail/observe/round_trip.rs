//! Sends a message, or makes the portal send one, and waits for it where it should arrive.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::join_all;
use lettre::message::Message;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::Look;
use crate::formats::dns::RecordType;
use crate::model::{Cause, Finding};
use crate::net::post::{Found, Inbox, Received, Receiver, deliver};
use crate::net::{Origin, waited};
use crate::probe::Ctx;
use crate::probe::mail::dmarc::name_of;
use crate::probe::mail::dmarc::walk::domains;
use crate::probe::mail::facts::{Arrived, Looked, RoundTrip};
use crate::probe::mail::round_trip::spec::{LoopSpec, SendVia, Trigger};
use crate::probe::mail::round_trip::{self, message, signatures};
use crate::probe::mail::spf::{self, check_host};
use crate::probe::web::facts::{Skipped, our_side};

/// The most keys and records that a message can make us ask for.
const QUESTIONS: usize = 20;

/// Where the message arrives.
enum Place {
    Inbox(Box<Inbox>),
    Receiver(Receiver),
}

/// A message that arrived, in either way.
struct Came {
    raw: Vec<u8>,
    received: Option<Received>,
}

pub(super) async fn look(look: &Look<'_>) -> Option<RoundTrip> {
    let spec = look.spec.round_trip.as_ref()?;
    // A run by hand sends nothing unless it is told to.
    if !look.ctx.writes {
        return None;
    }
    Some(go(look, spec).await.unwrap_or_else(|ended| ended))
}

async fn go(look: &Look<'_>, spec: &LoopSpec) -> Result<RoundTrip, RoundTrip> {
    let check = &look.ctx.scope.check;
    let canary = round_trip::subject(check, look.ctx.at);
    let subject = spec.trigger.as_ref().map_or(canary.as_str(), |trigger| &*trigger.subject);
    let leftover = spec.send_via.as_ref().map(|_| round_trip::own_subjects(check));
    let begun = Instant::now();
    let ends = (look.ends + waited()).min(begun + spec.within.0);
    let mut place = open(look, spec, ends).await?;
    match (&spec.send_via, &spec.trigger) {
        (Some(send), _) => self::send(look, send, subject, ends).await?,
        (None, Some(trigger)) => self::trigger(look, trigger).await?,
        (None, None) => return Err(RoundTrip::NotSent("nothing sends".to_owned())),
    }
    let came = match &mut place {
        Place::Inbox(inbox) => {
            let found = inbox.wait_for(subject, leftover.as_deref(), ends).await;
            let found = found.map_err(|why| unmeasured(Cause::Blocked, why.to_string()))?;
            found.map(|Found { message, .. }| Came { raw: message, received: None })
        }
        Place::Receiver(receiver) => {
            let is_it = |received: &Received| {
                message::read(&received.message).is_some_and(|message| message.subject.contains(subject))
            };
            let received = receiver.receive(ends, &is_it).await;
            received.map(|received| Came { raw: received.message.clone(), received: Some(received) })
        }
    };
    let took = begun.elapsed();
    if let Place::Inbox(inbox) = place {
        inbox.close().await;
    }
    match came {
        None => Ok(RoundTrip::Lost(took.as_secs_f64())),
        Some(came) => Ok(RoundTrip::Arrived(Box::new(read(look, &came, took).await))),
    }
}

fn unmeasured(cause: Cause, why: String) -> RoundTrip {
    RoundTrip::Unmeasured(Skipped { cause, why, no_route: false })
}

async fn open(look: &Look<'_>, spec: &LoopSpec, ends: Instant) -> Result<Place, RoundTrip> {
    if let Some(imap) = &spec.receive.imap {
        let opened = Inbox::open(look.ctx.net, &imap.server(), &imap.folder, &look.ctx.scope.tls, ends).await;
        let inbox = opened.map_err(|why| unmeasured(Cause::Blocked, why.to_string()))?;
        return Ok(Place::Inbox(Box::new(inbox)));
    }
    let Some(listen) = &spec.receive.smtp_listen else {
        return Err(unmeasured(Cause::Config, "nothing receives".to_owned()));
    };
    let mailbox = listen.mailbox.0.to_string();
    let receiver = Receiver::listen(listen.listen, listen.mailbox.0.domain(), &mailbox).await;
    receiver.map(Place::Receiver).map_err(|why| unmeasured(Cause::Config, why))
}

/// `Auto-Submitted` keeps vacation responders quiet (RFC 3834 section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

async fn send(look: &Look<'_>, send: &SendVia, subject: &str, ends: Instant) -> Result<(), RoundTrip> {
    let id = format!("<{:x}.canary@{}>", look.ctx.at.as_nanosecond(), send.from.0.domain());
    let message = Message::builder()
        .from(send.from.0.clone().into())
        .to(send.to.0.clone().into())
        .date(std::time::SystemTime::from(look.ctx.at))
        .message_id(Some(id))
        .user_agent(look.ctx.net.user_agent().to_owned())
        .header(AutoSubmitted)
        .subject(subject.to_owned())
        .body(format!(
            "This message proves that mail of {} arrives and authenticates. It is deleted once it was read.\r\n",
            look.spec.name()
        ));
    let message =
        message.map_err(|why| RoundTrip::NotSent(format!("the canary cannot be composed: {why}")))?;
    let server = send.smtp.server();
    let left = ends.saturating_duration_since(Instant::now());
    let connected = look.ctx.net.connect_stream(&server.host, server.port, Origin::Operator, left).await;
    let connected = connected.map_err(|error| match our_side(&error) {
        Some(skipped) => RoundTrip::Unmeasured(skipped),
        None => RoundTrip::NotSent(format!("{}:{}: {error}", server.host, server.port)),
    })?;
    let handed = AtomicBool::new(false);
    let delivered = deliver(connected.stream, &server, &look.ctx.scope.tls, &message, &handed);
    let refused = |why: &str| RoundTrip::NotSent(format!("{}:{}: {why}", server.host, server.port));
    match tokio::time::timeout_at(ends, delivered).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => Err(refused(why.why())),
        Err(_) => Err(refused("no answer in time")),
    }
}

/// Runs the journey that makes the portal send it.
async fn trigger(look: &Look<'_>, trigger: &Trigger) -> Result<(), RoundTrip> {
    let Some(triggered) = &look.ctx.scope.triggered else {
        return Err(unmeasured(Cause::Config, format!("there is no journey {}", trigger.journey)));
    };
    let ctx = Ctx { scope: &triggered.scope, masker: &triggered.masker, everything: false, ..*look.ctx };
    let output = triggered.probe.run(ctx, &None, look.ctx.at).await;
    match output {
        Err(why) => Err(unmeasured(why.cause, why.why)),
        Ok(output) if output.unknown.is_some() => {
            let why = output.unknown.map(|why| (why.cause, why.why));
            let (cause, why) = why.unwrap_or((Cause::Blocked, String::new()));
            Err(unmeasured(cause, why))
        }
        Ok(output) => match output.findings.iter().find(|finding| finding.broken && finding.measured) {
            None => Ok(()),
            Some(Finding { subject, summary, .. }) => {
                Err(RoundTrip::NotSent(format!("the journey {}: {subject}: {summary}", trigger.journey)))
            }
        },
    }
}

/// What a receiver knows of it.
async fn read(look: &Look<'_>, came: &Came, took: Duration) -> Arrived {
    let read = message::read(&came.raw).unwrap_or_default();
    let keys = signatures::keys(&came.raw);
    let published = join_all(keys.iter().take(QUESTIONS).map(|name| look.ask(name, RecordType::TXT))).await;
    let texts = |name: &str| match published.iter().find(|looked| looked.name == name) {
        None => Err("it was not asked for".to_owned()),
        Some(looked) => match looked.why() {
            Some(why) => Err(why),
            None => Ok(looked.values.clone()),
        },
    };
    let signatures = signatures::verify(&came.raw, &texts);
    let (peer, helo, mail_from) = match &came.received {
        Some(received) => (Some(received.peer), received.helo.clone(), received.mail_from.clone()),
        None => {
            let hop = read.hop.as_ref();
            let helo = hop.map(|hop| hop.helo.clone()).unwrap_or_default();
            (hop.map(|hop| hop.ip), helo, read.return_path.clone().unwrap_or_default())
        }
    };
    let spf = match peer {
        None => None,
        Some(ip) => {
            let time = look.ctx.at.as_second();
            let sender = spf::Sender { ip, mail_from: &mail_from, helo: &helo, receiver: "unknown", time };
            Some(check_host(&look.resolver(), &sender).await)
        }
    };
    let sender = mail_from.rsplit_once('@').map_or(helo.as_str(), |(_, domain)| domain).to_ascii_lowercase();
    let named = read.from.iter().chain(signatures.iter().map(|one| &one.domain)).chain([&sender]);
    let mut names: Vec<String> = named.flat_map(|domain| domains(domain)).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(QUESTIONS);
    let ask = async |domain: &String| look.ask(&name_of(domain), RecordType::TXT).await;
    let records: Vec<Looked> = join_all(names.iter().map(ask)).await;
    Arrived {
        took: took.as_secs_f64(),
        peer,
        mail_from: if mail_from.is_empty() { helo } else { mail_from },
        from: read.from,
        spf,
        signatures,
        links: read.links.into_iter().collect(),
        one_click: read.one_click,
        records,
    }
}
