//! What each address accepts: many connections, and so made seldom, and after everything else.

use futures_util::FutureExt as _;
use jiff::SignedDuration;

use super::hosts::Target;
use super::views::Seen;
use super::{Look, some_at_once};
use crate::net::{Origin, ScanOptions, TlsTarget};
use crate::probe::certificate::facts::Endpoint;
use crate::probe::certificate::memory::endpoint_key;
use crate::probe::certificate::posture::Posture;
use crate::probe::certificate::spec::Profile;

/// So many addresses are scanned at a time.
const AT_ONCE: usize = 4;

/// Puts the posture of each address into its facts: that of a scan, or the one remembered.
pub(super) async fn postures(look: &Look<'_>, targets: &[Target], seen: &mut [Seen]) {
    if look.spec.profile == Profile::Off {
        return;
    }
    let mut endpoints = seen.iter_mut().map(|seen| &mut seen.endpoint);
    let mut scans = Vec::new();
    for target in targets {
        for endpoint in endpoints.by_ref().take(target.addresses.len()) {
            scans.push(one(look, target, endpoint).boxed());
        }
    }
    some_at_once(scans, AT_ONCE).await;
}

async fn one(look: &Look<'_>, target: &Target, endpoint: &mut Endpoint) {
    let key = endpoint_key(&target.facts.subject(), endpoint.address);
    let remembered = look.memory.postures.get(&key);
    let spoke = endpoint.views.iter().any(|view| view.shown.is_some());
    endpoint.posture = if spoke && remembered.is_none_or(|posture| is_due(look, posture)) {
        scanned(look, target, endpoint).await.or_else(|| remembered.cloned())
    } else {
        remembered.cloned()
    };
}

fn is_due(look: &Look<'_>, posture: &Posture) -> bool {
    let age = look.ctx.at.duration_since(posture.at);
    // A clock that was set back makes everything due.
    age < SignedDuration::ZERO || age.unsigned_abs() >= look.spec.scan_every.0
}

/// `None` where it could not be done, or not in time.
async fn scanned(look: &Look<'_>, target: &Target, endpoint: &Endpoint) -> Option<Posture> {
    let patience = look.patience()?;
    let to = TlsTarget {
        host: target.facts.host.clone(),
        address: endpoint.address,
        origin: Origin::Portal { private: look.ctx.scope.portal.private },
        server_name: target.facts.server_name.clone(),
        starttls: target.starttls,
        timeout: patience.timeout,
    };
    let scan = look.ctx.net.scan_tls(&to, ScanOptions::default());
    let scan = tokio::time::timeout(look.left(), scan).await.ok()?;
    Some(Posture::of(&scan.ok()?, look.ctx.at))
}
