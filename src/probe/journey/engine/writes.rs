//! Writes are canaries: entered in the ledger before they are sent, removed whatever happens, and
//! swept by a later run where that failed.
//!
//! The process may die, or the run be dropped, at any `await`. Before [`Run::enter`] has returned
//! nothing was sent; after it the ledger knows of the write until [`Run::clean_up`] has seen it gone.
//! Whatever ends in between leaves an open canary: it is free as soon as its hold is over, or at once
//! if it was the daemon's and that starts again. Until it is swept nobody enters another.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::{Next, Run};
use crate::model::{Budget, CanaryState, Entry, HumanDuration, LedgerError, Phase};
use crate::net::{aside, waited};
use crate::probe::journey::facts::{NotWritten, StepFacts, Trouble, Written};
use crate::probe::journey::step::Step;

/// The period of the write budget.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the ledger may take. It gives up by itself before.
const LEDGER_PATIENCE: Duration = Duration::from_secs(30);
/// A run holds what it wrote for longer than it may take: it may also have to wait for a connection.
pub(super) const HOLD_MARGIN: Duration = Duration::from_secs(60);
/// It sends nothing any more so long before others may take over.
const HOLD_SLACK: Duration = Duration::from_secs(5);

/// Asks the ledger. The time that takes is ours: it counts neither as the portal's nor against the
/// journey.
///
/// # Errors
/// What the ledger says, or that it says nothing.
pub(super) async fn ask<T>(question: impl Future<Output = Result<T, LedgerError>>) -> Result<T, String> {
    match aside(timeout(LEDGER_PATIENCE, question)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the ledger did not answer within {}", HumanDuration(LEDGER_PATIENCE))),
    }
}

impl Run<'_> {
    /// Enters the first write before anything is asked of earlier runs: the ledger refuses it where
    /// something of one is open, so that a run with nothing to sweep asks it once. Says whether it is
    /// entered.
    pub(super) async fn enter_ahead(&mut self, step: &Step) -> bool {
        // A step that may be left out must not be entered yet.
        if step.when.is_some() || self.is_over(self.steps_end) || !self.ctx.writes {
            return false;
        }
        self.entered_ahead = self.enter().await;
        self.alone = self.entered_ahead;
        if !self.alone {
            // It is asked again after the sweep.
            self.facts.not_written = None;
        }
        self.alone
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
        let until = self.hold();
        let entry = ask(ledger.enter(&self.ctx.scope.check, &self.facts.run, now, until, budget)).await;
        self.facts.not_written = match entry {
            Ok(Entry::Entered) => {
                self.entered = true;
                None
            }
            Ok(Entry::Busy { run }) => Some(NotWritten::Busy { run }),
            Ok(Entry::Unswept { run, .. }) => Some(NotWritten::Unswept { run }),
            Ok(Entry::Spent { written }) => Some(NotWritten::Spent { written }),
            Err(why) => Some(NotWritten::NoLedger(why)),
        };
        self.facts.not_written.is_none()
    }

    /// Until when others leave alone what this run is about to hold. The run keeps to it.
    pub(super) fn hold(&mut self) -> Timestamp {
        let left = (self.all_end + waited()).saturating_duration_since(Instant::now()) + HOLD_MARGIN;
        self.hold = Some(Instant::now() + left - HOLD_SLACK);
        self.now().checked_add(left).unwrap_or(Timestamp::MAX)
    }

    /// Puts the captures marked `keep` into the ledger, so that whoever cleans up has them.
    pub(super) async fn note_kept(&mut self) -> Next {
        if !self.entered || !self.unnoted {
            return Next::On;
        }
        let Some(ledger) = self.ctx.ledger else { return Next::Over };
        match ask(ledger.keep(&self.facts.run, &self.kept)).await {
            Ok(()) => {
                self.unnoted = false;
                Next::On
            }
            Err(why) => {
                self.facts.not_written = Some(NotWritten::NoLedger(why));
                Next::Over
            }
        }
    }

    /// Removes what this run wrote, whatever happened to it.
    pub(super) async fn clean_up(&mut self) {
        let Some(ledger) = self.ctx.ledger.filter(|_| self.entered) else { return };
        let end = if self.nothing_was_sent() {
            Ok(CanaryState::Absent)
        } else {
            self.remove_own().await.map(|()| CanaryState::Cleaned)
        };
        let run = &self.facts.run;
        self.facts.written = Some(match end {
            Ok(state) => match ask(ledger.settle(run, state, self.now())).await {
                Ok(()) => Written::Cleaned,
                Err(why) => Written::NotNoted(why),
            },
            Err(why) => {
                // The next run may sweep at once: only a sweep that failed has to wait. Where the ledger
                // fails, the canary is free once the time has passed for which it is held.
                let _ = ask(ledger.failed(run, self.now())).await;
                Written::LeftBehind(why)
            }
        });
    }

    /// All steps of the clean-up, the later ones also where one fails. It is proof only if something
    /// was asked for, and if the writes were answered as expected: a clean-up knows what it removes by
    /// their answers.
    async fn remove_own(&mut self) -> Result<(), String> {
        let mut failed = None;
        let mut removed = false;
        for step in &self.spec.cleanup {
            match self.removal(step, "cleanup", self.all_end).await {
                Ok(done) => removed |= done,
                Err(why) => failed = failed.or(Some(why)),
            }
        }
        match failed {
            Some(why) => Err(why),
            None if !removed => Err("no step of the clean-up went through".to_owned()),
            None => match self.writes().find(|seen| !is_known(seen)) {
                Some(seen) => Err(format!("what came of {} is not known", seen.request)),
                None => Ok(()),
            },
        }
    }

    /// A step of a clean-up or sweep: whether it went through, or why it failed.
    pub(super) async fn removal(&mut self, step: &Step, what: &str, ends: Instant) -> Result<bool, String> {
        let mut seen = StepFacts::of(step, what);
        match self.wanted(step) {
            Ok(true) => self.repeated(step, &mut seen, ends).await,
            Ok(false) => seen.left_out = Some("not wanted".to_owned()),
            Err(why) => seen.trouble = Some(Trouble::NotSent(why)),
        }
        self.skipped |= matches!(seen.trouble, Some(Trouble::OurSide(_)));
        let done = seen.trouble.is_none() && seen.left_out.is_none();
        let failed =
            seen.trouble.as_ref().filter(|_| !step.optional).map(|trouble| {
                format!("{}: {}", seen.request, super::super::verdict::sentence(trouble, &seen))
            });
        self.facts.cleanup.push(seen);
        failed.map_or(Ok(done), Err)
    }

    /// What was seen of the steps that write.
    fn writes(&self) -> impl Iterator<Item = &StepFacts> {
        let steps = self.spec.steps.iter().zip(&self.facts.steps);
        steps.filter(|(step, _)| step.write).map(|(_, seen)| seen)
    }

    /// Whether no write of this run can have reached the portal.
    fn nothing_was_sent(&self) -> bool {
        self.writes().all(was_not_sent)
    }
}

/// Whether what came of a write is known: it was answered as expected, or not sent.
fn is_known(seen: &StepFacts) -> bool {
    let answered = seen.trouble.is_none() && seen.status.is_some();
    answered || was_not_sent(seen)
}

/// Whether a write cannot have reached the portal: it was not sent, or found no connection.
fn was_not_sent(seen: &StepFacts) -> bool {
    match &seen.trouble {
        Some(Trouble::NotSent(_) | Trouble::OutOfTime | Trouble::OurSide(_)) => seen.requests == 0,
        Some(Trouble::Transport(failure)) => {
            seen.requests == 1
                && seen.redirects.is_empty()
                && matches!(failure.phase, Phase::Dns | Phase::Connect | Phase::Tls)
        }
        _ => seen.left_out.is_some(),
    }
}

#[cfg(test)]
mod tests;
