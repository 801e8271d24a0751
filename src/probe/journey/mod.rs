//! The `journey` kind: signs in with a real identity, looks at what it should see, writes one thing
//! and reads it back.
//!
//! [`spec`], [`step`] and [`fields`] are what a config says, [`template`] fills it in. `engine` looks:
//! `request` makes a request of a step, [`session`] dresses it as a browser would, [`capture`] takes
//! from the answer what later steps need, [`blocked`] tells a throttle from a verdict. [`facts`] is what
//! was seen, `verdict` thinks.
//!
//! Not supported: scripts (a page that needs one to sign in is driven through the requests it makes),
//! WebSockets, and more than one request at a time.

pub mod blocked;
pub mod capture;
pub mod cookies;
pub mod facts;
pub mod fields;
pub mod html;
pub mod session;
pub mod spec;
pub mod step;
pub mod template;

mod docs;
mod engine;
mod form;
mod request;
mod sink;
mod skim;
mod source;
mod told;
mod transcript;
mod validate;
mod verdict;

#[cfg(test)]
mod wire_tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::facts::Facts;
use self::facts::Held;
pub use self::spec::Spec;
use super::{Ctx, Judgement, Kind, Observed, Past, Problem, Scope, Unmeasured};
use crate::model::{Confirm, FindingDoc, LatencyKeys, Part};

/// The kind.
pub struct Journey;

/// What is remembered from run to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Nothing is sent until then: a refused credential, or a portal that throttles us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Held>,
    /// The window of the last one-time code that was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totp_step: Option<u64>,
}

impl Kind for Journey {
    const NAME: &'static str = "journey";
    const EXAMPLE: &'static str = r#"every: 5m
journey:
  lockout_guard: 15m
  session_cookies: { names: [sessionid], allow: [same_site] }
  steps:
    - name: sign-in page
      get: /login
      capture: { login: { form: "form#login" } }
    - name: sign in
      submit: login
      form: { username: probe, password: { insecure_literal: not-a-real-one } }
      expect: { final_url: { contains: /dashboard } }
    - name: create ticket
      write: true
      post: /api/tickets
      json: { title: "portalwatch {{ run.id }}" }
      expect: { status: 201 }
      capture: { ticket: { json: $.id, keep: true } }
    - name: read it back
      get: "/api/tickets/{{ ticket }}"
      expect: { json: { "$.title": "portalwatch {{ run.id }}" } }
      eventually: { within: 10s, every: 1s }
  cleanup:
    - { delete: "/api/tickets/{{ ticket }}", expect: { status: [200, 204, 404] } }
  sweep:
    - { get: "/api/tickets?q={{ run.id }}", each: "$[*].id", then: { delete: "/api/tickets/{{ item }}" } }
  sign_out: { post: /logout, replay: /dashboard }
"#;
    const FINDINGS: &'static [FindingDoc] = docs::ALL;
    const CONFIRM: Confirm = Confirm { failures: 2, successes: 1, recheck: None };
    const COUNTS: bool = true;
    type Spec = Spec;
    type Facts = Facts;
    type Memory = Memory;

    fn identity(spec: &Spec) -> Option<&str> {
        spec.identity.as_deref()
    }

    fn budgets(spec: &Spec) -> Vec<(Vec<String>, Part, LatencyKeys)> {
        let steps = spec.steps.iter().enumerate();
        let budget = |(index, step): (usize, &step::Step)| {
            let place = vec!["steps".to_owned(), format!("[{index}]"), "latency".to_owned()];
            Some((place, Part::Step(step.name.clone()?), step.latency?))
        };
        steps.filter_map(budget).collect()
    }

    /// A changed password or account is tried at once.
    fn settings_changed(memory: Memory) -> Memory {
        Memory { stop: None, ..memory }
    }

    fn validate(spec: &Spec, scope: &Scope) -> Vec<Problem> {
        validate::problems(spec, scope)
    }

    fn hosts(spec: &Spec, scope: &Scope) -> Vec<String> {
        validate::hosts(spec, scope)
    }

    async fn observe(spec: &Spec, ctx: &Ctx<'_>, past: &Past<Self>) -> Result<Observed<Facts>, Unmeasured> {
        engine::observe(spec, ctx, &past.memory).await
    }

    fn judge(spec: &Spec, facts: &Facts, past: &Past<Self>, now: Timestamp) -> Judgement<Self> {
        Judgement {
            findings: verdict::findings(spec, facts),
            memory: remember(spec, facts, &past.memory, now),
            unknown: verdict::unknown(facts),
        }
    }

    fn tell(facts: &Facts) -> Option<Vec<String>> {
        Some(told::lines(facts))
    }

    fn reproduce(spec: &Spec, scope: &Scope) -> Vec<String> {
        transcript::commands(spec, scope)
    }
}

/// What the next run has to know of this one.
fn remember(spec: &Spec, facts: &Facts, past: &Memory, now: Timestamp) -> Memory {
    if facts.held.is_some() {
        return past.clone();
    }
    let until = |wait: Duration| now.checked_add(wait).unwrap_or(Timestamp::MAX);
    let guard = spec.lockout_guard.0;
    let refused = verdict::refusal(spec, facts).map(|(step, why)| Held {
        since: now,
        until: until(guard),
        step: step.to_owned(),
        why,
        refused: true,
    });
    let blocked = facts.blocked.as_ref().and_then(|blocked| {
        let asked = Duration::from_secs(blocked.retry_after.unwrap_or_default());
        let wait = if blocked.lock_out { asked.max(guard) } else { asked };
        (!wait.is_zero()).then(|| Held {
            since: now,
            until: until(wait),
            step: blocked.step.clone(),
            why: blocked.why.clone(),
            refused: false,
        })
    });
    Memory { stop: refused.or(blocked), totp_step: facts.totp_step.or(past.totp_step) }
}
