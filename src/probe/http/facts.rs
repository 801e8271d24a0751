//! What was seen. Small: a plain passing look is some hundred bytes of JSON.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::model::{Cause, Masker, Phase, Timings};

/// What one look at one address (or at the first that connects) saw. With `addresses: all` the
/// fields at the top are those of the first measured row, and every look is in `rows`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The host asked, or in a row its address: what findings are about.
    pub subject: String,
    /// The status of the judged answer; none came if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Its protocol version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it came from, masked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub final_url: String,
    /// The redirects followed.
    pub redirects: Vec<Hop>,
    /// How long the phases took, in seconds, all redirects together.
    pub phases: Timings,
    /// The address that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// The TLS session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How many bytes of body were read, decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Reading stopped at the limit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The body's SHA-256, where an expectation or `inspect` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Response headers, masked: all for `inspect`, else those an expectation names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Vec<String>>,
    /// What came of each expectation on headers, body, JSON and final URL.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
    /// Why the redirects ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<RedirectProblem>,
    /// Why no answer, or no whole answer, came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why there are no credentials: the token endpoint gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// This row could not be measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
    /// One look per address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Facts>,
    /// Addresses beyond the most that are looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<IpAddr>,
}

/// One redirect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// The status of the redirect.
    pub status: u16,
    /// Where it led, masked.
    pub to: String,
}

/// The TLS session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// `TLSv1.3`, `TLSv1.2`.
    pub version: String,
    /// The suite's IANA name.
    pub cipher: String,
    /// The ALPN protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// The leaf certificate's end of validity, seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<i64>,
}

/// Which part of an answer an expectation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A header.
    Header,
    /// The body.
    Body,
    /// The body as JSON.
    Json,
    /// The address of the answer.
    FinalUrl,
}

/// What came of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// Too little was read to tell.
    Undecided,
}

/// What came of one expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// About which part.
    pub part: Part,
    /// The header's name or the JSON path; empty for the others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Whether it holds.
    pub held: Held,
    /// The operator that does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The value seen, at most 256 bytes; never the body's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Why redirects ended before an expected status came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectProblem {
    /// A redirect without a place to go.
    NoLocation,
    /// A place that is no address.
    BadLocation(String),
    /// Neither `http` nor `https`.
    Scheme(String),
    /// Back where we were.
    Loop(String),
    /// More than allowed.
    TooMany(u8),
    /// Not `https`, where only that is allowed.
    Insecure(String),
    /// Another site, where only one is allowed.
    OtherSite(String),
    /// The body holds secrets and would have gone to another origin.
    SecretBody(String),
    /// The address guard refuses the target.
    Guarded {
        /// Where it led, masked.
        to: String,
        /// The refused address.
        address: IpAddr,
    },
}

/// Why no (whole) answer came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// In which phase.
    pub phase: Phase,
    /// What happened.
    pub kind: FailureKind,
    /// In words.
    pub detail: String,
    /// The address tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
}

/// What kind of transport failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The name does not resolve.
    Unresolvable,
    /// Connection refused.
    Refused,
    /// Connection reset.
    Reset,
    /// Closed before the end.
    Closed,
    /// Out of time.
    Timeout,
    /// A router says no.
    Unreachable,
    /// A TLS alert.
    Tls,
    /// The certificate does not verify.
    Certificate,
    /// Not HTTP.
    Protocol,
}

/// Why a row was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Whose fault.
    pub cause: Cause,
    /// In words.
    pub why: String,
    /// The host has no route for the address's family.
    pub no_route: bool,
}

impl RedirectProblem {
    fn target(&mut self) -> Option<&mut String> {
        match self {
            Self::NoLocation | Self::TooMany(_) => None,
            Self::BadLocation(to)
            | Self::Scheme(to)
            | Self::Loop(to)
            | Self::Insecure(to)
            | Self::OtherSite(to)
            | Self::SecretBody(to)
            | Self::Guarded { to, .. } => Some(to),
        }
    }
}

impl Facts {
    /// Takes secrets out of everything that a server said.
    pub fn mask(&mut self, masker: &Masker) {
        let headers = self.headers.values_mut().flatten();
        let values = self.matches.iter_mut().filter_map(|seen| seen.value.as_mut());
        let hops = self.redirects.iter_mut().map(|hop| &mut hop.to);
        let problem = self.redirect.iter_mut().filter_map(RedirectProblem::target);
        let failure = self.failure.iter_mut().map(|failure| &mut failure.detail);
        let last = std::iter::once(&mut self.final_url);
        for said in headers.chain(values).chain(hops).chain(problem).chain(failure).chain(last) {
            if let std::borrow::Cow::Owned(masked) = masker.mask(said) {
                *said = masked;
            }
        }
        for row in &mut self.rows {
            row.mask(masker);
        }
    }

    /// The looks that are judged: the rows, or the one look there is.
    pub fn looks(&self) -> &[Facts] {
        if self.rows.is_empty() { std::slice::from_ref(self) } else { &self.rows }
    }
}
