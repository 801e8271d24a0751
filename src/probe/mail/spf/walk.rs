//! The way from record to record.

use std::net::IpAddr;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::expand::{Values, expand, needs_name};
use super::names::{is_name, is_within, matches, plain, shortened, without_dot};
use super::{Checked, Node, Resolver, Sender, Step, Temporary, Verdict};
use crate::formats::spf::{Directive, MacroString, Mechanism, Record, Target, is_spf};

/// So many terms may look something up (section 4.6.4) …
const LOOKUPS: usize = 10;
/// … and so many of these lookups may find nothing.
const VOIDS: usize = 2;
/// The most names of one MX or PTR answer that are looked at.
const NAMES: usize = 10;
/// The longest explanation.
const EXPLANATION: usize = 1_000;

/// A check under way.
pub struct Walk<'a> {
    resolver: &'a dyn Resolver,
    sender: &'a Sender<'a>,
    ip: IpAddr,
    local: String,
    sender_domain: String,
    lookups: usize,
    voids: usize,
    /// The answer is found: what an explanation looks up does not count (section 4.6.4).
    decided: bool,
}

/// What a record came to.
pub struct Outcome {
    pub verdict: Verdict,
    pub why: String,
    /// Whose `exp` explains it.
    pub explains: Option<(Target, String)>,
}

/// Why a record cannot be judged to its end.
enum Stop {
    Temporary(Temporary),
    Permanent(String),
}

impl From<Temporary> for Stop {
    fn from(temporary: Temporary) -> Self {
        Self::Temporary(temporary)
    }
}

impl Outcome {
    fn of(verdict: Verdict, why: impl Into<String>) -> Self {
        Self { verdict, why: why.into(), explains: None }
    }

    fn permanent(why: impl Into<String>) -> Self {
        Self::of(Verdict::PermError, why)
    }
}

impl<'a> Walk<'a> {
    pub fn new(resolver: &'a dyn Resolver, sender: &'a Sender<'a>, local: String, domain: String) -> Self {
        let ip = plain(sender.ip);
        Self { resolver, sender, ip, local, sender_domain: domain, lookups: 0, voids: 0, decided: false }
    }

    pub fn ended(&self, verdict: Verdict, why: String, explanation: Option<String>, trace: Node) -> Checked {
        Checked { verdict, why, explanation, trace, lookups: self.lookups, voids: self.voids }
    }

    /// The record of a domain, judged. `depth` bounds what the count of lookups bounds already.
    pub fn domain<'w>(
        &'w mut self,
        domain: &'w str,
        node: &'w mut Node,
        depth: usize,
    ) -> BoxFuture<'w, Outcome> {
        async move {
            if depth > LOOKUPS {
                return Outcome::permanent("includes and redirects go too deep");
            }
            let record = match self.record(domain, node).await {
                Ok(record) => record,
                Err(outcome) => return outcome,
            };
            match self.terms(domain, &record, node, depth).await {
                Ok(outcome) => outcome,
                Err(Stop::Temporary(why)) => Outcome::of(Verdict::TempError, why.to_string()),
                Err(Stop::Permanent(why)) => Outcome::permanent(why),
            }
        }
        .boxed()
    }

    async fn record(&self, domain: &str, node: &mut Node) -> Result<Record, Outcome> {
        let texts = self.resolver.txt(domain).await;
        let texts = texts.map_err(|why| Outcome::of(Verdict::TempError, why.to_string()))?;
        let mut records = texts.into_iter().filter(|text| is_spf(text));
        let Some(text) = records.next() else {
            return Err(Outcome::of(Verdict::None, format!("{domain} has no SPF record")));
        };
        node.record = Some(String::from_utf8_lossy(&text).into_owned());
        if records.next().is_some() {
            return Err(Outcome::permanent(format!("{domain} has more than one SPF record")));
        }
        Record::parse(&text)
            .map_err(|fault| Outcome::permanent(format!("the record of {domain} is wrong {fault}")))
    }

    async fn terms(
        &mut self,
        domain: &str,
        record: &Record,
        node: &mut Node,
        depth: usize,
    ) -> Result<Outcome, Stop> {
        for directive in &record.directives {
            let before = self.lookups;
            let step = Step { term: directive.text.clone(), matched: false, lookups: 0, behind: None };
            node.steps.push(step);
            let matched = self.directive(domain, directive, node, depth).await;
            if let Some(step) = node.steps.last_mut() {
                step.lookups = self.lookups - before;
                step.matched = matches!(matched, Ok(true));
            }
            if matched? {
                let why = format!("{} of {domain} matches", directive.text);
                let explains = record.explanation.clone().map(|target| (target, domain.to_owned()));
                return Ok(Outcome { verdict: Verdict::of(directive.qualifier), why, explains });
            }
        }
        match &record.redirect {
            Some(target) => self.redirect(domain, target, node, depth).await,
            None => Ok(Outcome::of(Verdict::Neutral, format!("no term of {domain} matches"))),
        }
    }

    async fn redirect(
        &mut self,
        domain: &str,
        target: &Target,
        node: &mut Node,
        depth: usize,
    ) -> Result<Outcome, Stop> {
        self.count()?;
        let before = self.lookups;
        let name = self.name(domain, Some(&target.name)).await?;
        if !is_name(&name) {
            return Err(Stop::Permanent(format!("redirect of {domain} leads to {name:?}, which is no name")));
        }
        let mut behind = Node::of(name.clone());
        let outcome = self.domain(&name, &mut behind, depth + 1).await;
        let lookups = self.lookups - before + 1;
        let behind = Some((behind, outcome.verdict));
        node.steps.push(Step { term: format!("redirect={name}"), matched: true, lookups, behind });
        match outcome.verdict {
            Verdict::None => {
                Err(Stop::Permanent(format!("redirect of {domain} leads to {name}, which has no SPF record")))
            }
            _ => Ok(outcome),
        }
    }

    async fn directive(
        &mut self,
        domain: &str,
        directive: &Directive,
        node: &mut Node,
        depth: usize,
    ) -> Result<bool, Stop> {
        if directive.mechanism.looks_up() {
            self.count()?;
        }
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4 { address, bits } => Ok(matches((*address).into(), self.ip, *bits)),
            Mechanism::Ip6 { address, bits } => Ok(matches((*address).into(), self.ip, *bits)),
            Mechanism::Include(name) => self.include(domain, name, node, depth).await,
            Mechanism::A { name, cidr } => {
                let name = self.name(domain, name.as_ref()).await?;
                let addresses = self.addresses(&name, true).await?;
                Ok(addresses
                    .into_iter()
                    .any(|address| matches(address, self.ip, self.bits(cidr.v4, cidr.v6))))
            }
            Mechanism::Mx { name, cidr } => {
                let name = self.name(domain, name.as_ref()).await?;
                self.exchanges(&name, self.bits(cidr.v4, cidr.v6)).await
            }
            Mechanism::Ptr(name) => {
                let name = self.name(domain, name.as_ref()).await?;
                let verified = self.verified_names().await?;
                Ok(verified.iter().any(|verified| is_within(verified, &name)))
            }
            Mechanism::Exists(name) => {
                let name = self.name(domain, Some(name)).await?;
                if !is_name(&name) {
                    return Ok(false);
                }
                let found = self.resolver.a(&name).await?;
                self.void(found.is_empty())?;
                Ok(!found.is_empty())
            }
        }
    }

    async fn include(
        &mut self,
        domain: &str,
        name: &MacroString,
        node: &mut Node,
        depth: usize,
    ) -> Result<bool, Stop> {
        let name = self.name(domain, Some(name)).await?;
        if !is_name(&name) {
            return Err(Stop::Permanent(format!("include of {domain} leads to {name:?}, which is no name")));
        }
        let mut behind = Node::of(name.clone());
        let outcome = self.domain(&name, &mut behind, depth + 1).await;
        if let Some(step) = node.steps.last_mut() {
            step.behind = Some((behind, outcome.verdict));
        }
        match outcome.verdict {
            Verdict::Pass => Ok(true),
            Verdict::Fail | Verdict::SoftFail | Verdict::Neutral => Ok(false),
            Verdict::TempError => Err(Stop::Temporary(Temporary { name, kind: "include", why: outcome.why })),
            Verdict::PermError => Err(Stop::Permanent(outcome.why)),
            Verdict::None => {
                Err(Stop::Permanent(format!("include of {domain} leads to {name}, which has no SPF record")))
            }
        }
    }

    async fn exchanges(&mut self, name: &str, bits: u8) -> Result<bool, Stop> {
        if !is_name(name) {
            return Ok(false);
        }
        let exchanges = self.resolver.mx(name).await?;
        self.void(exchanges.is_empty())?;
        if exchanges.len() > NAMES {
            return Err(Stop::Permanent(format!("{name} has more than {NAMES} mail exchanges")));
        }
        for exchange in &exchanges {
            let addresses = self.addresses(without_dot(exchange), false).await?;
            if addresses.into_iter().any(|address| matches(address, self.ip, bits)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of the sender's address that lead back to it (section 5.5). Errors are no names.
    async fn verified_names(&mut self) -> Result<Vec<String>, Stop> {
        let Ok(names) = self.resolver.ptr(self.ip).await else { return Ok(Vec::new()) };
        self.void(names.is_empty())?;
        let mut verified = Vec::new();
        for name in names.iter().take(NAMES) {
            let name = without_dot(name);
            if !is_name(name) {
                continue;
            }
            let addresses = match self.ip {
                IpAddr::V4(_) => {
                    self.resolver.a(name).await.map(|all| all.into_iter().map(IpAddr::V4).collect())
                }
                IpAddr::V6(_) => {
                    self.resolver.aaaa(name).await.map(|all| all.into_iter().map(IpAddr::V6).collect())
                }
            };
            let addresses: Vec<IpAddr> = addresses.unwrap_or_default();
            if addresses.contains(&self.ip) {
                verified.push(name.to_owned());
            }
        }
        Ok(verified)
    }

    /// The addresses of a name in the sender's family; a name that is none has none.
    async fn addresses(&mut self, name: &str, counts: bool) -> Result<Vec<IpAddr>, Stop> {
        if !is_name(name) {
            return Ok(Vec::new());
        }
        let found: Vec<IpAddr> = match self.ip {
            IpAddr::V4(_) => self.resolver.a(name).await?.into_iter().map(IpAddr::V4).collect(),
            IpAddr::V6(_) => self.resolver.aaaa(name).await?.into_iter().map(IpAddr::V6).collect(),
        };
        self.void(counts && found.is_empty())?;
        Ok(found)
    }

    const fn bits(&self, v4: u8, v6: u8) -> u8 {
        if self.ip.is_ipv4() { v4 } else { v6 }
    }

    fn count(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > LOOKUPS {
            return Err(Stop::Permanent(format!("more than {LOOKUPS} terms look something up")));
        }
        Ok(())
    }

    fn void(&mut self, found_nothing: bool) -> Result<(), Stop> {
        self.voids += usize::from(found_nothing && !self.decided);
        if self.voids > VOIDS {
            return Err(Stop::Permanent(format!("more than {VOIDS} lookups find nothing")));
        }
        Ok(())
    }

    /// The name of a term; without one the domain itself.
    async fn name(&mut self, domain: &str, name: Option<&MacroString>) -> Result<String, Stop> {
        let Some(name) = name else { return Ok(domain.to_owned()) };
        let expanded = self.expanded(domain, name).await?;
        Ok(shortened(&expanded).to_owned())
    }

    async fn expanded(&mut self, domain: &str, string: &MacroString) -> Result<String, Stop> {
        let verified = if needs_name(string) { self.verified_name(domain).await? } else { String::new() };
        let values = Values {
            local: &self.local,
            sender_domain: &self.sender_domain,
            domain,
            helo: without_dot(self.sender.helo),
            ip: self.ip,
            verified: &verified,
            receiver: self.sender.receiver,
            time: self.sender.time,
        };
        Ok(expand(string, &values))
    }

    /// The domain itself, else a name below it, else any (section 7.3).
    async fn verified_name(&mut self, domain: &str) -> Result<String, Stop> {
        let names = self.verified_names().await?;
        let own = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
        let below = || names.iter().find(|name| is_within(name, domain));
        let best = own.or_else(below).or_else(|| names.first());
        Ok(best.cloned().unwrap_or_else(|| "unknown".to_owned()))
    }

    /// What the domain says of a refusal; none if that cannot be found out.
    pub async fn explanation(&mut self, explains: Option<&(Target, String)>) -> Option<String> {
        let (target, domain) = explains?;
        self.decided = true;
        let name = self.name(domain, Some(&target.name)).await.ok()?;
        if !is_name(&name) {
            return None;
        }
        let texts = self.resolver.txt(&name).await.ok()?;
        let [text] = texts.as_slice() else { return None };
        let text =
            std::str::from_utf8(text).ok().filter(|text| text.is_ascii() && text.len() <= EXPLANATION)?;
        let string = MacroString::parse(text, 0).ok()?;
        self.expanded(domain, &string).await.ok()
    }
}
