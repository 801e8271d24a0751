//! Where certificates point: issuers and revocation lists.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::world::{
    Authority, Issued, NAME, Run, Server, World, anywhere, issuer_at, now, serve_at, shows, spec, tls,
};
use crate::model::Masker;
use crate::probe::certificate::facts::{
    AskedKey, AskedVersions, Endpoint, Facts, FetchFailure, HostFacts, Shown, View,
};
use crate::probe::certificate::memory::Memory;
use crate::probe::certificate::observe::fetch_into;
use crate::probe::certificate::revocation::Answer;
use crate::probe::{Ctx, Scope};

/// Serves what it was given at any path; a status of 302 leads to the body.
async fn publishes(status: u16) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let content = Arc::new(Mutex::new(Vec::new()));
    let given = Arc::clone(&content);
    let server = serve_at(anywhere(), move |mut stream, _| {
        let body = given.lock().unwrap().clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let place =
                if status == 302 { String::from_utf8_lossy(&body).into_owned() } else { String::new() };
            let head = format!(
                "HTTP/1.1 {status} X\r\nlocation: {place}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            let _ = stream.shutdown().await;
            let _ = stream.read(&mut [0; 16]).await;
        }
    })
    .await;
    (server, content)
}

/// A leaf that says where its issuer and its revocation list are.
fn pointing(issuer: &Authority, aia: &str, crl: &str) -> Issued {
    issuer.issue(|params| {
        params.custom_extensions.push(issuer_at(aia));
        params.crl_distribution_points = vec![rcgen::CrlDistributionPoint { uris: vec![crl.to_owned()] }];
    })
}

async fn run(world: &World, leaf: &Issued) -> Run {
    let server = tls(shows(std::slice::from_ref(&leaf.der), &leaf.key)).await;
    world.run(json!({ "hosts": [format!("{NAME}:{}", server.port())] })).await
}

#[tokio::test]
async fn a_missing_issuer_is_fetched_once_a_day_and_the_chain_stays_incomplete() {
    let root = Authority::root("Test Root");
    let middle = root.below("Test Intermediate", |_| {});
    let (server, content) = publishes(200).await;
    let (lists, list) = publishes(200).await;
    *list.lock().unwrap() = middle.list();
    let aia = format!("http://{}/middle.cer", server.address);
    let leaf = pointing(&middle, &aia, &format!("http://{}/x.crl", lists.address));
    for body in [middle.der.clone(), middle.pem.clone().into_bytes()] {
        *content.lock().unwrap() = body;
        let mut world = World::trusting(&root);
        let before = server.visits();
        let first = run(&world, &leaf).await;
        assert_eq!(first.broken(), ["cert.incomplete"], "{:#?}", first.findings);
        let summary = &first.finding("cert.incomplete").summary;
        assert!(summary.contains("with what was fetched from there the chain is trusted"), "{summary}");
        world.memory = first.memory;
        let second = run(&world, &leaf).await;
        assert_eq!(second.broken(), ["cert.incomplete"]);
        assert_eq!((second.facts.issuers, server.visits() - before), (first.facts.issuers, 1));
    }
}

#[tokio::test]
async fn a_revocation_list_is_fetched_and_kept_until_it_is_old() {
    let root = Authority::root("Test Root");
    let (server, content) = publishes(200).await;
    *content.lock().unwrap() = root.list();
    let url = format!("http://{}/x.crl", server.address);
    let leaf = pointing(&root, "http://192.0.2.1/unused", &url);
    let mut world = World::trusting(&root);
    let first = run(&world, &leaf).await;
    let list = first.facts.crls[&url].list.clone().unwrap();
    assert_eq!(list.answers.values().collect::<Vec<_>>(), [&Answer::Good]);
    assert!(first.facts.issuers.is_empty(), "the chain was whole");
    world.memory = first.memory;
    run(&world, &leaf).await;
    assert_eq!(server.visits(), 1);
    let crl = world.memory.fetched.crls.get_mut(&url).unwrap();
    crl.at = jiff::Timestamp::from_second(now().as_second() - 6 * 3600).unwrap();
    run(&world, &leaf).await;
    assert_eq!(server.visits(), 2);
    // A certificate that the kept list was not asked about.
    run(&world, &pointing(&root, "http://192.0.2.1/unused", &url)).await;
    assert_eq!(server.visits(), 3);
}

/// What a run fetches for a leaf that was shown by a public portal.
async fn of_a_public_portal(leaf: &Issued) -> Facts {
    let mut facts = Facts::default();
    let key = facts.keep(leaf.der.clone());
    let view = View {
        sni: true,
        key_type: AskedKey::Any,
        versions: AskedVersions::Both,
        shown: Some(Shown { chain: vec![key], ..Shown::default() }),
        failure: None,
    };
    let address = ([192, 0, 2, 1], 443).into();
    let endpoint = Endpoint { address, unmeasured: None, views: vec![view], posture: None };
    let server_name = Some(NAME.to_owned());
    facts.hosts.push(HostFacts { endpoints: vec![endpoint], server_name, ..HostFacts::default() });
    let world = World { private: false, ..World::trusting(&Authority::root("Other Root")) };
    let (net, scope): (_, Scope) = (world.net(), world.scope());
    let masker = Masker::default();
    let ctx = Ctx {
        scope: &scope,
        net: &net,
        masker: &masker,
        at: now(),
        everything: false,
        ledger: None,
        baselines: None,
        writes: false,
    };
    fetch_into(&spec(json!({})), &ctx, &Memory::default(), &mut facts).await;
    facts
}

#[tokio::test]
async fn a_certificate_that_points_at_a_private_address_leads_nobody_there() {
    let (server, _) = publishes(200).await;
    let (aia, crl) = (format!("http://{}/a", server.address), format!("http://{}/b", server.address));
    let leaf = pointing(&Authority::root("Hostile Root"), &aia, &crl);
    let facts = of_a_public_portal(&leaf).await;
    let refused = |failure: &Option<FetchFailure>| matches!(failure, Some(FetchFailure::Refused(_)));
    assert!(refused(&facts.issuers[&aia].failure), "{:?}", facts.issuers);
    assert!(refused(&facts.crls[&crl].failure), "{:?}", facts.crls);
    assert_eq!(server.visits(), 0);
}

#[tokio::test]
async fn what_is_not_for_the_web_is_refused_without_a_connection() {
    let leaf = pointing(&Authority::root("Hostile Root"), "ldap://192.0.2.1/cn=x", "file:///etc/passwd");
    let facts = of_a_public_portal(&leaf).await;
    let refused = |failure: &Option<FetchFailure>| matches!(failure, Some(FetchFailure::Refused(_)));
    assert!(facts.issuers.values().all(|issuer| refused(&issuer.failure)) && facts.issuers.len() == 1);
    assert!(facts.crls.values().all(|crl| refused(&crl.failure)) && facts.crls.len() == 1);
}

#[tokio::test]
async fn a_redirect_to_a_metadata_service_is_refused_and_nonsense_is_malformed() {
    let root = Authority::root("Test Root");
    let world = World::trusting(&root);
    let (server, content) = publishes(302).await;
    *content.lock().unwrap() = b"http://169.254.169.254/latest".to_vec();
    let url = format!("http://{}/x.crl", server.address);
    let seen = run(&world, &pointing(&root, "http://192.0.2.1/unused", &url)).await;
    assert!(matches!(seen.facts.crls[&url].failure, Some(FetchFailure::Refused(_))), "{:?}", seen.facts.crls);

    let (server, content) = publishes(200).await;
    *content.lock().unwrap() = b"<html>".to_vec();
    let url = format!("http://{}/x.crl", server.address);
    let seen = run(&world, &pointing(&root, "http://192.0.2.1/unused", &url)).await;
    assert!(
        matches!(seen.facts.crls[&url].failure, Some(FetchFailure::Malformed(_))),
        "{:?}",
        seen.facts.crls
    );
    assert!(seen.broken().is_empty());
}
