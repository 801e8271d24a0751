//! The kinds of checks. A kind is one file (or folder) here and two lines below: its `mod` and its
//! entry in [`kinds`].
//!
//! A kind looks (`observe`, the only part that does I/O) and then thinks (`judge`, which cannot).
//! What it saw is its `Facts`; what it thinks of them are findings.

pub mod certificate;
pub mod dns;
pub mod http;
pub mod journey;
pub mod mail;
pub mod registration;
mod registry;
pub mod standing;
pub mod web;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::registry::{KindEntry, Memory, Probe, ProbeOutput, kinds, probe};
use crate::model::{
    Baseline, Baselines, Cause, CheckId, Confirm, Finding, FindingDoc, Host, Identity, LatencyKeys, Ledger,
    Masker, Part, Series, StepTime, Timings,
};
use crate::net::{Net, TlsOptions};

/// One kind of check.
pub trait Kind: Sized + Send + Sync + 'static {
    /// The key of the kind in a check's config, and the `kind` label.
    const NAME: &'static str;
    /// A complete check of this kind as YAML (the map that stands under the check's name): feeds
    /// the docs, the schema test and the contract test.
    const EXAMPLE: &'static str;
    /// Every finding the kind can make.
    const FINDINGS: &'static [FindingDoc];
    /// The confirmation of its findings, where the finding itself does not say.
    const CONFIRM: Confirm;

    /// Whether it compares what it sees with what people approved.
    const LEARNS: bool = false;

    /// Whether its checks count for the uptime of their portal, where they do not say.
    const COUNTS: bool = false;

    /// The kind's settings; strict, unknown keys are refused.
    type Spec: DeserializeOwned + JsonSchema + Send + Sync + 'static;
    /// What was seen: no opinion, no bodies, no secrets.
    type Facts: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What the kind remembers from run to run.
    type Memory: Serialize + DeserializeOwned + Default + PartialEq + Send + Sync + 'static;

    /// The name of the portal's identity that the check acts as, written under its key `as`. The plan
    /// resolves it into [`Scope::identity`].
    fn identity(_: &Self::Spec) -> Option<&str> {
        None
    }

    /// The name of another check of the portal that this one runs within its own runs. The plan resolves it
    /// into [`Scope::triggered`].
    fn triggers(_: &Self::Spec) -> Option<&str> {
        None
    }

    /// The latency budgets of parts of the check, such as steps: where each stands below the kind's own
    /// key, of what, and what is written there.
    fn budgets(_: &Self::Spec) -> Vec<(Vec<String>, Part, LatencyKeys)> {
        Vec::new()
    }

    /// What is left of a memory when a reload changed the check's settings, the values of its secrets
    /// and its identity among them: what was only true of the old ones is forgotten here.
    fn settings_changed(memory: Self::Memory) -> Self::Memory {
        memory
    }

    /// Refuses settings that can only be judged with the portal in view, such as a relative path
    /// without a portal URL. Each problem is reported at the key it names.
    fn validate(spec: &Self::Spec, scope: &Scope) -> Vec<Problem>;

    /// The hosts the check connects to, as written, for the rate warning of `config validate`.
    fn hosts(spec: &Self::Spec, scope: &Scope) -> Vec<String>;

    /// Looks. The only part that does I/O. `Err` is the one way to say "our side failed". What is
    /// remembered may forbid a part of the look, such as a sign-in right after a refused one.
    fn observe(
        spec: &Self::Spec,
        ctx: &Ctx<'_>,
        past: &Past<Self>,
    ) -> impl Future<Output = Result<Observed<Self::Facts>, Unmeasured>> + Send;

    /// Thinks. Cannot do I/O.
    fn judge(spec: &Self::Spec, facts: &Self::Facts, past: &Past<Self>, now: Timestamp) -> Judgement<Self>;

    /// What is exposed beside the verdict, from memory alone, so that it is there right after a
    /// restart and stays while a run cannot measure it.
    fn series(_: &Self::Memory, _now: Timestamp) -> Vec<Series> {
        Vec::new()
    }

    /// How each thing that it compares stands, where [`Kind::LEARNS`]: what people approve.
    fn standings(_: &Self::Spec, _: &Self::Memory, _: &[Baseline]) -> Vec<Watched> {
        Vec::new()
    }

    /// The facts in lines for a person who asks for all of them; none where a list of them reads well.
    fn tell(_: &Self::Facts) -> Option<Vec<String>> {
        None
    }

    /// Shell commands that reproduce a finding; secrets appear as template names only.
    fn reproduce(spec: &Self::Spec, scope: &Scope) -> Vec<String>;
}

/// One thing that a kind compares with what was approved or declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// Its name, as [`Baseline::key`].
    pub key: String,
    /// How it stands.
    pub standing: Standing,
    /// What it should be, in its lines; `None` where nothing was approved or declared.
    pub baseline: Option<Vec<String>>,
    /// What it is; `None` where that is not known.
    pub present: Option<Vec<String>>,
    /// The settings say what it should be: nobody can approve anything else.
    pub declared: bool,
    /// Since when it is so; `None` where that is not known.
    pub since: Option<Timestamp>,
    /// A sentence more, such as who approved it when.
    pub note: String,
}

/// How a thing stands to what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is as approved or declared.
    Same,
    /// It differs, and that is certain.
    Drifted,
    /// It differs, and one more look or server must say so too.
    Suspected,
    /// It differs as was announced.
    Announced,
    /// It was the same long enough to be approved; nobody did yet.
    Provisional,
    /// It is not known for long enough.
    Learning,
    /// Those who know it could not be asked.
    Unmeasured,
}

impl Standing {
    /// The word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Drifted => "drifted",
            Self::Suspected => "suspected",
            Self::Announced => "announced",
            Self::Provisional => "provisional",
            Self::Learning => "learning",
            Self::Unmeasured => "unmeasured",
        }
    }
}

/// A fault that needs more than the key itself to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of keys below the kind's own key, such as `["expect", "final_url"]`.
    pub path: Vec<String>,
    /// What is wrong and the way out.
    pub message: String,
}

/// What of a check's surroundings its kind needs: the portal and the settings every kind shares.
/// Checks of one portal share the portal's part.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Which check.
    pub check: CheckId,
    /// The portal it belongs to.
    pub portal: Arc<PortalScope>,
    /// Bounds one operation: a request, an address, a query.
    pub timeout: Duration,
    /// Bounds the run.
    pub deadline: Duration,
    /// The resolvers, as written: `system`, `IP:PORT`, `tls://…`, `https://…`.
    pub resolvers: Arc<[String]>,
    /// TLS settings of the check, else of the portal, else of the defaults.
    pub tls: Arc<TlsOptions>,
    /// The identity that [`Kind::identity`] names; its client certificate is in `tls` already.
    pub identity: Option<Arc<Identity>>,
    /// The check that [`Kind::triggers`] names.
    pub triggered: Option<Arc<Triggered>>,
}

/// A check that another one runs within its own runs.
pub struct Triggered {
    /// Its kind and settings.
    pub probe: Arc<dyn Probe>,
    /// Its surroundings.
    pub scope: Scope,
    /// Knows its secrets.
    pub masker: Masker,
}

impl std::fmt::Debug for Triggered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Triggered").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// What the checks of one portal share.
#[derive(Clone, Debug, Default)]
pub struct PortalScope {
    /// The portal's name.
    pub name: String,
    /// The portal's address.
    pub url: Option<url::Url>,
    /// All its hosts.
    pub hosts: Vec<Host>,
    /// Whether its addresses may be private (RFC 1918, loopback …).
    pub private: bool,
}

/// What a run is given.
pub struct Ctx<'a> {
    /// The check's surroundings.
    pub scope: &'a Scope,
    /// All sockets.
    pub net: &'a Net,
    /// Knows the check's secrets. What a run learns itself is masked together with these, in one go.
    pub masker: &'a Masker,
    /// When the run started.
    pub at: Timestamp,
    /// Someone looks at the facts themselves (`inspect`): keep all that may be kept, not only what
    /// is judged.
    pub everything: bool,
    /// Where writes are entered before they are sent; without it nothing may be written.
    pub ledger: Option<&'a dyn Ledger>,
    /// What people decided about learned values; none where nobody can be asked (`inspect`).
    pub baselines: Option<&'a dyn Baselines>,
    /// Whether the run may write at all. Not so for a run by hand without `--write`.
    pub writes: bool,
}

/// What was seen, and how long its phases took.
pub struct Observed<F> {
    /// What was seen.
    pub facts: F,
    /// The protocol's status, kept with every result.
    pub status: Option<u16>,
    /// How long the phases took.
    pub timings: Timings,
    /// How long the steps took that were begun, in their order; empty for kinds without steps.
    pub steps: Vec<StepTime>,
    /// The run ended in a transport failure (no answer); only such a run may become `unknown`
    /// through the own-network guard.
    pub transport: bool,
}

/// The one way a probe says "our side failed": becomes `unknown` with its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmeasured {
    /// Whose fault.
    pub cause: Cause,
    /// One sentence.
    pub why: String,
}

/// What a kind may look back at.
pub struct Past<K: Kind> {
    /// What it chose to remember.
    pub memory: K::Memory,
    /// What people decided, where [`Kind::LEARNS`]; `Err` says why that could not be read.
    pub baselines: Result<Vec<Baseline>, String>,
}

impl<K: Kind> Past<K> {
    /// A past of which this is remembered, and in which nobody decided anything.
    pub const fn of(memory: K::Memory) -> Self {
        Self { memory, baselines: Ok(Vec::new()) }
    }
}

/// What a kind thinks of its facts.
pub struct Judgement<K: Kind> {
    /// What it found; the verdict follows from these.
    pub findings: Vec<Finding>,
    /// What it wants to remember.
    pub memory: K::Memory,
    /// The run says nothing of the target after all: why. The facts and the memory are kept.
    pub unknown: Option<Unmeasured>,
}
