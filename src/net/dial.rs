//! TCP connections, one address after the other, and UDP sockets, each address judged by the guard at
//! the moment it is dialed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;

use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::error::{Fault, from_kind};
use super::{ConnectTo, FailReason, Family, Net, Origin, guard};
use crate::model::{Phase, Timings};

/// Where to connect to.
pub(super) enum Place<'a> {
    Address(SocketAddr),
    Name(&'a str, u16),
}

impl<'a> Place<'a> {
    /// The host of a URL, or what is to be connected to in its stead. Brackets are taken off.
    pub(super) fn of(host: &'a str, port: u16, instead: Option<&'a ConnectTo>) -> Self {
        let (host, port) = match instead {
            Some(ConnectTo::Address(address)) => return Self::Address(*address),
            Some(ConnectTo::Host(host, port)) => (host.as_str(), *port),
            None => (host, port),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(ip) => Self::Address(SocketAddr::new(ip, port)),
            Err(_) => Self::Name(bare, port),
        }
    }

    /// The address, if it is one.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.ip()),
            Self::Name(..) => None,
        }
    }

    /// `host:port`, an IPv6 address in brackets.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Name(name, port) => format!("{name}:{port}"),
        }
    }

    /// The name; empty for an address.
    pub(super) fn host(&self) -> &'a str {
        match self {
            Self::Address(_) => "",
            Self::Name(name, _) => name,
        }
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Name(_, port) => *port,
        }
    }
}

impl Net {
    /// Resolves and connects, and adds the times of both. An address is taken as it is: no
    /// resolver is asked and no family is chosen.
    pub(super) async fn dial(
        &self,
        place: &Place<'_>,
        origin: Origin,
        resolvers: &[String],
        family: Family,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<(TcpStream, SocketAddr), Fault> {
        match place {
            Place::Address(address) => {
                let started = Instant::now();
                let connected = connect_any(&[*address], origin, deadline).await;
                timings.add(Phase::Connect, started.elapsed());
                connected
            }
            Place::Name(name, port) => {
                let started = Instant::now();
                let found = self.dns.resolve(name, resolvers, family, deadline).await;
                timings.add(Phase::Dns, started.elapsed());
                let addresses: Vec<_> = found?.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect();
                let started = Instant::now();
                let connected = connect_any(&addresses, origin, deadline).await;
                timings.add(Phase::Connect, started.elapsed());
                connected
            }
        }
    }
}

/// Connects to the first address that lets us. Each address gets an equal share of the time left,
/// so that one that swallows packets does not hide the next. An address the guard refuses, or whose
/// family has no route here, is passed over while there are others.
pub(super) async fn connect_any(
    addresses: &[SocketAddr],
    origin: Origin,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut worst: Option<Fault> = None;
    for (index, address) in addresses.iter().enumerate() {
        let fault = match guarded(*address, origin) {
            Err(fault) => fault,
            Ok(()) => match connect_as(*address, origin, share(addresses.len() - index, deadline)).await {
                Ok(stream) => return Ok((stream, *address)),
                Err(fault) => fault,
            },
        };
        // What this host lacks, it lacks for every address.
        if fault.reason == FailReason::Exhausted {
            return Err(fault);
        }
        if worst.as_ref().is_none_or(|kept| weight(&kept.reason) <= weight(&fault.reason)) {
            worst = Some(fault);
        }
    }
    Err(worst.unwrap_or_else(|| {
        Fault::new(Phase::Dns, FailReason::Unresolvable).with_detail("no address to connect to")
    }))
}

fn guarded(address: SocketAddr, origin: Origin) -> Result<(), Fault> {
    guard::judge(address.ip(), origin).map_err(|refused| {
        Fault::new(Phase::Connect, FailReason::Guarded(refused.address()))
            .at(address)
            .with_detail(refused.to_string())
    })
}

/// A UDP socket on a port of the kernel's choice, at random, that sends to one address and takes
/// datagrams from no other.
#[expect(clippy::disallowed_methods, reason = "the one place that opens a UDP socket")]
pub(super) async fn datagrams(address: SocketAddr, origin: Origin) -> Result<UdpSocket, Fault> {
    guarded(address, origin)?;
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(|error| connect_fault(address, &error))?;
    spared(socket.as_raw_fd(), address, origin)?;
    socket.connect(address).await.map_err(|error| connect_fault(address, &error))?;
    Ok(socket)
}

/// Which failure tells most, when several addresses failed in different ways.
fn weight(reason: &FailReason) -> u8 {
    match reason {
        FailReason::NoRoute => 0,
        FailReason::Guarded(_) => 1,
        _ => 2,
    }
}

/// When the next of some equal attempts has to be over.
pub(super) fn share(attempts_left: usize, deadline: Instant) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    let count = u32::try_from(attempts_left).unwrap_or(u32::MAX).max(1);
    now + left / count
}

/// Descriptors that probes leave to the rest: with none left, the store could not be read, the
/// pages not be asked, and nobody be told why.
const RESERVE: u64 = 32;

/// Whether a descriptor is one of the last. The kernel gives the lowest number that is free, so a
/// high one says that the lower ones are taken.
fn is_reserved(descriptor: i32) -> bool {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return false };
    let reserve = RESERVE.min(limit / 4);
    u64::try_from(descriptor).is_ok_and(|descriptor| descriptor >= limit - reserve)
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

/// One connection attempt on behalf of `origin`; judges nothing.
async fn connect_as(address: SocketAddr, origin: Origin, deadline: Instant) -> Result<TcpStream, Fault> {
    let socket = socket(address).map_err(|error| connect_fault(address, &error))?;
    spared(socket.as_raw_fd(), address, origin)?;
    finish(socket, address, deadline).await
}

fn spared(descriptor: i32, address: SocketAddr, origin: Origin) -> Result<(), Fault> {
    if origin != Origin::Operator && is_reserved(descriptor) {
        return Err(Fault::new(Phase::Connect, FailReason::Exhausted)
            .at(address)
            .with_detail("the last open files are kept for the store, the pages and messages"));
    }
    Ok(())
}

/// One connection attempt; judges nothing.
pub(super) async fn connect(address: SocketAddr, deadline: Instant) -> Result<TcpStream, Fault> {
    connect_as(address, Origin::Operator, deadline).await
}

#[expect(clippy::disallowed_methods, reason = "the one place that opens a TCP connection")]
async fn finish(socket: TcpSocket, address: SocketAddr, deadline: Instant) -> Result<TcpStream, Fault> {
    let stream = match timeout_at(deadline, socket.connect(address)).await {
        Err(_) => return Err(Fault::new(Phase::Connect, FailReason::Timeout).at(address)),
        Ok(Err(error)) => return Err(connect_fault(address, &error)),
        Ok(Ok(stream)) => stream,
    };
    // Without it small writes wait for the peer's delayed ACK; a failure only costs time.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

pub(super) fn connect_fault(address: SocketAddr, error: &io::Error) -> Fault {
    let reason = match from_kind(error) {
        // A host with IPv6 switched off has no source address to offer: that is no lack of ports.
        FailReason::Exhausted if address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable => {
            FailReason::NoRoute
        }
        reason => reason,
    };
    Fault::new(Phase::Connect, reason).at(address).with_detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::io::Errno;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    /// An address nobody listens on: bound, then released.
    fn closed_port() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_refused_address_does_not_hide_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let (_, peer) = connect_any(&[closed_port(), good], Origin::Operator, soon()).await.unwrap();
        assert_eq!(peer, good);
        let fault = connect_any(&[closed_port()], Origin::Operator, soon()).await.unwrap_err();
        assert_eq!((fault.phase, fault.reason), (Phase::Connect, FailReason::Refused));
    }

    #[tokio::test]
    async fn a_private_address_is_refused_before_a_packet_leaves() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = connect_any(&[address], Origin::Portal { private: false }, soon()).await.unwrap_err();
        assert_eq!(fault.reason, FailReason::Guarded(address.ip()));
        assert!(connect_any(&[address], Origin::Portal { private: true }, soon()).await.is_ok());
    }

    /// A listener whose queue is full: the kernel drops what comes, as a firewall would.
    async fn blackhole() -> (SocketAddr, Vec<TcpStream>, tokio::net::TcpListener) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = connect(address, Instant::now() + Duration::from_millis(100)).await {
            assert!(queued.len() < 100, "the queue never fills");
            queued.push(stream);
        }
        (address, queued, listener)
    }

    #[tokio::test]
    async fn an_address_that_swallows_packets_does_not_use_up_the_time_of_the_next() {
        let (dead, _queued, _listener) = blackhole().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let deadline = || Instant::now() + Duration::from_millis(300);
        let (_, peer) = connect_any(&[dead, good], Origin::Operator, deadline()).await.unwrap();
        assert_eq!(peer, good);
        let fault = connect_any(&[dead], Origin::Operator, deadline()).await.unwrap_err();
        assert_eq!((fault.phase, fault.reason), (Phase::Connect, FailReason::Timeout));
    }

    #[test]
    fn what_the_target_did_tells_more_than_what_we_lack() {
        assert!(weight(&FailReason::Refused) > weight(&FailReason::NoRoute));
        assert!(weight(&FailReason::Timeout) > weight(&FailReason::Guarded([127, 0, 0, 1].into())));
    }

    #[test]
    fn a_host_without_ipv6_is_not_out_of_ports() {
        let error = io::Error::from_raw_os_error(Errno::ADDRNOTAVAIL.raw_os_error());
        let v6 = "[2001:db8::1]:443".parse().unwrap();
        let v4 = "192.0.2.1:443".parse().unwrap();
        assert_eq!(connect_fault(v6, &error).reason, FailReason::NoRoute);
        assert_eq!(connect_fault(v4, &error).reason, FailReason::Exhausted);
    }
}
