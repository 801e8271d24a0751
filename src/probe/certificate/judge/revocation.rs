//! Revocation by lists that were given (RFC 5280 section 6.3.3). A list of a form that is not judged
//! here says nothing; one that breaks a rule, or is stale, leaves a strict client without an answer.

use super::docs;
use super::fault::Fault;
use super::path::Path;
use super::signature::{self, Check};
use crate::formats::x509::crl::Scope;
use crate::formats::x509::{Certificate, Crl};

/// Who signed the list, as far as it is known.
struct Issuer<'a> {
    spki: &'a [u8],
    certificate: Option<&'a Certificate>,
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
        if let Some(why) = unsupported(crl) {
            troubles.push(Fault::unmeasured(
                &docs::CRL_UNSUPPORTED,
                position,
                format!("its authority's revocation list is not judged: {why}"),
            ));
            continue;
        }
        if let Some(why) = invalid(crl, issuer) {
            troubles.push(Fault::strict(
                &docs::CRL_INVALID,
                position,
                format!("its authority's revocation list cannot be used: {why}"),
            ));
            continue;
        }
        if let Some(entry) = crl.entry(certificate.serial_bytes()) {
            let reason = entry.reason.map(|reason| format!(" ({})", reason_word(reason))).unwrap_or_default();
            let summary = format!("is revoked since {}{reason}", entry.since);
            return vec![Fault::strict(&docs::REVOKED, position, summary)];
        }
        match stale(crl, at) {
            Some(why) => troubles.push(Fault::strict(
                &docs::CRL_STALE,
                position,
                format!("its authority's revocation list {why}"),
            )),
            None => known = true,
        }
    }
    if known { Vec::new() } else { troubles }
}

fn covers(crl: &Crl, certificate: &Certificate) -> bool {
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

fn stale(crl: &Crl, at: i64) -> Option<String> {
    if crl.this_update.seconds.is_none_or(|made| at < made) {
        return Some(format!("is not valid before {}", crl.this_update));
    }
    match &crl.next_update {
        None => Some("does not say when the next one is due".to_owned()),
        Some(due) if due.seconds.is_none_or(|due| at > due) => Some(format!("was to be replaced by {due}")),
        Some(_) => None,
    }
}

/// Section 5.3.1.
fn reason_word(reason: u8) -> &'static str {
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
