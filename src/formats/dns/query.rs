//! Questions as bytes.

use super::edns::{DO, NSID};
use super::{Name, Question, RecordType, class};

/// The largest datagram we take (DNS flag day 2020): what passes everywhere unfragmented.
pub const UDP_SIZE: u16 = 1232;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name, sent in the case it has.
    pub name: Name,
    /// The type.
    pub kind: RecordType,
    /// The class, [`class::IN`] unless a server is asked about itself.
    pub class: u16,
    /// RD: a resolver is to find out; an authority is asked without.
    pub recursion_desired: bool,
    /// CD: a validating resolver is to answer though signatures are wrong.
    pub checking_disabled: bool,
    /// AD: the answer may say that it was validated (RFC 6840 section 5.7).
    pub authentic_data: bool,
    /// What is sent as EDNS; none sends the message of 1987.
    pub edns: Option<QueryEdns>,
}

/// The EDNS part of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryEdns {
    /// The version, 0 unless a server is tested.
    pub version: u8,
    /// The largest datagram to be sent to us.
    pub udp_size: u16,
    /// DO: with the records of DNSSEC.
    pub dnssec_ok: bool,
    /// The server is to name itself (RFC 5001).
    pub nsid: bool,
}

impl Default for QueryEdns {
    fn default() -> Self {
        Self { version: 0, udp_size: UDP_SIZE, dnssec_ok: false, nsid: false }
    }
}

impl Query {
    /// A question for the Internet class with EDNS and no flag set.
    pub fn new(name: Name, kind: RecordType) -> Self {
        Self {
            name,
            kind,
            class: class::IN,
            recursion_desired: false,
            checking_disabled: false,
            authentic_data: false,
            edns: Some(QueryEdns::default()),
        }
    }

    /// A question to a resolver that validates: RD, AD and DO.
    pub fn to_resolver(name: Name, kind: RecordType) -> Self {
        let edns = QueryEdns { dnssec_ok: true, ..QueryEdns::default() };
        Self { recursion_desired: true, authentic_data: true, edns: Some(edns), ..Self::new(name, kind) }
    }

    /// What the answer has to repeat.
    pub fn question(&self) -> Question {
        Question { name: self.name.clone(), kind: self.kind, class: self.class }
    }

    /// The message under the number that the answer has to repeat.
    pub fn to_wire(&self, id: u16) -> Vec<u8> {
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        let flags = flag(self.recursion_desired, 0x0100)
            | flag(self.authentic_data, 0x0020)
            | flag(self.checking_disabled, 0x0010);
        let additional = u16::from(self.edns.is_some());
        let header = [id, flags, 1, 0, 0, additional];
        let mut wire: Vec<u8> = header.into_iter().flat_map(u16::to_be_bytes).collect();
        wire.extend(self.name.to_wire());
        wire.extend(self.kind.0.to_be_bytes());
        wire.extend(self.class.to_be_bytes());
        if let Some(edns) = self.edns {
            edns.push(&mut wire);
        }
        wire
    }
}

impl QueryEdns {
    fn push(self, wire: &mut Vec<u8>) {
        let ttl = (u32::from(self.version) << 16) | if self.dnssec_ok { DO } else { 0 };
        wire.push(0);
        wire.extend(RecordType::OPT.0.to_be_bytes());
        wire.extend(self.udp_size.to_be_bytes());
        wire.extend(ttl.to_be_bytes());
        let options = if self.nsid { [NSID.to_be_bytes(), [0, 0]].concat() } else { Vec::new() };
        // At most one option of four bytes.
        wire.extend(u16::try_from(options.len()).unwrap_or_default().to_be_bytes());
        wire.extend(options);
    }
}
