//! The settings of the kind.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::capture::Each;
use super::cookies::SessionCookies;
use super::fields::{HeaderFields, WordFields};
use super::session::Csrf;
use super::step::{Shown, Step};
use super::template::Template;
use crate::model::Span;
use crate::probe::web::scalars::Size;

/// What a person does in the portal, from signing in to signing out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The identity of the portal that acts.
    #[serde(rename = "as")]
    pub identity: Option<Box<str>>,
    /// The steps, in their order. The first that fails ends the journey.
    #[schemars(length(min = 1, max = 50))]
    pub steps: Vec<Step>,
    /// Steps that remove what was written. They run whatever happened.
    #[serde(default)]
    pub cleanup: Vec<Step>,
    /// How to find and remove what a crash left behind; needed where a step writes.
    #[serde(default)]
    pub sweep: Vec<Sweep>,
    /// The way out, and the proof that the session is dead after it.
    pub sign_out: Option<Box<SignOut>>,
    /// After a refused credential nobody signs in for this long.
    #[serde(default = "lockout_guard")]
    #[schemars(extend("default" = "15m"))]
    pub lockout_guard: Span,
    /// At most so many writes in 24 hours.
    #[serde(default = "daily_writes")]
    pub daily_writes: u32,
    /// What of an answer's body may stand in the evidence of a failing step.
    #[serde(default)]
    pub evidence: Evidence,
    /// Double-submit protection: a cookie's value is sent in a header as well.
    pub csrf: Option<Box<Csrf>>,
    /// The capture that is sent as `Authorization: Bearer` to the portal's own origin.
    pub bearer: Option<Box<str>>,
    /// Which cookies hold the session, and what they may lack.
    #[serde(default)]
    pub session_cookies: SessionCookies,
}

/// The most steps of a journey.
pub const MOST_STEPS: usize = 50;

fn lockout_guard() -> Span {
    Span(Duration::from_secs(15 * 60))
}

const fn daily_writes() -> u32 {
    400
}

/// What of a body may stand in the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// An excerpt of answers that came before the sign-in, nothing after it.
    #[default]
    Sparing,
    /// An excerpt of every failing step's answer.
    Body,
}

/// One search for what was left behind, and its removal.
#[derive(Debug, Deserialize)]
#[serde(from = "SweepKeys")]
pub struct Sweep {
    /// What searches.
    pub search: Step,
    /// What of its answer are the items.
    pub each: Each,
    /// What removes one `item`.
    pub then: Then,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SweepKeys {
    /// The path that finds what a run wrote, by `run.id`.
    get: Template,
    /// Query parameters of the search.
    query: Option<Box<WordFields>>,
    /// Request headers of the search.
    headers: Option<Box<HeaderFields>>,
    /// Bounds the search; the check's `timeout` if not set.
    timeout: Option<Span>,
    /// Reading what the search answers stops after this many bytes, and a part cannot be searched.
    #[serde(default)]
    max_body: Size,
    /// What of the answer are the items.
    each: Each,
    /// What removes one `item`.
    then: Then,
}

impl From<SweepKeys> for Sweep {
    fn from(keys: SweepKeys) -> Self {
        let search = Step {
            get: Some(keys.get),
            query: keys.query,
            headers: keys.headers,
            timeout: keys.timeout,
            max_body: keys.max_body,
            ..Step::default()
        };
        Self { search, each: keys.each, then: keys.then }
    }
}

impl JsonSchema for Sweep {
    fn schema_name() -> Cow<'static, str> {
        "Sweep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        SweepKeys::json_schema(generator)
    }
}

/// The way out.
#[derive(Debug, Deserialize)]
#[serde(from = "Step")]
pub struct SignOut {
    /// What signs out.
    pub step: Step,
    /// What the old session must not open afterwards; the first page after the sign-in if not set.
    pub replay: Option<Step>,
}

impl From<Step> for SignOut {
    fn from(mut step: Step) -> Self {
        let replay = step.replay.take().map(|path| Step { get: Some(*path), ..Step::default() });
        Self { step, replay }
    }
}

impl JsonSchema for SignOut {
    fn schema_name() -> Cow<'static, str> {
        Step::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Step::json_schema(generator)
    }
}

/// One step or several.
#[derive(Debug)]
pub struct Then(pub Vec<Step>);

struct ThenVisitor;

impl<'de> Visitor<'de> for ThenVisitor {
    type Value = Then;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step, or a list of steps")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Then, A::Error> {
        Step::deserialize(MapAccessDeserializer::new(map)).map(|step| Then(vec![step]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Then, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Then)
    }
}

impl<'de> Deserialize<'de> for Then {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ThenVisitor)
    }
}

impl JsonSchema for Then {
    fn schema_name() -> Cow<'static, str> {
        "StepOrSteps".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let step = generator.subschema_for::<Step>();
        json_schema!({ "anyOf": [step, { "type": "array", "minItems": 1, "items": step }] })
    }
}

impl Spec {
    /// The first step that writes.
    pub fn first_write(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.write)
    }

    /// The page that only a session opens: what `sign_out` replays, else the first step after the
    /// sign-in that opens one.
    pub fn replayed(&self) -> Option<&Step> {
        let named = self.sign_out.as_ref().and_then(|sign_out| sign_out.replay.as_ref());
        let after = self.signing_in().map_or(0, |(_, last)| last + 1);
        named.or_else(|| self.steps.get(after..)?.iter().find(|step| step.get.is_some()))
    }

    /// What each step shows of the identity that no step before it shows.
    pub fn newly_shown(&self) -> impl Iterator<Item = Shown> {
        self.steps.iter().scan(Shown::default(), |before, step| {
            let shown = step.shown();
            let new = shown.without(*before);
            *before = before.and(shown);
            Some(new)
        })
    }

    /// The steps that sign in, the first and the last: those that show a password or code for the first
    /// time, else the one that shows the token so. A credential that goes along with every request
    /// signs in once.
    pub fn signing_in(&self) -> Option<(usize, usize)> {
        let new: Vec<Shown> = self.newly_shown().collect();
        let first = new.iter().position(|shown| shown.signs_in());
        let last = new.iter().rposition(|shown| shown.signs_in());
        let by_token = || new.iter().position(|shown| shown.token).map(|only| (only, only));
        first.zip(last).or_else(by_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_may_be_slower_and_larger_than_other_requests() {
        let sweep = serde_json::json!({
            "get": "/flows", "each": "$[*].id", "then": { "delete": "/flow/{{ item }}" },
            "timeout": "20s", "max_body": "8MiB",
        });
        let sweep: Sweep = serde_json::from_value(sweep).unwrap();
        assert_eq!(sweep.search.timeout, Some(Span(Duration::from_secs(20))));
        assert_eq!(sweep.search.max_body.0, 8 << 20);
    }
}
