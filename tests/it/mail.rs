//! A domain's mail, looked at as a user does: Knot and Unbound for its zone, exim as its mail exchange,
//! nginx for its policy.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use portalwatch::formats::x509::{Certificate, hex, pem};
use serde_json::Value;
use tempfile::TempDir;

use crate::ask::anchor;
use crate::command::{Said, portalwatch_with};
use crate::peers::{Authority, Knot, Nginx, SmtpServer, Unbound, Zone};

const POLICY: &str = "version: STSv1\\nmode: enforce\\nmx: mail.acme.example\\nmax_age: 1209600\\n";
/// The key of RFC 8463, appendix A.2.
const KEY: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// A domain with everything, and who serves it.
struct World {
    _knot: Knot,
    authority: Authority,
    unbound: Unbound,
    smtp: SmtpServer,
    web: Nginx,
    folder: TempDir,
}

/// What differs from a domain where everything is right.
struct Wrong<'a> {
    /// Lines of the zone that begin so are left out …
    without: &'a [&'a str],
    /// … and these put in.
    with: &'a str,
    /// What nginx answers for the policy.
    policy: String,
    /// The name that the mail exchange has a certificate for.
    named: &'a str,
}

impl Default for Wrong<'_> {
    fn default() -> Self {
        let policy = format!("default_type text/plain; return 200 \"{POLICY}\";");
        Self { without: &[], with: "", policy, named: "mail.acme.example" }
    }
}

/// `3 1 1` of a certificate in PEM.
fn tlsa(certificate: &str) -> String {
    let der = pem::blocks(certificate).unwrap().remove(0).bytes;
    let certificate = Certificate::parse(&der).unwrap();
    format!("3 1 1 {}", hex(digest(&SHA256, certificate.spki()).as_ref()))
}

impl World {
    async fn new(wrong: &Wrong<'_>) -> Self {
        let authority = Authority::new();
        let certified = authority.issue(&[wrong.named]);
        let smtp = SmtpServer::certified(&authority, &certified);
        let location = format!("location = /.well-known/mta-sts.txt {{ {} }}", wrong.policy);
        let web = Nginx::start_tls(&location, &authority.issue(&["mta-sts.acme.example"]));
        let mut zone = format!(
            "@ MX 10 mail\nmail A 127.0.0.1\nmta-sts A 127.0.0.1\nout A 11.0.0.25\nold A 11.0.0.27\n\
             @ TXT \"v=spf1 ip4:11.0.0.25 -all\"\n\
             _dmarc TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@acme.example\"\n\
             s1._domainkey TXT \"{KEY}\"\n\
             _mta-sts TXT \"v=STSv1; id=20260101\"\n\
             _smtp._tls TXT \"v=TLSRPTv1; rua=mailto:tls@acme.example\"\n\
             _{port}._tcp.mail TLSA {own}\n_{port}._tcp.mail TLSA 3 1 1 {next}\n",
            port = smtp.port(),
            own = tlsa(&certified.0),
            next = "0".repeat(64),
        );
        let stays = |line: &&str| !wrong.without.iter().any(|gone| line.starts_with(gone));
        zone = zone.lines().filter(stays).fold(String::new(), |mut zone, line| {
            writeln!(zone, "{line}").unwrap();
            zone
        });
        zone.push_str(wrong.with);
        let served = |name, records, signed| Zone { name, records, signed };
        let knot = Knot::start(&[
            served("", "x A 192.0.2.1\n", false),
            served("acme.example", &zone, true),
            served("0.0.11.in-addr.arpa", "25 PTR out.acme.example.\n26 PTR out.acme.example.\n", false),
            served(
                "bl.example",
                "2.0.0.127 A 127.0.0.2\n26.0.0.11 A 127.0.0.4\n26.0.0.11 TXT \"seen sending\"\n",
                false,
            ),
            served("refusing.example", "*.127 A 127.255.255.254\n25.0.0.11 A 127.255.255.254\n", false),
        ]);
        let zones = ["", "acme.example", "0.0.11.in-addr.arpa", "bl.example", "refusing.example"];
        let unbound = Unbound::start(
            knot.address(),
            &zones,
            &[anchor(&knot, "acme.example").await],
            &authority.issue(&["dns.example"]),
        );
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { _knot: knot, authority, unbound, smtp, web, folder }
    }

    /// Gives the mail exchange another certificate and key.
    fn renew(&mut self) {
        let port = self.smtp.port();
        self.smtp.stop();
        let certified = self.authority.issue(&["mail.acme.example"]);
        self.smtp = SmtpServer::at(port, &self.authority, &certified);
    }

    fn inspect(&self, command: &str, domain: &str, more: &[&str]) -> Said {
        let resolver = self.unbound.plain().to_string();
        let ca = self.folder.path().join("ca.pem");
        let (smtp, https) = (self.smtp.port().to_string(), self.web.port().to_string());
        let mut arguments =
            vec!["inspect", command, domain, "--resolver", &resolver, "--ca-file", ca.to_str().unwrap()];
        if ["mail", "mta-sts"].contains(&command) {
            arguments.extend(["--smtp-port", &smtp, "--https-port", &https]);
        }
        arguments.extend(more);
        portalwatch_with(self.folder.path(), &[], &arguments)
    }

    fn json(&self, command: &str, more: &[&str], code: i32) -> Value {
        self.inspect(command, "acme.example", &[more, &["--format", "json"]].concat()).ended(code).json()
    }
}

/// Ids of what was found; what was not measured in brackets.
fn ids(json: &Value) -> Vec<String> {
    let mut ids: Vec<String> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let id = finding["id"].as_str().unwrap();
            if finding["measured"] == false { format!("({id})") } else { id.to_owned() }
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

const SENDER: [&str; 4] = ["--dkim-selector", "s1", "--sender", "11.0.0.25"];

#[tokio::test]
async fn a_domain_where_everything_is_right_is_all_green() {
    if !Knot::is_here("a_domain_where_everything_is_right_is_all_green") {
        return;
    }
    let world = World::new(&Wrong::default()).await;
    let json = world.json("mail", &[&SENDER[..], &["--dnsbl", "bl.example"]].concat(), 0);
    assert_eq!(ids(&json), [""; 0], "{json:#}");
    let text = world.inspect("mail", "acme.example", &SENDER).ended(0).stdout;
    for part in ["SPF", "DKIM", "DMARC", "MX", "MTA-STS", "TLS-RPT", "DANE", "senders"] {
        let line =
            text.lines().find(|line| line.contains(&format!(" {part} "))).unwrap_or_else(|| panic!("{text}"));
        assert!(line.trim_start().starts_with("pass"), "{text}");
    }
    assert!(text.contains("    -       BIMI     none\n"), "{text}");
    assert!(text.contains("127.0.0.1:") && text.contains("STARTTLS, the certificate is valid"), "{text}");
}

/// What is wrong, with which arguments it is looked at, the exit code, and what is found.
type Row<'a> = (Wrong<'a>, &'a [&'a str], i32, &'a [&'a str]);

#[tokio::test]
async fn what_is_wrong_is_found_and_nothing_else() {
    if !Knot::is_here("what_is_wrong_is_found_and_nothing_else") {
        return;
    }
    let logo = |inside: &str| {
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.2\" baseProfile=\"tiny-ps\" viewBox=\"0 0 8 8\">{inside}</svg>"
        );
        let policy = format!(
            "default_type text/plain; return 200 \"{POLICY}\"; }} location = /l.svg {{ default_type image/svg+xml; return 200 '{svg}';"
        );
        let with = "default._bimi TXT \"v=BIMI1; l=https://mta-sts.acme.example/l.svg\"\n";
        Wrong { with, policy, ..Wrong::default() }
    };
    let without = |without| Wrong { without, ..Wrong::default() };
    let but = |without, with| Wrong { without, with, ..Wrong::default() };
    let policy = |policy: &str| Wrong { policy: policy.to_owned(), ..Wrong::default() };
    let much = format!("set $a \"{}\";", "x: y\\n".repeat(400));
    let long = format!("default_type text/plain; {much} return 200 \"{POLICY}{}\"", "$a".repeat(40));
    let long = format!("{long};");
    let rows: &[Row<'_>] = &[
        (without(&["@ TXT"]), &SENDER, 1, &["receivers.rules", "spf.missing"]),
        (but(&[], "@ TXT \"v=spf1 ~all\"\n"), &SENDER, 1, &["receivers.rules", "spf.invalid"]),
        (
            but(
                &["@ TXT"],
                "@ TXT \"v=spf1 ip4:11.0.0.0/8 ip4:11.0.0.0/8 ?all\"\n@ TXT \"spf2.0/pra -all\"\n",
            ),
            &SENDER,
            1,
            &["spf.duplicate_terms", "spf.old_record", "spf.permissive", "spf.wide"],
        ),
        (
            but(&["@ TXT"], "@ TXT \"v=spf1 include:spf.gone-and-free.example ip4:11.0.0.25 -all\"\n"),
            &SENDER,
            1,
            &["receivers.rules", "spf.invalid", "spf.lapsed_include"],
        ),
        (
            but(&["@ TXT"], "@ TXT \"v=spf1 include:_spf.acme.example -all\"\n_spf TXT \"v=spf1 +all\"\n"),
            &SENDER,
            1,
            &["spf.permissive"],
        ),
        (without(&["_dmarc"]), &SENDER, 1, &["dmarc.missing", "receivers.rules"]),
        (
            but(&["_dmarc"], "_dmarc TXT \"v=DMARC1; p=none; pct=20; x=y; rua=mailto:a@else.example\"\n"),
            &SENDER,
            1,
            &[
                "dmarc.not_enforced",
                "dmarc.removed_tags",
                "dmarc.report_address",
                "dmarc.report_unauthorized",
                "dmarc.unknown_tags",
            ],
        ),
        (but(&[], "_dmarc TXT \"v=DMARC1; p=none\"\n"), &SENDER, 1, &["dmarc.several", "receivers.rules"]),
        (
            but(&["_dmarc"], "_dmarc TXT \" v=DMARC1; p=reject\"\n"),
            &SENDER,
            1,
            &["dmarc.misplaced", "dmarc.missing", "receivers.rules"],
        ),
        (
            but(
                &["_dmarc"],
                "_dmarc TXT \"v=DMARC1; p=reject; sp=none; t=y; rua=mailto:dmarc@acme.example\"\n",
            ),
            &SENDER,
            1,
            &["dmarc.subdomains_weaker", "dmarc.testing"],
        ),
        (Wrong::default(), &[], 0, &["(dkim.undeclared)"]),
        (
            but(
                &[],
                "weak._domainkey TXT \"v=DKIM1; p=\" \"MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANmBe10IgY+u7h3enWTukkqtUD5PR52Tb/mPfjC0QJTocVBq6Za/PlzfV+Py92VaCak19F4WrbVTK5Gg5tW220MCAwEAAQ==\"\n\
                  gone._domainkey TXT \"v=DKIM1; p=\"\nalias._domainkey CNAME alias2._domainkey\nalias2._domainkey CNAME nothing\n\
                  two._domainkey TXT \"v=DKIM1; p=\"\ntwo._domainkey TXT \"v=DKIM1; p= \"\nbad._domainkey TXT \"v=DKIM1; p=%%\"\n\
                  good._domainkey CNAME s1._domainkey\n",
            ),
            &[
                "--dkim-selector",
                "weak",
                "--dkim-selector",
                "gone",
                "--dkim-selector",
                "alias",
                "--dkim-selector",
                "two",
                "--dkim-selector",
                "bad",
                "--dkim-selector",
                "good",
            ],
            1,
            &["dkim.invalid", "dkim.key_too_short", "dkim.missing", "dkim.revoked"],
        ),
        (
            but(&["@ MX"], "@ MX 0 .\n@ MX 10 www\nwww CNAME mail\n"),
            &SENDER,
            2,
            &["mta_sts.mx_not_listed", "mx.certificate", "mx.null_mixed", "mx.target"],
        ),
        (without(&["@ MX"]), &SENDER, 1, &["dmarc.report_address", "mx.missing"]),
        (
            Wrong { named: "other.example", ..Wrong::default() },
            &SENDER,
            2,
            &["mta_sts.mx_certificate", "mx.certificate"],
        ),
        (but(&["_mta-sts"], "_mta-sts TXT \"v=STSv1; id=a-b\"\n"), &SENDER, 1, &["mta_sts.record"]),
        (without(&["_mta-sts"]), &SENDER, 1, &["mta_sts.no_record"]),
        (
            policy("return 302 https://mta-sts.acme.example/policy;"),
            &SENDER,
            1,
            &["mta_sts.policy_unreachable"],
        ),
        (policy("return 404;"), &SENDER, 1, &["mta_sts.policy_unreachable"]),
        (
            policy(&format!("default_type text/html; return 200 \"{POLICY}\";")),
            &SENDER,
            1,
            &["mta_sts.policy_invalid"],
        ),
        (policy(&long), &SENDER, 1, &["mta_sts.policy_invalid"]),
        (
            policy(
                "default_type text/plain; return 200 \"version: STSv1\\nmode: testing\\nmax_age: 60\\nmx: *.example\\n\";",
            ),
            &SENDER,
            1,
            &["mta_sts.max_age", "mta_sts.mx_not_listed"],
        ),
        (without(&["_smtp._tls"]), &SENDER, 1, &["tls_rpt.missing"]),
        (
            but(&["_smtp._tls"], "_smtp._tls TXT \"v=TLSRPTv1; rua=http://a.example/\"\n"),
            &SENDER,
            1,
            &["tls_rpt.invalid"],
        ),
        (but(&[], "default._bimi TXT \"v=BIMI1; l=http://a.example/\"\n"), &SENDER, 1, &["bimi.record"]),
        (logo("<title>Acme</title>"), &SENDER, 0, &[]),
        (logo("<script>x()</script>"), &SENDER, 1, &["bimi.logo"]),
        (
            Wrong::default(),
            &["--dkim-selector", "s1", "--sender", "11.0.0.26", "--dnsbl", "bl.example"],
            2,
            &["receivers.rules", "sender.listed", "sender.reverse", "spf.sender_refused"],
        ),
        (
            Wrong::default(),
            &["--dkim-selector", "s1", "--sender", "11.0.0.25", "--dnsbl", "refusing.example"],
            0,
            &["(sender.list_unusable)"],
        ),
        (Wrong::default(), &["--parked"], 1, &["parked.record"]),
        (but(&["@ TXT", "@ MX"], "@ TXT \"v=spf1 -all\"\n@ MX 0 .\n"), &["--parked"], 0, &[]),
    ];
    for (number, (wrong, arguments, code, found)) in rows.iter().enumerate() {
        let world = World::new(wrong).await;
        let said = world.inspect("mail", "acme.example", &[*arguments, &["--format", "json"]].concat());
        let json = said.json();
        assert_eq!(
            ids(&json),
            *found,
            "row {number}: {}",
            serde_json::to_string_pretty(&json["findings"]).unwrap()
        );
        said.ended(*code);
    }
}

#[tokio::test]
async fn a_certificate_that_dane_does_not_know_stops_mail() {
    if !Knot::is_here("a_certificate_that_dane_does_not_know_stops_mail") {
        return;
    }
    let mut world = World::new(&Wrong::default()).await;
    // Another certificate, as after a renewal that nobody told the zone of.
    world.renew();
    let json = world.json("mail", &SENDER, 2);
    assert_eq!(ids(&json), ["dane.mismatch"], "{json:#}");
}

#[tokio::test]
async fn a_zone_that_does_not_validate_is_unknown_and_not_empty() {
    if !Knot::is_here("a_zone_that_does_not_validate_is_unknown_and_not_empty") {
        return;
    }
    let knot = Knot::start(&[
        Zone { name: "", records: "x A 192.0.2.1\n", signed: false },
        Zone { name: "acme.example", records: "@ TXT \"v=spf1 -all\"\n", signed: true },
    ]);
    let wrong = format!("acme.example. DS 1 13 2 {}", "0".repeat(64));
    let certified = Authority::new().issue(&["dns.example"]);
    let unbound = Unbound::start(knot.address(), &["", "acme.example"], &[wrong], &certified);
    let folder = TempDir::new().unwrap();
    for command in ["mail", "dmarc", "mta-sts"] {
        let resolver = unbound.plain().to_string();
        let arguments = ["inspect", command, "acme.example", "--resolver", &resolver, "--format", "json"];
        let json = portalwatch_with(folder.path(), &[], &arguments).ended(3).json();
        assert_eq!(json["verdict"], "unknown", "{json:#}");
        assert!(ids(&json).iter().all(|id| id.starts_with('(')), "{json:#}");
    }
}

/// Names of the walk, what they have, and what is found from the first of them.
#[test]
fn the_policy_is_found_as_receivers_find_it() {
    if !Knot::is_here("the_policy_is_found_as_receivers_find_it") {
        return;
    }
    let zone = "_dmarc TXT \"v=DMARC1; p=reject; sp=quarantine; np=none; t=y\"\n\
                _dmarc.own TXT \"v=DMARC1; p=none\"\nwww.sub A 192.0.2.1\n";
    let knot = Knot::start(&[
        Zone { name: "", records: "x A 192.0.2.1\n", signed: false },
        Zone { name: "acme.example", records: zone, signed: false },
    ]);
    let (server, folder) = (knot.address().to_string(), TempDir::new().unwrap());
    for (domain, at, policy, applied) in [
        ("acme.example", Some("acme.example"), "reject", "quarantine"),
        ("www.sub.acme.example", Some("acme.example"), "reject", "none"),
        ("own.acme.example", Some("own.acme.example"), "none", "none"),
        ("other.example", None, "", ""),
    ] {
        let arguments = ["inspect", "dmarc", domain, "--resolver", &server, "--format", "json"];
        let seen = portalwatch_with(folder.path(), &[], &arguments).ended(1).json()["observation"].clone();
        assert_eq!(seen["policy_domain"].as_str(), at, "{domain}: {seen:#}");
        assert_eq!(seen["policy"].as_str().unwrap_or_default(), policy, "{domain}");
        assert_eq!(seen["applied_policy"].as_str().unwrap_or_default(), applied, "{domain}");
        if domain == "acme.example" {
            assert_eq!(
                (seen["subdomain_policy"].as_str(), seen["np"].as_str()),
                (Some("quarantine"), Some("none"))
            );
            assert_eq!(
                (&seen["testing"], seen["organizational_domain"].as_str()),
                (&true.into(), Some(domain))
            );
        }
    }
}
