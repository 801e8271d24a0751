//! DANE.

use super::{Case, Report};
use crate::model::Finding;
use crate::probe::mail::docs::transport as docs;
use crate::probe::mail::facts::{Came, DaneRow, DaneSaid, Exchange, Looked, Mx};

/// Whether DNSSEC vouches for everything that DANE rests on (RFC 7672 section 2.2).
fn is_vouched_for(mx: &Mx, host: &Exchange) -> bool {
    let addressed = |looked: &&Looked| !looked.values.is_empty();
    mx.records.secure
        && host.tlsa.secure
        && host.addresses.iter().filter(addressed).all(|looked| looked.secure)
}

/// Whether senders that know DANE use it for this host.
pub(super) fn counts(mx: &Mx, host: &Exchange) -> bool {
    !host.tlsa.values.is_empty() && is_vouched_for(mx, host)
}

/// Whether they use it for any host.
pub(super) fn is_used(mx: &Mx) -> bool {
    mx.hosts.iter().any(|host| counts(mx, host))
}

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(mx) = &case.facts.mx else { return };
    for host in &mx.hosts {
        report.blind("dane.", &host.tlsa);
        if host.tlsa.values.is_empty() {
            continue;
        }
        if !is_vouched_for(mx, host) {
            let summary = "its TLSA records, its addresses or the MX record are not signed, as far as the resolver says";
            report.find(&docs::DANE_UNSIGNED, &host.name, summary);
            continue;
        }
        for reached in &host.reached {
            if let Came::Shown(shown) = &reached.came {
                let subject = format!("{} at {}", host.name, reached.address.ip());
                matched(&subject, &shown.dane, report);
            }
        }
        rollover(host, report);
    }
}

fn matched(subject: &str, rows: &[DaneRow], report: &mut Report) {
    let usable: Vec<&DaneRow> =
        rows.iter().filter(|row| !matches!(row.said, DaneSaid::Unusable(_))).collect();
    let shown = |row: &DaneRow| match &row.said {
        DaneSaid::Matches => format!("{} matches", row.record),
        DaneSaid::Nowhere => format!("{} matches nothing", row.record),
        DaneSaid::Invalid(why) => format!("{} matches, but the chain is {why}", row.record),
        DaneSaid::Unusable(why) => format!("{} cannot be used: {why}", row.record),
    };
    let all: Vec<String> = rows.iter().map(shown).collect();
    if usable.is_empty() {
        report.find(&docs::DANE_UNUSABLE, subject, all.join("; "));
    } else if !usable.iter().any(|row| row.said == DaneSaid::Matches) {
        let finding = Finding::of(&docs::DANE_MISMATCH, subject, all.join("; "));
        report.findings.push(finding);
    }
}

/// Whether the certificate can be renewed without a gap.
fn rollover(host: &Exchange, report: &mut Report) {
    let field = |value: &str, at: usize| value.split(' ').nth(at).map(str::to_owned);
    let lasting =
        |value: &&String| field(value, 1).as_deref() == Some("1") || field(value, 0).as_deref() == Some("2");
    let values = &host.tlsa.values;
    if values.len() < 2 {
        report.find(
            &docs::DANE_ROLLOVER,
            &host.name,
            format!("there is one record alone: {}", values.join("; ")),
        );
    } else if !values.iter().any(|value| lasting(&value)) {
        report.find(
            &docs::DANE_ROLLOVER,
            &host.name,
            "all records are about whole certificates (selector 0)",
        );
    }
}
