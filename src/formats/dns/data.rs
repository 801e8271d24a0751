//! What a record says, by its type.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::{Cursor, Malformed};
use super::{Name, RecordType, Types, class, svcb};

/// The data of a record as fields. Displayed as in a zone file, names in lower case; see
/// [`Data::comparable`] for the form in which records are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of a variant are those of its standard")]
pub enum Data {
    /// A.
    A(Ipv4Addr),
    /// AAAA.
    Aaaa(Ipv6Addr),
    /// CNAME, NS, PTR, DNAME.
    Name(Name),
    /// MX.
    Mx { preference: u16, exchange: Name },
    /// SOA.
    Soa(Soa),
    /// TXT: its strings, none if the data is empty, which RFC 1035 does not allow and servers send.
    Txt(Vec<Vec<u8>>),
    /// CAA.
    Caa(Caa),
    /// SRV.
    Srv(Srv),
    /// TLSA.
    Tlsa(Tlsa),
    /// DS, CDS.
    Ds(Ds),
    /// DNSKEY, CDNSKEY.
    Dnskey(Dnskey),
    /// RRSIG.
    Rrsig(Rrsig),
    /// NSEC.
    Nsec { next: Name, types: Types },
    /// NSEC3.
    Nsec3(Nsec3),
    /// NSEC3PARAM.
    Nsec3param(Nsec3param),
    /// SVCB, HTTPS.
    Svcb(Svcb),
    /// NAPTR.
    Naptr(Naptr),
    /// Any other type or class: the bytes (RFC 3597).
    Other(Vec<u8>),
}

/// The start of a zone (RFC 1035 section 3.3.13); times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the standard")]
pub struct Soa {
    pub mname: Name,
    pub rname: Name,
    pub serial: u32,
    pub refresh: u32,
    pub retry: u32,
    pub expire: u32,
    pub minimum: u32,
}

/// A property of who may issue (RFC 8659 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caa {
    /// 128 is "critical".
    pub flags: u8,
    /// As sent.
    pub tag: Vec<u8>,
    /// As sent.
    pub value: Vec<u8>,
}

/// A service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the standard")]
pub struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub target: Name,
}

/// What a TLS server's certificates are matched with (RFC 6698 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE.
    pub usage: u8,
    /// 0 the whole certificate, 1 its key.
    pub selector: u8,
    /// 0 as it is, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// What has to be there.
    pub data: Vec<u8>,
}

/// The digest of a child's key (RFC 4034 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the standard")]
pub struct Ds {
    pub key_tag: u16,
    pub algorithm: u8,
    pub digest_type: u8,
    pub digest: Vec<u8>,
}

/// A key of a zone (RFC 4034 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the standard")]
pub struct Dnskey {
    pub flags: u16,
    pub protocol: u8,
    pub algorithm: u8,
    pub key: Vec<u8>,
}

/// A signature over a record set (RFC 4034 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the standard")]
pub struct Rrsig {
    pub covered: RecordType,
    pub algorithm: u8,
    pub labels: u8,
    pub original_ttl: u32,
    /// Seconds since the epoch modulo 2^32 (RFC 4034 section 3.1.5).
    pub expiration: u32,
    /// Likewise.
    pub inception: u32,
    pub key_tag: u16,
    pub signer: Name,
    pub signature: Vec<u8>,
}

/// What does not exist, hashed (RFC 5155 section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the standard")]
pub struct Nsec3 {
    pub algorithm: u8,
    pub flags: u8,
    pub iterations: u16,
    pub salt: Vec<u8>,
    pub next: Vec<u8>,
    pub types: Types,
}

/// How NSEC3 hashes (RFC 5155 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the standard")]
pub struct Nsec3param {
    pub algorithm: u8,
    pub flags: u8,
    pub iterations: u16,
    pub salt: Vec<u8>,
}

/// How a service is reached (RFC 9460 section 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Svcb {
    /// 0 is an alias.
    pub priority: u16,
    /// `.` is the owner itself.
    pub target: Name,
    /// Keys and values in ascending order of the keys.
    pub params: Vec<(u16, Vec<u8>)>,
}

/// A rewriting rule (RFC 3403 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the standard")]
pub struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: Vec<u8>,
    pub services: Vec<u8>,
    pub regexp: Vec<u8>,
    pub replacement: Name,
}

impl Data {
    /// Reads data that stands alone, names in it uncompressed: what
    /// [`Record::rdata`](super::Record::rdata) holds.
    ///
    /// # Errors
    /// It is not what the type says.
    pub fn of(kind: RecordType, class: u16, rdata: &[u8]) -> Result<Self, Malformed> {
        Self::read(kind, class, Cursor::new(rdata, "data"))
    }

    /// Reads all of `cursor`.
    pub(super) fn read(kind: RecordType, class: u16, mut cursor: Cursor<'_>) -> Result<Self, Malformed> {
        // What a type means may depend on the class; text does not.
        if class != class::IN && kind != RecordType::TXT {
            return Ok(Self::Other(cursor.rest().to_vec()));
        }
        let data = Self::fields(kind, &mut cursor)?;
        cursor.finish()?;
        Ok(data)
    }

    fn fields(kind: RecordType, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            RecordType::A => Self::A(Ipv4Addr::from(cursor.u32()?)),
            RecordType::AAAA => Self::Aaaa(v6(cursor)?),
            RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => {
                Self::Name(cursor.name()?)
            }
            RecordType::MX => Self::Mx { preference: cursor.u16()?, exchange: cursor.name()? },
            RecordType::SOA => Self::Soa(soa(cursor)?),
            RecordType::TXT => Self::Txt(strings(cursor)?),
            RecordType::CAA => Self::Caa(Caa {
                flags: cursor.u8()?,
                tag: cursor.string()?.to_vec(),
                value: cursor.rest().to_vec(),
            }),
            RecordType::SRV => Self::Srv(Srv {
                priority: cursor.u16()?,
                weight: cursor.u16()?,
                port: cursor.u16()?,
                target: cursor.name()?,
            }),
            RecordType::TLSA => Self::Tlsa(Tlsa {
                usage: cursor.u8()?,
                selector: cursor.u8()?,
                matching: cursor.u8()?,
                data: cursor.rest().to_vec(),
            }),
            RecordType::NAPTR => Self::Naptr(naptr(cursor)?),
            RecordType::SVCB | RecordType::HTTPS => Self::Svcb(svcb::read(cursor)?),
            kind => return Self::of_dnssec(kind, cursor),
        })
    }

    fn of_dnssec(kind: RecordType, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            RecordType::DS | RecordType::CDS => Self::Ds(Ds {
                key_tag: cursor.u16()?,
                algorithm: cursor.u8()?,
                digest_type: cursor.u8()?,
                digest: cursor.rest().to_vec(),
            }),
            RecordType::DNSKEY | RecordType::CDNSKEY => Self::Dnskey(Dnskey {
                flags: cursor.u16()?,
                protocol: cursor.u8()?,
                algorithm: cursor.u8()?,
                key: cursor.rest().to_vec(),
            }),
            RecordType::RRSIG => Self::Rrsig(rrsig(cursor)?),
            RecordType::NSEC => Self::Nsec { next: cursor.whole_name()?, types: Types::read(cursor)? },
            RecordType::NSEC3 => Self::Nsec3(Nsec3 {
                algorithm: cursor.u8()?,
                flags: cursor.u8()?,
                iterations: cursor.u16()?,
                salt: cursor.string()?.to_vec(),
                next: cursor.string()?.to_vec(),
                types: Types::read(cursor)?,
            }),
            RecordType::NSEC3PARAM => Self::Nsec3param(Nsec3param {
                algorithm: cursor.u8()?,
                flags: cursor.u8()?,
                iterations: cursor.u16()?,
                salt: cursor.string()?.to_vec(),
            }),
            _ => Self::Other(cursor.rest().to_vec()),
        })
    }

    /// The strings of a TXT record as one, as SPF and its like read them (RFC 7208 section 3.3); bytes
    /// that are no UTF-8 become U+FFFD. `None` for other types.
    pub fn joined_text(&self) -> Option<String> {
        match self {
            Self::Txt(strings) => Some(String::from_utf8_lossy(&strings.concat()).into_owned()),
            _ => None,
        }
    }
}

fn v6(cursor: &mut Cursor<'_>) -> Result<Ipv6Addr, Malformed> {
    let octets = cursor.take(16)?;
    Ok(Ipv6Addr::from(octets.iter().fold(0_u128, |number, byte| (number << 8) | u128::from(*byte))))
}

fn strings(cursor: &mut Cursor<'_>) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut strings = Vec::new();
    while !cursor.is_empty() {
        strings.push(cursor.string()?.to_vec());
    }
    Ok(strings)
}

fn soa(cursor: &mut Cursor<'_>) -> Result<Soa, Malformed> {
    Ok(Soa {
        mname: cursor.name()?,
        rname: cursor.name()?,
        serial: cursor.u32()?,
        refresh: cursor.u32()?,
        retry: cursor.u32()?,
        expire: cursor.u32()?,
        minimum: cursor.u32()?,
    })
}

fn naptr(cursor: &mut Cursor<'_>) -> Result<Naptr, Malformed> {
    Ok(Naptr {
        order: cursor.u16()?,
        preference: cursor.u16()?,
        flags: cursor.string()?.to_vec(),
        services: cursor.string()?.to_vec(),
        regexp: cursor.string()?.to_vec(),
        replacement: cursor.name()?,
    })
}

fn rrsig(cursor: &mut Cursor<'_>) -> Result<Rrsig, Malformed> {
    Ok(Rrsig {
        covered: RecordType(cursor.u16()?),
        algorithm: cursor.u8()?,
        labels: cursor.u8()?,
        original_ttl: cursor.u32()?,
        expiration: cursor.u32()?,
        inception: cursor.u32()?,
        key_tag: cursor.u16()?,
        signer: cursor.name()?,
        signature: cursor.rest().to_vec(),
    })
}
