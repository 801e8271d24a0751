//! Checks of SPF in a world whose records are the input, one a line: every name has one of them.
#![no_main]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use libfuzzer_sys::fuzz_target;
use portalwatch::probe::mail::spf::{Resolver, Sender, Temporary, authorized, check_host};

struct World<'a>(Vec<&'a [u8]>);

impl World<'_> {
    fn pick(&self, name: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hasher.finish()
    }

    fn few(&self, name: &str) -> Result<u64, Temporary> {
        match self.pick(name) % 11 {
            10 => Err(Temporary { name: name.to_owned(), kind: "A", why: "no answer".to_owned() }),
            count => Ok(count % 4),
        }
    }
}

impl Resolver for World<'_> {
    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Vec<u8>>, Temporary>> {
        let at = usize::try_from(self.pick(name)).unwrap_or_default().checked_rem(self.0.len());
        let record = at.and_then(|at| self.0.get(at)).map(|record| record.to_vec());
        std::future::ready(Ok(record.into_iter().collect())).boxed()
    }

    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Temporary>> {
        let all = self.few(name).map(|count| (0..count).map(|_| Ipv4Addr::new(192, 0, 2, 1)).collect());
        std::future::ready(all).boxed()
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv6Addr>, Temporary>> {
        let all = self.few(name).map(|count| (0..count).map(|_| Ipv6Addr::LOCALHOST).collect());
        std::future::ready(all).boxed()
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, Temporary>> {
        let all = self.few(name).map(|count| (0..count * 4).map(|at| format!("mx{at}.{name}")).collect());
        std::future::ready(all).boxed()
    }

    fn ptr(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Temporary>> {
        let all = self.few(&address.to_string()).map(|count| (0..count).map(|at| format!("p{at}.a.example")).collect());
        std::future::ready(all).boxed()
    }
}

fuzz_target!(|input: &[u8]| {
    let world = World(input.split(|byte| *byte == b'\n').collect());
    for ip in [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3)), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let sender = Sender { ip, mail_from: "a@b.example", helo: "h.example", receiver: "r.example", time: 0 };
        let checked = check_host(&world, &sender).now_or_never().expect("the world answers at once");
        assert!(checked.lookups <= 11 && checked.voids <= 3, "{checked:?}");
    }
    let _ = authorized(&world, "b.example").now_or_never().expect("the world answers at once");
});
