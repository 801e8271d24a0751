//! What is compared with what was approved.

use super::super::dmarc::name_of;
use super::super::facts::{Facts, Fetched, Looked, Says};
use super::super::memory::Memory;
use super::super::spec::Spec;
use crate::formats::spf::is_spf;
use crate::judge::drift::{Decided, State};
use crate::model::Baseline;
use crate::probe::{Watched, standing};

/// One thing, and what it is.
pub struct Seen {
    /// Its name.
    pub key: String,
    /// What it is, sorted; `None` where that is not known.
    pub values: Option<Vec<String>>,
    /// For so many seconds others may keep it.
    pub ttl: u32,
    /// Others change it, and mostly with good reason.
    pub foreign: bool,
}

/// All that is compared.
pub fn seen(facts: &Facts) -> Vec<Seen> {
    let mut all = Vec::new();
    let set = |looked: &Looked, values: &dyn Fn(&[String]) -> Vec<String>| Seen {
        key: looked.key(),
        values: looked.known().map(values),
        ttl: looked.ttl,
        foreign: false,
    };
    let every = |values: &[String]| values.to_vec();
    let domain = &facts.domain;
    if let Some(spf) = &facts.spf {
        let own = |values: &[String]| values.iter().filter(|text| is_spf(text.as_bytes())).cloned().collect();
        all.push(Seen { key: format!("{domain} SPF"), ..set(&spf.texts, &own) });
        all.push(Seen {
            key: format!("{domain} SPF-addresses"),
            values: spf.authorized.as_ref().map(|authorized| authorized.lines()),
            ttl: spf.texts.ttl,
            foreign: true,
        });
    }
    if let Some(own) =
        facts.dmarc.as_ref().and_then(|dmarc| dmarc.walk.iter().find(|looked| looked.name == name_of(domain)))
    {
        all.push(set(own, &every));
    }
    all.extend(facts.dkim.iter().flat_map(|dkim| &dkim.selectors).map(|key| set(&key.texts, &every)));
    if let Some(mx) = &facts.mx {
        all.push(set(&mx.records, &every));
        all.extend(mx.hosts.iter().map(|host| set(&host.tlsa, &every)));
    }
    if let Some(mta_sts) = &facts.mta_sts {
        all.push(set(&mta_sts.record, &every));
        let values = match &mta_sts.policy {
            None => mta_sts.record.known().map(|_| Vec::new()),
            Some(Fetched::Answer(answer)) => match &answer.says {
                Says::Policy(policy) => {
                    let mut lines =
                        vec![format!("max_age: {}", policy.max_age), format!("mode: {}", policy.mode)];
                    lines.extend(policy.mx.iter().map(|mx| format!("mx: {mx}")));
                    lines.sort_unstable();
                    Some(lines)
                }
                _ => None,
            },
            Some(_) => None,
        };
        all.push(Seen { key: format!("mta-sts.{domain} policy"), values, ttl: 0, foreign: false });
    }
    all.extend(facts.tls_rpt.iter().map(|looked| set(looked, &every)));
    all.extend(facts.bimi.iter().map(|bimi| set(&bimi.record, &every)));
    all
}

/// How each stands.
pub fn standings(spec: &Spec, memory: &Memory, baselines: &[Baseline]) -> Vec<Watched> {
    let unknown = State::default();
    let mut keys: Vec<&str> = memory.sets.keys().map(String::as_str).collect();
    keys.extend(baselines.iter().map(|baseline| baseline.key.as_str()));
    keys.sort_unstable();
    keys.dedup();
    let of = |key: &str| {
        let state = memory.sets.get(key).unwrap_or(&unknown);
        standing::of_state(key.to_owned(), state, &Decided::about(baselines, key), spec.learn)
    };
    keys.into_iter().map(of).collect()
}
