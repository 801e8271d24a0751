//! A world: names with records, and a sender.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Mutex;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use portalwatch::formats::dns::Name;
use portalwatch::probe::mail::spf::{Checked, Resolver, Sender, Temporary, check_host};
use serde::{Deserialize, Serialize};

/// Aliases are followed so far.
const ALIASES: usize = 10;

/// The type of a record and the parts of its data; `TIMEOUT` if the name does not answer.
pub type Record = (String, Vec<String>);

/// A name and a type that were asked for.
pub type Question = (String, String);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct World {
    /// Names in lower case without a dot at their end. `*.x` stands for all below `x` without own records.
    pub zone: BTreeMap<String, Vec<Record>>,
    pub ip: String,
    pub mail_from: String,
    pub helo: String,
    pub receiver: String,
    pub time: i64,
}

impl World {
    pub fn add(&mut self, name: &str, kind: &str, data: &[&str]) {
        let data = data.iter().map(|part| (*part).to_owned()).collect();
        self.zone.entry(name.to_lowercase()).or_default().push((kind.to_owned(), data));
    }

    /// What we say of it, and what we asked for.
    pub fn check(&self) -> (Checked, BTreeSet<Question>) {
        let asking = Asking { world: self, asked: Mutex::default() };
        let sender = Sender {
            ip: self.ip.parse().unwrap(),
            mail_from: &self.mail_from,
            helo: &self.helo,
            receiver: &self.receiver,
            time: self.time,
        };
        let checked = check_host(&asking, &sender).now_or_never().unwrap();
        (checked, asking.asked.into_inner().unwrap())
    }

    /// The names to which records of these types lead, in lower case.
    pub fn targets(&self, kinds: &[&str]) -> BTreeSet<String> {
        kinds.iter().flat_map(|kind| self.targets_as_written(kind)).map(str::to_lowercase).collect()
    }

    /// The names to which records of a type lead.
    pub fn targets_as_written(&self, kind: &str) -> impl Iterator<Item = &str> {
        let records = self.zone.values().flatten().filter(move |(own, _)| own == kind);
        records.filter_map(|(_, data)| data.last().map(String::as_str))
    }

    /// Whether that holds for a text of any name.
    pub fn any_text(&self, holds: impl Fn(&str) -> bool) -> bool {
        let records = self.zone.values().flatten().filter(|(kind, _)| kind == "TXT");
        records.map(|(_, parts)| parts.concat()).any(|text| holds(&text))
    }

    /// Questions but those for addresses of the names that the sender's address has.
    pub fn beside_ptr(&self, asked: &BTreeSet<Question>) -> BTreeSet<Question> {
        let names = self.targets(&["PTR"]);
        let of_name = |(name, kind): &&Question| kind.starts_with('A') && names.contains(name);
        asked.iter().filter(|question| !of_name(question)).cloned().collect()
    }

    fn records(&self, name: &str) -> Option<&Vec<Record>> {
        let above = name.match_indices('.').map(|(at, _)| format!("*{}", &name[at..]));
        std::iter::once(name.to_owned()).chain(above).find_map(|name| self.zone.get(&name))
    }

    fn find(&self, name: &str, kind: &'static str) -> Result<Vec<Vec<String>>, Temporary> {
        let mut at = name.to_owned();
        for _ in 0..ALIASES {
            at = at.trim_end_matches('.').to_ascii_lowercase();
            let Some(records) = self.records(&at) else { return Ok(Vec::new()) };
            let of = |kind: &str| records.iter().filter(|record| record.0 == kind).collect::<Vec<_>>();
            if !of("TIMEOUT").is_empty() {
                return Err(Temporary { name: name.to_owned(), kind, why: "no answer".to_owned() });
            }
            match of("CNAME").first() {
                Some((_, alias)) if of(kind).is_empty() => at = alias[0].clone(),
                _ => return Ok(of(kind).into_iter().map(|record| record.1.clone()).collect()),
            }
        }
        Ok(Vec::new())
    }
}

struct Asking<'w> {
    world: &'w World,
    asked: Mutex<BTreeSet<Question>>,
}

impl Asking<'_> {
    fn find(&self, name: &str, kind: &'static str) -> Result<Vec<Vec<String>>, Temporary> {
        self.asked.lock().unwrap().insert((name.to_ascii_lowercase(), kind.to_owned()));
        self.world.find(name, kind)
    }

    fn firsts<T: FromStr>(&self, name: &str, kind: &'static str) -> Result<Vec<T>, Temporary> {
        Ok(self.find(name, kind)?.iter().filter_map(|data| data[0].parse().ok()).collect())
    }
}

impl Resolver for Asking<'_> {
    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Vec<u8>>, Temporary>> {
        let found = self.find(name, "TXT");
        async { Ok(found?.into_iter().map(|parts| parts.concat().into_bytes()).collect()) }.boxed()
    }

    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Temporary>> {
        std::future::ready(self.firsts(name, "A")).boxed()
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv6Addr>, Temporary>> {
        std::future::ready(self.firsts(name, "AAAA")).boxed()
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, Temporary>> {
        let found = self.find(name, "MX").map(|mut found| {
            found.sort_by_key(|data| (data[0].parse::<u16>().unwrap(), data[1].clone()));
            found.into_iter().map(|mut data| data.remove(1)).collect()
        });
        std::future::ready(found).boxed()
    }

    fn ptr(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Temporary>> {
        std::future::ready(self.firsts(&Name::reverse(address).without_dot(), "PTR")).boxed()
    }
}
