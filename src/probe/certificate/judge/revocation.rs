//! Revocation by lists (RFC 5280 section 6.3.3): those that were given, and the rules for those that
//! were fetched. A list of a form that is not judged
//! here says nothing; one that breaks a rule, or is stale, leaves a strict client without an answer.

use super::docs;
use super::fault::Fault;
use super::path::Path;
use super::signature::{self, Check};
use crate::formats::x509::crl::{Revoked, Scope};
use crate::formats::x509::{Certificate, Crl, Moment};

/// Who issued a certificate, and so signs the lists about it.
#[derive(Clone, Copy, Debug)]
pub struct Issuer<'a> {
    /// The key, with its algorithm.
    pub spki: &'a [u8],
    /// The certificate, where it is known.
    pub certificate: Option<&'a Certificate>,
}

/// What a list says of one certificate, whatever the time.
#[derive(Clone, Debug)]
pub enum Said<'a> {
    /// It is not on the list.
    Good,
    /// It is.
    Revoked(&'a Revoked),
    /// The list is of a form that is not judged: why.
    Unsupported(String),
    /// The list breaks a rule: which.
    Invalid(&'static str),
}

/// What the lists say of the certificates of a path.
pub fn faults(path: &Path<'_>, crls: &[Crl], at: i64) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (position, certificate) in path.certificates.iter().enumerate() {
        if let Some(issuer) = issuer(path, position) {
            faults.extend(of_certificate(certificate, position, &issuer, crls, at));
        }
    }
    faults
}

fn issuer<'a>(path: &Path<'a>, position: usize) -> Option<Issuer<'a>> {
    if let Some(above) = path.certificates.get(position + 1) {
        return Some(Issuer { spki: above.spki(), certificate: Some(above) });
    }
    let anchor = path.anchor?;
    Some(Issuer { spki: &anchor.spki, certificate: anchor.certificate.as_ref() })
}

fn of_certificate(
    certificate: &Certificate,
    position: usize,
    issuer: &Issuer<'_>,
    crls: &[Crl],
    at: i64,
) -> Vec<Fault> {
    let mut troubles = Vec::new();
    let mut known = false;
    for crl in crls.iter().filter(|crl| covers(crl, certificate)) {
        match ask(crl, certificate, issuer) {
            Said::Unsupported(why) => troubles.push(Fault::unmeasured(
                &docs::CRL_UNSUPPORTED,
                position,
                format!("its authority's revocation list is not judged: {why}"),
            )),
            Said::Invalid(why) => troubles.push(Fault::strict(
                &docs::CRL_INVALID,
                position,
                format!("its authority's revocation list cannot be used: {why}"),
            )),
            Said::Revoked(entry) => {
                let summary = revoked_words(entry.since.seconds, entry.reason);
                return vec![Fault::strict(&docs::REVOKED, position, summary)];
            }
            Said::Good => {
                match stale(crl.this_update.seconds, crl.next_update.as_ref().and_then(|due| due.seconds), at)
                {
                    Some(why) => troubles.push(Fault::strict(
                        &docs::CRL_STALE,
                        position,
                        format!("its authority's revocation list {why}"),
                    )),
                    None => known = true,
                }
            }
        }
    }
    if known { Vec::new() } else { troubles }
}

/// What a list that covers a certificate says of it, by the authority that issued it.
pub fn ask<'a>(crl: &'a Crl, certificate: &Certificate, issuer: &Issuer<'_>) -> Said<'a> {
    if let Some(why) = unsupported(crl) {
        return Said::Unsupported(why);
    }
    if let Some(why) = invalid(crl, issuer) {
        return Said::Invalid(why);
    }
    crl.entry(certificate.serial_bytes()).map_or(Said::Good, Said::Revoked)
}

/// How a revocation reads after the certificate's name.
pub fn revoked_words(since: Option<i64>, reason: Option<u8>) -> String {
    let reason = reason.map(|reason| format!(" ({})", reason_word(reason))).unwrap_or_default();
    match since {
        Some(since) => format!("is revoked since {}{reason}", Moment::at(since)),
        None => format!("is revoked{reason}"),
    }
}

/// Whether a list covers a certificate (RFC 5280 section 6.3.3 (b)).
pub fn covers(crl: &Crl, certificate: &Certificate) -> bool {
    let scope = match crl.scope {
        Scope::All => true,
        Scope::Users => !certificate.is_ca(),
        Scope::Authorities => certificate.is_ca(),
        Scope::Neither => false,
    };
    let named =
        |places: &Vec<String>| places.iter().any(|place| certificate.extensions.crl_urls.contains(place));
    scope && crl.issuer == certificate.issuer && crl.places.as_ref().is_none_or(named)
}

fn unsupported(crl: &Crl) -> Option<String> {
    let unknown =
        || crl.unknown_critical.first().map(|oid| format!("its critical extension {oid} is unknown"));
    crl.unsupported.map(str::to_owned).or_else(unknown)
}

fn invalid(crl: &Crl, issuer: &Issuer<'_>) -> Option<&'static str> {
    let usage = issuer.certificate.and_then(|certificate| certificate.extensions.key_usage);
    match signature::of_crl(crl, issuer.spki) {
        Check::Good => {}
        Check::Bad => return Some("its signature does not hold"),
        Check::Weak | Check::Unsupported => return Some("its signature is of a kind that clients refuse"),
    }
    if !crl.algorithms_agree {
        return Some("it names its signature's algorithm in two ways");
    }
    if usage.is_some_and(|usage| !usage.crl_sign()) {
        return Some("its signer's key usage lacks cRLSign");
    }
    match crl.number_critical {
        None => Some("it has no CRL number"),
        Some(true) => Some("its CRL number is critical"),
        Some(false) => None,
    }
}

/// Why a list is not current at an instant, all in seconds since 1970: what follows "the list".
pub fn stale(made: Option<i64>, due: Option<i64>, at: i64) -> Option<String> {
    let Some(made) = made else { return Some("does not say when it was made".to_owned()) };
    if at < made {
        return Some(format!("is not valid before {}", Moment::at(made)));
    }
    match due {
        None => Some("does not say when the next one is due".to_owned()),
        Some(due) if at > due => Some(format!("was to be replaced by {}", Moment::at(due))),
        Some(_) => None,
    }
}

/// Section 5.3.1.
pub fn reason_word(reason: u8) -> &'static str {
    match reason {
        1 => "key compromise",
        2 => "compromise of the authority",
        3 => "affiliation changed",
        4 => "superseded",
        5 => "cessation of operation",
        6 => "on hold",
        9 => "privilege withdrawn",
        10 => "compromise of the attribute authority",
        _ => "no reason given",
    }
}
