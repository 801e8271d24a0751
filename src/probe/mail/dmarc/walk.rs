//! The DNS tree walk (RFC 9989 section 4.10).

use super::Choice;
use crate::formats::dmarc::{Policy, Psd, Record};

/// The most questions of one walk.
const QUESTIONS: usize = 8;
/// From longer names the walk goes on at so many labels.
const LABELS: usize = 7;

/// What a walk came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The domains that were asked for, in their order.
    pub asked: Vec<String>,
    /// The domain that stands for the organization.
    pub organizational: String,
    /// Where the record that applies is, and that record; none if there is none.
    pub policy: Option<(String, String, Record)>,
    /// Domains whose records are discarded because there are several.
    pub several: Vec<String>,
    /// Why it is not known: a name could not be asked.
    pub failed: Option<String>,
}

/// The domains that a walk from here may ask for, the first one first: this domain, and above it what
/// has at most seven labels.
pub fn domains(domain: &str) -> Vec<String> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<&str> = domain.split('.').filter(|label| !label.is_empty()).collect();
    let above = 1..labels.len();
    let long = labels.len() > QUESTIONS;
    let skipped = if long { labels.len() - LABELS } else { 1 };
    let rest = above.filter(|from| *from >= skipped).filter_map(|from| labels.get(from..));
    let all = std::iter::once(labels.as_slice()).chain(rest);
    all.filter(|labels| !labels.is_empty()).map(|labels| labels.join(".")).take(QUESTIONS).collect()
}

/// Walks: `look` says what is at a domain.
pub fn walk(domain: &str, look: &dyn Fn(&str) -> Choice) -> Walked {
    let domains = domains(domain);
    let start = domains.first().cloned().unwrap_or_default();
    let mut walked = Walked {
        asked: Vec::new(),
        organizational: start.clone(),
        policy: None,
        several: Vec::new(),
        failed: None,
    };
    let mut found: Vec<(String, String, Record)> = Vec::new();
    let mut stopped = None;
    for domain in domains {
        walked.asked.push(domain.clone());
        match look(&domain) {
            Choice::Nothing => {}
            Choice::Several(_) => walked.several.push(domain),
            Choice::Failed(why) => {
                walked.failed = Some(why);
                break;
            }
            Choice::One(text, record) => {
                let psd = record.psd;
                found.push((domain, text, *record));
                if psd != Psd::Unknown {
                    stopped = Some(psd);
                    break;
                }
            }
        }
    }
    if let Some((last, ..)) = found.last() {
        walked.organizational = match stopped {
            Some(Psd::Yes) if *last != start => below(&start, last),
            _ => last.clone(),
        };
    }
    // The domain's own record, else the organization's, else that of the public suffix.
    let at = |domain: &str| found.iter().find(|(at, ..)| at == domain).cloned();
    let suffix = || found.last().filter(|(.., record)| record.psd == Psd::Yes).cloned();
    let own = at(&start);
    // What could not be asked may have been nearer.
    let settled = own.is_some() || walked.failed.is_none();
    walked.policy = own.or_else(|| at(&walked.organizational)).or_else(suffix).filter(|_| settled);
    walked
}

/// The domain one label below another, on the way to a third.
fn below(start: &str, suffix: &str) -> String {
    let rest = start.strip_suffix(suffix).unwrap_or_default().trim_end_matches('.');
    match rest.rsplit('.').next() {
        Some(label) if !label.is_empty() => format!("{label}.{suffix}"),
        _ => suffix.to_owned(),
    }
}

impl Walked {
    /// The policy for mail of the domain that the walk began at; `exists` says whether that name is
    /// there. None if no record applies.
    pub fn applied(&self, domain: &str, exists: bool) -> Option<Policy> {
        let (at, _, record) = self.policy.as_ref()?;
        let policies = record.applied()?;
        let policy = match (at.eq_ignore_ascii_case(domain.trim_end_matches('.')), exists) {
            (true, _) => policies.domain,
            (false, true) => policies.subdomain,
            (false, false) => policies.nonexistent,
        };
        Some(if record.testing { policy.lowered() } else { policy })
    }
}
