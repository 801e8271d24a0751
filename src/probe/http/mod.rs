//! The `http` kind: one request, its redirects, and what the answer should say.
//!
//! [`spec`] is what a config says, `observe` looks, [`facts`] is
//! what was seen, `verdict` thinks.

pub mod facts;
pub mod spec;

mod docs;
mod extract;
mod observe;
mod reproduce;
mod request;
mod validate;
mod verdict;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;

use std::time::Duration;

use jiff::Timestamp;

pub use self::facts::Facts;
pub use self::spec::Spec;
use super::web::values::HttpUrl;
use super::{Ctx, Judgement, Kind, Observed, Past, Problem, Scope, Unmeasured};
use crate::model::{Confirm, FindingDoc};

/// The kind.
pub struct Http;

impl Kind for Http {
    const NAME: &'static str = "http";
    const EXAMPLE: &'static str = r#"every: 30s
http:
  url: https://portal.example/api/health
  method: POST
  headers: { accept: application/json, x-probe: portalwatch }
  query: { verbose: "1" }
  json: { ping: true }
  addresses: all
  version: auto
  max_body: 256KiB
  expect:
    status: [200, "2xx"]
    headers: { content-type: { contains: json }, server: { not_matches: "[0-9]" } }
    body: { not_contains: [Exception, Traceback], max_size: 65536 }
    json: { "$.status": ok, "$.queue.length": { lt: 1000 } }
    final_url: https://portal.example/api/health?verbose=1
    redirects: { max: 2, https_only: true, same_site: true }
"#;
    const FINDINGS: &'static [FindingDoc] = docs::ALL;
    const CONFIRM: Confirm = Confirm { failures: 3, successes: 2, recheck: Some(Duration::from_secs(10)) };
    const COUNTS: bool = true;
    type Spec = Spec;
    type Facts = Facts;
    type Memory = ();

    fn validate(spec: &Spec, scope: &Scope) -> Vec<Problem> {
        validate::problems(spec, scope)
    }

    fn hosts(spec: &Spec, scope: &Scope) -> Vec<String> {
        validate::hosts(spec, scope)
    }

    async fn observe(spec: &Spec, ctx: &Ctx<'_>, _: &Past<Self>) -> Result<Observed<Facts>, Unmeasured> {
        observe::observe(spec, ctx).await
    }

    fn judge(spec: &Spec, facts: &Facts, _: &Past<Self>, _: Timestamp) -> Judgement<Self> {
        Judgement { findings: verdict::findings(spec, facts), memory: (), unknown: None }
    }

    fn reproduce(spec: &Spec, scope: &Scope) -> Vec<String> {
        reproduce::commands(spec, scope)
    }
}

/// The settings for one look at an address, without a config. A target without a scheme is
/// `https`.
///
/// # Errors
/// What is wrong with the address and the way out.
pub fn inspect_spec(target: &str) -> Result<Spec, InspectError> {
    let whole = if target.contains("://") { target.to_owned() } else { format!("https://{target}") };
    let url = HttpUrl::new(&whole).map_err(InspectError)?;
    Ok(Spec { url: Some(url), ..Spec::default() })
}

/// Why a target cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InspectError(String);
