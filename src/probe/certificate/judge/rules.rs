//! What RFC 5280 section 6.1 asks of a path, each rule for itself.

use super::constraints;
use super::docs;
use super::fault::Fault;
use super::path::Path;
use super::policy;
use super::signature::Check;
use super::{Purpose, Question};
use crate::formats::x509::{Certificate, Hash};

type Rule = fn(&Path<'_>, &Question<'_>) -> Vec<Fault>;

const RULES: &[Rule] = &[
    |path, question| validity(path, question.at),
    |path, _| signatures(path),
    |path, _| authorities(path),
    |path, _| path_lengths(path),
    |path, question| depth(path, question.max_depth),
    |path, question| purposes(path, question.purpose),
    |path, _| critical_extensions(path),
    |path, _| constraints::violated(path),
    |path, _| policy::violated(path).into_iter().collect(),
];

/// All that is wrong with a path, whole or not.
pub fn faults(path: &Path<'_>, question: &Question<'_>) -> Vec<Fault> {
    RULES.iter().flat_map(|rule| rule(path, question)).collect()
}

/// Section 4.1.2.5: both ends are included.
fn validity(path: &Path<'_>, at: i64) -> Vec<Fault> {
    let root = path.root_position();
    let of = |(position, certificate): (usize, &Certificate)| {
        let (from, until) = (&certificate.not_before, &certificate.not_after);
        let early = from.seconds.is_some_and(|from| at < from);
        let late = until.seconds.is_some_and(|until| at > until);
        let (doc, summary) = match (early, late) {
            (_, true) => (&docs::EXPIRED, format!("expired {} ago, at {until}", span(at, until.seconds))),
            (true, false) => (
                &docs::NOT_YET_VALID,
                format!("is not valid before {from}, in {}", span(from.seconds.unwrap_or(at), Some(at))),
            ),
            (false, false) => return None,
        };
        let doc = if root == Some(position) { &docs::ROOT_EXPIRED } else { doc };
        Some(Fault::strict(doc, position, summary))
    };
    path.with_root().into_iter().enumerate().filter_map(of).collect()
}

/// The time between two instants in the largest fitting unit.
pub fn span(later: i64, earlier: Option<i64>) -> String {
    let seconds = later.saturating_sub(earlier.unwrap_or(later)).max(0);
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The hash is told first: it is the reason why such a signature is refused.
fn signatures(path: &Path<'_>) -> Vec<Fault> {
    let of = |(position, certificate): (usize, &&Certificate)| {
        let name = &certificate.signature.name;
        let check = path.signatures.get(position);
        match (certificate.signature.hash, check) {
            (_, Some(Check::Bad)) => {
                Some(Fault::strict(&docs::SIGNATURE, position, "its signature does not hold"))
            }
            (Some(Hash::Md2 | Hash::Md5 | Hash::Sha1), _) => Some(Fault::strict(
                &docs::SIGNATURE_WEAK,
                position,
                format!("is signed by {name}, which can be forged"),
            )),
            (_, Some(Check::Weak)) => {
                let summary = "is signed by a key that is too short for clients";
                Some(Fault::strict(&docs::SIGNATURE_UNSUPPORTED, position, summary))
            }
            (_, Some(Check::Unsupported)) | (Some(Hash::Sha224), _) => {
                let summary = format!("is signed in a way that clients refuse: {name}");
                Some(Fault::strict(&docs::SIGNATURE_UNSUPPORTED, position, summary))
            }
            _ => None,
        }
    };
    path.certificates.iter().enumerate().filter_map(of).collect()
}

/// Section 6.1.4 (k) and (n), for the root too where its certificate is there.
fn authorities(path: &Path<'_>) -> Vec<Fault> {
    let of = |(position, certificate): (usize, &Certificate)| {
        let summary = if !certificate.is_ca() {
            "it may not issue certificates: it lacks basic constraints with CA:TRUE"
        } else if certificate.extensions.key_usage.is_some_and(|usage| !usage.cert_sign()) {
            "it may not issue certificates: its key usage lacks keyCertSign"
        } else {
            return None;
        };
        Some(Fault::strict(&docs::NOT_A_CA, position, summary))
    };
    path.with_root().into_iter().enumerate().skip(1).filter_map(of).collect()
}

/// Section 6.1.4 (l) and (m): self-issued certificates do not count.
fn path_lengths(path: &Path<'_>) -> Vec<Fault> {
    let all = path.with_root();
    let mut faults = Vec::new();
    let mut below = 0;
    for (position, certificate) in all.iter().enumerate().skip(1) {
        let allowed = certificate.extensions.basic.and_then(|basic| basic.path_len);
        if let Some(allowed) = allowed.filter(|allowed| below > *allowed) {
            let summary = format!("{below} intermediate certificates stand below it, {allowed} may");
            faults.push(Fault::strict(&docs::PATH_LENGTH, position, summary));
        }
        below += u32::from(!certificate.self_issued);
    }
    faults
}

fn depth(path: &Path<'_>, most: Option<usize>) -> Vec<Fault> {
    let depth = path.certificates.iter().skip(1).filter(|certificate| !certificate.self_issued).count();
    let too_deep = most.filter(|most| depth > *most);
    let fault = |most| {
        Fault::strict(
            &docs::PATH_LENGTH,
            None,
            format!("the chain has {depth} intermediate certificates, at most {most} were asked for"),
        )
    };
    too_deep.map(fault).into_iter().collect()
}

/// The identifier of "any extended key usage".
pub const ANY_USAGE: &str = "2.5.29.37.0";

/// Section 4.2.1.12; above the leaf it narrows, as browsers and the baseline requirements have it.
fn purposes(path: &Path<'_>, purpose: Purpose) -> Vec<Fault> {
    let of = |(position, certificate): (usize, &&Certificate)| {
        let usages = certificate.extensions.eku.as_ref()?;
        let allows = |usage: &String| usage == purpose.oid() || usage == ANY_USAGE;
        let summary = || format!("its extended key usage does not allow {}", purpose.word());
        (!usages.iter().any(allows)).then(|| Fault::strict(&docs::PURPOSE, position, summary()))
    };
    path.certificates.iter().enumerate().filter_map(of).collect()
}

fn critical_extensions(path: &Path<'_>) -> Vec<Fault> {
    let of = |(position, certificate): (usize, &Certificate)| {
        let unknown: Vec<&str> = certificate.unknown_critical().take(8).collect();
        let summary = || format!("nobody knows its critical extension {}", unknown.join(", "));
        (!unknown.is_empty()).then(|| Fault::strict(&docs::CRITICAL_EXTENSION, position, summary()))
    };
    path.with_root().into_iter().enumerate().filter_map(of).collect()
}
