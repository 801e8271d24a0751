//! The servers of one list: asked one after the other, and their control query.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::select_ok;
use hickory_resolver::config::{
    NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::dial::share;
use super::super::error::{Fault, from_kind, tidy};
use super::super::{FailReason, Family, TlsOptions, tls};
use crate::model::Phase;

/// How long one server may take for one attempt.
const ONE_ATTEMPT: Duration = Duration::from_millis(1500);
/// How long the answer of a control query stands, so that many failures cost one.
const CONTROL_LIFETIME: Duration = Duration::from_secs(1);
/// How much longer the second family may take once the first has addresses.
const SECOND_FAMILY: Duration = Duration::from_secs(1);

/// Asks the servers of one list.
pub(in super::super) struct Pool {
    /// One per server, never empty: hickory takes a failure of the first for the answer of all.
    resolvers: Vec<TokioResolver>,
    /// The same servers, for those who ask them by themselves; empty if none is configured.
    upstreams: Vec<Upstream>,
    /// The one that answered last is asked first.
    good: AtomicUsize,
    /// `/etc/hosts`, where the system's resolver is asked.
    hosts: Option<Hosts>,
    /// Names are taken as complete; with the system's settings its search list applies.
    absolute: bool,
    control: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

/// A server and how it is spoken to.
pub(in super::super) struct Upstream {
    pub(in super::super) address: SocketAddr,
    pub(in super::super) protocol: ProtocolConfig,
}

/// The first of its protocols: with UDP, TCP is understood.
fn upstream(server: &NameServerConfig) -> Option<Upstream> {
    let connection = server.connections.first()?;
    Some(Upstream {
        address: SocketAddr::new(server.ip, connection.port),
        protocol: connection.protocol.clone(),
    })
}

pub(super) fn of_family(ip: IpAddr, family: Family) -> bool {
    match family {
        Family::Any => true,
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
    }
}

/// Why a name has no addresses, and whether the resolver said so itself.
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) answered: bool,
}

impl Pool {
    pub(super) fn build(servers: Vec<NameServerConfig>, system: bool) -> Result<Self, NetError> {
        let (config, mut options) = if system { system_conf() } else { no_conf() };
        tune(&mut options);
        let (domain, search, mut all) = config.into_parts();
        all.extend(servers);
        let tls = tls::TlsCache::default().config(&TlsOptions::default(), tls::Alpn::None).ok();
        let build = |servers: Vec<NameServerConfig>| {
            let config = ResolverConfig::from_parts(domain.clone(), search.clone(), servers);
            let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options.clone());
            if let Some(tls) = &tls {
                builder = builder.with_tls_config(ClientConfig::clone(tls));
            }
            builder.build()
        };
        let upstreams = all.iter().filter_map(upstream).collect();
        let mut resolvers =
            all.into_iter().map(|server| build(vec![server])).collect::<Result<Vec<_>, _>>()?;
        if resolvers.is_empty() {
            resolvers.push(build(Vec::new())?);
        }
        Ok(Self {
            resolvers,
            upstreams,
            good: AtomicUsize::new(0),
            hosts: system.then(|| Hosts::from_system().unwrap_or_default()),
            absolute: !system,
            control: tokio::sync::Mutex::default(),
        })
    }

    pub(super) async fn addresses(
        &self,
        name: &str,
        family: Family,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, Failure> {
        let name = match Name::from_utf8(name) {
            Ok(mut name) => {
                if self.absolute {
                    name.set_fqdn(true);
                }
                name
            }
            Err(error) => {
                let fault =
                    Fault::new(Phase::Dns, FailReason::Unresolvable).with_detail(tidy(&error.to_string()));
                return Err(Failure { fault, answered: true });
            }
        };
        if let Some(fixed) = self.hosts.as_ref().and_then(|hosts| from_hosts(hosts, &name)) {
            return Ok(fixed.into_iter().filter(|ip| of_family(*ip, family)).collect());
        }
        let v4 = self.ask(&name, RecordType::A, deadline);
        let v6 = self.ask(&name, RecordType::AAAA, deadline);
        match family {
            Family::V4 => v4.await,
            Family::V6 => v6.await,
            Family::Any => both(v4, v6).await,
        }
    }

    /// Asks one server after the other until one answers, each with its share of the time.
    async fn ask(&self, name: &Name, kind: RecordType, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
        let count = self.resolvers.len();
        let mut last = no_address(kind);
        for (turn, (index, resolver)) in self.in_turn(&self.resolvers).enumerate() {
            match ask_one(resolver, name, kind, share(count - turn, deadline)).await {
                Err(failure) if !failure.answered => last = failure,
                answer => {
                    self.prefer(index);
                    return answer;
                }
            }
        }
        Err(last)
    }

    /// The servers, each with its index, the one that answered last first.
    pub(in super::super) fn upstreams(&self) -> impl ExactSizeIterator<Item = (usize, &Upstream)> {
        self.in_turn(&self.upstreams)
    }

    /// Lets the server of that index be asked first.
    pub(in super::super) fn prefer(&self, index: usize) {
        self.good.store(index, Ordering::Relaxed);
    }

    fn in_turn<'a, T>(&self, all: &'a [T]) -> impl ExactSizeIterator<Item = (usize, &'a T)> + use<'a, T> {
        let count = all.len();
        let first = self.good.load(Ordering::Relaxed);
        let indices = (0..count).map(move |turn| (first + turn) % count);
        let turns: Vec<_> = indices.filter_map(|index| Some((index, all.get(index)?))).collect();
        turns.into_iter()
    }

    /// Asks for the name servers of the root, on behalf of a query that failed and that began at
    /// `since`. One caller asks, the others get its answer; an answer of before that query says
    /// nothing of a resolver that died since.
    pub(in super::super) async fn control(&self, since: Instant, limit: Duration) -> Result<(), String> {
        timeout(limit, self.ask_control(since, limit)).await.unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    async fn ask_control(&self, since: Instant, limit: Duration) -> Result<(), String> {
        let mut last = self.control.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < CONTROL_LIFETIME
            && (answer.is_err() || *at >= since)
        {
            return answer.clone();
        }
        let all = self.resolvers.iter().map(|resolver| Box::pin(control_one(resolver)));
        let answer = match timeout(limit, select_ok(all)).await {
            Err(_) => Err("no answer".to_owned()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(words(&error)),
        };
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

fn from_hosts(hosts: &Hosts, name: &Name) -> Option<Vec<IpAddr>> {
    let lookups = [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)));
    let found: Vec<IpAddr> = lookups.flat_map(|lookup| addresses_in(&lookup)).collect();
    (!found.is_empty()).then_some(found)
}

fn addresses_in(lookup: &Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

async fn ask_one(
    resolver: &TokioResolver,
    name: &Name,
    kind: RecordType,
    deadline: Instant,
) -> Result<Vec<IpAddr>, Failure> {
    let answer = timeout_at(deadline, resolver.lookup(name.clone(), kind)).await;
    match answer.unwrap_or(Err(NetError::Timeout)) {
        Ok(lookup) => {
            let found = addresses_in(&lookup);
            if found.is_empty() { Err(no_address(kind)) } else { Ok(found) }
        }
        Err(error) => Err(failure(&error, kind)),
    }
}

async fn control_one(resolver: &TokioResolver) -> Result<(), NetError> {
    match resolver.lookup(Name::root(), RecordType::NS).await {
        Err(error) if !is_negative(&error) => Err(error),
        _ => Ok(()),
    }
}

/// The system's settings; without any, no server and thus only `/etc/hosts`.
fn system_conf() -> (ResolverConfig, ResolverOpts) {
    hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|_| no_conf())
}

fn no_conf() -> (ResolverConfig, ResolverOpts) {
    (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default())
}

fn tune(options: &mut ResolverOpts) {
    options.cache_size = 0;
    // With more than one at a time every truncated answer is lost (hickory-dns#3963).
    options.num_concurrent_reqs = 1;
    options.timeout = ONE_ATTEMPT;
    options.attempts = 2;
    options.edns0 = true;
    // A name in the file is answered by the file alone; hickory would ask for the other family.
    options.use_hosts_file = ResolveHosts::Never;
}

/// Both families at once, IPv4 first in the result.
async fn both<A, B>(v4: A, v6: B) -> Result<Vec<IpAddr>, Failure>
where
    A: Future<Output = Result<Vec<IpAddr>, Failure>>,
    B: Future<Output = Result<Vec<IpAddr>, Failure>>,
{
    tokio::pin!(v4, v6);
    let (v4, v6) = tokio::select! {
        first = &mut v4 => {
            let second = second_of(first.is_ok(), v6).await;
            (Some(first), second)
        }
        first = &mut v6 => {
            let second = second_of(first.is_ok(), v4).await;
            (second, Some(first))
        }
    };
    let mut found = Vec::new();
    let mut worst: Option<Failure> = None;
    for answer in [v4, v6].into_iter().flatten() {
        match answer {
            Ok(addresses) => found.extend(addresses),
            // A resolver that failed for one family may have hidden an address.
            Err(failure) if worst.as_ref().is_none_or(|kept| kept.answered) => worst = Some(failure),
            Err(_) => {}
        }
    }
    match worst {
        Some(failure) if found.is_empty() => Err(failure),
        _ => Ok(found),
    }
}

async fn second_of<F: Future>(found: bool, second: F) -> Option<F::Output> {
    if found { timeout(SECOND_FAMILY, second).await.ok() } else { Some(second.await) }
}

fn is_negative(error: &NetError) -> bool {
    matches!(error, NetError::Dns(DnsError::NoRecordsFound(_)))
}

fn no_address(kind: RecordType) -> Failure {
    let fault = Fault::new(Phase::Dns, FailReason::Unresolvable)
        .with_detail(format!("the name has no {kind} record"));
    Failure { fault, answered: true }
}

fn failure(error: &NetError, kind: RecordType) -> Failure {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let nodata = none.response_code == ResponseCode::NoError;
            if nodata {
                return no_address(kind);
            }
            let fault = Fault::new(Phase::Dns, FailReason::Unresolvable).with_detail(words(error));
            Failure { fault, answered: true }
        }
        NetError::Io(io) if from_kind(io) == FailReason::Exhausted => {
            let fault = Fault::new(Phase::Dns, FailReason::Exhausted).with_detail(io.to_string());
            Failure { fault, answered: false }
        }
        _ => {
            let fault = Fault::new(Phase::Dns, FailReason::Unresolvable)
                .with_detail(format!("the resolver's answer: {}", words(error)));
            Failure { fault, answered: false }
        }
    }
}

fn words(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code.to_string(),
        NetError::Dns(DnsError::ResponseCode(code)) => code.to_string(),
        NetError::Timeout => "no answer in time".into(),
        other => tidy(&other.to_string()),
    }
}
