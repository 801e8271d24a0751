//! The settings of the kind.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::formats::starttls::Protocol;
use crate::model::{Host, Span};
use crate::probe::web::scalars::Connect;

/// The certificates and the TLS of hosts: every address, every certificate of the chain.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// The hosts, `NAME` or `NAME:PORT`; without them the portal's `hosts`, else the host of its URL.
    pub hosts: Vec<Host>,
    /// The port of hosts that name none: 443, or that of `starttls`.
    pub port: Option<u16>,
    /// What is spoken before TLS begins.
    pub starttls: Option<Starttls>,
    /// The name asked for (SNI) and verified, where it is not the host's.
    pub server_name: Option<Host>,
    /// Connect to this `HOST:PORT` instead of what the host resolves to.
    pub connect_to: Option<Connect>,
    /// Mozilla's guideline that versions, suites and groups are held to.
    pub profile: Profile,
    /// How often it is found out which versions, suites and groups an address accepts: that takes 40
    /// to 80 connections.
    pub scan_every: Span,
    /// Fetch revocation lists and, where the chain is incomplete, the issuer's certificate, from where
    /// the certificate says.
    pub fetch: bool,
    /// Look at CAA, TLSA and HTTPS records.
    pub dns: bool,
    /// Look at the redirect from plain HTTP, at HSTS, and whether IPv4 and IPv6 serve the same page;
    /// of hosts on port 443.
    pub web: bool,
    /// SHA-256 of public keys (SubjectPublicKeyInfo, in hex or base64) of which the leaf must have one.
    pub pins: Vec<String>,
    /// Watch public logs (Certificate Transparency) for certificates issued for the hosts' domains that
    /// none of them shows; off unless it is given. `{}` takes the usual service.
    pub ct: Option<super::ct::Settings>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            port: None,
            starttls: None,
            server_name: None,
            connect_to: None,
            profile: Profile::default(),
            scan_every: Span(std::time::Duration::from_secs(86_400)),
            fetch: true,
            dns: true,
            web: true,
            pins: Vec::new(),
            ct: None,
        }
    }
}

impl Spec {
    /// The port of a host that names none.
    pub fn default_port(&self) -> u16 {
        self.port.unwrap_or_else(|| self.starttls.map_or(443, |starttls| Protocol::from(starttls).port()))
    }
}

/// A protocol that begins in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the protocols' names")]
pub enum Starttls {
    Smtp,
    Imap,
    Pop3,
    Ftp,
    Ldap,
    Xmpp,
    Postgres,
    Mysql,
}

impl From<Starttls> for Protocol {
    fn from(starttls: Starttls) -> Self {
        match starttls {
            Starttls::Smtp => Self::Smtp,
            Starttls::Imap => Self::Imap,
            Starttls::Pop3 => Self::Pop3,
            Starttls::Ftp => Self::Ftp,
            Starttls::Ldap => Self::Ldap,
            Starttls::Xmpp => Self::Xmpp,
            Starttls::Postgres => Self::Postgres,
            Starttls::Mysql => Self::Mysql,
        }
    }
}

/// A profile of Mozilla's server-side TLS guidelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// TLS 1.3 alone.
    Modern,
    /// TLS 1.3 and 1.2.
    #[default]
    Intermediate,
    /// Down to TLS 1.0, for very old clients.
    Old,
    /// No look at what else than the usual is accepted.
    Off,
}
