//! The address guard: which addresses may be dialed, by who wrote the destination down. Pure; the
//! dialer asks it for every address at the moment of dialing, so that a name which resolves
//! differently the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Origin;

/// Why an address may not be dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Metadata services, link-local and unspecified addresses: refused to everyone.
    #[error("{0} is a metadata, link-local or unspecified address, which is never dialed")]
    Never(IpAddr),
    /// A private address that the portal does not allow.
    #[error("{0} is a private address; set `private: true` on the portal if it is meant")]
    Private(IpAddr),
}

impl Refused {
    /// The address refused, unmapped.
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Never(address) | Self::Private(address) => address,
        }
    }
}

/// Judges one address.
pub fn judge(address: IpAddr, origin: Origin) -> Result<(), Refused> {
    let address = unmap(address);
    if is_never(address) {
        return Err(Refused::Never(address));
    }
    let private_allowed = match origin {
        Origin::Operator => true,
        Origin::Portal { private } | Origin::Answer { private } => private,
    };
    if !private_allowed && is_private(address) {
        return Err(Refused::Private(address));
    }
    Ok(())
}

/// The IPv4 address inside `::ffff:0:0/96` (RFC 4291 section 2.5.5.2) or the NAT64 prefix
/// `64:ff9b::/96` (RFC 6052 section 2.1); any other address as it is.
fn unmap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        _ => address,
    }
}

const EC2_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
const ALIBABA_METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

fn is_never(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.octets()[0] == 0 || v4 == ALIBABA_METADATA || v4 == AZURE_WIRE_SERVER
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6 == EC2_METADATA,
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // RFC 6598: 100.64.0.0/10, shared by carriers and overlay networks.
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: Origin = Origin::Portal { private: false };
    const PRIVATE: Origin = Origin::Portal { private: true };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn metadata_and_link_local_addresses_are_refused_to_everyone() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "febf:ffff::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::169.254.169.254",
            "64:ff9b::168.63.129.16",
            "::ffff:100.100.100.200",
        ] {
            for origin in [Origin::Operator, PUBLIC, PRIVATE, Origin::Answer { private: true }] {
                let judged = judge(ip(text), origin);
                assert!(matches!(judged, Err(Refused::Never(_))), "{text} {origin:?}: {judged:?}");
            }
        }
    }

    #[test]
    fn private_addresses_need_an_operator_or_the_portals_word() {
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "fc00::1",
            "fdff::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
        ] {
            for origin in [PUBLIC, Origin::Answer { private: false }] {
                let judged = judge(ip(text), origin);
                assert!(matches!(judged, Err(Refused::Private(_))), "{text} {origin:?}: {judged:?}");
            }
            for origin in [Origin::Operator, PRIVATE, Origin::Answer { private: true }] {
                assert_eq!(judge(ip(text), origin), Ok(()), "{text} {origin:?}");
            }
        }
    }

    #[test]
    fn public_addresses_are_dialed_for_everyone() {
        for text in [
            "192.0.2.1",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "169.253.0.1",
            "1.0.0.1",
            "2001:db8::1",
            "fec0::1",
            "::ffff:192.0.2.1",
            "64:ff9b::192.0.2.1",
        ] {
            for origin in [Origin::Operator, PUBLIC, Origin::Answer { private: false }] {
                assert_eq!(judge(ip(text), origin), Ok(()), "{text} {origin:?}");
            }
        }
    }
}
