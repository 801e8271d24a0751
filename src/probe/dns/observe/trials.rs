//! Unusual questions to an authority.

use futures_util::FutureExt as _;

use super::Look;
use super::ask::{Place, a_few_at_a_time, cut};
use crate::formats::dns::{Name, Query, QueryEdns, RecordType};
use crate::probe::dns::facts::{Over, Trial, Tried};

/// A name that no zone of a portal holds (RFC 2606) and every resolver finds.
const FOREIGN: &str = "example.com.";
/// No option has this number; it is the one that RFC 8906 section 8.2 tests with.
const UNKNOWN_OPTION: u16 = 100;

type Make = fn(&Name) -> Query;

const TRIALS: &[(Trial, Over, Make)] = &[
    (Trial::EdnsVersion, Over::Udp, |zone| Query {
        edns: Some(QueryEdns { version: 1, ..QueryEdns::default() }),
        ..soa(zone)
    }),
    (Trial::EdnsOption, Over::Udp, |zone| Query {
        edns: Some(QueryEdns { option: Some(UNKNOWN_OPTION), ..QueryEdns::default() }),
        ..soa(zone)
    }),
    (Trial::Case, Over::Udp, |zone| soa(&in_changing_case(zone))),
    (Trial::Recursion, Over::Udp, |_| {
        let name = FOREIGN.parse().unwrap_or_else(|_| Name::root());
        Query { recursion_desired: true, ..Query::new(name, RecordType::A) }
    }),
    (Trial::Transfer, Over::Tcp, |zone| Query { edns: None, ..Query::new(zone.clone(), RecordType::AXFR) }),
];

fn soa(zone: &Name) -> Query {
    Query::new(zone.clone(), RecordType::SOA)
}

fn in_changing_case(name: &Name) -> Name {
    let letters = name
        .to_string()
        .char_indices()
        .map(
            |(index, letter)| {
                if index % 2 == 0 { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
            },
        )
        .collect::<String>();
    letters.parse().unwrap_or_else(|_| name.clone())
}

/// All of them over the transports that the server answers over; what could not be asked is missing.
pub(super) async fn trials(look: &Look<'_>, place: &Place, answers_over: &[Over]) -> Vec<Tried> {
    let zone = &look.spec.zone.0;
    let fitting = TRIALS.iter().filter(|(_, over, _)| answers_over.contains(over));
    let all = fitting.map(|(trial, over, make)| {
        let one = async move {
            let mut asked = look.ask(place, &make(zone), *over).await.ok()?;
            if *trial == Trial::Transfer
                && let Some(answer) = &mut asked.answer
            {
                cut(answer, 1);
            }
            Some(Tried { trial: *trial, asked })
        };
        one.boxed()
    });
    a_few_at_a_time(all.collect()).await.into_iter().flatten().collect()
}
