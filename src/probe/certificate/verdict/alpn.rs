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
fn agreed(host: &HostFacts) -> impl Iterator<Item = (SocketAddr, Option<&str>)> {
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
