//! A stapled OCSP response, judged (RFC 6960 sections 3.2 and 4.2.2).

use aws_lc_rs::digest::{self, digest};

use super::revocation::Issuer;
use super::signature::{self, Check};
use crate::formats::x509::ocsp::{Basic, CertificateId, Responder, Response, Single, Status};
use crate::formats::x509::{Certificate, Moment, spki_parts};

/// What a staple comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// The certificate is not revoked.
    Good,
    /// It is.
    Revoked {
        /// Since when, in seconds since 1970.
        since: Option<i64>,
        /// The reason's number (RFC 5280 section 5.3.1).
        reason: Option<u8>,
    },
    /// The responder does not know the certificate.
    Unknown,
    /// The staple cannot be used: what kind of trouble, and what follows "the stapled response".
    Bad(Trouble, String),
}

/// Why a staple cannot be used. Kept apart as Firefox does, which lets some pass and refuses the
/// connection for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be read, or breaks a rule.
    Malformed,
    /// It is an error of the responder's.
    Refused,
    /// It is about another certificate.
    Other,
    /// Its signature does not hold.
    Signature,
    /// Who signed it may not.
    Unauthorized,
    /// It is not valid yet.
    Early,
    /// It is no longer valid.
    Late,
}

/// What clocks may differ by.
const SKEW: i64 = 300;
/// How long a response holds that does not say when the next one is due: newer ones can be had at any
/// time (section 4.2.2.1).
const WITHOUT_END: i64 = 86_400;
/// The extended key usage of a responder that its authority appointed (section 4.2.2.2).
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";

/// Judges a staple by the issuer of the certificate that it came with.
pub fn weigh(staple: &[u8], leaf: &Certificate, issuer: &Issuer<'_>, at: i64) -> Opinion {
    match Response::parse(staple) {
        Err(why) => Opinion::Bad(Trouble::Malformed, format!("cannot be read: {why}")),
        Ok(Response::Refused(status)) => {
            Opinion::Bad(Trouble::Refused, format!("is an error of the responder: {}", refusal(status)))
        }
        Ok(Response::Answered(basic)) => {
            answered(&basic, leaf, issuer, at).unwrap_or_else(|(trouble, why)| Opinion::Bad(trouble, why))
        }
    }
}

type Refusal = (Trouble, String);

fn answered(basic: &Basic, leaf: &Certificate, issuer: &Issuer<'_>, at: i64) -> Result<Opinion, Refusal> {
    let single = basic.singles.iter().find(|single| names(&single.certificate, leaf, issuer));
    let single = single.ok_or_else(|| (Trouble::Other, "is about another certificate".to_owned()))?;
    signed(basic, leaf, issuer, at)?;
    if let Some(oid) = basic.unknown_critical.first() {
        return Err((Trouble::Malformed, format!("has a critical extension {oid} that nobody knows")));
    }
    // Revoked stays revoked, however old the news.
    if let Status::Revoked { since, reason } = &single.status {
        return Ok(Opinion::Revoked { since: since.seconds, reason: *reason });
    }
    current(single, at)?;
    Ok(if single.status == Status::Good { Opinion::Good } else { Opinion::Unknown })
}

/// Section 4.2.1.
const fn refusal(status: u8) -> &'static str {
    match status {
        1 => "malformed request",
        2 => "internal error",
        3 => "try later",
        5 => "a signature is required",
        6 => "unauthorized",
        _ => "an unknown status",
    }
}

/// Section 4.1.1.
fn names(id: &CertificateId, leaf: &Certificate, issuer: &Issuer<'_>) -> bool {
    let algorithm = match id.hash.as_str() {
        "1.3.14.3.2.26" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "2.16.840.1.101.3.4.2.1" => &digest::SHA256,
        "2.16.840.1.101.3.4.2.2" => &digest::SHA384,
        "2.16.840.1.101.3.4.2.3" => &digest::SHA512,
        _ => return false,
    };
    let is = |hash: &[u8], of: &[u8]| digest(algorithm, of).as_ref() == hash;
    *id.serial == *leaf.serial_bytes()
        && is(&id.issuer_name, leaf.issuer.der())
        && spki_parts(issuer.spki).is_ok_and(|(_, key)| is(&id.issuer_key, key))
}

/// Section 4.2.2.2: by the issuer itself, or by whom it appointed.
fn signed(basic: &Basic, leaf: &Certificate, issuer: &Issuer<'_>, at: i64) -> Result<(), Refusal> {
    let by_issuer = match &basic.responder {
        Responder::Name(name) => *name == leaf.issuer,
        Responder::Key(hash) => is_key(hash, issuer.spki),
    };
    if by_issuer {
        return holds(basic, issuer.spki);
    }
    let named = |certificate: &&Certificate| match &basic.responder {
        Responder::Name(name) => *name == certificate.subject,
        Responder::Key(hash) => is_key(hash, certificate.spki()),
    };
    let Some(responder) = basic.certificates.iter().find(named) else {
        let why = "is signed neither by the issuer nor by whom a certificate in it names";
        return Err((Trouble::Unauthorized, why.to_owned()));
    };
    appointed(responder, leaf, issuer, at)
        .map_err(|why| (Trouble::Unauthorized, format!("is signed by {}, {why}", responder.subject)))?;
    holds(basic, responder.spki())
}

fn is_key(hash: &[u8], spki: &[u8]) -> bool {
    spki_parts(spki).is_ok_and(|(_, key)| digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key).as_ref() == hash)
}

fn appointed(
    responder: &Certificate,
    leaf: &Certificate,
    issuer: &Issuer<'_>,
    at: i64,
) -> Result<(), &'static str> {
    let signs = |usages: &Vec<String>| usages.iter().any(|usage| usage == OCSP_SIGNING);
    let valid = responder.not_before.seconds.is_some_and(|from| from <= at)
        && responder.not_after.seconds.is_some_and(|until| at <= until);
    if responder.issuer != leaf.issuer || signature::of_certificate(responder, issuer.spki) != Check::Good {
        Err("whom the issuer did not appoint")
    } else if !responder.extensions.eku.as_ref().is_some_and(signs) {
        Err("whose certificate is not for signing OCSP responses")
    } else if !valid {
        Err("whose certificate is outside its validity")
    } else {
        Ok(())
    }
}

fn holds(basic: &Basic, spki: &[u8]) -> Result<(), Refusal> {
    match signature::of_ocsp(basic, spki) {
        Check::Good => Ok(()),
        Check::Bad => Err((Trouble::Signature, "has a signature that does not hold".to_owned())),
        Check::Weak | Check::Unsupported => {
            Err((Trouble::Signature, "has a signature of a kind that clients refuse".to_owned()))
        }
    }
}

fn current(single: &Single, at: i64) -> Result<(), Refusal> {
    let malformed = |what: &str| (Trouble::Malformed, format!("does not say {what}"));
    let from = single.this_update.seconds.ok_or_else(|| malformed("from when on it holds"))?;
    let until = match &single.next_update {
        Some(due) => due.seconds.ok_or_else(|| malformed("until when it holds"))?,
        None => from.saturating_add(WITHOUT_END),
    };
    if at.saturating_add(SKEW) < from {
        Err((Trouble::Early, format!("holds only from {} on", single.this_update)))
    } else if at > until {
        Err((Trouble::Late, format!("held only until {}", Moment::at(until))))
    } else {
        Ok(())
    }
}

#[cfg(test)]
pub(in crate::probe::certificate) mod tests;
