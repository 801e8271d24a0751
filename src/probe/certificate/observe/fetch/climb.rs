//! From each leaf upwards, as far as certificates are at hand.

use std::collections::BTreeSet;

use crate::formats::x509::Certificate;
use crate::probe::certificate::facts::Facts;
use crate::probe::certificate::judge::Anchors;
use crate::probe::certificate::judge::signature::{self, Check};

/// No chain is longer that anybody uses.
const LONGEST: usize = 16;

/// A chain as far as it leads.
pub(super) struct Climbed {
    /// The leaf and those above it.
    pub(super) certificates: Vec<Certificate>,
    /// Whether a trusted root issued the last.
    pub(super) whole: bool,
}

/// Every distinct chain that was shown to a handshake that asked for the name.
pub(super) fn all(facts: &Facts, anchors: &Anchors) -> Vec<Climbed> {
    let mut chains: BTreeSet<&[String]> = BTreeSet::new();
    for host in &facts.hosts {
        let views = host.endpoints.iter().flat_map(|endpoint| &endpoint.views);
        let shown = views.filter(|view| host.asked_fully(view)).filter_map(|view| view.shown.as_ref());
        chains.extend(shown.map(|shown| shown.chain.as_slice()));
    }
    let read = |key: &String| facts.certificates.get(key)?.read();
    let fetched: Vec<Certificate> =
        facts.issuers.values().flat_map(|issuer| &issuer.certificates).filter_map(read).collect();
    let climbed = |chain: &[String]| {
        let leaf = read(chain.first()?)?;
        let mut pool: Vec<Certificate> = chain.iter().skip(1).filter_map(read).collect();
        pool.extend(fetched.iter().cloned());
        Some(climb(leaf, &pool, anchors))
    };
    chains.into_iter().filter_map(climbed).collect()
}

fn climb(leaf: Certificate, pool: &[Certificate], anchors: &Anchors) -> Climbed {
    let mut certificates = vec![leaf];
    while certificates.len() < LONGEST {
        let Some(last) = certificates.last() else { break };
        if anchors.iter().any(|root| root.name == last.issuer && signed(last, &root.spki)) {
            return Climbed { certificates, whole: true };
        }
        let unused = |issuer: &&Certificate| certificates.iter().all(|own| own.sha256 != issuer.sha256);
        let issued = |issuer: &&Certificate| issuer.subject == last.issuer && signed(last, issuer.spki());
        let Some(issuer) = pool.iter().filter(unused).find(issued) else { break };
        certificates.push(issuer.clone());
    }
    Climbed { certificates, whole: false }
}

fn signed(certificate: &Certificate, spki: &[u8]) -> bool {
    signature::of_certificate(certificate, spki) != Check::Bad
}
