//! Which checks belong to which objective, and what of them is kept for it.

use std::sync::Arc;
use std::time::Duration;

use super::{Builder, PlannedCheck, PlannedObjective};
use crate::alert::Policy;
use crate::alert::daemon::EVALUATE_EVERY;
use crate::config::{Settings, settings};
use crate::formats::yaml::Fault;
use crate::model::HumanDuration;
use crate::model::glob::matches;
use crate::model::{CheckId, Confirm, Part};
use crate::stats::objective::{FINDINGS, Objective, Promise};
use crate::stats::track::{self, Tracked};

/// The objectives of a config with the checks they name.
pub fn of(settings: &Settings) -> Vec<(Objective, Vec<CheckId>)> {
    let ids = || {
        settings
            .portals
            .iter()
            .flat_map(|portal| portal.checks.iter().map(|check| CheckId::new(&portal.name, &check.name)))
    };
    let objective = |written: &settings::Objective| {
        let of = match &written.kind {
            settings::ObjectiveKind::Availability => Promise::Availability,
            settings::ObjectiveKind::Latency { part, threshold } => {
                Promise::Latency { part: part.clone(), threshold: *threshold }
            }
        };
        let checks = ids().filter(|id| written.of.iter().any(|glob| matches(glob, id))).collect();
        let name = written.name.clone();
        (Objective { name, target: written.target, window: written.window, of }, checks)
    };
    settings.objectives.iter().map(objective).collect()
}

/// What objectives cannot find because of how seldom their checks run.
pub(super) fn warnings(objectives: &[PlannedObjective], planned: &[Arc<PlannedCheck>]) -> Vec<String> {
    let of = |PlannedObjective { objective, checks, .. }: &PlannedObjective| -> Vec<String> {
        let own = planned.iter().filter(|check| checks.contains(&check.scope.check));
        let every: Vec<Duration> = own.map(|check| check.every).collect();
        if every.is_empty() {
            return Vec::new();
        }
        let warning = |(id, long)| {
            format!(
                "objectives: {}: {id} cannot be found: its checks have too few runs in {} to tell slow from chance; \
                 run them more often, or take a longer window",
                objective.name,
                HumanDuration(long)
            )
        };
        objective.out_of_reach(&every).into_iter().map(warning).collect()
    };
    objectives.iter().flat_map(of).collect()
}

impl Builder<'_> {
    /// What of a check its objectives look at; `None` if it belongs to none.
    pub(super) fn tracked(&self, id: &CheckId) -> Option<Tracked> {
        let own = self.objectives.iter().filter(|(_, checks)| checks.contains(id));
        let look_back = own.clone().map(|(objective, _)| objective.look_back()).max()?.max(track::LEAST);
        let parts = own.filter_map(|(objective, _)| match &objective.of {
            Promise::Availability => None,
            Promise::Latency { part, .. } => Some(part.clone()),
        });
        let parts = parts.collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        Some(Tracked { parts, look_back })
    }

    /// The objectives, with how they are alerted. What names nothing is a fault.
    pub(super) fn planned_objectives(
        &mut self,
        written: &[settings::Objective],
        planned: &[Arc<PlannedCheck>],
    ) -> Vec<PlannedObjective> {
        let mut all = Vec::new();
        for (index, (written, (objective, checks))) in
            written.iter().zip(std::mem::take(&mut self.objectives)).enumerate()
        {
            if checks.is_empty() {
                let message = format!("no check matches {}", written.of.join(" "));
                self.say(written, index, "of", message);
            }
            if let Promise::Latency { part: Part::Step(step), .. } = &objective.of {
                let mut own = planned.iter().filter(|check| checks.contains(&check.scope.check)).peekable();
                let looked = own.peek().is_some();
                if looked && !own.any(|check| check.probe.steps().contains(&&**step)) {
                    self.say(written, index, "step", format!("none of its checks has a step {step:?}"));
                }
            }
            let policy = self.objective_policy(written);
            all.push(PlannedObjective { objective, checks, policy });
        }
        all
    }

    fn say(&mut self, written: &settings::Objective, index: usize, key: &str, message: String) {
        let path = format!("objectives[{index}].{key}");
        self.faults.push(Fault { at: Some(written.at.clone()), path, message });
    }

    fn objective_policy(&mut self, written: &settings::Objective) -> Policy {
        Policy {
            check: CheckId::objective(&written.name),
            kind: crate::model::OBJECTIVE,
            labels: self.shared.labels(&written.labels),
            every: EVALUATE_EVERY,
            confirm: Confirm { failures: 1, successes: 1, recheck: None },
            findings: FINDINGS,
            common: &[],
            failures: None,
            successes: None,
            recheck: None,
            unknown_after: Duration::MAX,
            flap_transitions: 6,
            flap_window: Duration::from_secs(6 * 3_600),
            routes: Arc::clone(&self.routes),
        }
    }
}
