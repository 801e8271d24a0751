//! Zones on real name servers: who is asked, and whose fault it is when nobody answers.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portalwatch::formats::dns::{Name, Outcome, Rcode, RecordType};
use portalwatch::model::{CheckId, Masker};
use portalwatch::net::{Net, NetOptions, TlsOptions};
use portalwatch::probe::dns::facts::{Asked, Over, Trial};
use portalwatch::probe::dns::{Dns, Facts, Memory, Spec};
use portalwatch::probe::{Ctx, Kind as _, Past, PortalScope, Scope};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{Said, portalwatch_with};
use crate::peers::{Authority, Knot, Unbound, Zone};

/// What is found about reaching servers.
const REACH: &[&str] = &[
    "dns.authority_unreachable",
    "dns.tcp_fails",
    "dns.no_authority_answers",
    "dns.lame",
    "dns.no_delegation",
    "dns.parent_unreachable",
    "dns.resolver_unmeasured",
    "dns.not_asked",
    "dns.no_route",
    "dns.addresses_left_out",
    "dns.undecodable",
];

struct Scene {
    knot: Knot,
    unbound: Option<Unbound>,
    folder: TempDir,
}

impl Scene {
    /// A root and, where it is delegated, `acme.example`, signed, at one server; a resolver that knows it.
    fn new(delegated: bool) -> Self {
        let zone = |name, records, signed| Zone { name, records, signed };
        let delegation = "acme.example NS ns.acme.example\nns.acme.example A 127.0.0.1\n";
        let own = zone("acme.example", "www A 192.0.2.1\nalias CNAME www\n", true);
        let knot = match delegated {
            true => Knot::start(&[zone("", delegation, false), own]),
            false => Knot::start(&[zone("", "other.example A 192.0.2.1\n", false)]),
        };
        let certified = Authority::new().issue(&["dns.portalwatch.test"]);
        let unbound = Unbound::start(knot.address(), &["", "acme.example"], &[], &certified);
        let folder = TempDir::new().unwrap();
        let config = format!(
            "portals:\n  acme:\n    private: true\n    checks:\n      zone:\n        \
             every: 10m\n        timeout: 2s\n        resolvers: [\"{}\"]\n        dns:\n          \
             zone: acme.example\n          roots: [\"{}\"]\n          port: {}\n          \
             records: [{{ name: alias, type: A, unmanaged: true }}]\n",
            unbound.plain(),
            knot.address(),
            knot.address().port()
        );
        std::fs::write(folder.path().join("monitor.yaml"), config).unwrap();
        Self { knot, unbound: Some(unbound), folder }
    }

    fn check(&self) -> Said {
        portalwatch_with(self.folder.path(), &[], &["check", "--config", "monitor.yaml", "--format", "json"])
    }

    /// What a run sees.
    async fn facts(&self) -> Facts {
        let address = self.knot.address();
        let settings = json!({ "zone": "acme.example", "roots": [address], "port": address.port(),
            "records": [{ "name": "alias", "type": "A", "unmanaged": true }] });
        let spec: Spec = serde_json::from_value(settings).unwrap();
        let net = Net::new(NetOptions {
            per_host: 16,
            global: 50,
            user_agent: "portalwatch/test".into(),
            hosts: std::collections::BTreeMap::new(),
        });
        let scope = Scope {
            check: CheckId::new("acme", "zone"),
            portal: Arc::new(PortalScope { private: true, ..PortalScope::default() }),
            timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(60),
            resolvers: Arc::new([self.unbound.as_ref().unwrap().plain().to_string()]),
            tls: Arc::new(TlsOptions::default()),
            identity: None,
            triggered: None,
        };
        let ctx = Ctx {
            scope: &scope,
            net: &net,
            masker: &Masker::default(),
            at: Timestamp::UNIX_EPOCH,
            everything: false,
            ledger: None,
            baselines: None,
            writes: false,
        };
        Dns::observe(&spec, &ctx, &Past::of(Memory::default())).await.unwrap().facts
    }
}

/// The findings about reaching servers, by id.
fn found(said: &Said) -> Vec<(String, bool)> {
    fn walk(value: &Value, found: &mut Vec<(String, bool)>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            Value::Object(map) => {
                let id = map.get("id").and_then(Value::as_str).filter(|id| REACH.contains(id));
                if let (Some(id), Some(measured)) = (id, map.get("measured").and_then(Value::as_bool)) {
                    found.push((id.to_owned(), measured));
                }
                map.values().for_each(|value| walk(value, found));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk(&said.json(), &mut all);
    all
}

#[test]
fn a_zone_that_is_served_and_then_dies_is_told_with_whose_fault_it_is() {
    if !Knot::is_here("a_zone_that_is_served_and_then_dies_is_told_with_whose_fault_it_is") {
        return;
    }
    let mut scene = Scene::new(true);
    let said = scene.check();
    assert_eq!(found(&said), []);

    // Without the resolver the zone is as well as before.
    scene.unbound = None;
    let said = scene.check();
    assert_eq!(found(&said), [("dns.resolver_unmeasured".to_owned(), false)]);
    assert_ne!(said.code, 2);

    // With nobody left it is not the zone's fault.
    scene.knot.kill();
    let said = scene.check().ended(3);
    assert!(said.stdout.contains("local_dns"), "{}", said.stdout);
}

#[test]
fn a_zone_that_its_parent_forgot_is_broken() {
    if !Knot::is_here("a_zone_that_its_parent_forgot_is_broken") {
        return;
    }
    let scene = Scene::new(false);
    let said = scene.check().ended(2);
    assert_eq!(found(&said), [("dns.no_delegation".to_owned(), true)]);
    assert!(said.stdout.contains("NXDOMAIN"), "{}", said.stdout);
}

#[tokio::test]
async fn a_signed_zone_is_seen_as_it_is_at_its_server_and_at_a_resolver() {
    if !Knot::is_here("a_signed_zone_is_seen_as_it_is_at_its_server_and_at_a_resolver") {
        return;
    }
    let facts = Scene::new(true).facts().await;
    let zone = facts.zone.clone();
    assert_eq!(facts.parent.zone, Some(Name::root()));
    assert_eq!(facts.authorities.len(), 1);
    let authority = &facts.authorities[0];
    assert!(authority.by_parent && authority.by_child && authority.resolved);
    let soa = authority.server.asked_over(&zone, RecordType::SOA, Over::Udp).unwrap();
    assert_eq!(soa.answer.as_ref().unwrap().nsid.as_deref(), Some("knot"));
    for kind in [RecordType::DNSKEY, RecordType::CDS, RecordType::CDNSKEY, RecordType::NS] {
        let asked = authority.server.asked(&zone, kind).unwrap();
        let answer = asked.answer.as_ref().unwrap();
        assert_eq!(answer.outcome(&asked.question), Outcome::Records, "{kind}");
        assert!(answer.answers.iter().any(|record| record.kind == RecordType::RRSIG), "{kind}");
    }
    let alias: Name = "alias.acme.example".parse().unwrap();
    let values = |asked: &Asked| asked.answer.as_ref().unwrap().values(&asked.question);
    for asked in [
        authority.server.asked(&alias, RecordType::A).unwrap(),
        facts.resolvers[0].asked(&alias, RecordType::A).unwrap(),
    ] {
        assert_eq!(values(asked), ["CNAME www.acme.example."]);
        assert_eq!(asked.answer.as_ref().unwrap().outcome(&asked.question), Outcome::Records);
    }
    let tried = |trial| {
        let tried = authority.tried.iter().find(|tried| tried.trial == trial).unwrap();
        tried.asked.answer.as_ref().unwrap()
    };

    assert_eq!(tried(Trial::EdnsVersion).rcode, Rcode::BADVERS);
    assert_eq!(tried(Trial::EdnsOption).rcode, Rcode::NOERROR);
    assert!(tried(Trial::Case).authoritative);
    assert!(!tried(Trial::Recursion).recursion_available);
    assert!(tried(Trial::Transfer).answers.is_empty(), "no transfer is allowed");
    let kept: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
    assert_eq!(kept, facts);
}
