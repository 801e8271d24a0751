//! The facts in lines for people: what was seen, without opinions.

use super::facts::{AskedKey, AskedVersions, Endpoint, Facts, FetchFailure, HostFacts, Shown, View};
use crate::probe::web::facts::Failure;

/// The lines. What comes from outside may hold control characters; whoever prints it escapes them.
pub fn lines(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    for host in &facts.hosts {
        of_host(&mut lines, facts, host);
    }
    for (url, issuer) in &facts.issuers {
        lines.push(format!("issuer from {url}: {}", fetched(issuer.failure.as_ref())));
    }
    for (url, crl) in &facts.crls {
        lines.push(format!("revocation list from {url}: {}", fetched(crl.failure.as_ref())));
    }
    lines
}

fn of_host(lines: &mut Vec<String>, facts: &Facts, host: &HostFacts) {
    let subject = host.subject();
    if let Some(Failure { detail, .. }) = &host.failure {
        lines.push(format!("{subject}: {detail}"));
    }
    if let Some(skipped) = &host.unmeasured {
        lines.push(format!("{subject}: not looked at: {}", skipped.why));
    }
    for endpoint in &host.endpoints {
        lines.push(format!("{subject} at {}", endpoint.address));
        of_endpoint(lines, facts, host, endpoint);
    }
    if !host.left_out.is_empty() {
        let left_out: Vec<String> = host.left_out.iter().map(ToString::to_string).collect();
        lines.push(format!("{subject}: not looked at: {}", left_out.join(", ")));
    }
}

fn of_endpoint(lines: &mut Vec<String>, facts: &Facts, host: &HostFacts, endpoint: &Endpoint) {
    if let Some(skipped) = &endpoint.unmeasured {
        lines.push(format!("    not looked at: {}", skipped.why));
    }
    let mut told: Vec<&[String]> = Vec::new();
    for view in &endpoint.views {
        lines.push(format!("    {}: {}", asked(host, view), came(view)));
        let Some(shown) = &view.shown else { continue };
        if told.contains(&shown.chain.as_slice()) {
            continue;
        }
        told.push(&shown.chain);
        lines.extend(shown.chain.iter().map(|sha256| format!("        {}", certificate(facts, sha256))));
        if shown.left_out > 0 {
            lines.push(format!("        and {} more", shown.left_out));
        }
    }
    if let Some(posture) = &endpoint.posture {
        let accepted = posture.versions.iter().filter(|version| version.accepted == Some(true));
        let accepted: Vec<&str> = accepted.map(|version| version.version.as_str()).collect();
        lines.push(format!("    accepts {} (as of {})", accepted.join(", "), posture.at));
    }
}

fn asked(host: &HostFacts, view: &View) -> String {
    asked_for(host.asked_fully(view), view.key_type, view.versions)
}

/// What a handshake asked for, in words.
pub fn asked_for(fully: bool, key_type: AskedKey, versions: AskedVersions) -> String {
    let key = match key_type {
        AskedKey::Any => None,
        AskedKey::Rsa => Some("an RSA key"),
        AskedKey::Ecdsa => Some("an ECDSA key"),
    };
    let versions = match versions {
        AskedVersions::Both => None,
        AskedVersions::Tls12 => Some("TLS 1.2 alone"),
        AskedVersions::Tls13 => Some("TLS 1.3 alone"),
        AskedVersions::Old => Some("TLS 1.2 and older, in the clear"),
    };
    let name = (!fully).then_some("no name");
    let parts: Vec<&str> = [key, versions, name].into_iter().flatten().collect();
    if parts.is_empty() { "usual handshake".to_owned() } else { format!("asked for {}", parts.join(", ")) }
}

fn came(view: &View) -> String {
    let mut parts: Vec<String> = view.shown.iter().map(agreed).collect();
    parts.extend(view.failure.as_ref().map(|failure| format!("ended: {}", failure.detail)));
    parts.join("; ")
}

fn agreed(shown: &Shown) -> String {
    let agreed = [&shown.version, &shown.cipher, &shown.group, &shown.alpn];
    let mut parts: Vec<&str> = agreed.into_iter().filter_map(Option::as_deref).collect();
    if shown.staple.is_some() {
        parts.push("a stapled OCSP response");
    }
    if shown.wants_client {
        parts.push("asks for a client certificate");
    }
    if parts.is_empty() { "certificates alone".to_owned() } else { parts.join(", ") }
}

fn certificate(facts: &Facts, sha256: &str) -> String {
    let short = sha256.get(..16).unwrap_or(sha256);
    match facts.certificates.get(sha256).map(super::facts::Der::read) {
        Some(Some(read)) => format!(
            "{}, {}, {} to {}, SHA-256 {short}…",
            read.subject,
            read.key.words(),
            read.not_before,
            read.not_after
        ),
        _ => format!("a certificate that cannot be read, SHA-256 {short}…"),
    }
}

fn fetched(failure: Option<&FetchFailure>) -> String {
    match failure {
        None => "fetched".to_owned(),
        Some(FetchFailure::Refused(why)) => format!("refused: {why}"),
        Some(FetchFailure::Failed(why) | FetchFailure::OurSide(why)) => format!("not fetched: {why}"),
        Some(FetchFailure::Malformed(why)) => format!("cannot be read: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::AskedKey;
    use super::super::report::fakes::{endpoint, facts, failed, posture, view};
    use super::*;

    #[test]
    fn the_facts_read_well_without_a_tool() {
        let facts = facts(|facts, chain| {
            let rsa = View { key_type: AskedKey::Rsa, ..failed("handshake_failure") };
            let views = vec![view(facts, &chain[..2]), rsa];
            vec![Endpoint { posture: Some(posture()), ..endpoint(1, views) }]
        });
        let lines = lines(&facts);
        let told: Vec<&str> = lines.iter().map(|line| line.split(", SHA-256").next().unwrap()).collect();
        assert_eq!(
            told,
            [
                "portal.example at 192.0.2.1:443",
                "    usual handshake: TLSv1.3, TLS_AES_256_GCM_SHA384, X25519MLKEM768, h2",
                "        CN=portal.example, ECDSA P-256, 2026-05-01T00:00:00Z to 2026-07-30T00:00:00Z",
                "        CN=Acme issuing, ECDSA P-256, 2020-01-01T00:00:00Z to 2035-01-01T00:00:00Z",
                "    asked for an RSA key: ended: handshake_failure",
                "    accepts TLSv1.1, TLSv1.2, TLSv1.3 (as of 2026-06-01T00:00:00Z)",
            ]
        );
    }
}
