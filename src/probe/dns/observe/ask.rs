//! One question to one server, as a fact.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::Instant;

use super::{LONGEST_QUESTION, Look, out_of_time};
use crate::formats::dns::{Name, Outcome, Query, QueryEdns, Rcode, Record, RecordType};
use crate::net;
use crate::net::{Origin, Reply, Transport, TransportError};
use crate::probe::dns::facts::{Answer, Asked, Over, Question, Server};
use crate::probe::web::facts::{Skipped, failure, our_side};

/// So many questions are on their way to one server at a time.
const AT_ONCE: usize = 4;
/// The most records of a section that are kept.
const MOST_RECORDS: usize = 1_000;
/// The most data of records, in bytes, that is kept of one server.
const MOST_BYTES: usize = 256 * 1024;

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: Option<Name>,
    pub(super) address: SocketAddr,
    pub(super) origin: Origin,
}

impl Place {
    pub(super) const fn of(address: SocketAddr, origin: Origin) -> Self {
        Self { name: None, address, origin }
    }

    /// A server about whom nothing is known yet.
    pub(super) fn server(&self) -> Server {
        Server { name: self.name.clone(), address: self.address, unmeasured: None, asked: Vec::new() }
    }
}

/// A question to an authority: no recursion, with the records of DNSSEC.
pub(super) fn plain(question: &Question) -> Query {
    let edns = QueryEdns { dnssec_ok: true, ..QueryEdns::default() };
    Query { edns: Some(edns), ..Query::new(question.name.clone(), question.kind) }
}

/// Over which transport an authority is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Over UDP, and over TCP if the answer is cut off.
    Usual,
    /// Over TCP, since nothing comes over UDP.
    Tcp,
}

impl Look<'_> {
    /// `Err` is that nothing could be asked, which is our side's fault.
    pub(super) async fn ask(&self, place: &Place, query: &Query, over: Over) -> Result<Asked, Skipped> {
        let _turn = self.turns.acquire().await;
        let patience = self.patience(LONGEST_QUESTION).ok_or_else(out_of_time)?;
        let asked = net::Asked {
            host: place.address.to_string(),
            server: place.address,
            transport: if over == Over::Tcp { Transport::Tcp } else { Transport::Udp },
            origin: place.origin,
            query: query.clone(),
            timeout: patience.timeout,
        };
        let question = Question { name: query.name.clone(), kind: query.kind };
        let began = Instant::now();
        match self.ctx.net.ask(&asked).await {
            Ok(reply) => Ok(answered(question, reply)),
            Err(error) => match our_side(&error) {
                Some(skipped) => Err(skipped),
                None if patience.cut => Err(out_of_time()),
                None => Ok(failed(question, over, began.elapsed(), &error)),
            },
        }
    }

    /// The same, and without EDNS if the server does not know it (RFC 6891 section 7).
    pub(super) async fn ask_tolerantly(
        &self,
        place: &Place,
        query: &Query,
        over: Over,
    ) -> Result<Asked, Skipped> {
        let asked = self.ask(place, query, over).await?;
        let unknown = asked
            .answer
            .as_ref()
            .is_some_and(|answer| matches!(answer.rcode, Rcode::FORMERR | Rcode::NOTIMP) && !answer.edns);
        if !unknown {
            return Ok(asked);
        }
        self.ask(place, &Query { edns: None, ..query.clone() }, over).await
    }

    /// The whole answer.
    pub(super) async fn ask_whole(&self, place: &Place, query: &Query, way: Way) -> Result<Asked, Skipped> {
        if way == Way::Tcp {
            return self.ask_tolerantly(place, query, Over::Tcp).await;
        }
        let asked = self.ask_tolerantly(place, query, Over::Udp).await?;
        if !asked.answer.as_ref().is_some_and(|answer| answer.truncated) {
            return Ok(asked);
        }
        let mut whole = self.ask_tolerantly(place, query, Over::Tcp).await?;
        if let Some(answer) = &mut whole.answer {
            answer.truncated = true;
        }
        Ok(whole)
    }

    /// All of these, a few at a time; what could not be asked is missing.
    pub(super) async fn ask_all(&self, place: &Place, questions: &[Question], way: Way) -> Vec<Asked> {
        let queries: Vec<Query> = questions.iter().map(plain).collect();
        let all = queries.iter().map(|query| self.ask_whole(place, query, way).boxed());
        a_few_at_a_time(all.collect()).await.into_iter().flatten().collect()
    }
}

/// What all of these questions to one server come to, in their order.
pub(super) async fn a_few_at_a_time<T>(all: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    stream::iter(all).buffered(AT_ONCE).collect().await
}

/// An answer, as a fact.
pub(super) fn answered(question: Question, reply: Reply) -> Asked {
    let over = match reply.over {
        net::Over::Udp => Over::Udp,
        net::Over::Tcp => Over::Tcp,
        net::Over::Tls => Over::Tls,
        net::Over::Https => Over::Https,
    };
    let message = reply.message;
    let errors = message.errors();
    let nsid = message.edns.as_ref().and_then(|edns| edns.nsid());
    let nsid = nsid.map(|bytes| bytes.escape_ascii().to_string());
    let faults = message.faults.iter().map(ToString::to_string).collect();
    let mut answer = Answer {
        rcode: message.rcode,
        authoritative: message.authoritative,
        recursion_available: message.recursion_available,
        authentic_data: message.authentic_data,
        truncated: message.truncated || reply.truncated_over_udp,
        edns: message.edns.is_some(),
        size: message.size,
        errors,
        nsid,
        answers: message.answers,
        left_out: 0,
        authorities: first(message.authorities),
        additionals: first(message.additionals),
        faults,
    };
    cut(&mut answer, MOST_RECORDS);
    Asked {
        question,
        over,
        unchecked: false,
        took: reply.took.as_secs_f64(),
        answer: Some(answer),
        failure: None,
    }
}

/// No answer, as a fact.
pub(super) fn failed(question: Question, over: Over, took: Duration, error: &TransportError) -> Asked {
    let took = took.as_secs_f64();
    Asked { question, over, unchecked: false, took, answer: None, failure: Some(failure(error)) }
}

fn first(mut records: Vec<Record>) -> Vec<Record> {
    records.truncate(MOST_RECORDS);
    records
}

/// Keeps so many records of the answer.
pub(super) fn cut(answer: &mut Answer, most: usize) {
    answer.left_out += answer.answers.len().saturating_sub(most);
    answer.answers.truncate(most);
}

/// Forgets what stands beside records that answer: it says no more of the zone.
pub(super) fn trim(asked: &mut [Asked]) {
    for asked in asked {
        let Some(answer) = asked.answer.as_mut() else { continue };
        if answer.outcome(&asked.question) == Outcome::Records {
            answer.authorities.clear();
            answer.additionals.clear();
        }
    }
}

/// Keeps what is not too much of what a server said.
pub(super) fn bound(asked: &mut [Asked]) {
    let mut left = MOST_BYTES;
    for answer in asked.iter_mut().filter_map(|asked| asked.answer.as_mut()) {
        let mut fits = |records: &[Record]| {
            let size = records.iter().map(|record| record.rdata.len()).sum();
            left.checked_sub(size).map(|rest| left = rest).is_some()
        };
        if !fits(&answer.answers) {
            cut(answer, 0);
        }
        for section in [&mut answer.authorities, &mut answer.additionals] {
            if !fits(section) {
                section.clear();
            }
        }
    }
}

/// The question for a name's records of a type.
pub(super) fn question(name: &Name, kind: RecordType) -> Question {
    Question { name: name.clone(), kind }
}
