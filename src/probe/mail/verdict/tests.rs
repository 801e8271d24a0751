use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::formats::dns::{Name, RecordType};
use crate::model::Phase;
use crate::model::{Baseline, Cause, Decision, Severity};
use crate::probe::mail::facts::{
    Answered, Arrived, Bimi, Came, DaneRow, DaneSaid, Dkim, Dmarc, Exchange, Fetched, Key, MtaSts, Mx,
    Reached, RoundTrip, Says, Shown, StsPolicy,
};
use crate::probe::mail::round_trip::signatures::{Signature, SignatureResult};
use crate::probe::mail::spec::{Require, Selector};
use crate::probe::mail::spf::{Authorized, Checked, Node, Verdict as SpfVerdict};
use crate::probe::web::facts::{Failure, FailureKind};

fn looked(name: &str, kind: RecordType, values: &[&str]) -> Looked {
    Looked {
        name: name.to_owned(),
        kind,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        aliases: Vec::new(),
        exists: true,
        secure: false,
        bytes: 100,
        ttl: 60,
        unmeasured: None,
    }
}

fn silent(looked: &mut Looked) {
    looked.values.clear();
    looked.exists = false;
    looked.unmeasured = Some(skipped());
}

fn skipped() -> Skipped {
    Skipped { cause: Cause::Blocked, why: "timed out".to_owned(), no_route: false }
}

fn checked(verdict: SpfVerdict) -> Checked {
    let record = Some("v=spf1 ip4:192.0.2.0/24 -all".to_owned());
    let trace = Node { record, ..Node::of("acme.example".to_owned()) };
    Checked { verdict, why: "words".to_owned(), explanation: None, trace, lookups: 0, voids: 0 }
}

/// What is seen of a domain where everything is right, though no mail exchange was spoken to.
fn right() -> Facts {
    let txt = |name: &str, value: &str| looked(name, RecordType::TXT, &[value]);
    let key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    Facts {
        domain: "acme.example".to_owned(),
        spf: Some(Spf {
            texts: txt("acme.example", "v=spf1 ip4:192.0.2.0/24 -all"),
            old: looked("acme.example", RecordType(99), &[]),
            v4: checked(SpfVerdict::Fail),
            v6: checked(SpfVerdict::Fail),
            authorized: Some(authorized(&["192.0.2.0/24"])),
            owners: Vec::new(),
        }),
        senders: Vec::new(),
        dkim: Some(Dkim {
            selectors: vec![Key { selector: "s1".to_owned(), texts: txt("s1._domainkey.acme.example", key) }],
            below: looked("_domainkey.acme.example", RecordType::TXT, &[]),
        }),
        dmarc: Some(Dmarc {
            walk: vec![
                txt("_dmarc.acme.example", "v=DMARC1; p=reject; rua=mailto:a@acme.example"),
                looked("_dmarc.example", RecordType::TXT, &[]),
            ],
            others: Vec::new(),
            apex: txt("acme.example", "v=spf1 ip4:192.0.2.0/24 -all"),
            destinations: Vec::new(),
        }),
        mx: Some(Mx {
            records: looked("acme.example", RecordType::MX, &["10 mail.acme.example"]),
            hosts: vec![Exchange {
                name: "mail.acme.example".to_owned(),
                preference: 10,
                addresses: vec![looked("mail.acme.example", RecordType::A, &["192.0.2.1"])],
                tlsa: looked("_25._tcp.mail.acme.example", RecordType::TLSA, &[]),
                reached: Vec::new(),
            }],
        }),
        mta_sts: Some(MtaSts {
            record: txt("_mta-sts.acme.example", "v=STSv1; id=1"),
            policy: Some(policy("enforce", "a")),
        }),
        tls_rpt: Some(txt("_smtp._tls.acme.example", "v=TLSRPTv1; rua=mailto:a@acme.example")),
        bimi: Some(Bimi {
            record: looked("default._bimi.acme.example", RecordType::TXT, &[]),
            logo: None,
            evidence: None,
        }),
        round_trip: None,
    }
}

fn authorized(networks: &[&str]) -> Authorized {
    let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    Authorized { networks, ..Authorized::default() }
}

fn policy(mode: &str, sha256: &str) -> Fetched {
    Fetched::Answer(Answered {
        status: 200,
        content_type: Some("text/plain; charset=utf-8".to_owned()),
        location: None,
        bytes: 80,
        cut: false,
        sha256: sha256.to_owned(),
        says: Says::Policy(StsPolicy {
            mode: mode.to_owned(),
            mx: vec!["mail.acme.example".to_owned()],
            max_age: 1_209_600,
            again: Vec::new(),
        }),
    })
}

fn spec() -> Spec {
    Spec {
        dkim_selectors: vec![Selector("s1".to_owned())],
        ..Spec::of_domain("acme.example".parse::<Name>().unwrap())
    }
}

/// A domain over time.
struct Story {
    spec: Spec,
    baselines: Vec<Baseline>,
    memory: Memory,
    now: Timestamp,
}

impl Story {
    fn new(spec: Spec) -> Self {
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        Self { spec, baselines: Vec::new(), memory: Memory::default(), now }
    }

    /// One run, an hour after the one before; ids and subjects of what was found, unmeasured ones in brackets.
    fn run(&mut self, facts: &Facts) -> Vec<String> {
        self.look(facts)
            .0
            .iter()
            .map(|finding| {
                let text = format!("{} {}", finding.id, finding.subject);
                if finding.measured { text } else { format!("({text})") }
            })
            .collect()
    }

    fn look(&mut self, facts: &Facts) -> (Vec<Finding>, Option<Unmeasured>) {
        self.now += SignedDuration::from_hours(1);
        let baselines = Ok(self.baselines.clone());
        let case = Case { spec: &self.spec, facts, baselines: &baselines, now: self.now };
        let (findings, memory, unknown) = judge(&case, &self.memory);
        self.memory = memory;
        (findings, unknown)
    }

    fn approve(&mut self, key: &str, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let (by, why, decision) = ("ada".to_owned(), String::new(), Decision::Approved);
        self.baselines.push(Baseline { key: key.to_owned(), values, decision, by, at: self.now, why });
    }
}

/// Makes one question of many unanswered.
type Silence = fn(&mut Facts);

const SILENCES: &[(Silence, &str)] = &[
    (|facts| silent(&mut facts.spf.as_mut().unwrap().texts), "spf."),
    (|facts| facts.spf.as_mut().unwrap().v4.verdict = SpfVerdict::TempError, "spf."),
    (|facts| silent(&mut facts.dkim.as_mut().unwrap().selectors[0].texts), "dkim."),
    (|facts| silent(&mut facts.dmarc.as_mut().unwrap().walk[0]), "dmarc."),
    (|facts| silent(&mut facts.mx.as_mut().unwrap().records), "mx."),
    (|facts| silent(&mut facts.mta_sts.as_mut().unwrap().record), "mta_sts."),
    (|facts| facts.mta_sts.as_mut().unwrap().policy = Some(Fetched::Unmeasured(skipped())), "mta_sts."),
    (|facts| silent(facts.tls_rpt.as_mut().unwrap()), "tls_rpt."),
    (|facts| silent(&mut facts.bimi.as_mut().unwrap().record), "bimi."),
];

#[test]
fn silence_is_never_a_missing_record_and_what_was_open_stays_open() {
    assert_eq!(Story::new(spec()).run(&right()), Vec::<String>::new());
    for (silence, family) in SILENCES {
        let mut facts = right();
        silence(&mut facts);
        let found = Story::new(spec()).run(&facts);
        assert!(!found.is_empty() && found.iter().all(|one| one.starts_with('(')), "{family}: {found:?}");

        let mut story = Story::new(spec());
        story.memory.domain = "acme.example".to_owned();
        let doc = docs::ALL.iter().find(|doc| doc.id.starts_with(family)).unwrap();
        story.memory.standing = vec![(doc.id.to_owned(), "somebody".to_owned())];
        let held = format!("({} somebody)", doc.id);
        for _ in 0..2 {
            assert!(story.run(&facts).contains(&held), "{family}");
        }
        assert_eq!(story.run(&right()), Vec::<String>::new(), "{family}");
    }
}

#[test]
fn without_any_answer_the_run_says_nothing() {
    let mut facts = right();
    for (silence, _) in SILENCES {
        silence(&mut facts);
    }
    silent(&mut facts.dkim.as_mut().unwrap().below);
    let (findings, unknown) = Story::new(spec()).look(&facts);
    assert!(findings.iter().all(|finding| !finding.measured));
    assert_eq!(unknown.unwrap().cause, Cause::Blocked);
}

#[test]
fn what_is_required_and_cannot_be_asked_for_makes_the_run_unknown() {
    let require =
        Require { dmarc: Some(crate::probe::mail::spec::DmarcPolicy::Reject), ..Require::default() };
    let mut story = Story::new(Spec { require, ..spec() });
    assert_eq!(story.look(&right()), (Vec::new(), None));
    let mut facts = right();
    silent(&mut facts.dmarc.as_mut().unwrap().walk[0]);
    assert!(story.look(&facts).1.unwrap().why.contains("dmarc is required"));
    let weaker = ["v=DMARC1; p=quarantine; rua=mailto:a@acme.example".to_owned()];
    facts.dmarc.as_mut().unwrap().walk[0] =
        Looked { values: weaker.to_vec(), ..looked("_dmarc.acme.example", RecordType::TXT, &[]) };
    assert_eq!(story.run(&facts), ["mail.required acme.example dmarc"]);
}

#[test]
fn a_policy_that_changes_without_a_new_id_is_told_until_there_is_one() {
    let mut story = Story::new(spec());
    let with = |id: &str, digest: &str| {
        let mut facts = right();
        let sts = facts.mta_sts.as_mut().unwrap();
        sts.record.values = vec![format!("v=STSv1; id={id}")];
        sts.policy = Some(policy("enforce", digest));
        facts
    };
    assert_eq!(story.run(&with("1", "a")), Vec::<String>::new());
    let told = ["mta_sts.id_unchanged _mta-sts.acme.example"];
    assert_eq!(story.run(&with("1", "b")), told);
    assert_eq!(story.run(&with("1", "b")), told);
    assert_eq!(story.run(&with("2", "b")), Vec::<String>::new());
    assert_eq!(story.run(&with("3", "b")), ["mta_sts.id_only _mta-sts.acme.example"]);
    assert_eq!(story.run(&with("3", "b")), Vec::<String>::new());
}

#[test]
fn a_policy_that_is_only_tried_for_long_and_a_key_that_is_old_are_noticed() {
    let mut story = Story::new(spec());
    let mut facts = right();
    facts.mta_sts.as_mut().unwrap().policy = Some(policy("testing", "a"));
    assert_eq!(story.run(&facts), Vec::<String>::new());
    story.now += SignedDuration::from_hours(24 * 91);
    assert_eq!(story.run(&facts), ["mta_sts.testing mta-sts.acme.example"]);
    story.now += SignedDuration::from_hours(24 * 300);
    assert_eq!(
        story.run(&facts),
        ["dkim.old_key s1._domainkey.acme.example", "mta_sts.testing mta-sts.acme.example"]
    );
}

#[test]
fn silence_at_port_25_may_be_our_own_network() {
    let refused = |kind| Failure { phase: Phase::Connect, kind, detail: String::new(), address: None };
    let reached = |port: u16, came| Reached { address: ([192, 0, 2, 1], port).into(), came };
    let with = |all: Vec<Came>| {
        let mut facts = right();
        facts.mx.as_mut().unwrap().hosts[0].reached = all.into_iter().map(|came| reached(25, came)).collect();
        facts
    };
    let silent = || Came::Failed(refused(FailureKind::Timeout));
    let closed = || Came::Failed(refused(FailureKind::Refused));
    assert_eq!(Story::new(spec()).run(&with(vec![silent()])), ["(mx.unmeasured acme.example)"]);
    let (findings, _) = Story::new(spec()).look(&with(vec![closed(), silent()]));
    let down = findings.iter().filter(|finding| finding.id.as_str() == "mx.unreachable");
    assert!(down.clone().count() == 2 && down.clone().all(|finding| finding.broken), "{findings:?}");
    let sts = findings.iter().find(|finding| finding.id.as_str() == "mta_sts.mx_certificate").unwrap();
    assert!(sts.broken && sts.severity == Severity::Critical);
}

#[test]
fn what_was_approved_is_held_and_what_others_change_is_a_warning() {
    let mut story = Story::new(Spec { learn: true, ..spec() });
    for _ in 0..3 {
        story.run(&right());
    }
    assert!(story.run(&right()).contains(&"mail.to_approve acme.example".to_owned()));
    story.approve("_dmarc.acme.example TXT", &["v=DMARC1; p=reject; rua=mailto:a@acme.example"]);
    story.approve("acme.example SPF-addresses", &["192.0.2.0/24"]);
    let mut facts = right();
    facts.dmarc.as_mut().unwrap().walk[0].values =
        vec!["v=DMARC1; p=quarantine; rua=mailto:a@acme.example".to_owned()];
    facts.spf.as_mut().unwrap().authorized = Some(authorized(&["192.0.2.0/24", "198.51.100.0/24"]));
    let drift = |findings: &[Finding], id: &str| {
        let own = findings.iter().filter(|finding| finding.id.as_str() == id);
        own.map(|finding| (finding.subject.clone(), finding.severity)).collect::<Vec<_>>()
    };
    let (first, _) = story.look(&facts);
    assert_eq!(drift(&first, "mail.drift_suspected").len(), 2, "{first:?}");
    let (second, _) = story.look(&facts);
    assert_eq!(
        drift(&second, "mail.drift"),
        [
            ("acme.example SPF-addresses".to_owned(), Severity::Warning),
            ("_dmarc.acme.example TXT".to_owned(), Severity::Error)
        ]
    );
    let dmarc = second.iter().find(|finding| finding.subject.starts_with("_dmarc")).unwrap();
    assert_eq!(
        dmarc.lines(Finding::DIFF).collect::<Vec<_>>(),
        [
            "- v=DMARC1; p=reject; rua=mailto:a@acme.example",
            "+ v=DMARC1; p=quarantine; rua=mailto:a@acme.example"
        ]
    );
    // Not to be asked is not to be as before.
    let mut unasked = facts.clone();
    silent(&mut unasked.dmarc.as_mut().unwrap().walk[0]);
    assert!(story.run(&unasked).contains(&"(mail.drift _dmarc.acme.example TXT)".to_owned()));
    story.look(&right());
    let (back, _) = story.look(&right());
    assert!(drift(&back, "mail.drift").is_empty(), "{back:?}");
}

#[test]
fn a_part_that_alerts_is_exposed_and_one_that_is_not_known_stays_as_it_was() {
    let mut story = Story::new(spec());
    story.run(&right());
    let shown = |story: &Story| {
        let own = exposed::series(&story.memory).into_iter();
        own.map(|series| (series.labels[1].1.clone(), series.value)).collect::<Vec<_>>()
    };
    let all = |dmarc| {
        [("dkim", 1.0), ("dmarc", dmarc), ("mta_sts", 1.0), ("mx", 1.0), ("spf", 1.0), ("tls_rpt", 1.0)]
            .map(|(policy, value)| (policy.to_owned(), value))
    };
    assert_eq!(shown(&story), all(1.0));
    let mut facts = right();
    facts.dmarc.as_mut().unwrap().walk[0].values.clear();
    story.run(&facts);
    assert_eq!(shown(&story), all(0.0));
    silent(&mut facts.dmarc.as_mut().unwrap().walk[0]);
    story.run(&facts);
    assert_eq!(shown(&story), all(0.0));
}

#[test]
fn a_sender_that_authenticates_something_else_fails_dmarc() {
    let sender = |mail_from: &str, dkim: Option<&str>| {
        let written = serde_json::json!({ "ip": "192.0.2.1", "mail_from": mail_from, "dkim": dkim });
        serde_json::from_value::<crate::probe::mail::spec::SenderSpec>(written).unwrap()
    };
    let with = |mail_from: &str, dkim: Option<&str>, record: &str| {
        let mut story = Story::new(Spec { senders: vec![sender(mail_from, dkim)], ..spec() });
        let mut facts = right();
        facts.dmarc.as_mut().unwrap().walk[0].values = vec![record.to_owned()];
        story.run(&facts)
    };
    let relaxed = "v=DMARC1; p=reject; rua=mailto:a@acme.example";
    let strict = "v=DMARC1; p=reject; aspf=s; rua=mailto:a@acme.example";
    assert_eq!(with("b@bounce.acme.example", None, relaxed), Vec::<String>::new());
    let refused = |from: &str| [format!("dmarc.alignment 192.0.2.1 as {from}")];
    assert_eq!(with("b@bounce.acme.example", None, strict), refused("b@bounce.acme.example"));
    assert_eq!(with("b@bounce.acme.example", Some("acme.example"), strict), Vec::<String>::new());
    assert_eq!(with("b@other.example", None, relaxed), refused("b@other.example"));
}

#[test]
fn a_mark_certificate_must_be_for_the_domain_and_the_logo() {
    use crate::probe::mail::facts::Mark;
    let answered = |says: Says, sha256: &str| {
        let Fetched::Answer(answer) = policy("enforce", sha256) else { unreachable!() };
        Some(Fetched::Answer(Answered { says, ..answer }))
    };
    let mark = || Mark {
        for_marks: true,
        names: vec!["acme.example".to_owned()],
        not_after: Some(4_000_000_000),
        logo: Some("a".to_owned()),
        certificates: 2,
    };
    let with = |mark: Mark, flaws: Vec<(String, bool)>, p: &str| {
        let mut facts = right();
        facts.dmarc.as_mut().unwrap().walk[0].values =
            vec![format!("v=DMARC1; p={p}; rua=mailto:a@acme.example")];
        let bimi = facts.bimi.as_mut().unwrap();
        bimi.record.values = vec!["v=BIMI1; l=https://a.example/l.svg; a=https://a.example/c.pem".to_owned()];
        bimi.logo = answered(Says::Logo(flaws), "a");
        bimi.evidence = answered(Says::Mark(mark), "b");
        let found = Story::new(spec()).run(&facts);
        found.into_iter().filter(|one| one.starts_with("bimi.")).collect::<Vec<_>>()
    };
    let told = |id: &str| vec![format!("{id} default._bimi.acme.example")];
    assert_eq!(with(mark(), Vec::new(), "reject"), Vec::<String>::new());
    assert_eq!(with(mark(), vec![("it has no title".to_owned(), true)], "reject"), told("bimi.logo"));
    assert_eq!(with(mark(), Vec::new(), "none"), told("bimi.policy"));
    for wrong in [
        Mark { for_marks: false, ..mark() },
        Mark { names: vec!["other.example".to_owned()], ..mark() },
        Mark { not_after: Some(1), ..mark() },
        Mark { logo: Some("c".to_owned()), ..mark() },
    ] {
        assert_eq!(with(wrong, Vec::new(), "reject"), told("bimi.evidence"));
    }
}

/// What is changed in a domain where everything is right, and what is found then beside nothing.
type Change = (fn(&mut Facts), &'static [&'static str]);

const ED25519: &str = "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const RSA_1024: &str = "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

fn key(facts: &mut Facts, text: String) {
    facts.dkim.as_mut().unwrap().selectors[0].texts.values = vec![text];
}

fn dmarc(facts: &mut Facts, texts: &[&str]) {
    let values = texts.iter().map(|text| (*text).to_owned());
    facts.dmarc.as_mut().unwrap().walk[0].values = values.collect();
}

/// TLSA records that DNSSEC vouches for, and what they say of the chain that was shown.
fn dane(facts: &mut Facts, values: &[&str], said: DaneSaid, secure: bool) {
    let mx = facts.mx.as_mut().unwrap();
    let host = &mut mx.hosts[0];
    host.tlsa.values = values.iter().map(|value| (*value).to_owned()).collect();
    let rows = values.iter().map(|value| DaneRow { record: (*value).to_owned(), said: said.clone() });
    let shown = Shown { sha256: "a".to_owned(), invalid: None, not_after: None, dane: rows.collect() };
    host.reached = vec![Reached { address: ([192, 0, 2, 1], 25).into(), came: Came::Shown(shown) }];
    (mx.records.secure, host.tlsa.secure, host.addresses[0].secure) = (secure, secure, secure);
}

const CHANGES: &[Change] = &[
    (|facts| facts.spf.as_mut().unwrap().texts.exists = false, &["mail.no_domain"]),
    (|facts| facts.spf.as_mut().unwrap().v6.voids = 3, &["spf.void_lookups"]),
    (|facts| facts.spf.as_mut().unwrap().old.values.push("x".to_owned()), &["spf.old_record"]),
    (|facts| facts.spf.as_mut().unwrap().texts.bytes = 1_300, &["spf.size"]),
    (
        |facts| {
            facts.spf.as_mut().unwrap().texts.values[0] =
                format!("v=spf1 {}-all", "ip4:192.0.2.1 ".repeat(40))
        },
        &["spf.size", "spf.duplicate_terms"],
    ),
    (|facts| key(facts, format!("v=DKIM1; {RSA_1024}")), &["dkim.weak_key"]),
    (|facts| key(facts, format!("v=DKIM1; h=sha1; {ED25519}")), &["dkim.sha1_only", "receivers.rules"]),
    (|facts| key(facts, format!("v=DKIM1; s=tlsrpt; {ED25519}")), &["dkim.not_for_mail", "receivers.rules"]),
    (|facts| key(facts, format!("v=DKIM1; t=y; x=y; {ED25519}")), &["dkim.testing", "dkim.unknown_tags"]),
    (
        |facts| {
            let dkim = facts.dkim.as_mut().unwrap();
            dkim.selectors.push(Key { selector: "s2".to_owned(), ..dkim.selectors[0].clone() });
        },
        &["dkim.same_key"],
    ),
    (
        |facts| dmarc(facts, &["v=DMARC1; p=reject; sp=all; rua=mailto:a@acme.example"]),
        &["dmarc.invalid", "dmarc.not_enforced"],
    ),
    (|facts| dmarc(facts, &["v=DMARC1; p=reject; rua=nobody"]), &["dmarc.invalid"]),
    (|facts| dmarc(facts, &["v=DMARC1; sp=reject; p=reject; rua=mailto:a@acme.example"]), &["dmarc.order"]),
    (|facts| dmarc(facts, &["v=DMARC1; p=reject"]), &["dmarc.no_reports"]),
    (|facts| dmarc(facts, &["v=DMARC1; p=reject; rua=mailto:a@acme.example", "x"]), &["dmarc.unrelated"]),
    (
        |facts| {
            let Some(Fetched::Answer(answer)) = &mut facts.mta_sts.as_mut().unwrap().policy else { return };
            let Says::Policy(policy) = &mut answer.says else { return };
            policy.again = vec!["mode".to_owned()];
        },
        &["mta_sts.repeated_key"],
    ),
    (
        |facts| {
            dane(facts, &["3 1 1 aa", "3 1 1 bb"], DaneSaid::Matches, true);
            let came = &mut facts.mx.as_mut().unwrap().hosts[0].reached;
            let failure = Failure {
                phase: Phase::Tls,
                kind: FailureKind::NoStarttls,
                detail: String::new(),
                address: None,
            };
            came[0].came = Came::Failed(failure);
        },
        &["mx.starttls", "mta_sts.mx_certificate"],
    ),
    (|facts| dane(facts, &["3 1 1 aa", "3 1 1 bb"], DaneSaid::Matches, true), &[]),
    (|facts| dane(facts, &["3 1 1 aa", "3 1 1 bb"], DaneSaid::Matches, false), &["dane.unsigned"]),
    (|facts| dane(facts, &["3 1 1 aa"], DaneSaid::Matches, true), &["dane.rollover"]),
    (|facts| dane(facts, &["3 0 1 aa", "3 0 1 bb"], DaneSaid::Matches, true), &["dane.rollover"]),
    (
        |facts| dane(facts, &["0 1 1 aa", "1 1 1 bb"], DaneSaid::Unusable("words".to_owned()), true),
        &["dane.unusable"],
    ),
    (|facts| dane(facts, &["3 1 1 aa", "3 1 1 bb"], DaneSaid::Nowhere, true), &["dane.mismatch"]),
    (
        |facts| dane(facts, &["2 1 1 aa", "2 1 1 bb"], DaneSaid::Invalid("expired".to_owned()), true),
        &["dane.mismatch"],
    ),
];

#[test]
fn what_is_wrong_is_found_by_its_name() {
    for (number, (change, expected)) in CHANGES.iter().enumerate() {
        let mut facts = right();
        change(&mut facts);
        let (findings, _) = Story::new(spec()).look(&facts);
        let found: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
        assert!(found.iter().all(|id| expected.contains(id)), "{number}: {findings:#?}");
        assert!(expected.iter().all(|id| found.contains(id)), "{number}: {found:?} {expected:?}");
    }
}

#[test]
fn what_was_approved_and_cannot_be_read_is_not_compared() {
    let mut story = Story::new(Spec { learn: true, ..spec() });
    for _ in 0..4 {
        story.look(&right());
    }
    let unread = Err("the disk is gone".to_owned());
    let (memory, facts) = (story.memory.clone(), right());
    let case = Case { spec: &story.spec, facts: &facts, baselines: &unread, now: story.now };
    let (findings, after, _) = judge(&case, &memory);
    assert!(
        findings.iter().all(|finding| finding.id.as_str() == "mail.baselines_unread" && !finding.measured)
    );
    assert_eq!(after.sets, memory.sets);
    // What nobody approved and others change is learned anew.
    let mut facts = right();
    facts.spf.as_mut().unwrap().authorized = Some(authorized(&["198.51.100.0/24"]));
    let told = |story: &mut Story| {
        story.run(&facts).contains(&"mail.unapproved_change acme.example SPF-addresses".to_owned())
    };
    assert!((0..3).any(|_| told(&mut story)));
    assert!((0..20).any(|_| !told(&mut story)));
}

/// A message that came, as everything about it is right.
fn arrived() -> Arrived {
    Arrived {
        took: 1.0,
        peer: Some([192, 0, 2, 1].into()),
        mail_from: "bounce@acme.example".to_owned(),
        from: vec!["acme.example".to_owned()],
        spf: Some(checked(SpfVerdict::Pass)),
        signatures: vec![Signature {
            domain: "acme.example".to_owned(),
            selector: "s1".to_owned(),
            result: SignatureResult::Pass,
            why: String::new(),
        }],
        links: vec!["www.acme.example".to_owned()],
        one_click: true,
        records: vec![looked("_dmarc.acme.example", RecordType::TXT, &["v=DMARC1; p=reject"])],
    }
}

#[test]
fn a_message_is_judged_as_its_receiver_would() {
    let written = serde_json::json!({
        "domain": "acme.example", "dkim_selectors": ["s1"], "learn": false, "bulk": true,
        "loop": {
            "trigger": { "journey": "reset", "subject": "Reset" },
            "receive": { "smtp_listen": { "listen": "127.0.0.1:0", "mailbox": "a@b.example" } },
            "links": ["acme.example"],
        },
    });
    let spec: Spec = serde_json::from_value(written).unwrap();
    let with = |trip: Option<RoundTrip>| Story::new(spec.clone()).run(&Facts { round_trip: trip, ..right() });
    let came = |arrived| with(Some(RoundTrip::Arrived(Box::new(arrived))));
    assert_eq!(with(None), Vec::<String>::new());
    assert_eq!(came(arrived()), Vec::<String>::new());
    let unknown = |mut arrived: Arrived| {
        silent(&mut arrived.records[0]);
        arrived
    };
    for (arrived, expected) in [
        (Arrived { links: vec!["acme.example.evil.example".to_owned()], ..arrived() }, &["loop.links"][..]),
        (Arrived { one_click: false, ..arrived() }, &["loop.unsubscribe"]),
        (Arrived { peer: None, spf: None, ..arrived() }, &["loop.unknown_sender"]),
        (
            Arrived { from: vec!["acme.example".to_owned(), "b.example".to_owned()], ..arrived() },
            &["loop.dmarc"],
        ),
        (Arrived { mail_from: "a@b.example".to_owned(), ..arrived() }, &["loop.spf"]),
        (unknown(Arrived { signatures: Vec::new(), ..arrived() }), &["(loop.dmarc", "loop.dkim"]),
    ] {
        let found = came(arrived);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(
            expected.iter().all(|id| found.iter().any(|one| one.starts_with(id))),
            "{found:?} {expected:?}"
        );
    }
}
