//! The `http` kind: one request, its redirects, and what the answer should say.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Ctx, Judgement, Kind, Observed, Past, Problem, Scope, Unmeasured};
use crate::model::{Confirm, FindingDoc};

/// The kind.
pub struct Http;

/// Settings.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {}

/// Facts.
#[derive(Debug, Serialize, Deserialize)]
pub struct Facts {}

impl Kind for Http {
    const NAME: &'static str = "http";
    const EXAMPLE: &'static str = "http: { url: https://portal.example/ }";
    const FINDINGS: &'static [FindingDoc] = &[];
    const CONFIRM: Confirm =
        Confirm { failures: 3, successes: 2, recheck: Some(std::time::Duration::from_secs(10)) };
    const COUNTS: bool = true;
    type Spec = Spec;
    type Facts = Facts;
    type Memory = ();

    fn validate(_: &Spec, _: &Scope) -> Vec<Problem> {
        todo!("probe::http")
    }

    fn hosts(_: &Spec, _: &Scope) -> Vec<String> {
        todo!("probe::http")
    }

    async fn observe(_: &Spec, _: &Ctx<'_>) -> Result<Observed<Facts>, Unmeasured> {
        todo!("probe::http")
    }

    fn judge(_: &Spec, _: &Facts, _: &Past<Self>, _: Timestamp) -> Judgement<Self> {
        todo!("probe::http")
    }

    fn reproduce(_: &Spec, _: &Scope) -> Vec<String> {
        todo!("probe::http")
    }
}
