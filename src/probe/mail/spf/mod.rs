//! Whether a host may send mail in the name of a domain: `check_host` (RFC 7208 section 4), over whatever
//! answers questions to the DNS.

mod authorized;
mod expand;
pub mod findings;
mod names;
mod of_net;
mod trace;
mod walk;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use self::authorized::{Authorized, authorized};
pub use self::of_net::OfNet;
pub use self::trace::{Node, Step};
use self::walk::Walk;
use crate::formats::spf::Qualifier;

/// The DNS gave no answer in time, or an error (section 2.6.6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {kind}: {why}")]
pub struct Temporary {
    /// Whose.
    pub name: String,
    /// Which records.
    pub kind: &'static str,
    /// What happened.
    pub why: String,
}

/// Answers questions to the DNS. Names are without a dot at their end; nothing found is an empty list,
/// whether the name exists or not.
pub trait Resolver: Send + Sync {
    /// The TXT records of a name, the strings of each put together.
    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Vec<u8>>, Temporary>>;
    /// Its IPv4 addresses.
    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Temporary>>;
    /// Its IPv6 addresses.
    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv6Addr>, Temporary>>;
    /// Its mail exchanges, the preferred first.
    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, Temporary>>;
    /// The names of an address.
    fn ptr(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Temporary>>;
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// The address of the host that sends.
    pub ip: IpAddr,
    /// `MAIL FROM` without brackets; empty for bounces.
    pub mail_from: &'a str,
    /// What it said in HELO or EHLO.
    pub helo: &'a str,
    /// The name of who checks, for explanations.
    pub receiver: &'a str,
    /// The time, in seconds since the epoch, for explanations.
    pub time: i64,
}

/// The answer (section 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum Verdict {
    None,
    Neutral,
    Pass,
    Fail,
    SoftFail,
    TempError,
    PermError,
}

impl Verdict {
    /// As in `Received-SPF` (section 9.1).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }

    const fn of(qualifier: Qualifier) -> Self {
        match qualifier {
            Qualifier::Pass => Self::Pass,
            Qualifier::Fail => Self::Fail,
            Qualifier::SoftFail => Self::SoftFail,
            Qualifier::Neutral => Self::Neutral,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The answer.
    pub verdict: Verdict,
    /// Why, in words.
    pub why: String,
    /// The domain's own explanation of a refusal, if it has one that can be read (section 6.2).
    pub explanation: Option<String>,
    /// Which terms were asked for, and what each came to.
    pub trace: Node,
    /// Lookups that count, of ten.
    pub lookups: usize,
    /// Of them those that found nothing, of two.
    pub voids: usize,
}

/// Whether the host may send.
pub async fn check_host(resolver: &dyn Resolver, sender: &Sender<'_>) -> Checked {
    let (local, domain) = names::parted(sender.mail_from, sender.helo);
    let mut walk = Walk::new(resolver, sender, local, domain.clone());
    if !names::is_checkable(&domain) {
        let why = format!("{domain:?} is no domain name that could have a record");
        return walk.ended(Verdict::None, why, None, Node::of(domain));
    }
    let mut trace = Node::of(domain.clone());
    let outcome = walk.domain(&domain, &mut trace, 0).await;
    let explanation = match outcome.verdict {
        Verdict::Fail => walk.explanation(outcome.explains.as_ref()).await,
        _ => None,
    };
    walk.ended(outcome.verdict, outcome.why, explanation, trace)
}

#[cfg(test)]
mod tests;
