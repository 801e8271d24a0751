//! Names to addresses, by the resolvers a config names. No answer is cached, so that a check sees
//! what its users would see.
//!
//! Whose fault a failure is: a resolver that says "no such name" has answered, so the name is at
//! fault. A resolver that fails or says nothing is asked its control query, the name servers of the
//! root: if that fails too, it is our resolver; if not, and the name fails once more, the name's
//! servers are at fault.

mod pool;
mod spec;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use self::pool::of_family;
pub(super) use self::pool::{Pool, Upstream};
pub use self::spec::check_resolver;
use self::spec::{Spec, over_https, over_tls, plain};
use super::error::Fault;
use super::{FailReason, Family, Origin, guard};
use crate::model::Phase;

/// How long a system configuration is used before it is read again: networks change under a daemon.
const SYSTEM_LIFETIME: Duration = Duration::from_secs(30);
/// The longest a control query may take.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(2);

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
        let began = Instant::now();
        let (asked_for, control_limit) = shares(deadline.saturating_duration_since(began));
        let mut failure = match pool.addresses(name, family, began + asked_for).await {
            Ok(addresses) => return Ok(addresses),
            Err(failure) => failure,
        };
        if failure.answered || failure.fault.reason == FailReason::Exhausted {
            return Err(failure.fault);
        }
        if let Err(why) = pool.control(began, control_limit).await {
            failure.fault.reason = FailReason::OwnResolver;
            failure.fault.detail =
                format!("{}; its control query (`. NS`) fails too: {why}", failure.fault.detail);
            return Err(failure.fault);
        }
        // The resolver may have come back between the two: only a name that fails now, too, is at fault.
        let again = pool.addresses(name, family, deadline.min(Instant::now() + asked_for)).await;
        again.map_err(|again| if again.answered { again.fault } else { failure.fault })
    }

    /// The resolvers of one list, built.
    pub(super) async fn pool(
        &self,
        specs: &[String],
        deadline: Instant,
    ) -> Result<Arc<OnceCell<Pool>>, Fault> {
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

/// How long a name may be asked for and how long the control query after it may take. Both end well
/// before the time does: a run that is cut off at its deadline cannot say whose fault it was.
pub(super) fn shares(left: Duration) -> (Duration, Duration) {
    let kept = (left / 3).min(CONTROL_TIMEOUT + CONTROL_TIMEOUT / 3);
    (left - kept, kept * 3 / 4)
}

fn changes_with_the_system(specs: &[String]) -> bool {
    specs.is_empty() || specs.iter().any(|spec| spec == "system" || spec.starts_with("https://"))
}

pub(super) fn own(why: impl Into<String>) -> Fault {
    Fault::new(Phase::Dns, FailReason::OwnResolver).with_detail(why)
}

#[cfg(test)]
mod tests;
