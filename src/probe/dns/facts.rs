//! What was seen: who was asked what, and what each said. No opinion.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::formats::dns::{Ede, Name, Rcode, Record, RecordType};
use crate::probe::web::facts::{Failure, Skipped};

/// What a run saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The zone.
    pub zone: Name,
    /// The registry's side: what the servers of the parent zone say of the zone.
    pub parent: Parent,
    /// Every address of every name server that the parent or the zone itself names.
    pub authorities: Vec<Authority>,
    /// The resolvers of the settings.
    pub resolvers: Vec<Resolver>,
    /// The record sets that are looked at, in the order of the settings, those of the apex first.
    pub questions: Vec<Question>,
}

/// One record set that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Question {
    /// Whose.
    pub name: Name,
    /// Of which type.
    pub kind: RecordType,
}

/// The servers of the parent zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// The parent zone; none if the walk did not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Name>,
    /// Its servers, with the answers to the zone's NS (a referral, with glue) and DS.
    pub servers: Vec<Server>,
    /// Why the walk from the root ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One address that was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// The server's name, where one led to the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Where it was asked.
    pub address: SocketAddr,
    /// Nothing could be asked, and that is our side's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
    /// What was asked and answered.
    pub asked: Vec<Asked>,
}

/// A name server of the zone, at one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    /// The address and its answers: SOA over UDP and over TCP, NS, DNSKEY, and each question.
    #[serde(flatten)]
    pub server: Server,
    /// The parent names it.
    pub by_parent: bool,
    /// The zone itself names it.
    pub by_child: bool,
    /// The address stands as glue at the parent.
    #[serde(default)]
    pub glue: bool,
    /// The address is what the name resolves to.
    #[serde(default)]
    pub resolved: bool,
}

/// A resolver of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolver {
    /// As written: `system`, `192.0.2.1:53`, `tls://…`, `https://…`.
    pub server: String,
    /// Its control query failed: it is ours that is broken, not the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
    /// What was asked and answered; a question that failed with SERVFAIL is asked once more with
    /// checking disabled.
    pub asked: Vec<Asked>,
}

/// One question to one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What.
    #[serde(flatten)]
    pub question: Question,
    /// How the answer came, or how it was asked for.
    pub over: Over,
    /// With checking disabled (CD).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchecked: bool,
    /// How long it took, in seconds.
    pub took: f64,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Over {
    Udp,
    /// After the answer over UDP was cut off, or because it was to be TCP.
    Tcp,
    Tls,
    Https,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The return code.
    pub rcode: Rcode,
    /// AA.
    pub authoritative: bool,
    /// RA.
    #[serde(default)]
    pub recursion_available: bool,
    /// AD.
    #[serde(default)]
    pub authentic_data: bool,
    /// The answer over UDP was cut off.
    #[serde(default)]
    pub truncated: bool,
    /// It carries EDNS.
    #[serde(default)]
    pub edns: bool,
    /// Extended errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Ede>,
    /// How the server names itself (RFC 5001).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nsid: Option<String>,
    /// The records of the answer, signatures among them, at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Record>,
    /// The records of the authority section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Record>,
    /// Addresses of the additional section: glue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additionals: Vec<Record>,
    /// What of the message could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

impl Question {
    /// The key of baselines and of findings' subjects: `www.acme.example. A`.
    pub fn key(&self) -> String {
        format!("{} {}", self.name, self.kind)
    }
}

impl Server {
    /// The answer to a question, whichever transport it came over.
    pub fn answer(&self, name: &Name, kind: RecordType) -> Option<&Answer> {
        self.asked(name, kind)?.answer.as_ref()
    }

    /// What came of a question.
    pub fn asked(&self, name: &Name, kind: RecordType) -> Option<&Asked> {
        let of = |asked: &&Asked| asked.question.name == *name && asked.question.kind == kind;
        self.asked
            .iter()
            .filter(of)
            .find(|asked| asked.answer.is_some())
            .or_else(|| self.asked.iter().find(of))
    }
}
