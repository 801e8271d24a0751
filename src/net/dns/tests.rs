use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::fakes::{Says, net, net_with, resolver, truncating_resolver};
use super::super::{Net, TransportError};
use super::*;

const PATIENCE: Duration = Duration::from_secs(5);
const A: u16 = 1;
const NS: u16 = 2;

async fn ask(net: &Net, server: SocketAddr, timeout: Duration) -> Result<Vec<IpAddr>, TransportError> {
    let found = net.resolve("portal.example", &[server.to_string()], timeout).await;
    found.map(|resolved| resolved.addresses)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn both_families_of_a_name_are_found() {
    let server = resolver(|name, _| match name {
        "portal.example" => Says::Addresses(vec![ip("2001:db8::1"), ip("192.0.2.1")]),
        _ => Says::Code(3),
    })
    .await;
    assert_eq!(ask(&net(), server, PATIENCE).await.unwrap(), [ip("192.0.2.1"), ip("2001:db8::1")]);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_the_targets_fault() {
    let server = resolver(|_, _| Says::Code(3)).await;
    let error = ask(&net(), server, PATIENCE).await.unwrap_err();
    assert_eq!((error.phase, error.reason), (Phase::Dns, FailReason::Unresolvable));
    assert!(error.timings.get(Phase::Dns).is_some());
}

#[tokio::test]
async fn a_name_without_addresses_is_the_targets_fault() {
    let server = resolver(|_, _| Says::Addresses(Vec::new())).await;
    let error = ask(&net(), server, PATIENCE).await.unwrap_err();
    assert_eq!(error.reason, FailReason::Unresolvable, "{error}");
}

#[tokio::test]
async fn a_dead_resolver_is_not_downtime() {
    let server = resolver(|_, _| Says::Nothing).await;
    let error = ask(&net(), server, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!((error.phase, error.reason), (Phase::Dns, FailReason::OwnResolver));
    assert!(error.detail.contains("control query"), "{}", error.detail);
}

#[tokio::test(start_paused = true)]
async fn a_dead_resolver_is_found_out_before_the_time_is_up() {
    let server = resolver(|_, _| Says::Nothing).await;
    let net = net();
    for timeout in [Duration::from_millis(200), Duration::from_secs(2), Duration::from_secs(10)] {
        let asked = tokio::time::timeout(timeout, ask(&net, server, timeout)).await;
        assert_eq!(
            asked.expect("a run would have been cut off").unwrap_err().reason,
            FailReason::OwnResolver
        );
    }
}

#[tokio::test]
async fn an_encrypted_resolver_that_is_gone_is_not_downtime() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let net = net_with(&[("dns.example", &[gone.ip()])]);
    let port = gone.port();
    for spec in [format!("tls://{gone}#dns.example"), format!("https://dns.example:{port}/dns-query")] {
        let error = net.resolve("portal.example", &[spec], PATIENCE).await.unwrap_err();
        assert_eq!(error.reason, FailReason::OwnResolver, "{error}");
    }
}

#[tokio::test]
async fn a_resolver_that_fails_for_everything_is_not_downtime() {
    for code in [2, 5] {
        let server = resolver(move |_, _| Says::Code(code)).await;
        let error = ask(&net(), server, PATIENCE).await.unwrap_err();
        assert_eq!(error.reason, FailReason::OwnResolver, "{error}");
    }
}

#[tokio::test]
async fn a_name_whose_own_servers_fail_is_the_targets_fault() {
    let server =
        resolver(|_, kind| if kind == NS { Says::Addresses(Vec::new()) } else { Says::Code(2) }).await;
    let error = ask(&net(), server, PATIENCE).await.unwrap_err();
    assert_eq!(error.reason, FailReason::Unresolvable, "{error}");
    assert!(error.detail.contains("erver"), "{}", error.detail);

    let silent =
        resolver(|_, kind| if kind == NS { Says::Addresses(Vec::new()) } else { Says::Nothing }).await;
    let error = ask(&net(), silent, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.reason, FailReason::Unresolvable, "{error}");
}

#[tokio::test]
async fn a_resolver_that_comes_back_in_the_middle_is_not_downtime() {
    let back = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&back);
    let server = resolver(move |_, kind| {
        if kind == NS {
            state.store(true, Ordering::SeqCst);
        }
        if state.load(Ordering::SeqCst) { Says::Addresses(vec![ip("192.0.2.1")]) } else { Says::Code(2) }
    })
    .await;
    assert_eq!(ask(&net(), server, PATIENCE).await.unwrap(), [ip("192.0.2.1")]);
    assert!(back.load(Ordering::SeqCst), "the first query was answered");
}

#[tokio::test]
async fn a_control_answer_of_before_does_not_speak_for_a_resolver_that_died_since() {
    let dead = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&dead);
    let server = resolver(move |_, kind| {
        if kind == NS && !state.load(Ordering::SeqCst) { Says::Addresses(Vec::new()) } else { Says::Code(2) }
    })
    .await;
    let net = net();
    assert_eq!(ask(&net, server, PATIENCE).await.unwrap_err().reason, FailReason::Unresolvable);
    dead.store(true, Ordering::SeqCst);
    assert_eq!(ask(&net, server, PATIENCE).await.unwrap_err().reason, FailReason::OwnResolver);
}

#[tokio::test]
async fn one_family_that_fails_does_not_hide_the_other() {
    let server = resolver(|_, kind| match kind {
        A => Says::Addresses(vec![ip("192.0.2.1")]),
        _ => Says::Code(2),
    })
    .await;
    assert_eq!(ask(&net(), server, PATIENCE).await.unwrap(), [ip("192.0.2.1")]);
}

#[tokio::test]
async fn many_failures_cost_one_control_query() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let server = resolver(move |_, kind| {
        if kind == NS {
            counter.fetch_add(1, Ordering::SeqCst);
            Says::Addresses(Vec::new())
        } else {
            Says::Code(2)
        }
    })
    .await;
    let net = net();
    let all = (0..20).map(|_| ask(&net, server, PATIENCE));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.unwrap_err().reason, FailReason::Unresolvable);
    }
    // Twenty at a time may outlive the second for which an answer stands, but not by much.
    let asked = asked.load(Ordering::SeqCst);
    assert!((1..=5).contains(&asked), "{asked}");
}

#[tokio::test]
async fn answers_are_not_remembered() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let server = resolver(move |_, kind| {
        let turn = if kind == A { counter.fetch_add(1, Ordering::SeqCst) } else { 0 };
        Says::Addresses(vec![ip(if turn == 0 { "192.0.2.1" } else { "192.0.2.2" })])
    })
    .await;
    let net = net();
    assert_eq!(ask(&net, server, PATIENCE).await.unwrap(), [ip("192.0.2.1")]);
    assert_eq!(ask(&net, server, PATIENCE).await.unwrap(), [ip("192.0.2.2")]);
}

#[tokio::test]
async fn a_second_resolver_answers_for_a_dead_first() {
    let dead = resolver(|_, _| Says::Code(2)).await;
    let good = resolver(|_, _| Says::Addresses(vec![ip("192.0.2.1")])).await;
    let both = [dead.to_string(), good.to_string()];
    let found = net().resolve("portal.example", &both, PATIENCE).await.unwrap();
    assert_eq!(found.addresses, [ip("192.0.2.1")]);
}

#[tokio::test]
async fn a_silent_resolver_leaves_time_for_the_next_and_is_asked_last_thereafter() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let silent = resolver(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        Says::Nothing
    })
    .await;
    let good = resolver(|_, _| Says::Addresses(vec![ip("192.0.2.1")])).await;
    let both = [silent.to_string(), good.to_string()];
    let net = net();
    let timeout = Duration::from_millis(400);
    let found = net.resolve("portal.example", &both, timeout).await.unwrap();
    assert_eq!(found.addresses, [ip("192.0.2.1")]);
    let before = asked.load(Ordering::SeqCst);
    assert!(before > 0);
    net.resolve("portal.example", &both, timeout).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn an_answer_too_long_for_udp_is_asked_for_again_over_tcp() {
    let server = truncating_resolver(|_, _| Says::Addresses(vec![ip("192.0.2.1")])).await;
    let other = resolver(|_, _| Says::Code(2)).await;
    let both = [server.to_string(), other.to_string()];
    let found = net().resolve("portal.example", &both, PATIENCE).await.unwrap();
    assert_eq!(found.addresses, [ip("192.0.2.1")]);
}

#[tokio::test]
async fn fixed_names_and_addresses_ask_nobody() {
    let nobody = ["192.0.2.53:53".to_owned()];
    let net = net_with(&[("Fixed.example", &[ip("192.0.2.7")])]);
    let found = net.resolve("fixed.EXAMPLE.", &nobody, PATIENCE).await.unwrap();
    assert_eq!(found.addresses, [ip("192.0.2.7")]);
    let found = net.resolve("[2001:db8::9]", &nobody, PATIENCE).await.unwrap();
    assert_eq!(found.addresses, [ip("2001:db8::9")]);
}

#[tokio::test]
async fn the_hosts_file_counts_with_the_systems_resolver() {
    let found = net().resolve("localhost", &["system".to_owned()], PATIENCE).await.unwrap();
    assert!(found.addresses.contains(&ip("127.0.0.1")), "{found:?}");
}

#[tokio::test]
async fn a_metadata_address_is_no_resolver() {
    let error = net().resolve("a.example", &["169.254.169.254:53".to_owned()], PATIENCE).await.unwrap_err();
    assert_eq!(error.reason, FailReason::OwnResolver);
    assert!(error.detail.contains("169.254.169.254"), "{}", error.detail);
}

#[test]
fn resolvers_are_read_as_documented() {
    let plain = |text: &str| Ok(Spec::Plain(text.parse().unwrap()));
    assert_eq!(Spec::parse("system"), Ok(Spec::System));
    assert_eq!(Spec::parse("192.0.2.1:5353"), plain("192.0.2.1:5353"));
    assert_eq!(Spec::parse("192.0.2.1"), plain("192.0.2.1:53"));
    assert_eq!(Spec::parse("[2001:db8::1]:53"), plain("[2001:db8::1]:53"));
    let tls =
        |address: &str, name: &str| Ok(Spec::Tls { address: address.parse().unwrap(), name: name.into() });
    assert_eq!(Spec::parse("tls://192.0.2.1:8853#dns.example"), tls("192.0.2.1:8853", "dns.example"));
    assert_eq!(Spec::parse("tls://192.0.2.1"), tls("192.0.2.1:853", "192.0.2.1"));
    let https = |host: &str, port, path: &str| {
        Ok(Spec::Https { host: url::Host::parse(host).unwrap(), port, path: path.into() })
    };
    assert_eq!(Spec::parse("https://dns.example/dns-query"), https("dns.example", 443, "/dns-query"));
    assert_eq!(Spec::parse("https://192.0.2.1:8443/"), https("192.0.2.1", 8443, "/dns-query"));
    for wrong in ["", "dns.example", "tls://dns.example", "udp://192.0.2.1", "https://"] {
        assert!(check_resolver(wrong).is_err(), "{wrong}");
    }
}
