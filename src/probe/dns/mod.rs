//! The `dns` kind: a zone at its registry, at every authority and at the resolvers people use,
//! against what was declared.
//!
//! [`spec`] is what a config says, `observe` looks, [`facts`] is what was seen, [`verdict`] thinks,
//! [`memory`] is what is kept from run to run.

pub mod facts;
pub mod memory;
pub mod spec;
pub mod tell;
pub mod values;
pub mod verdict;

mod docs;
mod observe;
mod validate;
#[cfg(test)]
mod wire_tests;

use jiff::Timestamp;

pub use self::docs::views::{ANSWERS_DIFFER, NO_ANSWER};
pub use self::facts::Facts;
pub use self::memory::Memory;
pub use self::spec::Spec;
use self::verdict::Case;
use super::{Ctx, Judgement, Kind, Observed, Past, Problem, Scope, Unmeasured, Watched};
use crate::model::{Baseline, Confirm, Finding, FindingDoc, Series};

/// The kind.
pub struct Dns;

impl Kind for Dns {
    const NAME: &'static str = "dns";
    const EXAMPLE: &'static str = r#"every: 10m
dns:
  zone: acme.example
  records:
    - { name: "@", type: MX, equals: ["10 mx.acme.example."] }
    - { name: "@", type: TXT, contains: ["v=spf1 mx -all"] }
    - { name: portal, type: CNAME, suffix: cdn.example.net }
    - { name: www, type: A, subset_of: [192.0.2.0/24] }
    - { name: www, type: AAAA, absent: true }
"#;
    const FINDINGS: &'static [FindingDoc] = docs::ALL;
    // They confirm inside their judge.
    const CONFIRM: Confirm = Confirm { failures: 1, successes: 1, recheck: None };
    const LEARNS: bool = true;
    type Spec = Spec;
    type Facts = Facts;
    type Memory = Memory;

    fn validate(spec: &Spec, _: &Scope) -> Vec<Problem> {
        validate::problems(spec)
    }

    fn hosts(spec: &Spec, _: &Scope) -> Vec<String> {
        vec![spec.zone.0.without_dot()]
    }

    async fn observe(spec: &Spec, ctx: &Ctx<'_>, _: &Past<Self>) -> Result<Observed<Facts>, Unmeasured> {
        observe::observe(spec, ctx).await
    }

    fn judge(spec: &Spec, facts: &Facts, past: &Past<Self>, now: Timestamp) -> Judgement<Self> {
        let (findings, memory) =
            verdict::judge(&Case { spec, facts, memory: &past.memory, baselines: &past.baselines, now });
        let unknown = verdict::reach::blind(facts).filter(|_| !findings.iter().any(Finding::alerts));
        Judgement { findings, memory, unknown }
    }

    fn standings(spec: &Spec, memory: &Memory, baselines: &[Baseline]) -> Vec<Watched> {
        verdict::watched::standings(spec, memory, baselines)
    }

    fn tell(facts: &Facts) -> Option<Vec<String>> {
        Some(tell::lines(facts))
    }

    fn series(memory: &Memory, _: Timestamp) -> Vec<Series> {
        verdict::exposed::series(&memory.exposed)
    }

    fn reproduce(spec: &Spec, _: &Scope) -> Vec<String> {
        vec![format!("portalwatch inspect zone {}", spec.zone.0.without_dot())]
    }
}
