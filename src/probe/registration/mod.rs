//! The `registration` kind: what the registry says of a domain, by RDAP (RFC 9082, 9083, 9224).
//!
//! [`spec`] is what a config says, `servers` knows whom to ask, `observe` asks, [`facts`] is what was
//! seen, `verdict` thinks, [`memory`] is what is kept from run to run. The registry's answer is what is
//! judged; the registrar's is compared with it. Nothing is concluded from a server that does not answer.

pub mod domain;
pub mod facts;
pub mod memory;
pub mod spec;

mod docs;
mod observe;
mod servers;
mod validate;
mod verdict;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;

use jiff::Timestamp;

pub use self::facts::Facts;
pub use self::memory::Memory;
pub use self::spec::Spec;
use super::{Ctx, Judgement, Kind, Observed, Past, Problem, Scope, Unmeasured};
use crate::model::{Confirm, FindingDoc, Series, SeriesDoc};

const EXPIRY: SeriesDoc = SeriesDoc {
    name: "portalwatch_registration_expiry_timestamp_seconds",
    help: "When the domain's registration expires: by the registry, else as declared.",
};

/// The kind.
pub struct RegistrationKind;

impl Kind for RegistrationKind {
    const NAME: &'static str = "registration";
    const EXAMPLE: &'static str = r"every: 12h
registration:
  domain: acme.example
  servers: { example: https://rdap.nic.example/ }
  bootstrap: https://data.iana.org/rdap/dns.json
  expires: 2027-08-13
  lock: required
  registrar: Example Registrar
";
    const FINDINGS: &'static [FindingDoc] = docs::ALL;
    // Changes are remembered by their judge, and a registry's word needs no second one.
    const CONFIRM: Confirm = Confirm { failures: 1, successes: 1, recheck: None };
    type Spec = Spec;
    type Facts = Facts;
    type Memory = Memory;

    fn validate(spec: &Spec, scope: &Scope) -> Vec<Problem> {
        validate::problems(spec, scope)
    }

    fn hosts(spec: &Spec, _: &Scope) -> Vec<String> {
        validate::hosts(spec)
    }

    async fn observe(spec: &Spec, ctx: &Ctx<'_>, past: &Past<Self>) -> Result<Observed<Facts>, Unmeasured> {
        Ok(observe::observe(spec, ctx, &past.memory).await)
    }

    fn judge(spec: &Spec, facts: &Facts, past: &Past<Self>, now: Timestamp) -> Judgement<Self> {
        let thought = verdict::think(spec, facts, &past.memory, now);
        Judgement { findings: thought.findings, memory: thought.memory, unknown: thought.unknown }
    }

    fn series(memory: &Memory, _: Timestamp) -> Vec<Series> {
        let expires = memory.expires.map(|expires| Series {
            doc: &EXPIRY,
            labels: vec![("domain", memory.domain.clone())],
            value: expires.as_duration().as_secs_f64(),
        });
        expires.into_iter().collect()
    }

    fn reproduce(spec: &Spec, scope: &Scope) -> Vec<String> {
        validate::commands(spec, scope)
    }
}
