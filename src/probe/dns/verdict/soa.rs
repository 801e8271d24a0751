//! The zone's SOA at every authority: who they say keeps it, and its times.

use std::collections::BTreeMap;

use super::Case;
use crate::formats::dns::{Data, RecordType, Soa};
use crate::model::Finding;
use crate::probe::dns::docs::health as docs;
use crate::probe::dns::facts::Authority;
use crate::probe::dns::memory::Memory;

/// Looks.
pub fn look(case: &Case<'_>, _: &mut Memory) -> Vec<Finding> {
    let facts = case.facts;
    let of = |authority: &Authority| {
        let answer =
            authority.server.answer(&facts.zone, RecordType::SOA).filter(|answer| answer.authoritative)?;
        let soa = answer.answers.iter().find_map(|record| match &record.data {
            Ok(Data::Soa(soa)) => Some(soa.clone()),
            _ => None,
        });
        Some((soa?, authority.server.place()))
    };
    let all: Vec<(Soa, String)> = facts.authorities.iter().filter_map(of).collect();
    let zone = facts.zone.to_string();
    let differs = differing(&zone, &all);
    let odd = all.first().map(|(soa, _)| odd_times(soa)).filter(|odd| !odd.is_empty());
    let timers = odd.map(|odd| Finding::of(&docs::SOA_TIMERS, zone, odd.join("; ")));
    differs.into_iter().chain(timers).collect()
}

/// Those that say something else but the serial, which is looked at by itself.
fn differing(zone: &str, all: &[(Soa, String)]) -> Option<Finding> {
    let mut said: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (soa, place) in all {
        let names = (soa.mname.to_lowercase(), soa.rname.to_lowercase());
        let times = (soa.refresh, soa.retry, soa.expire, soa.minimum);
        let words = format!("{} {} {} {} {} {}", names.0, names.1, times.0, times.1, times.2, times.3);
        said.entry(words).or_default().push(place);
    }
    if said.len() < 2 {
        return None;
    }
    let parts: Vec<String> =
        said.iter().map(|(words, places)| format!("{words} at {}", places.join(", "))).collect();
    Some(Finding::of(&docs::SOA_DIFFERS, zone.to_owned(), parts.join("; ")))
}

/// Times that RFC 1912 section 2.2 and RFC 2308 section 5 advise against.
fn odd_times(soa: &Soa) -> Vec<String> {
    let rules = [
        (soa.refresh < 1_200, format!("refresh {} is shorter than 20 minutes", soa.refresh)),
        (
            soa.retry >= soa.refresh,
            format!("retry {} is not shorter than refresh {}", soa.retry, soa.refresh),
        ),
        (soa.expire < 604_800, format!("expire {} is shorter than a week", soa.expire)),
        (
            soa.minimum > 86_400,
            format!("what does not exist is remembered for {} seconds, more than a day", soa.minimum),
        ),
    ];
    rules.into_iter().filter_map(|(odd, words)| odd.then_some(words)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soa(refresh: u32, retry: u32, expire: u32, minimum: u32) -> Soa {
        let name = || "a.example.".parse().unwrap();
        Soa { mname: name(), rname: name(), serial: 1, refresh, retry, expire, minimum }
    }

    #[test]
    fn times_that_harm_are_named_and_usual_ones_are_not() {
        assert!(odd_times(&soa(7_200, 900, 1_209_600, 3_600)).is_empty());
        assert!(odd_times(&soa(86_400, 7_200, 604_800, 86_400)).is_empty());
        let odd = odd_times(&soa(60, 60, 3_600, 604_800));
        assert_eq!(odd.len(), 4, "{odd:?}");
    }

    #[test]
    fn servers_that_name_another_keeper_are_told_and_another_serial_is_not() {
        let (one, mut two) = (soa(7_200, 900, 1_209_600, 60), soa(7_200, 900, 1_209_600, 60));
        two.serial = 9;
        let all = |two: &Soa| vec![(one.clone(), "ns1".to_owned()), (two.clone(), "ns2".to_owned())];
        assert_eq!(differing("zone.", &all(&two)), None);
        two.rname = "b.example.".parse().unwrap();
        let found = differing("zone.", &all(&two)).unwrap();
        assert!(found.summary.contains("b.example. 7200 900 1209600 60 at ns2"), "{}", found.summary);
    }
}
