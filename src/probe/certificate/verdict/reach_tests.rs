//! What stands in the way of a look, without a socket.

use super::Case;
use super::merge::merge;
use crate::model::{Cause, Finding, Phase, Severity};
use crate::probe::certificate::facts::{
    AskedKey, AskedVersions, Endpoint, Facts, HostFacts, Proof, Shown, View,
};
use crate::probe::certificate::judge::Anchors;
use crate::probe::certificate::memory::Memory;
use crate::probe::certificate::wire_tests::world::{Authority, NAME, now, spec};
use crate::probe::web::facts::{Failure, FailureKind, Skipped};

fn failed(kind: FailureKind, detail: &str) -> Failure {
    Failure { phase: Phase::Tls, kind, detail: detail.into(), address: None }
}

fn view(versions: AskedVersions, shown: Option<Shown>, failure: Option<Failure>) -> View {
    View { sni: true, key_type: AskedKey::Any, versions, shown, failure }
}

fn host(views: Vec<View>) -> HostFacts {
    let address = ([192, 0, 2, 1], 443).into();
    HostFacts {
        host: NAME.into(),
        port: 443,
        server_name: Some(NAME.into()),
        endpoints: vec![Endpoint { address, unmeasured: None, views, posture: None }],
        ..HostFacts::default()
    }
}

fn found(facts: &Facts) -> Vec<Finding> {
    let (spec, memory, anchors) = (spec(serde_json::json!({})), Memory::default(), Anchors::default());
    merge(super::reach::notes(&Case::new(&spec, facts, &memory, now(), &anchors)))
}

fn of_host(host: HostFacts) -> Vec<Finding> {
    found(&Facts { hosts: vec![host], ..Facts::default() })
}

#[test]
fn each_way_to_fail_has_its_finding() {
    use FailureKind::{Closed, NoStarttls, Protocol, Refused, Reset, Timeout, Tls, Unreachable};
    for (kind, detail, id) in [
        (Refused, "", "cert.unreachable"),
        (Timeout, "", "cert.unreachable"),
        (Reset, "", "cert.unreachable"),
        (Closed, "", "cert.unreachable"),
        (Unreachable, "", "cert.unreachable"),
        (Protocol, "not TLS: the answer is plain HTTP", "cert.not_tls"),
        (Protocol, "received corrupt message", "cert.handshake"),
        (Tls, "handshake_failure", "cert.handshake"),
        (NoStarttls, "554 no", "cert.starttls"),
    ] {
        let found = of_host(host(vec![view(AskedVersions::Both, None, Some(failed(kind, detail)))]));
        assert!(matches!(&found[..], [one] if one.id.as_str() == id && one.broken), "{kind:?}: {found:#?}");
        assert_eq!(found[0].subject, format!("{NAME} server"));
        assert!(found[0].summary.ends_with("(at 192.0.2.1)"));
    }
}

#[test]
fn what_our_side_could_not_look_at_opens_and_closes_nothing() {
    let skipped = |no_route| Skipped { cause: Cause::LocalNetwork, why: "no route".into(), no_route };
    for (no_route, id) in [(true, "cert.no_route"), (false, "cert.not_looked_at")] {
        let mut host = host(Vec::new());
        host.endpoints[0].unmeasured = Some(skipped(no_route));
        let found = of_host(host);
        assert!(matches!(&found[..], [one] if one.id.as_str() == id && !one.measured), "{found:#?}");
    }
    let whole = HostFacts { unmeasured: Some(skipped(false)), endpoints: Vec::new(), ..host(Vec::new()) };
    assert!(!of_host(whole)[0].measured);
}

#[test]
fn a_suite_that_browsers_still_offer_is_no_downtime() {
    let old = |version: &str, cipher: &str| {
        let shown = Shown { version: Some(version.into()), cipher: Some(cipher.into()), ..Shown::default() };
        let usual = view(AskedVersions::Both, None, Some(failed(FailureKind::Tls, "handshake_failure")));
        let found = of_host(host(vec![usual, view(AskedVersions::Old, Some(shown), None)]));
        (found[0].id.to_string(), found[0].broken, found[0].severity)
    };
    let only = |broken, severity| ("cert.old_tls_only".to_owned(), broken, severity);
    assert_eq!(old("TLSv1.0", "TLS_RSA_WITH_AES_128_CBC_SHA"), only(true, Severity::Critical));
    assert_eq!(old("TLSv1.2", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"), only(true, Severity::Critical));
    assert_eq!(old("TLSv1.2", "TLS_RSA_WITH_AES_128_CBC_SHA"), only(false, Severity::Error));
    // What usual clients speak too: then the failure has another reason.
    let other = old("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    assert_eq!(other, ("cert.handshake".to_owned(), true, Severity::Critical));
}

#[test]
fn a_handshake_that_ends_after_the_chain_is_told_unless_a_client_certificate_was_wanted() {
    let ids = |wants_client, kind| {
        let shown = Shown { wants_client, ..Shown::default() };
        let usual = view(AskedVersions::Both, Some(shown), Some(failed(kind, "bad_certificate")));
        of_host(host(vec![usual])).iter().map(|finding| finding.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(false, FailureKind::Tls), ["cert.handshake"]);
    assert_eq!(ids(true, FailureKind::Tls), ["cert.client_certificate"]);
    assert_eq!(ids(true, FailureKind::Timeout), ["cert.unreachable", "cert.client_certificate"]);
}

#[test]
fn a_proof_that_does_not_hold_is_broken_and_one_of_a_curve_nobody_verifies_is_not() {
    let authority = Authority::root("Own Root");
    let good = authority.issue(|_| {}).der;
    // The curve's name in the key, changed from P-256 to secp256k1's sibling that nothing knows.
    let mut odd = good.clone();
    let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let at = odd.windows(p256.len()).position(|window| window == p256).unwrap();
    odd[at + p256.len() - 1] = 0x01;
    for (leaf, broken) in [(good, true), (odd, false)] {
        let mut facts = Facts::default();
        let chain = vec![facts.keep(leaf)];
        let proof = Some(Proof::Bad("bad signature".into()));
        facts.hosts.push(host(vec![view(
            AskedVersions::Both,
            Some(Shown { chain, proof, ..Shown::default() }),
            None,
        )]));
        let found = found(&facts);
        assert!(
            matches!(&found[..], [one] if one.id.as_str() == "cert.proof" && one.broken == broken),
            "{found:#?}"
        );
    }
}
