//! Answers out of the real DNS.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Resolver, Temporary};
use crate::formats::dns::{Data, Name, Rcode, Record, RecordType};
use crate::net::Net;

/// By the resolvers of a config or of the command line.
pub struct OfNet<'n> {
    /// Asks.
    pub net: &'n Net,
    /// Whom, as written in a config.
    pub resolvers: Vec<String>,
    /// Bounds one question.
    pub timeout: Duration,
}

impl OfNet<'_> {
    /// The records that a name leads to. Only an answer says that there are none.
    async fn ask(&self, name: &str, kind: RecordType, word: &'static str) -> Result<Vec<Record>, Temporary> {
        let failed = |why: String| Temporary { name: name.to_owned(), kind: word, why };
        // What can be no name has no records.
        let Some(asked) = escaped(name).and_then(|name| name.parse::<Name>().ok()) else {
            return Ok(Vec::new());
        };
        let reply = self.net.lookup(&asked, kind, &self.resolvers, self.timeout).await;
        let message = reply.map_err(|error| failed(error.to_string()))?.message;
        match message.rcode {
            Rcode::NOERROR => {
                let followed = message.follow(&asked, kind);
                Ok(followed.records.into_iter().cloned().collect())
            }
            Rcode::NXDOMAIN => Ok(Vec::new()),
            other => Err(failed(format!("the resolver answers {other}"))),
        }
    }
}

/// A name of any bytes as text that is read as these.
fn escaped(name: &str) -> Option<String> {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'.' | b'-' | b'_' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => write!(text, "\\{byte:03}").ok()?,
        }
    }
    text.push('.');
    Some(text)
}

fn all<T>(records: &[Record], of: impl Fn(&Data) -> Option<T>) -> Vec<T> {
    records.iter().filter_map(|record| record.data.as_ref().ok().and_then(&of)).collect()
}

impl Resolver for OfNet<'_> {
    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Vec<u8>>, Temporary>> {
        async move {
            let records = self.ask(name, RecordType::TXT, "TXT").await?;
            let text = |data: &Data| match data {
                Data::Txt(strings) => Some(strings.concat()),
                _ => None,
            };
            Ok(all(&records, text))
        }
        .boxed()
    }

    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Temporary>> {
        async move {
            let records = self.ask(name, RecordType::A, "A").await?;
            let address = |data: &Data| match data {
                Data::A(address) => Some(*address),
                _ => None,
            };
            Ok(all(&records, address))
        }
        .boxed()
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv6Addr>, Temporary>> {
        async move {
            let records = self.ask(name, RecordType::AAAA, "AAAA").await?;
            let address = |data: &Data| match data {
                Data::Aaaa(address) => Some(*address),
                _ => None,
            };
            Ok(all(&records, address))
        }
        .boxed()
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, Temporary>> {
        async move {
            let records = self.ask(name, RecordType::MX, "MX").await?;
            let exchange = |data: &Data| match data {
                Data::Mx { preference, exchange } => Some((*preference, exchange.without_dot())),
                _ => None,
            };
            let mut exchanges = all(&records, exchange);
            exchanges.sort();
            Ok(exchanges.into_iter().map(|(_, name)| name).collect())
        }
        .boxed()
    }

    fn ptr(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Temporary>> {
        async move {
            let name = Name::reverse(address).without_dot();
            let records = self.ask(&name, RecordType::PTR, "PTR").await?;
            let target = |data: &Data| match data {
                Data::Name(target) => Some(target.without_dot()),
                _ => None,
            };
            Ok(all(&records, target))
        }
        .boxed()
    }
}
