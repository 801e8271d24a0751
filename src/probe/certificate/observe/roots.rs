//! What is trusted beside Mozilla's store: the roots of `ca_file`, and those of the system that the
//! chains seen may end at.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::Look;
use crate::formats::x509::{Certificate, Name, pem};
use crate::net::system_roots;
use crate::probe::certificate::facts::Facts;

/// Keeps the certificates of `ca_file`.
pub(super) fn trusted(look: &Look<'_>, facts: &mut Facts) {
    let Some(text) = &look.ctx.scope.tls.ca_pem else { return };
    // That the text can be read is validated with the settings.
    let blocks = pem::blocks(text).unwrap_or_default();
    let ders = blocks.into_iter().filter(|block| block.label.ends_with("CERTIFICATE"));
    facts.trusted = look.store.keep_all(ders.map(|block| block.bytes));
}

/// Keeps the system's roots that issued something seen, by their names.
pub(super) fn platform(facts: &mut Facts) {
    static ROOTS: LazyLock<Vec<Certificate>> =
        LazyLock::new(|| system_roots().iter().filter_map(|der| Certificate::parse(der).ok()).collect());
    if ROOTS.is_empty() {
        return;
    }
    let seen = facts.parsed();
    let issuers: Vec<Name> = seen.values().flatten().map(|certificate| certificate.issuer.clone()).collect();
    let fits = |root: &&Certificate| issuers.contains(&root.subject);
    let keys: BTreeSet<String> =
        ROOTS.iter().filter(fits).map(|root| facts.keep(root.der().to_vec())).collect();
    facts.platform = Some(keys.into_iter().collect());
}
