//! How a zone is kept.

use std::sync::Arc;

use serde_json::json;

use super::views::{Runs, look, of, zone};
use super::world::*;
use crate::formats::dns::RecordType;
use crate::model::{Finding, Severity};
use crate::probe::dns::facts::{Facts, Trial};

async fn of_zone(more: Vec<Entry>) -> Vec<Finding> {
    let records = || zone(&["192.0.2.1"], more.clone());
    let seen = look(&json!({}), records(), records(), records()).await;
    Runs::default().at(0, &seen)
}

#[tokio::test]
async fn servers_in_one_network_are_told_and_a_lone_server_too() {
    let found = of_zone(vec![]).await;
    assert_eq!(of(&found, "dns.one_network").len(), 1);
    assert!(of(&found, "dns.few_servers").is_empty());
    let records = vec![
        soa(ZONE, 7),
        to(ZONE, RecordType::NS, "ns1.acme.example."),
        a("ns1.acme.example.", "127.0.0.2"),
    ];
    let world = World::of(vec![
        (Reach::Both, refers(ZONE, &[("ns1.acme.example.", Some(ip(2)))])),
        (Reach::Both, from_zone(ZONE, records.clone())),
        (Reach::Both, resolves(records)),
    ])
    .await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(3)).await.unwrap().facts;
    let found = judge(&spec, &facts);
    assert_eq!(of(&found, "dns.few_servers")[0].summary, "it has one name server with one address");
}

#[tokio::test]
async fn a_record_that_leads_to_nothing_is_an_open_door() {
    let found = of_zone(vec![to("shop.acme.example.", RecordType::CNAME, "gone.acme.example.")]).await;
    assert!(of(&found, "dns.dangling").is_empty(), "nobody asked for it");
    let settings = json!({ "records": [{ "name": "shop", "type": "CNAME", "unmanaged": true }] });
    let records =
        || zone(&["192.0.2.1"], vec![to("shop.acme.example.", RecordType::CNAME, "gone.acme.example.")]);
    let seen = look(&settings, records(), records(), records()).await;
    let found = Runs::default().at(0, &seen);
    let dangling = of(&found, "dns.dangling");
    assert_eq!((dangling.len(), dangling[0].severity), (1, Severity::Critical), "{found:#?}");
    assert!(dangling[0].summary.contains("gone.acme.example., which does not exist"));
}

#[tokio::test]
async fn a_free_name_at_a_service_is_an_open_door_if_anybody_can_have_it() {
    let settings = json!({ "records": [{ "name": "shop", "type": "CNAME", "unmanaged": true }] });
    for (target, severity, words) in [
        ("acme.azurewebsites.net.", Severity::Critical, "anybody can have that name at Microsoft Azure"),
        ("acme.eu-west-1.elb.amazonaws.com.", Severity::Warning, "gives no name away twice"),
    ] {
        let records = || zone(&["192.0.2.1"], vec![to("shop.acme.example.", RecordType::CNAME, target)]);
        let seen = look(&settings, records(), records(), records()).await;
        let found = Runs::default().at(0, &seen);
        let dangling = of(&found, "dns.dangling");
        assert_eq!((dangling.len(), dangling[0].severity), (1, severity), "{found:#?}");
        assert!(dangling[0].summary.contains(words), "{}", dangling[0].summary);
    }
}

#[tokio::test]
async fn mail_that_leads_to_an_alias_is_told() {
    let more = vec![
        mx(ZONE, "post.acme.example."),
        to("post.acme.example.", RecordType::CNAME, "mail.acme.example."),
    ];
    let found = of_zone(more).await;
    let alias = of(&found, "dns.points_to_alias");
    assert_eq!(alias.len(), 1, "{found:#?}");
    assert!(alias[0].summary.contains("post.acme.example., which is an alias"));
}

/// The servers of every world have ports of their own.
fn rename_ports(facts: &mut Facts) {
    for authority in &mut facts.authorities {
        authority.server.address.set_port(53);
    }
}

#[tokio::test]
async fn who_is_behind_for_longer_than_the_refresh_time_is_an_error() {
    let with = |serial| {
        let others = zone(&["192.0.2.1"], vec![]).into_iter().filter(|entry| entry.1 != RecordType::SOA);
        others.chain([soa(ZONE, serial)]).collect::<Vec<Entry>>()
    };
    let mut runs = Runs::default();
    for (hour, newest, severity) in [(0, 8, Severity::Notice), (200, 9, Severity::Error)] {
        let (spec, mut facts) = look(&json!({}), with(newest), with(7), with(newest)).await;
        rename_ports(&mut facts);
        let found = runs.at(hour, &(spec, facts));
        assert_eq!(of(&found, "dns.serial_differs")[0].severity, severity);
    }
}

#[tokio::test]
async fn what_a_server_does_for_anybody_is_told() {
    let records = zone(&["192.0.2.1"], vec![]);
    let open: Answers = {
        let (own, foreign) =
            (from_zone(ZONE, records.clone()), resolves(vec![a("example.com.", "192.0.2.80")]));
        Arc::new(
            move |query: &Query| if query.name == name("example.com.") { foreign(query) } else { own(query) },
        )
    };
    let both = refers(ZONE, &[("ns1.acme.example.", Some(ip(2))), ("ns2.acme.example.", Some(ip(3)))]);
    let world = World::of(vec![
        (Reach::Both, both),
        (Reach::Both, open),
        (Reach::Both, from_zone(ZONE, records.clone())),
        (Reach::Both, resolves(records)),
    ])
    .await;
    let spec = world.spec(json!({}));
    let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
    assert!(at(&facts, 2).tried.iter().any(|tried| tried.trial == Trial::Recursion));
    let found = judge(&spec, &facts);
    let recursor = of(&found, "dns.open_recursor");
    assert_eq!(recursor.len(), 1, "{found:#?}");
    assert!(recursor[0].subject.starts_with("ns1.acme.example. 127.0.0.2"), "{}", recursor[0].subject);
}

#[tokio::test]
async fn servers_that_stumble_over_edns_or_give_the_zone_away_are_named() {
    let records = || zone(&["192.0.2.1"], vec![]);
    let (spec, mut facts) = look(&json!({}), records(), records(), records()).await;
    let quiet = judge(&spec, &facts);
    assert!(of(&quiet, "dns.edns").is_empty() && of(&quiet, "dns.transfer_open").is_empty(), "{quiet:#?}");
    for tried in &mut facts.authorities[0].tried {
        let soa = tried.asked.question.kind == RecordType::SOA;
        let Some(answer) = &mut tried.asked.answer else { continue };
        if soa {
            answer.rcode = crate::formats::dns::Rcode::FORMERR;
            answer.answers.clear();
        }
    }
    let transfer = facts.authorities[1].server.asked(&facts.zone, RecordType::SOA).unwrap().clone();
    let tried = crate::probe::dns::facts::Tried { trial: Trial::Transfer, asked: transfer };
    facts.authorities[1].tried.push(tried);
    let found = judge(&spec, &facts);
    let edns = of(&found, "dns.edns");
    assert_eq!(edns.len(), 1, "{found:#?}");
    assert!(
        edns[0].summary.contains("an unknown EDNS option is answered with FORMERR"),
        "{}",
        edns[0].summary
    );
    assert_eq!(of(&found, "dns.transfer_open").len(), 1);
}
