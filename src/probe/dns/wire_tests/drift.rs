//! What was learned and approved, over runs against two authorities.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::views::{look, of, zone};
use super::world::*;
use crate::formats::dns::RecordType;
use crate::model::{Baseline, Decision, Finding, Severity};
use crate::probe::dns::facts::Facts;
use crate::probe::dns::{Dns, Memory, Spec};
use crate::probe::{Kind as _, Past, Standing, Watched};

const DRIFT: [&str; 7] = [
    "dns.drift",
    "dns.drift_suspected",
    "dns.unapproved_change",
    "dns.mass_change",
    "dns.announced_missed",
    "dns.baselines_unread",
    "dns.unexpected",
];

/// A check over its runs, an hour apart, and what people decided meanwhile.
#[derive(Default)]
struct Check {
    memory: Memory,
    baselines: Vec<Baseline>,
    hour: u64,
}

impl Check {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(self.hour * 3_600)
    }

    fn run(&mut self, (spec, facts): &(Spec, Facts)) -> Vec<Finding> {
        self.hour += 1;
        let baselines = Ok(self.baselines.clone());
        self.judge((spec, facts), baselines)
    }

    fn judge(
        &mut self,
        (spec, facts): (&Spec, &Facts),
        baselines: Result<Vec<Baseline>, String>,
    ) -> Vec<Finding> {
        let written = serde_json::to_string(&self.memory).unwrap();
        let past = Past { memory: serde_json::from_str(&written).unwrap(), baselines };
        let judged = Dns::judge(spec, facts, &past, self.now());
        self.memory = judged.memory;
        judged.findings.into_iter().filter(|finding| DRIFT.contains(&finding.id.as_str())).collect()
    }

    fn standings(&self, spec: &Spec) -> Vec<Watched> {
        Dns::standings(spec, &self.memory, &self.baselines)
    }

    fn standing(&self, spec: &Spec, key: &str) -> Watched {
        self.standings(spec).into_iter().find(|watched| watched.key == key).unwrap()
    }

    /// A person approves all that can be.
    fn approve_all(&mut self, spec: &Spec) {
        let at = self.now();
        let decided = self.standings(spec).into_iter().filter_map(|watched| {
            let by = "ada".to_owned();
            let (key, why) = (watched.key, String::new());
            Some(Baseline { key, values: watched.present?, decision: Decision::Approved, by, at, why })
        });
        self.baselines.extend(decided);
    }

    /// One that learned a zone, and whose zone was approved.
    fn approved(seen: &(Spec, Facts)) -> Self {
        let mut check = Self::default();
        for _ in 0..3 {
            assert_eq!(lines(&check.run(seen)), [""; 0]);
        }
        let standings = check.standings(&seen.0);
        assert!(standings.iter().all(|watched| watched.standing == Standing::Provisional), "{standings:?}");
        check.approve_all(&seen.0);
        assert_eq!(lines(&check.run(seen)), [""; 0]);
        assert!(check.standings(&seen.0).iter().all(|watched| watched.standing == Standing::Same));
        check
    }
}

fn lines(findings: &[Finding]) -> Vec<String> {
    let measured = |finding: &Finding| if finding.measured { "" } else { " (not measured)" };
    findings.iter().map(|one| format!("{} {}{}", one.id, one.subject, measured(one))).collect()
}

fn learned() -> Value {
    json!({ "records": [{ "name": "www", "type": "A", "learned": true }] })
}

async fn seen(first: Vec<Entry>, second: Vec<Entry>) -> (Spec, Facts) {
    let resolver = first.clone();
    look(&learned(), first, second, resolver).await
}

async fn both(records: Vec<Entry>) -> (Spec, Facts) {
    seen(records.clone(), records).await
}

#[tokio::test]
async fn a_change_of_what_was_approved_is_told_once_it_is_certain_and_is_over_when_it_is_reverted() {
    let (old, new) = (zone(&["192.0.2.1"], vec![]), zone(&["192.0.2.2"], vec![]));
    let was = both(old.clone()).await;
    let mut check = Check::approved(&was);
    let key = "www.acme.example. A";
    assert_eq!(check.standing(&was.0, key).note, "approved by ada at 1970-01-01T03:00:00Z");

    for _ in 0..4 {
        let one = seen(new.clone(), old.clone()).await;
        assert_eq!(lines(&check.run(&one)), [""; 0], "a change on its way");
        assert_eq!(check.standing(&was.0, key).standing, Standing::Suspected);
    }
    let now = both(new).await;
    let first = check.run(&now);
    assert_eq!(lines(&first), ["dns.drift_suspected www.acme.example. A"]);
    assert!(!first[0].alerts());
    let second = check.run(&now);
    assert_eq!(lines(&second), ["dns.drift www.acme.example. A"]);
    let drift = &second[0];
    assert!(drift.alerts() && !drift.broken && drift.severity == Severity::Error);
    assert_eq!(drift.evidence["diff"], json!(["- 192.0.2.1", "+ 192.0.2.2"]));
    assert_eq!(
        drift.summary,
        "the authorities say 192.0.2.2 since 1970-01-01T09:00:00Z; ada approved 192.0.2.1"
    );
    assert_eq!(drift.evidence["vantages"].as_array().unwrap().len(), 2);
    assert_eq!(check.standing(&was.0, key).standing, Standing::Drifted);
    let exposed = Dns::series(&check.memory, check.now());
    let of_www = exposed.iter().find(|one| one.labels.iter().any(|label| label.1 == "www.acme.example"));
    assert!((of_www.unwrap().value - 1.0).abs() < f64::EPSILON);
    assert_eq!(lines(&check.run(&was)), [""; 0]);
}

#[tokio::test]
async fn nobody_who_answers_is_not_measured_and_a_drift_that_was_open_stays_open() {
    let was = both(zone(&["192.0.2.1"], vec![])).await;
    let mut check = Check::approved(&was);
    let now = both(zone(&["192.0.2.2"], vec![])).await;
    check.run(&now);
    check.run(&now);
    let mut gone = now;
    gone.1.authorities.clear();
    let found = check.run(&gone);
    assert!(found.iter().all(|finding| !finding.measured), "{found:?}");
    assert!(lines(&found).contains(&"dns.drift www.acme.example. A (not measured)".to_owned()));
    assert_eq!(check.standing(&gone.0, "www.acme.example. A").standing, Standing::Unmeasured);
}

#[tokio::test]
async fn decisions_that_cannot_be_read_are_told_and_nothing_is_taken_for_drift_or_for_mended() {
    let was = both(zone(&["192.0.2.1"], vec![])).await;
    let mut check = Check::approved(&was);
    let now = both(zone(&["192.0.2.2"], vec![])).await;
    check.run(&now);
    check.run(&now);
    let before = check.memory.sets.clone();
    let found = check.judge((&now.0, &now.1), Err("the disk is gone".into()));
    assert_eq!(
        lines(&found),
        ["dns.drift www.acme.example. A (not measured)", "dns.baselines_unread acme.example. (not measured)"]
    );
    assert_eq!(check.memory.sets, before);
}

#[tokio::test]
async fn a_name_that_is_gone_from_everywhere_is_broken_and_text_of_no_consequence_is_a_warning() {
    let was = both(zone(&["192.0.2.1"], vec![txt(ZONE, b"hello")])).await;
    let mut check = Check::approved(&was);
    let gone = both(zone(&[], vec![txt(ZONE, b"google-site-verification=x"), txt(ZONE, b"hello")])).await;
    check.run(&gone);
    let found = check.run(&gone);
    assert_eq!(lines(&found), ["dns.drift www.acme.example. A"]);
    assert!(found[0].broken, "{:?}", found[0]);
}

#[tokio::test]
async fn name_servers_and_mail_weigh_more_than_text() {
    let was = both(zone(&["192.0.2.1"], vec![])).await;
    let mut check = Check::approved(&was);
    let more = vec![to(ZONE, RecordType::NS, "ns.evil.example."), mx(ZONE, "mx.evil.example.")];
    let now = both(zone(&["192.0.2.1"], more)).await;
    check.run(&now);
    let found = check.run(&now);
    assert_eq!(lines(&found), ["dns.drift acme.example. NS", "dns.drift acme.example. MX"]);
    assert_eq!([found[0].severity, found[1].severity], [Severity::Critical, Severity::Error]);
}

#[tokio::test]
async fn an_announced_change_alerts_nobody_and_one_that_does_not_come_is_told() {
    let was = both(zone(&["192.0.2.1"], vec![])).await;
    let mut check = Check::approved(&was);
    let at = |hour: u64| (Timestamp::UNIX_EPOCH + Duration::from_secs(3_600 * hour)).to_string();
    let mut settings = learned();
    settings["announced"] = json!([{ "name": "www", "type": "A", "values": ["192.0.2.2"],
        "from": at(check.hour), "until": at(check.hour + 4) }]);
    let announce =
        async |records: Vec<Entry>| look(&settings, records.clone(), records.clone(), records).await;
    let (still, moved) =
        (announce(zone(&["192.0.2.1"], vec![])).await, announce(zone(&["192.0.2.2"], vec![])).await);
    let mut late =
        Check { memory: check.memory.clone(), baselines: check.baselines.clone(), hour: check.hour };
    for _ in 0..8 {
        assert_eq!(lines(&check.run(&moved)), [""; 0]);
    }
    check.run(&still);
    assert_eq!(lines(&check.run(&still)), ["dns.drift www.acme.example. A"], "back, long after");
    for _ in 0..3 {
        assert_eq!(lines(&late.run(&still)), [""; 0]);
    }
    assert_eq!(lines(&late.run(&still)), ["dns.announced_missed www.acme.example. A"]);
}

#[tokio::test]
async fn a_declared_set_may_become_what_was_announced() {
    let record = json!([{ "name": "www", "type": "A", "equals": ["192.0.2.1"] }]);
    let times = ("1970-01-01T00:00:00Z", "1970-01-01T02:00:00Z");
    let announced =
        json!([{ "name": "www", "type": "A", "values": ["192.0.2.2"], "from": times.0, "until": times.1 }]);
    let settings = json!({ "records": record, "announced": announced });
    let new = zone(&["192.0.2.2"], vec![]);
    let now = look(&settings, new.clone(), new.clone(), new).await;
    let mut check = Check::default();
    assert_eq!(lines(&check.run(&now)), [""; 0]);
    assert_eq!(lines(&check.run(&now)), ["dns.unexpected www.acme.example. A"]);
    assert_eq!(check.standing(&now.0, "www.acme.example. A").standing, Standing::Drifted);
}

#[tokio::test]
async fn a_zone_that_is_something_else_altogether_is_told_as_that() {
    let hosts: Vec<Entry> = (0..8).map(|n| a(&format!("h{n}.acme.example."), "192.0.2.1")).collect();
    let names: Vec<Value> =
        (0..8).map(|n| json!({ "name": format!("h{n}"), "type": "A", "learned": true })).collect();
    let settings = json!({ "records": names });
    let of_hosts = async |hosts: Vec<Entry>| {
        let records = zone(&["192.0.2.1"], hosts);
        look(&settings, records.clone(), records.clone(), records).await
    };
    let was = of_hosts(hosts).await;
    let mut check = Check::approved(&was);
    let moved: Vec<Entry> = (0..8).map(|n| a(&format!("h{n}.acme.example."), "198.51.100.1")).collect();
    let now = of_hosts(moved).await;
    assert!(of(&check.run(&now), "dns.mass_change").is_empty(), "one look may be a slip");
    let found = check.run(&now);
    let mass = of(&found, "dns.mass_change");
    assert_eq!(mass.len(), 1);
    assert_eq!(mass[0].summary, "8 of 16 approved record sets are something else at once");
    assert!(mass[0].severity == Severity::Critical && mass[0].alerts());
}

#[tokio::test]
async fn nothing_is_learned_where_the_settings_say_so() {
    let records = zone(&["192.0.2.1"], vec![]);
    let off = look(&json!({ "learn": false }), records.clone(), records.clone(), records).await;
    let mut check = Check::default();
    for _ in 0..5 {
        check.run(&off);
    }
    let standings = check.standings(&off.0);
    assert!(standings.iter().all(|watched| watched.standing == Standing::Learning));
    assert!(standings.iter().all(|watched| watched.note.contains("learn: false")), "{standings:?}");
}

/// A hundred runs against two authorities that serve three of eight in turns.
#[tokio::test]
async fn a_pool_that_is_served_in_turns_does_not_drift_in_a_hundred_runs() {
    let mut check = Check::default();
    let mut spec = None;
    for turn in 0..130_u64 {
        let of_turn = |from: u64| {
            let some: Vec<String> = (0..3).map(|n| format!("192.0.2.{}", 1 + (from + n) % 8)).collect();
            zone(&some.iter().map(String::as_str).collect::<Vec<_>>(), vec![])
        };
        let now = seen(of_turn(turn * 3), of_turn(turn * 5 + 1)).await;
        let found = check.run(&now);
        assert_eq!(lines(&found), [""; 0], "turn {turn}");
        if turn == 29 {
            let www = check.standing(&now.0, "www.acme.example. A");
            assert_eq!((www.standing, www.present.unwrap().len()), (Standing::Provisional, 8));
            check.approve_all(&now.0);
        }
        spec = Some(now.0);
    }
    assert_eq!(check.standing(&spec.unwrap(), "www.acme.example. A").standing, Standing::Same);
}

#[tokio::test]
async fn a_time_to_live_below_what_is_declared_is_told_after_five_looks() {
    let records = zone(&["192.0.2.1"], vec![]);
    for (least, told) in [("5m", false), ("1h", true)] {
        let settings =
            json!({ "records": [{ "name": "www", "type": "A", "learned": true, "min_ttl": least }] });
        let (spec, facts) = look(&settings, records.clone(), records.clone(), records.clone()).await;
        let mut past = Past::of(Memory::default());
        let mut low = Vec::new();
        for _ in 0..5 {
            let judged = Dns::judge(&spec, &facts, &past, Timestamp::UNIX_EPOCH);
            low.push(of(&judged.findings, "dns.ttl_low").first().map(|one| one.summary.clone()));
            past = Past::of(judged.memory);
        }
        assert!(low[..4].iter().all(Option::is_none), "{low:?}");
        let summary = told.then(|| "others may keep it for 300 s, less than 3600 s".to_owned());
        assert_eq!(low[4], summary, "{least}");
    }
}

#[tokio::test]
async fn a_check_that_is_pointed_at_another_zone_does_not_miss_the_keys_of_the_old_one() {
    let (spec, facts) = both(zone(&["192.0.2.1"], vec![])).await;
    let lost = |findings: &[Finding]| !of(findings, "dns.dnssec_lost").is_empty();
    let first = Dns::judge(&spec, &facts, &Past::of(Memory::default()), Timestamp::UNIX_EPOCH);
    let secure = Memory { secure: true, ..first.memory };
    let same = Dns::judge(&spec, &facts, &Past::of(secure.clone()), Timestamp::UNIX_EPOCH);
    assert!(lost(&same.findings));
    let mut other = facts;
    other.zone = name("other.example.");
    let moved = Dns::judge(&spec, &other, &Past::of(secure), Timestamp::UNIX_EPOCH);
    assert!(!lost(&moved.findings) && !moved.memory.secure, "{:#?}", moved.findings);
}
