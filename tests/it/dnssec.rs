//! Signed zones on real name servers: what holds, what does not, and at whom.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use portalwatch::clock::{Clock as _, SystemClock};
use portalwatch::model::{CheckId, Finding, Masker, Severity};
use portalwatch::net::{Net, NetOptions, TlsOptions};
use portalwatch::probe::dns::{Dns, Facts, Memory, Spec};
use portalwatch::probe::{Ctx, Kind as _, Past, PortalScope, Scope};
use serde_json::{Value, json};

use crate::peers::{Authority, Knot, Served, Signer, Unbound, free_port};

const DAY: i64 = 86_400;

/// Two authorities, their parent, a resolver that validates.
struct Scene {
    port: u16,
    _parent: Served,
    _authorities: [Served; 2],
    resolver: Unbound,
    more: Value,
}

fn on(host: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(host), port))
}

fn unsigned(serial: u32) -> String {
    format!(
        "$ORIGIN acme.example.\n$TTL 60\n@ SOA ns1 root {serial} 7200 900 1209600 60\n@ NS ns1\n@ NS ns2\n\
         ns1 A 127.0.1.2\nns2 A 127.0.2.3\n@ MX 10 mail\nmail A 192.0.2.25\n@ TXT \"v=spf1 mx -all\"\n@ A 192.0.2.1\n*.wild A 192.0.2.7\n"
    )
}

impl Scene {
    /// The zone as each authority has it, and the DS records of the parent.
    fn new(zones: [&str; 2], ds: &[String]) -> Self {
        Self::with(zones, &[], ds)
    }

    /// The same, with more zones at both authorities.
    fn with(zones: [&str; 2], more: &[(&str, &str)], ds: &[String]) -> Self {
        let port = free_port();
        let at = |host, text| Served::start(on(host, port), &[&[("acme.example", text)], more].concat());
        let authorities = [at([127, 0, 1, 2], zones[0]), at([127, 0, 2, 3], zones[1])];
        let records: String = ds.iter().map(|ds| format!("acme.example DS {ds}\n")).collect();
        let root = format!(
            "$ORIGIN .\n$TTL 60\n@ SOA ns root 1 7200 900 1209600 60\n@ NS ns\nns A 127.0.0.1\n\
             acme.example NS ns1.acme.example\nacme.example NS ns2.acme.example\n\
             ns1.acme.example A 127.0.1.2\nns2.acme.example A 127.0.2.3\n{records}"
        );
        let parent = Served::start(on([127, 0, 0, 1], port), &[("", &root)]);
        let certified = Authority::new().issue(&["dns.portalwatch.test"]);
        let stubs = [("", parent.address()), ("acme.example", authorities[0].address())];
        let anchors: Vec<String> = ds.iter().map(|ds| format!("acme.example. DS {ds}")).collect();
        let resolver = Unbound::asking(&stubs, &anchors, &certified);
        Self { port, _parent: parent, _authorities: authorities, resolver, more: json!({}) }
    }

    fn spec(&self) -> Spec {
        let parent = on([127, 0, 0, 1], self.port);
        let wild = json!({ "name": "x.wild", "type": "A", "unmanaged": true });
        let mut settings =
            json!({ "zone": "acme.example", "parent": [parent], "port": self.port, "records": [wild] });
        settings.as_object_mut().unwrap().extend(self.more.as_object().unwrap().clone());
        serde_json::from_value(settings).unwrap()
    }

    async fn facts(&self) -> Facts {
        let net = Net::new(NetOptions {
            per_host: 16,
            global: 50,
            user_agent: "portalwatch/test".into(),
            hosts: std::collections::BTreeMap::new(),
        });
        let scope = Scope {
            check: CheckId::new("acme", "dns"),
            portal: Arc::new(PortalScope { private: true, ..PortalScope::default() }),
            timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(60),
            resolvers: Arc::new([self.resolver.plain().to_string()]),
            tls: Arc::new(TlsOptions::default()),
            identity: None,
            triggered: None,
        };
        let masker = Masker::default();
        let ctx = Ctx {
            scope: &scope,
            net: &net,
            masker: &masker,
            at: SystemClock.now(),
            everything: false,
            ledger: None,
            baselines: None,
            writes: false,
        };
        Dns::observe(&self.spec(), &ctx, &Past::of(Memory::default())).await.unwrap().facts
    }

    async fn look(&self, memory: Memory) -> (Vec<Finding>, Memory) {
        let facts = self.facts().await;
        let judged = Dns::judge(&self.spec(), &facts, &Past::of(memory), SystemClock.now());
        let own = |finding: &Finding| {
            let id = finding.id.as_str();
            ["dns.dnssec", "dns.rrsig", "dns.ds_", "dns.nsec3", "dns.cds", "dns.bogus", "dns.not_validated"]
                .iter()
                .any(|start| id.starts_with(start))
        };
        (judged.findings.into_iter().filter(own).collect(), judged.memory)
    }
}

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|one| format!("{} {}", one.id, one.subject)).collect()
}

fn skipped(test: &str) -> bool {
    !Knot::is_here(test)
}

#[tokio::test]
async fn a_zone_that_is_signed_as_its_parent_says_is_fine_and_its_signatures_are_watched() {
    if skipped("a_zone_that_is_signed_as_its_parent_says_is_fine_and_its_signatures_are_watched") {
        return;
    }
    let signer = Signer::new("acme.example", &["rrsig-lifetime: 14d", "rrsig-refresh: 7d"]);
    let text = signer.signed(&unsigned(1), 0);
    let scene = Scene::new([&text, &text], &signer.ds());
    let (found, memory) = scene.look(Memory::default()).await;
    assert_eq!(lines(&found), [""; 0], "{found:#?}");
    assert!(memory.secure);
    let series = Dns::series(&memory, SystemClock.now());
    let expiries: Vec<f64> = series
        .iter()
        .filter(|one| one.doc.name == "portalwatch_dns_rrsig_expiry_timestamp_seconds")
        .map(|one| one.value)
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    let now = SystemClock.now().as_second() as f64;
    assert_eq!(expiries.len(), 2);
    assert!(expiries.iter().all(|at| (at - now - 14.0 * 86_400.0).abs() < 7_200.0), "{expiries:?} {now}");
    assert_eq!(series.iter().filter(|one| one.doc.name == "portalwatch_dns_query_seconds").count(), 3);
}

#[tokio::test]
async fn a_ds_that_names_no_key_is_broken_at_once_and_the_resolver_says_why() {
    if skipped("a_ds_that_names_no_key_is_broken_at_once_and_the_resolver_says_why") {
        return;
    }
    let signer = Signer::new("acme.example", &[]);
    let text = signer.signed(&unsigned(1), 0);
    let other = Signer::new("acme.example", &[]);
    other.signed(&unsigned(1), 0);
    let scene = Scene::new([&text, &text], &other.ds());
    let (found, _) = scene.look(Memory::default()).await;
    assert_eq!(lines(&found), ["dns.dnssec_bogus acme.example.", "dns.bogus_at_resolver acme.example."]);
    assert!(found.iter().all(|one| one.broken && one.severity == Severity::Critical));
    assert!(
        found[0].summary.contains("names key") && found[0].summary.contains("at every authority"),
        "{found:#?}"
    );
    assert!(found[1].summary.contains("SERVFAIL (6 (DNSSEC Bogus)"), "{}", found[1].summary);
    let no_keys = Scene::new([&unsigned(1), &unsigned(1)], &signer.ds());
    let (found, _) = no_keys.look(Memory::default()).await;
    assert!(found[0].summary.contains("it has no DNSKEY") && found[0].broken, "{found:#?}");
}

#[tokio::test]
async fn signatures_that_expired_are_broken_at_all_and_name_the_server_at_one() {
    if skipped("signatures_that_expired_are_broken_at_all_and_name_the_server_at_one") {
        return;
    }
    let signer = Signer::new("acme.example", &["rrsig-lifetime: 14d", "rrsig-refresh: 7d"]);
    let old = signer.signed(&unsigned(1), -30 * DAY);
    let new = signer.signed(&unsigned(2), 0);
    let (found, _) = Scene::new([&old, &old], &signer.ds()).look(Memory::default()).await;
    assert_eq!(lines(&found)[0], "dns.dnssec_bogus acme.example.");
    assert!(found[0].summary.contains("expired at"), "{}", found[0].summary);
    let (found, _) = Scene::new([&new, &old], &signer.ds()).look(Memory::default()).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    let server = &found[0];
    assert_eq!(server.id.as_str(), "dns.dnssec_server");
    assert!(server.subject.starts_with("ns2.acme.example. 127.0.2.3") && !server.broken, "{server:?}");
    assert!(server.summary.contains("expired at") && server.severity == Severity::Critical);
}

#[tokio::test]
async fn signatures_that_end_soon_are_told_before_they_do() {
    if skipped("signatures_that_end_soon_are_told_before_they_do") {
        return;
    }
    let signer = Signer::new("acme.example", &["rrsig-lifetime: 14d", "rrsig-refresh: 7d"]);
    let text = signer.signed(&unsigned(1), -13 * DAY);
    let (found, _) = Scene::new([&text, &text], &signer.ds()).look(Memory::default()).await;
    assert_eq!(lines(&found), ["dns.rrsig_expiring acme.example."], "{found:#?}");
    assert_eq!(found[0].severity, Severity::Error);
    assert!(found[0].summary.contains("of 33"), "{}", found[0].summary);
}

#[tokio::test]
async fn a_zone_that_loses_its_ds_is_told_at_once_and_one_that_never_had_it_is_an_island() {
    if skipped("a_zone_that_loses_its_ds_is_told_at_once_and_one_that_never_had_it_is_an_island") {
        return;
    }
    let signer = Signer::new("acme.example", &[]);
    let text = signer.signed(&unsigned(1), 0);
    let mut scene = Scene::new([&text, &text], &[]);
    let (found, memory) = scene.look(Memory::default()).await;
    assert_eq!(lines(&found), ["dns.dnssec_island acme.example."]);
    assert!(!found[0].alerts() && !memory.secure);
    let before = Memory { secure: true, ..Memory::default() };
    let (found, memory) = scene.look(before).await;
    assert_eq!(lines(&found), ["dns.dnssec_lost acme.example."]);
    assert!(found[0].severity == Severity::Critical && memory.secure, "it stays lost");
    scene.more = json!({ "signed": true });
    assert_eq!(lines(&scene.look(Memory::default()).await.0), ["dns.dnssec_lost acme.example."]);
    scene.more = json!({ "signed": false });
    let (found, memory) = scene.look(Memory { secure: true, ..Memory::default() }).await;
    assert!(found.is_empty() && !memory.secure, "{found:#?}");
}

#[tokio::test]
async fn old_algorithms_short_keys_and_odd_nsec3_are_told() {
    if skipped("old_algorithms_short_keys_and_odd_nsec3_are_told") {
        return;
    }
    let policy = [
        "algorithm: rsasha1-nsec3-sha1",
        "ksk-size: 1024",
        "nsec3: on",
        "nsec3-iterations: 5",
        "nsec3-salt-length: 8",
    ];
    let signer = Signer::new("acme.example", &policy);
    let text = signer.signed(&unsigned(1), 0);
    let (found, _) = Scene::new([&text, &text], &signer.ds()).look(Memory::default()).await;
    let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
    assert!(ids.contains(&"dns.dnssec_algorithm") && ids.contains(&"dns.nsec3_parameters"), "{found:#?}");
    assert!(!ids.contains(&"dns.dnssec_bogus") && !ids.contains(&"dns.dnssec_server"), "{found:#?}");
}

#[tokio::test]
async fn a_child_zone_at_the_same_servers_is_judged_by_its_own_keys_or_by_none() {
    if skipped("a_child_zone_at_the_same_servers_is_judged_by_its_own_keys_or_by_none") {
        return;
    }
    let child = "$TTL 60\n@ SOA ns1.acme.example. root.acme.example. 1 7200 900 1209600 60\n\
                 @ NS ns1.acme.example.\n@ NS ns2.acme.example.\nx A 192.0.2.8\n";
    let own = Signer::new("sub.acme.example", &[]);
    let signed_child = own.signed(child, 0);
    let of_child = own.ds().remove(0);
    for (text, ds) in [(child, String::new()), (&signed_child, format!("sub DS {of_child}\n"))] {
        let signer = Signer::new("acme.example", &[]);
        let delegated = format!("{}sub NS ns1\nsub NS ns2\n{ds}", unsigned(1));
        let zone = signer.signed(&delegated, 0);
        let mut scene = Scene::with([&zone, &zone], &[("sub.acme.example", text)], &signer.ds());
        scene.more = json!({ "records": [{ "name": "x.sub", "type": "A", "unmanaged": true }] });
        let (found, _) = scene.look(Memory::default()).await;
        assert_eq!(lines(&found), [""; 0], "{found:#?}");
    }
}
