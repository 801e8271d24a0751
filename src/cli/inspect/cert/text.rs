//! What was seen, for people: one block for each address, addresses that show the same in one.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::super::super::print;
use super::super::tree;
use crate::model::{Host, Outcome};
use crate::probe::certificate::judge::Trust;
use crate::probe::certificate::report::{
    EndpointSeen, HostSeen, Look, Observation, PostureSeen, SuiteClass, TlsSeen, ViewSeen,
};
use crate::probe::certificate::tell;
use crate::probe::web::facts::{Failure, Skipped};

/// The verdict, each address, what is wrong and what to do.
pub fn text(outcome: &Outcome, seen: Option<&Observation>, target: &Host) -> String {
    let mut text = String::new();
    tree::verdict(&mut text, outcome, &format!("{target}  "));
    if let (Some(cause), Some(why)) = (outcome.cause, &outcome.why) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {cause}: {}", print::one_line(why));
    }
    for host in seen.into_iter().flat_map(|seen| &seen.hosts) {
        about(&mut text, host);
    }
    for (addresses, block) in seen.map(blocks).unwrap_or_default() {
        let _ = writeln!(text, "\n{}", heading(&addresses));
        text.push_str(&block);
    }
    tree::findings(&mut text, &outcome.findings);
    text.trim_end().to_owned()
}

fn about(text: &mut String, host: &HostSeen) {
    if let Some(starttls) = &host.starttls {
        let _ = writeln!(text, "    after STARTTLS of {starttls}");
    }
    stopped(text, host.failure.as_ref(), host.unmeasured.as_ref(), "not found");
    if !host.left_out.is_empty() {
        let left_out: Vec<String> = host.left_out.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "    not looked at: {}", left_out.join(", "));
    }
}

fn stopped(text: &mut String, failure: Option<&Failure>, unmeasured: Option<&Skipped>, what: &str) {
    if let Some(failure) = failure {
        let _ = writeln!(text, "    {what}: {}: {}", failure.phase, print::one_line(&failure.detail));
    }
    if let Some(skipped) = unmeasured {
        let _ = writeln!(text, "    not looked at: {}: {}", skipped.cause, print::one_line(&skipped.why));
    }
}

/// What is to be read at several addresses stands there once.
fn blocks(seen: &Observation) -> Vec<(Vec<IpAddr>, String)> {
    let mut blocks: Vec<(Vec<IpAddr>, String)> = Vec::new();
    for endpoint in &seen.endpoints {
        let block = block(endpoint, endpoint.server_name.as_deref().unwrap_or(&endpoint.host));
        match blocks.iter_mut().find(|(_, same)| *same == block) {
            Some((addresses, _)) => addresses.push(endpoint.address),
            None => blocks.push((vec![endpoint.address], block)),
        }
    }
    blocks
}

fn heading(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    match addresses.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}: the same", first.join(", ")),
    }
}

fn block(endpoint: &EndpointSeen, name: &str) -> String {
    let mut text = String::new();
    let usual = &endpoint.usual;
    let ended = match (&usual.tls, endpoint.in_the_clear) {
        (None, _) => "nothing was shown",
        (Some(_), true) => "seen in the clear; the usual handshake fails",
        (Some(_), false) => "the usual handshake ended early",
    };
    if let Some(tls) = &usual.tls {
        let _ = writeln!(text, "    {}", agreed(tls));
    }
    stopped(&mut text, endpoint.failure.as_ref(), endpoint.unmeasured.as_ref(), ended);
    look(&mut text, usual, name);
    keys(&mut text, endpoint);
    for (asked, view) in others(endpoint) {
        other(&mut text, &asked, view, name);
    }
    if let Some(seen) = &endpoint.posture {
        posture(&mut text, seen);
    }
    text
}

fn agreed(tls: &TlsSeen) -> String {
    let parts = [&tls.version, &tls.cipher, &tls.group, &tls.alpn];
    let parts: Vec<String> = parts.into_iter().flatten().map(|part| print::one_line(part)).collect();
    if parts.is_empty() { "certificates in the clear, no handshake".to_owned() } else { parts.join(", ") }
}

fn look(text: &mut String, look: &Look, name: &str) {
    judged(text, look, name);
    if look.wants_client {
        let _ = writeln!(text, "    asks for a client certificate");
    }
    if look.staple.is_some() {
        let _ = writeln!(text, "    staples an OCSP response");
    }
    chain(text, look);
}

fn judged(text: &mut String, look: &Look, name: &str) {
    if let Some(trust) = look.trust {
        let _ = writeln!(text, "    trust: {}", tree::trust(trust));
        let differs = |trusts: &bool| *trusts != (trust == Trust::Trusted);
        if let Some(trusts) = look.system_trusts.filter(differs) {
            let leads = tree::coloured(if trusts { "lead to it" } else { "do not lead to it" }, trusts);
            let _ = writeln!(text, "    roots of this system: {leads}");
        }
        let _ = writeln!(text, "    name: {}", tree::name(look.name_matches, Some(name)));
    }
    if let Some(browser) = &look.browser {
        let _ = writeln!(text, "    browsers: {}", tree::accepts(browser.accepts));
    }
}

fn chain(text: &mut String, look: &Look) {
    for seen in &look.chain {
        let remark = if seen.sent || seen.link.role == "root" { "" } else { " (not sent)" };
        tree::link(text, &seen.link, remark);
    }
    let used = |sha256: &&String| look.chain.iter().any(|seen| seen.link.certificate.sha256 == **sha256);
    let unused = look.sent.iter().filter(|sha256| !used(sha256)).count() + look.left_out;
    if unused > 0 {
        let _ = writeln!(text, "    {unused} more sent that the path does not need");
    }
}

/// The kinds of keys that are shown to those who ask for them, and with which versions.
fn keys(text: &mut String, endpoint: &EndpointSeen) {
    let usual = &endpoint.usual;
    let fully = endpoint.views.iter().filter(|view| asked_fully(endpoint, view));
    let others = fully.map(|view| (if view.same_chain { usual } else { &view.look }, &view.look.tls));
    let mut keys: Vec<(String, Vec<&str>)> = Vec::new();
    for (shown, tls) in std::iter::once((usual, &usual.tls)).chain(others) {
        let Some(leaf) = shown.chain.first() else { continue };
        let key = leaf.link.certificate.key.words();
        let version = tls.as_ref().and_then(|tls| tls.version.as_deref());
        match keys.iter_mut().find(|(known, _)| *known == key) {
            Some((_, versions)) => versions.extend(version),
            None => keys.push((key, version.into_iter().collect())),
        }
    }
    let words = |(key, mut versions): (String, Vec<&str>)| {
        versions.sort_unstable();
        versions.dedup();
        if versions.is_empty() { key } else { format!("{key} ({})", versions.join(", ")) }
    };
    if !keys.is_empty() {
        let _ = writeln!(text, "    keys: {}", keys.into_iter().map(words).collect::<Vec<_>>().join(", "));
    }
}

/// A host that is an address has no name to ask for.
fn asked_fully(endpoint: &EndpointSeen, view: &ViewSeen) -> bool {
    view.sni || endpoint.server_name.is_none()
}

/// Other handshakes that came to something else; those that came to the same stand together. That a
/// kind of key is not there says the line of keys.
fn others(endpoint: &EndpointSeen) -> Vec<(Vec<String>, &ViewSeen)> {
    let came =
        |view: &ViewSeen| (view.look.sent.clone(), view.failure.as_ref().map(|why| why.detail.clone()));
    let mut others: Vec<(Vec<String>, &ViewSeen)> = Vec::new();
    let differs = |view: &&ViewSeen| match view.look.tls {
        Some(_) => !view.same_chain,
        None => endpoint.usual.tls.is_some() && !asked_fully(endpoint, view),
    };
    for view in endpoint.views.iter().filter(differs) {
        let asked = tell::asked_for(asked_fully(endpoint, view), view.key_type, view.versions);
        match others.iter_mut().find(|(_, known)| came(known) == came(view)) {
            Some((all, _)) => all.push(asked),
            None => others.push((vec![asked], view)),
        }
    }
    others
}

fn other(text: &mut String, asked: &[String], view: &ViewSeen, name: &str) {
    let asked = asked.join("; ");
    if view.look.tls.is_some() {
        let _ = writeln!(text, "    {asked}: other certificates");
        let mut inner = String::new();
        judged(&mut inner, &view.look, name);
        chain(&mut inner, &view.look);
        text.extend(inner.lines().map(|line| format!("    {line}\n")));
    } else if let Some(failure) = &view.failure {
        let _ = writeln!(text, "    {asked}: {}", print::one_line(&failure.detail));
    }
}

fn posture(text: &mut String, posture: &PostureSeen) {
    let mut versions = Vec::new();
    for (accepted, word) in [(Some(true), "accepts"), (Some(false), "refuses"), (None, "could not find out")]
    {
        let found: Vec<&str> = posture.accepting(accepted).map(|version| version.version.as_str()).collect();
        if !found.is_empty() {
            versions.push(format!("{word} {}", found.join(", ")));
        }
    }
    let _ = writeln!(text, "    versions: {}", versions.join("; "));
    let classes = posture.classes();
    if !classes.is_empty() {
        let words = |(class, count): &(SuiteClass, usize)| format!("{count} {}", class.words());
        let _ = writeln!(text, "    suites: {}", classes.iter().map(words).collect::<Vec<_>>().join(", "));
    }
    let groups = posture.groups();
    if !groups.is_empty() {
        let _ = writeln!(text, "    groups: {}", groups.join(", "));
    }
    if let Some(yes) = posture.post_quantum {
        let _ = writeln!(text, "    post-quantum key agreement: {}", if yes { "yes" } else { "no" });
    }
    if let Some(why) = &posture.incomplete {
        let _ = writeln!(text, "    not all was found out: {}", print::one_line(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckId, Finding, Timings, Verdict};
    use crate::probe::certificate::facts::{AskedKey, AskedVersions, Endpoint, Facts, View};
    use crate::probe::certificate::judge::FINDINGS;
    use crate::probe::certificate::report::fakes::{
        GOOD, LATE, at, chain, endpoint, facts, failed, posture, view,
    };
    use crate::probe::certificate::report::observation;

    fn said(facts: &Facts, instant: &str, findings: Vec<Finding>) -> String {
        let outcome = Outcome {
            check: CheckId::new("inspect", "certificate"),
            at: at(instant),
            took: std::time::Duration::ZERO,
            verdict: Verdict::of(&findings),
            cause: None,
            why: None,
            findings,
            status: None,
            timings: Timings::default(),
            steps: Vec::new(),
            facts: None,
            transport: false,
            recheck: false,
        };
        let target = Host { name: "portal.example".into(), port: None };
        owo_colors::with_override(false, || text(&outcome, Some(&observation(facts, at(instant))), &target))
    }

    #[test]
    fn what_two_addresses_show_alike_stands_there_once() {
        let both = facts(|facts, chain| {
            let rsa = View { key_type: AskedKey::Rsa, ..failed("handshake_failure") };
            let nameless = View { sni: false, ..failed("unrecognized_name") };
            let views = vec![view(facts, &chain[..2]), rsa, nameless];
            let one = |last| Endpoint { posture: Some(posture()), ..endpoint(last, views.clone()) };
            vec![one(1), one(2), endpoint(3, vec![failed("connection refused")])]
        });
        insta::assert_snapshot!(said(&both, GOOD, Vec::new()), @r"
        pass  portal.example  as of 2026-06-01T00:00:00Z

        192.0.2.1 and 192.0.2.2: the same
            TLSv1.3, TLS_AES_256_GCM_SHA384, X25519MLKEM768, h2
            trust: trusted
            name: is for portal.example
            browsers: accept it
            leaf: CN=portal.example
              for portal.example
              key ECDSA P-256, signed by ECDSA with SHA-256
              2026-05-01T00:00:00Z to 2026-07-30T00:00:00Z: 59 days, 66 % left
            └─ intermediate: CN=Acme issuing
                 key ECDSA P-256, signed by ECDSA with SHA-256
                 2020-01-01T00:00:00Z to 2035-01-01T00:00:00Z: 3136 days, 57 % left
               └─ root: CN=Acme root
                    key ECDSA P-256, signed by ECDSA with SHA-256
                    2020-01-01T00:00:00Z to 2035-01-01T00:00:00Z: 3136 days, 57 % left
            keys: ECDSA P-256 (TLSv1.3)
            asked for no name: unrecognized_name
            versions: accepts TLSv1.1, TLSv1.2, TLSv1.3; refuses SSLv3; could not find out TLSv1.0
            suites: 3 modern, 1 with CBC, 1 without forward secrecy, 1 broken
            groups: X25519MLKEM768, x25519, secp256r1
            post-quantum key agreement: yes

        192.0.2.3
            nothing was shown: connect: connection refused
        ");
    }

    #[test]
    fn a_server_of_old_is_shown_and_why_no_browser_gets_there() {
        let old = facts(|facts, chain| {
            let mut clear = View { versions: AskedVersions::Old, ..view(facts, &chain[..2]) };
            if let Some(shown) = &mut clear.shown {
                shown.version = Some("TLSv1.0".into());
            }
            vec![endpoint(1, vec![failed("protocol_version"), clear])]
        });
        let said = said(&old, GOOD, Vec::new());
        assert!(
            said.contains("seen in the clear; the usual handshake fails: connect: protocol_version"),
            "{said}"
        );
        assert!(said.ends_with("keys: ECDSA P-256 (TLSv1.0)"), "{said}");
    }

    #[test]
    fn a_key_is_named_once_with_the_versions_that_show_it() {
        let both = facts(|facts, sent| {
            let same = view(facts, &sent[..2]);
            let mut old = View { key_type: AskedKey::Ecdsa, versions: AskedVersions::Tls12, ..same.clone() };
            if let Some(shown) = &mut old.shown {
                shown.version = Some("TLSv1.2".into());
            }
            vec![endpoint(1, vec![same, old])]
        });
        let said = said(&both, GOOD, Vec::new());
        assert!(said.ends_with("keys: ECDSA P-256 (TLSv1.2, TLSv1.3)"), "{said}");
        assert_eq!(said.matches("leaf: ").count(), 1, "{said}");
    }

    #[test]
    fn what_is_wrong_stands_below_with_what_to_do() {
        let seen = facts(|facts, sent| {
            let other = chain(&["default.example"]);
            let nameless = View { sni: false, ..view(facts, &other[..1]) };
            vec![endpoint(1, vec![view(facts, &sent[..2]), nameless])]
        });
        let expired = FINDINGS.iter().find(|doc| doc.id == "cert.expired").unwrap();
        let finding = Finding::of(expired, "portal.example leaf", "expired 3 days ago\u{1b}[2J");
        insta::assert_snapshot!(said(&seen, LATE, vec![finding]), @r"
        fail  portal.example  as of 2026-08-02T00:00:00Z

        192.0.2.1
            TLSv1.3, TLS_AES_256_GCM_SHA384, X25519MLKEM768, h2
            trust: ends at a trusted root, but breaks a rule
            name: is for portal.example
            browsers: refuse it
            leaf: CN=portal.example
              for portal.example
              key ECDSA P-256, signed by ECDSA with SHA-256
              2026-05-01T00:00:00Z to 2026-07-30T00:00:00Z: 3 days past its end
            └─ intermediate: CN=Acme issuing
                 key ECDSA P-256, signed by ECDSA with SHA-256
                 2020-01-01T00:00:00Z to 2035-01-01T00:00:00Z: 3074 days, 56 % left
               └─ root: CN=Acme root
                    key ECDSA P-256, signed by ECDSA with SHA-256
                    2020-01-01T00:00:00Z to 2035-01-01T00:00:00Z: 3074 days, 56 % left
            keys: ECDSA P-256 (TLSv1.3)
            asked for no name: other certificates
                trust: no trusted root
                name: is not for portal.example
                browsers: refuse it
                leaf: CN=default.example
                  for default.example
                  key ECDSA P-256, signed by ECDSA with SHA-256
                  2026-05-01T00:00:00Z to 2026-07-30T00:00:00Z: 3 days past its end

        critical cert.expired [portal.example leaf]: expired 3 days ago\u{1b}[2J
            Renew the certificate, install it on every address and reload the server. Then look at why the renewal did not run.
        ");
    }
}
