//! The list of kinds, and the one generic bridge from a typed [`Kind`] to the object-safe
//! [`Probe`] that the rest of the program runs.

use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use schemars::{Schema, SchemaGenerator};
use serde_json::value::RawValue;

use super::{Ctx, Kind, Past, Problem, Scope, Unmeasured, Watched};
use crate::formats::yaml::{Node, Reader};
use crate::model::{Baseline, Confirm, Finding, FindingDoc, LatencyKeys, Part, Series, StepTime, Timings};

/// All kinds, in the order of the docs. An explicit list is greppable and ordered.
pub fn kinds() -> &'static [KindEntry] {
    const {
        &[
            KindEntry::of::<super::http::Http>(),
            KindEntry::of::<super::journey::Journey>(),
            KindEntry::of::<super::certificate::CertificateKind>(),
            KindEntry::of::<super::registration::RegistrationKind>(),
            KindEntry::of::<super::dns::Dns>(),
            KindEntry::of::<super::mail::Mail>(),
        ]
    }
}

/// What a kind remembers, serialized; `None` is its default.
pub type Memory = Option<Box<RawValue>>;

/// A kind without its types.
pub struct KindEntry {
    /// [`Kind::NAME`].
    pub name: &'static str,
    /// [`Kind::EXAMPLE`].
    pub example: &'static str,
    /// [`Kind::FINDINGS`].
    pub findings: &'static [FindingDoc],
    /// [`Kind::CONFIRM`].
    pub confirm: Confirm,
    /// [`Kind::COUNTS`].
    pub counts: bool,
    /// The JSON Schema of the kind's settings.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads the kind's settings from a config subtree; faults go to the reader.
    pub read: fn(&Node, &mut Reader<'_>) -> Option<Arc<dyn Probe>>,
}

impl KindEntry {
    /// The entry of a kind.
    pub const fn of<K: Kind>() -> Self {
        Self {
            name: K::NAME,
            example: K::EXAMPLE,
            findings: K::FINDINGS,
            confirm: K::CONFIRM,
            counts: K::COUNTS,
            schema: |generator| generator.subschema_for::<K::Spec>(),
            read: |node, reader| {
                let spec = reader.read::<K::Spec>(node)?;
                Some(probe::<K>(spec))
            },
        }
    }
}

/// What one pass over a check gave, before guards and alerting.
pub struct ProbeOutput {
    /// What was found.
    pub findings: Vec<Finding>,
    /// The protocol's status.
    pub status: Option<u16>,
    /// The run says nothing of the target after all: why.
    pub unknown: Option<Unmeasured>,
    /// How long the phases took.
    pub timings: Timings,
    /// How long the steps took.
    pub steps: Vec<StepTime>,
    /// No answer came.
    pub transport: bool,
    /// The facts as JSON.
    pub facts: Box<RawValue>,
    /// The new memory, if it changed.
    pub memory: Option<Box<RawValue>>,
}

/// A check's kind and settings, ready to run.
pub trait Probe: Send + Sync {
    /// [`Kind::NAME`].
    fn kind(&self) -> &'static str;
    /// [`Kind::identity`].
    fn identity(&self) -> Option<&str>;
    /// [`Kind::triggers`].
    fn triggers(&self) -> Option<&str>;
    /// [`Kind::budgets`].
    fn budgets(&self) -> Vec<(Vec<String>, Part, LatencyKeys)>;
    /// [`Kind::settings_changed`].
    fn settings_changed(&self, memory: &Memory) -> Memory;
    /// [`Kind::validate`].
    fn validate(&self, scope: &Scope) -> Vec<Problem>;
    /// [`Kind::hosts`].
    fn hosts(&self, scope: &Scope) -> Vec<String>;
    /// [`Kind::reproduce`].
    fn reproduce(&self, scope: &Scope) -> Vec<String>;
    /// [`Kind::series`].
    fn series(&self, memory: &Memory, now: Timestamp) -> Vec<Series>;
    /// [`Kind::LEARNS`].
    fn learns(&self) -> bool;
    /// [`Kind::standings`].
    fn standings(&self, memory: &Memory, baselines: &[Baseline]) -> Vec<Watched>;
    /// [`Kind::tell`] of recorded facts; none too where this version cannot read them.
    fn tell(&self, facts: &RawValue) -> Option<Vec<String>>;
    /// Looks and judges, once, within `scope.deadline`.
    fn run<'a>(
        &'a self,
        ctx: Ctx<'a>,
        memory: &'a Memory,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<ProbeOutput, Unmeasured>>;
    /// Judges recorded facts again, without a socket.
    ///
    /// # Errors
    /// Facts that another version recorded in a shape this one cannot read.
    fn rejudge(
        &self,
        facts: &RawValue,
        memory: &Memory,
        now: Timestamp,
    ) -> Result<Vec<Finding>, serde_json::Error>;
}

struct Typed<K: Kind> {
    spec: K::Spec,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Typed<K> {
    /// A memory that cannot be read (written by another version) starts anew.
    fn past(memory: &Memory) -> Past<K> {
        let memory = memory.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        Past::of(memory)
    }
}

impl<K: Kind> Probe for Typed<K> {
    fn kind(&self) -> &'static str {
        K::NAME
    }

    fn identity(&self) -> Option<&str> {
        K::identity(&self.spec)
    }

    fn triggers(&self) -> Option<&str> {
        K::triggers(&self.spec)
    }

    fn budgets(&self) -> Vec<(Vec<String>, Part, LatencyKeys)> {
        K::budgets(&self.spec)
    }

    fn settings_changed(&self, memory: &Memory) -> Memory {
        let left = K::settings_changed(Self::past(memory).memory);
        if left == K::Memory::default() {
            return None;
        }
        serde_json::value::to_raw_value(&left).ok()
    }

    fn validate(&self, scope: &Scope) -> Vec<Problem> {
        K::validate(&self.spec, scope)
    }

    fn hosts(&self, scope: &Scope) -> Vec<String> {
        K::hosts(&self.spec, scope)
    }

    fn reproduce(&self, scope: &Scope) -> Vec<String> {
        K::reproduce(&self.spec, scope)
    }

    fn series(&self, memory: &Memory, now: Timestamp) -> Vec<Series> {
        K::series(&Self::past(memory).memory, now)
    }

    fn learns(&self) -> bool {
        K::LEARNS
    }

    fn standings(&self, memory: &Memory, baselines: &[Baseline]) -> Vec<Watched> {
        K::standings(&self.spec, &Self::past(memory).memory, baselines)
    }

    fn tell(&self, facts: &RawValue) -> Option<Vec<String>> {
        K::tell(&serde_json::from_str(facts.get()).ok()?)
    }

    fn run<'a>(
        &'a self,
        ctx: Ctx<'a>,
        memory: &'a Memory,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<ProbeOutput, Unmeasured>> {
        async move {
            let mut past = Self::past(memory);
            if let Some(baselines) = ctx.baselines.filter(|_| K::LEARNS) {
                past.baselines = baselines.of(&ctx.scope.check).await.map_err(|error| error.to_string());
            }
            let observed = K::observe(&self.spec, &ctx, &past).await?;
            let judgement = K::judge(&self.spec, &observed.facts, &past, now);
            let mut findings = judgement.findings;
            findings.sort_by_key(|finding| {
                std::cmp::Reverse((finding.measured, finding.broken, finding.severity))
            });
            let facts = serde_json::value::to_raw_value(&observed.facts).map_err(|error| Unmeasured {
                cause: crate::model::Cause::Config,
                why: format!("the facts cannot be written as JSON: {error}"),
            })?;
            let memory = if judgement.memory == past.memory {
                None
            } else {
                serde_json::value::to_raw_value(&judgement.memory).ok()
            };
            Ok(ProbeOutput {
                findings,
                status: observed.status,
                unknown: judgement.unknown,
                timings: observed.timings,
                steps: observed.steps,
                transport: observed.transport,
                facts,
                memory,
            })
        }
        .boxed()
    }

    fn rejudge(
        &self,
        facts: &RawValue,
        memory: &Memory,
        now: Timestamp,
    ) -> Result<Vec<Finding>, serde_json::Error> {
        let facts: K::Facts = serde_json::from_str(facts.get())?;
        Ok(K::judge(&self.spec, &facts, &Self::past(memory), now).findings)
    }
}

/// A probe of settings that come from no config.
pub fn probe<K: Kind>(spec: K::Spec) -> Arc<dyn Probe> {
    Arc::new(Typed::<K> { spec, kind: PhantomData })
}
