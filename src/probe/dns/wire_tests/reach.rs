//! Who is asked, and what is said of those who do not answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::world::*;
use crate::formats::dns::{Outcome, RecordType};
use crate::model::Cause;
use crate::probe::dns::facts::{Asked, Over, Question, Trial};

fn records() -> Vec<Entry> {
    vec![
        soa(ZONE, 7),
        to(ZONE, RecordType::NS, "ns1.acme.example."),
        to(ZONE, RecordType::NS, "ns2.acme.example."),
        a("ns1.acme.example.", "127.0.0.2"),
        a("ns2.acme.example.", "127.0.0.3"),
        mx(ZONE, "mail.elsewhere.example."),
        a("www.acme.example.", "192.0.2.1"),
    ]
}

fn both() -> Answers {
    refers(ZONE, &[("ns1.acme.example.", Some(ip(2))), ("ns2.acme.example.", Some(ip(3)))])
}

/// Parent, two authorities, a resolver.
async fn world(first: (Reach, Answers), second: (Reach, Answers)) -> World {
    let resolver = resolves([records(), vec![a("mail.elsewhere.example.", "192.0.2.25")]].concat());
    World::of(vec![(Reach::Both, both()), first, second, (Reach::Both, resolver)]).await
}

fn good() -> (Reach, Answers) {
    (Reach::Both, from_zone(ZONE, records()))
}

#[tokio::test]
async fn every_server_of_a_zone_is_asked_for_everything() {
    let world = world(good(), good()).await;
    let spec = world.spec(json!({ "records": [{ "name": "www", "type": "A", "equals": ["192.0.2.1"] }] }));
    let seen = world.look(&spec, world.at(4)).await.unwrap();
    let facts = &seen.facts;
    assert!(!seen.transport);
    assert!(seen.timings.get(crate::model::Phase::Dns).is_some());
    assert_eq!(facts.parent.zone, Some(name("example.")));
    assert_eq!(facts.authorities.len(), 2);
    let www = Question { name: name("www.acme.example."), kind: RecordType::A };
    assert!(facts.questions.contains(&www));
    for host in [2, 3] {
        let authority = at(facts, host);
        assert!(authority.by_parent && authority.by_child && authority.glue && authority.resolved);
        let soa = |over| authority.server.asked_over(&facts.zone, RecordType::SOA, over).unwrap();
        for over in [Over::Udp, Over::Tcp] {
            assert!(soa(over).answer.as_ref().unwrap().authoritative);
        }
        assert_eq!(authority.server.answer(&www.name, www.kind).unwrap().values(&www), ["192.0.2.1"]);
        for question in &facts.questions {
            assert!(authority.server.asked(&question.name, question.kind).is_some(), "{}", question.key());
            assert!(facts.resolvers[0].asked(&question.name, question.kind).is_some(), "{}", question.key());
        }
        let tried: Vec<Trial> = authority.tried.iter().map(|tried| tried.trial).collect();
        assert_eq!(
            tried,
            [Trial::EdnsVersion, Trial::EdnsOption, Trial::Case, Trial::Recursion, Trial::Transfer]
        );
    }
    let mail = facts.targets.iter().find(|target| target.name == name("mail.elsewhere.example.")).unwrap();
    let asked = mail.asked.as_ref().unwrap();
    assert_eq!(asked.answer.as_ref().unwrap().outcome(&asked.question), Outcome::Records);
    assert_eq!(found(&spec, facts), [] as [&str; 0]);
}

#[tokio::test]
async fn one_dead_server_is_told_and_breaks_nothing() {
    let world = world(good(), (Reach::Both, silent())).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
    let place = format!("ns2.acme.example. {}", world.at(3));
    assert_eq!(found(&spec, &facts), [format!("dns.authority_unreachable {place}")]);
    // It is not waited for with every question.
    assert_eq!(at(&facts, 3).server.asked.len(), 2);
    assert!(!judge(&spec, &facts).iter().any(|finding| finding.broken));
}

#[tokio::test]
async fn servers_that_answer_over_one_transport_only_are_told_apart_and_read_all_the_same() {
    let zone = || from_zone(ZONE, records());
    let world = world((Reach::Tcp, zone()), (Reach::Udp, zone())).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
    assert_eq!(
        found(&spec, &facts),
        [
            format!("dns.authority_unreachable ns1.acme.example. {}", world.at(2)),
            format!("dns.tcp_fails ns2.acme.example. {}", world.at(3))
        ]
    );
    for host in [2, 3] {
        let mx = Question { name: facts.zone.clone(), kind: RecordType::MX };
        let answer = at(&facts, host).server.answer(&mx.name, mx.kind).unwrap();
        assert_eq!(answer.values(&mx), ["10 mail.elsewhere.example."], "{host}");
    }
}

#[tokio::test]
async fn a_server_without_the_zone_is_lame_in_its_own_words() {
    for (say, words) in [
        (Say::code(5), "REFUSED"),
        (Say::code(2), "SERVFAIL"),
        (Say { no_authority: true, answers: vec![soa(ZONE, 7)], ..Say::default() }, "without authority"),
        (
            Say {
                no_authority: true,
                authorities: vec![to(".", RecordType::NS, "a.root.example.")],
                ..Say::default()
            },
            "points to other servers",
        ),
    ] {
        let lame: Answers = Arc::new(move |query| vec![say.bytes(query)]);
        let world = world(good(), (Reach::Both, lame)).await;
        let spec = world.spec(json!({}));
        let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
        assert_eq!(found(&spec, &facts), [format!("dns.lame ns2.acme.example. {}", world.at(3))]);
        let lame =
            judge(&spec, &facts).into_iter().find(|finding| finding.id.as_str() == "dns.lame").unwrap();
        assert!(lame.summary.contains(words), "{}", lame.summary);
    }
}

#[tokio::test]
async fn a_zone_that_no_server_serves_is_broken() {
    for dead in [silent(), Arc::new(|query: &Query| vec![Say::code(2).bytes(query)]) as Answers] {
        let world = world((Reach::Both, Arc::clone(&dead)), (Reach::Both, dead)).await;
        let spec = world.spec(json!({}));
        let seen = world.look(&spec, world.at(4)).await.unwrap();
        // The parent answered: the network is there.
        assert!(!seen.transport);
        let findings = judge(&spec, &seen.facts);
        let finding =
            findings.iter().find(|finding| finding.id.as_str() == "dns.no_authority_answers").unwrap();
        assert!(finding.broken && finding.measured);
        assert_eq!(finding.evidence["vantages"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_zone_that_the_parent_does_not_know_is_broken_and_the_parent_named() {
    for (rcode, words) in [(3, "NXDOMAIN"), (0, "NODATA")] {
        let denies: Answers = Arc::new(move |query| {
            vec![Say { rcode, authorities: vec![soa("example.", 1)], ..Say::default() }.bytes(query)]
        });
        let world = World::of(vec![(Reach::Both, denies), (Reach::Both, resolves(records()))]).await;
        let spec = world.spec(json!({}));
        let facts = world.look(&spec, world.at(2)).await.unwrap().facts;
        let findings = judge(&spec, &facts);
        let finding = findings.iter().find(|finding| finding.id.as_str() == "dns.no_delegation").unwrap();
        assert!(finding.broken && finding.measured);
        assert!(
            finding.summary.contains("zone example.") && finding.summary.contains(words),
            "{}",
            finding.summary
        );
    }
}

#[tokio::test]
async fn a_parent_that_cannot_be_asked_is_no_finding_about_the_zone() {
    let resolver = resolves(records());
    let world = World::of(vec![(Reach::Both, silent()), good(), good(), (Reach::Both, resolver)]).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
    assert_eq!(found(&spec, &facts), ["dns.parent_unreachable acme.example. (not measured)"]);
    assert_eq!(facts.authorities.len(), 2, "the resolver knows the servers");
    assert!(at(&facts, 2).by_child && !at(&facts, 2).by_parent);
}

#[tokio::test]
async fn a_dead_resolver_is_ours_and_says_nothing_of_the_zone() {
    let world = world(good(), good()).await;
    let spec = world.spec(json!({}));
    let nobody = world.at(9);
    let facts = world.look(&spec, nobody).await.unwrap().facts;
    assert_eq!(found(&spec, &facts), [format!("dns.resolver_unmeasured {nobody} (not measured)")]);
    assert_eq!(facts.resolvers[0].unmeasured.as_ref().unwrap().cause, Cause::LocalDns);
}

#[tokio::test]
async fn what_a_resolver_fails_on_is_asked_again_unchecked() {
    let bogus: Answers = Arc::new(|query| {
        let unchecked = query.bytes[3] & 0x10 != 0;
        let mut say = look_up(&name("."), &records(), query);
        if query.name.is_root() || (!unchecked && query.kind == RecordType::A) {
            say = Say::code(if query.name.is_root() { 0 } else { 2 });
        }
        vec![Say { recursion: true, no_authority: true, ..say }.bytes(query)]
    });
    let all = vec![(Reach::Both, both()), good(), good(), (Reach::Both, bogus)];
    let world = World::of(all).await;
    let spec = world.spec(json!({ "records": [{ "name": "www", "type": "A", "unmanaged": true }] }));
    let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
    let resolver = &facts.resolvers[0];
    let www = Question { name: name("www.acme.example."), kind: RecordType::A };
    let outcome = |asked: &Asked| asked.answer.as_ref().unwrap().outcome(&www);
    assert_eq!(outcome(resolver.asked(&www.name, www.kind).unwrap()), Outcome::ServFail);
    assert_eq!(outcome(resolver.unchecked(&www.name, www.kind).unwrap()), Outcome::Records);
    assert!(resolver.unchecked(&facts.zone, RecordType::MX).is_none(), "it did not fail");
    assert_eq!(resolver.unmeasured, None);
}

#[tokio::test]
async fn a_run_out_of_time_blames_nobody() {
    let world = world((Reach::Both, silent()), (Reach::Both, silent())).await;
    let spec = world.spec(json!({}));
    // The end of the run comes before that of any question.
    let facts = world.look_as(&spec, world.at(4), true, Duration::from_millis(800)).await.unwrap().facts;
    assert!(facts.authorities.iter().all(|authority| authority.server.asked.is_empty()));
    let found = found(&spec, &facts);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|finding| finding.starts_with("dns.not_asked")), "{found:?}");
}

#[tokio::test]
async fn when_nobody_answers_and_our_resolver_is_dead_nothing_was_measured() {
    let world = World::of(vec![(Reach::Both, silent())]).await;
    let spec = world.spec(json!({}));
    let unmeasured = world.look(&spec, world.at(9)).await.err().unwrap();
    assert_eq!(unmeasured.cause, Cause::LocalDns);
}

#[tokio::test]
async fn private_servers_are_not_asked_for_a_public_portal() {
    let world = world(good(), good()).await;
    let spec = world.spec(json!({}));
    let facts = world.look_as(&spec, world.at(4), false, Duration::from_secs(60)).await.unwrap().facts;
    assert_eq!(facts.parent.servers[0].unmeasured.as_ref().unwrap().cause, Cause::Config);
    for authority in &facts.authorities {
        assert!(authority.server.asked.is_empty());
        assert_eq!(authority.server.unmeasured.as_ref().unwrap().cause, Cause::Config);
    }
    let found = found(&spec, &facts);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|finding| finding.ends_with("(not measured)")), "{found:?}");
}

#[tokio::test]
async fn the_walk_goes_down_from_the_root_past_dead_and_misleading_servers() {
    // 1 and 2 are of the root, one dead; 3 and 4 of `example.`, one of which points back up.
    let roots = refers("example.", &[("a.example.", Some(ip(3))), ("b.example.", Some(ip(4)))]);
    let upward: Answers = Arc::new(|query| {
        let up = to(".", RecordType::NS, "a.root.example.");
        vec![Say { no_authority: true, authorities: vec![up], ..Say::default() }.bytes(query)]
    });
    let delegates = refers(ZONE, &[("ns1.acme.example.", Some(ip(5)))]);
    let own = vec![
        soa(ZONE, 7),
        to(ZONE, RecordType::NS, "ns1.acme.example."),
        a("ns1.acme.example.", "127.0.0.5"),
    ];
    let zone = from_zone(ZONE, own);
    let all = [silent(), roots, upward, delegates, zone, resolves(records())];
    let world = World::of(all.into_iter().map(|answers| (Reach::Both, answers)).collect()).await;
    let spec = world.spec(json!({ "parent": [], "roots": [world.at(1), world.at(2)] }));
    let facts = world.look(&spec, world.at(6)).await.unwrap().facts;
    assert_eq!(facts.parent.zone, Some(name("example.")));
    let passed: Vec<_> = facts.parent.passed_over.iter().map(|server| server.address).collect();
    assert_eq!(passed, [world.at(1), world.at(3)]);
    assert_eq!(facts.parent.servers.len(), 2);
    assert_eq!(facts.authorities.len(), 1);
    assert!(at(&facts, 5).is_authoritative(&facts.zone));
    assert_eq!(found(&spec, &facts), [] as [&str; 0]);
}

#[tokio::test]
async fn servers_that_send_each_other_round_end_the_walk() {
    let round = refers("example.", &[("a.example.", Some(ip(1)))]);
    let world = World::of(vec![(Reach::Both, round), (Reach::Both, resolves(records()))]).await;
    let spec = world.spec(json!({ "parent": [], "roots": [world.at(1)] }));
    let facts = world.look(&spec, world.at(2)).await.unwrap().facts;
    assert!(facts.parent.failure.as_ref().unwrap().contains("no server of example."), "{:?}", facts.parent);
    assert!(found(&spec, &facts).contains(&"dns.parent_unreachable acme.example. (not measured)".to_owned()));
}

#[tokio::test]
async fn servers_that_only_the_zone_names_are_found_and_asked() {
    let parent = refers(ZONE, &[("ns1.acme.example.", Some(ip(2)))]);
    let all = vec![(Reach::Both, parent), good(), good(), (Reach::Both, resolves(records()))];
    let world = World::of(all).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
    assert!(at(&facts, 2).by_parent);
    let second = at(&facts, 3);
    assert!(!second.by_parent && second.by_child && !second.glue && second.resolved);
    assert!(second.is_authoritative(&facts.zone));
}

#[tokio::test]
async fn servers_without_glue_are_looked_up() {
    let mut own = records();
    own.push(to(ZONE, RecordType::NS, "ns.elsewhere.example."));
    let parent = refers(ZONE, &[("ns.elsewhere.example.", None), ("gone.elsewhere.example.", None)]);
    let resolver = resolves(vec![soa("example.", 1), a("ns.elsewhere.example.", "127.0.0.2")]);
    let all = vec![(Reach::Both, parent), (Reach::Both, from_zone(ZONE, own)), (Reach::Both, silent())];
    let world = World::of([all, vec![(Reach::Both, resolver)]].concat()).await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
    let first = facts
        .authorities
        .iter()
        .find(|authority| authority.server.name == Some(name("ns.elsewhere.example.")));
    assert!(first.unwrap().is_authoritative(&facts.zone) && first.unwrap().resolved && !first.unwrap().glue);
    let gone =
        facts.name_servers.iter().find(|server| server.name == name("gone.elsewhere.example.")).unwrap();
    assert!(gone.failure.is_some() && gone.resolved.is_empty());
}
