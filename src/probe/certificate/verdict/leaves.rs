//! Which leaf each address shows, told apart by kind of key: what servers with two certificates, one
//! for each kind, are compared by.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Case;
use crate::formats::x509::{Certificate, KeyKind};
use crate::probe::certificate::facts::{HostFacts, View};

/// One leaf at one address, as many handshakes as showed it.
#[derive(Clone, Copy)]
pub struct Leaf<'c> {
    /// Where.
    pub address: SocketAddr,
    /// The leaf.
    pub certificate: &'c Certificate,
    /// The first handshake that showed it.
    pub view: &'c View,
}

/// The leaves that those get who ask for the host's name, by kind of key, each once for each address,
/// in the order of the addresses.
pub fn of_host<'c>(case: &'c Case<'_>, host: &'c HostFacts) -> BTreeMap<&'static str, Vec<Leaf<'c>>> {
    let mut found: BTreeMap<&'static str, Vec<Leaf<'c>>> = BTreeMap::new();
    for endpoint in &host.endpoints {
        for view in endpoint.views.iter().filter(|view| host.asked_fully(view)) {
            let Some(certificate) = leaf(case, view) else { continue };
            let leaves = found.entry(kind(certificate)).or_default();
            let known = |leaf: &Leaf<'_>| {
                leaf.address == endpoint.address && leaf.certificate.sha256 == certificate.sha256
            };
            if !leaves.iter().any(known) {
                leaves.push(Leaf { address: endpoint.address, certificate, view });
            }
        }
    }
    for leaves in found.values_mut() {
        leaves.sort_by_key(|leaf| leaf.address);
    }
    found
}

/// The leaf that a handshake showed, if it can be read.
pub fn leaf<'c>(case: &'c Case<'_>, view: &View) -> Option<&'c Certificate> {
    case.certificate(view.shown.as_ref()?.chain.first()?)
}

/// Whether common clients accept what a handshake showed; `None` where that was not judged.
pub fn is_accepted(case: &Case<'_>, view: &View) -> Option<bool> {
    let chain = case.judged.iter().find(|chain| std::ptr::eq(chain.view, view))?;
    Some(chain.judged.browser.accepts)
}

/// The kind of a certificate's key, as labels and people name it.
pub const fn kind(certificate: &Certificate) -> &'static str {
    match certificate.key.algorithm {
        KeyKind::Rsa => "rsa",
        KeyKind::Ecdsa => "ecdsa",
        KeyKind::Ed25519 => "ed25519",
        KeyKind::Ed448 => "ed448",
        KeyKind::Dsa => "dsa",
        KeyKind::Other => "other",
    }
}

/// What a finding about a leaf is about: the kind of key is named where the host has leaves of several.
pub fn part(kind: &str, kinds: usize) -> String {
    if kinds > 1 { format!("leaf ({})", spoken(kind)) } else { "leaf".to_owned() }
}

/// A kind of key in a sentence.
pub fn spoken(kind: &str) -> &str {
    match kind {
        "rsa" => "RSA",
        "ecdsa" => "ECDSA",
        "ed25519" => "Ed25519",
        "ed448" => "Ed448",
        "dsa" => "DSA",
        _ => "another kind of key",
    }
}
