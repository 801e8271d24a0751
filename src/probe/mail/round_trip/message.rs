//! What a receiver reads of a message (RFC 5322).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use mail_parser::{Address, HeaderName, HeaderValue, Host, Message as Parsed, MessageParser, Received};
use regex::Regex;

/// The most hosts of links that are kept.
const LINKS: usize = 50;

/// A message, as far as it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The subject.
    pub subject: String,
    /// The domains of `From`, in lower case; one in a message that keeps to the standard.
    pub from: Vec<String>,
    /// MAIL FROM, as the last server noted it; empty for bounces.
    pub return_path: Option<String>,
    /// The hop into the receiver's mail system: the first `Received` from above that names an address.
    pub hop: Option<Hop>,
    /// The hosts that its links lead to, in lower case.
    pub links: BTreeSet<String>,
    /// It can be unsubscribed from with one click (RFC 8058).
    pub one_click: bool,
}

/// Who brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The address.
    pub ip: IpAddr,
    /// What it said in HELO.
    pub helo: String,
}

static LINK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?i)https?://[^\s"'<>\\)\]]+"#).ok());

/// Reads a message; `None` if it is none.
pub fn read(raw: &[u8]) -> Option<Message> {
    let parsed = MessageParser::default().parse(raw)?;
    Some(Message {
        subject: parsed.subject().unwrap_or_default().to_owned(),
        from: parsed.from().map(domains).unwrap_or_default(),
        return_path: return_path(&parsed),
        hop: hop(&parsed),
        links: links(&parsed),
        one_click: one_click(&parsed),
    })
}

fn domains(from: &Address<'_>) -> Vec<String> {
    let domain = |address: &str| {
        address.rsplit_once('@').map(|(_, domain)| domain.trim_end_matches('.').to_ascii_lowercase())
    };
    from.iter().filter_map(|one| one.address().and_then(domain)).collect()
}

fn return_path(parsed: &Parsed<'_>) -> Option<String> {
    let value = parsed.header_raw(HeaderName::ReturnPath)?.trim();
    Some(value.trim_matches(['<', '>']).to_owned())
}

fn hop(parsed: &Parsed<'_>) -> Option<Hop> {
    let address = |received: &Received<'_>| match (received.from_ip(), received.from()) {
        (Some(ip), _) => Some(ip),
        (None, Some(Host::IpAddr(ip))) => Some(*ip),
        _ => None,
    };
    let (ip, received) = parsed.received_all().find_map(|received| Some((address(received)?, received)))?;
    let helo = match received.helo().or_else(|| received.from()) {
        Some(Host::Name(name)) => name.to_string(),
        Some(Host::IpAddr(address)) => format!("[{address}]"),
        None => String::new(),
    };
    Some(Hop { ip: ip.to_canonical(), helo })
}

fn links(parsed: &Parsed<'_>) -> BTreeSet<String> {
    let texts = (0..parsed.text_body_count()).filter_map(|at| parsed.body_text(at));
    let pages = (0..parsed.html_body_count()).filter_map(|at| parsed.body_html(at));
    let mut hosts = BTreeSet::new();
    for body in texts.chain(pages) {
        let Some(link) = LINK.as_ref() else { break };
        for found in link.find_iter(&body) {
            let host = url::Url::parse(found.as_str())
                .ok()
                .and_then(|url| url.host_str().map(str::to_ascii_lowercase));
            hosts.extend(host.filter(|_| hosts.len() < LINKS));
        }
    }
    hosts
}

fn one_click(parsed: &Parsed<'_>) -> bool {
    let text = |name: &str| match parsed.header(name.to_owned()) {
        Some(HeaderValue::Text(text)) => text.to_string(),
        Some(_) => parsed.header_raw(name.to_owned()).unwrap_or_default().to_owned(),
        None => String::new(),
    };
    let post = text("List-Unsubscribe-Post");
    post.trim().eq_ignore_ascii_case("List-Unsubscribe=One-Click")
        && text("List-Unsubscribe").contains("https:")
}
