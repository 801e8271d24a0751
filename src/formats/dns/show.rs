//! Data as text, as in a zone file (RFC 1035 section 5.1 and the standard of each type).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Data, Name, Types};
use crate::formats::x509::hex;

/// Bytes between quotation marks; what is not printable as `\DDD`.
pub(super) struct Quoted<'a>(pub(super) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for byte in self.0 {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Bytes without quotation marks; what would end a word is escaped.
pub(super) struct Unquoted<'a>(pub(super) &'a [u8]);

impl fmt::Display for Unquoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            match byte {
                b'"' | b'\\' | b'(' | b')' | b';' => write!(f, "\\{}", char::from(*byte))?,
                b'!'..=b'~' => write!(f, "{}", char::from(*byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        Ok(())
    }
}

struct Lower<'a>(&'a Name);

impl fmt::Display for Lower<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_lowercase().fmt(f)
    }
}

/// Hex, `-` for nothing (RFC 5155 section 3.3).
struct Salt<'a>(&'a [u8]);

impl fmt::Display for Salt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("-") } else { f.write_str(&hex(self.0)) }
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in &self.0 {
            write!(f, " {kind}")?;
        }
        Ok(())
    }
}

impl Data {
    /// The form in which records are compared: as displayed, but the strings of a TXT record as one,
    /// since how text is cut into strings means nothing.
    pub fn comparable(&self) -> String {
        match self {
            Self::Txt(strings) => Quoted(&strings.concat()).to_string(),
            data => data.to_string(),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Name(name) => Lower(name).fmt(f),
            Self::Mx { preference, exchange } => write!(f, "{preference} {}", Lower(exchange)),
            Self::Soa(soa) => write!(
                f,
                "{} {} {} {} {} {} {}",
                Lower(&soa.mname),
                Lower(&soa.rname),
                soa.serial,
                soa.refresh,
                soa.retry,
                soa.expire,
                soa.minimum
            ),
            Self::Txt(strings) => {
                let quoted: Vec<String> = strings.iter().map(|string| Quoted(string).to_string()).collect();
                f.write_str(&quoted.join(" "))
            }
            Self::Caa(caa) => {
                let tag = caa.tag.to_ascii_lowercase();
                write!(f, "{} {} {}", caa.flags, Unquoted(&tag), Quoted(&caa.value))
            }
            Self::Srv(srv) => {
                write!(f, "{} {} {} {}", srv.priority, srv.weight, srv.port, Lower(&srv.target))
            }
            Self::Tlsa(tlsa) => {
                write!(f, "{} {} {} {}", tlsa.usage, tlsa.selector, tlsa.matching, hex(&tlsa.data))
            }
            Self::Svcb(svcb) => svcb.fmt(f),
            Self::Naptr(naptr) => write!(
                f,
                "{} {} {} {} {} {}",
                naptr.order,
                naptr.preference,
                Quoted(&naptr.flags),
                Quoted(&naptr.services),
                Quoted(&naptr.regexp),
                Lower(&naptr.replacement)
            ),
            Self::Other(bytes) if bytes.is_empty() => f.write_str("\\# 0"),
            Self::Other(bytes) => write!(f, "\\# {} {}", bytes.len(), hex(bytes)),
            data => data.show_dnssec(f),
        }
    }
}

impl Data {
    fn show_dnssec(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ds(ds) => {
                write!(f, "{} {} {} {}", ds.key_tag, ds.algorithm, ds.digest_type, hex(&ds.digest))
            }
            Self::Dnskey(key) => {
                write!(f, "{} {} {} {}", key.flags, key.protocol, key.algorithm, STANDARD.encode(&key.key))
            }
            Self::Rrsig(rrsig) => write!(
                f,
                "{} {} {} {} {} {} {} {} {}",
                rrsig.covered,
                rrsig.algorithm,
                rrsig.labels,
                rrsig.original_ttl,
                time(rrsig.expiration),
                time(rrsig.inception),
                rrsig.key_tag,
                Lower(&rrsig.signer),
                STANDARD.encode(&rrsig.signature)
            ),
            Self::Nsec { next, types } => write!(f, "{}{types}", Lower(next)),
            Self::Nsec3(nsec3) => write!(
                f,
                "{} {} {} {} {}{}",
                nsec3.algorithm,
                nsec3.flags,
                nsec3.iterations,
                Salt(&nsec3.salt),
                base32(&nsec3.next),
                nsec3.types
            ),
            Self::Nsec3param(param) => {
                write!(f, "{} {} {} {}", param.algorithm, param.flags, param.iterations, Salt(&param.salt))
            }
            _ => Ok(()),
        }
    }
}

/// `YYYYMMDDHHmmSS` (RFC 4034 section 3.2).
fn time(seconds: u32) -> String {
    let time = jiff::Timestamp::from_second(i64::from(seconds));
    time.map_or_else(|_| seconds.to_string(), |time| time.strftime("%Y%m%d%H%M%S").to_string())
}

/// Base32 with the extended hex alphabet, without padding (RFC 4648 section 7, RFC 5155 section 3.3).
fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0);
    let digits = (0..(bytes.len() * 8).div_ceil(5))
        .map(|index| (0..5).fold(0, |digit, offset| (digit << 1) | u32::from(bit(index * 5 + offset))));
    digits.filter_map(|digit| char::from_digit(digit, 32)).collect()
}
