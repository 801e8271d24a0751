//! What was seen: who was asked what, and what each said. No opinion.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::formats::dns::{Ede, Followed, Name, Outcome, Rcode, Record, RecordType, follow, outcome};
use crate::probe::web::facts::{Failure, Skipped};

/// What a run saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The zone.
    pub zone: Name,
    /// The registry's side: what the servers of the parent zone say of the zone.
    pub parent: Parent,
    /// Every name server that the parent or the zone itself names, also one without an address.
    #[serde(default)]
    pub name_servers: Vec<NameServer>,
    /// Every address of every name server, at most 32: each pair of name and address once.
    pub authorities: Vec<Authority>,
    /// Addresses of name servers beyond those, which were not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<SocketAddr>,
    /// The resolvers of the settings.
    pub resolvers: Vec<Resolver>,
    /// The record sets that are compared, those of the apex first, then those of the settings. Every
    /// authority and every resolver is asked for each, but for the zone's DS the servers of the parent;
    /// see [`Facts::knowing`]. SOA, DNSKEY and DS are asked for beside them.
    pub questions: Vec<Question>,
    /// The names that CNAME, MX, NS and SRV records lead to, at most 32, as the resolvers see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
}

/// A name server of the zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NameServer {
    /// Its name.
    pub name: Name,
    /// The parent names it.
    pub by_parent: bool,
    /// The zone itself names it.
    pub by_child: bool,
    /// Its addresses at the parent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub glue: Vec<IpAddr>,
    /// Its addresses by the zone's own authorities, for a name within the zone, else by the resolvers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<IpAddr>,
    /// The resolvers were asked and have no address for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The resolvers could not be asked, and that is our side's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
}

/// A name that records of the zone lead to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The name.
    pub name: Name,
    /// The record sets that lead to it.
    pub of: Vec<Question>,
    /// Its A, asked of the resolvers of the settings together, as users would; missing if they failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
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
    /// Its servers, with the answers to the zone's NS (a referral, with glue) and DS, at most 32.
    pub servers: Vec<Server>,
    /// Servers on the way down that did not answer, or not with a way on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<Server>,
    /// Names of its servers that no address was found for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<Name>,
    /// Why the walk from the root ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
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
    /// What was asked and answered. What there was no time for is missing.
    pub asked: Vec<Asked>,
}

/// A name server of the zone, at one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    /// The address and its answers: SOA over UDP and over TCP, NS, DNSKEY, each question, the addresses
    /// of name servers within the zone; in a zone with keys also CDS, CDNSKEY and NSEC3PARAM. A server
    /// that answered neither SOA is asked nothing more.
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
    /// How the server takes what is unusual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
}

/// An unusual question to an authority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// What was unusual.
    pub trial: Trial,
    /// The question and what came of it.
    #[serde(flatten)]
    pub asked: Asked,
}

/// What is unusual about a question. A further one is a line here and one in `observe::trials`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// The zone's SOA with EDNS version 1, which nobody has: `BADVERS` is right (RFC 6891 section 6.1.3).
    EdnsVersion,
    /// The zone's SOA with an EDNS option nobody knows, which is to be ignored (RFC 6891 section 6.1.2).
    EdnsOption,
    /// The zone's SOA, the letters of its name in changing case (RFC 4343).
    Case,
    /// A foreign name with RD: only a resolver for all the world answers it.
    Recursion,
    /// The whole zone (AXFR, RFC 5936); of a transfer that begins, the first record is kept.
    Transfer,
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
    /// The message's length in bytes.
    #[serde(default)]
    pub size: usize,
    /// Extended errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Ede>,
    /// How the server names itself (RFC 5001).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nsid: Option<String>,
    /// The records of the answer, signatures among them, at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Record>,
    /// So many records of the answer were too much to keep: what is kept is not the whole set.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// The records of the authority section; of authorities and resolvers where none answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Record>,
    /// The records of the additional section, likewise: glue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additionals: Vec<Record>,
    /// What of the message could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

impl Facts {
    /// Those who know a record set first-hand: the servers of the parent for the zone's DS (RFC 4035
    /// section 2.4), for all else the authorities that serve the zone.
    pub fn knowing(&self, question: &Question) -> Vec<&Server> {
        if question.kind == RecordType::DS && question.name == self.zone {
            return self.parent.servers.iter().collect();
        }
        let serving = self.authorities.iter().filter(|authority| authority.is_authoritative(&self.zone));
        serving.map(|authority| &authority.server).collect()
    }
}

impl Question {
    /// The key of baselines and of findings' subjects: `www.acme.example. A`.
    pub fn key(&self) -> String {
        format!("{} {}", self.name, self.kind)
    }
}

impl Answer {
    /// What the answer comes to (NXDOMAIN, NODATA, a referral and the errors apart).
    pub fn outcome(&self, question: &Question) -> Outcome {
        let Question { name, kind } = question;
        outcome(self.rcode, self.authoritative, &self.answers, &self.authorities, name, *kind)
    }

    /// Where the question's name leads by the aliases of the answer, and the records there.
    pub fn follow(&self, question: &Question) -> Followed<'_> {
        follow(&self.answers, &question.name, question.kind)
    }

    /// The values of the record set itself, sorted; signatures and the targets of aliases left out. A
    /// name that is an alias has the alias alone, as `CNAME target.`.
    pub fn values(&self, question: &Question) -> Vec<String> {
        let of = |kind: RecordType| {
            let own = move |record: &&Record| record.kind == kind && record.name == question.name;
            self.answers.iter().filter(own)
        };
        let mut values: Vec<String> = of(question.kind).map(Record::comparable).collect();
        if values.is_empty() && question.kind != RecordType::CNAME {
            values = of(RecordType::CNAME).map(|alias| format!("CNAME {}", alias.comparable())).collect();
        }
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Whether something of it could not be read or kept, so that its values are not the whole truth.
    pub fn is_partial(&self) -> bool {
        let unread = |record: &Record| record.data.is_err();
        self.left_out > 0 || !self.faults.is_empty() || self.answers.iter().any(unread)
    }
}

impl Server {
    /// The answer to a question, whichever transport it came over.
    pub fn answer(&self, name: &Name, kind: RecordType) -> Option<&Answer> {
        self.asked(name, kind)?.answer.as_ref()
    }

    /// What came of a question.
    pub fn asked(&self, name: &Name, kind: RecordType) -> Option<&Asked> {
        find(&self.asked, name, kind, |_| true)
    }

    /// What came of a question over one transport.
    pub fn asked_over(&self, name: &Name, kind: RecordType, over: Over) -> Option<&Asked> {
        find(&self.asked, name, kind, |asked| asked.over == over)
    }

    /// Whether it answered anything at all.
    pub fn answered(&self) -> bool {
        self.asked.iter().any(|asked| asked.answer.is_some())
    }

    /// `ns1.example. 192.0.2.1`; the port where it is not the usual one.
    pub fn place(&self) -> String {
        let address = match self.address.port() {
            53 => self.address.ip().to_string(),
            _ => self.address.to_string(),
        };
        self.name.as_ref().map_or_else(|| address.clone(), |name| format!("{name} {address}"))
    }
}

impl Authority {
    /// Whether it serves the zone: an answer with AA to its SOA.
    pub fn is_authoritative(&self, zone: &Name) -> bool {
        let mut asked = self
            .server
            .asked
            .iter()
            .filter(|asked| asked.question.name == *zone && asked.question.kind == RecordType::SOA);
        asked.any(|asked| {
            asked.answer.as_ref().is_some_and(|answer| {
                answer.authoritative && answer.outcome(&asked.question) == Outcome::Records
            })
        })
    }
}

impl Resolver {
    /// What came of a question, signatures checked.
    pub fn asked(&self, name: &Name, kind: RecordType) -> Option<&Asked> {
        find(&self.asked, name, kind, |asked| !asked.unchecked)
    }

    /// What came of a question with checking disabled.
    pub fn unchecked(&self, name: &Name, kind: RecordType) -> Option<&Asked> {
        find(&self.asked, name, kind, |asked| asked.unchecked)
    }
}

/// The one that was answered, where there are several.
fn find<'a>(
    asked: &'a [Asked],
    name: &Name,
    kind: RecordType,
    fits: impl Fn(&Asked) -> bool,
) -> Option<&'a Asked> {
    let of = |asked: &&Asked| asked.question.name == *name && asked.question.kind == kind && fits(asked);
    asked.iter().filter(of).find(|asked| asked.answer.is_some()).or_else(|| asked.iter().find(of))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}
