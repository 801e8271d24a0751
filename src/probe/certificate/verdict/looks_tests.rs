//! Revocation, staples and timestamps of whole cases.

use std::collections::BTreeMap;

use rcgen::{CertificateParams, CrlDistributionPoint, CustomExtension};

use super::*;
use crate::formats::x509::sct::Entry;
use crate::model::Severity;
use crate::probe::certificate::facts::{AskedKey, AskedVersions, Der, FetchFailure, FetchedCrl, Shown, View};
use crate::probe::certificate::judge::staple::tests::Desk;
use crate::probe::certificate::judge::timestamps::tests::{TestLog, encoded, known};
use crate::probe::certificate::revocation::{Answer, Condensed};

const URL: &str = "http://crl.test/1";

/// A leaf that an authority issued, with what is served and fetched.
struct Scene {
    desk: Desk,
    facts: Facts,
    spec: Spec,
    now: i64,
    public: bool,
}

impl Scene {
    fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let desk = Desk::new(change);
        let mut facts = Facts::default();
        facts.keep(desk.authority.der().to_vec());
        let leaf = facts.keep(desk.leaf.der().to_vec());
        let shown = Shown { chain: vec![leaf], ..Shown::default() };
        let view = View {
            sni: true,
            key_type: AskedKey::Any,
            versions: AskedVersions::Both,
            shown: Some(shown),
            failure: None,
        };
        let address = ([192, 0, 2, 1], 443).into();
        let endpoint = Endpoint { address, unmeasured: None, views: vec![view], posture: None };
        facts.hosts = vec![HostFacts {
            host: "portal.example".into(),
            port: 443,
            server_name: Some("portal.example".into()),
            endpoints: vec![endpoint],
            ..HostFacts::default()
        }];
        let now = "2026-06-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
        Self { desk, facts, spec: Spec::default(), now, public: false }
    }

    fn view(&mut self) -> &mut View {
        &mut self.facts.hosts[0].endpoints[0].views[0]
    }

    fn shown(&mut self) -> &mut Shown {
        self.view().shown.as_mut().unwrap()
    }

    fn fetched(&mut self, url: &str, failure: Option<FetchFailure>, list: Option<Condensed>) {
        let at = Timestamp::from_second(self.now).unwrap();
        self.facts.crls.insert(url.to_owned(), FetchedCrl { at, failure, list });
    }

    fn answered(&mut self, answer: Answer) {
        let list = Condensed {
            this_update: Some(self.now - 60),
            next_update: Some(self.now + 60),
            answers: BTreeMap::from([(self.desk.leaf.sha256.clone(), answer)]),
        };
        self.fetched(URL, None, Some(list));
    }

    /// What a look finds: identifiers, severities, whether broken and measured.
    fn found(
        &self,
        look: impl for<'a> Fn(&Case<'a>) -> Vec<Note<'a>>,
    ) -> Vec<(String, Severity, bool, bool)> {
        let authority = [self.desk.authority.clone()];
        let anchors = if self.public { Anchors::public(authority) } else { Anchors::of(authority) };
        let now = Timestamp::from_second(self.now).unwrap();
        let memory = Memory::default();
        let case = Case::new(&self.spec, &self.facts, &memory, now, &anchors);
        assert_eq!(case.judged.len(), self.facts.hosts[0].endpoints[0].views.len());
        let findings = merge::merge(look(&case));
        findings.iter().for_each(|finding| assert_eq!(finding.subject, "portal.example leaf"));
        let row =
            |finding: Finding| (finding.id.to_string(), finding.severity, finding.broken, finding.measured);
        findings.into_iter().map(row).collect()
    }
}

use Severity::{Critical, Error, Info, Notice, Warning};

fn row(id: &str, severity: Severity, broken: bool, measured: bool) -> Vec<(String, Severity, bool, bool)> {
    vec![(id.to_owned(), severity, broken, measured)]
}

fn with_list(params: &mut CertificateParams) {
    params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![URL.to_owned()] }];
}

/// Names an OCSP responder.
fn with_responder(params: &mut CertificateParams) {
    let url = b"http://ocsp.test/";
    let mut access = vec![0x30, 8 + 2 + 2 + 2 + 17, 0x30, 8 + 2 + 2 + 17, 6, 8];
    access.extend([0x2b, 6, 1, 5, 5, 7, 0x30, 1, 0x86, 17]);
    access.extend(url);
    let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
    params.custom_extensions.push(CustomExtension::from_oid_content(&oid, access));
}

fn must_staple(params: &mut CertificateParams) {
    let oid = [1, 3, 6, 1, 5, 5, 7, 1, 24];
    params.custom_extensions.push(CustomExtension::from_oid_content(&oid, vec![0x30, 3, 2, 1, 5]));
}

#[test]
fn a_list_that_says_good_is_silence_and_one_that_says_revoked_is_an_outage() {
    let mut scene = Scene::new(with_list);
    scene.answered(Answer::Good);
    assert_eq!(scene.found(revoked::notes), []);
    scene.answered(Answer::Revoked { since: Some(0), reason: Some(1) });
    assert_eq!(scene.found(revoked::notes), row("cert.revoked", Critical, true, true));
}

#[test]
fn a_list_that_is_late_is_told_by_the_clock_alone() {
    let mut scene = Scene::new(with_list);
    scene.answered(Answer::Good);
    scene.now += 60;
    assert_eq!(scene.found(revoked::notes), []);
    scene.now += 1;
    assert_eq!(scene.found(revoked::notes), row("cert.crl_stale", Warning, false, true));
}

#[test]
fn what_keeps_a_list_from_us_is_told_by_whose_fault_it_is() {
    use FetchFailure::{Failed, Malformed, OurSide, Refused};
    let mut scene = Scene::new(with_list);
    for (failure, expected) in [
        (Failed("gone".into()), row("cert.crl_unreachable", Warning, false, true)),
        (OurSide("no network".into()), row("cert.crl_unreachable", Warning, false, false)),
        (Refused("10.0.0.1 is private".into()), row("cert.crl_refused", Notice, false, true)),
        (Malformed("cut off".into()), row("cert.crl_invalid", Warning, false, true)),
    ] {
        scene.fetched(URL, Some(failure), None);
        assert_eq!(scene.found(revoked::notes), expected);
    }
    scene.facts.crls.clear();
    assert_eq!(scene.found(revoked::notes), row("cert.crl_unreachable", Warning, false, false));
    scene.spec.fetch = false;
    assert_eq!(scene.found(revoked::notes), []);
}

#[test]
fn a_list_of_a_form_that_is_not_judged_is_no_alarm() {
    let mut scene = Scene::new(with_list);
    scene.answered(Answer::Unsupported("it is a delta".into()));
    assert_eq!(scene.found(revoked::notes), row("cert.crl_unsupported", Notice, false, false));
    scene.answered(Answer::Invalid("its signature does not hold".into()));
    assert_eq!(scene.found(revoked::notes), row("cert.crl_invalid", Warning, false, true));
}

#[test]
fn one_of_two_places_that_answers_will_do() {
    let other = "http://crl.test/2";
    let mut scene = Scene::new(|params| {
        let uris = vec![URL.to_owned(), other.to_owned()];
        params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
    });
    scene.fetched(other, Some(FetchFailure::Failed("gone".into())), None);
    assert_eq!(scene.found(revoked::notes), row("cert.crl_unreachable", Warning, false, true));
    scene.answered(Answer::Good);
    assert_eq!(scene.found(revoked::notes), []);
}

#[test]
fn a_list_that_is_only_where_clients_do_not_look_is_told() {
    let scene = Scene::new(|params| {
        let uris = vec!["ldap://crl.test/cn=list".to_owned()];
        params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
    });
    assert_eq!(scene.found(revoked::notes), row("cert.crl_refused", Notice, false, true));
}

#[test]
fn a_public_certificate_that_nobody_can_revoke_is_a_remark_unless_it_is_short_lived() {
    let public = |change: fn(&mut CertificateParams)| Scene { public: true, ..Scene::new(change) };
    assert_eq!(public(|_| {}).found(revoked::notes), row("cert.crl_none", Info, false, true));
    assert_eq!(public(with_responder).found(revoked::notes), []);
    let short = public(|params| {
        params.not_before = rcgen::date_time_ymd(2026, 5, 28);
        params.not_after = rcgen::date_time_ymd(2026, 6, 3);
    });
    assert_eq!(short.found(revoked::notes), []);
    assert_eq!(Scene::new(|_| {}).found(revoked::notes), [], "an internal authority does as it pleases");
}

#[test]
fn only_a_certificate_that_promises_a_staple_is_broken_without_one() {
    assert_eq!(Scene::new(|_| {}).found(staple::notes), []);
    assert_eq!(Scene::new(with_responder).found(staple::notes), row("cert.staple_none", Notice, false, true));
    let mut scene = Scene::new(must_staple);
    assert_eq!(scene.found(staple::notes), row("cert.staple_required", Critical, true, true));
    scene.view().versions = AskedVersions::Old;
    assert_eq!(scene.found(staple::notes), [], "the prober does not see every staple");
}

#[test]
fn a_staple_in_any_handshake_will_do() {
    let mut scene = Scene::new(must_staple);
    let bare = scene.view().clone();
    let (staple, made) = scene.desk.staple();
    scene.now = made;
    scene.shown().staple = Some(Der(staple));
    assert_eq!(scene.found(staple::notes), []);
    scene.facts.hosts[0].endpoints[0].views.push(bare);
    assert_eq!(scene.found(staple::notes), []);
    scene.now = made + 8 * 86_400;
    assert_eq!(scene.found(staple::notes), row("cert.staple_stale", Error, false, true));
}

#[test]
fn a_broken_staple_is_an_outage_for_one_browser_and_so_for_us() {
    let mut scene = Scene::new(|_| {});
    scene.shown().staple = Some(Der(b"rubbish".to_vec()));
    assert_eq!(scene.found(staple::notes), row("cert.staple_invalid", Error, true, true));
    scene.shown().staple = Some(Der(vec![0x30, 3, 0x0a, 1, 3]));
    assert_eq!(scene.found(staple::notes), row("cert.staple_other", Error, false, true));
}

#[test]
fn a_public_certificate_without_timestamps_is_broken_if_none_come_beside_it() {
    let mut scene = Scene::new(|_| {});
    assert_eq!(scene.found(timestamps::notes), [], "an internal authority needs none");
    scene.public = true;
    assert_eq!(scene.found(timestamps::notes), row("cert.sct_few", Warning, false, false));
    scene.shown().timestamps = Some(Der(Vec::new()));
    assert_eq!(scene.found(timestamps::notes), row("cert.sct_few", Warning, true, true));
}

#[test]
fn timestamps_of_the_handshake_count_where_the_certificate_has_none() {
    let mut scene = Scene::new(|_| {});
    scene.public = true;
    let logs = [TestLog::new("Acme", "1"), TestLog::new("Beta", "1")];
    let sign = |log: &TestLog, der: &[u8]| log.stamp(Entry::Certificate(der), 1_777_600_000_000);
    let stamps = [&logs[0], &logs[1]].map(|log| sign(log, scene.desk.leaf.der()));
    let good = encoded(&stamps);
    scene.shown().timestamps = Some(Der(good));
    assert_eq!(scene.found(|case| timestamps::by_logs(case, &known(&logs))), []);
    let few = row("cert.sct_few", Warning, false, true);
    assert_eq!(
        scene.found(|case| timestamps::by_logs(case, &known(&logs[..1]))),
        row("cert.sct_few", Warning, false, false)
    );
    scene.shown().timestamps = Some(Der(encoded(&stamps[..1])));
    assert_eq!(scene.found(|case| timestamps::by_logs(case, &known(&logs))), few);
    let [first, second] = stamps;
    let forged = sign(&logs[0], b"another certificate");
    scene.shown().timestamps = Some(Der(encoded(&[first, second, forged])));
    assert_eq!(
        scene.found(|case| timestamps::by_logs(case, &known(&logs))),
        row("cert.sct_invalid", Notice, false, true)
    );
    let mut scene = Scene::new(|_| {});
    scene.public = true;
    scene.shown().timestamps = Some(Der(b"rubbish".to_vec()));
    assert_eq!(scene.found(timestamps::notes), row("cert.sct_few", Warning, true, true));
}
