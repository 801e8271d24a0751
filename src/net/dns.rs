//! Names to addresses, by the resolvers a config names. No answer is cached, so that a check sees
//! what its users would see.
//!
//! Whose fault a failure is: a resolver that says "no such name" has answered, so the name is at
//! fault. A resolver that fails or says nothing is asked its control query, the name servers of the
//! root: if that fails too, it is our resolver; if not, the name's servers are at fault.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::select_ok;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout, timeout_at};

use super::dial::share;
use super::error::{Fault, from_kind, tidy};
use super::{FailReason, Family, Origin, TlsOptions, guard, tls};
use crate::model::Phase;

/// How long a system configuration is used before it is read again: networks change under a daemon.
const SYSTEM_LIFETIME: Duration = Duration::from_secs(30);
/// How long one server may take before the next is asked.
const ONE_ATTEMPT: Duration = Duration::from_millis(1500);
/// The longest a control query may take.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the answer of a control query stands, so that many failures cost one.
const CONTROL_LIFETIME: Duration = Duration::from_secs(1);
/// How much longer the second family may take once the first has addresses.
const SECOND_FAMILY: Duration = Duration::from_secs(1);

/// All resolvers of the process.
pub(super) struct Dns {
    fixed: HashMap<String, Vec<IpAddr>>,
    pools: Mutex<HashMap<Box<[String]>, Slot>>,
}

/// Resolvers by one list of servers, built at first use.
#[derive(Clone)]
struct Slot {
    since: Instant,
    pool: Arc<OnceCell<Pool>>,
}

struct Pool {
    /// One per server, never empty: hickory takes a failure of the first for the answer of all.
    resolvers: Vec<TokioResolver>,
    /// The one that answered last is asked first.
    good: AtomicUsize,
    /// `/etc/hosts`, where the system's resolver is asked.
    hosts: Option<Hosts>,
    /// Names are taken as complete; with the system's settings its search list applies.
    absolute: bool,
    control: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

/// One resolver as written in a config.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spec {
    System,
    Plain(SocketAddr),
    Tls { address: SocketAddr, name: Arc<str> },
    Https { host: url::Host, port: u16, path: Arc<str> },
}

/// Whether `spec` is a resolver: `system`, `IP:PORT`, `tls://IP:PORT#name`,
/// `https://IP-or-name/dns-query`. `Err` says what is wrong and what would be right.
pub fn check_resolver(spec: &str) -> Result<(), String> {
    Spec::parse(spec).map(drop)
}

impl Spec {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is no resolver; write `system`, `IP:PORT`, `tls://IP:PORT#name` or \
                 `https://IP-or-name/dns-query`",
                tidy(text)
            )
        };
        if text == "system" {
            return Ok(Self::System);
        }
        if let Some(rest) = text.strip_prefix("tls://") {
            let (place, name) =
                rest.split_once('#').map_or((rest, None), |(place, name)| (place, Some(name)));
            let address = socket_address(place, 853).ok_or_else(wrong)?;
            let name = name.map_or_else(|| address.ip().to_string(), str::to_owned);
            return Ok(Self::Tls { address, name: name.into() });
        }
        if text.starts_with("https://") {
            let url = url::Url::parse(text).map_err(|_| wrong())?;
            let host = url.host().ok_or_else(wrong)?.to_owned();
            let path = if url.path() == "/" { "/dns-query" } else { url.path() };
            return Ok(Self::Https { host, port: url.port().unwrap_or(443), path: path.into() });
        }
        socket_address(text, 53).map(Self::Plain).ok_or_else(wrong)
    }
}

fn socket_address(text: &str, default_port: u16) -> Option<SocketAddr> {
    let address = text.parse().ok();
    address.or_else(|| text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, default_port)))
}

impl Dns {
    /// `fixed` names are answered from the map alone, as by `/etc/hosts`.
    pub(super) fn new(fixed: &BTreeMap<String, Vec<IpAddr>>) -> Self {
        let fixed = fixed.iter().map(|(name, to)| (name.to_ascii_lowercase(), to.clone())).collect();
        Self { fixed, pools: Mutex::default() }
    }

    /// The addresses of a name, IPv4 before IPv6 as asked.
    pub(super) async fn resolve(
        &self,
        name: &str,
        specs: &[String],
        family: Family,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, Fault> {
        let bare = name.strip_suffix('.').unwrap_or(name);
        if let Some(fixed) = self.fixed.get(&bare.to_ascii_lowercase()) {
            let wanted = fixed.iter().copied().filter(|ip| of_family(*ip, family));
            return Ok(wanted.collect());
        }
        let pool = self.pool(specs, deadline).await?;
        let pool = pool.get().ok_or_else(|| own("the resolver is not built"))?;
        let mut failure = match pool.addresses(name, family, deadline).await {
            Ok(addresses) => return Ok(addresses),
            Err(failure) => failure,
        };
        if !failure.answered && failure.fault.reason != FailReason::Exhausted {
            let left = deadline.saturating_duration_since(Instant::now());
            // The time of the exchange may be used up; the question whose fault that is has its own.
            let limit = left.max(Duration::from_millis(500)).min(CONTROL_TIMEOUT);
            if let Err(why) = pool.control(limit).await {
                failure.fault.reason = FailReason::OwnResolver;
                failure.fault.detail =
                    format!("{}; its control query (`. NS`) fails too: {why}", failure.fault.detail);
            }
        }
        Err(failure.fault)
    }

    async fn pool(&self, specs: &[String], deadline: Instant) -> Result<Arc<OnceCell<Pool>>, Fault> {
        let slot = self.slot(specs);
        let built = timeout_at(deadline, slot.pool.get_or_try_init(|| self.build(specs, deadline))).await;
        match built {
            Err(_) => Err(own("the resolver's own name did not resolve in time")),
            Ok(Err(fault)) => Err(fault),
            Ok(Ok(_)) => Ok(slot.pool),
        }
    }

    fn slot(&self, specs: &[String]) -> Slot {
        let fresh = || Slot { since: Instant::now(), pool: Arc::default() };
        let mut pools = self.lock();
        match pools.get_mut(specs) {
            Some(slot) => {
                if changes_with_the_system(specs) && slot.since.elapsed() > SYSTEM_LIFETIME {
                    *slot = fresh();
                }
                slot.clone()
            }
            None => pools.entry(specs.into()).or_insert_with(fresh).clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<[String]>, Slot>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn build(&self, specs: &[String], deadline: Instant) -> Result<Pool, Fault> {
        let mut system = specs.is_empty();
        let mut servers = Vec::new();
        for spec in specs {
            match Spec::parse(spec).map_err(own)? {
                Spec::System => system = true,
                Spec::Plain(address) => servers.push(plain(address)),
                Spec::Tls { address, name } => servers.push(over_tls(address, name)),
                Spec::Https { host, port, path } => {
                    for ip in self.bootstrap(&host, deadline).await? {
                        servers.push(over_https(ip, port, &host, &path));
                    }
                }
            }
        }
        for server in &servers {
            guard::judge(server.ip, Origin::Operator).map_err(|refused| own(refused.to_string()))?;
        }
        Pool::build(servers, system).map_err(|error| own(format!("the resolver cannot be set up: {error}")))
    }

    /// The addresses of a resolver that is given by name, by the system's own resolvers.
    async fn bootstrap(&self, host: &url::Host, deadline: Instant) -> Result<Vec<IpAddr>, Fault> {
        match host {
            url::Host::Ipv4(ip) => Ok(vec![IpAddr::V4(*ip)]),
            url::Host::Ipv6(ip) => Ok(vec![IpAddr::V6(*ip)]),
            url::Host::Domain(name) => {
                if let Some(fixed) = self.fixed.get(name) {
                    return Ok(fixed.clone());
                }
                let system = Pool::build(Vec::new(), true).map_err(|error| own(error.to_string()))?;
                let found = system.addresses(name, Family::Any, deadline).await;
                found.map_err(|failure| {
                    own(format!("the resolver {name} does not resolve: {}", failure.fault.detail))
                })
            }
        }
    }
}

fn changes_with_the_system(specs: &[String]) -> bool {
    specs.is_empty() || specs.iter().any(|spec| spec == "system" || spec.starts_with("https://"))
}

fn own(why: impl Into<String>) -> Fault {
    Fault::new(Phase::Dns, FailReason::OwnResolver).with_detail(why)
}

fn plain(address: SocketAddr) -> NameServerConfig {
    with_port(address, vec![ConnectionConfig::udp(), ConnectionConfig::tcp()])
}

fn over_tls(address: SocketAddr, name: Arc<str>) -> NameServerConfig {
    with_port(address, vec![ConnectionConfig::tls(name)])
}

fn over_https(ip: IpAddr, port: u16, host: &url::Host, path: &Arc<str>) -> NameServerConfig {
    let name = match host {
        url::Host::Domain(name) => name.as_str().into(),
        url::Host::Ipv4(ip) => ip.to_string().into(),
        url::Host::Ipv6(ip) => ip.to_string().into(),
    };
    with_port(SocketAddr::new(ip, port), vec![ConnectionConfig::https(name, Some(Arc::clone(path)))])
}

fn with_port(address: SocketAddr, mut connections: Vec<ConnectionConfig>) -> NameServerConfig {
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

fn of_family(ip: IpAddr, family: Family) -> bool {
    match family {
        Family::Any => true,
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
    }
}

/// Why a name has no addresses, and whether the resolver said so itself.
struct Failure {
    fault: Fault,
    answered: bool,
}

impl Pool {
    fn build(servers: Vec<NameServerConfig>, system: bool) -> Result<Self, NetError> {
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
        let mut resolvers =
            all.into_iter().map(|server| build(vec![server])).collect::<Result<Vec<_>, _>>()?;
        if resolvers.is_empty() {
            resolvers.push(build(Vec::new())?);
        }
        Ok(Self {
            resolvers,
            good: AtomicUsize::new(0),
            hosts: system.then(|| Hosts::from_system().unwrap_or_default()),
            absolute: !system,
            control: tokio::sync::Mutex::default(),
        })
    }

    async fn addresses(&self, name: &str, family: Family, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
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
        let first = self.good.load(Ordering::Relaxed);
        let count = self.resolvers.len();
        let mut last = no_address(kind);
        let turns = self.resolvers.iter().enumerate().cycle().skip(first).take(count);
        for (turn, (index, resolver)) in turns.enumerate() {
            match ask_one(resolver, name, kind, share(count - turn, deadline)).await {
                Err(failure) if !failure.answered => last = failure,
                answer => {
                    self.good.store(index, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(last)
    }

    /// Asks for the name servers of the root. One caller asks, the others get its answer.
    async fn control(&self, limit: Duration) -> Result<(), String> {
        let mut last = self.control.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < CONTROL_LIFETIME
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

#[cfg(test)]
mod tests;
