use super::*;

const VERISIGN: &str = include_str!("samples/verisign.json");
const REGISTRAR: &str = include_str!("samples/registrar.json");
const PIR: &str = include_str!("samples/pir.json");
const NOMINET: &str = include_str!("samples/nominet.json");
const DENIC: &str = include_str!("samples/denic.json");

#[track_caller]
fn read(text: &str) -> Domain {
    match parse(text.as_bytes()) {
        Ok(Answer::Domain(domain)) => *domain,
        other => panic!("{other:?}"),
    }
}

fn expiration(domain: &Domain) -> Option<String> {
    domain.date_of("expiration").map(|date| date.to_string())
}

#[test]
fn the_answer_of_a_thin_registry_is_read_whole() {
    let domain = read(VERISIGN);
    assert_eq!(domain.ldh_name.as_deref(), Some("acme-portal.com"));
    assert_eq!(expiration(&domain).as_deref(), Some("2027-08-13T04:00:00Z"));
    assert_eq!(domain.status[1], "client transfer prohibited");
    let registrar = domain.entity("registrar").unwrap();
    assert_eq!(registrar.name.as_deref(), Some("MarkMonitor Inc."));
    assert_eq!(registrar.iana_id.as_deref(), Some("292"));
    assert_eq!(domain.nameservers.as_deref().unwrap(), ["ns1.acme-dns.com", "ns2.acme-dns.com"]);
    let dnssec = domain.secure_dns.as_ref().unwrap();
    assert_eq!(dnssec.delegation_signed, Some(true));
    assert!(dnssec.ds[0].starts_with("12345 13 2 4A5FBA44"), "{dnssec:?}");
    assert_eq!(domain.related(), Some("https://registrar.example/rdap/domain/ACME-PORTAL.COM"));
    assert!(!domain.truncated);
}

#[test]
fn offsets_capitals_and_epp_names_are_understood() {
    let domain = read(PIR);
    assert_eq!(expiration(&domain).as_deref(), Some("2027-02-11T16:07:21.82Z"));
    assert_eq!(domain.status, ["client transfer prohibited", "server delete prohibited"]);
    assert_eq!(domain.entity("registrar").unwrap().iana_id.as_deref(), Some("81"));
    assert_eq!(domain.nameservers.as_deref().unwrap(), ["ns1.acme-portal.org", "ns2.acme-dns.net"]);
    assert_eq!(domain.events[0].actor.as_deref(), Some("GANDI"));
    // A web page of the registrar is no registration data.
    assert_eq!(domain.related(), Some("https://rdap.registrar.example/domain/acme-portal.org"));
    assert_eq!(expiration(&read(REGISTRAR)).as_deref(), Some("2026-08-13T07:00:00Z"));
    assert_eq!(read(REGISTRAR).entity("registrant").unwrap().name.as_deref(), Some("Acme Ltd"));
}

#[test]
fn what_a_registry_does_not_say_is_not_made_up() {
    let nominet = read(NOMINET);
    assert_eq!(nominet.entity("registrar").unwrap().iana_id, None);
    let signed = SecureDns { delegation_signed: Some(true), ..SecureDns::default() };
    assert_eq!(nominet.secure_dns, Some(signed));
    let denic = read(DENIC);
    assert_eq!((expiration(&denic), denic.entity("registrar")), (None, None));
    assert!(denic.secure_dns.unwrap().keys[0].ends_with("dxCjjnopKl+GqJxpVXckHAeF+KkxLbxIL"));
    let bare = read(r#"{"objectClassName": "domain"}"#);
    assert_eq!(bare, Domain::default());
}

#[test]
fn an_event_without_a_date_is_no_date() {
    let text = r#"{"ldhName": "a.example", "events": [{"eventAction": "expiration"},
        {"eventAction": "expiration", "eventDate": "soon"}, {"eventDate": "2027-01-01"}, 7,
        {"eventAction": "EXPIRATION", "eventDate": "2028-01-01"}, {"eventAction": "expiration", "eventDate": "2027-06-01"}]}"#;
    let domain = read(text);
    assert_eq!(domain.events.len(), 4);
    assert_eq!(expiration(&domain).as_deref(), Some("2027-06-01T00:00:00Z"));
}

#[test]
fn members_of_the_wrong_type_hide_nothing_else() {
    let text = r#"{"objectClassName": "Domain", "ldhName": ["x"], "status": "active", "entities": {"roles": ["registrar"]},
        "nameservers": [{"ldhName": 7}, "ns", {"ldhName": "NS1.A.EXAMPLE."}], "secureDNS": "yes", "links": 3, "notices": [[]],
        "events": [{"eventAction": "expiration", "eventDate": "2027-01-01T00:00:00Z"}]}"#;
    let domain = read(text);
    assert_eq!(domain.status, ["active"]);
    assert_eq!(
        domain.entity("registrar"),
        Some(&Entity { roles: vec!["registrar".into()], ..Entity::default() })
    );
    assert_eq!(domain.nameservers.as_deref().unwrap(), ["ns1.a.example"]);
    assert_eq!(domain.secure_dns, None);
    assert!(expiration(&domain).is_some());
}

#[test]
fn what_is_no_registration_data_is_refused() {
    assert!(matches!(parse(b"<!doctype html><title>Hello</title>"), Err(RdapError::Json(_))));
    assert!(matches!(parse(b"[]"), Err(RdapError::NoObject)));
    assert_eq!(parse(br#"{"status": "ok"}"#), Err(RdapError::NoRdap));
    assert_eq!(parse(br#"{"objectClassName": "entity"}"#), Err(RdapError::OtherClass("entity".into())));
    assert!(parse("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn an_error_is_told_in_the_servers_words_on_one_line() {
    let text = r#"{"rdapConformance": ["rdap_level_0"], "errorCode": 404, "title": "Not Found",
        "description": ["The domain\r\nis not registered", 4]}"#;
    let words = "Not Found: The domain  is not registered".to_owned();
    assert_eq!(parse(text.as_bytes()), Ok(Answer::Error(ErrorResponse { code: Some(404), words })));
}

#[test]
fn an_answer_that_leaves_things_out_says_so() {
    let text = r#"{"ldhName": "a.example", "notices": [{"type": "object truncated due to authorization"}]}"#;
    assert!(read(text).truncated);
    assert!(
        !read(r#"{"ldhName": "a.example", "notices": [{"type": "result set truncated due to load"}]}"#)
            .truncated
    );
}

#[test]
fn a_huge_answer_is_kept_small() {
    let servers: Vec<String> = (0..5000).map(|n| format!(r#"{{"ldhName": "ns{n:04}.a.example"}}"#)).collect();
    let long = "ü".repeat(10_000);
    let text = format!(
        r#"{{"ldhName": "{long}", "status": ["{long}"], "nameservers": [{}], "links": [{{"rel": "related", "href": "https://a.example/{long}"}}]}}"#,
        servers.join(",")
    );
    let domain = read(&text);
    assert_eq!(domain.nameservers.as_ref().map(Vec::len), Some(64));
    assert!(domain.ldh_name.unwrap().len() <= 256 && domain.status[0].len() <= 256);
    assert_eq!(domain.links, []);
}

#[test]
fn both_spellings_of_a_status_are_the_same() {
    for text in [
        "clientTransferProhibited",
        "client transfer prohibited",
        "CLIENT TRANSFER PROHIBITED",
        "client_transfer_prohibited",
    ] {
        assert_eq!(status_words(text), "client transfer prohibited");
    }
}
