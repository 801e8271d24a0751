//! What DNS says of a server's certificates: Knot signs the zone, Unbound validates it.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::lab::{GOOD, Lab, serve};
use crate::ask::anchor;
use crate::command::portalwatch_with;
use crate::peers::{Authority, Knot, Unbound, Zone};

const HOST: &str = "www.portal.example";

/// `inspect cert` of a server on loopback whose zone has these records.
fn inspect(lab: &Lab, port: u16, records: &str) -> Value {
    let records = format!("www A 127.0.0.1\n{records}");
    let knot = Knot::start(&[
        Zone { name: "", records: "", signed: false },
        Zone { name: "portal.example", records: &records, signed: true },
    ]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let anchors = [runtime.block_on(anchor(&knot, "portal.example"))];
    let certified = Authority::new().issue(&["dns.portalwatch.test"]);
    let unbound = Unbound::start(knot.address(), &["", "portal.example"], &anchors, &certified);
    let (target, resolver) = (format!("{HOST}:{port}"), unbound.plain().to_string());
    let whom = ["inspect", "cert", &target, "--ca-file", "root.pem", "--resolver", &resolver];
    let how =
        ["--at", GOOD, "--no-fetch", "--no-web", "--profile", "off", "--timeout", "20s", "--format", "json"];
    portalwatch_with(lab.dir.path(), &[], &[&whom[..], &how[..]].concat()).json()
}

fn ids(json: &Value) -> Vec<&str> {
    let findings = json["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

#[test]
fn a_tlsa_record_that_fits_says_nothing_and_one_of_another_key_is_an_error() {
    if !Knot::is_here("a_tlsa_record_that_fits_says_nothing_and_one_of_another_key_is_an_error") {
        return;
    }
    let lab = Lab::new();
    let port = serve(Ipv4Addr::LOCALHOST, 0, lab.server(&[HOST]));
    let other = format!("_{port}._tcp.www TLSA 3 1 1 {}\n", "0b".repeat(32));
    let json = inspect(&lab, port, &other);
    assert_eq!(json["verdict"], "warn", "{json:#}");
    assert!(ids(&json).contains(&"cert.tlsa_mismatch"), "{json:#}");
    let key = json["observation"]["endpoints"][0]["chain"][0]["spki_sha256"].as_str().unwrap();
    let own = format!("_{port}._tcp.www TLSA 3 1 1 {key}\n_{port}._https.www HTTPS 1 . alpn=http/1.1\n");
    let json = inspect(&lab, port, &own);
    assert_eq!(json["verdict"], "pass", "{json:#}");
    let dns = &json["observation"]["hosts"][0]["dns"];
    assert_eq!(dns["tlsa"]["answered"]["authentic"], true, "{dns:#}");
    assert_eq!(dns["tlsa"]["answered"]["records"].as_array().map(Vec::len), Some(1));
    assert_eq!(dns["https"]["answered"]["records"][0]["alpn"][0], "http/1.1");
}

#[test]
fn caa_records_are_found_above_the_name_and_faults_in_them_are_told() {
    if !Knot::is_here("caa_records_are_found_above_the_name_and_faults_in_them_are_told") {
        return;
    }
    let lab = Lab::new();
    let port = serve(Ipv4Addr::LOCALHOST, 0, lab.server(&[HOST]));
    let json = inspect(&lab, port, "@ CAA 0 issue \"%%%\"\n@ CAA 128 tbs \"x\"\n");
    let ids = ids(&json);
    assert!(ids.contains(&"cert.caa_syntax") && ids.contains(&"cert.caa_critical"), "{json:#}");
    let caa = &json["observation"]["hosts"][0]["dns"]["caa"]["answered"];
    assert_eq!((&caa["at"], &caa["authentic"]), (&"portal.example".into(), &true.into()), "{caa:#}");
}
