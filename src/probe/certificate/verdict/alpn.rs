//! The protocol agreed on inside TLS (ALPN, RFC 7301).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::super::docs::posture::ALPN;
use super::super::facts::{AskedKey, AskedVersions, Endpoint, HostFacts, View};
use super::posture::listed;
use super::{Case, Note};
use crate::model::{Finding, Severity};

/// Where HTTP is expected.
const HTTPS: u16 = 443;

/// Addresses that agree on no protocol of HTTP, or on another than others do.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let hosts = case.facts.hosts.iter().filter(|host| host.starttls.is_none());
    hosts.flat_map(|host| missing(host).into_iter().chain(different(host))).collect()
}

/// What each address agreed on in the usual handshake, where that was finished.
pub(super) fn agreed(host: &HostFacts) -> impl Iterator<Item = (SocketAddr, Option<&str>)> {
    let is_usual = |view: &&View| {
        view.sni == host.server_name.is_some()
            && view.key_type == AskedKey::Any
            && view.versions == AskedVersions::Both
    };
    host.endpoints.iter().filter_map(move |endpoint: &Endpoint| {
        let view = endpoint.views.iter().find(is_usual).filter(|view| view.failure.is_none())?;
        let shown = view.shown.as_ref().filter(|shown| shown.version.is_some())?;
        Some((endpoint.address, shown.alpn.as_deref()))
    })
}

fn missing(host: &HostFacts) -> Vec<Note<'_>> {
    if host.port != HTTPS {
        return Vec::new();
    }
    let without = agreed(host).filter(|(_, protocol)| !matches!(protocol, Some("h2" | "http/1.1")));
    let note = |(address, protocol): (SocketAddr, Option<&str>)| {
        let summary = protocol.map_or_else(
            || "agrees on no protocol, neither h2 nor http/1.1".to_owned(),
            |other| format!("agrees on {}, neither on h2 nor on http/1.1", other.escape_debug()),
        );
        Note { host, address: Some(address), finding: Finding::of(&ALPN, "ALPN", summary) }
    };
    without.map(note).collect()
}

fn different(host: &HostFacts) -> Option<Note<'_>> {
    let mut protocols: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (address, protocol) in agreed(host) {
        protocols.entry(protocol.unwrap_or("nothing")).or_default().insert(address.ip().to_string());
    }
    if protocols.len() < 2 {
        return None;
    }
    let parts = protocols.iter().map(|(protocol, addresses)| {
        let addresses: Vec<String> = addresses.iter().cloned().collect();
        format!("{} at {}", protocol.escape_debug(), listed(&addresses))
    });
    let summary = format!("different protocols are agreed on: {}", parts.collect::<Vec<_>>().join("; "));
    let finding = Finding { severity: Severity::Info, ..Finding::of(&ALPN, "ALPN", summary) };
    Some(Note { host, address: None, finding })
}

#[cfg(test)]
mod tests {
    use super::super::posture::tests::{World, merged};
    use super::*;
    use crate::probe::certificate::facts::Shown;

    /// Addresses of a host, each with what it agreed on.
    fn world(agreed: &[Option<&str>]) -> World {
        let addresses: Vec<String> = (1..=agreed.len()).map(|last| format!("192.0.2.{last}")).collect();
        let mut world = World::of(addresses.iter().map(|address| (address.as_str(), None)).collect());
        for (endpoint, protocol) in world.facts.hosts[0].endpoints.iter_mut().zip(agreed) {
            endpoint.views.push(View {
                sni: true,
                key_type: AskedKey::Any,
                versions: AskedVersions::Both,
                shown: Some(Shown {
                    version: Some("TLSv1.3".into()),
                    alpn: protocol.map(str::to_owned),
                    ..Shown::default()
                }),
                failure: None,
            });
        }
        world
    }

    fn told(world: &World) -> Vec<(Severity, String)> {
        let found = world.look(|case| merged(notes(case)));
        found.into_iter().map(|finding| (finding.severity, finding.summary)).collect()
    }

    #[test]
    fn a_protocol_of_http_is_what_is_expected() {
        assert_eq!(told(&world(&[Some("h2"), Some("h2")])), []);
        assert_eq!(told(&world(&[Some("http/1.1")])), []);
    }

    #[test]
    fn a_web_server_without_one_is_noted() {
        let nothing = "agrees on no protocol, neither h2 nor http/1.1 (at 192.0.2.1)";
        assert_eq!(told(&world(&[None])), [(Severity::Notice, nothing.to_owned())]);
        let other = "agrees on acme-tls/1, neither on h2 nor on http/1.1 (at 192.0.2.1)";
        assert_eq!(told(&world(&[Some("acme-tls/1")])), [(Severity::Notice, other.to_owned())]);
    }

    #[test]
    fn addresses_that_agree_on_different_ones_are_named() {
        let summary = "different protocols are agreed on: h2 at 192.0.2.1, 192.0.2.3; http/1.1 at 192.0.2.2";
        let found = told(&world(&[Some("h2"), Some("http/1.1"), Some("h2")]));
        assert_eq!(found, [(Severity::Info, summary.to_owned())]);
    }

    #[test]
    fn where_no_http_is_expected_or_no_handshake_was_finished_nothing_is_missed() {
        let mut mail = world(&[None]);
        mail.facts.hosts[0].port = 465;
        assert_eq!(told(&mail), []);
        let mut starttls = world(&[None, Some("h2")]);
        starttls.facts.hosts[0].starttls = Some("smtp".into());
        assert_eq!(told(&starttls), []);
        let mut clear = world(&[None]);
        clear.facts.hosts[0].endpoints[0].views[0].versions = AskedVersions::Old;
        assert_eq!(told(&clear), []);
    }
}
