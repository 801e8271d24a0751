//! `portalwatch inspect cert`, as a user types it, against servers on loopback.

pub mod lab;
mod records;

use std::net::Ipv4Addr;

use serde_json::Value;

use self::lab::{GONE, GOOD, Lab, NAME, resolver, serve};
use crate::command::{Said, portalwatch, portalwatch_with};
use crate::peers::{Nginx, SmtpServer, free_port};

/// Trusts the lab's root, and leaves alone what is no server of the test's.
fn inspect(lab: &Lab, target: &str, arguments: &[&str]) -> Said {
    let usual = ["inspect", "cert", target, "--ca-file", "root.pem", "--no-dns", "--no-fetch"];
    portalwatch_with(lab.dir.path(), &[], &[&usual, arguments].concat())
}

/// The same without a scan, as JSON.
fn json(lab: &Lab, target: &str, arguments: &[&str], code: i32) -> Value {
    let quick = ["--profile", "off", "--format", "json"];
    inspect(lab, target, &[&quick, arguments].concat()).ended(code).json()
}

fn at(port: u16) -> String {
    format!("localhost:{port}")
}

fn ids(json: &Value) -> Vec<&str> {
    json["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

#[test]
fn a_good_chain_passes_and_is_shown_whole() {
    let lab = Lab::new();
    let target = at(serve(Ipv4Addr::LOCALHOST, 0, lab.server(&["localhost"])));
    let json = json(&lab, &target, &["--at", GOOD], 0);
    assert_eq!((&json["verdict"], &json["cause"]), (&"pass".into(), &Value::Null));
    let endpoints = json["observation"]["endpoints"].as_array().unwrap();
    let endpoint = endpoints.iter().find(|endpoint| endpoint["address"] == "127.0.0.1").unwrap();
    assert_eq!((&endpoint["trust"], &endpoint["name_matches"]), (&"trusted".into(), &true.into()));
    assert_eq!((&endpoint["host"], &endpoint["browser"]["accepts"]), (&"localhost".into(), &true.into()));
    assert_eq!(endpoint["tls"]["version"], "TLSv1.3");
    assert_eq!(endpoint["tls"]["group"], "X25519MLKEM768");
    assert!(endpoint["tls"]["cipher"].as_str().unwrap().starts_with("TLS_"), "{endpoint:#}");
    let leaf = &endpoint["chain"][0];
    assert_eq!(leaf["subject"], "CN=localhost");
    assert_eq!((&leaf["issuer"], &leaf["sans"][0]), (&"CN=Acme issuing".into(), &"localhost".into()));
    assert_eq!((&leaf["not_after"], &leaf["days_left"]), (&"2026-07-30T00:00:00Z".into(), &59.into()));
    assert_eq!((&leaf["key"]["curve"], &leaf["position"]), (&"P-256".into(), &0.into()));
    assert_eq!(endpoint["chain"][2]["subject"], "CN=Acme root");
    assert_eq!(endpoint["sent"].as_array().map(Vec::len), Some(2), "the root was not sent");

    let nagios = inspect(&lab, &target, &["--profile", "off", "--at", GOOD, "--format", "nagios"]).ended(0);
    assert!(nagios.stdout.starts_with("PORTALWATCH OK: "), "{nagios:?}");
}

#[test]
fn a_person_reads_the_chain_as_a_tree_and_what_is_accepted() {
    let lab = Lab::new();
    let target = at(serve(Ipv4Addr::LOCALHOST, 0, lab.server(&["localhost"])));
    let said = inspect(&lab, &target, &["--at", GOOD]).ended(0);
    for words in [
        "as of 2026-05-31T22:00:00Z",
        "trust: trusted",
        "is for localhost",
        "leaf: CN=localhost",
        "59 days, 66 % left",
        "└─ root: CN=Acme root",
        "versions: accepts TLSv1.2, TLSv1.3; refuses SSLv3, TLSv1.0, TLSv1.1",
        "post-quantum key agreement: yes",
    ] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    assert!(!said.stdout.contains('\u{1b}') && said.stderr.is_empty(), "{said:?}");
    let quick = ["--at", GOOD, "--profile", "off"];
    let off = inspect(&lab, &target, &quick).ended(0);
    assert!(!off.stdout.contains("versions: "), "{}", off.stdout);
    let command = [&["inspect", "cert", &target, "--ca-file", "root.pem", "--no-dns"], &quick[..]].concat();
    for (environment, colours) in [(("FORCE_COLOR", "1"), true), (("NO_COLOR", "1"), false)] {
        let said = portalwatch_with(lab.dir.path(), &[environment], &command).ended(0);
        assert_eq!(said.stdout.contains('\u{1b}'), colours, "{environment:?}: {said:?}");
    }
}

#[test]
fn time_alone_takes_a_server_from_good_over_late_to_broken() {
    let lab = Lab::new();
    let target = at(serve(Ipv4Addr::LOCALHOST, 0, lab.server(&["localhost"])));
    for (instant, code, verdict, id) in [
        ("2026-06-29T00:00:00Z", 0, "pass", None),
        ("2026-07-15T00:00:00Z", 1, "warn", Some("cert.expiring")),
        ("2026-07-30T00:00:01Z", 2, "fail", Some("cert.expired")),
        ("2026-04-30T00:00:00Z", 2, "fail", Some("cert.not_yet_valid")),
    ] {
        let json = json(&lab, &target, &["--at", instant], code);
        assert_eq!(json["verdict"], verdict, "{instant}");
        assert_eq!(ids(&json).first().copied(), id, "{instant}: {json:#}");
    }
}

#[test]
fn a_person_is_told_what_to_do_about_the_worst_first() {
    let lab = Lab::new();
    let target = at(serve(Ipv4Addr::LOCALHOST, 0, lab.server(&["localhost"])));
    let late = ["--profile", "off", "--at", "2026-08-02T00:00:00Z"];
    let said = inspect(&lab, &target, &late).ended(2);
    assert!(said.stdout.contains("3 days past its end"), "{}", said.stdout);
    assert!(said.stdout.contains("critical cert.expired ["), "{}", said.stdout);
    assert!(said.stdout.contains("Renew the certificate, install it on every address"), "{}", said.stdout);
    let nagios = inspect(&lab, &target, &[&late[..], &["--format", "nagios"]].concat()).ended(2);
    assert!(nagios.stdout.starts_with("PORTALWATCH CRITICAL: "), "{nagios:?}");
    assert!(nagios.stdout.lines().any(|line| line.starts_with("critical cert.expired ")), "{nagios:?}");
}

#[test]
fn a_certificate_for_another_name_is_told() {
    let lab = Lab::new();
    let target = at(serve(Ipv4Addr::LOCALHOST, 0, lab.server(&["localhost"])));
    let json_ = json(&lab, &target, &["--at", GOOD, "--server-name", "other.test"], 2);
    assert!(ids(&json_).contains(&"cert.name"), "{json_:#}");
    let endpoint = &json_["observation"]["endpoints"][0];
    assert_eq!((&endpoint["name_matches"], &endpoint["trust"]), (&false.into(), &"trusted".into()));
    // The name that is asked for counts, not the one that leads there.
    let connect = target.replace("localhost", "127.0.0.1");
    let arguments = ["--at", GOOD, "--connect", &connect];
    json(&lab, "localhost", &arguments, 0);
    let json = json(&lab, "other.test", &arguments, 2);
    assert!(ids(&json).contains(&"cert.name"), "{json:#}");
}

#[test]
fn a_root_that_nobody_trusts_is_told() {
    let lab = Lab::new();
    let target = at(serve(Ipv4Addr::LOCALHOST, 0, lab.server(&["localhost"])));
    let arguments = ["inspect", "cert", &target, "--no-dns", "--no-fetch", "--profile", "off"];
    let json = portalwatch(&[&arguments[..], &["--at", GOOD, "--format", "json"]].concat()).ended(2).json();
    assert_eq!(json["observation"]["endpoints"][0]["trust"], "unknown_issuer");
    assert!(ids(&json).contains(&"cert.unknown_issuer"), "{json:#}");
}

#[test]
fn a_demand_for_a_client_certificate_hides_nothing() {
    let lab = Lab::new();
    let target = at(serve(Ipv4Addr::LOCALHOST, 0, lab.demanding(&["localhost"])));
    let json = json(&lab, &target, &["--at", GOOD], 0);
    let endpoint = &json["observation"]["endpoints"][0];
    assert_eq!((&endpoint["wants_client"], &endpoint["trust"]), (&true.into(), &"trusted".into()));
    let text = inspect(&lab, &target, &["--at", GOOD, "--profile", "off"]).ended(0).stdout;
    assert!(text.contains("asks for a client certificate"), "{text}");
}

#[test]
fn what_is_no_tls_and_where_nobody_listens_is_broken_and_says_why() {
    let lab = Lab::new();
    let nginx = Nginx::start("location / { return 200 fine; }");
    for (target, words) in [(at(nginx.port()), "HTTP"), (at(free_port()), "refused")] {
        let json = json(&lab, &target, &[], 2);
        let endpoint = &json["observation"]["endpoints"][0];
        assert_eq!((&endpoint["chain"], &endpoint["trust"]), (&serde_json::json!([]), &Value::Null));
        assert!(endpoint["failure"]["detail"].is_string(), "{endpoint:#}");
        assert_eq!(json["findings"][0]["broken"], true, "{json:#}");
        let text = inspect(&lab, &target, &["--profile", "off"]).ended(2).stdout;
        assert!(text.contains("nothing was shown: ") && text.contains(words), "{text}");
    }
}

#[test]
fn addresses_that_show_the_same_are_told_once_and_others_apart() {
    let lab = Lab::new();
    let [one, two] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
    let settings = lab.server(&[NAME]);
    let port = serve(one, 0, settings.clone());
    serve(two, port, settings);
    let (target, server) = (format!("{NAME}:{port}"), resolver().to_string());
    let arguments = ["--at", GOOD, "--profile", "off", "--resolver", &server];
    let text = inspect(&lab, &target, &arguments).ended(0).stdout;
    assert!(text.contains("\n127.0.0.1 and 127.0.0.2: the same\n"), "{text}");
    assert_eq!(text.matches("leaf: ").count(), 1, "{text}");

    let port = serve(one, 0, lab.server(&[NAME]));
    serve(two, port, lab.server(&["other.test"]));
    let target = format!("{NAME}:{port}");
    let text = inspect(&lab, &target, &arguments).ended(2).stdout;
    assert!(text.contains("\n127.0.0.1\n") && text.contains("\n127.0.0.2\n"), "{text}");
    let json = json(&lab, &target, &["--at", GOOD, "--resolver", &server], 2);
    let names: Vec<&Value> = json["observation"]["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| &endpoint["name_matches"])
        .collect();
    assert_eq!(names, [&true, &false], "{json:#}");
}

#[test]
fn a_name_that_is_gone_is_broken_and_a_dead_resolver_is_not() {
    let lab = Lab::new();
    let server = resolver().to_string();
    let gone = json(&lab, GONE, &["--resolver", &server], 2);
    assert_eq!(gone["findings"][0]["broken"], true, "{gone:#}");
    let dead = format!("127.0.0.1:{}", free_port());
    let arguments = ["--resolver", &dead, "--timeout", "1s"];
    let unknown = json(&lab, NAME, &arguments, 3);
    assert_eq!((&unknown["verdict"], &unknown["cause"]), (&"unknown".into(), &"local_dns".into()));
    let text = inspect(&lab, NAME, &[&arguments[..], &["--profile", "off"]].concat()).ended(3).stdout;
    assert!(text.starts_with("unknown  portal.test") && text.contains("local_dns: "), "{text}");
    let nagios = inspect(&lab, NAME, &[&arguments[..], &["--format", "nagios"]].concat()).ended(3).stdout;
    assert!(nagios.starts_with("PORTALWATCH UNKNOWN: local_dns: "), "{nagios}");
}

#[test]
fn a_mail_server_is_asked_for_tls_first() {
    let exim = SmtpServer::start();
    let ca = exim.ca_file().display().to_string();
    let target = at(exim.port());
    let arguments = ["inspect", "cert", &target, "--starttls", "smtp", "--ca-file", &ca, "--profile", "off"];
    let json = portalwatch(&[&arguments[..], &["--no-dns", "--format", "json"]].concat()).json();
    let endpoint = &json["observation"]["endpoints"][0];
    assert_eq!((&endpoint["trust"], &endpoint["name_matches"]), (&"trusted".into(), &true.into()));
    assert_eq!(json["observation"]["hosts"][0]["starttls"], "smtp");
}

#[test]
fn a_url_from_the_address_bar_is_a_target() {
    let lab = Lab::new();
    let port = serve(Ipv4Addr::LOCALHOST, 0, lab.server(&["localhost"]));
    json(&lab, &format!("https://localhost:{port}/login?next=/"), &["--at", GOOD], 0);
}

#[test]
fn a_mistake_in_the_arguments_is_64() {
    for (arguments, words) in [
        (&[][..], "HOST[:PORT]"),
        (&["a b"], "is no host"),
        (&["portal.test:0"], "is no host"),
        (&["gopher://portal.test/"], "the port of gopher:// is not known"),
        (&["portal.test", "--connect", "127.0.0.1"], "is no place to connect to"),
        (&["portal.test", "--starttls", "telnet"], "possible values"),
        (&["portal.test", "--server-name", "a.test:443"], "has no port"),
        (&["portal.test", "--profile", "ancient"], "possible values"),
        (&["portal.test", "--at", "yesterday"], "--at"),
        (&["portal.test", "--ca-file", "absent.pem"], "absent.pem"),
        (&["portal.test", "--timeout", "0s"], "longer than zero"),
        (&["portal.test", "--resolver", "nonsense"], "is no resolver"),
    ] {
        let said = portalwatch(&[&["inspect", "cert"], arguments].concat()).ended(64);
        assert!(said.stdout.is_empty() && said.stderr.contains(words), "{arguments:?}: {said:#?}");
    }
    let help = portalwatch(&["inspect", "cert", "--help"]).ended(0);
    assert!(help.stdout.contains("Exit codes: 0 ") && help.stdout.contains("--starttls"), "{help:?}");
}
