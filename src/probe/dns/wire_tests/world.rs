//! Several name servers on loopback, and runs of the kind against them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};

use crate::formats::dns::RecordType;
use crate::model::{CheckId, Finding, Masker};
pub use crate::net::fakes::names::{
    Answers, Entry, Query, Say, a, from_zone, look_up, mx, name, resolves, silent, soa, to, txt,
};
use crate::net::fakes::names::{over_tcp, over_udp};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::probe::dns::facts::Authority;
use crate::probe::dns::{Dns, Facts, Memory, Spec};
use crate::probe::{Ctx, Kind as _, Observed, Past, PortalScope, Scope, Unmeasured};

pub const ZONE: &str = "acme.example.";
/// What is found about reaching servers; the tests here are about nothing else.
const REACH: &[&str] = &[
    "dns.authority_unreachable",
    "dns.tcp_fails",
    "dns.no_authority_answers",
    "dns.lame",
    "dns.no_delegation",
    "dns.parent_unreachable",
    "dns.resolver_unmeasured",
    "dns.not_asked",
    "dns.no_route",
    "dns.addresses_left_out",
    "dns.undecodable",
];

/// A parent that refers to these servers, with their addresses.
pub fn refers(zone: &'static str, servers: &[(&'static str, Option<IpAddr>)]) -> Answers {
    let servers = servers.to_vec();
    Arc::new(move |query| {
        let say = if !query.name.is_within(&name(zone)) {
            Say { authorities: vec![soa(".", 1)], rcode: 3, ..Say::default() }
        } else if query.kind == RecordType::DS && query.name == name(zone) {
            Say { authorities: vec![soa("example.", 1)], ..Say::default() }
        } else {
            Say {
                no_authority: true,
                authorities: servers.iter().map(|(server, _)| to(zone, RecordType::NS, server)).collect(),
                additionals: servers
                    .iter()
                    .filter_map(|(server, ip)| Some(a(server, &(*ip)?.to_string())))
                    .collect(),
                ..Say::default()
            }
        };
        vec![say.bytes(query)]
    })
}

/// Over which transports a server can be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Both,
    Udp,
    Tcp,
}

/// Servers on 127.0.0.1 and up, all on one port.
pub struct World {
    pub port: u16,
}

impl World {
    /// One server for each of these, the first on 127.0.0.1.
    pub async fn of(servers: Vec<(Reach, Answers)>) -> Self {
        let count = u8::try_from(servers.len()).unwrap();
        for _ in 0..50 {
            if let Some(sockets) = bind(count).await {
                let port = sockets[0].0.local_addr().unwrap().port();
                for ((udp, tcp), (reach, answers)) in sockets.into_iter().zip(servers) {
                    if reach != Reach::Tcp {
                        tokio::spawn(over_udp(udp, Arc::clone(&answers)));
                    }
                    if reach != Reach::Udp {
                        tokio::spawn(over_tcp(tcp, answers));
                    }
                }
                return Self { port };
            }
        }
        panic!("no port is free on all addresses");
    }

    pub fn at(&self, host: u8) -> SocketAddr {
        SocketAddr::new(ip(host), self.port)
    }

    /// The settings: the parent at the first server.
    pub fn spec(&self, more: Value) -> Spec {
        let mut settings = json!({ "zone": ZONE, "parent": [self.at(1)], "port": self.port });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(settings).unwrap()
    }

    pub async fn look(&self, spec: &Spec, resolver: SocketAddr) -> Result<Observed<Facts>, Unmeasured> {
        self.look_as(spec, resolver, true, Duration::from_secs(60)).await
    }

    pub async fn look_as(
        &self,
        spec: &Spec,
        resolver: SocketAddr,
        private: bool,
        deadline: Duration,
    ) -> Result<Observed<Facts>, Unmeasured> {
        let net = Net::new(NetOptions {
            per_host: 10,
            global: 50,
            user_agent: "portalwatch/test".into(),
            hosts: BTreeMap::new(),
        });
        let scope = Scope {
            check: CheckId::new("acme", "dns"),
            portal: Arc::new(PortalScope { private, ..PortalScope::default() }),
            timeout: Duration::from_millis(900),
            deadline,
            resolvers: Arc::new([resolver.to_string()]),
            tls: Arc::new(TlsOptions::default()),
            identity: None,
            triggered: None,
        };
        let ctx = Ctx {
            scope: &scope,
            net: &net,
            masker: &Masker::default(),
            at: Timestamp::UNIX_EPOCH,
            everything: false,
            ledger: None,
            baselines: None,
            writes: false,
        };
        Dns::observe(spec, &ctx, &Past::of(Memory::default())).await
    }
}

pub fn ip(host: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, host).into()
}

async fn bind(count: u8) -> Option<Vec<(UdpSocket, TcpListener)>> {
    let mut sockets = Vec::new();
    let mut port = 0;
    for host in 1..=count {
        let udp = UdpSocket::bind((ip(host), port)).await.ok()?;
        port = udp.local_addr().ok()?.port();
        sockets.push((udp, TcpListener::bind((ip(host), port)).await.ok()?));
    }
    Some(sockets)
}

/// What the kind makes of the facts; they survive being kept.
pub fn judge(spec: &Spec, facts: &Facts) -> Vec<Finding> {
    let kept: Facts = serde_json::from_str(&serde_json::to_string(facts).unwrap()).unwrap();
    assert_eq!(kept, *facts);
    Dns::judge(spec, &kept, &Past::of(Memory::default()), Timestamp::UNIX_EPOCH).findings
}

/// Ids and subjects of what is found about reaching servers, sorted.
pub fn found(spec: &Spec, facts: &Facts) -> Vec<String> {
    let own = |finding: &Finding| REACH.contains(&finding.id.as_str());
    let mut found: Vec<String> = judge(spec, facts)
        .into_iter()
        .filter(own)
        .map(|finding| {
            let measured = if finding.measured { "" } else { " (not measured)" };
            format!("{} {}{measured}", finding.id, finding.subject)
        })
        .collect();
    found.sort();
    found
}

pub fn at(facts: &Facts, host: u8) -> &Authority {
    facts.authorities.iter().find(|authority| authority.server.address.ip() == ip(host)).unwrap()
}
