//! Which channels a notice goes to, in which group, and when.

use std::time::Duration;

use crate::model::{Matcher, Notice, OutboxRow};

/// A route, ready to match.
#[derive(Clone, Debug)]
pub struct Route {
    /// All of these; empty matches everything.
    pub matchers: Vec<Matcher>,
    /// The channels.
    pub to: Vec<String>,
    /// Also look at the routes after this one.
    pub go_on: bool,
    /// Labels that make a group; empty: each incident is a group of its own.
    pub group_by: Vec<String>,
    /// How long the first message of a group waits; `None`: 5 s for critical, 30 s else.
    pub group_wait: Option<Duration>,
    /// The least time between two messages of a group.
    pub group_interval: Duration,
    /// `None`: 4 h for critical, 7 d for warning.
    pub repeat: Option<Duration>,
}

/// The outbox rows of one notice: one for each channel it goes to.
pub fn rows(_routes: &[Route], _notice: &Notice) -> Vec<OutboxRow> {
    todo!("alert")
}
