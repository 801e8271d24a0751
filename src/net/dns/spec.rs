//! Resolvers as a config writes them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig};

use super::super::error::tidy;

/// One resolver as written in a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spec {
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
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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

pub(super) fn plain(address: SocketAddr) -> NameServerConfig {
    with_port(address, vec![ConnectionConfig::udp(), ConnectionConfig::tcp()])
}

pub(super) fn over_tls(address: SocketAddr, name: Arc<str>) -> NameServerConfig {
    with_port(address, vec![ConnectionConfig::tls(name)])
}

pub(super) fn over_https(ip: IpAddr, port: u16, host: &url::Host, path: &Arc<str>) -> NameServerConfig {
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
