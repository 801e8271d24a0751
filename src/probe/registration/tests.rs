//! Judging recorded facts, and reading settings.

use std::collections::BTreeMap;

use serde_json::json;

use super::facts::{Look, Registrar, Registration, Said};
use super::*;
use crate::model::{Finding, Severity};
use crate::probe::PortalScope;

const NOW: &str = "2026-11-25T10:00:00Z";

fn settings(extra: &str) -> Spec {
    serde_json::from_str(&format!(r#"{{"domain": "acme-portal.com"{extra}}}"#)).unwrap()
}

fn good() -> Registration {
    Registration {
        expires: "2027-08-13T04:00:00Z".parse().ok(),
        status: vec!["client transfer prohibited".into()],
        registrar: Some(registrar("MarkMonitor Inc.", "292")),
        nameservers: Some(vec!["ns1.acme.net".into(), "ns2.acme.net".into()]),
        ds: Some(vec!["12345 13 2 ABCD".into()]),
        ..Registration::default()
    }
}

fn registrar(name: &str, id: &str) -> Registrar {
    Registrar { name: Some(name.into()), iana_id: (!id.is_empty()).then(|| id.to_owned()) }
}

fn facts(seen: Registration) -> Facts {
    let said = Said::Registration(Box::new(seen));
    let look = Look { url: "https://a.example/".into(), status: Some(200), redirects: vec![], said };
    Facts { domain: "acme-portal.com".into(), registry: Some(look), ..Facts::default() }
}

fn judge(spec: &Spec, seen: Registration, memory: Memory, at: &str) -> (Vec<Finding>, Memory) {
    let past = Past::of(memory);
    let judged = RegistrationKind::judge(spec, &facts(seen), &past, at.parse().unwrap());
    assert_eq!(judged.unknown, None);
    (judged.findings, judged.memory)
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|found| found.id.as_str()).collect()
}

/// What a first look with these statuses finds.
fn with_status(extra: &str, status: &[&str]) -> Vec<Finding> {
    let status = status.iter().map(|status| (*status).to_owned()).collect();
    judge(&settings(extra), Registration { status, ..good() }, Memory::default(), NOW).0
}

#[test]
fn a_domain_in_order_is_no_finding() {
    let (findings, memory) = judge(&settings(""), good(), Memory::default(), NOW);
    assert_eq!(findings, []);
    assert_eq!(memory.nameservers.unwrap().changed, None);
}

#[test]
fn an_expiry_is_an_error_within_thirty_days_and_critical_within_seven() {
    for (at, found) in [
        ("2027-07-14T04:00:00Z", None),
        ("2027-07-14T04:00:01Z", Some(("registration.expiring", Severity::Error, false))),
        ("2027-08-06T04:00:00Z", Some(("registration.expiring", Severity::Error, false))),
        ("2027-08-06T04:00:01Z", Some(("registration.expiring", Severity::Critical, false))),
        ("2027-08-13T03:59:59Z", Some(("registration.expiring", Severity::Critical, false))),
        ("2027-08-13T04:00:00Z", Some(("registration.expired", Severity::Critical, true))),
    ] {
        let (findings, _) = judge(&settings(""), good(), Memory::default(), at);
        let seen = findings.first().map(|one| (one.id.as_str(), one.severity, one.broken));
        assert_eq!((seen, findings.len() <= 1), (found, true), "{at}");
    }
}

#[test]
fn a_domain_out_of_the_dns_is_broken() {
    for (status, id) in [
        ("client hold", "registration.hold"),
        ("server hold", "registration.hold"),
        ("redemption period", "registration.redemption"),
        ("pending restore", "registration.redemption"),
        ("pending delete", "registration.pending_delete"),
    ] {
        let findings = with_status("", &[status, "server transfer prohibited"]);
        assert_eq!(ids(&findings), [id], "{status}");
        assert!(findings[0].broken && findings[0].severity == Severity::Critical);
    }
    let both = with_status("", &["pending delete", "redemption period"]);
    assert_eq!(ids(&both), ["registration.redemption"]);
}

#[test]
fn a_missing_lock_is_as_bad_as_the_config_says() {
    let severity = |extra: &str| with_status(extra, &["active"]).first().map(|found| found.severity);
    assert_eq!(severity(""), Some(Severity::Notice));
    assert_eq!(severity(r#", "lock": "required""#), Some(Severity::Warning));
    assert_eq!(severity(r#", "lock": "ignored""#), None);
    assert_eq!(with_status(r#", "lock": "required""#, &["server transfer prohibited"]), []);
}

#[test]
fn changed_name_servers_are_told_as_a_difference_until_they_have_settled() {
    let spec = settings("");
    let (_, learned) = judge(&spec, good(), Memory::default(), NOW);
    let other =
        Registration { nameservers: Some(vec!["ns1.acme.net".into(), "ns9.thief.net".into()]), ..good() };
    let (findings, memory) = judge(&spec, other.clone(), learned.clone(), "2026-11-26T10:00:00Z");
    assert_eq!(ids(&findings), ["registration.nameservers_changed"]);
    let found = &findings[0];
    assert_eq!((found.severity, found.broken), (Severity::Warning, false));
    assert!(found.summary.ends_with("since 2026-11-26: - ns2.acme.net + ns9.thief.net"), "{}", found.summary);
    assert_eq!(found.evidence["diff"], json!(["- ns2.acme.net", "+ ns9.thief.net"]));
    let (later, memory) = judge(&spec, other.clone(), memory, "2026-12-03T09:59:59Z");
    assert_eq!(later, findings);
    // A registry that leaves them out for once says nothing about them.
    let (findings, memory) =
        judge(&spec, Registration { nameservers: None, ..good() }, memory, "2026-12-03T10:00:00Z");
    assert!(findings.len() == 1 && !findings[0].measured, "{findings:#?}");
    assert_eq!(judge(&spec, good(), memory.clone(), "2026-12-03T10:00:00Z").0, []);
    let (findings, memory) = judge(&spec, other.clone(), memory, "2026-12-03T10:00:00Z");
    assert_eq!(findings, []);
    let (findings, _) = judge(&spec, good(), memory, "2026-12-04T10:00:00Z");
    assert_eq!(ids(&findings), ["registration.nameservers_changed"]);
}

#[test]
fn records_that_vanish_at_the_registry_are_told() {
    let spec = settings("");
    let (_, learned) = judge(&spec, good(), Memory::default(), NOW);
    let (findings, _) = judge(&spec, Registration { ds: Some(vec![]), ..good() }, learned, NOW);
    assert_eq!(ids(&findings), ["registration.ds_changed"]);
    assert!(findings[0].summary.ends_with(": - 12345 13 2 ABCD"), "{}", findings[0].summary);
}

#[test]
fn another_registrar_is_told_and_another_spelling_is_not() {
    let spec = settings("");
    let (_, learned) = judge(&spec, good(), Memory::default(), NOW);
    let with = |registrar: Registrar| {
        let seen = Registration { registrar: Some(registrar), ..good() };
        judge(&spec, seen, learned.clone(), NOW).0
    };
    assert_eq!(with(registrar("MARKMONITOR, INC", "292")), []);
    assert_eq!(with(registrar("markmonitor inc.", "")), []);
    let findings = with(registrar("Thief Ltd", "9999"));
    assert_eq!(ids(&findings), ["registration.registrar_changed"]);
    assert!(findings[0].summary.contains("- MarkMonitor Inc. (IANA 292) + Thief Ltd (IANA 9999)"));
}

#[test]
fn the_registrar_of_the_config_is_expected_from_the_first_look_on() {
    for (wanted, found) in [("markmonitor inc.", 0), ("292", 0), ("Gandi SAS", 1), ("29", 1)] {
        let spec = settings(&format!(r#", "registrar": "{wanted}""#));
        let (findings, _) = judge(&spec, good(), Memory::default(), NOW);
        assert_eq!(findings.len(), found, "{wanted}: {findings:#?}");
    }
    let spec = settings(r#", "registrar": "Gandi SAS""#);
    let (findings, _) = judge(&spec, Registration { registrar: None, ..good() }, Memory::default(), NOW);
    assert!(findings.len() == 1 && !findings[0].measured, "{findings:#?}");
}

#[test]
fn a_declared_day_that_is_old_is_pointed_out_but_not_judged() {
    let (findings, _) = judge(&settings(r#", "expires": "2026-08-13""#), good(), Memory::default(), NOW);
    assert_eq!(ids(&findings), ["registration.date_disagrees"]);
    assert_eq!(findings[0].severity, Severity::Info);
    assert_eq!(judge(&settings(r#", "expires": "2027-08-13""#), good(), Memory::default(), NOW).0, []);
    let own = Registration { registrar_expires: "2026-08-13T04:00:00Z".parse().ok(), ..good() };
    assert_eq!(ids(&judge(&settings(""), own, Memory::default(), NOW).0), ["registration.date_disagrees"]);
}

#[test]
fn facts_and_memory_survive_being_kept() {
    let spec = settings("");
    let seen = facts(good());
    let text = serde_json::to_string(&seen).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), seen);
    let (_, memory) = judge(&spec, good(), Memory::default(), NOW);
    let (_, memory) = judge(&spec, Registration { ds: Some(vec![]), ..good() }, memory, NOW);
    let text = serde_json::to_string(&memory).unwrap();
    assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
}

#[test]
fn the_expiry_is_exposed_as_long_as_it_is_known() {
    let now = NOW.parse().unwrap();
    assert_eq!(RegistrationKind::series(&Memory::default(), now), []);
    let (_, memory) = judge(&settings(""), good(), Memory::default(), NOW);
    let series = RegistrationKind::series(&memory, now);
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].doc.name, "portalwatch_registration_expiry_timestamp_seconds");
    assert_eq!(series[0].labels, [("domain", "acme-portal.com".to_owned())]);
    assert!((series[0].value - 1_818_129_600.0).abs() < 0.5, "{}", series[0].value);
    let undated = Registration { expires: None, ..good() };
    let (_, memory) = judge(&settings(""), undated, memory, NOW);
    assert_eq!(RegistrationKind::series(&memory, now), []);
}

#[test]
fn bad_settings_are_refused_with_the_way_out() {
    let refused = |text: &str| serde_json::from_str::<Spec>(text).unwrap_err().to_string();
    for (text, why) in [
        (r#"{}"#, "missing field `domain`"),
        (r#"{"domain": "portal.acme.com"}"#, "stands below acme.com"),
        (r#"{"domain": "co.uk"}"#, "public suffix"),
        (r#"{"domain": "a.com", "expires": "2027-02-30"}"#, "YYYY-MM-DD"),
        (r#"{"domain": "a.com", "expires": "13.08.2027"}"#, "YYYY-MM-DD"),
        (r#"{"domain": "a.com", "server": "rdap.example"}"#, "is no address"),
        (r#"{"domain": "a.com", "servers": {"c om": "https://a.example"}}"#, "no suffix"),
        (r#"{"domain": "a.com", "lock": "yes"}"#, "unknown variant"),
    ] {
        assert!(refused(text).contains(why), "{text}: {}", refused(text));
    }
}

fn scope() -> Scope {
    Scope {
        check: crate::model::CheckId::new("acme", "registration"),
        portal: std::sync::Arc::new(PortalScope::default()),
        timeout: std::time::Duration::from_secs(10),
        deadline: std::time::Duration::from_secs(60),
        resolvers: std::sync::Arc::new([]),
        tls: std::sync::Arc::default(),
        identity: None,
        triggered: None,
    }
}

#[test]
fn settings_that_would_be_ignored_are_refused() {
    let faults = |text: &str| -> BTreeMap<String, String> {
        let spec: Spec = serde_json::from_str(text).unwrap();
        let problems = RegistrationKind::validate(&spec, &scope());
        problems.into_iter().map(|problem| (problem.path.join("."), problem.message)).collect()
    };
    assert_eq!(faults(r#"{"domain": "a.com", "server": "https://a.example"}"#), BTreeMap::new());
    assert_eq!(faults(r#"{"domain": "acme.uk.com", "server": "https://a.example"}"#), BTreeMap::new());
    assert!(faults(r#"{"domain": "acme.uk.com"}"#)["domain"].contains("server: https"));
    let both = r#"{"domain": "a.com", "server": "https://a.example", "servers": {"com": "https://b.example"}, "bootstrap": "https://c.example/"}"#;
    assert_eq!(faults(both).keys().collect::<Vec<_>>(), ["bootstrap", "servers"]);
}

#[test]
fn hosts_and_commands_follow_the_settings() {
    let spec = settings(r#", "bootstrap": "https://data.iana.example/rdap/dns.json""#);
    assert_eq!(RegistrationKind::hosts(&spec, &scope()), ["rdap.verisign.com", "data.iana.example"]);
    let commands = RegistrationKind::reproduce(&settings(""), &scope());
    assert_eq!(
        commands[0],
        "curl -sSL --max-time 10 -H 'Accept: application/rdap+json' 'https://rdap.verisign.com/com/v1/domain/acme-portal.com'"
    );
}
