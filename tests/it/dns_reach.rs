//! Zones on real name servers: who is asked, and whose fault it is when nobody answers.

use serde_json::Value;
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
        let unbound = Unbound::start(knot.address(), &[""], &[], &certified);
        let folder = TempDir::new().unwrap();
        let config = format!(
            "portals:\n  acme:\n    private: true\n    checks:\n      zone:\n        \
             every: 10m\n        timeout: 2s\n        resolvers: [\"{}\"]\n        dns:\n          \
             zone: acme.example\n          roots: [\"{}\"]\n          port: {}\n          \
             records: [{{ name: alias, type: A }}]\n",
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
