//! What a host's pages say of its TLS: the redirect from plain HTTP, HSTS, and whether IPv4 and IPv6
//! serve the same.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::probe::web::facts::{Failure, RedirectProblem, Skipped};

/// The pages of one host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pages {
    /// The name in the addresses that were asked for: the one that certificates are verified for, else
    /// the host.
    pub name: String,
    /// The portal's `private`.
    #[serde(default)]
    pub private: bool,
    /// What plain HTTP says; `None` where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<Plain>,
    /// `https://NAME/` at one IPv4 address and at one IPv6 address, as far as there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secure: Vec<Secure>,
    /// Where the first of `secure` redirects to, if that is on the same host and the redirect has no
    /// HSTS header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing: Option<Secure>,
}

/// What came of `http://NAME/` and the redirects from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plain {
    /// The address asked.
    pub address: SocketAddr,
    /// The redirects, up to the first that leads to `https`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<PlainHop>,
    /// The first `Strict-Transport-Security` header that was seen on an answer of NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hsts: Option<String>,
    /// How it ended.
    pub end: PlainEnd,
}

/// One redirect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlainHop {
    /// The status of the redirect.
    pub status: u16,
    /// Where it led, masked.
    pub to: String,
    /// It led to `https`.
    pub secure: bool,
    /// It led to NAME itself, at whatever port.
    pub same_host: bool,
}

/// How the way from `http://NAME/` ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlainEnd {
    /// At `https`.
    Secure,
    /// At an answer over plain HTTP.
    Answered(u16),
    /// At a redirect that is not followed.
    Astray(RedirectProblem),
    /// Still on plain HTTP when the requests for a run were used up.
    Unfinished,
    /// No answer came.
    Failed(Failure),
    /// Our side could not ask.
    Skipped(Skipped),
}

/// What came of a request over `https`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Secure {
    /// The address asked.
    pub address: SocketAddr,
    /// What came.
    pub came: Came,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// An answer.
    Page(Page),
    /// None.
    Failed(Failure),
    /// Our side could not ask.
    Skipped(Skipped),
}

/// An answer, without its body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// Where it redirects to, without the query, which differs from request to request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// The redirect leads to `https` on the same host.
    #[serde(default)]
    pub same_host: bool,
    /// The first `Strict-Transport-Security` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hsts: Option<String>,
    /// The media type, without parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The page's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How many bytes the body has.
    pub size: usize,
    /// SHA-256 of the body without what differs from request to request, in hex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// The body was not read to its end.
    #[serde(default)]
    pub cut: bool,
}
