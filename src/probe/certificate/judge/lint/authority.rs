//! What only an authority's certificate can have wrong.

use super::super::constraints;
use super::super::docs;
use super::super::fault::Fault;
use super::{Role, Seen};
use crate::formats::x509::oid;
use crate::model::Severity;

/// RFC 5280 section 4.2.1.2.
pub fn subject_key(seen: &Seen<'_>) -> Option<Fault> {
    let missing = seen.is_authority() && seen.certificate.extensions.critical(oid::SKI).is_none();
    missing.then(|| Fault::strict(&docs::SUBJECT_KEY, seen.position, "has no subject key identifier"))
}

/// RFC 5280 section 4.2.1.3, BR 7.1.2.1.2 and 7.1.2.10.6. Without a key usage everything is allowed:
/// a fault of who issued it that validation does not punish.
pub fn usage(seen: &Seen<'_>) -> Option<Fault> {
    if !seen.is_authority() {
        return None;
    }
    let extensions = &seen.certificate.extensions;
    if seen.role == Role::Root && extensions.critical(oid::EKU).is_some() {
        return Some(Fault::strict(&docs::USAGE, seen.position, "is a root with an extended key usage"));
    }
    let missing = extensions.critical(oid::KEY_USAGE).is_none();
    let fault = || Fault::note(&docs::USAGE, seen.position, "is an authority without key usage");
    missing.then(|| Fault { severity: Severity::Notice, ..fault() })
}

/// RFC 5280 section 4.2.1.10.
pub fn name_constraints(seen: &Seen<'_>) -> Option<Fault> {
    let constraints = seen.certificate.extensions.name_constraints.as_ref()?;
    let why = constraints::malformed(constraints)?;
    let fault =
        Fault::strict(&docs::MALFORMED, seen.position, format!("a name constraint is malformed: {why}"));
    seen.is_authority().then_some(fault)
}
