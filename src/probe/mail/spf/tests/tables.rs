//! Tables of checkdmarc and mox: records as they stand, and which TXT record is the one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::findings::of_record;
use super::super::{Checked, Sender, Verdict, check_host};
use super::suite::Zone;
use crate::formats::spf::Record;
use crate::formats::vectors::{cases, expected};
use crate::model::Finding;

/// What the tables call a notice and what we find, or nothing where we depart from them, and why.
const NOTICES: &[(&str, Option<&str>, &str)] = &[
    ("ptr-used", Some("spf.ptr"), "RFC 7208 section 5.5"),
    ("no-all", Some("spf.permissive"), "RFC 7208 section 4.7"),
    ("multiple-records", Some("spf.invalid"), "RFC 7208 section 4.5"),
    ("dns-error", Some("spf.invalid"), "RFC 7208 section 2.6.6"),
    ("leading-whitespace", Some("spf.missing"), "RFC 7208 section 4.5: such a text is no SPF record"),
    ("address-missing", None, "RFC 7208 section 4.6.4: one of two lookups that may find nothing"),
    ("parked", None, "that the domain sends nothing is not known to the record"),
    ("exp-multiple", None, "RFC 7208 section 6.2: as if there were no exp"),
    ("sender-id", None, "RFC 7208 section 4.5 passes it over; Sender ID is RFC 4406"),
    ("type-99", None, "RFC 7208 section 3.1: records of type SPF are not asked for"),
    ("record-over-512-octets", None, "RFC 7208 section 3.4 only recommends it; TCP carries more"),
];

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The names of a case, with its own record at its domain.
fn zone(case: &Value, records: &[Vec<String>]) -> Zone {
    let domain = case["domain"].as_str().unwrap();
    let mut zone = Zone::default();
    for failing in texts(&case["dns_failures"]) {
        zone.silence(failing.split_once(' ').unwrap().1);
    }
    for record in records {
        zone.add(domain, "TXT", record.clone());
    }
    for (name, kinds) in case["zone"].as_object().into_iter().flatten() {
        for (kind, data) in kinds.as_object().unwrap() {
            if name == domain && kind == "TXT" {
                continue;
            }
            for data in texts(data) {
                let parts: Vec<&str> = if kind == "MX" { data.split(' ').collect() } else { vec![&data] };
                zone.add(name, kind, parts.into_iter().map(str::to_owned).collect());
            }
        }
    }
    zone
}

async fn check(zone: &Zone, domain: &str, ip: &str) -> Checked {
    let mail_from = format!("postmaster@{domain}");
    let sender = Sender {
        ip: ip.parse().unwrap(),
        mail_from: &mail_from,
        helo: domain,
        receiver: "receiver.example",
        time: 0,
    };
    check_host(zone, &sender).await
}

/// As seen by a sender of either family that no record names.
async fn seen(zone: &Zone, domain: &str) -> (Checked, Checked, Vec<Finding>) {
    let v4 = check(zone, domain, "203.0.113.254").await;
    let v6 = check(zone, domain, "2001:db8:ffff::fffe").await;
    let findings = of_record(domain, &v4, &v6);
    (v4, v6, findings)
}

/// What differs, and which notices came up.
#[derive(Default)]
struct Ledger {
    faults: Vec<String>,
    notices: BTreeSet<String>,
}

impl Ledger {
    fn same(&mut self, id: &str, what: &str, holds: bool, said: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(format!("{id}: {what}: {}", said()));
        }
    }

    fn notices(&mut self, id: &str, case: &Value, findings: &[Finding]) {
        for flag in texts(&case["flags"]) {
            let Some((_, ours, _)) = NOTICES.iter().find(|(known, ..)| *known == flag) else {
                self.faults.push(format!("{id}: nobody knows the notice {flag}"));
                continue;
            };
            let found = |ours: &str| findings.iter().any(|finding| finding.id.as_str() == ours);
            self.same(id, &flag, ours.is_none_or(found), || format!("{findings:?}"));
            self.notices.insert(flag);
        }
    }
}

/// What a record does with those it does not name, by its own `all` or that of its redirect.
fn all(checked: &Checked) -> Option<&'static str> {
    matches!(checked.verdict, Verdict::Pass | Verdict::Fail | Verdict::SoftFail | Verdict::Neutral)
        .then(|| checked.verdict.as_str())
}

#[tokio::test]
async fn records_are_judged_as_the_tables_expect() {
    let test = "records_are_judged_as_the_tables_expect";
    let mut ledger = Ledger::default();
    let table = cases("spf/records.json", test);
    for case in &table {
        let (id, domain) = (case["id"].as_str().unwrap(), case["domain"].as_str().unwrap());
        let text = case["record"].as_str().unwrap();
        let strings = Some(texts(&case["strings"])).filter(|strings| !strings.is_empty());
        let strings = strings.unwrap_or_else(|| vec![text.to_owned()]);
        assert_eq!(strings.concat(), text, "{id}");
        let record = Record::parse(text.as_bytes());
        let (v4, v6, findings) = seen(&zone(case, &[strings]), domain).await;
        // A case without names is about the record alone.
        let alone = case["zone"].is_null();
        let said = match (&record, v4.verdict) {
            (Err(_), _) => "invalid",
            (Ok(_), Verdict::PermError) if !alone => "invalid",
            (Ok(_), Verdict::TempError) => "unknown",
            (Ok(_), _) => "valid",
        };
        ledger.same(id, "expect", expected(case, said), || format!("{said}: {}", v4.why));
        if said == "invalid" {
            let told = findings.iter().any(|finding| finding.id.as_str().starts_with("spf."));
            ledger.same(id, "finding", told, || format!("{findings:?}"));
        }
        if let (Ok(record), Some(wanted)) = (&record, case["dns_lookups"].as_u64()) {
            let terms = record.directives.iter().filter(|one| one.mechanism.looks_up()).count();
            let own = terms + usize::from(record.redirect.is_some());
            let count = if alone { own } else { v4.lookups.max(v6.lookups) };
            ledger.same(id, "dns_lookups", u64::try_from(count).unwrap() == wanted, || count.to_string());
        }
        if let Some(wanted) = case["void_lookups_min"].as_u64() {
            let count = v4.voids.max(v6.voids);
            ledger.same(id, "void_lookups", u64::try_from(count).unwrap() >= wanted, || count.to_string());
        }
        if let Some(wanted) = case["all"].as_str() {
            ledger.same(id, "all", all(&v4) == Some(wanted), || format!("{:?}", v4.verdict));
        }
        if let (Ok(record), Some(wanted)) = (&record, case["terms"].as_array()) {
            let count = record.directives.len() + record.unknown.len();
            let count =
                count + usize::from(record.redirect.is_some()) + usize::from(record.explanation.is_some());
            ledger.same(id, "terms", count == wanted.len(), || count.to_string());
        }
        if case["warnings"] == 0 && !alone {
            ledger.same(id, "warnings", findings.is_empty(), || format!("{findings:?}"));
        }
        ledger.notices(id, case, &findings);
    }
    if table.is_empty() {
        return;
    }
    let table_of_choice = choices(test, &mut ledger).await;
    assert!(ledger.faults.is_empty(), "{}", ledger.faults.join("\n"));
    assert_eq!((table.len(), table_of_choice), (61, 13));
    for (notice, ..) in NOTICES {
        assert!(ledger.notices.contains(*notice), "no case has the notice {notice}");
    }
}

/// The other table; how many cases it has.
async fn choices(test: &str, ledger: &mut Ledger) -> usize {
    let table = cases("spf/discovery.json", test);
    for case in &table {
        let (id, domain) = (case["id"].as_str().unwrap(), case["domain"].as_str().unwrap());
        let records: Vec<_> = texts(&case["txt_records"]).into_iter().map(|text| vec![text]).collect();
        let (v4, _, findings) = seen(&zone(case, &records), domain).await;
        let said = match v4.verdict {
            Verdict::None => "none",
            Verdict::PermError => "invalid",
            Verdict::TempError => "unknown",
            _ => "found",
        };
        ledger.same(id, "expect", expected(case, said), || format!("{said}: {}", v4.why));
        if let Some(wanted) = case["record"].as_str() {
            let chosen = v4.trace.record.as_deref();
            ledger.same(id, "record", chosen == Some(wanted), || format!("{chosen:?}"));
        }
        ledger.notices(id, case, &findings);
    }
    table.len()
}
