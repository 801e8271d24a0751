//! The `certificate` kind: every certificate at every address of every host, and the TLS around them.
//!
//! [`spec`] is what a config says, `observe` looks, [`facts`] is what was seen, [`judge`] thinks of one
//! chain, [`verdict`] of the whole, [`memory`] is what is kept from run to run.

pub mod ct;
pub mod facts;
pub mod judge;
pub mod memory;
pub mod pages;
pub mod posture;
pub mod records;
pub mod report;
pub mod revocation;
pub mod spec;
pub mod tell;
pub mod verdict;

mod docs;
mod observe;
mod text;
mod validate;
#[cfg(test)]
mod wire_tests;

use jiff::Timestamp;

pub use self::facts::Facts;
use self::judge::Anchors;
pub use self::memory::Memory;
pub use self::spec::Spec;
use self::verdict::Case;
use super::{Ctx, Judgement, Kind, Observed, Past, Problem, Scope, Unmeasured};
use crate::model::{Confirm, FindingDoc, Series};

/// The kind.
pub struct CertificateKind;

impl Kind for CertificateKind {
    const NAME: &'static str = "certificate";
    const EXAMPLE: &'static str = r#"every: 1h
certificate:
  hosts: [portal.example, "mail.example:465"]
  profile: intermediate
  scan_every: 1d
  pins: ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]
"#;
    const FINDINGS: &'static [FindingDoc] = docs::ALL;
    // They confirm inside their judge.
    const CONFIRM: Confirm = Confirm { failures: 1, successes: 1, recheck: None };
    type Spec = Spec;
    type Facts = Facts;
    type Memory = Memory;

    fn validate(spec: &Spec, scope: &Scope) -> Vec<Problem> {
        validate::problems(spec, scope)
    }

    fn hosts(spec: &Spec, scope: &Scope) -> Vec<String> {
        validate::hosts(spec, scope).into_iter().map(|host| host.name).collect()
    }

    async fn observe(spec: &Spec, ctx: &Ctx<'_>, past: &Past<Self>) -> Result<Observed<Facts>, Unmeasured> {
        observe::observe(spec, ctx, &past.memory).await
    }

    fn judge(spec: &Spec, facts: &Facts, past: &Past<Self>, now: Timestamp) -> Judgement<Self> {
        let anchors =
            Anchors::mozilla_and(facts.trusted.iter().filter_map(|key| facts.certificates.get(key)?.read()));
        let case = Case::new(spec, facts, &past.memory, now, &anchors);
        Judgement { findings: verdict::findings(&case), memory: verdict::remember(&case), unknown: None }
    }

    fn series(memory: &Memory, now: Timestamp) -> Vec<Series> {
        verdict::served::series(&memory.served, now)
    }

    fn tell(facts: &Facts) -> Option<Vec<String>> {
        Some(tell::lines(facts))
    }

    fn reproduce(spec: &Spec, scope: &Scope) -> Vec<String> {
        let each = validate::hosts(spec, scope).into_iter().map(|host| {
            let target = model_host(&host, spec);
            let starttls = spec.starttls.map(|starttls| {
                format!(" --starttls {}", crate::formats::starttls::Protocol::from(starttls).as_str())
            });
            format!("portalwatch inspect cert {target}{}", starttls.unwrap_or_default())
        });
        each.collect()
    }
}

fn model_host(host: &crate::model::Host, spec: &Spec) -> crate::model::Host {
    let port = host.port.or(spec.port).or_else(|| spec.starttls.map(|_| spec.default_port()));
    crate::model::Host { name: host.name.clone(), port }
}
