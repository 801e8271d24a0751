//! The suite once more, asked over the network of a resolver on loopback.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::super::{Checked, OfNet, Sender, Verdict, check_host};
use super::suite::{Found, World, Zone, assert_all, suite};
use crate::formats::dns::{Name, RecordType};
use crate::net::fakes::names::{Answers, Entry, Query, Say, server, to};
use crate::net::fakes::net;

/// What is not answered for costs this once or twice; what is answered takes a thousandth of it.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// So many cases at a time.
const AT_ONCE: usize = 32;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// A name of any bytes but dots.
fn name(text: &str) -> Name {
    let escaped = |byte: u8| if byte == b'.' { ".".to_owned() } else { format!("\\{byte:03}") };
    let text: String = text.trim_end_matches('.').bytes().map(escaped).collect();
    if text.is_empty() { Name::root() } else { text.parse().unwrap() }
}

fn text(name: &Name) -> String {
    name.labels().map(String::from_utf8_lossy).collect::<Vec<_>>().join(".")
}

fn data(kind: RecordType, values: &[String]) -> Vec<u8> {
    let text = |text: &String| {
        let (length, bytes) = (u8::try_from(text.len()).unwrap(), text.bytes());
        std::iter::once(length).chain(bytes).collect::<Vec<u8>>()
    };
    match kind {
        RecordType::A => values[0].parse::<Ipv4Addr>().unwrap().octets().to_vec(),
        RecordType::AAAA => values[0].parse::<Ipv6Addr>().unwrap().octets().to_vec(),
        RecordType::MX => {
            let preference = values[0].parse::<u16>().unwrap().to_be_bytes();
            [preference.to_vec(), name(&values[1]).to_wire()].concat()
        }
        RecordType::TXT => values.iter().flat_map(text).collect(),
        _ => name(&values[0]).to_wire(),
    }
}

/// A resolver that knows a world and fails for names that begin with `error`. It answers for the root too, as
/// resolvers that work do.
fn resolver(zone: Zone) -> Answers {
    Arc::new(move |query| answer(&zone, query).iter().map(|say| say.bytes(query)).collect())
}

fn answer(zone: &Zone, query: &Query) -> Option<Say> {
    let mut say = Say { recursion: true, no_authority: true, ..Say::default() };
    if query.name.is_root() {
        say.answers = vec![to(".", RecordType::NS, "a.root.example.")];
        return Some(say);
    }
    if query.name.labels().next() == Some(b"error") {
        return Some(Say { rcode: SERVFAIL, ..say });
    }
    let mut at = query.name.clone();
    while say.answers.len() < 10 {
        match zone.find(&text(&at), &query.kind.to_string()) {
            Found::Records(all) => {
                let record = |values: &Vec<String>| Entry(at.clone(), query.kind, data(query.kind, values));
                say.answers.extend(all.iter().map(record));
                break;
            }
            Found::Alias(alias) => {
                say.answers.push(Entry(at, RecordType::CNAME, name(&alias).to_wire()));
                at = name(&alias);
            }
            Found::Nothing => break,
            Found::NoName => {
                say.rcode = NXDOMAIN;
                break;
            }
            Found::Silence => return None,
        }
    }
    Some(say)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_of_the_standard_passes_whole_over_the_network() {
    let test = "the_suite_of_the_standard_passes_whole_over_the_network";
    let Some(worlds) = suite(test) else { return };
    let net = net();
    let mut all = Vec::new();
    for World { zone, cases } in worlds {
        let resolvers = vec![server(resolver(zone)).await.to_string()];
        all.extend(cases.into_iter().map(|case| (case, resolvers.clone())));
    }
    let asked = stream::iter(&all).map(async |(case, resolvers)| {
        let resolver = OfNet { net: &net, resolvers: resolvers.clone(), timeout: TIMEOUT };
        (case, check_host(&resolver, &case.sender()).await)
    });
    assert_all(&asked.buffered(AT_ONCE).collect::<Vec<_>>().await);
}

async fn check(zone: Zone, mail_from: &str, ip: &str) -> Checked {
    let net = net();
    let resolvers = vec![server(resolver(zone)).await.to_string()];
    let resolver = OfNet { net: &net, resolvers, timeout: TIMEOUT };
    let sender =
        Sender { ip: ip.parse().unwrap(), mail_from, helo: "mail.acme.example", receiver: "r", time: 0 };
    check_host(&resolver, &sender).await
}

#[tokio::test]
async fn a_record_in_many_strings_some_empty_and_longer_than_a_datagram_comes_whole() {
    let mut zone = Zone::default();
    let networks = (0..200).map(|net| format!("ip4:198.51.{net}.0/24 "));
    let strings = ["v=spf1 ".to_owned(), String::new()].into_iter().chain(networks);
    let strings = strings.chain(["ip4:192.0.2.".to_owned(), "1 -all".to_owned()]).collect();
    zone.add("acme.example", "TXT", strings);
    zone.add("acme.example", "TXT", vec![String::new()]);
    let checked = check(zone, "ada@acme.example", "192.0.2.1").await;
    assert_eq!(
        (checked.verdict, checked.why.as_str()),
        (Verdict::Pass, "ip4:192.0.2.1 of acme.example matches")
    );
}

#[tokio::test]
async fn local_parts_of_any_characters_are_looked_up_as_they_are() {
    for local in ["ada", "a b", "a\"b", "a\\b", "a%b", "ü", "$;()@", "*", "a.b"] {
        let mut zone = Zone::default();
        zone.add("acme.example", "TXT", vec!["v=spf1 exists:%{l}.of.acme.example -all".to_owned()]);
        zone.add(&format!("{local}.of.acme.example"), "A", vec!["127.0.0.2".to_owned()]);
        let checked = check(zone, &format!("{local}@acme.example"), "192.0.2.1").await;
        assert_eq!((checked.verdict, checked.voids), (Verdict::Pass, 0), "{local}: {checked:?}");
    }
}

#[tokio::test]
async fn a_name_for_which_the_resolver_fails_is_not_one_without_a_record() {
    for term in ["include:error.acme.example", "a:error.acme.example", "redirect=error.acme.example"] {
        let mut zone = Zone::default();
        zone.add("acme.example", "TXT", vec![format!("v=spf1 {term}")]);
        let checked = check(zone, "ada@acme.example", "192.0.2.1").await;
        assert_eq!(checked.verdict, Verdict::TempError, "{term}: {checked:?}");
        assert!(checked.why.contains("SERVFAIL"), "{term}: {}", checked.why);
    }
}
