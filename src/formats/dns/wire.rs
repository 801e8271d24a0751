//! Data that holds names, written without compression.

use super::{Data, Name};

impl Data {
    /// The bytes of data in which names may be compressed, each written by `name`; `None` for the other
    /// types, whose bytes are the same however they are sent.
    pub(super) fn written(&self, name: impl Fn(&Name) -> Vec<u8>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Name(target) => bytes.extend(name(target)),
            Self::Mx { preference, exchange } => {
                bytes.extend(preference.to_be_bytes());
                bytes.extend(name(exchange));
            }
            Self::Soa(soa) => {
                bytes.extend(name(&soa.mname));
                bytes.extend(name(&soa.rname));
                let numbers = [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum];
                bytes.extend(numbers.into_iter().flat_map(u32::to_be_bytes));
            }
            Self::Srv(srv) => {
                bytes.extend([srv.priority, srv.weight, srv.port].into_iter().flat_map(u16::to_be_bytes));
                bytes.extend(name(&srv.target));
            }
            Self::Naptr(naptr) => {
                bytes.extend([naptr.order, naptr.preference].into_iter().flat_map(u16::to_be_bytes));
                for string in [&naptr.flags, &naptr.services, &naptr.regexp] {
                    push_string(&mut bytes, string);
                }
                bytes.extend(name(&naptr.replacement));
            }
            Self::Rrsig(rrsig) => {
                bytes.extend(rrsig.covered.0.to_be_bytes());
                bytes.extend([rrsig.algorithm, rrsig.labels]);
                let numbers = [rrsig.original_ttl, rrsig.expiration, rrsig.inception];
                bytes.extend(numbers.into_iter().flat_map(u32::to_be_bytes));
                bytes.extend(rrsig.key_tag.to_be_bytes());
                bytes.extend(name(&rrsig.signer));
                bytes.extend(&rrsig.signature);
            }
            _ => return None,
        }
        Some(bytes)
    }
}

fn push_string(bytes: &mut Vec<u8>, string: &[u8]) {
    // A character string is at most 255 bytes long.
    bytes.push(u8::try_from(string.len()).unwrap_or_default());
    bytes.extend(string);
}
