//! Which addresses are looked at.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::{AT_ONCE, Look, out_of_time, some_at_once};
use crate::formats::starttls::Protocol;
use crate::model::Host;
use crate::probe::certificate::facts::HostFacts;
use crate::probe::certificate::validate;
use crate::probe::web::facts::{failure, our_side};

/// The most addresses of one host that are looked at in one run.
const MOST_ADDRESSES: usize = 32;

/// One host and where it is.
pub(super) struct Target {
    /// What is known of it so far; its endpoints follow.
    pub(super) facts: HostFacts,
    /// What is spoken before TLS.
    pub(super) starttls: Option<Protocol>,
    pub(super) addresses: Vec<SocketAddr>,
    /// How long its name took to resolve.
    pub(super) resolving: Option<Duration>,
}

/// Every host, resolved, in the order of the settings.
pub(super) async fn targets(look: &Look<'_>) -> Vec<Target> {
    let mut hosts: Vec<(String, u16)> = Vec::new();
    for Host { name, port } in validate::hosts(look.spec, look.ctx.scope) {
        let host = (name, port.unwrap_or_else(|| look.spec.default_port()));
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let all = hosts.into_iter().map(|(name, port)| target(look, name, port).boxed());
    some_at_once(all.collect(), AT_ONCE).await
}

async fn target(look: &Look<'_>, host: String, port: u16) -> Target {
    let starttls = look.spec.starttls.map(Protocol::from);
    let (place, to) = match &look.spec.connect_to {
        Some(to) => (to.host.clone(), to.port),
        None => (host.clone(), port),
    };
    let facts = HostFacts {
        server_name: server_name(look, &host),
        starttls: starttls.map(|protocol| protocol.as_str().to_owned()),
        host,
        port,
        ..HostFacts::default()
    };
    let target = Target { facts, starttls, addresses: Vec::new(), resolving: None };
    resolved(look, target, &place, to).await
}

/// The name that is asked for; an address is none (RFC 6066 section 3).
fn server_name(look: &Look<'_>, host: &str) -> Option<String> {
    let own = look.spec.server_name.as_ref().map(|name| name.name.as_str());
    let name = own.or(look.ctx.scope.tls.server_name.as_deref()).unwrap_or(host);
    name.trim_matches(['[', ']']).parse::<IpAddr>().is_err().then(|| name.to_owned())
}

async fn resolved(look: &Look<'_>, mut target: Target, place: &str, port: u16) -> Target {
    let Some(patience) = look.patience() else {
        target.facts.unmeasured = Some(out_of_time());
        return target;
    };
    match look.ctx.net.resolve(place, &look.ctx.scope.resolvers, patience.timeout).await {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found.addresses {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            target.facts.left_out = addresses.split_off(addresses.len().min(MOST_ADDRESSES));
            target.addresses = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
            target.resolving = Some(found.took);
        }
        Err(error) => match our_side(&error) {
            Some(skipped) => target.facts.unmeasured = Some(skipped),
            None => target.facts.failure = Some(failure(&error)),
        },
    }
    target
}
