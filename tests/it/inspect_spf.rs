//! `inspect spf`, as a user types it, against a real name server.

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Said, portalwatch_with};
use crate::peers::{Knot, Zone, free_port};

fn run(arguments: &[&str]) -> Said {
    portalwatch_with(TempDir::new().unwrap().path(), &[], arguments)
}

fn ids(json: &Value) -> Vec<&str> {
    json["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

const RECORDS: &str = "@ TXT \"v=spf1 a:mail.acme.example include:_spf.acme.example \" \"-all\"\n@ TXT \"other\"\n\
    mail A 192.0.2.25\n_spf TXT \"v=spf1 ip4:198.51.100.0/24 exists:%{i}._list.acme.example ~all\"\n\
    203.0.113.7._list A 127.0.0.2\n\
    open TXT \"v=spf1 +all ptr\"\nnone A 192.0.2.1\ntwo TXT \"v=spf1 -all\"\ntwo TXT \"v=spf1 ~all\"\n\
    loop TXT \"v=spf1 include:loop.acme.example -all\"\n";

#[test]
fn a_record_and_its_senders_are_judged_as_receivers_do() {
    if !Knot::is_here("a_record_and_its_senders_are_judged_as_receivers_do") {
        return;
    }
    let zone = |name, records| Zone { name, records, signed: false };
    let knot = Knot::start(&[zone("", "x A 192.0.2.1\n"), zone("acme.example", RECORDS)]);
    let server = knot.address().to_string();
    let ask = |domain: &str, more: &[&str], code: i32| {
        let given = ["inspect", "spf", domain, "--resolver", &server, "--format", "json"];
        run(&[&given[..], more].concat()).ended(code).json()
    };
    let json = ask("acme.example", &[], 0);
    let seen = &json["observation"];
    assert_eq!(
        (&seen["result"], &seen["lookups"], &seen["void_lookups"]),
        (&"fail".into(), &3.into(), &2.into()),
        "{json:#}"
    );
    assert_eq!(seen["trace"][0]["steps"][1]["behind"][1], "softfail");

    for (ip, result, code, found) in [
        ("192.0.2.25", "pass", 0, vec![]),
        ("198.51.100.9", "pass", 0, vec![]),
        ("203.0.113.7", "pass", 0, vec![]),
        ("203.0.113.8", "fail", 2, vec!["spf.sender_refused"]),
    ] {
        let json = ask("acme.example", &["--ip", ip], code);
        assert_eq!((&json["observation"]["result"], ids(&json)), (&result.into(), found), "{ip}: {json:#}");
    }
    for (domain, result, code, found) in [
        ("open.acme.example", "pass", 1, vec!["spf.permissive", "spf.ptr", "spf.after_all"]),
        ("none.acme.example", "none", 1, vec!["spf.missing"]),
        ("gone.acme.example", "none", 1, vec!["spf.missing"]),
        ("two.acme.example", "permerror", 1, vec!["spf.invalid"]),
        ("loop.acme.example", "permerror", 1, vec!["spf.too_many_lookups"]),
    ] {
        let json = ask(domain, &[], code);
        assert_eq!(
            (&json["observation"]["result"], ids(&json)),
            (&result.into(), found),
            "{domain}: {json:#}"
        );
    }
    // Another zone, for which this server is none: that says nothing of the record.
    assert_eq!(ask("other.test", &[], 1)["observation"]["result"], "none");
    let dead = format!("127.0.0.1:{}", free_port());
    let json =
        run(&["inspect", "spf", "acme.example", "--resolver", &dead, "--timeout", "1s", "--format", "json"])
            .ended(3)
            .json();
    assert_eq!(json["observation"]["result"], "temperror", "{json:#}");

    let said = run(&["inspect", "spf", "acme.example", "--resolver", &server]).ended(0).stdout;
    for words in
        ["3 of 10 lookups, 2 of 2 without", "include:_spf.acme.example", "exists:%{i}._list.acme.example"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
}
