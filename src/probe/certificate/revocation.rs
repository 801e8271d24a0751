//! Revocation lists, condensed to what is asked of them: the lists of large authorities have tens of
//! MiB, and a run asks for a handful of certificates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::judge::Anchors;
use super::judge::revocation::{self as rules, Issuer, Said};
use super::judge::signature::{self, Check};
use crate::formats::x509::{Certificate, Crl, pem};

/// Condenses a list that was fetched (DER, as RFC 5280 section 4.2.1.13 asks, or PEM) to what it says
/// of `certificates`, those that name the place it came from. Who issued each is looked for among
/// `issuers` (all that was sent, fetched or trusted) and the anchors. An answer holds until the list is
/// fetched again; a certificate without one was not asked about.
///
/// # Errors
/// The bytes are no revocation list: why.
pub fn condense(
    bytes: &[u8],
    certificates: &[&Certificate],
    issuers: &[&Certificate],
    anchors: &Anchors,
) -> Result<Condensed, String> {
    let serials: Vec<&[u8]> = certificates.iter().map(|certificate| certificate.serial_bytes()).collect();
    let crl = Crl::parse_about(&der(bytes)?, &serials).map_err(|why| why.to_string())?;
    let answer = |certificate: &&Certificate| {
        (certificate.sha256.clone(), answer(&crl, certificate, &issuers_of(certificate, issuers, anchors)))
    };
    Ok(Condensed {
        this_update: crl.this_update.seconds,
        next_update: crl.next_update.as_ref().and_then(|due| due.seconds),
        answers: certificates.iter().map(answer).collect(),
    })
}

/// The encoding, out of its PEM block where it is in one.
fn der(bytes: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, String> {
    const BEGIN: &[u8] = b"-----BEGIN X509 CRL-----";
    if !bytes.trim_ascii_start().starts_with(BEGIN) {
        return Ok(bytes.into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "the PEM text is no UTF-8".to_owned())?;
    let mut blocks = pem::blocks(text).map_err(|why| why.to_string())?.into_iter();
    blocks.next().map(|block| block.bytes.into()).ok_or_else(|| "it is empty".to_owned())
}

/// Those whose key signed a certificate, of these and of the anchors.
pub fn issuers_of<'a>(
    certificate: &Certificate,
    issuers: &[&'a Certificate],
    anchors: &'a Anchors,
) -> Vec<Issuer<'a>> {
    let known = issuers.iter().filter(|issuer| issuer.subject == certificate.issuer);
    let known = known.map(|issuer| Issuer { spki: issuer.spki(), certificate: Some(issuer) });
    let anchors = anchors.iter().filter(|anchor| anchor.name == certificate.issuer);
    let anchors =
        anchors.map(|anchor| Issuer { spki: &anchor.spki, certificate: anchor.certificate.as_ref() });
    let signed = |issuer: &Issuer<'_>| {
        matches!(signature::of_certificate(certificate, issuer.spki), Check::Good | Check::Weak)
    };
    known.chain(anchors).filter(signed).collect()
}

/// One authority can have several certificates for its key: one of them that may sign lists will do.
fn answer(crl: &Crl, certificate: &Certificate, issuers: &[Issuer<'_>]) -> Answer {
    if !rules::covers(crl, certificate) {
        return Answer::Unsupported("it is not about this certificate".to_owned());
    }
    let mut answer = Answer::Unsupported("the certificate of its signer is not known".to_owned());
    for issuer in issuers {
        answer = match rules::ask(crl, certificate, issuer) {
            Said::Good => return Answer::Good,
            Said::Revoked(entry) => {
                return Answer::Revoked { since: entry.since.seconds, reason: entry.reason };
            }
            Said::Unsupported(why) => Answer::Unsupported(why),
            Said::Invalid(why) => Answer::Invalid(why.to_owned()),
        };
    }
    answer
}

/// What one list says of the certificates of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condensed {
    /// When it was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this_update: Option<i64>,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update: Option<i64>,
    /// What it says of each certificate that names its URL, by the certificate's SHA-256.
    pub answers: BTreeMap<String, Answer>,
}

/// What a list says of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is not on the list.
    Good,
    /// It is.
    Revoked {
        /// Since when, in seconds since 1970.
        since: Option<i64>,
        /// The reason's number (RFC 5280 section 5.3.1).
        reason: Option<u8>,
    },
    /// The list is of a form that is not judged, or its signer's certificate is not known: why.
    Unsupported(String),
    /// The list breaks a rule, such as that its signature does not hold: why.
    Invalid(String),
}

#[cfg(test)]
mod tests;
