//! DMARC: the records on the way up the tree, and those who get reports.

use futures_util::future::join_all;

use super::Look;
use crate::formats::dmarc::ReportUri;
use crate::formats::dns::RecordType;
use crate::probe::mail::dmarc::walk::{domains, walk};
use crate::probe::mail::dmarc::{Choice, authorization_of, name_of};
use crate::probe::mail::facts::{Destination, Dmarc, Looked};

/// The most destinations that are looked at.
const DESTINATIONS: usize = 10;

pub(super) async fn look(look: &Look<'_>, apex: &Looked) -> Dmarc {
    let domain = look.spec.name();
    let names = domains(&domain);
    let mut others: Vec<String> = Vec::new();
    for sender in &look.spec.senders {
        let signer = sender.dkim.as_ref().map(|domain| domain.text());
        let from = sender.from.as_ref().map(|domain| domain.text());
        let all = [Some(sender.mail_from.domain()), signer, from].into_iter().flatten();
        others.extend(all.flat_map(|domain| domains(&domain)));
    }
    others.sort_unstable();
    others.dedup();
    others.retain(|other| !names.contains(other));
    let ask = async |domain: &String| look.ask(&name_of(domain), RecordType::TXT).await;
    let (walked, others) = tokio::join!(join_all(names.iter().map(ask)), join_all(others.iter().map(ask)));
    let found = walk(&domain, &|at| Choice::at(&walked, at));
    let mut wanted: Vec<(String, &'static str)> = Vec::new();
    if let Some((_, _, record)) = &found.policy {
        let of = |tag, uris: &[ReportUri]| {
            uris.iter().filter_map(|uri| Some((uri.domain()?, tag))).collect::<Vec<(String, &'static str)>>()
        };
        wanted.extend(of("rua", &record.aggregate_reports));
        wanted.extend(of("ruf", &record.failure_reports));
        wanted.sort_unstable();
        wanted.dedup();
        wanted.truncate(DESTINATIONS);
    }
    let policy_domain = found.policy.as_ref().map_or(domain.as_str(), |(at, ..)| at);
    let organizational = found.organizational.as_str();
    let destinations = wanted.into_iter().map(|(domain, tag)| async move {
        let inside = domain == organizational || domain.ends_with(&format!(".{organizational}"));
        let authorization = match inside {
            true => None,
            false => Some(look.ask(&authorization_of(policy_domain, &domain), RecordType::TXT).await),
        };
        let mut receives = vec![look.ask(&domain, RecordType::MX).await];
        if receives.iter().all(|looked| looked.known().is_some_and(<[String]>::is_empty)) {
            receives.push(look.ask(&domain, RecordType::A).await);
            receives.push(look.ask(&domain, RecordType::AAAA).await);
        }
        Destination { domain, tag: tag.to_owned(), authorization, receives }
    });
    let destinations = join_all(destinations).await;
    Dmarc { walk: walked, others, apex: apex.clone(), destinations }
}
