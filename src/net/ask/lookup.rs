//! A question to the resolvers of a config: the whole answer of the first that has one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::ProtocolConfig;
use tokio::time::Instant;
use url::Url;

use super::{Asked, Reply, Transport};
use crate::formats::dns::{Name, Query, Rcode, RecordType};
use crate::model::{Phase, Timings};
use crate::net::dial::share;
use crate::net::dns::{Pool, Upstream, own, shares};
use crate::net::error::Fault;
use crate::net::http::deadline_in;
use crate::net::{FailReason, Net, Origin, TransportError};

/// What came of asking all resolvers, where none was of use.
struct Failed {
    /// The first answer, though it says only that the resolver failed.
    reply: Option<Reply>,
    fault: Fault,
}

impl Net {
    /// Looks a name up by the resolvers, as written in a config (none means `system`), with the
    /// records of DNSSEC and the resolver's own opinion of them (AD). They are asked in turn until one
    /// answers with anything but `SERVFAIL` and `REFUSED`; where all that answer do so, that is the
    /// answer. `NetOptions::hosts` and `/etc/hosts` are not looked at. Takes no permit.
    ///
    /// # Errors
    /// [`FailReason::OwnResolver`] if the resolvers fail or are silent and fail their control query
    /// too; [`FailReason::Unresolvable`] if they are silent about this question alone.
    pub async fn lookup(
        &self,
        name: &Name,
        kind: RecordType,
        resolvers: &[String],
        timeout: Duration,
    ) -> Result<Reply, TransportError> {
        self.lookup_with(&Query::to_resolver(name.clone(), kind), resolvers, timeout).await
    }

    /// The same for a question of the caller's making, as with CD to see what does not validate.
    pub async fn lookup_with(
        &self,
        query: &Query,
        resolvers: &[String],
        timeout: Duration,
    ) -> Result<Reply, TransportError> {
        let started = Instant::now();
        let found = self.look_up(query, resolvers, deadline_in(timeout)).await;
        found.map_err(|fault| {
            let mut timings = Timings::default();
            timings.add(Phase::Dns, started.elapsed());
            fault.into_error(timings)
        })
    }

    async fn look_up(&self, query: &Query, specs: &[String], deadline: Instant) -> Result<Reply, Fault> {
        let pool = self.dns.pool(specs, deadline).await?;
        let pool = pool.get().ok_or_else(|| own("the resolver is not built"))?;
        let began = Instant::now();
        let (asked_for, control_limit) = shares(deadline.saturating_duration_since(began));
        let failed = match self.in_turn(pool, query, began + asked_for).await {
            Ok(reply) => return Ok(reply),
            Err(failed) => failed,
        };
        if failed.fault.reason == FailReason::Exhausted {
            return Err(failed.fault);
        }
        if let Err(why) = pool.control(began, control_limit).await {
            let why = format!("{}; its control query (`. NS`) fails too: {why}", failed.fault.detail);
            return Err(own(why));
        }
        // The resolver may have come back between the two.
        let again = self.in_turn(pool, query, deadline.min(Instant::now() + asked_for)).await;
        again.or_else(|again| again.reply.or(failed.reply).ok_or(again.fault))
    }

    /// Each resolver with its share of the time.
    async fn in_turn(&self, pool: &Pool, query: &Query, deadline: Instant) -> Result<Reply, Failed> {
        let mut failed = Failed { reply: None, fault: own("no resolver is configured") };
        let upstreams = pool.upstreams();
        let count = upstreams.len();
        for (turn, (index, upstream)) in upstreams.enumerate() {
            let until = share(count - turn, deadline);
            match self.ask_upstream(upstream, query, until).await {
                Ok(reply) if is_of_use(&reply) => {
                    pool.prefer(index);
                    return Ok(reply);
                }
                Ok(reply) => {
                    failed.fault = silent(format!("{}: {}", reply.server, reply.message.rcode));
                    failed.reply.get_or_insert(reply);
                }
                Err(error) if error.reason == FailReason::Exhausted => {
                    failed.fault = Fault::new(Phase::Dns, error.reason).with_detail(error.detail);
                }
                Err(error) => failed.fault = silent(error.to_string()),
            }
        }
        Err(failed)
    }

    async fn ask_upstream(
        &self,
        upstream: &Upstream,
        query: &Query,
        until: Instant,
    ) -> Result<Reply, TransportError> {
        let asked = Asked {
            host: upstream.address.ip().to_string(),
            server: upstream.address,
            transport: transport(upstream)?,
            origin: Origin::Operator,
            query: query.clone(),
            timeout: until.saturating_duration_since(Instant::now()),
        };
        self.ask_unlimited(&asked, until).await
    }
}

fn is_of_use(reply: &Reply) -> bool {
    !matches!(reply.message.rcode, Rcode::SERVFAIL | Rcode::REFUSED)
}

fn silent(why: String) -> Fault {
    Fault::new(Phase::Dns, FailReason::Unresolvable).with_detail(format!("the resolver's answer: {why}"))
}

fn transport(upstream: &Upstream) -> Result<Transport, TransportError> {
    Ok(match &upstream.protocol {
        ProtocolConfig::Udp => Transport::UdpThenTcp,
        ProtocolConfig::Tcp => Transport::Tcp,
        ProtocolConfig::Tls { server_name } => {
            Transport::Tls { name: server_name.to_string(), tls: Arc::default() }
        }
        ProtocolConfig::Https { server_name, path } => {
            Transport::Https { url: url_of(server_name, upstream.address.port(), path)?, tls: Arc::default() }
        }
    })
}

fn url_of(host: &str, port: u16, path: &str) -> Result<Url, TransportError> {
    let host = if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let url = Url::parse(&format!("https://{host}:{port}{path}"));
    url.map_err(|error| own(format!("the resolver's URL: {error}")).into_error(Timings::default()))
}
