//! Who trusts a chain, and what fetched issuers come to, without a socket.

use super::Case;
use crate::formats::x509::Certificate;
use crate::model::Finding;
use crate::probe::certificate::facts::{
    AskedKey, AskedVersions, Endpoint, Facts, FetchFailure, FetchedIssuer, HostFacts, Shown, View,
};
use crate::probe::certificate::judge::{Anchors, Trust};
use crate::probe::certificate::memory::Memory;
use crate::probe::certificate::wire_tests::world::{Authority, NAME, issuer_at, now, spec};

const AIA: &str = "http://ca.example/ca.cer";

/// What one address showed.
fn shown(chain: &[&[u8]]) -> Facts {
    let mut facts = Facts::default();
    let chain = chain.iter().map(|der| facts.keep(der.to_vec())).collect();
    let view = View {
        sni: true,
        key_type: AskedKey::Any,
        versions: AskedVersions::Both,
        shown: Some(Shown { chain, ..Shown::default() }),
        failure: None,
    };
    let address = ([192, 0, 2, 1], 443).into();
    let endpoint = Endpoint { address, unmeasured: None, views: vec![view], posture: None };
    facts.hosts.push(HostFacts {
        host: NAME.into(),
        port: 443,
        server_name: Some(NAME.into()),
        endpoints: vec![endpoint],
        ..HostFacts::default()
    });
    facts
}

fn with_platform(mut facts: Facts, roots: &[&Authority]) -> Facts {
    facts.platform = Some(roots.iter().map(|root| facts.keep(root.der.clone())).collect());
    facts
}

fn anchors(root: &Authority) -> Anchors {
    Anchors::of([Certificate::parse(&root.der).unwrap()])
}

fn of_chain(facts: &Facts, anchors: &Anchors) -> Vec<Finding> {
    let (spec, memory) = (spec(serde_json::json!({})), Memory::default());
    let case = Case::new(&spec, facts, &memory, now(), anchors);
    super::chain::notes(&case).into_iter().map(|note| note.finding).collect()
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.id.as_str()).collect()
}

#[test]
fn a_chain_that_only_this_systems_roots_trust_is_a_remark_and_not_downtime() {
    let (own, other) = (Authority::root("Own Root"), Authority::root("Other Root"));
    let leaf = own.issue(|_| {});
    let facts = shown(&[&leaf.der]);
    let unknown = of_chain(&with_platform(facts.clone(), &[]), &anchors(&other));
    assert!(ids(&unknown).contains(&"cert.unknown_issuer"));
    let trusted = of_chain(&with_platform(facts, &[&own]), &anchors(&other));
    assert!(!trusted.iter().any(|finding| finding.broken || finding.alerts()), "{trusted:#?}");
    let told = trusted.iter().find(|finding| finding.id.as_str() == "cert.platform_only").unwrap();
    assert!(told.summary.contains("Own Root"), "{}", told.summary);
}

#[test]
fn what_else_is_wrong_is_told_of_a_chain_that_only_this_system_trusts() {
    let (own, other) = (Authority::root("Own Root"), Authority::root("Other Root"));
    let leaf = own.issue(|params| params.not_after = rcgen::date_time_ymd(2026, 5, 20));
    let found = of_chain(&with_platform(shown(&[&leaf.der]), &[&own]), &anchors(&other));
    // A chain that has expired is trusted by nobody.
    let broken: Vec<&str> =
        found.iter().filter(|finding| finding.broken).map(|finding| finding.id.as_str()).collect();
    assert!(broken.contains(&"cert.expired"), "{found:#?}");
}

#[test]
fn a_chain_that_this_systems_roots_lack_is_a_remark_where_they_are_known() {
    let root = Authority::root("Own Root");
    let leaf = root.issue(|_| {});
    let facts = shown(&[&leaf.der]);
    let told = |facts: &Facts| ids(&of_chain(facts, &anchors(&root))).contains(&"cert.platform_distrusts");
    assert!(told(&with_platform(facts.clone(), &[])));
    assert!(!told(&with_platform(facts.clone(), &[&root])));
    assert!(!told(&facts));
    // Another root of the same name is another root.
    assert!(told(&with_platform(facts, &[&Authority::root("Own Root")])));
}

#[test]
fn an_issuer_that_was_fetched_completes_the_chain_wherever_it_was_missing() {
    let root = Authority::root("Own Root");
    let upper = root.below("Upper", |_| {});
    let lower = upper.below("Lower", |params| params.custom_extensions.push(issuer_at(AIA)));
    let leaf = lower.issue(|_| {});
    let bare = shown(&[&leaf.der, &lower.der]);
    let found = of_chain(&bare, &anchors(&root));
    assert!(ids(&found).contains(&"cert.unknown_issuer"), "{found:#?}");
    let mut fetched = bare;
    let key = fetched.keep(upper.der.clone());
    let issuer = FetchedIssuer { at: now(), certificates: vec![key], failure: None };
    fetched.issuers.insert(AIA.to_owned(), issuer);
    let found = of_chain(&fetched, &anchors(&root));
    assert!(ids(&found).contains(&"cert.incomplete") && !ids(&found).contains(&"cert.unknown_issuer"));
    let (spec, memory, anchors) = (spec(serde_json::json!({})), Memory::default(), anchors(&root));
    let case = Case::new(&spec, &fetched, &memory, now(), &anchors);
    assert_eq!(
        (case.judged[0].judged.trust, case.judged[0].best().trust),
        (Trust::UnknownIssuer, Trust::Trusted)
    );
}

#[test]
fn an_issuer_that_runs_out_is_told_of_although_it_had_to_be_fetched() {
    let root = Authority::root("Own Root");
    let middle = root.below("Middle", |params| params.not_after = rcgen::date_time_ymd(2026, 6, 2));
    let leaf = middle.issue(|params| params.custom_extensions.push(issuer_at(AIA)));
    let mut facts = shown(&[&leaf.der]);
    let key = facts.keep(middle.der.clone());
    let issuer = FetchedIssuer { at: now(), certificates: vec![key], failure: None };
    facts.issuers.insert(AIA.to_owned(), issuer);
    let found = of_chain(&facts, &anchors(&root));
    let expiring = found.iter().find(|finding| finding.id.as_str() == "cert.expiring");
    assert_eq!(expiring.map(|finding| finding.subject.as_str()), Some("issuer 1"), "{found:#?}");
}

#[test]
fn a_fetched_issuer_that_has_expired_is_told_of_beside_the_gap() {
    let root = Authority::root("Own Root");
    let middle = root.below("Middle", |params| params.not_after = rcgen::date_time_ymd(2026, 5, 20));
    let leaf = middle.issue(|params| params.custom_extensions.push(issuer_at(AIA)));
    let mut facts = shown(&[&leaf.der]);
    let key = facts.keep(middle.der.clone());
    facts.issuers.insert(AIA.to_owned(), FetchedIssuer { at: now(), certificates: vec![key], failure: None });
    let found = of_chain(&facts, &anchors(&root));
    let incomplete = found.iter().find(|finding| finding.id.as_str() == "cert.incomplete").unwrap();
    assert!(incomplete.summary.ends_with("but breaks a rule"), "{}", incomplete.summary);
    let expired = found.iter().find(|finding| finding.id.as_str() == "cert.expired");
    assert_eq!(expired.map(|finding| finding.subject.as_str()), Some("issuer 1"), "{found:#?}");
}

#[test]
fn why_an_issuer_could_not_be_fetched_is_said_in_the_finding() {
    let root = Authority::root("Own Root");
    let leaf = root.below("Middle", |_| {}).issue(|params| params.custom_extensions.push(issuer_at(AIA)));
    let mut facts = shown(&[&leaf.der]);
    let said = |facts: &Facts| {
        let found = of_chain(facts, &anchors(&root));
        found.into_iter().find(|finding| finding.id.as_str() == "cert.incomplete").unwrap().summary
    };
    assert!(said(&facts).ends_with("that was not tried"), "{}", said(&facts));
    for (failure, words) in [
        (FetchFailure::Refused("a private address".into()), "that is refused: a private address"),
        (FetchFailure::Failed("answered 404".into()), "that fails: answered 404"),
        (FetchFailure::OurSide("no route".into()), "that was not possible here: no route"),
        (FetchFailure::Malformed("no DER".into()), "cannot be read: no DER"),
    ] {
        let issuer = FetchedIssuer { at: now(), certificates: Vec::new(), failure: Some(failure) };
        facts.issuers.insert(AIA.to_owned(), issuer);
        assert!(said(&facts).ends_with(words), "{}", said(&facts));
    }
}

#[test]
fn what_is_shown_without_the_name_is_judged_by_nobody() {
    let root = Authority::root("Own Root");
    let expired = root.issue(|params| params.not_after = rcgen::date_time_ymd(2026, 5, 20));
    let mut facts = shown(&[&expired.der]);
    assert!(ids(&of_chain(&facts, &anchors(&root))).contains(&"cert.expired"));
    facts.hosts[0].endpoints[0].views[0].sni = false;
    assert_eq!(of_chain(&facts, &anchors(&root)), []);
}
