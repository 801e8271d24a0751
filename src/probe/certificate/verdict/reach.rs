//! Whether a host and its addresses can be reached and speak TLS at all, and how.

use std::net::SocketAddr;

use super::{Case, Note};
use crate::formats::x509::{Certificate, KeyKind};
use crate::model::{Finding, FindingDoc, Severity};
use crate::probe::certificate::docs::reach as docs;
use crate::probe::certificate::facts::{AskedKey, AskedVersions, Endpoint, HostFacts, Proof, Shown, View};
use crate::probe::certificate::judge::{Wanted, name_covered};
use crate::probe::web::facts::{Failure, FailureKind, Skipped};
use crate::probe::web::words;

/// What findings about the server itself are about.
const SERVER: &str = "server";

type OfEndpoint = fn(&Case<'_>, &HostFacts, &Endpoint) -> Option<Finding>;

/// What is looked for at each address.
const LOOKS: &[OfEndpoint] = &[
    |_, _, endpoint| {
        endpoint.unmeasured.as_ref().map(|skipped| not_looked_at(skipped, Some(endpoint.address)))
    },
    |_, _, endpoint| failed(endpoint),
    |_, host, endpoint| injected(host, endpoint),
    |_, host, endpoint| truncated(host, endpoint),
    |case, host, endpoint| unproved(case, host, endpoint),
    |_, _, endpoint| client_certificate(endpoint),
    no_sni,
];

/// What stands in the way of a look.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    for host in &case.facts.hosts {
        let whole = |finding| Note { host, address: None, finding };
        notes.extend(of_host(host).into_iter().map(whole));
        for endpoint in &host.endpoints {
            let found = LOOKS.iter().filter_map(|look| look(case, host, endpoint));
            notes.extend(found.map(|finding| Note { host, address: Some(endpoint.address), finding }));
        }
    }
    notes
}

fn of_host(host: &HostFacts) -> Vec<Finding> {
    let unresolvable = host.failure.as_ref().map(|failure| {
        let summary = format!("its address cannot be found: {}", words::failure(failure, None));
        Finding::of(&docs::UNRESOLVABLE, "name", summary)
    });
    let skipped = host.unmeasured.as_ref().map(|skipped| not_looked_at(skipped, None));
    [unresolvable, skipped, left_out(host)].into_iter().flatten().collect()
}

fn left_out(host: &HostFacts) -> Option<Finding> {
    let names: Vec<String> = host.left_out.iter().take(32).map(ToString::to_string).collect();
    (!names.is_empty()).then(|| {
        let summary = format!(
            "{} addresses were looked at, {} more were left out: {}",
            host.endpoints.len(),
            host.left_out.len(),
            names.join(", ")
        );
        Finding::of(&docs::ADDRESSES_LEFT_OUT, "addresses", summary).with("left_out", names)
    })
}

fn not_looked_at(skipped: &Skipped, address: Option<SocketAddr>) -> Finding {
    let mut finding = match address {
        Some(address) if skipped.no_route => {
            let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
            let summary = format!("the monitoring host has no route for {family}; nothing was looked at");
            Finding::of(&docs::NO_ROUTE, family, summary)
        }
        _ => {
            let summary = format!("it was not looked at: {}", skipped.why);
            Finding::of(&docs::NOT_LOOKED_AT, SERVER, summary)
        }
    };
    finding.measured = false;
    finding
}

/// Why the usual handshake did not come to its end.
fn failed(endpoint: &Endpoint) -> Option<Finding> {
    use FailureKind::{Closed, Refused, Reset, Timeout, Unreachable, Unresolvable};
    let usual = endpoint.usual()?;
    let failure = usual.failure.as_ref()?;
    if usual.shown.as_ref().is_some_and(|shown| asked_for_client(shown, failure)) {
        return None;
    }
    if let Some(finding) = endpoint.views.iter().find_map(|view| old_only(view, failure)) {
        return Some(finding);
    }
    let (doc, summary): (&'static FindingDoc, _) = match failure.kind {
        Refused | Timeout | Reset | Closed | Unreachable | Unresolvable => {
            (&docs::UNREACHABLE, words::failure(&place_left_out(failure), None))
        }
        FailureKind::NoStarttls => (&docs::STARTTLS, format!("TLS does not begin: {}", failure.detail)),
        FailureKind::Protocol if failure.detail.starts_with(NOT_TLS) => {
            (&docs::NOT_TLS, failure.detail.clone())
        }
        FailureKind::Tls => {
            (&docs::HANDSHAKE, format!("the server ends the handshake with the alert {}", failure.detail))
        }
        FailureKind::Protocol | FailureKind::Certificate => {
            (&docs::HANDSHAKE, format!("the handshake fails: {}", failure.detail))
        }
    };
    Some(Finding::of(doc, SERVER, summary).with("phase", failure.phase.as_str()))
}

/// How the network's words begin for a peer that speaks something else than TLS.
pub const NOT_TLS: &str = "not TLS";

/// The address stands at the end of each line already.
fn place_left_out(failure: &Failure) -> Failure {
    Failure { address: None, ..failure.clone() }
}

/// Servers end a handshake in these ways when they are shown no client certificate.
fn asked_for_client(shown: &Shown, failure: &Failure) -> bool {
    use FailureKind::{Closed, Reset, Tls};
    shown.wants_client && matches!(failure.kind, Tls | Closed | Reset)
}

/// Suites without forward secrecy or with CBC that browsers still offer in TLS 1.2.
const BROWSERS_STILL: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

fn old_only(view: &View, usual: &Failure) -> Option<Finding> {
    let shown = view.shown.as_ref().filter(|_| view.versions == AskedVersions::Old)?;
    let (version, cipher) = (shown.version.as_deref()?, shown.cipher.as_deref()?);
    // A suite that usual clients offer: it must have failed for another reason.
    let usual_suite =
        cipher.starts_with("TLS_ECDHE_") && (cipher.contains("_GCM_") || cipher.contains("_CHACHA20_"));
    if version == "TLSv1.3" || (version == "TLSv1.2" && usual_suite) {
        return None;
    }
    let browsers = version == "TLSv1.2" && BROWSERS_STILL.contains(&cipher);
    let who = if browsers { "current programs" } else { "browsers and current programs" };
    let summary = format!("{who} cannot connect: it chooses {version} with {cipher} and nothing newer");
    let mut finding = Finding::of(&docs::OLD_TLS_ONLY, SERVER, summary)
        .with("version", version)
        .with("cipher", cipher)
        .with("refusal", usual.detail.as_str());
    if browsers {
        finding.severity = Severity::Error;
        finding.broken = false;
    }
    Some(finding)
}

fn injected(host: &HostFacts, endpoint: &Endpoint) -> Option<Finding> {
    let most = shown(endpoint).map(|(_, shown)| shown.injected).max().filter(|bytes| *bytes > 0)?;
    let protocol = host.starttls.as_deref().unwrap_or("starttls");
    let summary = format!("bytes in the clear follow the go-ahead of {protocol}, before TLS");
    Some(Finding::of(&docs::STARTTLS_INJECTION, SERVER, summary).with("bytes", most))
}

fn truncated(host: &HostFacts, endpoint: &Endpoint) -> Option<Finding> {
    let (_, shown) = shown(endpoint).find(|(view, shown)| host.asked_fully(view) && shown.left_out > 0)?;
    let summary = format!(
        "{} certificates are sent; those after the first {} were not looked at",
        shown.chain.len() + shown.left_out,
        shown.chain.len()
    );
    Some(Finding::of(&docs::TRUNCATED_CHAIN, "chain", summary))
}

fn unproved(case: &Case<'_>, host: &HostFacts, endpoint: &Endpoint) -> Option<Finding> {
    let bad = |(view, shown): (&View, &Shown)| match &shown.proof {
        Some(Proof::Bad(why)) if host.asked_fully(view) => Some((shown.chain.first().cloned(), why.clone())),
        _ => None,
    };
    let (leaf, why) = shown(endpoint).find_map(bad)?;
    // A leaf that cannot be read proves nothing, and is told of by itself.
    let leaf = case.certificate(&leaf?)?;
    let finding = if is_verifiable(leaf) {
        Finding::of(&docs::PROOF, "leaf", format!("the server does not prove that it holds the key: {why}"))
    } else {
        let summary = "its proof that it holds the key cannot be verified: clients refuse this kind of key";
        Finding { severity: Severity::Error, broken: false, ..Finding::of(&docs::PROOF, "leaf", summary) }
    };
    Some(finding.with("sha256", leaf.sha256.as_str()))
}

/// Whether signatures by the key can be verified by usual clients.
fn is_verifiable(leaf: &Certificate) -> bool {
    match leaf.key.algorithm {
        KeyKind::Rsa => leaf.key.bits.is_some_and(|bits| (2048..=8192).contains(&bits)),
        KeyKind::Ecdsa => matches!(leaf.key.curve.as_deref(), Some("P-256" | "P-384" | "P-521")),
        KeyKind::Ed25519 => true,
        KeyKind::Ed448 | KeyKind::Dsa | KeyKind::Other => false,
    }
}

fn client_certificate(endpoint: &Endpoint) -> Option<Finding> {
    let usual = endpoint.usual()?.shown.as_ref().filter(|shown| shown.wants_client)?;
    let ended = endpoint.usual()?.failure.as_ref().filter(|failure| asked_for_client(usual, failure));
    let how = if ended.is_some() { "and ends the connection without one" } else { "and goes on without one" };
    Some(Finding::of(&docs::CLIENT_CERTIFICATE, SERVER, format!("it asks for a client certificate {how}")))
}

fn no_sni(case: &Case<'_>, host: &HostFacts, endpoint: &Endpoint) -> Option<Finding> {
    let name = host.server_name.as_ref()?;
    let without = endpoint.views.iter().find(|view| !view.sni && view.key_type == AskedKey::Any)?;
    let usual = endpoint.usual()?.shown.as_ref()?;
    let summary = match &without.shown {
        Some(other) if other.chain.first() == usual.chain.first() => return None,
        Some(other) => {
            let leaf = other.chain.first().and_then(|key| case.certificate(key));
            let told = leaf.map(|leaf| told(case, leaf, name));
            format!("without SNI another certificate is shown{}", told.unwrap_or_default())
        }
        None => "without SNI no certificate is shown".to_owned(),
    };
    Some(Finding::of(&docs::NO_SNI, "default certificate", summary))
}

/// Whose a certificate is, and what is wrong with it for this host.
fn told(case: &Case<'_>, leaf: &Certificate, name: &str) -> String {
    let expired = leaf.not_after.seconds.is_some_and(|until| until < case.now.as_second());
    let covers = Wanted::parse(name).is_ok_and(|wanted| name_covered(leaf, &wanted));
    let remarks: Vec<&str> = [expired.then_some("expired"), (!covers).then_some("not for this name")]
        .into_iter()
        .flatten()
        .collect();
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    format!(": {}{remarks}", leaf.short_name())
}

/// All that was shown, and in which handshake.
fn shown(endpoint: &Endpoint) -> impl Iterator<Item = (&View, &Shown)> {
    endpoint.views.iter().filter_map(|view| Some((view, view.shown.as_ref()?)))
}
