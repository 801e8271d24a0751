//! How long others may keep each record set: against what was usual, and against what is declared.

use super::Case;
use super::declared::question;
use super::drift::ttl;
use super::watched::sets;
use crate::judge::drift::Moved;
use crate::model::Finding;
use crate::probe::dns::docs::drift as docs;
use crate::probe::dns::facts::Question;
use crate::probe::dns::memory::Memory;

/// Looks.
pub fn look(case: &Case<'_>, memory: &mut Memory) -> Vec<Finding> {
    let mut before = std::mem::take(&mut memory.ttls);
    let mut findings = Vec::new();
    for set in sets(case.spec) {
        let key = set.question.key();
        let mut known = before.remove(&key).unwrap_or_default();
        let seconds = u32::try_from(ttl(case.facts, &set.question).as_secs()).unwrap_or(u32::MAX);
        // Of what does not exist or was not asked there is none.
        let moved = if seconds > 0 { known.look(seconds) } else { None };
        if let Some(Moved { from, to }) = moved {
            let summary = format!("others may keep it for {to} s; it was {from} s");
            findings.push(Finding::of(&docs::TTL_CHANGED, key.clone(), summary));
        }
        let least = least(case, &set.question);
        if let Some((least, largest)) = least.zip(known.largest()).filter(|(least, largest)| largest < least)
        {
            let summary = format!("others may keep it for {largest} s, less than {least} s");
            findings.push(Finding::of(&docs::TTL_LOW, key.clone(), summary));
        }
        memory.ttls.insert(key, known);
    }
    findings
}

/// What is declared of it, in seconds.
fn least(case: &Case<'_>, asked: &Question) -> Option<u32> {
    let own = case.spec.records.iter().find(|record| question(case.spec, record).as_ref() == Some(asked));
    own?.min_ttl.map(|least| u32::try_from(least.as_secs()).unwrap_or(u32::MAX))
}
