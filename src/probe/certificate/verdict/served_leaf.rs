//! A leaf at one address, with all that handshakes showed beside it.

use std::net::SocketAddr;

use super::judged::JudgedChain;
use super::{Case, Note};
use crate::formats::x509::Certificate;
use crate::model::Finding;
use crate::probe::certificate::facts::{AskedVersions, Der, HostFacts, Shown};
use crate::probe::certificate::judge::Judged;

/// A leaf that an address serves. What one handshake shows and another does not is there all the
/// same: some servers fetch a staple only when they are asked for one.
pub struct ServedLeaf<'c, 'a> {
    /// By which host.
    pub host: &'a HostFacts,
    /// At which address.
    pub address: SocketAddr,
    /// The best opinion of its chain.
    pub judged: &'c Judged,
    /// The leaf.
    pub leaf: &'c Certificate,
    shown: Vec<(&'a Shown, AskedVersions)>,
}

/// Every readable leaf of every address.
pub fn leaves<'c, 'a>(case: &'c Case<'a>) -> Vec<ServedLeaf<'c, 'a>> {
    let mut leaves: Vec<ServedLeaf<'c, 'a>> = Vec::new();
    for chain in &case.judged {
        let JudgedChain { host, address, view, .. } = *chain;
        let Some(shown) = &view.shown else { continue };
        let judged = chain.best();
        let Some(leaf) = judged.chain.first().map(|link| &link.certificate) else { continue };
        let same = |served: &&mut ServedLeaf<'c, 'a>| {
            served.address == address && std::ptr::eq(served.host, host) && served.leaf.sha256 == leaf.sha256
        };
        match leaves.iter_mut().find(same) {
            Some(served) => served.shown.push((shown, view.versions)),
            None => {
                leaves.push(ServedLeaf { host, address, judged, leaf, shown: vec![(shown, view.versions)] })
            }
        }
    }
    leaves
}

impl<'a> ServedLeaf<'_, 'a> {
    /// The chains that were sent with it, leaf first, each once; what cannot be read is left out.
    pub fn sent(&self, case: &Case<'_>) -> Vec<Vec<Certificate>> {
        let mut chains: Vec<&Vec<String>> = self.shown.iter().map(|(shown, _)| &shown.chain).collect();
        chains.sort_unstable();
        chains.dedup();
        let read =
            |chain: &Vec<String>| chain.iter().filter_map(|key| case.certificate(key).cloned()).collect();
        chains.into_iter().map(read).collect()
    }

    /// The staples that came with it, each once.
    pub fn staples(&self) -> Vec<&'a [u8]> {
        self.distinct(|shown| shown.staple.as_ref())
    }

    /// The timestamp lists that came by the TLS extension, each once.
    pub fn timestamps(&self) -> Vec<&'a [u8]> {
        self.distinct(|shown| shown.timestamps.as_ref())
    }

    fn distinct(&self, of: impl Fn(&'a Shown) -> Option<&'a Der>) -> Vec<&'a [u8]> {
        let some = self.shown.iter().filter_map(|(shown, _)| of(shown)).map(|der| der.0.as_slice());
        let mut all: Vec<&[u8]> = some.filter(|bytes| !bytes.is_empty()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether a handshake was made in which a staple would have been seen: not the prober's, which
    /// goes no further than it must to see the chain.
    pub fn staple_was_asked_for(&self) -> bool {
        self.shown.iter().any(|(_, versions)| *versions != AskedVersions::Old)
    }

    /// Whether a handshake was made in which timestamps of the TLS extension would have been seen: the
    /// TLS library does not ask for them.
    pub fn timestamps_were_asked_for(&self) -> bool {
        self.shown
            .iter()
            .any(|(shown, versions)| *versions == AskedVersions::Old || shown.timestamps.is_some())
    }

    /// A note about it.
    pub fn note(&self, finding: Finding) -> Note<'a> {
        Note { host: self.host, address: Some(self.address), finding }
    }
}
