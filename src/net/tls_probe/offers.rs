//! What is offered in a hello.

use crate::formats::tls::names::{self, GROUPS, KeyExchange, SIGNATURES, SUITES, key_exchange, needs_tls12};
use crate::formats::tls::{ClientHello, Version};
use crate::model::{Phase, Timings};
use crate::net::error::Fault;
use crate::net::{FailReason, TransportError};

/// Servers exist that refuse a hello of more than 128 suites or of more than 2 KiB.
pub(super) const SUITES_AT_ONCE: usize = 110;

/// X25519, for which any 32 bytes are a share (RFC 7748 section 5).
pub(super) const X25519: u16 = 0x001d;

/// The content of one hello.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) version: Version,
    pub(super) suites: Vec<u16>,
    pub(super) groups: Vec<u16>,
    pub(super) signatures: Vec<u16>,
    pub(super) compression: bool,
    /// Send a share for X25519 (TLS 1.3): for servers that do not bear a hello without one.
    pub(super) share: bool,
    random: [u8; 32],
}

fn numbers(table: &[(u16, &str)]) -> Vec<u16> {
    table.iter().map(|(number, _)| *number).collect()
}

/// Everything there is a name for, but of the suites only those given.
pub(super) fn all_but_suites(version: Version, suites: &[u16]) -> Result<Offer, TransportError> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| {
        let fault = Fault::new(Phase::Tls, FailReason::Exhausted).with_detail("no randomness");
        fault.into_error(Timings::default())
    })?;
    let mut groups = numbers(GROUPS);
    // The favourites first, for servers that look at the first ones alone.
    let favourites = [0x11ec, X25519, 0x0017, 0x0018, 0x0019];
    groups.retain(|group| !favourites.contains(group));
    groups.splice(0..0, favourites);
    Ok(Offer {
        version,
        suites: suites.to_vec(),
        groups,
        signatures: numbers(SIGNATURES),
        compression: false,
        share: false,
        random,
    })
}

/// The suites of a version, in portions that every server bears. One portion has one way of agreeing on
/// keys: a server may choose what it then fails at (finite fields without parameters), which must not
/// hide what else it accepts.
pub(super) fn suites(version: Version) -> Vec<Vec<u16>> {
    let fits = |suite: &u16| {
        let is_new = key_exchange(*suite) == Some(KeyExchange::Tls13);
        if version == Version::Tls13 {
            return is_new;
        }
        !is_new && (version == Version::Tls12 || !needs_tls12(*suite))
    };
    let (usual, rare): (Vec<u16>, Vec<u16>) =
        numbers(SUITES).into_iter().filter(fits).partition(|suite| is_usual(*suite));
    let ways = [KeyExchange::Tls13, KeyExchange::Ecdhe, KeyExchange::Rsa, KeyExchange::Dhe];
    let of = |way| usual.iter().rev().copied().filter(|suite| key_exchange(*suite) == Some(way)).collect();
    let mut portions: Vec<Vec<u16>> = ways.map(of).into();
    portions.extend(rare.chunks(SUITES_AT_ONCE).map(<[u16]>::to_vec));
    portions.retain(|portion| !portion.is_empty());
    portions
}

/// RSA, or ephemeral keys with RSA or ECDSA, and AES, ChaCha20, 3DES or RC4; all of TLS 1.3.
fn is_usual(suite: u16) -> bool {
    let name = names::suite(suite);
    let exchange = ["TLS_RSA_WITH_", "TLS_DHE_RSA_WITH_", "TLS_ECDHE_RSA_WITH_", "TLS_ECDHE_ECDSA_WITH_"];
    let cipher = ["_AES_", "_CHACHA20_", "_3DES_", "_RC4_"];
    key_exchange(suite) == Some(KeyExchange::Tls13)
        || exchange.iter().any(|start| name.starts_with(start))
            && cipher.iter().any(|part| name.contains(part))
}

/// A hello that most servers of the version or an older one can agree to.
pub(super) fn broad(version: Version) -> Result<Offer, TransportError> {
    let mut usual = suites(version).concat();
    usual.retain(|suite| is_usual(*suite));
    all_but_suites(version, &usual)
}

impl Offer {
    pub(super) fn hello<'a>(&'a self, server_name: Option<&'a str>) -> ClientHello<'a> {
        ClientHello {
            version: self.version,
            random: self.random,
            suites: &self.suites,
            compression: self.compression,
            server_name,
            groups: &self.groups,
            signatures: &self.signatures,
            key_share: self.share.then_some((X25519, &self.random[..])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suite_is_offered_once_with_the_versions_that_have_it() {
        for version in Version::ALL {
            let all = suites(version).concat();
            let mut sorted = all.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(all.len(), sorted.len());
            assert!(suites(version).iter().all(|portion| portion.len() <= SUITES_AT_ONCE));
            assert_eq!(all.contains(&0x1301), version == Version::Tls13);
            assert_eq!(all.contains(&0xc02f), version == Version::Tls12);
            assert_eq!(all.contains(&0x002f), version != Version::Tls13);
        }
        let count: usize = suites(Version::Tls12).iter().map(Vec::len).sum();
        assert_eq!(count + 5, SUITES.len());
    }

    #[test]
    fn a_broad_hello_fits_where_old_servers_read() {
        let mut name = "a".repeat(63);
        name = [name.as_str(); 3].join(".");
        for version in Version::ALL {
            let bytes = broad(version).unwrap().hello(Some(&name)).to_bytes();
            assert!(bytes.len() < 1024, "{version} {}", bytes.len());
            assert!(broad(version).unwrap().suites.len() <= SUITES_AT_ONCE);
        }
    }
}
