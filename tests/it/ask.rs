//! Questions to real name servers: Knot as authority, Unbound as resolver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portalwatch::formats::caa::{allows, climb};
use portalwatch::formats::dns::{Caa, Data, Name, Outcome, Query, QueryEdns, RecordType};
use portalwatch::net::{
    Asked, FailReason, Net, NetOptions, Origin, Over, Reply, TlsOptions, Transport, TransportError,
};

use crate::peers::{Authority, Knot, Unbound, Zone};

const PATIENCE: Duration = Duration::from_secs(20);
const DNS_NAME: &str = "dns.portalwatch.test";

fn net() -> Net {
    Net::new(NetOptions {
        per_host: 10,
        global: 50,
        user_agent: "portalwatch/test".into(),
        hosts: std::collections::BTreeMap::new(),
    })
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn asked(server: SocketAddr, transport: Transport, owner: &str, kind: RecordType) -> Asked {
    let mut query = Query::new(name(owner), kind);
    query.edns = Some(QueryEdns { nsid: true, dnssec_ok: true, ..QueryEdns::default() });
    let origin = Origin::Portal { private: true };
    Asked { host: owner.into(), server, transport, origin, query, timeout: PATIENCE }
}

/// 300 addresses, text of 40 kB, and a record of each sort that people look up.
fn zone() -> String {
    let mut text: String =
        (0..300).map(|index| format!("many A 10.0.{}.{}\n", index / 256, index % 256)).collect();
    text.push_str("long TXT");
    text.push_str(&format!(" \"{}\"", "x".repeat(200)).repeat(200));
    text.push_str(
        "\n@ MX 10 Mail\n@ CAA 0 issue \"ca.example\"\nwww CNAME target\ntarget A 192.0.2.1\n\
         _443._tcp TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000\n\
         web HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1\n_sip._tcp SRV 1 2 5060 Mail\n\
         txt TXT \"v=spf1 \" \"-all\"\nphone NAPTR 1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .\n\
         odd\\000\\.name TXT \"odd\"\nunknown TYPE65280 \\# 3 010203\nempty.below A 192.0.2.2\n",
    );
    text
}

fn authority() -> Knot {
    let records = zone();
    Knot::start(&[
        Zone { name: "", records: "", signed: false },
        Zone { name: "portal.example", records: &records, signed: true },
        Zone { name: "bogus.example", records: "www A 192.0.2.9", signed: true },
    ])
}

fn shown(reply: &Reply, owner: &str, kind: RecordType) -> Vec<String> {
    let followed = reply.message.follow(&name(owner), kind);
    followed.records.iter().map(|record| record.comparable()).collect()
}

/// The DS record of a signed zone, as a resolver that is to trust it takes it.
pub async fn anchor(knot: &Knot, zone: &str) -> String {
    let cds = asked(knot.address(), Transport::Udp, zone, RecordType::CDS);
    let cds = shown(&net().ask(&cds).await.unwrap(), zone, RecordType::CDS).remove(0);
    format!("{zone}. DS {cds}")
}

#[tokio::test]
async fn an_authority_is_read_in_all_its_types() {
    if !Knot::is_here("an_authority_is_read_in_all_its_types") {
        return;
    }
    let (knot, net) = (authority(), net());
    for (owner, kind, expected) in [
        ("portal.example", "MX", "10 mail.portal.example."),
        ("portal.example", "NS", "ns.portal.example."),
        ("portal.example", "CAA", "0 issue \"ca.example\""),
        ("www.portal.example", "A", "192.0.2.1"),
        ("_443._tcp.portal.example", "TLSA", &format!("3 1 1 {}", "0".repeat(64))),
        ("web.portal.example", "HTTPS", "1 . alpn=h2,h3 ipv4hint=192.0.2.1"),
        ("_sip._tcp.portal.example", "SRV", "1 2 5060 mail.portal.example."),
        ("txt.portal.example", "TXT", "\"v=spf1 -all\""),
        ("phone.portal.example", "NAPTR", "1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" ."),
        ("odd\\000\\.name.portal.example", "TXT", "\"odd\""),
        ("unknown.portal.example", "TYPE65280", "\\# 3 010203"),
    ] {
        let kind = kind.parse().unwrap();
        let reply = net.ask(&asked(knot.address(), Transport::UdpThenTcp, owner, kind)).await.unwrap();
        assert_eq!(reply.message.faults, [], "{owner}");
        assert!(reply.message.authoritative, "{owner}");
        assert_eq!(reply.message.edns.as_ref().unwrap().nsid(), Some(&b"knot"[..]));
        assert_eq!(shown(&reply, owner, kind), [expected], "{owner}");
        assert_eq!(reply.message.follow(&name(owner), kind).records[0].ttl, 60);
    }
    for kind in [RecordType::DNSKEY, RecordType::CDS, RecordType::CDNSKEY, RecordType::SOA] {
        let asked = asked(knot.address(), Transport::UdpThenTcp, "portal.example", kind);
        let reply = net.ask(&asked).await.unwrap();
        assert_eq!(shown(&reply, "portal.example", kind).len(), 1, "{kind}");
        let signed = reply.message.follow(&name("portal.example"), RecordType::RRSIG).records;
        assert!(
            signed
                .iter()
                .any(|record| matches!(&record.data, Ok(Data::Rrsig(rrsig)) if rrsig.covered == kind))
        );
    }
}

#[tokio::test]
async fn what_an_authority_does_not_have_is_told_in_its_kinds() {
    if !Knot::is_here("what_an_authority_does_not_have_is_told_in_its_kinds") {
        return;
    }
    let (mut knot, net) = (authority(), net());
    for (owner, expected) in [
        ("nothing.portal.example", Outcome::NxDomain),
        ("below.portal.example", Outcome::NoData),
        ("txt.portal.example", Outcome::NoData),
        ("TARGET.portal.example", Outcome::Records),
    ] {
        let asked = asked(knot.address(), Transport::Udp, owner, RecordType::A);
        let reply = net.ask(&asked).await.unwrap();
        assert_eq!(reply.message.outcome(&name(owner), RecordType::A), expected, "{owner}");
        let denied = reply.message.authorities.iter().any(|record| record.kind == RecordType::NSEC);
        assert_eq!(denied, expected != Outcome::Records, "{owner}");
    }
    knot.kill();
    for transport in [Transport::Udp, Transport::Tcp] {
        let error = net.ask(&asked(knot.address(), transport, "portal.example", RecordType::A)).await;
        assert_eq!(error.unwrap_err().reason, FailReason::Refused);
    }
}

#[tokio::test]
async fn long_answers_come_whole_over_tcp() {
    if !Knot::is_here("long_answers_come_whole_over_tcp") {
        return;
    }
    let (knot, net) = (authority(), net());
    for (owner, kind, count) in
        [("many.portal.example", RecordType::A, 300), ("long.portal.example", RecordType::TXT, 1)]
    {
        let udp = net.ask(&asked(knot.address(), Transport::Udp, owner, kind)).await.unwrap();
        assert!(udp.message.truncated, "{owner}");
        let reply = net.ask(&asked(knot.address(), Transport::UdpThenTcp, owner, kind)).await.unwrap();
        assert_eq!((reply.over, reply.truncated_over_udp), (Over::Tcp, true));
        let records = shown(&reply, owner, kind);
        assert_eq!(records.len(), count);
        assert!(kind == RecordType::A || records[0].len() == 40_002);
        let tcp = net.ask(&asked(knot.address(), Transport::Tcp, owner, kind)).await.unwrap();
        assert_eq!((shown(&tcp, owner, kind).len(), tcp.truncated_over_udp), (count, false));
    }
}

/// Knot, and an Unbound that trusts the right key of one zone and a wrong one of the other.
struct Scene {
    _knot: Knot,
    unbound: Unbound,
    ca: Authority,
    net: Net,
}

impl Scene {
    async fn new() -> Self {
        let (knot, net, ca) = (authority(), net(), Authority::new());
        let wrong = "1 13 2 0000000000000000000000000000000000000000000000000000000000000000";
        let anchors = [anchor(&knot, "portal.example").await, format!("bogus.example. DS {wrong}")];
        let zones = ["", "portal.example", "bogus.example"];
        let unbound = Unbound::start(knot.address(), &zones, &anchors, &ca.issue(&[DNS_NAME]));
        Self { _knot: knot, unbound, ca, net }
    }

    async fn lookup(&self, owner: &str, kind: RecordType) -> Result<Reply, TransportError> {
        let resolvers = [self.unbound.plain().to_string()];
        self.net.lookup(&name(owner), kind, &resolvers, PATIENCE).await
    }
}

#[tokio::test]
async fn a_resolver_says_what_is_authentic_and_why_something_is_not() {
    if !Knot::is_here("a_resolver_says_what_is_authentic_and_why_something_is_not") {
        return;
    }
    let scene = Scene::new().await;
    let reply = scene.lookup("www.portal.example", RecordType::A).await.unwrap();
    assert!(reply.message.authentic_data && reply.message.recursion_available);
    assert_eq!(shown(&reply, "www.portal.example", RecordType::A), ["192.0.2.1"]);

    let reply = scene.lookup("www.bogus.example", RecordType::A).await.unwrap();
    assert_eq!(reply.message.outcome(&name("www.bogus.example"), RecordType::A), Outcome::ServFail);
    assert!(!reply.message.errors().is_empty(), "{:?}", reply.message);
    let unchecked =
        Query { checking_disabled: true, ..Query::to_resolver(name("www.bogus.example"), RecordType::A) };
    let resolvers = [scene.unbound.plain().to_string()];
    let reply = scene.net.lookup_with(&unchecked, &resolvers, PATIENCE).await.unwrap();
    assert!(!reply.message.authentic_data);
    assert_eq!(shown(&reply, "www.bogus.example", RecordType::A), ["192.0.2.9"]);

    let reply = scene.lookup("nothing.portal.example", RecordType::A).await.unwrap();
    assert_eq!(reply.message.outcome(&name("nothing.portal.example"), RecordType::A), Outcome::NxDomain);
    let reply = scene.lookup("many.portal.example", RecordType::A).await.unwrap();
    assert_eq!(shown(&reply, "many.portal.example", RecordType::A).len(), 300);
}

#[tokio::test]
async fn a_resolver_is_asked_over_tls_and_https() {
    if !Knot::is_here("a_resolver_is_asked_over_tls_and_https") {
        return;
    }
    let scene = Scene::new().await;
    let trusted = Arc::new(TlsOptions { ca_pem: Some(scene.ca.pem().into()), ..TlsOptions::default() });
    let url = format!("https://{DNS_NAME}:{}/dns-query", scene.unbound.https().port());
    let ways = |tls: &Arc<TlsOptions>| {
        let (own, other) = (Arc::clone(tls), Arc::clone(tls));
        [
            (scene.unbound.tls(), Transport::Tls { name: DNS_NAME.into(), tls: own }, Over::Tls),
            (scene.unbound.https(), Transport::Https { url: url.parse().unwrap(), tls: other }, Over::Https),
        ]
    };
    for (server, transport, over) in ways(&trusted) {
        let mut asked = asked(server, transport, "many.portal.example", RecordType::A);
        asked.query = Query::to_resolver(name("many.portal.example"), RecordType::A);
        let reply = scene.net.ask(&asked).await.unwrap();
        assert_eq!((reply.over, reply.message.authentic_data), (over, true));
        assert_eq!(shown(&reply, "many.portal.example", RecordType::A).len(), 300);
    }
    for (server, transport, _) in ways(&Arc::default()) {
        let asked = asked(server, transport, "www.portal.example", RecordType::A);
        let error = scene.net.ask(&asked).await.unwrap_err();
        assert!(matches!(error.reason, FailReason::Certificate(_)), "{error}");
    }
}

#[tokio::test]
async fn the_records_of_who_may_issue_are_found_above_a_name() {
    if !Knot::is_here("the_records_of_who_may_issue_are_found_above_a_name") {
        return;
    }
    let scene = Scene::new().await;
    let climbed = async |owner: &str| {
        let lookup = async |name: Name| {
            let reply =
                scene.lookup(&name.to_string(), RecordType::CAA).await.map_err(|error| error.to_string())?;
            match reply.message.outcome(&name, RecordType::CAA) {
                Outcome::Records | Outcome::NoData | Outcome::NxDomain => {
                    let followed = reply.message.follow(&name, RecordType::CAA);
                    let properties = followed.records.iter().filter_map(|record| match &record.data {
                        Ok(Data::Caa(caa)) => Some(caa.clone()),
                        _ => None,
                    });
                    Ok(properties.collect::<Vec<Caa>>())
                }
                outcome => Err(format!("{outcome:?}")),
            }
        };
        climb(&name(owner), lookup).await
    };
    let found = climbed("*.deep.www.portal.example").await.unwrap();
    assert_eq!(found.at, Some(name("portal.example")));
    assert!(allows(&found.records, &["ca.example"], true).allowed());
    assert!(!allows(&found.records, &["other.example"], true).allowed());
    assert_eq!(climbed("www.bogus.example").await.unwrap_err().0, name("www.bogus.example"));
}
