//! A message taken apart (RFC 1035 section 4.1).

use super::cursor::{Cursor, Malformed};
use super::edns::{Ede, Edns};
use super::{Data, Name, Rcode, Record, RecordType};

/// A message. What of it cannot be read is told beside what can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The number of the question.
    pub id: u16,
    /// QR: it is an answer.
    pub response: bool,
    /// The kind of question, 0.
    pub opcode: u8,
    /// AA: by an authority for the name.
    pub authoritative: bool,
    /// TC: cut off, to be asked for over TCP.
    pub truncated: bool,
    /// RD of the question.
    pub recursion_desired: bool,
    /// RA: the server is a resolver.
    pub recursion_available: bool,
    /// AD: the resolver validated the answer (RFC 4035 section 3.2.3).
    pub authentic_data: bool,
    /// CD of the question.
    pub checking_disabled: bool,
    /// The return code, with EDNS's part of it.
    pub rcode: Rcode,
    /// What was asked; mostly one.
    pub questions: Vec<Question>,
    /// The records that answer.
    pub answers: Vec<Record>,
    /// The records of the authority section.
    pub authorities: Vec<Record>,
    /// The additional records, without OPT.
    pub additionals: Vec<Record>,
    /// EDNS.
    pub edns: Option<Edns>,
    /// What is wrong with the message beside the data of single records: owner names that cannot be
    /// read, sections that end too early.
    pub faults: Vec<Malformed>,
    /// Its length in bytes.
    pub size: usize,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name; equality does not see its case.
    pub name: Name,
    /// The type.
    pub kind: RecordType,
    /// The class.
    pub class: u16,
}

/// What an answer comes to (RFC 2308 section 2); a question without answer is told by its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There are records of the type.
    Records,
    /// The name exists and has none of the type.
    NoData,
    /// The server is no authority for the name and no resolver: it points to other servers.
    Referral,
    /// The name does not exist.
    NxDomain,
    /// The server failed.
    ServFail,
    /// The server will not answer.
    Refused,
    /// Another return code.
    Other(Rcode),
}

/// Where a name leads within one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed<'m> {
    /// The aliases on the way, in their order.
    pub aliases: Vec<&'m Record>,
    /// The last name; aliases are followed 128 times.
    pub name: Name,
    /// Its records of the type.
    pub records: Vec<&'m Record>,
    /// The aliases lead in a circle.
    pub looped: bool,
}

/// Aliases are followed so far; resolvers give up long before.
const MOST_ALIASES: usize = 128;
/// A fault list longer than this says nothing more.
const MOST_FAULTS: usize = 20;

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// There is not even a header. All else that is wrong is in the message's [`faults`](Self::faults)
    /// and records.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes, "header");
        let (id, flags) = (cursor.u16()?, cursor.u16()?);
        let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
        let mut message = Self::of_header(id, flags, bytes.len());
        if let Err(fault) = message.sections(cursor, counts) {
            message.fault(fault);
        }
        Ok(message)
    }

    fn of_header(id: u16, flags: u16, size: usize) -> Self {
        let [high, low] = flags.to_be_bytes();
        Self {
            id,
            response: high & 0x80 != 0,
            opcode: (high >> 3) & 15,
            authoritative: high & 4 != 0,
            truncated: high & 2 != 0,
            recursion_desired: high & 1 != 0,
            recursion_available: low & 0x80 != 0,
            authentic_data: low & 0x20 != 0,
            checking_disabled: low & 0x10 != 0,
            rcode: Rcode(u16::from(low & 15)),
            questions: Vec::new(),
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            edns: None,
            faults: Vec::new(),
            size,
        }
    }

    /// `Err` is where the walk ended.
    fn sections(&mut self, cursor: Cursor<'_>, counts: [u16; 4]) -> Result<(), Malformed> {
        let [questions, answers, authorities, additionals] = counts;
        let mut cursor = cursor.named("question");
        for _ in 0..questions {
            let question =
                Question { name: cursor.name()?, kind: RecordType(cursor.u16()?), class: cursor.u16()? };
            self.questions.push(question);
        }
        for (what, count) in [("answer", answers), ("authority", authorities), ("additional", additionals)] {
            cursor = cursor.named(what);
            for _ in 0..count {
                if let Some(record) = self.record(&mut cursor)? {
                    let section = match what {
                        "answer" => &mut self.answers,
                        "authority" => &mut self.authorities,
                        _ => &mut self.additionals,
                    };
                    section.push(record);
                }
            }
        }
        cursor.named("message").finish()
    }

    /// The next record; `None` if it is EDNS, or if its owner cannot be read.
    fn record(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Record>, Malformed> {
        let mut owner = cursor.clone();
        cursor.skip_name()?;
        let (kind, class) = (RecordType(cursor.u16()?), cursor.u16()?);
        let (ttl, length) = (cursor.u32()?, cursor.u16()?);
        let what = if kind == RecordType::OPT { "EDNS" } else { "data" };
        let rdata = cursor.within(usize::from(length), what)?;
        if kind == RecordType::OPT {
            self.take_edns(class, ttl, rdata);
            return Ok(None);
        }
        match owner.name() {
            Ok(name) => Ok(Some(Record::read(name, kind, class, ttl, rdata))),
            Err(fault) => {
                self.fault(fault);
                Ok(None)
            }
        }
    }

    fn take_edns(&mut self, class: u16, ttl: u32, options: Cursor<'_>) {
        if self.edns.is_some() {
            self.fault(options.bad("a second OPT record"));
            return;
        }
        let (edns, fault) = Edns::read(class, ttl, options);
        let [extended, ..] = ttl.to_be_bytes();
        self.rcode.0 |= u16::from(extended) << 4;
        self.edns = Some(edns);
        if let Some(fault) = fault {
            self.fault(fault);
        }
    }

    fn fault(&mut self, fault: Malformed) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Whether it answers this question: the case of the name is not looked at (RFC 4343). A server
    /// that refuses what it does not understand need not repeat the question.
    pub fn answers_question(&self, id: u16, question: &Question) -> bool {
        let unread = self.questions.is_empty()
            && self.answers.is_empty()
            && matches!(self.rcode, Rcode::FORMERR | Rcode::NOTIMP | Rcode::REFUSED | Rcode::SERVFAIL);
        let repeated = self.questions.len() == 1 && self.questions.first() == Some(question);
        self.response && self.id == id && self.opcode == 0 && (repeated || unread)
    }

    /// The extended errors (RFC 8914).
    pub fn errors(&self) -> Vec<Ede> {
        self.edns.as_ref().map(Edns::errors).unwrap_or_default()
    }

    /// Where `name` leads by the aliases of the answer section, and its records of the type there.
    pub fn follow(&self, name: &Name, kind: RecordType) -> Followed<'_> {
        let mut followed =
            Followed { aliases: Vec::new(), name: name.clone(), records: Vec::new(), looped: false };
        loop {
            let own =
                self.answers.iter().filter(|record| record.kind == kind && record.name == followed.name);
            followed.records = own.collect();
            let alias = |record: &&Record| record.kind == RecordType::CNAME && record.name == followed.name;
            let next = self.answers.iter().find(alias);
            let Some((record, Ok(Data::Name(target)))) = next.map(|record| (record, &record.data)) else {
                return followed;
            };
            if !followed.records.is_empty() {
                return followed;
            }
            let seen = followed.aliases.iter().any(|seen| seen.name == *target) || record.name == *target;
            followed.aliases.push(record);
            followed.name = target.clone();
            followed.looped = seen;
            if seen || followed.aliases.len() >= MOST_ALIASES {
                return followed;
            }
        }
    }

    /// What the answer to this question comes to. A name that is an alias has the records of where it
    /// leads within this answer.
    pub fn outcome(&self, name: &Name, kind: RecordType) -> Outcome {
        match self.rcode {
            Rcode::NOERROR => {
                let followed = self.follow(name, kind);
                if !followed.records.is_empty() {
                    Outcome::Records
                } else if followed.aliases.is_empty() && self.is_referral() {
                    Outcome::Referral
                } else {
                    Outcome::NoData
                }
            }
            Rcode::NXDOMAIN => Outcome::NxDomain,
            Rcode::SERVFAIL => Outcome::ServFail,
            Rcode::REFUSED => Outcome::Refused,
            other => Outcome::Other(other),
        }
    }

    /// RFC 2308 section 2.1.1: no answer, name servers, no SOA, no authority.
    fn is_referral(&self) -> bool {
        let has = |kind: RecordType| self.authorities.iter().any(|record| record.kind == kind);
        !self.authoritative && self.answers.is_empty() && has(RecordType::NS) && !has(RecordType::SOA)
    }
}
