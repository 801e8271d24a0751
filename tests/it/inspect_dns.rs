//! `inspect dns` and `inspect zone`, as a user types them, against Knot and Unbound.

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Said, portalwatch_with};
use crate::peers::{Authority, Knot, Unbound, Zone, free_port};

fn run(arguments: &[&str]) -> Said {
    portalwatch_with(TempDir::new().unwrap().path(), &[], arguments)
}

fn ids(json: &Value) -> Vec<&str> {
    json["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

fn knot(www: &str) -> Knot {
    let records = format!("www A {www}\nalias CNAME www\ntext TXT \"a\" \"b\"\n");
    let delegation = "acme.example NS ns.acme.example\nns.acme.example A 127.0.0.1\n";
    let zone = |name, records, signed| Zone { name, records, signed };
    Knot::start(&[zone("", delegation, false), zone("acme.example", &records, true)])
}

#[test]
fn each_server_has_a_row_and_servers_that_differ_are_a_warning() {
    if !Knot::is_here("each_server_has_a_row_and_servers_that_differ_are_a_warning") {
        return;
    }
    let (first, second) = (knot("192.0.2.1"), knot("192.0.2.2"));
    let (one, two) = (first.address().to_string(), second.address().to_string());
    let ask = |name: &str, kind: &str, servers: &[&str], code: i32| {
        let mut arguments = vec!["inspect", "dns", name, kind, "--format", "json"];
        servers.iter().for_each(|server| arguments.extend(["--server", server]));
        run(&arguments).ended(code).json()
    };
    let json = ask("www.acme.example", "A", &[&one], 0);
    let row = &json["observation"]["servers"][0];
    assert_eq!((&row["rcode"], &row["rrset"][0]), (&"NOERROR".into(), &"192.0.2.1".into()), "{json:#}");
    assert_eq!((&row["ttl"], &row["over"], &row["nsid"]), (&60.into(), &"udp".into(), &"knot".into()));
    assert!(row["flags"].as_array().unwrap().contains(&"aa".into()));
    assert_eq!(json["observation"]["question"]["type"], "A");

    let json = ask("www.acme.example", "A", &[&one, &two], 1);
    assert_eq!(ids(&json), ["dns.answers_differ"]);
    let json = ask("alias.acme.example", "A", &[&one], 0);
    assert_eq!(json["observation"]["servers"][0]["rrset"][0], "CNAME www.acme.example.");
    let json = ask("gone.acme.example", "A", &[&one, &two], 2);
    assert_eq!(
        (ids(&json), &json["observation"]["servers"][0]["rcode"]),
        (vec!["dns.no_answer"], &"NXDOMAIN".into())
    );
    let json = ask("www.acme.example", "MX", &[&one], 2);
    assert_eq!(json["observation"]["servers"][0]["rcode"], "NODATA");
    let dead = format!("127.0.0.1:{}", free_port());
    let json = ask("text.acme.example", "TXT", &[&one, &dead], 0);
    assert_eq!(json["observation"]["servers"][0]["rrset"][0], "\"ab\"");
    assert!(json["observation"]["servers"][1]["failure"].is_string(), "{json:#}");

    let said = run(&["inspect", "dns", "www.acme.example", "A", "--server", &one, "--server", &two]).ended(1);
    for words in ["www.acme.example. A", "192.0.2.1", "192.0.2.2", "dns.answers_differ", "nsid knot"] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    run(&["inspect", "dns", "www.acme.example", "NONSENSE"]).ended(64);
    run(&["inspect", "dns", "a..b", "A"]).ended(64);
}

#[test]
fn a_dead_resolver_is_unknown_and_a_living_one_answers() {
    if !Knot::is_here("a_dead_resolver_is_unknown_and_a_living_one_answers") {
        return;
    }
    let knot = knot("192.0.2.1");
    let certified = Authority::new().issue(&["dns.portalwatch.test"]);
    let unbound = Unbound::start(knot.address(), &["", "acme.example"], &[], &certified);
    let resolver = unbound.plain().to_string();
    let ask = |resolver: &str| {
        run(&[
            "inspect",
            "dns",
            "text.acme.example",
            "TXT",
            "--resolver",
            resolver,
            "--timeout",
            "2s",
            "--format",
            "json",
        ])
    };
    let json = ask(&resolver).json();
    let servers = json["observation"]["servers"].as_array().unwrap();
    let own = servers.iter().find(|row| row["server"] == resolver.as_str()).unwrap();
    assert_eq!(own["rrset"][0], "\"ab\"", "{json:#}");
    assert!(own["flags"].as_array().unwrap().contains(&"ra".into()));
    let json = ask(&format!("127.0.0.1:{}", free_port())).ended(3).json();
    assert_eq!((&json["verdict"], &json["cause"]), (&"unknown".into(), &"local_dns".into()), "{json:#}");
}

#[test]
fn a_zone_is_shown_with_its_delegation_its_servers_and_its_records() {
    if !Knot::is_here("a_zone_is_shown_with_its_delegation_its_servers_and_its_records") {
        return;
    }
    let knot = knot("192.0.2.1");
    let certified = Authority::new().issue(&["dns.portalwatch.test"]);
    let unbound = Unbound::start(knot.address(), &["", "acme.example"], &[], &certified);
    let (root, port) = (knot.address().to_string(), knot.address().port().to_string());
    let resolver = unbound.plain().to_string();
    let arguments =
        ["inspect", "zone", "acme.example", "--root", &root, "--port", &port, "--resolver", &resolver];
    let said = run(&arguments);
    for words in [
        "acme.example",
        "parent .",
        "ns.acme.example. 127.0.0.1",
        "serial ",
        "UDP ",
        "TCP ",
        "acme.example. NS: ns.acme.example.",
    ] {
        assert!(said.stdout.contains(words), "{words}: {}\n{}", said.stdout, said.stderr);
    }
    let json = run(&[&arguments[..], &["--format", "json"]].concat()).json();
    assert_eq!(json["observation"]["zone"], "acme.example.", "{json:#}");
    assert!(!ids(&json).contains(&"dns.no_authority_answers"), "{json:#}");
    run(&["inspect", "zone", "."]).ended(64);
}
