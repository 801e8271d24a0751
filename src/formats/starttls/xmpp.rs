//! XMPP (RFC 6120 section 5): tag by tag, since a stream is no document that a parser could be given
//! whole.

use super::Turn;

const NAMESPACE: &str = "urn:ietf:params:xml:ns:xmpp-tls";

/// The stream header of a client.
pub(super) fn opening(server: &str) -> Vec<u8> {
    let mut to = String::with_capacity(server.len());
    for c in server.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '\'' => to.push_str("&apos;"),
            other => to.push(other),
        }
    }
    format!(
        "<?xml version='1.0'?><stream:stream to='{to}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    .into_bytes()
}

#[derive(Default)]
pub(super) struct Xmpp {
    opened: bool,
    offered: bool,
    asked: bool,
}

/// One tag, without its brackets.
struct Tag<'a>(&'a str);

impl Tag<'_> {
    /// The name without its prefix.
    fn name(&self) -> &str {
        let inner = self.0.trim_start_matches('/');
        let whole = inner.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        whole.rsplit(':').next().unwrap_or_default()
    }

    fn closes(&self) -> bool {
        self.0.starts_with('/')
    }

    fn is_whole(&self) -> bool {
        self.0.ends_with('/')
    }
}

/// Where the tag that starts at the first byte ends; a `>` in quotes does not end it.
fn end_of_tag(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    bytes.iter().position(|byte| {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(open), close) if open == *close => quote = None,
            _ => {}
        }
        quote.is_none() && *byte == b'>'
    })
}

impl Xmpp {
    pub(super) fn take(&mut self, input: &mut Vec<u8>) -> Turn {
        loop {
            let start = input.iter().position(|byte| *byte == b'<').unwrap_or(input.len());
            let text: Vec<u8> = input.drain(..start).collect();
            if !self.opened && !text.iter().all(u8::is_ascii_whitespace) {
                return Turn::garbage("no answer of XMPP");
            }
            let Some(end) = end_of_tag(input) else { return Turn::wait() };
            let whole: Vec<u8> = input.drain(..=end).collect();
            let text = String::from_utf8_lossy(whole.get(1..end).unwrap_or_default()).into_owned();
            let turn = self.tag(&Tag(&text), input);
            if !turn.goes_on() || !turn.send.is_empty() {
                return turn;
            }
        }
    }

    fn tag(&mut self, tag: &Tag<'_>, rest: &[u8]) -> Turn {
        let refusal = || {
            let words: String = String::from_utf8_lossy(rest).chars().take(200).collect();
            Turn::refused(format!("<{}>{words}", tag.0))
        };
        match (tag.name(), tag.closes()) {
            ("stream", false) => {
                self.opened = true;
                Turn::wait()
            }
            (name, _) if !self.opened && !name.starts_with('?') => Turn::garbage("no answer of XMPP"),
            ("error" | "failure", false) | ("stream", true) => refusal(),
            ("starttls", false) if !self.asked => {
                self.offered |= tag.0.contains(NAMESPACE);
                Turn::wait()
            }
            ("features", closes) if !self.asked && (closes || tag.is_whole()) => {
                if !self.offered {
                    return Turn::refused("not offered in the stream's features");
                }
                self.asked = true;
                Turn::say(format!("<starttls xmlns='{NAMESPACE}'/>"))
            }
            ("proceed", closes) if self.asked && (closes || tag.is_whole()) => Turn::ready(rest),
            _ => Turn::wait(),
        }
    }
}
