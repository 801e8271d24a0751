//! What DNS says of a host's certificates and of its TLS.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::formats::dns::{Caa, Tlsa};
use crate::probe::web::facts::Skipped;

/// The records of one host. A field is `None` where it was not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// Who may issue certificates for the name that they are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caa: Option<Asked<CaaSet>>,
    /// Who may issue for a wildcard that covers the name, where that is not the same: the name has
    /// records of its own, and the wildcard's count from the name above on (RFC 8659 section 4.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caa_above: Option<Asked<CaaSet>>,
    /// Which certificates the server may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tlsa: Option<Asked<TlsaSet>>,
    /// How a browser should reach the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<Asked<HttpsSet>>,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked<T> {
    /// An answer; that there are no records is one too.
    Answered(T),
    /// The domain's servers give none, or one that does not validate, while our resolver is well: why.
    Unanswered(String),
    /// Our own side could not ask.
    Skipped(Skipped),
}

/// The records of who may issue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaaSet {
    /// Where they were found on the way from the name up, without a dot at the end; `None`: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Where an alias at that name led.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The resolver validated them (AD).
    pub authentic: bool,
    /// The records.
    pub records: Vec<CaaRecord>,
    /// How many more there are that cannot be read, or are beyond what is kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

/// One record of who may issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaaRecord {
    /// 128 is "critical".
    pub flags: u8,
    /// As sent.
    pub tag: Sent,
    /// As sent.
    pub value: Sent,
}

/// Records of which certificates a server may have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TlsaSet {
    /// The name that was asked for, without a dot at the end.
    pub name: String,
    /// The resolver validated the answer (AD). Without that no client believes it (RFC 7671 section 4).
    pub authentic: bool,
    /// The records.
    pub records: Vec<TlsaRecord>,
    /// How many more there are that cannot be read, or are beyond what is kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

/// One record of which certificates a server may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsaRecord {
    /// 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE.
    pub usage: u8,
    /// 0 the whole certificate, 1 its key.
    pub selector: u8,
    /// 0 as it is, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// What has to be there.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub data: Vec<u8>,
}

/// The records of how a browser should reach a host (RFC 9460).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HttpsSet {
    /// The name that was asked for, without a dot at the end.
    pub name: String,
    /// Where aliases led, if they led away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The resolver validated the answer (AD).
    pub authentic: bool,
    /// The records that describe a service, the best first.
    pub records: Vec<HttpsRecord>,
    /// How many more there are that cannot be read, or are beyond what is kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

/// One record of how a browser should reach a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpsRecord {
    /// The lowest is the best.
    pub priority: u16,
    /// The server's name, without a dot at the end; `None`: the name that has the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The protocols, beside the usual one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// The usual protocol, HTTP/1.1, is not meant.
    #[serde(default)]
    pub no_default_alpn: bool,
    /// The port, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Addresses to begin with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipv4hint: Vec<Ipv4Addr>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipv6hint: Vec<Ipv6Addr>,
    /// It has keys for an encrypted greeting (ECH).
    #[serde(default)]
    pub ech: bool,
}

/// Bytes that are text as a rule, and are written as such then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent(pub Vec<u8>);

impl Serialize for Sent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Text(text) => text.into_bytes(),
            Written::Bytes(bytes) => bytes,
        }))
    }
}

fn to_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::formats::x509::hex(bytes))
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        let digits = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(digits, 16).ok().filter(|_| pair.iter().all(u8::is_ascii_hexdigit))
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|_| rest.is_empty()).ok_or_else(|| D::Error::custom("no bytes in hex"))
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl From<&CaaRecord> for Caa {
    fn from(record: &CaaRecord) -> Self {
        Self { flags: record.flags, tag: record.tag.0.clone(), value: record.value.0.clone() }
    }
}

impl From<Caa> for CaaRecord {
    fn from(record: Caa) -> Self {
        Self { flags: record.flags, tag: Sent(record.tag), value: Sent(record.value) }
    }
}

impl From<&TlsaRecord> for Tlsa {
    fn from(record: &TlsaRecord) -> Self {
        let TlsaRecord { usage, selector, matching, data } = record.clone();
        Self { usage, selector, matching, data }
    }
}

impl From<Tlsa> for TlsaRecord {
    fn from(record: Tlsa) -> Self {
        let Tlsa { usage, selector, matching, data } = record;
        Self { usage, selector, matching, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_survive_being_written_down() {
        let caa = CaaRecord { flags: 128, tag: Sent(b"issue".to_vec()), value: Sent(vec![0xff, 0, b'a']) };
        let tlsa = TlsaRecord { usage: 3, selector: 1, matching: 1, data: vec![0, 0xab, 0xff] };
        let records = Records {
            caa: Some(Asked::Answered(CaaSet { records: vec![caa], ..CaaSet::default() })),
            tlsa: Some(Asked::Answered(TlsaSet { records: vec![tlsa], ..TlsaSet::default() })),
            caa_above: Some(Asked::Unanswered("SERVFAIL".into())),
            https: None,
        };
        let written = serde_json::to_string(&records).unwrap();
        assert!(written.contains("\"00abff\"") && written.contains("\"issue\""), "{written}");
        assert_eq!(serde_json::from_str::<Records>(&written).unwrap(), records);
        for wrong in ["0", "+1", "é0"] {
            let record = format!("{{\"usage\":3,\"selector\":1,\"matching\":1,\"data\":\"{wrong}\"}}");
            assert!(serde_json::from_str::<TlsaRecord>(&record).is_err(), "{wrong}");
        }
    }
}
