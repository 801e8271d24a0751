//! What was seen. Small: a plain passing look is some hundred bytes of JSON.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::model::{Masker, Timings};
use crate::probe::web::facts::{Failure, Hop, Match, RedirectProblem, Skipped, Tls};

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
