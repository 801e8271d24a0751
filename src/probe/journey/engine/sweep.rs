//! What earlier runs left behind is looked for and removed in the session of a later run, right before
//! its first write.
//!
//! A canary counts as removed only if the search can be believed: it lists nothing for an id that no
//! run ever had, and the portal cannot still be at a write whose sender died. A try is a sweep that
//! asked the portal; a run that does not come so far tries nothing, so it neither brings an orphan
//! nearer nor makes the next try wait, but says in each result what is left.

use std::time::Duration;

use jiff::Timestamp;

use super::attempt::page;
use super::writes::{HOLD_MARGIN, ask};
use super::{Next, Run, run_id};
use crate::model::{Canary, CanaryState};
use crate::probe::Ctx;
use crate::probe::journey::capture::{Items, each};
use crate::probe::journey::facts::{NotWritten, SweepEnd, Swept};
use crate::probe::journey::html::looks_like_login;
use crate::probe::journey::spec::{Spec, Sweep};
use crate::probe::web::walk::End;
use crate::probe::web::words;

/// How long the next sweep waits after the first that failed, at most; doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// The longest it waits.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 60 * 60);

/// One write may make several things that a search lists; what is more is not what the run wrote.
const MOST_PER_WRITE: usize = 3;

impl Run<'_> {
    /// Sweeps what is open and held by nobody.
    pub(super) async fn sweep_leftovers(&mut self) -> Next {
        let Some(ledger) = self.ctx.ledger.filter(|_| self.ctx.writes) else { return Next::On };
        let until = self.hold();
        let taken = ask(ledger.take(&self.ctx.scope.check, self.now(), until)).await;
        let taken = match taken {
            Ok(taken) => taken,
            Err(why) => {
                self.facts.not_written = Some(NotWritten::NoLedger(why));
                return Next::Over;
            }
        };
        for canary in taken {
            let end = self.sweep(&canary).await;
            self.put_down(canary, end).await;
        }
        Next::On
    }

    /// Notes how a sweep ended, and lets go of the canary.
    async fn put_down(&mut self, mut canary: Canary, mut end: SweepEnd) {
        let Some(ledger) = self.ctx.ledger else { return };
        let (run, now) = (canary.run.as_str(), self.now());
        let noted = match &end {
            SweepEnd::Removed(_) => ask(ledger.settle(run, CanaryState::Swept, now)).await,
            SweepEnd::Absent => ask(ledger.settle(run, CanaryState::Absent, now)).await,
            SweepEnd::Failed(_) => {
                let not_before = now.checked_add(self.wait(canary.attempts)).unwrap_or(Timestamp::MAX);
                canary.attempts += 1;
                ask(ledger.failed(run, not_before)).await
            }
            SweepEnd::Waiting | SweepEnd::NotTried(_) | SweepEnd::Later(_) => ask(ledger.release(run)).await,
        };
        // What could not be noted is held until its time and swept once more.
        if let (Err(why), SweepEnd::Removed(_) | SweepEnd::Absent) = (noted, &end) {
            end = SweepEnd::Later(why);
        }
        self.facts.swept.push(swept(&canary, end));
    }

    /// How long the next try waits. The first waits no longer than a run may take, which is the
    /// interval at most: a check that runs often is back at it soon.
    fn wait(&self, failed_before: u32) -> Duration {
        let first = FIRST_WAIT.min(self.ctx.scope.deadline);
        first.saturating_mul(2_u32.saturating_pow(failed_before.saturating_sub(1))).min(LONGEST_WAIT)
    }

    /// Adds what is left and was not swept in this run.
    pub(super) async fn note_leftovers(&mut self) {
        if self.alone {
            return;
        }
        let why = match self.hold {
            None => "no sweep was tried: the journey did not come to its first write",
            Some(_) => "another run holds it",
        };
        let left = left_over(self.spec, self.ctx, self.now(), why).await;
        let known: Vec<_> = self.facts.swept.iter().map(|swept| swept.run.clone()).collect();
        let others = left.into_iter().filter(|left| left.run != self.facts.run && !known.contains(&left.run));
        self.facts.swept.extend(others);
    }

    /// Looks for what a run wrote and removes it.
    async fn sweep(&mut self, canary: &Canary) -> SweepEnd {
        if self.is_over(self.steps_end) {
            return SweepEnd::NotTried("no sweep was tried: the time of the journey was up".to_owned());
        }
        let own = self.vars.clone();
        let mut removed = 0;
        let mut failed = None;
        self.skipped = false;
        for rule in &self.spec.sweep {
            self.vars = own.clone();
            self.stand_in(canary);
            match self.sweep_by(rule, canary).await {
                Ok(count) => removed += count,
                Err(why) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        self.vars = own;
        match failed {
            // Our own fault is no try.
            Some(why) if self.skipped => SweepEnd::NotTried(why),
            Some(why) => SweepEnd::Failed(why),
            None if removed < wrote(canary) && self.may_still_land(canary) => SweepEnd::Later(
                "the portal may still be at a write whose answer nobody waited for".to_owned(),
            ),
            None if removed == 0 => SweepEnd::Absent,
            None => SweepEnd::Removed(removed),
        }
    }

    /// Templates name the run that wrote.
    fn stand_in(&mut self, canary: &Canary) {
        self.vars.set_run(&canary.run, canary.entered);
        for (name, value) in &canary.kept {
            self.vars.set(name, value);
        }
    }

    /// Whether the run could still have been waiting for an answer. A clock that went back says nothing.
    fn may_still_land(&self, canary: &Canary) -> bool {
        let age = Duration::try_from(self.now().duration_since(canary.entered));
        age.is_ok_and(|age| age < self.ctx.scope.deadline)
    }

    async fn sweep_by(&mut self, rule: &Sweep, canary: &Canary) -> Result<usize, String> {
        let found = self.search(rule).await?;
        if found.values.is_empty() {
            return Ok(0);
        }
        let source = rule.search.written();
        if count(&found) > wrote(canary).saturating_mul(MOST_PER_WRITE) {
            return Err(format!(
                "{source} finds {} things, more than a run with {} writes leaves behind; nothing was removed",
                count(&found),
                canary.writes
            ));
        }
        let stranger = run_id().map_err(|unmeasured| unmeasured.why)?;
        self.vars.set_run(&stranger, canary.entered);
        let strangers = count(&self.search(rule).await?);
        if strangers > 0 {
            return Err(format!(
                "{source} also finds {strangers} things for an id that no run had, so that what it finds may be others'; nothing was removed"
            ));
        }
        self.stand_in(canary);
        for item in &found.values {
            self.vars.set_item(item);
            for step in &rule.then.0 {
                self.removal(step, "sweep", self.steps_end).await?;
            }
        }
        self.vars.unset("item");
        let left = self.search(rule).await?;
        if left.values.is_empty() {
            return Ok(found.values.len());
        }
        Err(format!("{} found, {} still there after their removal", count(&found), count(&left)))
    }

    async fn search(&mut self, rule: &Sweep) -> Result<Items, String> {
        let step = &rule.search;
        let source = step.written();
        if self.is_over(self.steps_end) {
            return Err(format!("{source}: the time of the journey was up"));
        }
        self.vars.set_time(self.now());
        let rendered = self.render(step)?;
        let expect = step.expect.rules();
        let walked = self.send(step, rendered, expect, self.steps_end).await;
        let response = match walked.end {
            End::Answer(response) if expect.status.contains(response.status) => response,
            End::Answer(response) => return Err(format!("{source} answered {}", response.status)),
            End::Astray(response, problem) => {
                let status = response.map(|response| response.status);
                return Err(format!("{source}: {}", words::redirect(&problem, status)));
            }
            End::Failed(failure) => return Err(format!("{source}: {}", words::failure(&failure, None))),
            End::Skipped(skipped) => {
                self.skipped = true;
                return Err(format!("{source}: {}", skipped.why));
            }
        };
        // Neither a part of a list nor a page that asks who we are shows that nothing is there.
        if response.truncated || response.body_error.is_some() {
            return Err(format!("{source}: its answer is not whole"));
        }
        if looks_like_login(&response.body) {
            return Err(format!("{source} is answered with a page that asks for a password"));
        }
        let wanted = rule.each.fill(&self.vars)?;
        each(&wanted, &page(&walked.url, &response, &[]))
            .map_err(|missing| format!("{source}: {}", missing.why))
    }
}

/// What is open and nobody is writing, by a look at the ledger alone; `why` no sweep is tried.
pub(super) async fn left_over(spec: &Spec, ctx: &Ctx<'_>, now: Timestamp, why: &str) -> Vec<Swept> {
    let Some(ledger) = ctx.ledger.filter(|_| ctx.writes && spec.first_write().is_some()) else {
        return Vec::new();
    };
    let open = ask(ledger.open(&ctx.scope.check)).await.unwrap_or_default();
    let left = open.iter().filter_map(|canary| {
        let age = Duration::try_from(now.duration_since(canary.entered));
        if canary.not_before.is_some_and(|from| from > now) {
            return Some(swept(canary, SweepEnd::Waiting));
        }
        // Another instance may be in the middle of it, and has done nothing wrong.
        let held = ctx.scope.deadline.saturating_add(HOLD_MARGIN);
        let in_hand = canary.attempts == 0 && age.is_ok_and(|age| age <= held);
        (!in_hand).then(|| swept(canary, SweepEnd::NotTried(why.to_owned())))
    });
    left.collect()
}

fn swept(canary: &Canary, end: SweepEnd) -> Swept {
    Swept { run: canary.run.clone(), entered: canary.entered, end, attempts: canary.attempts }
}

fn wrote(canary: &Canary) -> usize {
    usize::try_from(canary.writes).unwrap_or(usize::MAX)
}

fn count(items: &Items) -> usize {
    items.values.len() + items.more
}
