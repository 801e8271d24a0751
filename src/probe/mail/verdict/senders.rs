//! The addresses that send: what receivers say of them, their names, and the block lists.

use std::net::IpAddr;

use super::{Case, Report};
use crate::judge::clip;
use crate::model::Finding;
use crate::probe::mail::docs::senders as docs;
use crate::probe::mail::facts::{Listing, Looked, Sender};
use crate::probe::mail::spf::Verdict;
use crate::probe::mail::spf::findings::of_sender;

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    for sender in &case.facts.senders {
        let domain =
            sender.mail_from.rsplit_once('@').map_or(sender.mail_from.as_str(), |(_, domain)| domain);
        let found = of_sender(domain, &sender.ip.to_string(), &sender.spf);
        if sender.spf.verdict == Verdict::TempError {
            report.blind.push("spf.");
        }
        report.findings.extend(found);
        if let Some(summary) = unnamed(sender) {
            report.find(&docs::NO_NAME, &sender.ip.to_string(), summary);
        } else {
            report.blind("sender.reverse", &sender.names);
            for looked in &sender.addresses {
                report.blind("sender.reverse", looked);
            }
        }
        for listing in &sender.lists {
            listed(sender, listing, report);
        }
    }
}

/// Why an address has no name that leads back to it; `None` if it has one, or that is not known.
pub(super) fn unnamed(sender: &Sender) -> Option<String> {
    let names = sender.names.known()?;
    if names.is_empty() {
        return Some("its address has no name (PTR)".to_owned());
    }
    let leads_back = |looked: &Looked| {
        looked.values.iter().any(|value| value.parse::<IpAddr>().is_ok_and(|address| address == sender.ip))
    };
    let unknown = sender.addresses.iter().any(|looked| looked.unmeasured.is_some());
    let fine = unknown || sender.addresses.iter().any(leads_back);
    (!fine).then(|| format!("its name {} does not lead back to it", names.join(", ")))
}

fn listed(sender: &Sender, listing: &Listing, report: &mut Report) {
    let subject = format!("{} at {}", sender.ip, listing.list);
    let (about, always, never) = (&listing.about, &listing.always, &listing.never);
    for looked in [about, always, never] {
        report.blind("sender.listed", looked);
    }
    let (Some(about), Some(always), Some(never)) = (about.known(), always.known(), never.known()) else {
        return;
    };
    let odd = match (entries(always).is_empty(), entries(never).is_empty()) {
        (true, _) => Some("127.0.0.2, which every list has, is not listed"),
        (_, false) => Some("127.0.0.1, which no list has, is listed"),
        _ => None,
    };
    let refused =
        about.iter().any(|value| value.starts_with("127.255.255.")).then_some("it refuses the question");
    if let Some(why) = odd.or(refused) {
        report.blind.push("sender.listed");
        let finding = Finding::of(&docs::LIST_UNUSABLE, subject, why);
        report.findings.push(Finding { measured: false, ..finding });
        return;
    }
    let entries = entries(about);
    if entries.is_empty() {
        return;
    }
    let reason = listing.reason.iter().flat_map(|looked| &looked.values).map(String::as_str);
    let reason = reason.collect::<Vec<_>>().join("; ");
    let reason = if reason.is_empty() { String::new() } else { format!(": {}", clip(&reason)) };
    report.find(
        &docs::LISTED,
        &subject,
        format!("{} has it as {}{reason}", listing.list, entries.join(", ")),
    );
}

/// Answers that list the address: 127/8 without the codes by which lists say that they do not answer.
fn entries(values: &[String]) -> Vec<&str> {
    let all = values.iter().map(String::as_str).filter(|value| value.starts_with("127."));
    all.filter(|value| !value.starts_with("127.255.255.")).collect()
}
