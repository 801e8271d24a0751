//! What was seen, in lines for people: each record, and what it comes to.

use super::facts::{Came, Facts, Fetched, Looked, Says};
use super::spf::findings;
use super::verdict::dmarc_walked;

/// The lines.
pub fn lines(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(spf) = &facts.spf {
        lines.push(format!(
            "SPF: {} lookups of 10, {} void of 2",
            spf.v4.lookups.max(spf.v6.lookups),
            spf.v4.voids.max(spf.v6.voids)
        ));
        lines.extend(indented(findings::lines(&spf.v4.trace)));
    }
    for sender in &facts.senders {
        lines.push(format!(
            "sender {} as {}: SPF {}",
            sender.ip,
            sender.mail_from,
            sender.spf.verdict.as_str()
        ));
        lines.push(format!("    {}", told(&sender.names)));
        lines.extend(sender.lists.iter().map(|listing| format!("    {}", told(&listing.about))));
    }
    if let Some(dkim) = &facts.dkim {
        lines.push("DKIM:".to_owned());
        lines.extend(dkim.selectors.iter().map(|key| format!("    {}", told(&key.texts))));
    }
    if let Some(dmarc) = &facts.dmarc {
        let walked = dmarc_walked(dmarc, &facts.domain);
        lines.push(format!("DMARC: the organizational domain is {}", walked.organizational));
        let asked = dmarc
            .walk
            .iter()
            .filter(|looked| walked.asked.iter().any(|at| looked.name == super::dmarc::name_of(at)));
        lines.extend(asked.map(|looked| format!("    {}", told(looked))));
    }
    if let Some(mx) = &facts.mx {
        lines.push(told(&mx.records));
        for host in &mx.hosts {
            for reached in &host.reached {
                lines.push(format!("    {} at {}: {}", host.name, reached.address, came(&reached.came)));
            }
            if !host.tlsa.values.is_empty() {
                lines.push(format!("    {}", told(&host.tlsa)));
            }
        }
    }
    if let Some(mta_sts) = &facts.mta_sts {
        lines.push(format!("MTA-STS: {}", told(&mta_sts.record)));
        lines.extend(mta_sts.policy.iter().map(|policy| format!("    {}", fetched(policy))));
    }
    lines.extend(facts.tls_rpt.iter().map(|looked| format!("TLS-RPT: {}", told(looked))));
    if let Some(bimi) = &facts.bimi {
        lines.push(format!("BIMI: {}", told(&bimi.record)));
        lines.extend(bimi.logo.iter().chain(&bimi.evidence).map(|one| format!("    {}", fetched(one))));
    }
    lines
}

fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("    {line}"))
}

fn told(looked: &Looked) -> String {
    match (&looked.unmeasured, looked.values.is_empty()) {
        (Some(skipped), _) => format!("{}: not known: {}", looked.key(), skipped.why),
        (None, true) => format!("{}: none", looked.key()),
        (None, false) => format!("{}: {}", looked.key(), looked.values.join(" | ")),
    }
}

fn came(came: &Came) -> String {
    match came {
        Came::Shown(shown) => match &shown.invalid {
            None => "STARTTLS, the certificate is valid".to_owned(),
            Some(why) => format!("STARTTLS, the certificate is {why}"),
        },
        Came::Failed(failure) => super::verdict::failed(failure),
        Came::Unmeasured(skipped) => format!("not known: {}", skipped.why),
    }
}

fn fetched(fetched: &Fetched) -> String {
    match fetched {
        Fetched::Unmeasured(skipped) => format!("not known: {}", skipped.why),
        Fetched::Failed(failure) => super::verdict::failed(failure),
        Fetched::Answer(answer) => match &answer.says {
            Says::Policy(policy) => {
                format!("mode {}, max_age {}, mx {}", policy.mode, policy.max_age, policy.mx.join(", "))
            }
            Says::Logo(flaws) if flaws.is_empty() => "a logo that mail clients show".to_owned(),
            Says::Logo(flaws) => flaws.iter().map(|(words, _)| words.as_str()).collect::<Vec<_>>().join("; "),
            Says::Mark(mark) => format!("a mark certificate for {}", mark.names.join(", ")),
            Says::Unreadable(why) => format!("status {}: {why}", answer.status),
        },
    }
}
