//! Looks: every host, every address, and what certificates lead to. The only part that does I/O.
//! First all handshakes, then what takes longer (`scan`), then what certificates point at (`fetch`):
//! where the time runs out, the later part is what is missing. DNS is asked meanwhile (`records`).

pub mod ct;
mod fetch;
mod hosts;
mod pages;
mod records;
mod roots;
mod scan;
mod store;
mod views;

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::Instant;

use self::hosts::Target;
use self::store::Store;
use self::views::Seen;
use super::facts::{Endpoint, Facts, HostFacts, View};
use super::memory::Memory;
use super::spec::Spec;
use crate::model::{Cause, Phase, Timings};
use crate::net::waited;
use crate::probe::web::facts::{FailureKind, Skipped};
use crate::probe::{Ctx, Observed, Unmeasured};

/// So many addresses are looked at at a time.
const AT_ONCE: usize = 8;
/// What is left of the run for judging and keeping.
const MARGIN: Duration = Duration::from_secs(1);

/// One run's look.
struct Look<'a> {
    spec: &'a Spec,
    ctx: &'a Ctx<'a>,
    memory: &'a Memory,
    /// When the run ends, time spent waiting for permits left out.
    ends: Instant,
    /// The certificates seen so far.
    store: Store,
}

/// How long an operation may take.
#[derive(Clone, Copy)]
struct Patience {
    timeout: Duration,
    /// The end of the run comes first: that the time ran out says nothing of the target.
    cut: bool,
}

impl Look<'_> {
    /// What is left of the run.
    fn left(&self) -> Duration {
        (self.ends + waited()).saturating_duration_since(Instant::now())
    }

    /// `None` when the run is over.
    fn patience(&self) -> Option<Patience> {
        let (left, timeout) = (self.left(), self.ctx.scope.timeout);
        (!left.is_zero()).then(|| Patience { timeout: timeout.min(left), cut: left < timeout })
    }
}

/// Why something was not looked at in time.
fn out_of_time() -> Skipped {
    Skipped {
        cause: Cause::Overload,
        why: "the run's time was used up before; raise its deadline or look at fewer hosts".to_owned(),
        no_route: false,
    }
}

/// The kind's look.
///
/// # Errors
/// Our side failed.
pub async fn observe(spec: &Spec, ctx: &Ctx<'_>, memory: &Memory) -> Result<Observed<Facts>, Unmeasured> {
    let deadline = ctx.scope.deadline;
    let ends = Instant::now() + deadline.saturating_sub(MARGIN.min(deadline / 10));
    let look = Look { spec, ctx, memory, ends, store: Store::default() };
    let targets = hosts::targets(&look).await;
    let wanted: Vec<_> = targets.iter().filter(|_| spec.dns).map(records::Wanted::of).collect();
    let ((mut facts, timings), records) =
        tokio::join!(visit(&look, targets).boxed(), records::records(&look, &wanted));
    for (host, records) in facts.hosts.iter_mut().zip(records) {
        host.dns = records;
    }
    roots::platform(&mut facts);
    match unmeasured(&facts) {
        Some(skipped) => Err(Unmeasured { cause: skipped.cause, why: skipped.why.clone() }),
        None => Ok(Observed { status: None, timings, steps: Vec::new(), transport: silent(&facts), facts }),
    }
}

/// All that takes connections to the hosts, and to where their certificates lead.
async fn visit(look: &Look<'_>, targets: Vec<Target>) -> (Facts, Timings) {
    let Look { spec, ctx, memory, .. } = *look;
    let mut looks = Vec::new();
    for target in &targets {
        for address in &target.addresses {
            looks.push(views::endpoint(look, target, *address).boxed());
        }
    }
    let mut seen = some_at_once(looks, AT_ONCE).await;
    let timings = timings(&targets, &seen);
    scan::postures(look, &targets, &mut seen).await;
    let mut facts = together(targets, seen);
    roots::trusted(look, &mut facts);
    facts.certificates = look.store.all();
    if spec.fetch {
        fetch::fetch(look, &mut facts).await;
    }
    // Each further look at the hosts is one line here.
    let names = facts.hosts.iter().map(|host| host.host.as_str());
    facts.ct = ct::look(spec.ct.as_ref(), ctx, names, memory, look.left()).await;
    if spec.web {
        pages::pages(look, &mut facts).await;
    }
    (facts, timings)
}

/// What a run would fetch for facts.
#[cfg(test)]
pub async fn fetch_into(spec: &Spec, ctx: &Ctx<'_>, memory: &Memory, facts: &mut Facts) {
    let ends = Instant::now() + ctx.scope.deadline;
    fetch::fetch(&Look { spec, ctx, memory, ends, store: Store::default() }, facts).await;
}

/// What all of these come to, in their order, so many going on at a time.
async fn some_at_once<T>(all: Vec<BoxFuture<'_, T>>, at_once: usize) -> Vec<T> {
    stream::iter(all).buffered(at_once).collect().await
}

/// The times of the first address.
fn timings(targets: &[Target], seen: &[Seen]) -> Timings {
    let mut timings = seen.first().map(|seen| seen.timings).unwrap_or_default();
    if let Some(took) = targets.first().and_then(|target| target.resolving) {
        timings.add(Phase::Dns, took);
    }
    timings
}

fn together(targets: Vec<Target>, seen: Vec<Seen>) -> Facts {
    let mut seen = seen.into_iter().map(|seen| seen.endpoint);
    let host = |target: Target| {
        let endpoints: Vec<Endpoint> = seen.by_ref().take(target.addresses.len()).collect();
        HostFacts { endpoints, ..target.facts }
    };
    Facts { hosts: targets.into_iter().map(host).collect(), ..Facts::default() }
}

/// Why nothing at all could be measured, where that is so.
fn unmeasured(facts: &Facts) -> Option<&Skipped> {
    let all_of_it = |host: &HostFacts| {
        host.failure.is_none() && host.endpoints.iter().all(|endpoint| endpoint.unmeasured.is_some())
    };
    if !facts.hosts.iter().all(all_of_it) {
        return None;
    }
    let mut addresses = facts.hosts.iter().flat_map(|host| &host.endpoints);
    let of_host = facts.hosts.iter().find_map(|host| host.unmeasured.as_ref());
    of_host.or_else(|| addresses.find_map(|endpoint| endpoint.unmeasured.as_ref()))
}

/// Whether nobody gave an answer.
fn silent(facts: &Facts) -> bool {
    let endpoints = facts.hosts.iter().flat_map(|host| &host.endpoints);
    !endpoints.flat_map(|endpoint| &endpoint.views).any(answered)
}

fn answered(view: &View) -> bool {
    use FailureKind::{Certificate, NoStarttls, Protocol, Tls};
    let spoke = |kind: FailureKind| matches!(kind, Tls | Certificate | Protocol | NoStarttls);
    view.shown.is_some() || view.failure.as_ref().is_some_and(|failure| spoke(failure.kind))
}
