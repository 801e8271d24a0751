//! Checks in worlds that answer at once.

mod over_net;
mod suite;
mod tables;

use futures_util::FutureExt as _;

use self::suite::{Found, Zone, assert_all, suite};
use super::*;

impl Zone {
    fn look_up(&self, name: &str, kind: &'static str, depth: usize) -> Result<Vec<Vec<String>>, Temporary> {
        match self.find(name, kind) {
            Found::Records(found) => Ok(found),
            Found::Alias(alias) if depth < 10 => self.look_up(&alias, kind, depth + 1),
            Found::Alias(_) | Found::Nothing | Found::NoName => Ok(Vec::new()),
            Found::Silence => Err(Temporary { name: name.to_owned(), kind, why: "no answer".to_owned() }),
        }
    }

    fn firsts<T: std::str::FromStr>(&self, name: &str, kind: &'static str) -> Result<Vec<T>, Temporary> {
        let found = self.look_up(name, kind, 0)?;
        Ok(found.iter().filter_map(|values| values[0].parse().ok()).collect())
    }
}

impl Resolver for Zone {
    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Vec<u8>>, Temporary>> {
        async move { Ok(self.look_up(name, "TXT", 0)?.iter().map(|texts| texts.concat().into_bytes()).collect()) }.boxed()
    }

    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Temporary>> {
        async move { self.firsts(name, "A") }.boxed()
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv6Addr>, Temporary>> {
        async move { self.firsts(name, "AAAA") }.boxed()
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, Temporary>> {
        async move {
            let mut found = self.look_up(name, "MX", 0)?;
            found.sort_by_key(|values| values[0].parse::<u16>().unwrap());
            Ok(found.into_iter().map(|values| values[1].clone()).collect())
        }
        .boxed()
    }

    fn ptr(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Temporary>> {
        let name = crate::formats::dns::Name::reverse(address).without_dot();
        async move { Ok(self.look_up(&name, "PTR", 0)?.into_iter().map(|values| values[0].clone()).collect()) }.boxed()
    }
}

#[tokio::test]
async fn the_suite_of_the_standard_passes_whole() {
    let Some(worlds) = suite("the_suite_of_the_standard_passes_whole") else { return };
    let mut checked = Vec::new();
    for world in &worlds {
        for case in &world.cases {
            checked.push((case, check_host(&world.zone, &case.sender()).await));
        }
    }
    assert_all(&checked);
}

async fn check(zone: &Zone, ip: &str) -> Checked {
    let sender = Sender {
        ip: ip.parse().unwrap(),
        mail_from: "ada@acme.example",
        helo: "mail.acme.example",
        receiver: "receiver.example",
        time: 0,
    };
    check_host(zone, &sender).await
}

#[tokio::test]
async fn the_way_to_an_answer_is_told_with_what_each_term_costs() {
    let zone = Zone::of(
        "acme.example:\n  - TXT: v=spf1 a include:_spf.other.example -all\n  - A: 192.0.2.1\n\
         _spf.other.example:\n  - TXT: v=spf1 mx ip4:198.51.100.0/24 ?all\n  - MX: [10, mx.other.example]\n\
         mx.other.example:\n  - A: 203.0.113.9\n",
    );
    let pass = check(&zone, "198.51.100.7").await;
    assert_eq!((pass.verdict, pass.lookups, pass.voids), (Verdict::Pass, 3, 0));
    assert_eq!(pass.why, "include:_spf.other.example of acme.example matches");
    let steps: Vec<_> =
        pass.trace.steps.iter().map(|step| (step.term.as_str(), step.matched, step.lookups)).collect();
    assert_eq!(steps, [("a", false, 1), ("include:_spf.other.example", true, 2)]);
    let (behind, verdict) = pass.trace.steps[1].behind.as_ref().unwrap();
    assert_eq!(
        (behind.domain.as_str(), *verdict, behind.steps.len()),
        ("_spf.other.example", Verdict::Pass, 2)
    );
    let fail = check(&zone, "2001:db8::1").await;
    assert_eq!((fail.verdict, fail.voids), (Verdict::Fail, 1), "no AAAA of acme.example");
}

#[tokio::test]
async fn circles_and_silence_end_and_silence_is_never_a_missing_record() {
    let circle = Zone::of("acme.example:\n  - TXT: v=spf1 include:acme.example -all\n");
    let checked = check(&circle, "192.0.2.1").await;
    assert_eq!((checked.verdict, checked.lookups), (Verdict::PermError, 11));
    let around = Zone::of("acme.example:\n  - TXT: v=spf1 redirect=acme.example\n");
    assert_eq!(check(&around, "192.0.2.1").await.verdict, Verdict::PermError);
    let silent = Zone::of("acme.example:\n  - TIMEOUT\n");
    assert_eq!(check(&silent, "192.0.2.1").await.verdict, Verdict::TempError);
    let behind = Zone::of("acme.example:\n  - TXT: v=spf1 include:b.example -all\nb.example:\n  - TIMEOUT\n");
    let checked = check(&behind, "192.0.2.1").await;
    assert_eq!(checked.verdict, Verdict::TempError);
    assert!(checked.why.contains("b.example"), "{}", checked.why);
}

#[tokio::test]
async fn what_an_explanation_looks_up_costs_the_record_nothing() {
    let zone = Zone::of(
        "acme.example:\n  - TXT: v=spf1 a a:gone.example -all exp=%{p}.why.example\n\
         unknown.why.example:\n  - TXT: \"%{p} is not one of us\"\n",
    );
    let checked = check(&zone, "192.0.2.1").await;
    assert_eq!((checked.verdict, checked.lookups, checked.voids), (Verdict::Fail, 2, 2));
    assert_eq!(checked.explanation.as_deref(), Some("unknown is not one of us"));
}
