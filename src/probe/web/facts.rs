//! What any look at an HTTP answer may have seen.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::judge::clip;
use crate::model::{Cause, Phase};
use crate::net::{FailReason, TlsInfo, TransportError};

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
    /// TLS is not begun where STARTTLS asks for it.
    NoStarttls,
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
    /// The address it names, for masking.
    pub fn target(&mut self) -> Option<&mut String> {
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

/// Whether a transport error is our own side's fault, and how.
pub fn our_side(error: &TransportError) -> Option<Skipped> {
    let cause = match error.reason {
        FailReason::OwnResolver => Cause::LocalDns,
        FailReason::NoRoute => Cause::LocalNetwork,
        FailReason::Exhausted => Cause::Overload,
        FailReason::Guarded(_) => Cause::Config,
        _ => return None,
    };
    let why = match error.reason {
        FailReason::Guarded(address) => format!(
            "the address guard refuses {address}; if the portal's address is private, set private: true for the portal"
        ),
        _ => clip(&error.to_string()),
    };
    Some(Skipped { cause, why, no_route: error.reason == FailReason::NoRoute })
}

/// The target's fault, as a fact.
pub fn failure(error: &TransportError) -> Failure {
    let (kind, detail) = match &error.reason {
        FailReason::Unresolvable => (FailureKind::Unresolvable, error.detail.clone()),
        FailReason::Refused => (FailureKind::Refused, error.detail.clone()),
        FailReason::Reset => (FailureKind::Reset, error.detail.clone()),
        FailReason::Timeout => (FailureKind::Timeout, error.detail.clone()),
        FailReason::Unreachable => (FailureKind::Unreachable, error.detail.clone()),
        FailReason::TlsAlert(alert) => (FailureKind::Tls, alert.clone()),
        FailReason::Certificate(why) => (FailureKind::Certificate, why.clone()),
        FailReason::NoStartTls(why) => (FailureKind::NoStarttls, why.clone()),
        FailReason::Protocol(why) => (FailureKind::Protocol, why.clone()),
        FailReason::Closed
        | FailReason::Guarded(_)
        | FailReason::OwnResolver
        | FailReason::NoRoute
        | FailReason::Exhausted => (FailureKind::Closed, error.detail.clone()),
    };
    Failure { phase: error.phase, kind, detail: clip(&detail), address: error.address }
}

impl From<&TlsInfo> for Tls {
    fn from(info: &TlsInfo) -> Self {
        Self {
            version: info.version.clone(),
            cipher: info.cipher.clone(),
            alpn: info.alpn.clone(),
            not_after: info.not_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timings;

    fn error(reason: FailReason) -> TransportError {
        TransportError {
            phase: Phase::Connect,
            reason,
            address: None,
            detail: "words".into(),
            timings: Timings::default(),
        }
    }

    #[test]
    fn our_own_faults_are_never_the_targets() {
        for (reason, cause) in [
            (FailReason::OwnResolver, Cause::LocalDns),
            (FailReason::NoRoute, Cause::LocalNetwork),
            (FailReason::Exhausted, Cause::Overload),
            (FailReason::Guarded([10, 0, 0, 1].into()), Cause::Config),
        ] {
            assert_eq!(our_side(&error(reason)).map(|skipped| skipped.cause), Some(cause));
        }
        for reason in [FailReason::Unresolvable, FailReason::Refused, FailReason::Timeout, FailReason::Closed]
        {
            assert_eq!(our_side(&error(reason)), None);
        }
    }
}
