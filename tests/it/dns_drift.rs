//! The life of a record set at two real authorities: learned, approved, changed at one and at both, put
//! back, changed as announced; and what is told of it to whom.

use std::net::{Ipv4Addr, SocketAddr};

use portalwatch::clock::{Clock as _, SystemClock};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Said, portalwatch_with};
use crate::peers::{Authority, Daemon, Knot, PATIENCE, Served, Signer, Unbound, free_port, poll};
use crate::telling::hook::{Hook, Received};

const WWW: &str = "www.acme.example. A";

/// Two authorities in two networks, their parent, a resolver that validates, and a daemon.
struct Scene {
    folder: TempDir,
    parent: Served,
    authorities: [Served; 2],
    resolver: Unbound,
    daemon: Daemon,
    hook: Hook,
    signer: Signer,
    serial: u32,
}

fn on(host: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(host), port))
}

/// The zone, signed.
fn zone(signer: &Signer, serial: u32, www: &str) -> String {
    let text = format!(
        "$ORIGIN acme.example.\n$TTL 1\n@ SOA ns1 root {serial} 7200 900 1209600 60\n@ NS ns1\n@ NS ns2\n\
         ns1 A 127.0.1.2\nns2 A 127.0.2.3\n@ MX 10 mail\nmail A 192.0.2.25\n@ TXT \"v=spf1 mx -all\"\n{www}\n"
    );
    signer.signed(&text, 0)
}

/// The root, in which the zone is delegated with this DS.
fn root(serial: u32, ds: &str) -> String {
    format!(
        "$ORIGIN .\n$TTL 1\n@ SOA ns root {serial} 7200 900 1209600 60\n@ NS ns\nns A 127.0.0.1\n\
         acme.example NS ns1.acme.example\nacme.example NS ns2.acme.example\n\
         ns1.acme.example A 127.0.1.2\nns2.acme.example A 127.0.2.3\nacme.example DS {ds}\n"
    )
}

fn config(scene: (&SocketAddr, &Unbound, &Hook, u16), more: &str) -> String {
    let (parent, resolver, hook, port) = scene;
    format!(
        "server: {{ listen: '127.0.0.1:{port}' }}
portals:
  acme:
    private: true
    checks:
      dns:
        every: 2s
        timeout: 2s
        resolvers: ['{resolver}']
        dns:
          zone: acme.example
          parent: ['{parent}']
          port: {port_of_zone}
          records: [{{ name: www, type: A, learned: true }}]
{more}notify:
  channels:
{channel}  routes: [{{ to: [hook], group_wait: 1s, group_interval: 1s }}]
",
        resolver = resolver.plain(),
        port_of_zone = parent.port(),
        channel = hook.channel("hook", ""),
    )
}

impl Scene {
    fn new() -> Self {
        let port = free_port();
        let signer = Signer::new("acme.example", &[]);
        let first = zone(&signer, 1, "www A 192.0.2.1");
        let at = |host| Served::start(on(host, port), &[("acme.example", &first)]);
        let authorities = [at([127, 0, 1, 2]), at([127, 0, 2, 3])];
        let ds = signer.ds().remove(0);
        let parent = Served::start(on([127, 0, 0, 1], port), &[("", &root(1, &ds))]);
        let certified = Authority::new().issue(&["dns.portalwatch.test"]);
        let stubs = [("", parent.address()), ("acme.example", authorities[0].address())];
        let resolver = Unbound::asking(&stubs, &[format!("acme.example. DS {ds}")], &certified);
        let hook = Hook::start([]);
        let (folder, listen) = (TempDir::new().unwrap(), free_port());
        let path = folder.path().join("monitor.yaml");
        std::fs::write(&path, config((&parent.address(), &resolver, &hook, listen), "")).unwrap();
        let mut daemon = Daemon::start(&path, listen, &[]);
        daemon.wait_ready(PATIENCE);
        Self { folder, parent, authorities, resolver, daemon, hook, signer, serial: 1 }
    }

    fn serve(&mut self, which: &[usize], www: &str) {
        self.serial += 1;
        let text = zone(&self.signer, self.serial, www);
        for at in which {
            self.authorities[*at].replace("acme.example", &text);
        }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        portalwatch_with(self.folder.path(), &[("USER", "ada")], arguments)
    }

    /// How a record set stands.
    fn watched(&self, key: &str) -> Value {
        let all = self.run(&["baseline", "list", "--format", "json"]).ended(0).json();
        let of = |one: &&Value| one["key"] == key;
        all[0]["watched"]
            .as_array()
            .unwrap()
            .iter()
            .find(of)
            .unwrap_or_else(|| panic!("{key}: {all:#}"))
            .clone()
    }

    fn await_standing(&self, key: &str, standing: &str, present: &[&str]) -> Value {
        let now = || {
            Some(self.watched(key))
                .filter(|now| now["standing"] == standing && now["present"] == Value::from(present.to_vec()))
        };
        poll(PATIENCE * 2, now).unwrap_or_else(|| {
            panic!("{key} never {standing} {present:?}: {:#}\n{}", self.watched(key), self.daemon.log())
        })
    }

    /// Waits until so many more runs are over.
    fn await_runs(&self, more: u64) {
        let runs = || {
            let line = "portalwatch_probe_duration_seconds_count{kind=\"dns\"} ";
            let page = self.daemon.metrics();
            page.lines().find_map(|one| one.strip_prefix(line)?.parse::<u64>().ok()).unwrap_or_default()
        };
        let before = runs();
        poll(PATIENCE, || (runs() >= before + more).then_some(()))
            .unwrap_or_else(|| panic!("no more runs: {}", self.daemon.log()));
    }

    fn found(&self, id: &str) -> bool {
        self.daemon
            .metrics()
            .lines()
            .any(|line| line.starts_with("portalwatch_findings{") && line.contains(&format!("id=\"{id}\"")))
    }
}

fn alerts(received: &Received) -> String {
    received.json()["alerts"].to_string()
}

#[test]
fn a_record_set_is_learned_approved_and_held() {
    if !Knot::is_here("a_record_set_is_learned_approved_and_held") {
        return;
    }
    let mut scene = Scene::new();
    scene.await_standing(WWW, "provisional", &["192.0.2.1"]);
    scene.await_standing("acme.example. NS", "provisional", &["ns1.acme.example.", "ns2.acme.example."]);
    assert!(scene.found("dns.to_approve"));
    scene.run(&["baseline", "approve", "dns", "--all", "--why", "as handed over"]).ended(0);
    let approved = scene.await_standing(WWW, "same", &["192.0.2.1"]);
    assert!(approved["note"].as_str().unwrap().starts_with("approved by ada at 20"), "{approved}");
    scene.await_runs(2);
    scene.run(&["baseline", "diff"]).ended(0);
    assert!(scene.hook.received().is_empty(), "{:#?}", scene.hook.received());

    // At one authority: a change on its way.
    scene.serve(&[0], "www A 192.0.2.2");
    let propagating = || scene.found("dns.propagating").then_some(());
    poll(PATIENCE, propagating).unwrap_or_else(|| panic!("{}", scene.daemon.metrics()));
    scene.await_runs(3);
    assert!(!scene.found("dns.drift"), "{}", scene.daemon.metrics());
    assert!(scene.hook.received().is_empty(), "{:#?}", scene.hook.received());
    scene.run(&["baseline", "diff"]).ended(2);

    // At both: one alert, with the difference and with whom says so.
    scene.serve(&[0, 1], "www A 192.0.2.2");
    let opened = scene.hook.wait(1);
    let told = alerts(&opened[0]);
    for words in [
        "dns.drift",
        "www.acme.example. A",
        "- 192.0.2.1",
        "+ 192.0.2.2",
        "the authorities say",
        "ada approved 192.0.2.1",
        "ns2.acme.example. 127.0.2.3",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let said = scene.run(&["baseline", "diff", "dns"]).ended(2);
    for words in ["www.acme.example. A", "drifted", "- 192.0.2.1", "+ 192.0.2.2"] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }

    // Put back: over.
    scene.serve(&[0, 1], "www A 192.0.2.1");
    let resolved = scene.hook.wait(2);
    assert_eq!(resolved[1].json()["status"], "resolved", "{resolved:#?}");
    scene.await_standing(WWW, "same", &["192.0.2.1"]);

    // As announced: nobody is told.
    let hour = |hours: i64| SystemClock.now() + jiff::SignedDuration::from_hours(hours);
    let announced = format!(
        "          announced: [{{ name: www, type: A, values: [192.0.2.9], from: '{}', until: '{}' }}]\n",
        hour(-1),
        hour(1)
    );
    scene.announce(&announced);
    scene.serve(&[0], "www A 192.0.2.9");
    scene.await_runs(2);
    scene.serve(&[0, 1], "www A 192.0.2.9");
    scene.await_standing(WWW, "same", &["192.0.2.9"]);
    scene.await_runs(3);
    assert_eq!(scene.hook.received().len(), 2, "{:#?}", scene.hook.received());

    // What is not as announced is drift, and may be approved.
    scene.serve(&[0, 1], "www A 192.0.2.66");
    assert!(alerts(&scene.hook.wait(3)[2]).contains("+ 192.0.2.66"));
    scene
        .run(&["baseline", "approve", "acme/dns", "WWW.acme.example A", "--by", "bob", "--why", "moved"])
        .ended(0);
    assert_eq!(scene.hook.wait(4)[3].json()["status"], "resolved");

    // A DS that fits no key: critical at the first run that sees it.
    let other = Signer::new("acme.example", &[]);
    zone(&other, 1, "");
    scene.parent.replace("", &root(2, &other.ds().remove(0)));
    let broken = scene.hook.wait(5);
    let told = alerts(&broken[4]);
    assert!(told.contains("dns.dnssec_bogus") && told.contains("critical"), "{told}");
    let history = scene.run(&["baseline", "history"]).ended(0).stdout;
    assert!(history.contains("bob approved www.acme.example. A: moved"), "{history}");
}

#[test]
fn our_own_resolver_that_dies_is_no_drift() {
    if !Knot::is_here("our_own_resolver_that_dies_is_no_drift") {
        return;
    }
    let mut scene = Scene::new();
    scene.await_standing(WWW, "provisional", &["192.0.2.1"]);
    scene.run(&["baseline", "approve", "dns", "--all"]).ended(0);
    scene.await_standing(WWW, "same", &["192.0.2.1"]);
    scene.resolver.kill();
    let unknown = "portalwatch_check_verdict{portal=\"acme\",check=\"dns\",verdict=\"unknown\"} 1";
    let seen = poll(PATIENCE, || scene.daemon.metrics().contains(unknown).then_some(()));
    assert!(seen.is_some(), "{}", scene.run(&["check"]).stdout);
    scene.await_runs(3);
    assert!(!scene.found("dns.drift") && scene.hook.received().is_empty(), "{:#?}", scene.hook.received());

    // And nobody to ask at all is no drift either: what is told is that nobody answers.
    scene.authorities.iter_mut().for_each(Served::kill);
    scene.parent.kill();
    scene.await_runs(2);
    assert!(!scene.hook.received().iter().any(|one| alerts(one).contains("dns.drift")));
}

impl Scene {
    /// Takes up these announcements.
    fn announce(&mut self, more: &str) {
        let path = self.folder.path().join("monitor.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("notify:\n", &format!("{more}notify:\n"))).unwrap();
        let loaded = || self.daemon.log().contains("reloaded").then_some(());
        poll(PATIENCE, loaded).unwrap_or_else(|| panic!("{}", self.daemon.log()));
    }
}

#[test]
fn a_zone_file_is_what_a_zone_is_held_to() {
    if !Knot::is_here("a_zone_file_is_what_a_zone_is_held_to") {
        return;
    }
    let scene = Scene::new();
    let file = scene.folder.path().join("acme.zone");
    let text = "$TTL 3600\n@ SOA ns1 root 1 7200 900 1209600 60\n@ NS ns1\n NS ns2\n MX 10 mail\n TXT \"v=spf1 mx -all\"\n\
                www A 192.0.2.1\n A 192.0.2.2\nother CNAME www\n";
    std::fs::write(&file, text).unwrap();
    let path = file.display().to_string();
    let said = scene.run(&["baseline", "import", "dns", &path]).ended(0);
    assert!(said.stdout.contains("acme/dns: 4 approved"), "{}", said.stdout);
    assert!(said.stdout.contains("not watched: other.acme.example. CNAME"), "{}", said.stdout);
    scene.await_standing("acme.example. MX", "same", &["10 mail.acme.example."]);
    scene.await_standing(WWW, "drifted", &["192.0.2.1"]);
    let told = alerts(&scene.hook.wait(1)[0]);
    assert!(told.contains("- 192.0.2.2"), "{told}");
    std::fs::write(&file, "www A 192.0.2.1\nwww A nonsense\n").unwrap();
    let said = scene.run(&["baseline", "import", "dns", &path]).ended(64);
    assert!(said.stderr.contains("acme.zone:2: "), "{}", said.stderr);
}
