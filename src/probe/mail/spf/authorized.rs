//! Which addresses a record and what it includes allow to send, put together: what changes when a
//! service behind an include changes its own.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::names::{is_name, without_dot};
use super::{Resolver, Temporary};
use crate::formats::spf::{DualCidr, MacroString, Mechanism, Part, Qualifier, Record, is_spf};

/// So many domains are looked at; a record that receivers can use needs eleven at most.
const DOMAINS: usize = 20;
/// So many mail exchanges of a name are looked at (RFC 7208 section 4.6.4).
const EXCHANGES: usize = 10;

/// Who may send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorized {
    /// Networks that pass.
    pub networks: BTreeSet<IpNet>,
    /// Terms whose hosts depend on who sends, as written: `exists:%{i}.list.example`.
    pub dynamic: BTreeSet<String>,
    /// Everybody may (`+all`).
    pub everybody: bool,
}

impl Authorized {
    /// As values that are compared over time.
    pub fn lines(&self) -> Vec<String> {
        let networks = IpNet::aggregate(&self.networks.iter().copied().collect::<Vec<_>>());
        let all = self.everybody.then(|| "all".to_owned());
        let mut lines: Vec<String> = networks.iter().map(ToString::to_string).collect();
        lines.extend(self.dynamic.iter().cloned());
        lines.extend(all);
        lines.sort_unstable();
        lines
    }

    /// How many IPv4 addresses may send.
    pub fn v4_addresses(&self) -> u64 {
        let networks = IpNet::aggregate(&self.networks.iter().copied().collect::<Vec<_>>());
        let size = |network: &IpNet| match network {
            IpNet::V4(network) => 1_u64 << (32 - u32::from(network.prefix_len())),
            IpNet::V6(_) => 0,
        };
        networks.iter().map(size).sum()
    }
}

/// Everything that the record of a domain and what it leads to allow. A domain without a record that
/// can be read allows nothing.
///
/// # Errors
/// A question was not answered: what is allowed is not known.
pub async fn authorized(resolver: &dyn Resolver, domain: &str) -> Result<Authorized, Temporary> {
    let mut walk = Walk { resolver, found: Authorized::default(), seen: BTreeSet::new() };
    walk.domain(domain).await?;
    Ok(walk.found)
}

struct Walk<'a> {
    resolver: &'a dyn Resolver,
    found: Authorized,
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    fn domain<'w>(&'w mut self, domain: &'w str) -> BoxFuture<'w, Result<(), Temporary>> {
        async move {
            let known = !self.seen.insert(domain.to_ascii_lowercase());
            if known || self.seen.len() > DOMAINS || !is_name(domain) {
                return Ok(());
            }
            let texts = self.resolver.txt(domain).await?;
            let mut records = texts.iter().filter(|text| is_spf(text));
            let (Some(record), None) = (records.next(), records.next()) else { return Ok(()) };
            let Ok(record) = Record::parse(record) else { return Ok(()) };
            for directive in &record.directives {
                if directive.mechanism == Mechanism::All {
                    self.found.everybody |= directive.qualifier == Qualifier::Pass;
                    return Ok(());
                }
                if directive.qualifier == Qualifier::Pass {
                    self.mechanism(domain, &directive.mechanism, &directive.text).await?;
                }
            }
            match record.redirect.as_ref().map(|target| fixed(&target.name)) {
                Some(Some(name)) => self.domain(&name).await,
                Some(None) => {
                    self.found.dynamic.insert("redirect".to_owned());
                    Ok(())
                }
                None => Ok(()),
            }
        }
        .boxed()
    }

    async fn mechanism(&mut self, domain: &str, mechanism: &Mechanism, text: &str) -> Result<(), Temporary> {
        let named = |name: &Option<MacroString>| match name {
            None => Some(domain.to_owned()),
            Some(name) => fixed(name),
        };
        match mechanism {
            Mechanism::Ip4 { address, bits } => self.network((*address).into(), *bits),
            Mechanism::Ip6 { address, bits } => self.network((*address).into(), *bits),
            Mechanism::A { name, cidr } => match named(name) {
                Some(name) => self.addresses(&name, *cidr).await?,
                None => self.dynamic(text),
            },
            Mechanism::Mx { name, cidr } => match named(name) {
                Some(name) => {
                    let exchanges = self.resolver.mx(&name).await?;
                    for exchange in exchanges.iter().take(EXCHANGES) {
                        self.addresses(without_dot(exchange), *cidr).await?;
                    }
                }
                None => self.dynamic(text),
            },
            Mechanism::Include(name) => match fixed(name) {
                Some(name) => self.domain(&name).await?,
                None => self.dynamic(text),
            },
            Mechanism::Ptr(_) | Mechanism::Exists(_) => self.dynamic(text),
            Mechanism::All => {}
        }
        Ok(())
    }

    async fn addresses(&mut self, name: &str, cidr: DualCidr) -> Result<(), Temporary> {
        if !is_name(name) {
            return Ok(());
        }
        for address in self.resolver.a(name).await? {
            self.network(address.into(), cidr.v4);
        }
        for address in self.resolver.aaaa(name).await? {
            self.network(address.into(), cidr.v6);
        }
        Ok(())
    }

    fn network(&mut self, address: std::net::IpAddr, bits: u8) {
        self.found.networks.extend(IpNet::new(address, bits).map(|network| network.trunc()));
    }

    fn dynamic(&mut self, text: &str) {
        self.found.dynamic.insert(text.to_owned());
    }
}

/// A name without macros.
fn fixed(name: &MacroString) -> Option<String> {
    let part = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        Part::Macro(_) => None,
    };
    let name: Option<String> = name.0.iter().map(part).collect();
    name.map(|name| without_dot(&name).to_owned())
}
