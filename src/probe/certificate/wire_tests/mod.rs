//! Runs of the kind over real sockets on loopback.

mod odd;
mod pointers;
pub mod world;

use rcgen::date_time_ymd;
use serde_json::json;

use self::world::{
    Authority, NAME, Server, World, anywhere, demands, says, self_signed, serve_at, shows, shows_both, tls,
    tls_at,
};
use super::facts::{AskedKey, AskedVersions, Proof};
use super::memory::endpoint_key;
use super::posture::Posture;
use crate::model::Cause;

#[tokio::test]
async fn a_good_portal_is_seen_in_every_handshake_and_passes() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    let server = tls(shows(std::slice::from_ref(&leaf.der), &leaf.key)).await;
    let run = World::trusting(&authority).at(&server).await;
    assert_eq!((run.broken(), run.alerting()), (vec![], vec![]), "{:#?}", run.findings);
    assert!(!run.transport);
    let endpoint = &run.facts.hosts[0].endpoints[0];
    let asked: Vec<_> = endpoint
        .views
        .iter()
        .map(|view| (view.sni, view.key_type, view.versions, view.shown.is_some()))
        .collect();
    assert_eq!(
        asked,
        [
            (true, AskedKey::Any, AskedVersions::Both, true),
            (true, AskedKey::Rsa, AskedVersions::Tls13, false),
            (true, AskedKey::Ecdsa, AskedVersions::Tls13, true),
            (true, AskedKey::Rsa, AskedVersions::Tls12, false),
            (true, AskedKey::Ecdsa, AskedVersions::Tls12, true),
            (false, AskedKey::Any, AskedVersions::Both, true),
        ]
    );
    let shown = endpoint.views[0].shown.as_ref().unwrap();
    assert_eq!((shown.version.as_deref(), shown.proof.as_ref()), (Some("TLSv1.3"), Some(&Proof::Good)));
    assert_eq!(shown.group.as_deref(), Some("X25519MLKEM768"));
    assert_eq!(run.facts.trusted.len(), 1);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let leaf = self_signed(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.example.com".try_into().unwrap())];
        params.not_after = date_time_ymd(2026, 5, 20);
    });
    let server = tls(shows(&[leaf.der], &leaf.key)).await;
    let run = World::trusting(&Authority::root("Test Root")).at(&server).await;
    assert_eq!(run.broken(), ["cert.expired", "cert.name", "cert.self_signed"], "{:#?}", run.findings);
    assert!(run.finding("cert.expired").subject.ends_with(" leaf"));
}

#[tokio::test]
async fn one_expired_address_of_two_is_one_finding_that_names_it() {
    let authority = Authority::root("Test Root");
    let good = authority.issue(|_| {});
    let expired = authority.issue(|params| params.not_after = date_time_ymd(2026, 5, 20));
    let first = tls(shows(&[good.der], &good.key)).await;
    let second = tls_at(([127, 0, 0, 2], first.port()).into(), shows(&[expired.der], &expired.key)).await;
    let mut world = World::trusting(&authority);
    world.hosts = vec![(NAME.to_owned(), vec![[127, 0, 0, 1].into(), [127, 0, 0, 2].into()])];
    let run = world.at(&first).await;
    assert_eq!(second.port(), first.port());
    assert_eq!(run.broken(), ["cert.expired"], "{:#?}", run.findings);
    let finding = run.finding("cert.expired");
    assert!(finding.summary.ends_with("(at 127.0.0.2)"), "{}", finding.summary);
    assert_eq!(finding.evidence["addresses"], json!(["127.0.0.2"]));
}

#[tokio::test]
async fn a_portal_that_demands_a_client_certificate_is_watched_without_one() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = tls(demands(&leaf, &authority, version)).await;
        let run = World::trusting(&authority).at(&server).await;
        assert_eq!(run.alerting(), Vec::<&str>::new(), "{:#?}", run.findings);
        let summary = &run.finding("cert.client_certificate").summary;
        assert!(summary.contains("ends the connection"), "{summary}");
        assert!(run.facts.hosts[0].endpoints[0].views[0].shown.is_some());
    }
}

#[tokio::test]
async fn another_certificate_without_sni_is_a_remark_alone() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    let other = self_signed(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("default.example.com".try_into().unwrap())];
        params.not_after = date_time_ymd(2026, 5, 20);
    });
    let config = shows_both(
        (std::slice::from_ref(&leaf.der), &leaf.key),
        (std::slice::from_ref(&other.der), &other.key),
    );
    let run = World::trusting(&authority).at(&tls(config).await).await;
    assert_eq!(run.alerting(), Vec::<&str>::new(), "{:#?}", run.findings);
    let summary = &run.finding("cert.no_sni").summary;
    assert!(summary.contains("default.example.com (expired, not for this name)"), "{summary}");
}

#[tokio::test]
async fn a_server_without_the_key_of_its_certificate_is_broken() {
    let authority = Authority::root("Test Root");
    let (shown, other) = (authority.issue(|_| {}), authority.issue(|_| {}));
    let server = tls(shows(&[shown.der], &other.key)).await;
    let run = World::trusting(&authority).at(&server).await;
    assert_eq!(run.broken(), ["cert.proof"], "{:#?}", run.findings);
}

#[tokio::test]
async fn a_connection_that_is_lost_once_is_no_finding() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    let acceptor = tokio_rustls::TlsAcceptor::from(shows(&[leaf.der], &leaf.key));
    let server = serve_at(anywhere(), move |stream, number| {
        let acceptor = acceptor.clone();
        async move {
            if number > 1
                && let Ok(mut stream) = acceptor.accept(stream).await
            {
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 64]).await;
            }
        }
    })
    .await;
    let run = World::trusting(&authority).at(&server).await;
    assert_eq!(run.alerting(), Vec::<&str>::new(), "{:#?}", run.findings);
}

#[tokio::test]
async fn a_host_that_is_an_address_is_held_to_its_address() {
    let authority = Authority::root("Test Root");
    let named = authority.issue(|_| {});
    let addressed = authority.issue(|params| {
        params.subject_alt_names.push(rcgen::SanType::IpAddress([127, 0, 0, 1].into()));
    });
    let world = World::trusting(&authority);
    for (leaf, broken) in [(named, vec!["cert.name"]), (addressed, vec![])] {
        let server = tls(shows(&[leaf.der], &leaf.key)).await;
        let run = world.run(json!({ "hosts": [server.address.to_string()] })).await;
        assert_eq!(run.broken(), broken, "{:#?}", run.findings);
        // Once without a name is enough where there is none.
        assert_eq!(run.facts.hosts[0].endpoints[0].views.len(), 5);
    }
}

fn posture_key(server: &Server) -> String {
    endpoint_key(&format!("{NAME}:{}", server.port()), server.address)
}

#[tokio::test]
async fn what_is_accepted_is_found_out_seldom_and_remembered_between() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    let server = tls(shows(&[leaf.der], &leaf.key)).await;
    let settings = json!({
        "hosts": [format!("{NAME}:{}", server.port())], "profile": "intermediate", "scan_every": "1h"
    });
    let mut world = World::trusting(&authority);
    let first = world.run(settings.clone()).await;
    let scanned = first.facts.hosts[0].endpoints[0].posture.clone().unwrap();
    assert_eq!(scanned.at, world::now());
    let accepted: Vec<&str> = scanned
        .versions
        .iter()
        .filter(|version| version.accepted == Some(true))
        .map(|version| version.version.as_str())
        .collect();
    assert_eq!(accepted, ["TLSv1.2", "TLSv1.3"]);
    for (age, again) in [(3_000, false), (3_600, true)] {
        let at = jiff::Timestamp::from_second(world::now().as_second() - age).unwrap();
        let old = Posture { at, ..first.memory.postures[&posture_key(&server)].clone() };
        world.memory.postures.insert(posture_key(&server), old);
        let run = world.run(settings.clone()).await;
        let seen = run.facts.hosts[0].endpoints[0].posture.clone().unwrap();
        assert_eq!(seen.at == world::now(), again, "{age}");
    }
}

#[tokio::test]
async fn a_run_that_is_out_of_time_blames_nobody() {
    let silent = says(b"", true).await;
    let mut world = World::trusting(&Authority::root("Test Root"));
    world.deadline = std::time::Duration::from_millis(300);
    let spec = world::spec(json!({ "hosts": [format!("{NAME}:{}", silent.port())] }));
    let cause = world.look(&spec).await.err().map(|unmeasured| unmeasured.cause);
    assert_eq!(cause, Some(Cause::Overload));
}
