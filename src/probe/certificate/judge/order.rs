//! What is sent and in which order (RFC 8446 section 4.4.2). None of it stops a client that builds
//! paths.

use super::docs;
use super::fault::Fault;
use super::path::Path;
use crate::formats::x509::Certificate;

/// At most this many certificates are named.
const NAMED: usize = 5;

/// Remarks on what was sent after the leaf.
pub fn faults(leaf: &Certificate, sent: &[Certificate], path: &Path<'_>) -> Vec<Fault> {
    let mut seen = vec![leaf.sha256.as_str()];
    let (mut twice, mut roots, mut extra, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for certificate in sent {
        if seen.contains(&certificate.sha256.as_str()) {
            twice.push(certificate);
            continue;
        }
        seen.push(&certificate.sha256);
        let place = path.certificates.iter().position(|used| used.sha256 == certificate.sha256);
        match place {
            Some(place) => places.push(place),
            None if is_root(certificate) => roots.push(certificate),
            None => extra.push(certificate),
        }
    }
    let list = |doc, which: &[&Certificate], words: &str| {
        let summary = || format!("{words}: {}", named(which));
        (!which.is_empty()).then(|| Fault::note(doc, None, summary()))
    };
    let disordered = !places.is_sorted();
    let order = || {
        Fault::note(
            &docs::ORDER,
            None,
            "the certificates are not in the order in which each is signed by the next",
        )
    };
    [
        disordered.then(order),
        list(&docs::DUPLICATE, &twice, "sent more than once"),
        list(&docs::ROOT_SENT, &roots, "a root is sent"),
        // Without a trusted end there is no telling what is needed.
        path.anchor.and_then(|_| list(&docs::EXTRA, &extra, "not needed for the chain")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn is_root(certificate: &Certificate) -> bool {
    certificate.self_issued && certificate.is_ca()
}

fn named(which: &[&Certificate]) -> String {
    let mut names: Vec<String> =
        which.iter().take(NAMED).map(|certificate| certificate.short_name()).collect();
    if which.len() > NAMED {
        names.push(format!("{} more", which.len() - NAMED));
    }
    names.join(", ")
}
