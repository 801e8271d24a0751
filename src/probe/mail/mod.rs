//! The `mail` kind: whether a domain's mail authenticates, judged as receivers judge it; a folder for
//! each standard that takes more than reading a record.
//!
//! [`spec`] is what a config says, `observe` looks, [`facts`] is what was seen, [`verdict`] thinks,
//! [`memory`] is what is kept from run to run.

pub mod dmarc;
pub mod facts;
pub mod memory;
pub mod round_trip;
pub mod rows;
pub mod spec;
pub mod spf;
pub mod tell;
pub mod verdict;

mod docs;
mod observe;
mod validate;

use jiff::Timestamp;

pub use self::facts::Facts;
pub use self::memory::Memory;
pub use self::spec::Spec;
use self::verdict::Case;
use super::{Ctx, Judgement, Kind, Observed, Past, Problem, Scope, Unmeasured, Watched};
use crate::model::{Baseline, Confirm, FindingDoc, Series};

/// The kind.
pub struct Mail;

impl Kind for Mail {
    const NAME: &'static str = "mail";
    const EXAMPLE: &'static str = r#"every: 1h
mail:
  domain: acme.example
  dkim_selectors: [s1]
  senders:
    - { ip: 203.0.113.25, mail_from: bounce@acme.example, helo: mail.acme.example, dkim: acme.example }
  require: { dmarc: quarantine, mta_sts: enforce, tls_rpt: true }
  dnsbl: [zen.dnsbl.example]
"#;
    const FINDINGS: &'static [FindingDoc] = docs::ALL;
    // A missing record is what receivers see too; drift confirms inside its judge.
    const CONFIRM: Confirm = Confirm { failures: 1, successes: 1, recheck: None };
    const LEARNS: bool = true;
    type Spec = Spec;
    type Facts = Facts;
    type Memory = Memory;

    fn triggers(spec: &Spec) -> Option<&str> {
        Some(&spec.round_trip.as_ref()?.trigger.as_ref()?.journey)
    }

    fn validate(spec: &Spec, scope: &Scope) -> Vec<Problem> {
        validate::problems(spec, scope)
    }

    fn hosts(spec: &Spec, _: &Scope) -> Vec<String> {
        vec![spec.name()]
    }

    async fn observe(spec: &Spec, ctx: &Ctx<'_>, _: &Past<Self>) -> Result<Observed<Facts>, Unmeasured> {
        Ok(observe::observe(spec, ctx).await)
    }

    fn judge(spec: &Spec, facts: &Facts, past: &Past<Self>, now: Timestamp) -> Judgement<Self> {
        let case = Case { spec, facts, baselines: &past.baselines, now };
        let (findings, memory, unknown) = verdict::judge(&case, &past.memory);
        Judgement { findings, memory, unknown }
    }

    fn standings(spec: &Spec, memory: &Memory, baselines: &[Baseline]) -> Vec<Watched> {
        verdict::watched::standings(spec, memory, baselines)
    }

    fn tell(facts: &Facts) -> Option<Vec<String>> {
        Some(tell::lines(facts))
    }

    fn series(memory: &Memory, _: Timestamp) -> Vec<Series> {
        verdict::exposed::series(memory)
    }

    fn reproduce(spec: &Spec, _: &Scope) -> Vec<String> {
        let selectors = spec.dkim_selectors.iter().map(|selector| format!(" --dkim-selector {}", selector.0));
        vec![format!("portalwatch inspect mail {}{}", spec.name(), selectors.collect::<String>())]
    }
}
