//! One record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::cursor::{Cursor, Malformed};
use super::{Data, Name, RecordType};

/// A record. Serialized with its data as base64, from which it is read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Plain", try_from = "Plain")]
pub struct Record {
    /// Whose it is, in the case sent.
    pub name: Name,
    /// Its type.
    pub kind: RecordType,
    /// Its class, mostly [`class::IN`](super::class::IN).
    pub class: u16,
    /// How long it may be kept, in seconds, as sent.
    pub ttl: u32,
    /// The data as bytes, names in it uncompressed; as sent where it cannot be read.
    pub rdata: Vec<u8>,
    /// The data as fields, or why it cannot be read.
    pub data: Result<Data, Malformed>,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    name: Name,
    kind: RecordType,
    class: u16,
    ttl: u32,
    rdata: String,
}

impl From<Record> for Plain {
    fn from(record: Record) -> Self {
        let Record { name, kind, class, ttl, rdata, .. } = record;
        Self { name, kind, class, ttl, rdata: STANDARD.encode(rdata) }
    }
}

impl TryFrom<Plain> for Record {
    type Error = base64::DecodeError;

    fn try_from(plain: Plain) -> Result<Self, Self::Error> {
        let Plain { name, kind, class, ttl, rdata } = plain;
        let rdata = STANDARD.decode(rdata)?;
        let data = Data::of(kind, class, &rdata);
        Ok(Self { name, kind, class, ttl, rdata, data })
    }
}

impl Record {
    pub(super) fn read(name: Name, kind: RecordType, class: u16, ttl: u32, mut cursor: Cursor<'_>) -> Self {
        let data = Data::read(kind, class, cursor.clone());
        let expanded = data.as_ref().ok().and_then(|data| data.written(Name::to_wire));
        let rdata = expanded.unwrap_or_else(|| cursor.rest().to_vec());
        Self { name, kind, class, ttl, rdata, data }
    }

    /// The data in canonical form for signatures (RFC 4034 section 6.2, RFC 6840 section 5.1): names
    /// uncompressed, in lower case where the type is one of those that want it.
    pub fn canonical_rdata(&self) -> Vec<u8> {
        let written =
            self.data.as_ref().ok().and_then(|data| data.written(|name| name.to_lowercase().to_wire()));
        written.unwrap_or_else(|| self.rdata.clone())
    }

    /// The data as text, the same for all records that mean the same; unreadable data as
    /// `\# LENGTH HEX` (RFC 3597 section 5).
    pub fn comparable(&self) -> String {
        match &self.data {
            Ok(data) => data.comparable(),
            Err(_) => Data::Other(self.rdata.clone()).to_string(),
        }
    }
}
