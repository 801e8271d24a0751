//! Answers that are odd, long, wrong or hostile.

use std::sync::Arc;

use serde_json::json;

use super::world::*;
use crate::formats::dns::{Outcome, RecordType};
use crate::probe::dns::facts::{Facts, Over, Question, Server, Trial};
use crate::probe::dns::spec::Spec;

fn records() -> Vec<Entry> {
    vec![
        soa(ZONE, 7),
        to(ZONE, RecordType::NS, "ns1.acme.example."),
        a("ns1.acme.example.", "127.0.0.2"),
        a(ZONE, "192.0.2.1"),
    ]
}

/// Parent, one authority and a resolver that agrees with its records.
async fn world(authority: Answers, records: Vec<Entry>) -> World {
    let parent = refers(ZONE, &[("ns1.acme.example.", Some(ip(2)))]);
    let all = [parent, authority, resolves(records)];
    World::of(all.into_iter().map(|answers| (Reach::Both, answers)).collect()).await
}

async fn of_records(more: Vec<Entry>, settings: serde_json::Value) -> (Spec, Facts) {
    let all = [records(), more].concat();
    let world = world(from_zone(ZONE, all.clone()), all).await;
    let spec = world.spec(settings);
    let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
    (spec, facts)
}

fn question(owner: &str, kind: RecordType) -> Question {
    Question { name: name(owner), kind }
}

fn authority(facts: &Facts) -> &Server {
    &at(facts, 2).server
}

#[tokio::test]
async fn text_of_64_kib_and_sets_of_300_records_come_whole_over_tcp() {
    let mut more: Vec<Entry> =
        (0..300).map(|n| a("many.acme.example.", &format!("10.0.{}.{}", n / 256, n % 256))).collect();
    more.push(txt("long.acme.example.", &b"x".repeat(64_000)));
    let settings = json!({ "records": [{ "name": "many", "type": "A", "unmanaged": true }, { "name": "long", "type": "TXT", "unmanaged": true }] });
    let (spec, facts) = of_records(more, settings).await;
    for (owner, kind, count) in
        [("many.acme.example.", RecordType::A, 300), ("long.acme.example.", RecordType::TXT, 1)]
    {
        let question = question(owner, kind);
        let asked = authority(&facts).asked(&question.name, kind).unwrap();
        let answer = asked.answer.as_ref().unwrap();
        assert_eq!((asked.over, answer.truncated, answer.left_out), (Over::Tcp, true, 0), "{owner}");
        assert_eq!(answer.values(&question).len(), count);
        let at_resolver = facts.resolvers[0].asked(&question.name, kind).unwrap().answer.as_ref().unwrap();
        assert_eq!(at_resolver.values(&question), answer.values(&question));
    }
    assert_eq!(found(&spec, &facts), [] as [&str; 0]);
}

#[tokio::test]
async fn what_a_server_says_too_much_of_is_left_out_and_told() {
    let names: Vec<String> = (0..12).map(|n| format!("long{n}")).collect();
    let more = names.iter().map(|owner| txt(&format!("{owner}.{ZONE}"), &b"x".repeat(60_000))).collect();
    let listed: Vec<_> =
        names.iter().map(|owner| json!({ "name": owner, "type": "TXT", "unmanaged": true })).collect();
    let (spec, facts) = of_records(more, json!({ "records": listed })).await;
    let last = authority(&facts).answer(&name("long11.acme.example."), RecordType::TXT).unwrap();
    assert!(last.is_partial() && last.left_out == 1);
    let first = authority(&facts).answer(&name("long0.acme.example."), RecordType::TXT).unwrap();
    assert!(!first.is_partial());
    assert!(found(&spec, &facts).contains(&"dns.undecodable long11.acme.example. TXT".to_owned()));
}

#[tokio::test]
async fn a_circle_of_aliases_ends() {
    let alias = |from: &str, target: &str| to(from, RecordType::CNAME, target);
    let more = vec![alias("a.acme.example.", "b.acme.example."), alias("b.acme.example.", "a.acme.example.")];
    let (_, facts) =
        of_records(more, json!({ "records": [{ "name": "a", "type": "A", "unmanaged": true }] })).await;
    let first = question("a.acme.example.", RecordType::A);
    let answer = authority(&facts).answer(&first.name, first.kind).unwrap();
    assert_eq!(answer.outcome(&first), Outcome::NoData);
    assert_eq!(answer.values(&first), ["CNAME b.acme.example."]);
    assert!(authority(&facts).answer(&name("b.acme.example."), RecordType::A).is_some());
}

#[tokio::test]
async fn a_chain_of_20_aliases_is_followed_as_far_as_16() {
    let mut more: Vec<Entry> = (0..20)
        .map(|n| to(&format!("c{n}.{ZONE}"), RecordType::CNAME, &format!("c{}.{ZONE}", n + 1)))
        .collect();
    more.push(a("c20.acme.example.", "192.0.2.20"));
    let (_, facts) =
        of_records(more, json!({ "records": [{ "name": "c0", "type": "A", "unmanaged": true }] })).await;
    let asked = |n: u8| authority(&facts).asked(&name(&format!("c{n}.{ZONE}")), RecordType::A).is_some();
    assert!(asked(16) && !asked(17));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_does_not_hide_its_neighbours() {
    let more = vec![
        Entry(name("www.acme.example."), RecordType::A, vec![192, 0, 2]),
        a("www.acme.example.", "192.0.2.1"),
    ];
    let (spec, facts) =
        of_records(more, json!({ "records": [{ "name": "www", "type": "A", "unmanaged": true }] })).await;
    let www = question("www.acme.example.", RecordType::A);
    let answer = authority(&facts).answer(&www.name, www.kind).unwrap();
    assert!(answer.is_partial());
    assert!(answer.values(&www).contains(&"192.0.2.1".to_owned()));
    assert_eq!(found(&spec, &facts), ["dns.undecodable www.acme.example. A"]);
}

#[tokio::test]
async fn names_of_odd_bytes_and_names_in_other_scripts_are_asked_as_they_are() {
    let owner = "odd\\000\\.name.acme.example.";
    let more = vec![txt(owner, b"odd"), a("xn--bcher-kva.acme.example.", "192.0.2.3")];
    let settings = json!({ "records": [
        { "name": "odd\\000\\.name", "type": "TXT", "unmanaged": true }, { "name": "bücher", "type": "A", "unmanaged": true }
    ] });
    let (spec, facts) = of_records(more, settings).await;
    let odd = question(owner, RecordType::TXT);
    assert_eq!(authority(&facts).answer(&odd.name, odd.kind).unwrap().values(&odd), ["\"odd\""]);
    let script = question("xn--bcher-kva.acme.example.", RecordType::A);
    assert_eq!(authority(&facts).answer(&script.name, script.kind).unwrap().values(&script), ["192.0.2.3"]);
    assert_eq!(found(&spec, &facts), [] as [&str; 0]);
}

#[tokio::test]
async fn a_zone_in_another_script_is_walked_to() {
    const IDN: &str = "xn--bcher-kva.example.";
    let parent = refers(IDN, &[("ns1.xn--bcher-kva.example.", Some(ip(2)))]);
    let own = vec![
        soa(IDN, 1),
        to(IDN, RecordType::NS, "ns1.xn--bcher-kva.example."),
        a("ns1.xn--bcher-kva.example.", "127.0.0.2"),
    ];
    let all = [parent, from_zone(IDN, own.clone()), resolves(own)];
    let world = World::of(all.into_iter().map(|answers| (Reach::Both, answers)).collect()).await;
    let spec = world.spec(json!({ "zone": "bücher.example" }));
    let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
    assert!(at(&facts, 2).is_authoritative(&name(IDN)));
    let case = at(&facts, 2).tried.iter().find(|tried| tried.trial == Trial::Case).unwrap();
    assert_ne!(case.asked.question.name.to_string(), IDN, "letters of both cases are sent");
    assert!(case.asked.answer.as_ref().unwrap().authoritative);
    assert_eq!(found(&spec, &facts), [] as [&str; 0]);
}

/// Each answer goes out as these bytes make of it.
fn spoiled(spoil: fn(&mut Vec<u8>)) -> Answers {
    let good = from_zone(ZONE, records());
    Arc::new(move |query| {
        let mut answers = good(query);
        answers.iter_mut().for_each(spoil);
        answers
    })
}

#[tokio::test]
async fn answers_to_something_else_are_no_answers() {
    let spoilers: [fn(&mut Vec<u8>); 4] =
        [|bytes| bytes[0] ^= 1, |bytes| bytes[13] ^= 1, |bytes| bytes[2] &= 0x7f, |bytes| bytes.truncate(11)];
    for spoil in spoilers {
        let world = world(spoiled(spoil), records()).await;
        let spec = world.spec(json!({}));
        let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
        assert!(!authority(&facts).answered());
        let found = found(&spec, &facts);
        assert!(found.contains(&"dns.no_authority_answers acme.example.".to_owned()), "{found:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_edns_is_asked_without() {
    let old: Answers = Arc::new(|query| {
        // The count of additional records.
        let say = match query.bytes[11] {
            0 => look_up(&name(ZONE), &records(), query),
            _ => Say::code(1),
        };
        vec![say.bytes(query)]
    });
    let world = world(old, records()).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
    assert!(at(&facts, 2).is_authoritative(&facts.zone));
    assert!(!authority(&facts).answer(&facts.zone, RecordType::SOA).unwrap().edns);
    assert_eq!(found(&spec, &facts), [] as [&str; 0]);
}

#[tokio::test]
async fn names_that_point_at_themselves_are_told_and_end() {
    let looped: Answers = Arc::new(|query| {
        let mut bytes = look_up(&name(ZONE), &records(), query).bytes(query);
        if query.kind == RecordType::MX {
            // One answer whose owner is a pointer to itself.
            bytes[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
            bytes.truncate(12 + query.name.to_wire().len() + 4);
            let at = u16::try_from(bytes.len()).unwrap() | 0xc000;
            bytes.extend(at.to_be_bytes());
            bytes.extend([0, 15, 0, 1, 0, 0, 0, 60, 0, 4, 0, 10, 0, 0]);
        }
        vec![bytes]
    });
    let world = world(looped, records()).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
    let answer = authority(&facts).answer(&facts.zone, RecordType::MX).unwrap();
    assert!(answer.is_partial());
    assert_eq!(found(&spec, &facts), ["dns.undecodable acme.example. MX"]);
    let a = question(ZONE, RecordType::A);
    assert_eq!(authority(&facts).answer(&a.name, a.kind).unwrap().values(&a), ["192.0.2.1"]);
}

#[tokio::test]
async fn whatever_bytes_come_a_run_ends_and_its_facts_can_be_kept() {
    // A xorshift: the same bytes in each run of the test.
    let state = Arc::new(std::sync::Mutex::new(0x9e37_79b9_7f4a_7c15_u64));
    let good = from_zone(ZONE, records());
    let damaged: Answers = Arc::new(move |query| {
        let next = || {
            let mut state = state.lock().unwrap();
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            usize::try_from(*state >> 33).unwrap()
        };
        let mut answers = good(query);
        for bytes in &mut answers {
            // The number and the question stay, so that it is read.
            let start = 12 + query.name.to_wire().len() + 4;
            for _ in 0..next() % 6 {
                let at = 3 + next() % (bytes.len() - 3);
                if at < 4 || at >= start || (6..12).contains(&at) {
                    bytes[at] = next().to_le_bytes()[0];
                }
            }
        }
        answers
    });
    for _ in 0..5 {
        let world = world(Arc::clone(&damaged), records()).await;
        let spec = world.spec(json!({}));
        let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
        judge(&spec, &facts);
    }
}

#[tokio::test]
async fn a_parent_that_names_servers_without_end_is_heard_in_part() {
    let flood: Answers = Arc::new(|query| {
        let names = (0..1_500).map(|n| to(ZONE, RecordType::NS, &format!("n{n}.acme.example.")));
        let say = Say { no_authority: true, authorities: names.collect(), ..Say::default() };
        vec![say.bytes(query)]
    });
    let all = [flood, silent(), resolves(records())];
    let world = World::of(all.into_iter().map(|answers| (Reach::Both, answers)).collect()).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
    assert_eq!(facts.name_servers.len(), 32);
    assert_eq!(facts.parent.servers[0].answer(&facts.zone, RecordType::NS).unwrap().authorities.len(), 1_000);
}

#[tokio::test]
async fn servers_with_more_addresses_than_are_asked_are_left_out_and_told() {
    let servers: Vec<(&'static str, Option<std::net::IpAddr>)> =
        (2..42).map(|host| ("ns1.acme.example.", Some(ip(host)))).collect();
    let all = [refers(ZONE, &servers), from_zone(ZONE, records()), resolves(records())];
    let world = World::of(all.into_iter().map(|answers| (Reach::Both, answers)).collect()).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
    assert_eq!((facts.authorities.len(), facts.left_out.len()), (32, 8));
    assert!(found(&spec, &facts).contains(&"dns.addresses_left_out acme.example.".to_owned()));
}
