//! `objectives`: what is promised of checks together.

use std::time::Duration;

use super::super::keys::*;
use super::super::settings::*;
use super::{Build, DAY};
use crate::formats::yaml::{Node, Value};
use crate::model::Part;

/// The shortest window: less of a budget is used up by a run or two.
const SHORTEST: Duration = Duration::from_secs(DAY);

impl Build<'_> {
    pub(super) fn objectives(&mut self, node: Node) -> Vec<Objective> {
        let items = match node.value {
            Value::List(items) => items,
            Value::Null => Vec::new(),
            _ => {
                self.say(&node.at, "objectives", "expected a list of objectives");
                Vec::new()
            }
        };
        let mut objectives: Vec<Objective> = Vec::new();
        for (index, node) in items.into_iter().enumerate() {
            let Some(objective) = self.objective(index, &node) else { continue };
            if objectives.iter().any(|other| other.name == objective.name) {
                let message = format!("there are two objectives {:?}", objective.name);
                self.say(&node.at, &format!("objectives[{index}].name"), message);
            }
            objectives.push(objective);
        }
        objectives
    }

    fn objective(&mut self, index: usize, node: &Node) -> Option<Objective> {
        let path = format!("objectives[{index}]");
        let keys: ObjectiveKeys = self.read(node, &path)?;
        let place = |key: &str| node.get(key).map_or(&node.at, |node| &node.at).clone();
        let good = keys.name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && keys.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !good {
            let message = format!("the name {:?} must be of a-z, 0-9 and -, and not begin with -", keys.name);
            self.say(&place("name"), &format!("{path}.name"), message);
        }
        let window = keys.window.map_or(Duration::from_secs(30 * DAY), |window| window.0);
        if window < SHORTEST {
            self.say(&place("window"), &format!("{path}.window"), "must be 1d or longer");
        }
        let kind = match (keys.kind, keys.threshold) {
            (ObjectiveKindKey::Availability, None) if keys.step.is_none() => ObjectiveKind::Availability,
            (ObjectiveKindKey::Availability, _) => {
                let key = if keys.threshold.is_some() { "threshold" } else { "step" };
                self.say(&place(key), &format!("{path}.{key}"), "only an objective of kind latency has it");
                return None;
            }
            (ObjectiveKindKey::Latency, None) => {
                let message = "of kind latency needs a threshold, as in threshold: 500ms";
                self.say(&node.at, &path, message);
                return None;
            }
            (ObjectiveKindKey::Latency, Some(threshold)) => ObjectiveKind::Latency {
                part: keys.step.map_or(Part::Whole, Part::Step),
                threshold: threshold.0,
            },
        };
        let of = match keys.of {
            OneOrMore::One(glob) => vec![glob],
            OneOrMore::More(globs) => globs,
        };
        let (at, labels) = (place("of"), keys.labels);
        Some(Objective { name: keys.name, at, of, target: keys.target.0, window, kind, labels })
    }
}
