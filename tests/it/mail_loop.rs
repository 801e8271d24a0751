//! A real message: exim signs and sends it, Dovecot or the check itself receives it, Knot has the keys.

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Said, portalwatch_with};
use crate::peers::{Authority, Knot, Onward, PostOffice, Wagtail, Zone, free_port};

const NOTHING: [&str; 0] = [];

/// Who takes part.
struct World {
    office: PostOffice,
    _knot: Knot,
    folder: TempDir,
}

/// What is written under `receive`.
fn imap(office: &PostOffice) -> String {
    let (_, imaps) = office.imap();
    let (username, password) = (PostOffice::USERNAME, PostOffice::PASSWORD);
    format!(
        "{{ imap: {{ url: \"imaps://127.0.0.1:{imaps}\", username: {username}, password: {{ insecure_literal: {password} }} }} }}"
    )
}

impl World {
    /// `records` are of the domain, `@KEY@` in them its public key; `settings` stand under `loop`, with `@SEND@`
    /// and `@IMAP@` for what is usual.
    fn new(office: PostOffice, authority: &Authority, records: &str, settings: &str, more: &str) -> Self {
        let key = office.public_key();
        // Strings of TXT have 255 bytes at most.
        let (first, second) = key.split_at(key.len().min(200));
        let records = records.replace("@KEY@", &format!("{first}\" \"{second}"));
        let zone = |name, records| Zone { name, records, signed: false };
        let knot = Knot::start(&[
            zone("", "x A 192.0.2.1\n"),
            zone("acme.example", &records),
            zone("monitor.example", ""),
        ]);
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let (username, password) = (PostOffice::USERNAME, PostOffice::PASSWORD);
        let send = format!(
            "send_via: {{ smtp: {{ url: \"smtp://127.0.0.1:{}\", username: {username}, password: {{ insecure_literal: {password} }} }}, \
             from: portal@acme.example, to: canary@monitor.example }}",
            office.port()
        );
        let settings = settings.replace("@SEND@", &send).replace("@IMAP@", &imap(&office));
        let config = format!(
            "server: {{ listen: 127.0.0.1:0 }}\nstorage: {{ url: sqlite://p.db }}\n\
             defaults: {{ resolvers: [\"{resolver}\"], reference: [], tls: {{ ca_file: ca.pem }} }}\n\
             portals:\n  acme:\n    private: true\n    checks:\n      \
             mail: {{ every: 1h, deadline: 40s, mail: {{ domain: acme.example, dkim_selectors: [s1], receiver_rules: false, loop: {{ {settings} }} }} }}\n{more}",
            resolver = knot.address(),
        );
        std::fs::write(folder.path().join("monitor.yaml"), config).unwrap();
        Self { office, _knot: knot, folder }
    }

    fn check(&self, more: &[&str]) -> Said {
        let arguments = [&["check", "acme/mail", "--format", "json"], more].concat();
        portalwatch_with(self.folder.path(), &[], &arguments)
    }

    /// What is found of the round trip alone, and the whole.
    fn run(&self) -> (Vec<String>, Value) {
        let said = self.check(&["--write"]);
        let json: Value = said.json();
        let all = json[0]["findings"].as_array().or_else(|| json["checks"][0]["findings"].as_array());
        let all = all.unwrap_or_else(|| panic!("{json:#}"));
        let own = all.iter().filter(|finding| finding["id"].as_str().unwrap().starts_with("loop."));
        let of = |finding: &Value| {
            let id = finding["id"].as_str().unwrap();
            if finding["measured"] == false { format!("({id})") } else { id.to_owned() }
        };
        (own.map(of).collect(), json)
    }
}

const RECORDS: &str = "@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\n@ MX 0 .\n_dmarc TXT \"v=DMARC1; p=reject\"\n\
    s1._domainkey TXT \"v=DKIM1; p=@KEY@\"\n";

#[test]
fn a_canary_goes_round_over_imap_and_is_deleted() {
    if !PostOffice::is_here("a_canary_goes_round_over_imap_and_is_deleted")
        || !Knot::is_here("a_canary_goes_round_over_imap_and_is_deleted")
    {
        return;
    }
    let authority = Authority::new();
    let office = PostOffice::start(&authority, &Onward::Mailbox, Some(("acme.example", "s1")), 2048);
    let world = World::new(office, &authority, RECORDS, "@SEND@, receive: @IMAP@, within: 30s", "");
    // What an earlier run left behind goes; that of another check and what is nobody's stay.
    for (name, subject) in [("1", "acme/mail 1a2b"), ("2", "acme/mail-2 1a2b"), ("3", "acme/mai")] {
        world.office.put(
            name,
            &format!("From: a@acme.example\r\nSubject: portalwatch canary {subject}\r\n\r\nx\r\n"),
        );
    }
    let (found, json) = world.run();
    assert_eq!(found, NOTHING, "{json:#}\n{}", world.office.log());
    let text = json.to_string();
    assert!(text.contains("\"arrived\"") && text.contains("\"peer\":\"127.0.0.1\""), "{json:#}");
    assert!(!text.contains(PostOffice::PASSWORD), "{json:#}");
    assert_eq!(world.office.kept(), 2, "{}", world.office.log());
    // By hand, nothing is sent unless it is told to.
    let quiet = world.check(&[]).json().to_string();
    assert!(!quiet.contains("\"arrived\"") && !quiet.contains("loop."), "{quiet}");
}

#[test]
fn what_a_receiver_would_refuse_is_found() {
    if !PostOffice::is_here("what_a_receiver_would_refuse_is_found")
        || !Knot::is_here("what_a_receiver_would_refuse_is_found")
    {
        return;
    }
    let with = |spf: &str, key: &str| {
        format!("@ TXT \"v=spf1 {spf} -all\"\n@ MX 0 .\n_dmarc TXT \"v=DMARC1; p=reject\"\n{key}\n")
    };
    let key = "s1._domainkey TXT \"v=DKIM1; p=@KEY@\"";
    let acme = Some(("acme.example", "s1"));
    for (signs, bits, records, found) in [
        // The signature alone, SPF alone, neither.
        (acme, 2048, with("", key), &["loop.spf"][..]),
        (None, 2048, with("ip4:127.0.0.1", key), &["loop.dkim"]),
        (None, 2048, with("", key), &["loop.dmarc", "loop.dkim", "loop.spf"]),
        // A signature of somebody else, a key that is not there, one of another, one that is too short.
        (Some(("other.example", "s1")), 2048, with("ip4:127.0.0.1", key), &["loop.dkim"]),
        (acme, 2048, with("ip4:127.0.0.1", ""), &["loop.dkim"]),
        (
            acme,
            2048,
            with(
                "ip4:127.0.0.1",
                "s1._domainkey TXT \"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"",
            ),
            &["loop.dkim"],
        ),
        (acme, 512, with("ip4:127.0.0.1", key), &["loop.dkim"]),
    ] {
        let authority = Authority::new();
        let office = PostOffice::start(&authority, &Onward::Mailbox, signs, bits);
        let world = World::new(office, &authority, &records, "@SEND@, receive: @IMAP@, within: 30s", "");
        let (seen, json) = world.run();
        assert_eq!(seen, found, "{records}: {:#}\n{}", json[0]["findings"], world.office.log());
    }
}

#[test]
fn the_check_listens_itself_while_it_waits() {
    if !PostOffice::is_here("the_check_listens_itself_while_it_waits")
        || !Knot::is_here("the_check_listens_itself_while_it_waits")
    {
        return;
    }
    let authority = Authority::new();
    let port = free_port();
    let office = PostOffice::start(&authority, &Onward::Port(port), Some(("acme.example", "s1")), 2048);
    let settings = format!(
        "@SEND@, receive: {{ smtp_listen: {{ listen: \"127.0.0.1:{port}\", mailbox: canary@monitor.example }} }}, within: 30s"
    );
    let world = World::new(office, &authority, RECORDS, &settings, "");
    let (found, json) = world.run();
    assert_eq!(found, NOTHING, "{json:#}\n{}", world.office.log());
}

#[test]
fn lost_refused_and_unread_are_told_apart() {
    if !PostOffice::is_here("lost_refused_and_unread_are_told_apart")
        || !Knot::is_here("lost_refused_and_unread_are_told_apart")
    {
        return;
    }
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = silent.local_addr().unwrap().port();
    for (settings, found) in [
        // Sent to a server that takes nothing; a password that is wrong; a mailbox that refuses.
        ("@SEND@, receive: @IMAP@, within: 3s".to_owned(), "loop.not_received"),
        (
            format!(
                "send_via: {{ smtp: {{ url: \"smtp://127.0.0.1:{}\" }}, from: a@acme.example, to: b@monitor.example }}, receive: @IMAP@, within: 5s",
                free_port()
            ),
            "loop.not_sent",
        ),
        (
            "@SEND@, receive: { imap: { url: \"imaps://127.0.0.1:@PORT@\", username: a, password: { insecure_literal: wrong-secret } } }, within: 5s".to_owned(),
            "(loop.unmeasured)",
        ),
    ] {
        let authority = Authority::new();
        let office = PostOffice::start(&authority, &Onward::Port(nowhere), None, 2048);
        let settings = settings.replace("@PORT@", &office.imap().1.to_string());
        let world = World::new(office, &authority, RECORDS, &settings, "");
        let (seen, json) = world.run();
        assert_eq!(seen, [found], "{settings}: {:#}", json[0]["findings"]);
        assert!(!json.to_string().contains("wrong-secret"));
    }
}

#[test]
fn the_portals_own_mail_is_judged() {
    if !PostOffice::is_here("the_portals_own_mail_is_judged")
        || !Knot::is_here("the_portals_own_mail_is_judged")
    {
        return;
    }
    let authority = Authority::new();
    let office = PostOffice::start(&authority, &Onward::Mailbox, Some(("acme.example", "s1")), 2048);
    let folder = TempDir::new().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).unwrap();
    let portal = Wagtail::start_mailing(&office, &ca_file);
    let journey = format!(
        "      reset:\n        every: 1h\n        journey:\n          steps:\n            \
         - {{ name: form, get: \"{0}/admin/password_reset/\", capture: {{ reset: {{ form: \"form\" }} }} }}\n            \
         - {{ name: ask, submit: reset, form: {{ email: canary@monitor.example }} }}\n    url: \"{0}\"\n",
        portal.url()
    );
    let settings = "trigger: { journey: reset, subject: assword reset }, receive: @IMAP@, within: 30s, links: [portal.acme.example]";
    let world = World::new(office, &authority, RECORDS, settings, &journey);
    let (found, json) = world.run();
    assert_eq!(found, NOTHING, "{:#}\n{}\n{}", json[0]["findings"], world.office.log(), portal.log());
    let text = json.to_string();
    assert!(text.contains("\"links\":[\"portal.acme.example\"]"), "{json:#}");
    assert_eq!(world.office.kept(), 0);
}
