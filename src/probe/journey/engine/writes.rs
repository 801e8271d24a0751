//! Writes are canaries: entered in the ledger before they are sent, removed whatever happens, and
//! swept by a later run where that failed.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::attempt::page;
use super::{Next, Run};
use crate::model::{Budget, Canary, CanaryState, Entry, Ledger, Phase};
use crate::probe::journey::capture::{Items, each};
use crate::probe::journey::facts::{NotWritten, StepFacts, SweepEnd, Swept, Trouble, Written};
use crate::probe::journey::spec::Sweep;
use crate::probe::journey::step::Step;
use crate::probe::web::walk::End;
use crate::probe::web::words;

/// The period of the write budget.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a sweep waits after one that failed; doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// The longest it waits.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 60 * 60);

/// One write may make several things that a search lists; what is far more is not what the run wrote.
const MOST_PER_WRITE: usize = 3;

/// What an earlier run left behind and this one took on.
pub(super) struct Leftover {
    canary: Canary,
    /// How the sweep ended.
    end: SweepEnd,
}

impl<'a> Run<'a> {
    /// The ledger, if this run may write.
    fn ledger(&self) -> Option<&'a dyn Ledger> {
        self.ctx.ledger.filter(|_| self.ctx.writes && self.spec.first_write().is_some())
    }

    /// Takes on what earlier runs left behind, and sweeps it in the session of this run: at the place of
    /// its first write. A portal that nobody can sign in to is no failed sweep, and postpones none.
    pub(super) async fn sweep_leftovers(&mut self) {
        let Some(ledger) = self.ledger() else { return };
        let ctx = self.ctx;
        // Whoever cannot read the ledger cannot enter a write either, which is told then.
        let taken = ledger.take(&ctx.scope.check, self.now(), self.held_until()).await.unwrap_or_default();
        for canary in taken {
            let mut end = self.sweep(&canary).await;
            let state = match end {
                SweepEnd::Removed(_) => Some(CanaryState::Swept),
                SweepEnd::Absent => Some(CanaryState::Absent),
                SweepEnd::Failed(_) | SweepEnd::Waiting => None,
            };
            if let Some(state) = state
                && let Err(error) = ledger.settle(&canary.run, state, self.now()).await
            {
                end = SweepEnd::Failed(error.to_string());
            }
            self.leftovers.push(Leftover { canary, end });
        }
    }

    /// Until when others leave alone what this run holds.
    fn held_until(&self) -> Timestamp {
        let left = self.all_end.saturating_duration_since(Instant::now()) + Duration::from_secs(10);
        self.now().checked_add(left).unwrap_or(Timestamp::MAX)
    }

    /// Gives back what could not be swept, so that a later run tries again; what this run did not come
    /// to is told.
    pub(super) async fn give_back_leftovers(&mut self) {
        for Leftover { mut canary, end } in std::mem::take(&mut self.leftovers) {
            if let SweepEnd::Failed(_) = end {
                self.give_back(&canary.run, canary.attempts).await;
                canary.attempts += 1;
            }
            self.facts.swept.push(swept(&canary, end));
        }
        let Some(ledger) = self.ledger() else { return };
        let open = ledger.open(&self.ctx.scope.check).await.unwrap_or_default();
        for canary in open {
            let is_told = self.facts.swept.iter().any(|swept| swept.run == canary.run);
            if !is_told && canary.run != self.facts.run {
                self.facts.swept.push(swept(&canary, SweepEnd::Waiting));
            }
        }
    }

    async fn give_back(&self, run: &str, attempts: u32) {
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(attempts)).min(LONGEST_WAIT);
        let not_before = self.now().checked_add(wait).unwrap_or(Timestamp::MAX);
        if let Some(ledger) = self.ctx.ledger {
            // Where the ledger fails, the canary is free again once the time has passed for which it
            // is held.
            let _ = ledger.failed(run, not_before).await;
        }
    }

    /// Looks for what a run wrote and removes it.
    async fn sweep(&mut self, canary: &Canary) -> SweepEnd {
        let own = self.vars.clone();
        self.vars.set_run(&canary.run, canary.entered);
        for (name, value) in &canary.kept {
            self.vars.set(name, value);
        }
        let mut removed = 0;
        let mut end = None;
        for rule in &self.spec.sweep {
            match self.sweep_by(rule, canary.writes).await {
                Ok(count) => removed += count,
                Err(why) => {
                    end = Some(SweepEnd::Failed(why));
                    break;
                }
            }
        }
        self.vars = own;
        end.unwrap_or(if removed == 0 { SweepEnd::Absent } else { SweepEnd::Removed(removed) })
    }

    async fn sweep_by(&mut self, rule: &Sweep, writes: u32) -> Result<usize, String> {
        let found = self.search(rule).await?;
        if found.values.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(writes).unwrap_or(usize::MAX).saturating_mul(MOST_PER_WRITE);
        if count(&found) > most {
            return Err(format!(
                "{} finds {} things, more than a run with {writes} writes leaves behind; nothing was removed",
                rule.search.written(),
                count(&found)
            ));
        }
        for item in &found.values {
            self.vars.set_item(item);
            for step in &rule.then.0 {
                self.removal(step, "sweep").await?;
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
        self.vars.set_time(self.now());
        let rendered = self.render(step)?;
        let expect = step.expect.rules();
        let walked = self.send(step, rendered, expect, self.all_end).await;
        let response = match walked.end {
            End::Answer(response) if expect.status.contains(response.status) => response,
            End::Answer(response) => return Err(format!("{source} answered {}", response.status)),
            End::Astray(response, problem) => {
                let status = response.map(|response| response.status);
                return Err(format!("{source}: {}", words::redirect(&problem, status)));
            }
            End::Failed(failure) => return Err(format!("{source}: {}", words::failure(&failure, None))),
            End::Skipped(skipped) => return Err(format!("{source}: {}", skipped.why)),
        };
        let wanted = rule.each.fill(&self.vars)?;
        each(&wanted, &page(&walked.url, &response, &[]))
            .map_err(|missing| format!("{source}: {}", missing.why))
    }

    /// A step of a clean-up or sweep: it succeeds, or says why not.
    async fn removal(&mut self, step: &Step, what: &str) -> Result<(), String> {
        let mut seen = StepFacts {
            name: step.name.as_deref().unwrap_or(what).to_owned(),
            request: step.written(),
            optional: step.optional,
            ..StepFacts::default()
        };
        match self.wanted(step) {
            Ok(true) => self.repeated(step, &mut seen, self.all_end).await,
            Ok(false) => seen.left_out = Some("not wanted".to_owned()),
            Err(why) => seen.trouble = Some(Trouble::NotSent(why)),
        }
        let failed =
            seen.trouble.as_ref().filter(|_| !step.optional).map(|trouble| {
                format!("{}: {}", seen.request, super::super::verdict::sentence(trouble, &seen))
            });
        self.facts.cleanup.push(seen);
        failed.map_or(Ok(()), Err)
    }

    /// Enters a write of this run. Says whether it may be sent.
    pub(super) async fn enter(&mut self) -> bool {
        if !self.ctx.writes {
            self.facts.not_written = Some(NotWritten::ByHand);
            return false;
        }
        let Some(ledger) = self.ctx.ledger else {
            let why = "the store is not open".to_owned();
            self.facts.not_written = Some(NotWritten::NoLedger(why));
            return false;
        };
        let now = self.now();
        let since = now.checked_sub(DAY).unwrap_or(Timestamp::MIN);
        let budget = Budget { limit: u64::from(self.spec.daily_writes), since };
        let entry =
            ledger.enter(&self.ctx.scope.check, &self.facts.run, now, self.held_until(), budget).await;
        self.facts.not_written = match entry {
            Ok(Entry::Entered) => {
                self.entered = true;
                None
            }
            Ok(Entry::Busy { run }) => Some(NotWritten::Busy { run }),
            Ok(Entry::Unswept { run, .. }) => Some(NotWritten::Unswept { run }),
            Ok(Entry::Spent { written }) => Some(NotWritten::Spent { written }),
            Err(error) => Some(NotWritten::NoLedger(error.to_string())),
        };
        self.facts.not_written.is_none()
    }

    /// Puts the captures marked `keep` into the ledger, so that whoever cleans up has them.
    pub(super) async fn note_kept(&mut self) -> Next {
        if !self.entered || self.kept.is_empty() {
            return Next::On;
        }
        let Some(ledger) = self.ctx.ledger else { return Next::Over };
        match ledger.keep(&self.facts.run, &self.kept).await {
            Ok(()) => Next::On,
            Err(error) => {
                self.facts.not_written = Some(NotWritten::NoLedger(error.to_string()));
                Next::Over
            }
        }
    }

    /// Removes what this run wrote, whatever happened to it.
    pub(super) async fn clean_up(&mut self) {
        let Some(ledger) = self.ctx.ledger.filter(|_| self.entered) else { return };
        let mut end = Ok(CanaryState::Cleaned);
        if self.nothing_was_sent() {
            end = Ok(CanaryState::Absent);
        } else {
            for step in &self.spec.cleanup {
                if let Err(why) = self.removal(step, "cleanup").await {
                    end = Err(why);
                    break;
                }
            }
        }
        let run = self.facts.run.clone();
        let settled = match end {
            Ok(state) => ledger.settle(&run, state, self.now()).await.map_err(|error| error.to_string()),
            Err(why) => {
                // The next run may sweep at once: only a sweep that failed has to wait.
                let _ = ledger.failed(&run, self.now()).await;
                Err(why)
            }
        };
        self.facts.written = Some(settled.map_or_else(Written::LeftBehind, |()| Written::Cleaned));
    }

    /// Whether no write of this run can have reached the portal: the only one was not sent, or found
    /// no connection.
    fn nothing_was_sent(&self) -> bool {
        let writes = self.spec.steps.iter().zip(&self.facts.steps).filter(|(step, _)| step.write);
        writes.into_iter().all(|(_, seen)| match &seen.trouble {
            Some(Trouble::NotSent(_)) => seen.requests == 0,
            Some(Trouble::Transport(failure)) => {
                seen.requests == 1
                    && seen.redirects.is_empty()
                    && matches!(failure.phase, Phase::Dns | Phase::Connect | Phase::Tls)
            }
            _ => seen.left_out.is_some(),
        })
    }
}

fn swept(canary: &Canary, end: SweepEnd) -> Swept {
    Swept { run: canary.run.clone(), entered: canary.entered, end, attempts: canary.attempts }
}

fn count(items: &Items) -> usize {
    items.values.len() + items.more
}
