//! The objectives: what is promised of checks together. Each has an incident of its own, made by the
//! same machine as those of checks: what [`stats::objective`](crate::stats::objective) finds is one result.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::alert::{self, Effect, Event, Seen, State};
use crate::model::{CheckId, OBJECTIVE, Series, SeriesDoc, Verdict};
use crate::plan::{Plan, PlannedObjective};
use crate::record::{Resumed, Transition};
use crate::run::book::{Desk, Entry, blank, close_orphan, file_effects};
use crate::run::chronicle;
use crate::stats::objective::{self, Spent};

const LEFT: SeriesDoc = SeriesDoc {
    name: "portalwatch_objective_error_budget_left_ratio",
    help: "Share of the error budget of the objective's whole window that is left; negative if it is overdrawn.",
};
const GOOD: SeriesDoc = SeriesDoc {
    name: "portalwatch_objective_good_ratio",
    help: "Share of the known time, or of the runs, of the objective's window that was good.",
};
const TARGET: SeriesDoc =
    SeriesDoc { name: "portalwatch_objective_target_ratio", help: "The share that must be good." };
const RATE: SeriesDoc = SeriesDoc {
    name: "portalwatch_objective_burn_rate",
    help: "How many times faster than evenly the error budget was used up in the window.",
};

/// All objectives of a plan.
#[derive(Default)]
pub struct Objectives(Vec<Kept>);

struct Kept {
    planned: PlannedObjective,
    state: State,
    /// What is rolled up of its window, and until when.
    base: Option<(i64, Spent)>,
}

impl Objectives {
    /// Takes up those of a plan; what earlier runs of the daemon left of them is taken out of `resumed`.
    pub fn new(plan: &Plan, resumed: &mut HashMap<CheckId, Resumed>) -> Self {
        let kept = |planned: &PlannedObjective| Kept {
            state: resumed.remove(&planned.policy.check).map(|resumed| resumed.state).unwrap_or_default(),
            planned: planned.clone(),
            base: None,
        };
        Self(plan.objectives.iter().map(kept).collect())
    }

    /// Goes over to those of a new plan. The incidents of those that are gone are closed.
    pub fn replan(&mut self, plan: &Plan, desk: &Desk) {
        let mut gone: HashMap<CheckId, Kept> =
            self.0.drain(..).map(|kept| (kept.planned.policy.check.clone(), kept)).collect();
        for planned in &plan.objectives {
            let before = gone.remove(&planned.policy.check);
            // What is rolled up is of other checks, or of another time.
            let state = before.map(|kept| kept.state).unwrap_or_default();
            self.0.push(Kept { planned: planned.clone(), state, base: None });
        }
        for (check, kept) in gone {
            desk.live.remove(&check);
            close_orphan(Resumed { check, state: kept.state, memory: None, last: None }, desk);
        }
    }

    /// Takes up what an earlier run of the daemon left, learned of late; false if it is of none here.
    pub fn adopt(&mut self, found: &Resumed, desk: &Desk) -> bool {
        let Some(kept) = self.0.iter_mut().find(|kept| kept.planned.policy.check == found.check) else {
            return false;
        };
        if found.state.incident.is_some() && kept.state.incident.is_none() {
            kept.state = found.state.clone();
            let mut transition = Transition::of(found.check.clone());
            transition.state = Some(found.state.clone());
            desk.writer.send(transition);
        }
        true
    }

    /// Sets what is rolled up of an objective's window until `until`.
    pub fn set_base(&mut self, name: &str, until: i64, spent: Spent) {
        for kept in self.0.iter_mut().filter(|kept| kept.planned.objective.name == name) {
            kept.base = Some((until, spent));
        }
    }

    /// Looks at the checks, and decides.
    pub fn look<'e>(&mut self, entry: impl Fn(&CheckId) -> Option<&'e Entry>, desk: &Desk) {
        let now = desk.clock.now();
        for kept in &mut self.0 {
            if let Some(seen) = kept.seen(&entry, now.as_millisecond()) {
                kept.judge(&seen, now, desk);
            }
        }
    }

    /// Wakes those whose time has come.
    pub fn wake(&mut self, now: Timestamp, desk: &Desk) {
        for kept in self.0.iter_mut().filter(|kept| kept.state.wake.is_some_and(|at| at <= now)) {
            kept.step(&Event::Due, now, desk);
        }
    }
}

impl Kept {
    /// What is seen of it; `None` until the record of all its checks is read.
    fn seen<'e>(&self, entry: &impl Fn(&CheckId) -> Option<&'e Entry>, now: i64) -> Option<objective::Seen> {
        let (until, rolled) = self.base?;
        let entries: Vec<&Entry> = self.planned.checks.iter().filter_map(entry).collect();
        let since: Option<Vec<i64>> = entries.iter().map(|entry| entry.watched_since()).collect();
        let since = since?.into_iter().min()?;
        let spent = |from: i64| {
            let mut sum = Spent::default();
            entries.iter().for_each(|entry| sum.add(entry.spent(&self.planned.objective.of, from, now)));
            sum
        };
        let back = |window: Duration| now - i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let mut window = rolled;
        window.add(spent(until));
        let history = u64::try_from(now.saturating_sub(since)).unwrap_or(0);
        Some(objective::Seen {
            window: Some(window),
            rates: self
                .planned
                .objective
                .rules()
                .map(|rule| (spent(back(rule.long)), spent(back(rule.short)))),
            history: Duration::from_millis(history),
        })
    }

    fn judge(&mut self, seen: &objective::Seen, now: Timestamp, desk: &Desk) {
        let objective = &self.planned.objective;
        let open = self.state.incident.as_ref().map(|incident| incident.findings.clone()).unwrap_or_default();
        let findings = objective.judge(seen, |id| open.iter().any(|finding| finding.id.as_str() == id));
        let known = seen.window.is_some_and(|window| window.known > 0.0);
        let verdict = if known { Verdict::of(&findings) } else { Verdict::Unknown };
        let mut series = vec![Series { doc: &TARGET, labels: Vec::new(), value: objective.target }];
        let mut add = |doc, labels, value: Option<f64>| {
            series.extend(value.map(|value| Series { doc, labels, value }));
        };
        add(&LEFT, Vec::new(), objective.left(seen));
        add(&GOOD, Vec::new(), seen.window.and_then(|window| window.good()));
        for (rule, (long, short)) in objective.rules().iter().zip(seen.rates) {
            for (window, spent) in [(rule.long, long), (rule.short, short)] {
                let name = crate::model::HumanDuration(window).to_string();
                add(&RATE, vec![("window", name)], spent.rate(objective.target));
            }
        }
        let event = Event::Result(Seen {
            at: now,
            ended: now,
            verdict,
            cause: None,
            findings: findings.clone(),
            reproduce: Vec::new(),
            not_recorded: false,
            previous_good: None,
        });
        self.step(&event, now, desk);
        let mut present = blank(OBJECTIVE, self.planned.policy.every);
        present.verdict = Some(verdict);
        present.since = self.state.incident.as_ref().map(|incident| incident.started);
        present.at = Some(now);
        present.findings = findings.into();
        present.incident = self.state.incident.clone().map(Box::new);
        present.series = series.into();
        desk.live.set(&self.planned.policy.check, present);
    }

    fn step(&mut self, event: &Event, now: Timestamp, desk: &Desk) {
        let before = std::mem::take(&mut self.state);
        let (after, effects): (State, Vec<Effect>) =
            alert::step(before.clone(), event, &self.planned.policy, now);
        let mut transition = Transition::of(self.planned.policy.check.clone());
        file_effects(effects, &mut transition);
        transition.state = after.says_more_than(&before).then(|| after.clone());
        chronicle::log(before.incident.as_ref(), after.incident.as_ref());
        self.state = after;
        if transition.state.is_some() || !transition.outbox.is_empty() || !transition.incidents.is_empty() {
            desk.writer.send(transition);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::plan::PlannedCheck;
    use crate::record::memory::Memory;
    use crate::record::writer::Writer;
    use crate::run::fakes::{Does, Fake, planned};
    use crate::run::pace::Update;
    use crate::stats::objective::{Objective, Promise};
    use crate::stats::recent::Base;
    use crate::stats::track::{self, Tracked};

    #[tokio::test]
    async fn nothing_is_seen_until_the_record_of_all_its_checks_is_read() {
        let (writer, _) = Writer::spawn(Arc::new(Memory::default()) as Arc<dyn crate::record::Store>);
        let desk = Desk { writer, live: Arc::default(), clock: Arc::new(SystemClock), figures: false };
        let tracked = || Some(Tracked { parts: [].into(), look_back: track::LEAST });
        let mut entries: HashMap<CheckId, Entry> = HashMap::new();
        for name in ["home", "other"] {
            let fake = planned(name, Duration::from_secs(60), true, Fake::new(Does::Pass, Duration::ZERO));
            let check = Arc::new(PlannedCheck { tracked: tracked(), ..fake });
            entries.insert(check.scope.check.clone(), Entry::new(check, None, &desk));
        }
        let objective = Objective {
            name: "up".into(),
            target: 0.99,
            window: Duration::from_secs(86_400),
            of: Promise::Availability,
        };
        let policy = alert::Policy::of_removed(CheckId::objective("up"));
        let planned = PlannedObjective { objective, checks: entries.keys().cloned().collect(), policy };
        let kept = Kept { planned, state: State::default(), base: Some((0, Spent::default())) };
        let mut seen = Vec::new();
        for id in ["acme/home", "acme/other"].map(CheckId::from) {
            let base = Base { since: 5_000, ..Base::default() };
            let past = Update::Past { base, standing: None, runs: Vec::new() };
            entries.get_mut(&id).unwrap().update(past, &desk);
            seen.push(kept.seen(&|id: &CheckId| entries.get(id), 9_000).map(|seen| seen.history));
        }
        assert_eq!(seen, [None, Some(Duration::from_secs(4))]);
    }
}
