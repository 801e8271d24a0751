//! General names (RFC 5280 section 4.2.1.6): alternative names, and the subtrees of constraints.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::der::{self, Malformed, Reader, SEQUENCE, bad, constructed, context};
use super::name::Name;
use super::text::clip;

/// A name of one of the forms that certificates know. Texts are as the certificate has them; bytes
/// that are not ASCII (which RFC 5280 forbids here) and control characters are escaped, and told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeneralName {
    /// A host name, or a pattern for one.
    Dns(Text),
    /// An address.
    Ip(IpAddr),
    /// An address with its mask, in name constraints alone.
    Network(Network),
    /// A mailbox.
    Email(Text),
    /// A URI.
    Uri(Text),
    /// A directory name.
    Directory(Name),
    /// Another form: which, by the number of its tag.
    Other(u8),
    /// An address whose bytes are none: how many there are.
    BadIp(usize),
}

/// A text of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The whole text where it is ASCII without control characters.
    plain: Option<Box<str>>,
    shown: String,
}

impl Text {
    fn read(bytes: &[u8]) -> Self {
        let plain = bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e));
        if !plain {
            return Self { plain: None, shown: clip(&bytes.escape_ascii().to_string()) };
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        Self { shown: clip(&text), plain: Some(text.into()) }
    }

    /// The text, if it is made of printable ASCII alone; nothing else may be compared with.
    pub fn plain(&self) -> Option<&str> {
        self.plain.as_deref()
    }

    /// What may be shown: bounded, and without control characters.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl Serialize for GeneralName {
    /// As text alone: a host name, an address, a mailbox and a URI cannot be mistaken for another.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An address and a mask over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address.
    pub address: IpAddr,
    /// The mask.
    pub mask: IpAddr,
}

impl Network {
    /// Whether the mask is ones followed by zeros (RFC 4632).
    pub fn is_prefix(&self) -> bool {
        let bits = match self.mask {
            IpAddr::V4(mask) => u128::from(mask.to_bits()) << 96,
            IpAddr::V6(mask) => mask.to_bits(),
        };
        bits.leading_ones() + bits.trailing_zeros() >= 128
    }

    /// Whether the address lies in it; one of the other family does not.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, self.mask, address) {
            (IpAddr::V4(net), IpAddr::V4(mask), IpAddr::V4(address)) => {
                net.to_bits() & mask.to_bits() == address.to_bits() & mask.to_bits()
            }
            (IpAddr::V6(net), IpAddr::V6(mask), IpAddr::V6(address)) => {
                net.to_bits() & mask.to_bits() == address.to_bits() & mask.to_bits()
            }
            _ => false,
        }
    }
}

impl GeneralName {
    /// A host name.
    pub fn dns(text: &str) -> Self {
        Self::Dns(Text::read(text.as_bytes()))
    }

    /// A mailbox, such as one that stands in a subject.
    pub fn email(text: &str) -> Self {
        Self::Email(Text::read(text.as_bytes()))
    }
}

impl std::fmt::Display for GeneralName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(text) | Self::Email(text) | Self::Uri(text) => f.write_str(text.shown()),
            Self::Ip(address) => write!(f, "{address}"),
            Self::Network(network) => write!(f, "{}/{}", network.address, network.mask),
            Self::Directory(name) => write!(f, "{name}"),
            Self::Other(tag) => write!(f, "a name of form {tag}"),
            Self::BadIp(length) => write!(f, "an address of {length} bytes"),
        }
    }
}

/// Whether names or subtrees are read; an address has a mask in the latter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Name,
    Subtree,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    form: Form,
    what: &'static str,
) -> Result<GeneralName, Malformed> {
    const EMAIL: u8 = context(1);
    const DNS: u8 = context(2);
    const DIRECTORY: u8 = constructed(4);
    const URI: u8 = context(6);
    const IP: u8 = context(7);
    let element = reader.any(what)?;
    Ok(match element.tag {
        EMAIL => GeneralName::Email(Text::read(element.value)),
        DNS => GeneralName::Dns(Text::read(element.value)),
        URI => GeneralName::Uri(Text::read(element.value)),
        IP => address(element.value, form),
        DIRECTORY => {
            let mut inside = Reader::new(element.value);
            let name = Name::read(&mut inside, what)?;
            inside.end(what)?;
            GeneralName::Directory(name)
        }
        tag if tag & 0xc0 == 0x80 && tag & 0x1f <= 8 => GeneralName::Other(tag & 0x1f),
        _ => return Err(bad(what, "it is no general name")),
    })
}

fn address(bytes: &[u8], form: Form) -> GeneralName {
    let ip = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))).ok()
    };
    let read = match form {
        Form::Name => ip(bytes).map(GeneralName::Ip),
        Form::Subtree => {
            let (address, mask) = bytes.split_at(bytes.len() / 2);
            let network = |(address, mask)| GeneralName::Network(Network { address, mask });
            if bytes.len().is_multiple_of(2) { ip(address).zip(ip(mask)).map(network) } else { None }
        }
    };
    read.unwrap_or(GeneralName::BadIp(bytes.len()))
}

/// `GeneralNames`, at least one.
pub(super) fn names(value: &[u8], what: &'static str) -> Result<Vec<GeneralName>, Malformed> {
    let mut reader = Reader::new(der::only(value, SEQUENCE, what)?.value);
    let mut names = Vec::new();
    while !reader.is_empty() {
        names.push(read(&mut reader, Form::Name, what)?);
    }
    if names.is_empty() { Err(bad(what, "it is empty")) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_in_a_name_does_not_end_it() {
        let der = b"\x30\x0b\x82\x09a.b\0.evil";
        let names = names(der, "x").unwrap();
        let [GeneralName::Dns(text)] = names.as_slice() else { panic!("{names:?}") };
        assert_eq!((text.plain(), text.shown()), (None, "a.b\\x00.evil"));
    }

    #[test]
    fn bytes_beyond_ascii_stay_visible() {
        let names = names(b"\x30\x05\x82\x03\xffa_", "x").unwrap();
        assert_eq!(names.first().unwrap().to_string(), "\\xffa_");
    }

    #[test]
    fn a_mask_with_holes_is_no_network() {
        let network = |mask: [u8; 4]| Network { address: [192, 0, 2, 0].into(), mask: mask.into() };
        assert!(network([255, 255, 255, 0]).is_prefix());
        assert!(network([0, 0, 0, 0]).is_prefix());
        assert!(network([255, 255, 255, 255]).is_prefix());
        assert!(!network([255, 0, 255, 0]).is_prefix());
        assert!(network([255, 255, 255, 0]).contains([192, 0, 2, 77].into()));
        assert!(!network([255, 255, 255, 0]).contains([192, 0, 3, 1].into()));
        assert!(!network([0, 0, 0, 0]).contains("::1".parse().unwrap()));
    }
}
