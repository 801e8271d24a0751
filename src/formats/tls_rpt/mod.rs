//! Records that say where reports about TLS of mail go (RFC 8460 section 3).

use super::Fault;
use super::dmarc::{mailbox, scheme};
use super::tag_list::{elements, extension, parts};

/// The record at `_smtp._tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where reports go: of each `rua`, its `mailto:` and `https:` addresses.
    pub rua: Vec<Vec<String>>,
    /// Fields of later versions.
    pub extensions: Vec<(String, String)>,
}

/// Whether a TXT record is one of TLS-RPT: it begins with `v=TLSRPTv1`, and that ends there.
pub fn is_tls_rpt(text: &str) -> bool {
    let rest = text.strip_prefix("v=TLSRPTv1");
    rest.is_some_and(|rest| rest.is_empty() || rest.trim_start_matches([' ', '\t']).starts_with(';'))
}

impl Record {
    /// Reads a record: the strings of its TXT record put together.
    ///
    /// # Errors
    /// The first thing that is wrong; nobody sends reports by such a record.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if !is_tls_rpt(text) {
            return Err(Fault::new(0, "does not begin with v=TLSRPTv1;"));
        }
        let (mut rua, mut extensions) = (Vec::new(), Vec::new());
        for element in elements(text).skip(1) {
            let tag = element.tag()?;
            if tag.name == "rua" {
                let uris = parts(tag.value_at, tag.value, ',').map(|(at, uri)| destination(at, uri));
                rua.push(uris.collect::<Result<Vec<_>, _>>()?);
            } else {
                extensions.push(extension(tag)?);
            }
        }
        if rua.is_empty() {
            return Err(Fault::new(text.len(), "rua is missing; write rua=mailto:reports@example.org"));
        }
        Ok(Self { rua, extensions })
    }
}

fn destination(at: usize, uri: &str) -> Result<String, Fault> {
    let rest = |length: usize| uri.get(length + 1..).unwrap_or_default();
    match scheme(at, uri)?.as_str() {
        "mailto" if mailbox(rest(6)).is_some() => Ok(uri.to_owned()),
        "mailto" => Err(Fault::new(at, format!("{uri:?} names no mailbox"))),
        "https" if url::Url::parse(uri).is_ok() => Ok(uri.to_owned()),
        "https" => Err(Fault::new(at, format!("{uri:?} is no address"))),
        other => Err(Fault::new(at, format!("reports go to mailto: or https:, not to {other}:"))),
    }
}

#[cfg(test)]
mod tests;
